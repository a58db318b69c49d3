/* heap/heap_builder, heap/chunk_table, heap/heap: numbering, look-ups, sums. */
#include <stdlib.h>
#include <string.h>

#include "heap/heap_builder.h"
#include "support/unit.h"

struct fixture {
    struct cw_budget budget;
    struct cw_arena memory;
    struct cw_heap heap;
    struct cw_heap_builder builder;
    struct cw_pool *pool;
};

static void set_up(struct fixture *f)
{
    *f = (struct fixture){0};
    cw_budget_init(&f->budget, UINT64_MAX);
    cw_arena_init(&f->memory, &f->budget);
    CU_ASSERT_EQUAL_FATAL(cw_pool_create(2, &f->pool, NULL), CW_OK);
    f->heap.memory = &f->memory;
    f->heap.chunks.granule_shift = 4;
    f->heap.chunks.header_bytes = 16;
    f->heap.mmapped_overhead_bytes = 16;
    f->builder.heap = &f->heap;
    f->builder.pool = f->pool;
    cw_heap_builder_init(&f->builder, &f->budget);
}

static void tear_down(struct fixture *f)
{
    cw_heap_builder_deinit(&f->builder);
    cw_heap_destroy(&f->heap);
    cw_pool_destroy(f->pool);
    cw_arena_deinit(&f->memory);
    CU_ASSERT_EQUAL(f->budget.used_bytes, 0);
}

static void set_chunk(struct fixture *f, uint32_t run_index, cw_addr start, bool live)
{
    const struct cw_heap_run *run = cw_heap_builder_run(&f->builder, run_index);
    struct cw_chunk_cell *cell =
        &cw_heap_builder_cells(&f->builder, run)[(start >> 10) - (run->start >> 10)];
    cell->starts |= UINT64_C(1) << (start >> 4 & 63);
    cell->live |= live ? UINT64_C(1) << (start >> 4 & 63) : 0;
}

static void build(struct fixture *f)
{
    CU_ASSERT_EQUAL_FATAL(cw_heap_builder_build(&f->builder, NULL), CW_OK);
    CU_ASSERT_EQUAL_FATAL(cw_heap_builder_sum(&f->builder, NULL), CW_OK);
    CU_ASSERT_EQUAL_FATAL(cw_heap_builder_finish(&f->builder, NULL), CW_OK);
}

static void check_table(const struct fixture *f)
{
    const struct cw_chunk_table *table = &f->heap.chunks;
    cw_addr end = 0;
    for (uint32_t i = 0; i < table->chunk_count; i++) {
        struct cw_chunk chunk = cw_chunk_table_get(table, i);
        CU_ASSERT(chunk.start >= end);
        end = chunk.start + chunk.size_bytes;
        CU_ASSERT_EQUAL(chunk.index, i);
        CU_ASSERT_EQUAL(cw_chunk_table_find(table, chunk.start), i);
        CU_ASSERT_EQUAL(cw_chunk_table_find(table, end - 1), i);
        CU_ASSERT_PTR_EQUAL(cw_chunk_table_extent_of(table, i),
                            &table->extents[chunk.extent_index]);
    }
}

/* A gap in the middle of one cell: both extents share it. */
static void extents_may_share_a_cell(void)
{
    struct fixture f;
    set_up(&f);
    struct cw_heap_arena arena = {.address = 1};
    CU_ASSERT(cw_heap_builder_add_arena(&f.builder, &arena));
    CU_ASSERT(cw_heap_builder_add_run(&f.builder, 0x10030, 0x1000, 0));
    CU_ASSERT_EQUAL_FATAL(cw_heap_builder_make_cells(&f.builder, NULL), CW_OK);
    set_chunk(&f, 0, 0x10030, true);
    set_chunk(&f, 0, 0x10080, false);
    set_chunk(&f, 0, 0x10100, true);
    set_chunk(&f, 0, 0x10fff & ~0xf, true);
    CU_ASSERT(cw_heap_builder_add_extent(&f.builder, 0, 0x10100, 0xf30));
    CU_ASSERT(cw_heap_builder_add_extent(&f.builder, 0, 0x10030, 0x90));
    CU_ASSERT(cw_heap_builder_add_single(&f.builder, CW_NONE, 0x20000, 0x3000, CW_CHUNK_MMAPPED));
    CU_ASSERT(cw_heap_builder_add_single(&f.builder, CW_NONE, 0x1000, 0x2000, CW_CHUNK_MMAPPED));
    build(&f);
    CU_ASSERT_EQUAL(f.heap.chunks.chunk_count, 6);
    CU_ASSERT_EQUAL(f.heap.chunks.extent_count, 4);
    check_table(&f);
    CU_ASSERT_EQUAL(cw_chunk_table_find(&f.heap.chunks, 0x100bf), 2);
    CU_ASSERT_EQUAL(cw_chunk_table_find(&f.heap.chunks, 0x100c0), CW_NONE);
    CU_ASSERT_EQUAL(cw_chunk_table_find(&f.heap.chunks, 0xfff), CW_NONE);
    CU_ASSERT_EQUAL(cw_chunk_table_find(&f.heap.chunks, UINT64_MAX), CW_NONE);
    CU_ASSERT_EQUAL(cw_chunk_table_state(&f.heap.chunks, 2), CW_CHUNK_UNKNOWN);
    CU_ASSERT_EQUAL(f.heap.by_state[CW_CHUNK_USED].bytes, 0x50 + 0xef0 + 0x40);
    CU_ASSERT_EQUAL(f.heap.arenas[0].by_state[CW_CHUNK_UNKNOWN].bytes, 0x40);
    CU_ASSERT_EQUAL(f.heap.by_state[CW_CHUNK_MMAPPED].bytes, 0x5000);
    tear_down(&f);
}

/* Random tilings of several runs, with long ones that are cut. */
static void random_tilings_are_found_again(void)
{
    unsigned seed = 7;
    for (unsigned round = 0; round < 30; round++) {
        struct fixture f;
        set_up(&f);
        f.builder.extent_granule_limit = round % 3 == 0 ? 1000 : UINT64_C(1) << 32;
        uint64_t expected = 0;
        for (uint32_t run = 0; run < 3; run++) {
            CU_ASSERT(
                cw_heap_builder_add_run(&f.builder, 0x100010 + run * 0x1000000, 0x300000, CW_NONE));
        }
        CU_ASSERT_EQUAL_FATAL(cw_heap_builder_make_cells(&f.builder, NULL), CW_OK);
        for (uint32_t run = 0; run < 3; run++) {
            cw_addr start = cw_heap_builder_run(&f.builder, run)->start;
            cw_addr end = start + 0x300000;
            CU_ASSERT(cw_heap_builder_add_extent(&f.builder, run, start, 0x300000));
            while (start < end) {
                set_chunk(&f, run, start, true);
                expected++;
                uint64_t granules =
                    rand_r(&seed) % 50 == 0 ? 5000 : 2 + (uint64_t)rand_r(&seed) % 60;
                start += granules * 16;
            }
        }
        build(&f);
        CU_ASSERT_EQUAL(f.heap.chunks.chunk_count, expected);
        CU_ASSERT(f.heap.chunks.extent_count == 3 || round % 3 == 0);
        check_table(&f);
        tear_down(&f);
    }
}

static void nothing_is_a_table_too(void)
{
    struct fixture f;
    set_up(&f);
    CU_ASSERT_EQUAL_FATAL(cw_heap_builder_make_cells(&f.builder, NULL), CW_OK);
    build(&f);
    CU_ASSERT_EQUAL(f.heap.chunks.chunk_count, 0);
    CU_ASSERT_EQUAL(cw_chunk_table_find(&f.heap.chunks, 0x1000), CW_NONE);
    tear_down(&f);
}

static void a_spent_budget_is_said(void)
{
    struct fixture f;
    set_up(&f);
    CU_ASSERT(cw_heap_builder_add_run(&f.builder, 0x10000, UINT64_C(1) << 40, CW_NONE));
    f.budget.limit_bytes = 1 << 20;
    struct cw_error err = CW_ERROR_INIT;
    CU_ASSERT_EQUAL(cw_heap_builder_make_cells(&f.builder, &err), CW_ERROR_MEMORY);
    CU_ASSERT(err.text[0] != '\0');
    f.budget.limit_bytes = UINT64_MAX;
    tear_down(&f);
}

static void states_have_names(void)
{
    for (unsigned i = 0; i < CW_CHUNK_STATE_COUNT; i++) {
        enum cw_chunk_state state = CW_CHUNK_STATE_COUNT;
        CU_ASSERT(cw_chunk_state_parse(cw_chunk_state_name((enum cw_chunk_state)i), &state));
        CU_ASSERT_EQUAL((unsigned)state, i);
    }
    enum cw_chunk_state state = CW_CHUNK_TOP;
    CU_ASSERT_FALSE(cw_chunk_state_parse("leaked", &state));
    CU_ASSERT_EQUAL(state, CW_CHUNK_TOP);
    CU_ASSERT_STRING_EQUAL(cw_chunk_state_name(CW_CHUNK_STATE_COUNT), "unknown");
}

static void usable_bytes_follow_the_state(void)
{
    struct cw_heap heap = {.mmapped_overhead_bytes = 24};
    struct cw_extent extents[] = {{0}, {.lead_bytes = 0x10}};
    heap.chunks.header_bytes = 16;
    heap.chunks.extents = extents;
    struct cw_chunk chunk = {.start = 0x1000, .size_bytes = 0x40, .state = CW_CHUNK_USED};
    CU_ASSERT_EQUAL(cw_heap_usable_bytes(&heap, &chunk), 0x38);
    CU_ASSERT_EQUAL(cw_heap_user_address(&heap, &chunk), 0x1010);
    chunk.state = CW_CHUNK_MMAPPED;
    CU_ASSERT_EQUAL(cw_heap_usable_bytes(&heap, &chunk), 0x28);
    chunk.extent_index = 1;
    CU_ASSERT_EQUAL(cw_heap_usable_bytes(&heap, &chunk), 0x18);
    CU_ASSERT_EQUAL(cw_heap_user_address(&heap, &chunk), 0x1020);
    chunk.state = CW_CHUNK_TCACHE;
    CU_ASSERT_EQUAL(cw_heap_usable_bytes(&heap, &chunk), 0);
    chunk = (struct cw_chunk){.size_bytes = 8, .state = CW_CHUNK_USED};
    CU_ASSERT_EQUAL(cw_heap_usable_bytes(&heap, &chunk), 0);
}

CW_TEST_MAIN("heap/heap_builder",
             CW_TEST(extents_may_share_a_cell),
             CW_TEST(random_tilings_are_found_again),
             CW_TEST(nothing_is_a_table_too),
             CW_TEST(a_spent_budget_is_said),
             CW_TEST(states_have_names),
             CW_TEST(usable_bytes_follow_the_state))
