/* heap/glibc_walk, glibc_hop, glibc_resync, glibc_span: runs, pieces, breaks and what ends them. */
#include <string.h>

#include "heap/glibc_layout.h"
#include "support/glibc_builder.h"
#include "support/unit.h"

static const struct glibc_layout *modern(void)
{
    return glibc_pick(glibc_with_word_bytes(8) & glibc_with_mp_form(GLIBC_MP_2_35) &
                      glibc_with_tcache_form(GLIBC_TCACHE_SHORT));
}

static struct glibc_builder *make(void)
{
    struct glibc_builder *builder = glibc_builder_create(modern());
    glibc_builder_thread(builder, 0);
    return builder;
}

static void open_sound(struct heap_case *c, struct glibc_builder *builder)
{
    heap_case_open(c, builder);
    CU_ASSERT_EQUAL_FATAL(c->status, CW_OK);
    CU_ASSERT_PTR_NULL(heap_case_check(c));
    CU_ASSERT_EQUAL(c->findings.items.count, 0);
}

static void done(struct heap_case *c, struct glibc_builder *builder)
{
    CU_ASSERT(heap_case_close(c));
    glibc_builder_destroy(builder);
}

/* Chunks over several pieces of 1 MiB, of sizes that false starts in their content imitate. */
static void joins_pieces(void)
{
    struct glibc_builder *builder = make();
    struct core_builder *core = glibc_builder_core(builder);
    uint64_t count = 0;
    while (glibc_builder_top(builder, 0) < GLIBC_BUILDER_BRK + GLIBC_BUILDER_BRK_BYTES - 0x10000) {
        uint64_t bytes = 0x20 + (count * 0x30) % 0x400;
        cw_addr chunk = glibc_builder_chunk(builder, 0, bytes);
        for (uint64_t off = 16; off < bytes; off += 8) {
            core_builder_word(core, chunk + off, 0x20 + off % 0x60);
        }
        count++;
    }
    struct heap_case c;
    open_sound(&c, builder);
    CU_ASSERT_EQUAL(c.heap.by_state[CW_CHUNK_USED].count, count);
    CU_ASSERT_EQUAL(c.heap.chunks.extent_count, 1);
    done(&c, builder);
}

/* Content that is a perfect chain of chunks, but not on the true one, over a piece's boundary. */
static void takes_back_false_pieces(void)
{
    struct glibc_builder *builder = make();
    struct core_builder *core = glibc_builder_core(builder);
    cw_addr big = glibc_builder_chunk(builder, 0, 0x280000);
    for (uint64_t off = 0x1000; off + 0x40 <= 0x280000; off += 0x40) {
        core_builder_word(core, big + off + 8, 0x41);
    }
    cw_addr behind = glibc_builder_chunk(builder, 0, 0x40);
    for (unsigned i = 0; i < 100; i++) {
        glibc_builder_chunk(builder, 0, 0x30);
    }
    struct heap_case c;
    open_sound(&c, builder);
    CU_ASSERT_EQUAL(c.heap.by_state[CW_CHUNK_USED].count, 102);
    CU_ASSERT_EQUAL(heap_case_state(&c, big), CW_CHUNK_USED);
    CU_ASSERT_EQUAL(heap_case_state(&c, behind), CW_CHUNK_USED);
    CU_ASSERT_EQUAL(cw_chunk_table_find(&c.heap.chunks, big + 0x100000),
                    cw_chunk_table_find(&c.heap.chunks, big));
    done(&c, builder);
}

static void crosses_foreign_sbrk(void)
{
    struct glibc_builder *builder = make();
    glibc_builder_chunk(builder, 0, 0x100);
    glibc_builder_foreign(builder, 5004);
    cw_addr second = glibc_builder_chunk(builder, 0, 0x90);
    glibc_builder_foreign(builder, 0x40);
    cw_addr third = glibc_builder_chunk(builder, 0, 0xa0);
    struct heap_case c;
    open_sound(&c, builder);
    CU_ASSERT_EQUAL(heap_case_state(&c, second), CW_CHUNK_USED);
    CU_ASSERT_EQUAL(heap_case_state(&c, third), CW_CHUNK_USED);
    CU_ASSERT_EQUAL(c.heap.chunks.extent_count, 3);
    CU_ASSERT_EQUAL(c.heap.by_state[CW_CHUNK_INTERNAL].count, 5); /* a cache, four fenceposts */
    CU_ASSERT_EQUAL(c.heap.range_count, 2);
    CU_ASSERT_EQUAL(c.heap.ranges[0].kind, CW_RANGE_FOREIGN);
    CU_ASSERT_EQUAL(c.heap.ranges[0].start + c.heap.ranges[0].size_bytes, second);
    CU_ASSERT_EQUAL(cw_chunk_table_find(&c.heap.chunks, c.heap.ranges[0].start), CW_NONE);
    done(&c, builder);
}

static void follows_chains_of_heaps(void)
{
    struct glibc_builder *builder = make();
    unsigned arena = glibc_builder_arena(builder);
    cw_addr chunks[3];
    for (unsigned i = 0; i < 3; i++) {
        chunks[i] = glibc_builder_chunk(builder, arena, 0x1230);
        if (i < 2) {
            glibc_builder_heap(builder, arena);
        }
    }
    struct heap_case c;
    open_sound(&c, builder);
    CU_ASSERT_EQUAL(c.heap.arenas[1].heap_count, 3);
    for (unsigned i = 0; i < 3; i++) {
        CU_ASSERT_EQUAL(heap_case_state(&c, chunks[i]), CW_CHUNK_USED);
    }
    CU_ASSERT_EQUAL(c.heap.arenas[1].by_state[CW_CHUNK_INTERNAL].count, 4);
    uint64_t reserve = 0;
    for (uint32_t i = 0; i < c.heap.range_count; i++) {
        reserve += c.heap.ranges[i].kind == CW_RANGE_RESERVE ? c.heap.ranges[i].size_bytes : 0;
    }
    CU_ASSERT_EQUAL(reserve, UINT64_C(3) * GLIBC_BUILDER_RESERVE_BYTES);
    done(&c, builder);
}

static void survives_a_loop_of_heaps(void)
{
    struct glibc_builder *builder = make();
    unsigned arena = glibc_builder_arena(builder);
    glibc_builder_heap(builder, arena);
    core_builder_word(glibc_builder_core(builder), UINT64_C(0x20000000) + 8, UINT64_C(0x24000000));
    struct heap_case c;
    heap_case_open(&c, builder);
    CU_ASSERT_EQUAL(c.status, CW_OK);
    CU_ASSERT_PTR_NULL(heap_case_check(&c));
    CU_ASSERT(heap_case_count(&c.findings, "heap-overlap") > 0);
    done(&c, builder);
}

/* ---- damage -------------------------------------------------------------------------------- */

static void resumes_behind_a_corrupt_size(void)
{
    struct glibc_builder *builder = make();
    cw_addr chunks[40];
    for (unsigned i = 0; i < 40; i++) {
        chunks[i] = glibc_builder_chunk(builder, 0, 0x60);
    }
    core_builder_word(glibc_builder_core(builder), chunks[10] + 8, UINT64_C(0x4141414141414141));
    struct heap_case c;
    heap_case_open(&c, builder);
    CU_ASSERT_EQUAL_FATAL(c.status, CW_OK);
    CU_ASSERT_PTR_NULL(heap_case_check(&c));
    CU_ASSERT_EQUAL(c.findings.items.count, 1);
    CU_ASSERT_STRING_EQUAL(cw_note_at(&c.findings, 0)->code, "chunk-size");
    CU_ASSERT_EQUAL(cw_note_at(&c.findings, 0)->address, chunks[10]);
    CU_ASSERT_EQUAL(heap_case_state(&c, chunks[9]), CW_CHUNK_USED);
    CU_ASSERT_EQUAL(heap_case_state(&c, chunks[10]), CW_CHUNK_UNKNOWN);
    CU_ASSERT_EQUAL(c.heap.by_state[CW_CHUNK_UNKNOWN].count, 1);
    CU_ASSERT_EQUAL(heap_case_state(&c, chunks[11]), CW_CHUNK_USED);
    CU_ASSERT_EQUAL(c.heap.by_state[CW_CHUNK_USED].count, 39);
    done(&c, builder);
}

static void a_size_beyond_the_top_is_corrupt(void)
{
    struct glibc_builder *builder = make();
    cw_addr chunks[40];
    for (unsigned i = 0; i < 40; i++) {
        chunks[i] = glibc_builder_chunk(builder, 0, 0x60);
    }
    core_builder_word(glibc_builder_core(builder), chunks[20] + 8, 0x60 * 20 + 0x101);
    struct heap_case c;
    heap_case_open(&c, builder);
    CU_ASSERT_PTR_NULL(heap_case_check(&c));
    CU_ASSERT_EQUAL(heap_case_count(&c.findings, "chunk-size"), 1);
    CU_ASSERT_EQUAL(heap_case_state(&c, chunks[20]), CW_CHUNK_UNKNOWN);
    CU_ASSERT_EQUAL(heap_case_state(&c, chunks[21]), CW_CHUNK_USED);
    CU_ASSERT_EQUAL(c.heap.by_state[CW_CHUNK_TOP].count, 1);
    done(&c, builder);
}

static void anchors_bound_what_is_skipped(void)
{
    struct glibc_builder *builder = make();
    struct core_builder *core = glibc_builder_core(builder);
    cw_addr broken = glibc_builder_chunk(builder, 0, 0x60);
    for (unsigned i = 0; i < 4; i++) {
        core_builder_word(core, glibc_builder_chunk(builder, 0, 0x20) + 8, 7);
    }
    cw_addr anchor = glibc_builder_chunk(builder, 0, 0x210);
    glibc_builder_chunk(builder, 0, 0x60);
    glibc_builder_bin(builder, 0, anchor, 33);
    core_builder_word(core, broken + 8, 3);
    struct heap_case c;
    heap_case_open(&c, builder);
    CU_ASSERT_PTR_NULL(heap_case_check(&c));
    CU_ASSERT_EQUAL(c.heap.by_state[CW_CHUNK_UNKNOWN].count, 1);
    CU_ASSERT_EQUAL(c.heap.by_state[CW_CHUNK_UNKNOWN].bytes, 0x60 + 4 * 0x20);
    CU_ASSERT_EQUAL(heap_case_state(&c, anchor), CW_CHUNK_BINNED);
    done(&c, builder);
}

/* Between two breaks, where the chunks lead nowhere; one that is fast or cached is still known. */
static void listed_chunks_are_anchors_too(void)
{
    for (unsigned is_cached = 0; is_cached < 2; is_cached++) {
        struct glibc_builder *builder = make();
        struct core_builder *core = glibc_builder_core(builder);
        cw_addr broken = glibc_builder_chunk(builder, 0, 0x60);
        core_builder_word(core, glibc_builder_chunk(builder, 0, 0x20) + 8, 7);
        cw_addr listed[2];
        for (unsigned i = 0; i < 2; i++) {
            listed[i] = glibc_builder_chunk(builder, 0, 0x40);
        }
        for (unsigned i = 0; i < 2; i++) {
            if (is_cached) {
                glibc_builder_cache(builder, 0, listed[1 - i]);
            } else {
                glibc_builder_fast(builder, 0, listed[1 - i]);
            }
        }
        core_builder_word(core, glibc_builder_chunk(builder, 0, 0x60) + 8, 3);
        cw_addr last = glibc_builder_chunk(builder, 0, 0x60);
        core_builder_word(core, broken + 8, 3);
        struct heap_case c;
        heap_case_open(&c, builder);
        CU_ASSERT_PTR_NULL(heap_case_check(&c));
        CU_ASSERT_EQUAL(c.heap.by_state[CW_CHUNK_UNKNOWN].count, 2);
        for (unsigned i = 0; i < 2; i++) {
            CU_ASSERT_EQUAL(heap_case_state(&c, listed[i]),
                            is_cached ? CW_CHUNK_TCACHE : CW_CHUNK_FASTBIN);
        }
        CU_ASSERT_EQUAL(heap_case_state(&c, last), CW_CHUNK_USED);
        done(&c, builder);
    }
}

static void an_older_heap_may_be_damaged(void)
{
    struct glibc_builder *builder = make();
    unsigned arena = glibc_builder_arena(builder);
    cw_addr chunks[80];
    for (unsigned i = 0; i < 80; i++) {
        chunks[i] = glibc_builder_chunk(builder, arena, 0x40);
    }
    glibc_builder_heap(builder, arena);
    core_builder_word(glibc_builder_core(builder), chunks[5] + 8, 0x12);
    struct heap_case c;
    heap_case_open(&c, builder);
    CU_ASSERT_PTR_NULL(heap_case_check(&c));
    CU_ASSERT_EQUAL(heap_case_count(&c.findings, "chunk-size"), 1);
    CU_ASSERT_EQUAL(heap_case_count(&c.findings, "arena-sum"), 0);
    CU_ASSERT_EQUAL(heap_case_state(&c, chunks[6]), CW_CHUNK_USED);
    done(&c, builder);
}

/* ---- missing memory ------------------------------------------------------------------------ */

/* Copies the words of a segment from another core. */
static void copy(struct core_builder *to,
                 const struct core_builder *from,
                 cw_addr start,
                 uint64_t size)
{
    for (uint64_t off = 0; off < size; off += 8) {
        core_builder_word(to, start + off, core_builder_get_word(from, start + off));
    }
}

/* The builder's core with a hole in its brk memory that was not dumped. */
static struct core_builder *cut_hole(struct glibc_builder *builder,
                                     uint64_t hole_start,
                                     uint64_t hole_end)
{
    const uint32_t rw = CW_PROT_READ | CW_PROT_WRITE;
    const struct core_builder *whole = glibc_builder_core(builder);
    struct core_builder *core = core_builder_create(CW_ARCH_X86_64);
    core_builder_mapping(core, GLIBC_BUILDER_LIBC, 0x3000, 0x1000, "/lib/libc.so.6");
    core_builder_thread(core, 1000, 0x400000, 0x71000100, 0x71003000);
    core_builder_partial_segment(core, GLIBC_BUILDER_BRK, hole_end, hole_start, rw);
    copy(core, whole, GLIBC_BUILDER_BRK, hole_start);
    core_builder_segment(
        core, GLIBC_BUILDER_BRK + hole_end, GLIBC_BUILDER_BRK_BYTES - hole_end, rw);
    copy(core, whole, GLIBC_BUILDER_BRK + hole_end, GLIBC_BUILDER_BRK_BYTES - hole_end);
    core_builder_segment(core, GLIBC_BUILDER_LIBC, 0x3000, rw);
    copy(core, whole, GLIBC_BUILDER_LIBC, 0x3000);
    core_builder_segment(core, 0x71000000, 0x4000, rw);
    copy(core, whole, 0x71000000, 0x4000);
    return core;
}

static void open_cut(struct heap_case *c, struct core_builder *core)
{
    size_t size;
    const uint8_t *bytes = core_builder_finish(core, &size);
    heap_case_open_bytes(c, bytes, size);
    CU_ASSERT_EQUAL_FATAL(c->status, CW_OK);
    CU_ASSERT_PTR_NULL(heap_case_check(c));
    CU_ASSERT_EQUAL(c->findings.items.count, 0);
}

static void a_hole_is_unknown(void)
{
    struct glibc_builder *builder = make();
    cw_addr chunks[2000];
    for (unsigned i = 0; i < 2000; i++) {
        chunks[i] = glibc_builder_chunk(builder, 0, 0x60);
    }
    struct core_builder *core = cut_hole(builder, 0x8000, 0xc000);
    struct heap_case c;
    open_cut(&c, core);
    /* The chunk that reaches into the hole, and what lies in the hole. */
    CU_ASSERT_EQUAL(c.heap.by_state[CW_CHUNK_UNKNOWN].count, 2);
    CU_ASSERT(c.heap.by_state[CW_CHUNK_UNKNOWN].bytes >= 0x4000);
    CU_ASSERT(c.heap.by_state[CW_CHUNK_UNKNOWN].bytes < 0x4000 + 3 * 0x60);
    for (unsigned i = 0; i < 2000; i++) {
        bool is_seen = chunks[i] + 0x70 <= GLIBC_BUILDER_BRK + 0x8000 ||
                       chunks[i] >= GLIBC_BUILDER_BRK + 0xc000;
        if (is_seen) {
            CU_ASSERT_EQUAL(heap_case_state(&c, chunks[i]), CW_CHUNK_USED);
        }
    }
    CU_ASSERT(heap_case_close(&c));
    core_builder_destroy(core);
    glibc_builder_destroy(builder);
}

static void a_chunk_reaches_over_a_hole(void)
{
    struct glibc_builder *builder = make();
    cw_addr large = glibc_builder_chunk(builder, 0, 0x10000);
    cw_addr freed = glibc_builder_chunk(builder, 0, 0x60);
    glibc_builder_chunk(builder, 0, 0x60);
    glibc_builder_bin(builder, 0, freed, 6);
    struct core_builder *core = cut_hole(builder, 0x8000, 0xc000);
    struct heap_case c;
    open_cut(&c, core);
    CU_ASSERT_EQUAL(heap_case_state(&c, large), CW_CHUNK_USED);
    CU_ASSERT_EQUAL(heap_case_state(&c, freed), CW_CHUNK_BINNED);
    CU_ASSERT_EQUAL(c.heap.by_state[CW_CHUNK_UNKNOWN].count, 0);
    CU_ASSERT_EQUAL(c.heap.chunks.extent_count, 3);
    CU_ASSERT(heap_case_close(&c));
    core_builder_destroy(core);
    glibc_builder_destroy(builder);
}

static void a_missing_top_is_still_the_top(void)
{
    struct glibc_builder *builder = make();
    glibc_builder_chunk(builder, 0, 0x60);
    struct core_builder *core = cut_hole(builder, 0x1000, GLIBC_BUILDER_BRK_BYTES - 0x1000);
    struct heap_case c;
    open_cut(&c, core);
    CU_ASSERT_EQUAL(c.heap.by_state[CW_CHUNK_TOP].count, 1);
    CU_ASSERT(heap_case_close(&c));
    core_builder_destroy(core);
    glibc_builder_destroy(builder);
}

CW_TEST_MAIN("heap/glibc_walk",
             CW_TEST(joins_pieces),
             CW_TEST(takes_back_false_pieces),
             CW_TEST(crosses_foreign_sbrk),
             CW_TEST(follows_chains_of_heaps),
             CW_TEST(survives_a_loop_of_heaps),
             CW_TEST(resumes_behind_a_corrupt_size),
             CW_TEST(a_size_beyond_the_top_is_corrupt),
             CW_TEST(anchors_bound_what_is_skipped),
             CW_TEST(listed_chunks_are_anchors_too),
             CW_TEST(an_older_heap_may_be_damaged),
             CW_TEST(a_hole_is_unknown),
             CW_TEST(a_chunk_reaches_over_a_hole),
             CW_TEST(a_missing_top_is_still_the_top))
