/* analyze/ledger: every writable byte has one owner, whatever the claims look like. */
#include <stdlib.h>
#include <string.h>

#include "analyze/ledger.h"
#include "support/core_builder.h"
#include "support/unit.h"

enum {
    DATA = 0x10000,  /* of a module: 0x1000 mapped, then 0x1000 of .bss */
    HEAP = 0x100000, /* 0x4000 */
    STACK = 0x200000,
    SHARED = 0x300000,
};

struct fixture {
    struct cw_budget budget;
    struct cw_arena arena;
    struct cw_notes coverage;
    struct cw_pool *pool;
    struct core_builder *builder;
    uint8_t *core; /* its file, and so the target's memory */
    struct cw_target target;
    struct cw_space space;
    struct cw_image image;
    struct cw_module module;
    struct cw_stack stack;
    struct cw_heap heap;
    struct cw_extent extent;
    uint32_t starts[4];
    uint8_t states[4];
};

static void set_up(struct fixture *fixture)
{
    memset(fixture, 0, sizeof *fixture);
    cw_budget_init(&fixture->budget, UINT64_MAX);
    cw_arena_init(&fixture->arena, &fixture->budget);
    cw_notes_init(&fixture->coverage, &fixture->arena);
    CU_ASSERT_EQUAL_FATAL(cw_pool_create(2, &fixture->pool, NULL), CW_OK);
    fixture->builder = core_builder_create(CW_ARCH_X86_64);
    uint32_t writable = CW_PROT_READ | CW_PROT_WRITE;
    core_builder_segment(fixture->builder, DATA, 0x3000, writable);
    core_builder_segment(fixture->builder, HEAP, 0x4000, writable);
    core_builder_segment(fixture->builder, STACK, 0x2000, writable);
    core_builder_segment(fixture->builder, SHARED, 0x1000, writable);
    core_builder_segment(fixture->builder, 0x400000, 0x1000, CW_PROT_READ);
    core_builder_mapping(fixture->builder, SHARED, 0x1000, 0, "/dev/shm/queue");
    size_t size;
    fixture->core = core_builder_finish(fixture->builder, &size);
    CU_ASSERT_EQUAL_FATAL(cw_target_open_core_bytes(fixture->core,
                                                    size,
                                                    "core",
                                                    &fixture->arena,
                                                    &fixture->coverage,
                                                    &fixture->target,
                                                    NULL),
                          CW_OK);
    CU_ASSERT_EQUAL_FATAL(cw_space_create(&fixture->target, &fixture->arena, &fixture->space, NULL),
                          CW_OK);
    CU_ASSERT_EQUAL_FATAL(cw_image_create(&fixture->space,
                                          &(struct cw_image_options){0},
                                          &fixture->arena,
                                          &fixture->coverage,
                                          &fixture->image,
                                          NULL),
                          CW_OK);
    fixture->stack = (struct cw_stack){.start = STACK, .size_bytes = 0x1000};
}

static void tear_down(struct fixture *fixture)
{
    cw_image_destroy(&fixture->image);
    cw_space_destroy(&fixture->space);
    cw_target_close(&fixture->target);
    core_builder_destroy(fixture->builder);
    cw_pool_destroy(fixture->pool);
    cw_notes_deinit(&fixture->coverage);
    cw_arena_deinit(&fixture->arena);
    CU_ASSERT_EQUAL(atomic_load(&fixture->budget.used_bytes), 0);
}

/* One extent with a used, a binned and a top chunk of 0x1000 each, behind a header range. */
static void add_heap(struct fixture *fixture)
{
    static struct cw_heap_range header = {HEAP, 0x1000, CW_RANGE_HEADER, 0};
    struct cw_heap *heap = &fixture->heap;
    struct cw_chunk_table *chunks = &heap->chunks;
    for (uint32_t i = 0; i < 3; i++) {
        fixture->starts[i] = i * 0x100;
    }
    fixture->states[0] = CW_CHUNK_USED;
    fixture->states[1] = CW_CHUNK_BINNED;
    fixture->states[2] = CW_CHUNK_TOP;
    fixture->extent =
        (struct cw_extent){.start = HEAP + 0x1000, .size_bytes = 0x3000, .chunk_count = 3};
    heap->allocator = "glibc";
    heap->ranges = &header;
    heap->range_count = 1;
    chunks->granule_shift = 4;
    chunks->extents = &fixture->extent;
    chunks->extent_count = 1;
    chunks->chunk_count = 3;
    chunks->start_column.data = fixture->starts;
    chunks->state_column.data = fixture->states;
    for (uint32_t i = 0; i < 3; i++) {
        cw_tally_add(&heap->by_state[fixture->states[i]], 0x1000);
    }
}

static struct cw_ledger make_ledger(struct fixture *fixture)
{
    struct cw_analysis_input input = {
        .target = &fixture->target,
        .space = &fixture->space,
        .image = &fixture->image,
        .stacks = &fixture->stack,
        .stack_count = 1,
        .heap = fixture->heap.allocator != NULL ? &fixture->heap : NULL,
        .pool = fixture->pool,
        .memory = &fixture->arena,
    };
    struct cw_ledger ledger = {0};
    CU_ASSERT_EQUAL(cw_ledger_create(&input, &ledger, NULL), CW_OK);
    uint64_t sum = 0;
    for (size_t i = 0; i < ledger.row_count; i++) {
        sum += ledger.rows[i].total.bytes;
    }
    CU_ASSERT_EQUAL(sum, ledger.total_bytes);
    CU_ASSERT_EQUAL(ledger.total_bytes, 0x3000 + 0x4000 + 0x2000 + 0x1000);
    return ledger;
}

static void without_a_heap_memory_is_anonymous_stack_or_shared(void)
{
    struct fixture fixture;
    set_up(&fixture);
    struct cw_ledger ledger = make_ledger(&fixture);
    CU_ASSERT_EQUAL(cw_ledger_bytes_of(&ledger, "stack"), 0x1000);
    CU_ASSERT_EQUAL(cw_ledger_bytes_of(&ledger, "shared"), 0x1000);
    CU_ASSERT_EQUAL(cw_ledger_bytes_of(&ledger, "anonymous"), 0x3000 + 0x4000 + 0x1000);
    tear_down(&fixture);
}

static void zero_pages_are_counted_outside_the_heap(void)
{
    struct fixture fixture;
    set_up(&fixture);
    add_heap(&fixture);
    fixture.core[core_builder_data_off(fixture.builder, 0) + 0x1ff8] = 1;
    struct cw_ledger ledger = make_ledger(&fixture);
    CU_ASSERT_EQUAL(ledger.zero_bytes, 0x2000 + 0x1000 + 0x2000 + 0x1000);
    CU_ASSERT_EQUAL_FATAL(ledger.mapping_count, 2);
    CU_ASSERT_EQUAL(ledger.mappings[0].start, DATA);
    CU_ASSERT_EQUAL(ledger.mappings[0].zero_bytes, 0x2000);
    CU_ASSERT_EQUAL(ledger.mappings[1].start, STACK + 0x1000);
    tear_down(&fixture);
}

static void chunks_divide_their_extent_by_state(void)
{
    struct fixture fixture;
    set_up(&fixture);
    add_heap(&fixture);
    struct cw_ledger ledger = make_ledger(&fixture);
    CU_ASSERT_EQUAL(cw_ledger_bytes_of(&ledger, "heap-used"), 0x1000);
    CU_ASSERT_EQUAL(cw_ledger_bytes_of(&ledger, "heap-binned"), 0x1000);
    CU_ASSERT_EQUAL(cw_ledger_bytes_of(&ledger, "heap-top"), 0x1000);
    CU_ASSERT_EQUAL(cw_ledger_bytes_of(&ledger, "heap-overhead"), 0x1000);
    tear_down(&fixture);
}

static void the_heap_is_stronger_than_a_stack(void)
{
    struct fixture fixture;
    set_up(&fixture);
    add_heap(&fixture);
    fixture.stack = (struct cw_stack){.start = HEAP - 0x1000, .size_bytes = 0x8000};
    struct cw_ledger ledger = make_ledger(&fixture);
    CU_ASSERT_EQUAL(cw_ledger_bytes_of(&ledger, "stack"), 0);
    CU_ASSERT_EQUAL(cw_ledger_bytes_of(&ledger, "heap-used"), 0x1000);
    tear_down(&fixture);
}

static void an_extent_beyond_writable_memory_is_unknown(void)
{
    struct fixture fixture;
    set_up(&fixture);
    add_heap(&fixture);
    fixture.extent.start += 0x1000;
    struct cw_ledger ledger = make_ledger(&fixture);
    CU_ASSERT_EQUAL(cw_ledger_bytes_of(&ledger, "heap-unknown"), 0x2000);
    CU_ASSERT_EQUAL(cw_ledger_bytes_of(&ledger, "heap-used"), 0);
    tear_down(&fixture);
}

static void overlapping_claims_count_once(void)
{
    struct fixture fixture;
    set_up(&fixture);
    add_heap(&fixture);
    struct cw_heap_range ranges[] = {
        {HEAP, 0x1000, CW_RANGE_HEADER, 0},
        {HEAP + 0x800, 0x1000, CW_RANGE_RESERVE, 0},
    };
    fixture.heap.ranges = ranges;
    fixture.heap.range_count = 2;
    struct cw_ledger ledger = make_ledger(&fixture);
    CU_ASSERT_EQUAL(cw_ledger_bytes_of(&ledger, "heap-overhead"), 0x1000);
    tear_down(&fixture);
}

CW_TEST_MAIN("analyze/ledger",
             CW_TEST(without_a_heap_memory_is_anonymous_stack_or_shared),
             CW_TEST(zero_pages_are_counted_outside_the_heap),
             CW_TEST(chunks_divide_their_extent_by_state),
             CW_TEST(the_heap_is_stronger_than_a_stack),
             CW_TEST(an_extent_beyond_writable_memory_is_unknown),
             CW_TEST(overlapping_claims_count_once))
