/* heap/glibc_detached: pieces of the main arena that mmap gave, with their top sound or lost. */
#include "heap/glibc_layout.h"
#include "support/glibc_builder.h"
#include "support/unit.h"

enum {
    PIECE_BYTES = 0x10000,
    CHUNK_COUNT = 16,
    CHUNK_BYTES = 0x100,
    TOP_OFF = 96, /* in the arena's struct, as in 2.35 */
    SUM_OFF = 2184,
    N_MMAPS_OFF = 60, /* in mp_ */
    RW = CW_PROT_READ | CW_PROT_WRITE,
};

#define PIECE UINT64_C(0x50000000)

static const struct glibc_layout *modern(void)
{
    return glibc_pick(glibc_with_word_bytes(8) & glibc_with_mp_form(GLIBC_MP_2_35) &
                      glibc_with_tcache_form(GLIBC_TCACHE_SHORT));
}

/* Brk memory that ends with fenceposts, then a piece whose top begins `top_off` into it. */
static struct glibc_builder *make(uint64_t top_off)
{
    struct glibc_builder *builder = glibc_builder_create(modern());
    struct core_builder *core = glibc_builder_core(builder);
    core_builder_segment(core, PIECE, PIECE_BYTES, RW);
    cw_addr arena = glibc_builder_arena_address(builder, 0);
    glibc_builder_chunk(builder, 0, CHUNK_BYTES);
    glibc_builder_chunk(builder, 0, glibc_builder_room(builder, 0) + 0x40 - 0x20);
    cw_addr fence = glibc_builder_top(builder, 0);
    core_builder_word(core, fence + 8, 0x11);
    core_builder_word(core, fence + 24, 0x11);
    for (uint64_t off = 0; off < top_off; off += CHUNK_BYTES) {
        core_builder_word(core, PIECE + off + 8, CHUNK_BYTES | 1);
    }
    core_builder_word(core, PIECE + top_off + 8, (PIECE_BYTES - top_off) | 1);
    core_builder_word(core, arena + TOP_OFF, PIECE + top_off);
    core_builder_word(core, arena + SUM_OFF, GLIBC_BUILDER_BRK_BYTES + PIECE_BYTES);
    core_builder_word(core, arena + SUM_OFF + 8, GLIBC_BUILDER_BRK_BYTES + PIECE_BYTES);
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

static void finds_the_piece_with_the_top(void)
{
    struct glibc_builder *builder = make((uint64_t)CHUNK_COUNT * CHUNK_BYTES);
    struct heap_case c;
    open(&c, builder);
    CU_ASSERT_EQUAL(c.heap.by_state[CW_CHUNK_USED].count, 2 + CHUNK_COUNT);
    CU_ASSERT_EQUAL(heap_case_state(&c, PIECE), CW_CHUNK_USED);
    CU_ASSERT_EQUAL(heap_case_state(&c, PIECE + (uint64_t)CHUNK_COUNT * CHUNK_BYTES), CW_CHUNK_TOP);
    CU_ASSERT_EQUAL(c.findings.items.count, 0);
    done(&c, builder);
}

static void a_piece_may_be_all_top(void)
{
    struct glibc_builder *builder = make(0);
    struct heap_case c;
    open(&c, builder);
    CU_ASSERT_EQUAL(heap_case_state(&c, PIECE), CW_CHUNK_TOP);
    CU_ASSERT_EQUAL(c.heap.by_state[CW_CHUNK_TOP].bytes, PIECE_BYTES);
    CU_ASSERT_EQUAL(c.findings.items.count, 0);
    done(&c, builder);
}

/* What is left of an old top can be as small as a fencepost: then there are three. */
static void a_piece_may_end_with_three_fenceposts(void)
{
    struct glibc_builder *builder = make(0x1000);
    struct core_builder *core = glibc_builder_core(builder);
    core_builder_word(core, PIECE + 8, (0x1000 - 0x30) | 1);
    for (uint64_t off = 0x1000 - 0x30; off < 0x1000; off += 0x10) {
        core_builder_word(core, PIECE + off + 8, 0x11);
    }
    struct heap_case c;
    open(&c, builder);
    CU_ASSERT_EQUAL(heap_case_state(&c, PIECE), CW_CHUNK_USED);
    CU_ASSERT_EQUAL(heap_case_state(&c, PIECE + 0x1000), CW_CHUNK_TOP);
    CU_ASSERT_EQUAL(c.findings.items.count, 0);
    done(&c, builder);
}

/* Once an endless list of pieces without a byte. */
static void a_top_of_no_size_is_no_piece(void)
{
    struct glibc_builder *builder = make(0);
    core_builder_word(glibc_builder_core(builder), PIECE + 8, 0);
    struct heap_case c;
    open(&c, builder);
    CU_ASSERT_EQUAL(c.heap.by_state[CW_CHUNK_TOP].count, 0);
    CU_ASSERT_EQUAL(heap_case_state(&c, PIECE), CW_CHUNK_STATE_COUNT);
    CU_ASSERT_EQUAL(heap_case_count(&c.findings, "arena-sum"), 1);
    done(&c, builder);
}

/* Nothing but zeroes: no piece, however much the arena claims. */
static void a_claim_without_memory_is_a_wrong_sum(void)
{
    struct glibc_builder *builder = glibc_builder_create(modern());
    struct core_builder *core = glibc_builder_core(builder);
    core_builder_segment(core, PIECE, PIECE_BYTES, RW);
    glibc_builder_chunk(builder, 0, CHUNK_BYTES);
    core_builder_word(core, glibc_builder_arena_address(builder, 0) + SUM_OFF, UINT64_C(1) << 40);
    struct heap_case c;
    open(&c, builder);
    CU_ASSERT_EQUAL(c.heap.by_state[CW_CHUNK_USED].count, 1);
    CU_ASSERT_EQUAL(heap_case_count(&c.findings, "arena-sum"), 1);
    done(&c, builder);
}

/* There may be more of it than anyone could go through in a lifetime. */
static void missing_memory_is_not_gone_through_by_pages(void)
{
    struct glibc_builder *builder = glibc_builder_create(modern());
    struct core_builder *core = glibc_builder_core(builder);
    core_builder_partial_segment(core, UINT64_C(1) << 61, UINT64_C(1) << 60, PIECE_BYTES, RW);
    cw_addr chunk = glibc_builder_chunk(builder, 0, CHUNK_BYTES);
    core_builder_word(core, glibc_builder_arena_address(builder, 0) + SUM_OFF, UINT64_C(1) << 50);
    static const uint32_t n_mmaps = 3;
    core_builder_bytes(core, glibc_builder_mp_address(builder) + N_MMAPS_OFF, &n_mmaps, 4);
    struct heap_case c;
    open(&c, builder);
    CU_ASSERT_EQUAL(heap_case_state(&c, chunk), CW_CHUNK_USED);
    CU_ASSERT_EQUAL(heap_case_count(&c.findings, "arena-sum"), 1);
    done(&c, builder);
}

CW_TEST_MAIN("heap/glibc_detached",
             CW_TEST(missing_memory_is_not_gone_through_by_pages),
             CW_TEST(finds_the_piece_with_the_top),
             CW_TEST(a_piece_may_be_all_top),
             CW_TEST(a_piece_may_end_with_three_fenceposts),
             CW_TEST(a_top_of_no_size_is_no_piece),
             CW_TEST(a_claim_without_memory_is_a_wrong_sum))
