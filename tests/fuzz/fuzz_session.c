/* A core file of any bytes through the whole library: every verb, in every format. */
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include <corewalk/corewalk.h>

#include "fuzz/fuzz.h"

enum { BUDGET_BYTES = 256 << 20, PATH_BYTES = 64 };

static int count_bytes(void *context, const char *bytes, size_t count)
{
    uint64_t *sum = context;
    for (size_t i = 0; i < count; i++) {
        /* Whatever was in the input: no control bytes come out. */
        FUZZ_CHECK(bytes[i] == '\n' || (bytes[i] >= ' ' && bytes[i] <= '~'));
    }
    *sum += count;
    return 0;
}

static void run_verbs(struct corewalk_session *session)
{
    for (size_t i = 0; i < corewalk_verb_count(); i++) {
        const struct corewalk_verb *verb = corewalk_verb_at(i);
        for (size_t k = 0; k < corewalk_format_count(); k++) {
            uint64_t sum = 0;
            struct corewalk_request request = {
                .size = sizeof request,
                .verb = verb->name,
                .argument = verb->argument != NULL ? "0x10010" : NULL,
                .format = corewalk_format_name(k),
            };
            int status = corewalk_run(session, &request, count_bytes, &sum, NULL, NULL);
            FUZZ_CHECK(status != COREWALK_OK || sum > 0 || request.format[0] == 'j');
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    char path[PATH_BYTES];
    int fd = memfd_create("core", MFD_CLOEXEC);
    FUZZ_CHECK(fd >= 0 && write(fd, bytes, size) == (ssize_t)size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    /* The input names files: none of this machine's may be opened for it. */
    struct corewalk_options options = {
        .size = sizeof options,
        .sysroot = "/nonexistent",
        .debug_dir = "/nonexistent",
        .max_memory_bytes = BUDGET_BYTES,
        .thread_count = 1,
    };
    struct corewalk_session *session;
    if (corewalk_open_core(path, &options, &session, NULL) == COREWALK_OK) {
        run_verbs(session);
        corewalk_close(session);
    }
    close(fd);
    return 0;
}
