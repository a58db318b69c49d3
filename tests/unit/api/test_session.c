/* api: sessions over the public header alone, as a caller uses them. */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <corewalk/corewalk.h>

#include "support/core_builder.h"
#include "support/unit.h"

enum { MEMORY = 0x10000, MEMORY_BYTES = 0x4000 };

/* A process of one anonymous mapping, every word of which is 1. */
static int read_memory(void *context, uint64_t address, void *buffer, size_t size)
{
    (void)context;
    if (address < MEMORY || address + size > MEMORY + MEMORY_BYTES) {
        return -1;
    }
    for (size_t i = 0; i < size; i++) {
        ((unsigned char *)buffer)[i] = (unsigned char)((address + i) % 8 == 0 ? 1 : 0);
    }
    return 0;
}

static const struct corewalk_segment segment = {
    .start = MEMORY, .size_bytes = MEMORY_BYTES, .protection = COREWALK_READ | COREWALK_WRITE};

static const struct corewalk_thread thread = {.tid = 7, .sp = MEMORY + 0x3000};

static struct corewalk_callback callback_target(void)
{
    return (struct corewalk_callback){
        .size = sizeof(struct corewalk_callback),
        .arch = COREWALK_ARCH_X86_64,
        .pid = 42,
        .segments = &segment,
        .segment_count = 1,
        .threads = &thread,
        .thread_count = 1,
        .read = read_memory,
    };
}

static struct corewalk_session *open_session(const struct corewalk_options *options)
{
    struct corewalk_callback callback = callback_target();
    struct corewalk_session *session = NULL;
    CU_ASSERT_EQUAL_FATAL(corewalk_open_callback(&callback, options, &session, NULL), COREWALK_OK);
    return session;
}

struct text {
    char bytes[65536];
    size_t count;
};

static int append(void *context, const char *bytes, size_t count)
{
    struct text *text = context;
    if (count > sizeof text->bytes - text->count - 1) {
        return -1;
    }
    memcpy(text->bytes + text->count, bytes, count);
    text->count += count;
    text->bytes[text->count] = '\0';
    return 0;
}

static int refuse(void *context, const char *bytes, size_t count)
{
    (void)context;
    (void)bytes;
    (void)count;
    return -1;
}

static void every_verb_answers_in_every_format(void)
{
    static struct text text;
    struct corewalk_session *session = open_session(NULL);
    for (size_t i = 0; i < corewalk_verb_count(); i++) {
        const struct corewalk_verb *verb = corewalk_verb_at(i);
        for (size_t k = 0; k < corewalk_format_count(); k++) {
            struct corewalk_outcome outcome = {.size = sizeof outcome};
            struct corewalk_error error = COREWALK_ERROR_INIT;
            struct corewalk_request request = {
                .size = sizeof request,
                .verb = verb->name,
                .argument = verb->argument != NULL ? "0x11000" : NULL,
                .format = corewalk_format_name(k),
            };
            text.count = 0;
            CU_ASSERT_EQUAL(corewalk_run(session, &request, append, &text, &outcome, &error),
                            COREWALK_OK);
            CU_ASSERT_STRING_EQUAL(error.text, "");
            CU_ASSERT_TRUE(outcome.is_incomplete); /* no heap that we know */
        }
    }
    CU_ASSERT_TRUE(corewalk_peak_memory(session) > 0);
    corewalk_close(session);
}

static void a_page_without_a_heap_says_so(void)
{
    static struct text text;
    struct corewalk_session *session = open_session(NULL);
    struct corewalk_request request = {.size = sizeof request, .verb = "analyze"};
    text.count = 0;
    CU_ASSERT_EQUAL(corewalk_run(session, &request, append, &text, NULL, NULL), COREWALK_OK);
    CU_ASSERT_PTR_NOT_NULL(strstr(text.bytes, "No glibc heap"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text.bytes, "thread stacks"));
    corewalk_close(session);
}

static void what_rows_cannot_say_stands_in_the_outcome(void)
{
    static struct text text;
    struct corewalk_session *session = open_session(NULL);
    struct corewalk_outcome outcome = {.size = sizeof outcome};
    struct corewalk_request request = {.size = sizeof request, .verb = "list"};
    text.count = 0;
    CU_ASSERT_EQUAL(corewalk_run(session, &request, append, &text, &outcome, NULL), COREWALK_OK);
    CU_ASSERT_TRUE(outcome.is_incomplete);
    const char *missing = outcome.missing != NULL ? outcome.missing : "";
    CU_ASSERT_TRUE(strlen(missing) > 0);
    CU_ASSERT_PTR_NULL(strchr(missing, '\n'));
    corewalk_close(session);
}

static void timing_is_reported_when_it_is_asked_for(void)
{
    static struct text text;
    struct corewalk_session *session = open_session(NULL);
    struct corewalk_request request = {
        .size = sizeof request, .verb = "histogram", .format = "json"};
    text.count = 0;
    CU_ASSERT_EQUAL(corewalk_run(session, &request, append, &text, NULL, NULL), COREWALK_OK);
    CU_ASSERT_PTR_NULL(strstr(text.bytes, "\"timing\""));
    request.timing = 1;
    text.count = 0;
    CU_ASSERT_EQUAL(corewalk_run(session, &request, append, &text, NULL, NULL), COREWALK_OK);
    CU_ASSERT_PTR_NOT_NULL(strstr(text.bytes, "\"timing\""));
    CU_ASSERT_PTR_NOT_NULL(strstr(text.bytes, "\"classify\""));
    CU_ASSERT_PTR_NOT_NULL(strstr(text.bytes, "\"peak_memory_bytes\""));
    corewalk_close(session);
}

static void a_wrong_request_is_an_argument_error(void)
{
    struct corewalk_session *session = open_session(NULL);
    struct corewalk_error error = COREWALK_ERROR_INIT;
    struct corewalk_request request = {.size = sizeof request, .verb = "dance"};
    CU_ASSERT_EQUAL(corewalk_run(session, &request, refuse, NULL, NULL, &error),
                    COREWALK_ERROR_ARGUMENT);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "dance"));
    CU_ASSERT_EQUAL(corewalk_check(&request, NULL), COREWALK_ERROR_ARGUMENT);
    corewalk_close(session);
}

static void a_receiver_that_is_gone_is_an_io_error(void)
{
    struct corewalk_session *session = open_session(NULL);
    for (size_t i = 0; i < corewalk_format_count(); i++) {
        struct corewalk_request request = {
            .size = sizeof request, .verb = "analyze", .format = corewalk_format_name(i)};
        CU_ASSERT_EQUAL(corewalk_run(session, &request, refuse, NULL, NULL, NULL),
                        COREWALK_ERROR_IO);
    }
    corewalk_close(session);
}

static void a_tiny_budget_is_a_memory_error(void)
{
    struct corewalk_options options = {.size = sizeof options, .max_memory_bytes = 4096};
    struct corewalk_callback callback = callback_target();
    struct corewalk_session *session = NULL;
    struct corewalk_error error = COREWALK_ERROR_INIT;
    CU_ASSERT_EQUAL(corewalk_open_callback(&callback, &options, &session, &error),
                    COREWALK_ERROR_MEMORY);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "--max-memory"));
    CU_ASSERT_PTR_NULL(session);
}

static int cancel(void *context, const char *phase, uint64_t done, uint64_t total)
{
    (void)context;
    (void)phase;
    (void)done;
    (void)total;
    return 1;
}

static void a_cancelled_page_is_printed_as_far_as_it_went(void)
{
    static struct text text;
    struct corewalk_options options = {.size = sizeof options, .progress = cancel};
    struct corewalk_session *session = open_session(&options);
    struct corewalk_outcome outcome = {.size = sizeof outcome};
    struct corewalk_request request = {.size = sizeof request, .verb = "analyze"};
    text.count = 0;
    CU_ASSERT_EQUAL(corewalk_run(session, &request, append, &text, &outcome, NULL), COREWALK_OK);
    CU_ASSERT_TRUE(outcome.is_incomplete);
    CU_ASSERT_PTR_NOT_NULL(strstr(text.bytes, "interrupted"));
    CU_ASSERT_PTR_NULL(outcome.missing);
    struct corewalk_error error = COREWALK_ERROR_INIT;
    request.verb = "histogram";
    CU_ASSERT_EQUAL(corewalk_run(session, &request, append, &text, &outcome, &error),
                    COREWALK_ERROR_CANCELLED);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "interrupted"));
    corewalk_close(session);
}

static void what_is_no_core_is_refused(void)
{
    struct corewalk_session *session = NULL;
    struct corewalk_error error = COREWALK_ERROR_INIT;
    CU_ASSERT_EQUAL(corewalk_open_core("/nonexistent/core", NULL, &session, &error),
                    COREWALK_ERROR_IO);
    CU_ASSERT_TRUE(error.os_error != 0);
    CU_ASSERT_EQUAL(corewalk_open_core("/proc/self/exe", NULL, &session, NULL),
                    COREWALK_ERROR_FORMAT);
    CU_ASSERT_PTR_NULL(session);
    corewalk_close(NULL);
}

static void a_callback_without_its_size_is_refused(void)
{
    struct corewalk_callback callback = callback_target();
    struct corewalk_session *session = NULL;
    callback.size = 8;
    CU_ASSERT_EQUAL(corewalk_open_callback(&callback, NULL, &session, NULL),
                    COREWALK_ERROR_ARGUMENT);
    callback = callback_target();
    callback.read = NULL;
    CU_ASSERT_EQUAL(corewalk_open_callback(&callback, NULL, &session, NULL),
                    COREWALK_ERROR_ARGUMENT);
}

/* Callers that were built with the structs as they were when they ended earlier. */
static void shorter_structs_of_older_callers_do(void)
{
    struct corewalk_callback callback = callback_target();
    struct corewalk_session *session = NULL;
    callback.size = offsetof(struct corewalk_callback, context);
    callback.context = &session; /* not the library's to see */
    CU_ASSERT_EQUAL_FATAL(corewalk_open_callback(&callback, NULL, &session, NULL), COREWALK_OK);

    static struct text text;
    struct corewalk_outcome outcome = {.size = offsetof(struct corewalk_outcome, exceeded_fail_if),
                                       .exceeded_fail_if = 7};
    struct corewalk_request request = {
        .size = offsetof(struct corewalk_request, format), .verb = "analyze", .format = "none"};
    text.count = 0;
    CU_ASSERT_EQUAL(corewalk_run(session, &request, append, &text, &outcome, NULL), COREWALK_OK);
    CU_ASSERT_TRUE(outcome.is_incomplete);
    CU_ASSERT_EQUAL(outcome.exceeded_fail_if, 7);
    CU_ASSERT_EQUAL(outcome.size, offsetof(struct corewalk_outcome, exceeded_fail_if));
    corewalk_close(session);
}

static void the_library_says_what_it_is(void)
{
    uint64_t bytes = 0;
    CU_ASSERT_EQUAL(corewalk_abi(), COREWALK_ABI);
    CU_ASSERT_TRUE(strchr(corewalk_version(), '.') != NULL);
    CU_ASSERT_EQUAL(corewalk_parse_size("2k", &bytes), COREWALK_OK);
    CU_ASSERT_EQUAL(bytes, 2048);
    CU_ASSERT_EQUAL(corewalk_parse_size("two", &bytes), COREWALK_ERROR_ARGUMENT);
    CU_ASSERT_PTR_NULL(corewalk_verb_at(corewalk_verb_count()));
    CU_ASSERT_PTR_NULL(corewalk_format_name(corewalk_format_count()));
    CU_ASSERT_PTR_NULL(corewalk_format_summary(corewalk_format_count()));
}

/* ---- descriptors and scratch files --------------------------------------------------------- */

enum { CORE_BYTES = 0x20000 };

/* A pipe that holds the beginning of a core, or all of it; noise, so that none of it is a hole. */
static int piped_core(struct core_builder **ret_builder)
{
    struct core_builder *builder = core_builder_create(CW_ARCH_X86_64);
    uint8_t *memory =
        core_builder_segment(builder, 0x10000, CORE_BYTES, CW_PROT_READ | CW_PROT_WRITE);
    memset(memory, 'x', CORE_BYTES);
    core_builder_thread(builder, 1234, 0x400111, 0x11000, 0x10500);
    size_t size;
    const uint8_t *bytes = core_builder_finish(builder, &size);
    int ends[2];
    CU_ASSERT_EQUAL_FATAL(pipe(ends), 0);
    CU_ASSERT_TRUE_FATAL(fcntl(ends[1], F_SETPIPE_SZ, 1 << 20) >= (int)size);
    CU_ASSERT_EQUAL_FATAL(write(ends[1], bytes, size), (ssize_t)size);
    close(ends[1]);
    *ret_builder = builder;
    return ends[0];
}

/* What analyze says of it; NULL when it cannot be opened. */
static const char *page_of_pipe(const struct corewalk_options *options,
                                struct corewalk_error *error)
{
    static struct text text;
    struct core_builder *builder;
    struct corewalk_session *session = NULL;
    int file = piped_core(&builder);
    text.count = 0;
    int status = corewalk_open_descriptor(file, "a pipe", options, &session, error);
    CU_ASSERT_EQUAL(close(file), 0); /* the caller's; the session no longer needs it */
    core_builder_destroy(builder);
    if (status == COREWALK_OK) {
        struct corewalk_request request = {.size = sizeof request, .verb = "analyze"};
        CU_ASSERT_EQUAL(corewalk_run(session, &request, append, &text, NULL, NULL), COREWALK_OK);
        corewalk_close(session);
    }
    return status == COREWALK_OK ? text.bytes : NULL;
}

static void a_descriptor_is_read_and_stays_the_callers(void)
{
    const char *page = page_of_pipe(NULL, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(page);
    CU_ASSERT_PTR_NOT_NULL(strstr(page, "a pipe, "));
    CU_ASSERT_PTR_NULL(strstr(page, "cut off"));

    struct corewalk_error error = COREWALK_ERROR_INIT;
    struct corewalk_session *session = NULL;
    CU_ASSERT_EQUAL(corewalk_open_descriptor(-1, "none", NULL, &session, &error),
                    COREWALK_ERROR_IO);
    CU_ASSERT_EQUAL(error.os_error, EBADF);
    CU_ASSERT_PTR_NULL(session);
}

static void the_scratch_file_lies_where_the_options_say(void)
{
    struct corewalk_error error = COREWALK_ERROR_INIT;
    struct corewalk_options options = {.size = sizeof options, .scratch_dir = "/nonexistent"};
    CU_ASSERT_PTR_NULL(page_of_pipe(&options, &error));
    CU_ASSERT_EQUAL(error.status, COREWALK_ERROR_IO);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "/nonexistent"));

    options.scratch_dir = "/tmp";
    options.max_scratch_bytes = CORE_BYTES / 2;
    const char *page = page_of_pipe(&options, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(page);
    CU_ASSERT_PTR_NOT_NULL(strstr(page, "first 64.0 KiB"));
}

/* The options as they were before the scratch file's were added. */
static void older_callers_have_no_scratch_options(void)
{
    struct corewalk_options options = {
        .size = offsetof(struct corewalk_options, scratch_dir),
        .scratch_dir = "/nonexistent",
        .max_scratch_bytes = 1,
    };
    const char *page = page_of_pipe(&options, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(page);
    CU_ASSERT_PTR_NULL(strstr(page, "cut off"));
}

CW_TEST_MAIN("api/session",
             CW_TEST(every_verb_answers_in_every_format),
             CW_TEST(a_page_without_a_heap_says_so),
             CW_TEST(what_rows_cannot_say_stands_in_the_outcome),
             CW_TEST(timing_is_reported_when_it_is_asked_for),
             CW_TEST(a_wrong_request_is_an_argument_error),
             CW_TEST(a_receiver_that_is_gone_is_an_io_error),
             CW_TEST(a_tiny_budget_is_a_memory_error),
             CW_TEST(a_cancelled_page_is_printed_as_far_as_it_went),
             CW_TEST(what_is_no_core_is_refused),
             CW_TEST(a_callback_without_its_size_is_refused),
             CW_TEST(shorter_structs_of_older_callers_do),
             CW_TEST(a_descriptor_is_read_and_stays_the_callers),
             CW_TEST(the_scratch_file_lies_where_the_options_say),
             CW_TEST(older_callers_have_no_scratch_options),
             CW_TEST(the_library_says_what_it_is))
