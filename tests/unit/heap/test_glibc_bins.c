/* heap/glibc_bins: bins and fastbins, sound, relinked and damaged. */
#include "heap/glibc_layout.h"
#include "support/glibc_builder.h"
#include "support/unit.h"

static const struct glibc_layout *modern(void)
{
    return glibc_pick(glibc_with_word_bytes(8) & glibc_with_mp_form(GLIBC_MP_2_35) &
                      glibc_with_tcache_form(GLIBC_TCACHE_SHORT));
}

struct binned {
    struct glibc_builder *builder;
    struct core_builder *core;
    cw_addr chunks[4];
};

static struct binned make(bool fast)
{
    struct binned binned = {.builder = glibc_builder_create(modern())};
    binned.core = glibc_builder_core(binned.builder);
    glibc_builder_thread(binned.builder, 0);
    for (unsigned i = 0; i < 4; i++) {
        binned.chunks[i] = glibc_builder_chunk(binned.builder, 0, 0x70);
        glibc_builder_chunk(binned.builder, 0, 0x20);
    }
    for (unsigned i = 0; i < 4; i++) {
        if (fast) {
            glibc_builder_fast(binned.builder, 0, binned.chunks[i]);
        } else {
            glibc_builder_bin(binned.builder, 0, binned.chunks[i], 7);
        }
    }
    return binned;
}

static void open(struct heap_case *c, const struct binned *binned)
{
    heap_case_open(c, binned->builder);
    CU_ASSERT_EQUAL_FATAL(c->status, CW_OK);
    CU_ASSERT_PTR_NULL(heap_case_check(c));
}

static void done(struct heap_case *c, const struct binned *binned)
{
    CU_ASSERT(heap_case_close(c));
    glibc_builder_destroy(binned->builder);
}

static void sound_lists_give_no_finding(void)
{
    for (unsigned fast = 0; fast < 2; fast++) {
        struct binned binned = make(fast == 1);
        struct heap_case c;
        open(&c, &binned);
        CU_ASSERT_EQUAL(c.findings.items.count, 0);
        CU_ASSERT_EQUAL(c.heap.by_state[fast ? CW_CHUNK_FASTBIN : CW_CHUNK_BINNED].count, 4);
        done(&c, &binned);
    }
}

static void a_bin_that_leads_astray(void)
{
    struct binned binned = make(false);
    core_builder_word(binned.core, binned.chunks[2] + 16, binned.chunks[1] + 0x30);
    struct heap_case c;
    open(&c, &binned);
    CU_ASSERT_EQUAL(heap_case_count(&c.findings, "bin-link"), 1);
    CU_ASSERT_EQUAL(cw_note_at(&c.findings, 0)->address, binned.chunks[2]);
    CU_ASSERT_EQUAL(cw_note_at(&c.findings, 0)->culprit, binned.chunks[2] + 16);
    CU_ASSERT_EQUAL(c.heap.by_state[CW_CHUNK_BINNED].count, 4);
    done(&c, &binned);
}

static void a_bin_that_loops(void)
{
    struct binned binned = make(false);
    core_builder_word(binned.core, binned.chunks[1] + 16, binned.chunks[2]);
    struct heap_case c;
    open(&c, &binned);
    CU_ASSERT(heap_case_count(&c.findings, "bin-link") >= 1);
    CU_ASSERT_EQUAL(c.heap.by_state[CW_CHUNK_BINNED].count, 4);
    done(&c, &binned);
}

static void a_binned_chunk_that_looks_used(void)
{
    struct binned binned = make(false);
    cw_addr next = binned.chunks[1] + 0x70;
    core_builder_word(binned.core, next + 8, 0x21);
    struct heap_case c;
    open(&c, &binned);
    CU_ASSERT_EQUAL(c.findings.items.count, 1);
    CU_ASSERT_EQUAL(heap_case_count(&c.findings, "prev-inuse"), 1);
    CU_ASSERT_EQUAL(heap_case_state(&c, binned.chunks[1]), CW_CHUNK_BINNED);
    done(&c, &binned);
}

static void a_wrong_link_back(void)
{
    struct binned binned = make(false);
    core_builder_word(binned.core, binned.chunks[1] + 24, binned.chunks[0]);
    struct heap_case c;
    open(&c, &binned);
    CU_ASSERT_EQUAL(heap_case_count(&c.findings, "bin-link"), 1);
    CU_ASSERT_EQUAL(c.heap.by_state[CW_CHUNK_BINNED].count, 4);
    done(&c, &binned);
}

/* One chunk may be between two states when the process was stopped; its lock says so, too. */
static void a_busy_arena_is_forgiven(void)
{
    struct binned binned = make(false);
    core_builder_word(binned.core, binned.chunks[1] + 24, binned.chunks[0]);
    core_builder_signal(binned.core, 0);
    uint32_t locked = 1;
    core_builder_signal(binned.core, 0);
    core_builder_bytes(
        binned.core, glibc_builder_arena_address(binned.builder, 0), &locked, sizeof locked);
    struct heap_case c;
    open(&c, &binned);
    CU_ASSERT_EQUAL(c.findings.items.count, 1);
    CU_ASSERT_EQUAL(cw_notes_serious(&c.findings), 0);
    done(&c, &binned);
}

static void free_chunks_in_no_bin(void)
{
    struct binned binned = make(false);
    cw_addr head = glibc_builder_bin_address(binned.builder, 0, 7);
    core_builder_word(binned.core, head + 16, head);
    core_builder_word(binned.core, head + 24, head);
    struct heap_case c;
    open(&c, &binned);
    CU_ASSERT_EQUAL(heap_case_count(&c.findings, "free-not-binned"), 1);
    CU_ASSERT_EQUAL(c.heap.by_state[CW_CHUNK_BINNED].count, 4);
    done(&c, &binned);
}

static void a_fastbin_that_leads_astray(void)
{
    struct binned binned = make(true);
    cw_addr field = binned.chunks[2] + 16;
    core_builder_word(binned.core, field, (field >> 12) ^ (binned.chunks[1] + 0x10));
    struct heap_case c;
    open(&c, &binned);
    CU_ASSERT_EQUAL(heap_case_count(&c.findings, "fastbin-link"), 1);
    CU_ASSERT_EQUAL(c.heap.by_state[CW_CHUNK_FASTBIN].count, 2);
    done(&c, &binned);
}

static void a_fastbin_that_loops(void)
{
    struct binned binned = make(true);
    cw_addr field = binned.chunks[0] + 16;
    core_builder_word(binned.core, field, (field >> 12) ^ binned.chunks[3]);
    struct heap_case c;
    open(&c, &binned);
    CU_ASSERT_EQUAL(heap_case_count(&c.findings, "double-free"), 1);
    CU_ASSERT_EQUAL(c.heap.by_state[CW_CHUNK_FASTBIN].count, 4);
    done(&c, &binned);
}

CW_TEST_MAIN("heap/glibc_bins",
             CW_TEST(sound_lists_give_no_finding),
             CW_TEST(a_bin_that_leads_astray),
             CW_TEST(a_bin_that_loops),
             CW_TEST(a_binned_chunk_that_looks_used),
             CW_TEST(a_wrong_link_back),
             CW_TEST(a_busy_arena_is_forgiven),
             CW_TEST(free_chunks_in_no_bin),
             CW_TEST(a_fastbin_that_leads_astray),
             CW_TEST(a_fastbin_that_loops))
