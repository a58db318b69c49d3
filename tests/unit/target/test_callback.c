/* target/callback: what a caller says is checked, copied and put in order. */
#include <string.h>

#include "support/unit.h"
#include "target/target.h"

struct fixture {
    struct cw_budget budget;
    struct cw_arena arena;
    struct cw_target target;
    struct cw_error err;
};

static void set_up(struct fixture *fixture, uint64_t limit_bytes)
{
    *fixture = (struct fixture){0};
    cw_budget_init(&fixture->budget, limit_bytes);
    cw_arena_init(&fixture->arena, &fixture->budget);
}

static void tear_down(struct fixture *fixture)
{
    cw_target_close(&fixture->target);
    cw_arena_deinit(&fixture->arena);
    CU_ASSERT_EQUAL(fixture->budget.used_bytes, 0);
}

static bool read_nothing(void *context, cw_addr address, void *buffer, size_t size)
{
    (void)context;
    (void)address;
    (void)buffer;
    (void)size;
    return false;
}

static enum cw_status open_it(struct fixture *fixture, const struct cw_callback_target *callback)
{
    return cw_target_open_callback(callback, &fixture->arena, &fixture->target, &fixture->err);
}

static void everything_is_copied_and_in_order(void)
{
    char path[] = "/lib/a";
    struct cw_segment segments[] = {
        {.start = 0x5000, .size_bytes = 0x1000, .data = (const uint8_t *)path},
        {.start = 0x1000, .size_bytes = 0x1000, .protection = CW_PROT_READ},
        {.start = 0x1800, .size_bytes = 0x1000},
    };
    struct cw_mapping mappings[] = {{0x5000, 0x1000, 0x2000, path}};
    struct cw_thread threads[] = {{.tid = 9, .sp = 0x5100, .register_count = 1000}};
    struct cw_callback_target callback = {
        .arch = CW_ARCH_I386,
        .pid = 9,
        .segments = segments,
        .segment_count = 3,
        .mappings = mappings,
        .mapping_count = 1,
        .threads = threads,
        .thread_count = 1,
        .read = read_nothing,
        .context = segments,
    };
    struct fixture fixture;
    set_up(&fixture, UINT64_MAX);
    CU_ASSERT_EQUAL_FATAL(open_it(&fixture, &callback), CW_OK);
    memset(segments, 0xff, sizeof segments);
    memset(threads, 0xff, sizeof threads);
    memset(path, 0, sizeof path);
    const struct cw_target *target = &fixture.target;
    CU_ASSERT_EQUAL(target->kind, CW_TARGET_CALLBACK);
    CU_ASSERT_EQUAL(target->word_bytes, 4);
    CU_ASSERT_EQUAL(target->page_bytes, 4096);
    CU_ASSERT_EQUAL_FATAL(target->segment_count, 3);
    CU_ASSERT_EQUAL(target->segments[0].start, 0x1000);
    CU_ASSERT_EQUAL(target->segments[0].protection, CW_PROT_READ);
    CU_ASSERT_EQUAL(target->segments[1].start, 0x2000);
    CU_ASSERT_EQUAL(target->segments[1].held_bytes, 0x800);
    CU_ASSERT_PTR_NULL(target->segments[2].data);
    CU_ASSERT_EQUAL(target->segments[2].stored_bytes, 0x1000);
    CU_ASSERT_STRING_EQUAL(target->mappings[0].path, "/lib/a");
    CU_ASSERT_EQUAL(target->threads[0].sp, 0x5100);
    CU_ASSERT_EQUAL(target->threads[0].register_count, CW_REGISTER_LIMIT);
    CU_ASSERT_PTR_EQUAL(target->context, segments);
    tear_down(&fixture);
}

static void nonsense_is_refused(void)
{
    static const struct cw_callback_target callbacks[] = {
        {.arch = CW_ARCH_X86_64},
        {.arch = CW_ARCH_UNKNOWN, .read = read_nothing},
        {.arch = (enum cw_arch)77, .read = read_nothing},
        {.arch = CW_ARCH_X86_64, .read = read_nothing, .page_bytes = 4095},
        {.arch = CW_ARCH_X86_64, .read = read_nothing, .page_bytes = 256},
        {.arch = CW_ARCH_X86_64, .read = read_nothing, .page_bytes = 1 << 21},
    };
    for (size_t i = 0; i < sizeof callbacks / sizeof callbacks[0]; i++) {
        struct fixture fixture;
        set_up(&fixture, UINT64_MAX);
        CU_ASSERT_EQUAL(open_it(&fixture, &callbacks[i]), CW_ERROR_ARGUMENT);
        CU_ASSERT_EQUAL(fixture.err.status, CW_ERROR_ARGUMENT);
        tear_down(&fixture);
    }
}

static void nothing_at_all_is_legal(void)
{
    struct cw_callback_target callback = {
        .arch = CW_ARCH_AARCH64, .read = read_nothing, .page_bytes = 65536};
    struct fixture fixture;
    set_up(&fixture, UINT64_MAX);
    CU_ASSERT_EQUAL(open_it(&fixture, &callback), CW_OK);
    CU_ASSERT_EQUAL(fixture.target.segment_count, 0);
    CU_ASSERT_EQUAL(fixture.target.word_bytes, 8);
    CU_ASSERT_EQUAL(fixture.target.page_bytes, 65536);
    tear_down(&fixture);
}

static void each_step_can_run_out_of_memory(void)
{
    static struct cw_segment segments[200];
    static struct cw_mapping mappings[200];
    static struct cw_thread threads[200];
    for (size_t i = 0; i < 200; i++) {
        segments[i] = (struct cw_segment){.start = i << 12, .size_bytes = 1 << 12};
        mappings[i] = (struct cw_mapping){i << 12, 1 << 12, 0, "path"};
    }
    struct cw_callback_target callback = {
        .arch = CW_ARCH_X86_64,
        .segments = segments,
        .segment_count = 200,
        .mappings = mappings,
        .mapping_count = 200,
        .threads = threads,
        .thread_count = 200,
        .read = read_nothing,
    };
    unsigned failure_count = 0;
    for (uint64_t limit = 0; limit < 200000; limit += 2000) {
        struct fixture fixture;
        set_up(&fixture, limit);
        enum cw_status status = open_it(&fixture, &callback);
        CU_ASSERT_TRUE(status == CW_OK || status == CW_ERROR_MEMORY);
        failure_count += status == CW_OK ? 0 : 1;
        tear_down(&fixture);
    }
    CU_ASSERT_TRUE(failure_count > 10);
    CU_ASSERT_TRUE(failure_count < 100);
}

CW_TEST_MAIN("target/callback",
             CW_TEST(everything_is_copied_and_in_order),
             CW_TEST(nonsense_is_refused),
             CW_TEST(nothing_at_all_is_legal),
             CW_TEST(each_step_can_run_out_of_memory))
