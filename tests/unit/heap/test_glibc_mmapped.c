/* heap/glibc_mmapped: merged, aligned and half-missing mappings, and what only looks like one. */
#include <time.h>

#include "heap/glibc_layout.h"
#include "support/glibc_builder.h"
#include "support/unit.h"

#define MAPPINGS UINT64_C(0x60000000)

enum { RW = CW_PROT_READ | CW_PROT_WRITE };

static const struct glibc_layout *row(uint64_t bins_off)
{
    return glibc_pick(glibc_with_word_bytes(8) & glibc_with_bins_off(bins_off));
}

static struct glibc_builder *make(const struct glibc_layout *layout, size_t size)
{
    struct glibc_builder *builder = glibc_builder_create(layout);
    glibc_builder_thread(builder, 0);
    core_builder_segment(glibc_builder_core(builder), MAPPINGS, size, RW);
    return builder;
}

static void open(struct heap_case *c, struct glibc_builder *builder)
{
    heap_case_open(c, builder);
    CU_ASSERT_EQUAL_FATAL(c->status, CW_OK);
    CU_ASSERT_PTR_NULL(heap_case_check(c));
}

static void done(struct heap_case *c, struct glibc_builder *builder)
{
    CU_ASSERT(heap_case_close(c));
    glibc_builder_destroy(builder);
}

static uint64_t usable_at(const struct heap_case *c, cw_addr chunk)
{
    struct cw_chunk found =
        cw_chunk_table_get(&c->heap.chunks, cw_chunk_table_find(&c->heap.chunks, chunk));
    return cw_heap_usable_bytes(&c->heap, &found);
}

static cw_addr user_at(const struct heap_case *c, cw_addr address)
{
    struct cw_chunk found =
        cw_chunk_table_get(&c->heap.chunks, cw_chunk_table_find(&c->heap.chunks, address));
    return cw_heap_user_address(&c->heap, &found);
}

static void finds_merged_neighbours_by_both_rules(void)
{
    static const uint64_t bins_offs[] = {112, 24};
    for (unsigned i = 0; i < 2; i++) {
        struct glibc_builder *builder = make(row(bins_offs[i]), 0x80000);
        glibc_builder_mmapped(builder, MAPPINGS + 0x2000, 0x24000, 0);
        glibc_builder_mmapped(builder, MAPPINGS + 0x26000, 0x30000, 0);
        struct heap_case c;
        open(&c, builder);
        CU_ASSERT_EQUAL(c.heap.by_state[CW_CHUNK_MMAPPED].count, 2);
        CU_ASSERT_EQUAL(heap_case_state(&c, MAPPINGS + 0x2000), CW_CHUNK_MMAPPED);
        CU_ASSERT_EQUAL(heap_case_state(&c, MAPPINGS + 0x26000), CW_CHUNK_MMAPPED);
        CU_ASSERT_EQUAL(usable_at(&c, MAPPINGS + 0x2000), 0x24000 - (i == 0 ? 16 : 24));
        CU_ASSERT_EQUAL(c.heap.allocator_mmapped.count, 2);
        CU_ASSERT_EQUAL(c.heap.allocator_mmapped.bytes, 0x54000);
        CU_ASSERT_EQUAL(heap_case_count(&c.coverage, "mmapped-count"), 0);
        CU_ASSERT_EQUAL(c.findings.items.count, 0);
        done(&c, builder);
    }
}

static void finds_aligned_blocks(void)
{
    struct glibc_builder *builder = make(row(112), 0x400000);
    glibc_builder_mmapped(builder, MAPPINGS, 0x24000, 0x30);               /* 64 */
    glibc_builder_mmapped(builder, MAPPINGS + 0x24000, 0x30000, 0xff0);    /* a page */
    glibc_builder_mmapped(builder, MAPPINGS + 0x54000, 0x300000, 0xabff0); /* 1 MiB */
    struct heap_case c;
    open(&c, builder);
    CU_ASSERT_EQUAL(c.heap.by_state[CW_CHUNK_MMAPPED].count, 3);
    CU_ASSERT_EQUAL(c.heap.by_state[CW_CHUNK_MMAPPED].bytes, 0x24000 + 0x30000 + 0x300000);
    CU_ASSERT_EQUAL(user_at(&c, MAPPINGS), MAPPINGS + 0x40);
    CU_ASSERT_EQUAL(user_at(&c, MAPPINGS + 0x24000), MAPPINGS + 0x25000);
    CU_ASSERT_EQUAL(user_at(&c, MAPPINGS + 0x54000), MAPPINGS + 0x100000);
    CU_ASSERT_EQUAL(usable_at(&c, MAPPINGS + 0x24000), 0x30000 - 0xff0 - 16);
    CU_ASSERT_EQUAL(heap_case_count(&c.coverage, "mmapped-count"), 0);
    done(&c, builder);
}

/* From 2.43 on nothing need be cut off in front of an aligned block. */
static void finds_aligned_blocks_with_a_short_lead(void)
{
    struct glibc_builder *builder = make(row(24), 0x80000);
    glibc_builder_mmapped(builder, MAPPINGS, 0x24000, 0x10); /* 32 */
    struct heap_case c;
    open(&c, builder);
    CU_ASSERT_EQUAL(user_at(&c, MAPPINGS), MAPPINGS + 0x20);
    CU_ASSERT_EQUAL(heap_case_count(&c.coverage, "mmapped-count"), 0);
    done(&c, builder);
}

/* From 2.43 on each mremap leaves two words too many in glibc's sum, and most of them move. */
static void mremap_spoils_the_sum(void)
{
    static const unsigned remaps[] = {1, 9, 255, 256, 3000};
    for (unsigned i = 0; i < sizeof remaps / sizeof remaps[0]; i++) {
        struct glibc_builder *builder = make(row(24), 0xb4000);
        struct core_builder *core = glibc_builder_core(builder);
        glibc_builder_mmapped(builder, MAPPINGS, 0x24000, 0);
        glibc_builder_mmapped(builder, MAPPINGS + 0x24000, 0x90000, 0x5ff0);
        core_builder_word(core, MAPPINGS + 0x24000 + 8, 0x50000 - 0x10 + 2); /* as it was */
        cw_addr sum = glibc_builder_mp_address(builder) + 88;
        uint64_t spoiled = core_builder_get_word(core, sum) + (uint64_t)16 * remaps[i];
        core_builder_word(core, sum, spoiled);
        core_builder_word(core, sum + 8, spoiled);
        struct heap_case c;
        open(&c, builder);
        CU_ASSERT_EQUAL(heap_case_count(&c.coverage, "no-mp"), 0);
        CU_ASSERT_EQUAL(heap_case_count(&c.coverage, "mmapped-count"), 0);
        CU_ASSERT_EQUAL(c.heap.by_state[CW_CHUNK_MMAPPED].count, 2);
        CU_ASSERT_EQUAL(c.heap.by_state[CW_CHUNK_MMAPPED].bytes, 0x24000 + 0x90000);
        CU_ASSERT_EQUAL(user_at(&c, MAPPINGS + 0x24000), MAPPINGS + 0x2a000);
        done(&c, builder);
    }
}

/* A page multiple could be drift by its number; but the mapping ends where nothing begins. */
static void a_size_that_is_too_small_is_no_drift(void)
{
    struct glibc_builder *builder = make(row(24), 0x90000);
    struct core_builder *core = glibc_builder_core(builder);
    for (unsigned i = 0; i < 3; i++) {
        glibc_builder_mmapped(builder, MAPPINGS + (uint64_t)i * 0x30000, 0x30000, 0);
    }
    core_builder_word(core, MAPPINGS + 0x30008, 0x20000 - 0x10 + 2);
    struct heap_case c;
    open(&c, builder);
    CU_ASSERT_EQUAL(c.heap.by_state[CW_CHUNK_MMAPPED].count, 3);
    CU_ASSERT_EQUAL(heap_case_count(&c.coverage, "mmapped-count"), 1);
    done(&c, builder);
}

/* A thread's stack that looks like a mapping, and a real mapping merged behind it. */
static void stacks_are_no_chunks(void)
{
    struct glibc_builder *builder = make(row(112), 0x80000);
    struct core_builder *core = glibc_builder_core(builder);
    core_builder_word(core, MAPPINGS + 0x1000 + 8, 0x10002);
    core_builder_thread(core, 2000, 0x400000, MAPPINGS + 0x5000, MAPPINGS + 0x20000);
    glibc_builder_mmapped(builder, MAPPINGS + 0x30000, 0x24000, 0);
    struct heap_case c;
    open(&c, builder);
    CU_ASSERT_EQUAL(c.heap.by_state[CW_CHUNK_MMAPPED].count, 1);
    CU_ASSERT_EQUAL(heap_case_state(&c, MAPPINGS + 0x30000), CW_CHUNK_MMAPPED);
    CU_ASSERT_EQUAL(heap_case_count(&c.coverage, "mmapped-count"), 0);
    done(&c, builder);
}

/* Each page could lead to a search of all the pages behind it: of 2^27 here. */
static void stale_headers_everywhere_cost_little(void)
{
    uint64_t size = UINT64_C(64) << 20;
    struct glibc_builder *builder = make(row(112), size);
    struct core_builder *core = glibc_builder_core(builder);
    glibc_builder_mmapped(builder, MAPPINGS, 0x24000, 0);
    for (uint64_t off = 0; off < size; off += 0x1000) {
        core_builder_word(core, MAPPINGS + off + 8, (size - off + 0x100000) | 2);
    }
    struct heap_case c;
    clock_t before = clock();
    open(&c, builder);
    CU_ASSERT_TRUE(clock() - before < (clock_t)2 * CLOCKS_PER_SEC);
    CU_ASSERT_EQUAL(c.heap.by_state[CW_CHUNK_MMAPPED].count, 0);
    CU_ASSERT_EQUAL(heap_case_count(&c.coverage, "mmapped-count"), 1);
    done(&c, builder);
}

static void a_disagreement_is_said(void)
{
    struct glibc_builder *builder = make(row(112), 0x80000);
    struct core_builder *core = glibc_builder_core(builder);
    glibc_builder_mmapped(builder, MAPPINGS + 0x2000, 0x24000, 0);
    glibc_builder_mmapped(builder, MAPPINGS + 0x26000, 0x30000, 0);
    core_builder_word(core, MAPPINGS + 0x26008, 0);
    struct heap_case c;
    open(&c, builder);
    CU_ASSERT_EQUAL(c.heap.by_state[CW_CHUNK_MMAPPED].count, 1);
    CU_ASSERT_EQUAL(heap_case_count(&c.coverage, "mmapped-count"), 1);
    done(&c, builder);
}

/* With mp_ to say how many there are, the search ends there: what follows is the program's. */
static void content_that_looks_like_a_header(void)
{
    struct glibc_builder *builder = make(row(112), 0x80000);
    glibc_builder_mmapped(builder, MAPPINGS, 0x24000, 0);
    core_builder_word(glibc_builder_core(builder), MAPPINGS + 0x30000 + 8, 0x4002);
    struct heap_case c;
    open(&c, builder);
    CU_ASSERT_EQUAL(c.heap.by_state[CW_CHUNK_MMAPPED].count, 1);
    CU_ASSERT_EQUAL(heap_case_state(&c, MAPPINGS + 0x30000), CW_CHUNK_STATE_COUNT);
    done(&c, builder);
}

/* It comes first, so that the search has met one too many when it ends. */
static void one_too_many_is_the_one_that_mp_does_not_count(void)
{
    static const uint64_t sizes[] = {0x4000, 0x24000};
    for (unsigned i = 0; i < 2; i++) {
        struct glibc_builder *builder = make(row(112), 0x80000);
        core_builder_word(glibc_builder_core(builder), MAPPINGS + 0x1000 + 8, sizes[i] | 2);
        glibc_builder_mmapped(builder, MAPPINGS + 0x2c000, 0x24000, 0);
        glibc_builder_mmapped(builder, MAPPINGS + 0x50000, 0x30000, 0);
        struct heap_case c;
        open(&c, builder);
        CU_ASSERT_EQUAL(c.heap.by_state[CW_CHUNK_MMAPPED].count, 2);
        CU_ASSERT_EQUAL(heap_case_state(&c, MAPPINGS + 0x1000), CW_CHUNK_STATE_COUNT);
        CU_ASSERT_EQUAL(heap_case_count(&c.coverage, "mmapped-count"), 0);
        done(&c, builder);
    }
}

static void several_too_many_are_those_that_lie_anywhere(void)
{
    struct glibc_builder *builder = make(row(112), 0x80000);
    core_builder_word(glibc_builder_core(builder), MAPPINGS + 0x1000 + 8, 0x4002);
    core_builder_word(glibc_builder_core(builder), MAPPINGS + 0x10000 + 8, 0x6002);
    glibc_builder_mmapped(builder, MAPPINGS + 0x2c000, 0x24000, 0);
    glibc_builder_mmapped(builder, MAPPINGS + 0x50000, 0x30000, 0);
    struct heap_case c;
    open(&c, builder);
    CU_ASSERT_EQUAL(c.heap.by_state[CW_CHUNK_MMAPPED].count, 2);
    CU_ASSERT_EQUAL(heap_case_state(&c, MAPPINGS + 0x1000), CW_CHUNK_STATE_COUNT);
    CU_ASSERT_EQUAL(heap_case_count(&c.coverage, "mmapped-count"), 0);
    done(&c, builder);
}

static void without_mp_what_validates_is_kept(void)
{
    struct glibc_builder *builder = make(row(112), 0x80000);
    struct core_builder *core = glibc_builder_core(builder);
    glibc_builder_mmapped(builder, MAPPINGS, 0x24000, 0);
    for (uint64_t off = 0; off < 136; off += 8) {
        core_builder_word(core, glibc_builder_mp_address(builder) + off, 0);
    }
    cw_addr chunk = glibc_builder_chunk(builder, 0, 0x40);
    struct heap_case c;
    open(&c, builder);
    CU_ASSERT_EQUAL(heap_case_count(&c.coverage, "no-mp"), 1);
    CU_ASSERT_FALSE(c.heap.has_mmap_count);
    CU_ASSERT_EQUAL(c.heap.by_state[CW_CHUNK_MMAPPED].count, 1);
    /* brk memory is found from system_mem. */
    CU_ASSERT_EQUAL(heap_case_state(&c, chunk), CW_CHUNK_USED);
    CU_ASSERT_EQUAL(c.findings.items.count, 0);
    done(&c, builder);
}

CW_TEST_MAIN("heap/glibc_mmapped",
             CW_TEST(finds_merged_neighbours_by_both_rules),
             CW_TEST(finds_aligned_blocks),
             CW_TEST(finds_aligned_blocks_with_a_short_lead),
             CW_TEST(mremap_spoils_the_sum),
             CW_TEST(a_size_that_is_too_small_is_no_drift),
             CW_TEST(stacks_are_no_chunks),
             CW_TEST(stale_headers_everywhere_cost_little),
             CW_TEST(a_disagreement_is_said),
             CW_TEST(content_that_looks_like_a_header),
             CW_TEST(several_too_many_are_those_that_lie_anywhere),
             CW_TEST(one_too_many_is_the_one_that_mp_does_not_count),
             CW_TEST(without_mp_what_validates_is_kept))
