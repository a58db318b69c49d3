/* space/fetch: bytes of callback targets, read in blocks, once, and from many threads. */
#include <stdatomic.h>
#include <string.h>

#include "base/pool.h"
#include "space/fetch.h"
#include "support/unit.h"

#define MIB ((uint64_t)1 << 20)

enum { RW = CW_PROT_READ | CW_PROT_WRITE, PAGE = 4096 };

/* A process whose bytes are a function of their address, and which counts what is asked of it. */
struct process {
    cw_addr bad_page; /* cannot be read */
    bool is_dead;
    _Atomic unsigned read_count;
    _Atomic unsigned inside;
    _Atomic unsigned clash_count;
    cw_addr lowest;
    cw_addr highest; /* the last byte asked for */
};

static uint8_t byte_at(cw_addr address)
{
    return (uint8_t)(address * 7 + (address >> 12) * 13);
}

static bool read_process(void *context, cw_addr address, void *buffer, size_t size)
{
    struct process *process = context;
    uint8_t *out = buffer;
    if (atomic_fetch_add(&process->inside, 1) != 0) {
        process->clash_count++;
    }
    process->read_count++;
    cw_addr last = address + (size - 1);
    process->lowest = address < process->lowest ? address : process->lowest;
    process->highest = last > process->highest ? last : process->highest;
    bool is_bad =
        process->is_dead || (last >= process->bad_page && address < process->bad_page + PAGE);
    for (size_t i = 0; i < size; i++) {
        out[i] = is_bad ? 0xee : byte_at(address + i);
    }
    atomic_fetch_sub(&process->inside, 1);
    return !is_bad;
}

struct fixture {
    struct process process;
    struct cw_budget budget;
    struct cw_arena arena;
    struct cw_target target;
    struct cw_space space;
};

static void set_up(struct fixture *fixture, const struct cw_segment *segments, size_t count)
{
    *fixture = (struct fixture){.process = {.bad_page = 1, .lowest = UINT64_MAX}};
    cw_budget_init(&fixture->budget, UINT64_MAX);
    cw_arena_init(&fixture->arena, &fixture->budget);
    struct cw_callback_target callback = {
        .arch = CW_ARCH_X86_64,
        .segments = segments,
        .segment_count = count,
        .read = read_process,
        .context = &fixture->process,
    };
    CU_ASSERT_EQUAL_FATAL(
        cw_target_open_callback(&callback, &fixture->arena, &fixture->target, NULL), CW_OK);
    CU_ASSERT_EQUAL_FATAL(cw_space_create(&fixture->target, &fixture->arena, &fixture->space, NULL),
                          CW_OK);
    CU_ASSERT_EQUAL(fixture->process.read_count, 0);
}

static void tear_down(struct fixture *fixture)
{
    cw_space_destroy(&fixture->space);
    cw_target_close(&fixture->target);
    cw_arena_deinit(&fixture->arena);
    CU_ASSERT_EQUAL(fixture->budget.used_bytes, 0);
    CU_ASSERT_EQUAL(fixture->process.clash_count, 0);
}

static bool is_right(const uint8_t *data, cw_addr address, uint64_t size)
{
    for (uint64_t i = 0; i < size; i++) {
        if (data[i] != byte_at(address + i)) {
            return false;
        }
    }
    return true;
}

static void blocks_are_read_when_asked_for_and_once(void)
{
    static const struct cw_segment segments[] = {
        {.start = 0x10000000, .size_bytes = 5 * MIB, .protection = RW}};
    struct fixture fixture;
    set_up(&fixture, segments, 1);
    CU_ASSERT_EQUAL(fixture.space.regions[0].provenance, CW_HELD);
    uint64_t word = 0;
    CU_ASSERT_TRUE(cw_space_read_word(&fixture.space, 0x10000008, &word));
    CU_ASSERT_TRUE(is_right((const uint8_t *)&word, 0x10000008, 8));
    CU_ASSERT_EQUAL(fixture.process.read_count, 1);
    CU_ASSERT_TRUE(cw_space_read_word(&fixture.space, 0x100ffff0, &word));
    CU_ASSERT_EQUAL(fixture.process.read_count, 1);
    const uint8_t *data = cw_space_view(&fixture.space, 0x100ffff8, 16);
    CU_ASSERT_PTR_NOT_NULL_FATAL(data);
    CU_ASSERT_TRUE(is_right(data, 0x100ffff8, 16));
    CU_ASSERT_EQUAL(fixture.process.read_count, 2);
    CU_ASSERT_EQUAL(cw_space_run(&fixture.space, 0x10000000, &data), 5 * MIB);
    CU_ASSERT_TRUE(is_right(data, 0x10000000, 5 * MIB));
    CU_ASSERT_EQUAL(fixture.process.read_count, 5);
    tear_down(&fixture);
}

static void never_asks_for_bytes_outside_of_a_segment(void)
{
    static const struct cw_segment segments[] = {
        {.start = 0x10000123, .size_bytes = MIB + 0x77, .protection = RW}};
    struct fixture fixture;
    set_up(&fixture, segments, 1);
    const uint8_t *data = NULL;
    CU_ASSERT_EQUAL(cw_space_run(&fixture.space, 0x10000123, &data), MIB + 0x77);
    CU_ASSERT_TRUE(is_right(data, 0x10000123, MIB + 0x77));
    CU_ASSERT_EQUAL(fixture.process.lowest, 0x10000123);
    CU_ASSERT_EQUAL(fixture.process.highest, 0x10000123 + MIB + 0x77 - 1);
    tear_down(&fixture);
}

static void one_bad_page_does_not_hide_its_block(void)
{
    static const struct cw_segment segments[] = {
        {.start = 0x10000000, .size_bytes = 2 * MIB, .protection = RW}};
    struct fixture fixture;
    set_up(&fixture, segments, 1);
    fixture.process.bad_page = 0x10003000;
    const struct cw_space *space = &fixture.space;
    const uint8_t *data = NULL;
    CU_ASSERT_EQUAL(cw_space_run(space, 0x10000000, &data), 0x3000);
    CU_ASSERT_TRUE(is_right(data, 0x10000000, 0x3000));
    CU_ASSERT_EQUAL(cw_space_run(space, 0x10003000, &data), 0);
    CU_ASSERT_EQUAL(cw_space_run(space, 0x10003fff, &data), 0);
    CU_ASSERT_EQUAL(cw_space_run(space, 0x10004000, &data), 2 * MIB - 0x4000);
    CU_ASSERT_TRUE(is_right(data, 0x10004000, 2 * MIB - 0x4000));
    CU_ASSERT_PTR_NOT_NULL(cw_space_view(space, 0x10002ff8, 8));
    CU_ASSERT_PTR_NULL(cw_space_view(space, 0x10002ffc, 8));
    uint64_t word;
    char text[8];
    CU_ASSERT_FALSE(cw_space_read_word(space, 0x10003000, &word));
    CU_ASSERT_FALSE(cw_space_read_word(space, 0x10002ffc, &word));
    CU_ASSERT_FALSE(cw_space_read_string(space, 0x10003ff8, text, sizeof text));
    CU_ASSERT_FALSE(cw_space_is_out_of_memory(space));
    unsigned read_count = fixture.process.read_count;
    CU_ASSERT_PTR_NULL(cw_space_view(space, 0x10003000, 8));
    CU_ASSERT_EQUAL(fixture.process.read_count, read_count);
    tear_down(&fixture);
}

static void a_dead_process_has_no_bytes(void)
{
    static const struct cw_segment segments[] = {
        {.start = 0x10000000, .size_bytes = 0x3000, .protection = RW}};
    struct fixture fixture;
    set_up(&fixture, segments, 1);
    fixture.process.is_dead = true;
    const uint8_t *data = NULL;
    CU_ASSERT_EQUAL(cw_space_run(&fixture.space, 0x10000000, &data), 0);
    CU_ASSERT_PTR_NULL(cw_space_view(&fixture.space, 0x10002000, 1));
    CU_ASSERT_PTR_NULL(data);
    CU_ASSERT_EQUAL(fixture.process.read_count, 4);
    tear_down(&fixture);
}

static void the_budget_is_charged_by_the_block(void)
{
    static const struct cw_segment segments[] = {
        {.start = 0x10000000, .size_bytes = (uint64_t)1 << 40, .protection = RW}};
    struct fixture fixture;
    set_up(&fixture, segments, 1);
    const struct cw_space *space = &fixture.space;
    fixture.budget.limit_bytes = fixture.budget.used_bytes + (uint64_t)64 * MIB;
    CU_ASSERT_PTR_NOT_NULL(cw_space_view(space, 0x10000000, 8));
    CU_ASSERT_PTR_NOT_NULL(cw_space_view(space, 0x10000000 + ((uint64_t)1 << 39), 8));
    CU_ASSERT_FALSE(cw_space_is_out_of_memory(space));
    const uint8_t *data = NULL;
    uint64_t run = cw_space_run(space, 0x10000000, &data);
    CU_ASSERT_TRUE(run > MIB);
    CU_ASSERT_TRUE(run < 64 * MIB);
    CU_ASSERT_TRUE(is_right(data + run - PAGE, 0x10000000 + run - PAGE, PAGE));
    CU_ASSERT_TRUE(cw_space_is_out_of_memory(space));
    fixture.budget.limit_bytes = UINT64_MAX;
    CU_ASSERT_PTR_NOT_NULL(cw_space_view(space, 0x10000000 + run, 8));
    tear_down(&fixture);
}

static void absurd_segments_have_no_bytes(void)
{
    static const struct cw_segment segments[] = {
        {.start = 0, .size_bytes = UINT64_MAX, .protection = RW}};
    struct fixture fixture;
    set_up(&fixture, segments, 1);
    CU_ASSERT_PTR_NULL(cw_space_view(&fixture.space, 0x1000, 8));
    CU_ASSERT_TRUE(cw_space_is_out_of_memory(&fixture.space));
    CU_ASSERT_EQUAL(fixture.process.read_count, 0);
    tear_down(&fixture);
}

static void no_room_in_the_address_space_is_no_crash(void)
{
    static struct cw_segment segments[4];
    struct fixture fixture;
    for (size_t i = 0; i < 4; i++) {
        segments[i] = (struct cw_segment){.start = i << 46, .size_bytes = (uint64_t)1 << 46};
    }
    set_up(&fixture, segments, 4);
    for (size_t i = 0; i < 4; i++) {
        (void)cw_space_view(&fixture.space, i << 46, 8);
    }
    CU_ASSERT_TRUE(cw_space_is_out_of_memory(&fixture.space));
    tear_down(&fixture);
}

static void the_last_byte_of_all_is_read(void)
{
    static const struct cw_segment segments[] = {
        {.start = UINT64_MAX - 0x1fff, .size_bytes = 0x2000, .protection = RW}};
    struct fixture fixture;
    set_up(&fixture, segments, 1);
    const uint8_t *data = cw_space_view(&fixture.space, UINT64_MAX, 1);
    CU_ASSERT_PTR_NOT_NULL_FATAL(data);
    CU_ASSERT_TRUE(is_right(data, UINT64_MAX, 1));
    tear_down(&fixture);
}

struct crowd {
    const struct cw_space *space;
    _Atomic unsigned wrong_count;
};

static void look_around(void *context, unsigned worker, size_t task)
{
    struct crowd *crowd = context;
    (void)worker;
    for (uint64_t i = 0; i < 64; i++) {
        cw_addr address = 0x10000000 + (task * 33331 + i * 104729) % (16 * MIB - 64);
        const uint8_t *data = cw_space_view(crowd->space, address, 64);
        if (data == NULL || !is_right(data, address, 64)) {
            crowd->wrong_count++;
        }
    }
}

static void workers_may_look_at_once(void)
{
    static const struct cw_segment segments[] = {
        {.start = 0x10000000, .size_bytes = 16 * MIB, .protection = RW}};
    struct fixture fixture;
    struct cw_pool *pool;
    set_up(&fixture, segments, 1);
    struct crowd crowd = {.space = &fixture.space};
    CU_ASSERT_EQUAL_FATAL(cw_pool_create(4, &pool, NULL), CW_OK);
    cw_pool_run(pool, look_around, &crowd, 500);
    cw_pool_destroy(pool);
    CU_ASSERT_EQUAL(crowd.wrong_count, 0);
    CU_ASSERT_EQUAL(fixture.process.read_count, 16);
    tear_down(&fixture);
}

static void running_out_at_the_start_is_an_error(void)
{
    static struct cw_segment segments[500];
    struct fixture fixture;
    for (size_t i = 0; i < 500; i++) {
        segments[i] = (struct cw_segment){.start = i << 20, .size_bytes = PAGE};
    }
    set_up(&fixture, segments, 500);
    struct cw_space space;
    unsigned failure_count = 0;
    for (uint64_t more = 0; more < 200000; more += 5000) {
        fixture.budget.limit_bytes = fixture.budget.used_bytes + more;
        enum cw_status status = cw_space_create(&fixture.target, &fixture.arena, &space, NULL);
        CU_ASSERT_TRUE(status == CW_OK || status == CW_ERROR_MEMORY);
        if (status == CW_OK) {
            cw_space_destroy(&space);
        } else {
            failure_count++;
        }
    }
    CU_ASSERT_TRUE(failure_count > 5);
    CU_ASSERT_TRUE(failure_count < 40);
    fixture.budget.limit_bytes = UINT64_MAX;
    tear_down(&fixture);
}

CW_TEST_MAIN("space/fetch",
             CW_TEST(blocks_are_read_when_asked_for_and_once),
             CW_TEST(never_asks_for_bytes_outside_of_a_segment),
             CW_TEST(one_bad_page_does_not_hide_its_block),
             CW_TEST(a_dead_process_has_no_bytes),
             CW_TEST(the_budget_is_charged_by_the_block),
             CW_TEST(absurd_segments_have_no_bytes),
             CW_TEST(no_room_in_the_address_space_is_no_crash),
             CW_TEST(the_last_byte_of_all_is_read),
             CW_TEST(workers_may_look_at_once),
             CW_TEST(running_out_at_the_start_is_an_error))
