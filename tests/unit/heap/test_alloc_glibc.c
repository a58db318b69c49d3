/* heap/alloc_glibc: a sound heap of every layout is read exactly, and without a finding. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "heap/allocator.h"
#include "support/glibc_builder.h"
#include "support/unit.h"

static const struct glibc_layout *newest(void)
{
    return glibc_pick(glibc_with_word_bytes(8) & glibc_with_mp_form(GLIBC_MP_2_35) &
                      glibc_with_tcache_form(GLIBC_TCACHE_SHORT));
}

/* Cached, fast, binned and used chunks in two arenas; the caller checks the states. */
struct mixed {
    cw_addr used;
    cw_addr cached[2];
    cw_addr fast[2];
    cw_addr binned[2];
    cw_addr thread_binned;
};

static struct glibc_builder *build_mixed(const struct glibc_layout *layout, struct mixed *mixed)
{
    struct glibc_builder *builder = glibc_builder_create(layout);
    bool has_cache = layout->tcache_form != GLIBC_TCACHE_NONE;
    unsigned first = glibc_builder_thread(builder, 0);
    unsigned arena = glibc_builder_arena(builder);
    unsigned second = glibc_builder_thread(builder, arena);
    *mixed = (struct mixed){0};
    mixed->used = glibc_builder_chunk(builder, 0, 0x50);
    for (unsigned i = 0; i < 2; i++) {
        mixed->cached[i] = glibc_builder_chunk(builder, 0, 0x40);
        mixed->fast[i] = glibc_builder_chunk(builder, 0, 0x30);
        mixed->binned[i] = glibc_builder_chunk(builder, 0, 0x210);
        glibc_builder_chunk(builder, 0, 0x20);
    }
    mixed->thread_binned = glibc_builder_chunk(builder, arena, 0x500);
    glibc_builder_chunk(builder, arena, 0x60);
    for (unsigned i = 0; i < 2; i++) {
        if (has_cache) {
            glibc_builder_cache(builder, i == 0 ? first : second, mixed->cached[i]);
        }
        if (layout->fastbin_count > 0) {
            glibc_builder_fast(builder, 0, mixed->fast[i]);
        }
        glibc_builder_bin(builder, 0, mixed->binned[i], 33);
    }
    glibc_builder_bin(builder, arena, mixed->thread_binned, 1);
    return builder;
}

static void check_mixed(const struct heap_case *c,
                        const struct glibc_layout *layout,
                        const struct mixed *mixed)
{
    bool has_cache = layout->tcache_form != GLIBC_TCACHE_NONE;
    CU_ASSERT_EQUAL(heap_case_state(c, mixed->used), CW_CHUNK_USED);
    for (unsigned i = 0; i < 2; i++) {
        CU_ASSERT_EQUAL(heap_case_state(c, mixed->cached[i]),
                        has_cache ? CW_CHUNK_TCACHE : CW_CHUNK_USED);
        CU_ASSERT_EQUAL(heap_case_state(c, mixed->fast[i]),
                        layout->fastbin_count > 0 ? CW_CHUNK_FASTBIN : CW_CHUNK_USED);
        CU_ASSERT_EQUAL(heap_case_state(c, mixed->binned[i]), CW_CHUNK_BINNED);
    }
    CU_ASSERT_EQUAL(heap_case_state(c, mixed->thread_binned), CW_CHUNK_BINNED);
    CU_ASSERT_EQUAL(c->heap.by_state[CW_CHUNK_INTERNAL].count, has_cache ? 2 : 0);
    CU_ASSERT_EQUAL(c->heap.by_state[CW_CHUNK_TOP].count, 2);
    CU_ASSERT_EQUAL(c->heap.by_state[CW_CHUNK_UNKNOWN].count, 0);
}

static void check_row(const struct glibc_layout *layout)
{
    struct mixed mixed;
    struct glibc_builder *builder = build_mixed(layout, &mixed);
    struct heap_case c;
    heap_case_open(&c, builder);
    CU_ASSERT_EQUAL_FATAL(c.status, CW_OK);
    CU_ASSERT_STRING_EQUAL_FATAL(c.heap.allocator == NULL ? "" : c.heap.allocator, "glibc");
    CU_ASSERT_PTR_NULL(heap_case_check(&c));
    CU_ASSERT_EQUAL(c.findings.items.count, 0);
    CU_ASSERT_EQUAL(c.heap.arena_count, 2);
    check_mixed(&c, layout, &mixed);
    CU_ASSERT_PTR_NOT_NULL(strstr(c.heap.layout.evidence, "in 2 arenas"));
    CU_ASSERT(heap_case_close(&c));
    glibc_builder_destroy(builder);
}

static void reads_every_layout(void)
{
    size_t count;
    const struct glibc_layout *rows = glibc_layouts(&count);
    for (size_t i = 0; i < count; i++) {
        if (rows[i].word_bytes == 8) {
            check_row(&rows[i]);
        }
    }
}

static void names_the_narrowest_range(void)
{
    static const char *const names[] = {"2.17-2.22",
                                        "2.22-2.23",
                                        "2.24-2.25",
                                        "2.26",
                                        "2.26-2.29",
                                        "2.28-2.31",
                                        "2.32-2.34",
                                        "2.35-2.41",
                                        "2.42",
                                        "2.43-2.44"};
    size_t count;
    const struct glibc_layout *rows = glibc_layouts(&count);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct mixed mixed;
        struct glibc_builder *builder = build_mixed(&rows[i], &mixed);
        struct heap_case c;
        heap_case_open(&c, builder);
        CU_ASSERT_STRING_EQUAL(c.heap.layout.name, names[i]);
        CU_ASSERT(heap_case_close(&c));
        glibc_builder_destroy(builder);
    }
}

static void sums_agree_with_system_mem(void)
{
    struct mixed mixed;
    struct glibc_builder *builder = build_mixed(newest(), &mixed);
    struct heap_case c;
    heap_case_open(&c, builder);
    for (uint32_t i = 0; i < c.heap.arena_count; i++) {
        const struct cw_heap_arena *arena = &c.heap.arenas[i];
        uint64_t sum = arena->gap_bytes;
        for (unsigned state = 0; state < CW_CHUNK_STATE_COUNT; state++) {
            sum += arena->by_state[state].bytes;
        }
        CU_ASSERT_EQUAL(sum, arena->system_bytes);
    }
    CU_ASSERT_EQUAL(c.heap.arenas[0].system_bytes, GLIBC_BUILDER_BRK_BYTES);
    CU_ASSERT_EQUAL(c.heap.arenas[0].kind, CW_ARENA_MAIN);
    CU_ASSERT_EQUAL(c.heap.arenas[1].kind, CW_ARENA_THREAD);
    CU_ASSERT_EQUAL(c.heap.arenas[1].gap_bytes, 0x8d0);
    CU_ASSERT(heap_case_close(&c));
    glibc_builder_destroy(builder);
}

static void a_wrong_sum_is_a_finding(void)
{
    struct mixed mixed;
    struct glibc_builder *builder = build_mixed(newest(), &mixed);
    cw_addr system_mem = glibc_builder_arena_address(builder, 1) + 2184;
    struct core_builder *core = glibc_builder_core(builder);
    core_builder_word(core, system_mem, core_builder_get_word(core, system_mem) + 0x1000);
    struct heap_case c;
    heap_case_open(&c, builder);
    CU_ASSERT_EQUAL(heap_case_count(&c.findings, "arena-sum"), 1);
    CU_ASSERT(heap_case_close(&c));
    glibc_builder_destroy(builder);
}

/* Brk memory is as long as it was, whatever the top says of itself. */
static void a_damaged_top_is_a_finding(void)
{
    static const uint64_t sizes[] = {0x4141414141414141, UINT64_MAX, 0, 0x1000, 0x21001, 0x20ff1};
    for (size_t i = 0; i < 2 * sizeof sizes / sizeof sizes[0]; i++) {
        struct mixed mixed;
        struct glibc_builder *builder = build_mixed(newest(), &mixed);
        struct core_builder *core = glibc_builder_core(builder);
        cw_addr last = glibc_builder_chunk(builder, i % 2, 0x50);
        cw_addr top = glibc_builder_top(builder, i % 2);
        core_builder_word(core, top + 8, sizes[i / 2]);
        struct heap_case c;
        heap_case_open(&c, builder);
        CU_ASSERT_PTR_NULL(heap_case_check(&c));
        CU_ASSERT_EQUAL(heap_case_count(&c.findings, "top-size"), 1);
        CU_ASSERT_EQUAL(cw_note_at(&c.findings, c.findings.items.count - 1)->culprit, last + 16);
        if (sizes[i / 2] > UINT32_MAX || sizes[i / 2] == 0) {
            CU_ASSERT_EQUAL(c.findings.items.count, 1);
            CU_ASSERT_EQUAL(heap_case_state(&c, top), CW_CHUNK_TOP);
        }
        CU_ASSERT(heap_case_close(&c));
        glibc_builder_destroy(builder);
    }
}

/* An operation was under way: it may be writing the top just now. */
static void a_busy_arena_may_have_any_top(void)
{
    struct mixed mixed;
    struct glibc_builder *builder = build_mixed(newest(), &mixed);
    struct core_builder *core = glibc_builder_core(builder);
    uint32_t taken = 1;
    core_builder_bytes(core, glibc_builder_arena_address(builder, 0), &taken, sizeof taken);
    core_builder_word(core, glibc_builder_top(builder, 0) + 8, 0x4141414141414141);
    static const struct {
        uint8_t signal;
        size_t serious;
    } rows[] = {
        {0, 0}, {SIGABRT, 1}, /* that may be malloc's own, which holds the lock then */
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct heap_case c;
        core_builder_signal(core, rows[i].signal);
        heap_case_open(&c, builder);
        CU_ASSERT_EQUAL(heap_case_count(&c.findings, "top-size"), 1);
        CU_ASSERT_EQUAL(cw_notes_serious(&c.findings), rows[i].serious);
        CU_ASSERT(heap_case_close(&c));
    }
    glibc_builder_destroy(builder);
}

static void no_heap_is_a_note(void)
{
    struct core_builder *core = core_builder_create(CW_ARCH_X86_64);
    core_builder_segment(core, 0x10000, 0x3000, CW_PROT_READ | CW_PROT_WRITE);
    size_t size;
    const uint8_t *bytes = core_builder_finish(core, &size);
    struct heap_case c;
    heap_case_open_bytes(&c, bytes, size);
    CU_ASSERT_EQUAL(c.status, CW_OK);
    CU_ASSERT_PTR_NULL(c.heap.allocator);
    CU_ASSERT_EQUAL(c.heap.chunks.chunk_count, 0);
    CU_ASSERT_EQUAL(heap_case_count(&c.coverage, "no-glibc-heap"), 1);
    CU_ASSERT(heap_case_close(&c));
    core_builder_destroy(core);
}

static void an_unused_arena_is_no_heap(void)
{
    struct glibc_builder *builder = glibc_builder_create(newest());
    struct core_builder *core = glibc_builder_core(builder);
    cw_addr arena = glibc_builder_arena_address(builder, 0);
    core_builder_word(core, arena + 96, arena + 96);
    core_builder_word(core, arena + 2184, 0);
    core_builder_word(core, glibc_builder_mp_address(builder) + 96, 0);
    core_builder_word(core, GLIBC_BUILDER_BRK + 8, 0);
    struct heap_case c;
    heap_case_open(&c, builder);
    CU_ASSERT_EQUAL(c.status, CW_OK);
    CU_ASSERT_PTR_NULL(c.heap.allocator);
    CU_ASSERT_EQUAL(heap_case_count(&c.coverage, "no-glibc-heap"), 1);
    CU_ASSERT(heap_case_close(&c));
    glibc_builder_destroy(builder);
}

static bool stop_in(void *context, const char *phase, uint64_t done, uint64_t total)
{
    (void)done;
    (void)total;
    return strcmp(phase, context) != 0;
}

/* In any phase; and then nothing of it is left in the notes. */
static void can_be_cancelled(void)
{
    static const char *const phases[] = {"heap", "mappings", "arenas"};
    for (size_t i = 0; i < sizeof phases / sizeof phases[0]; i++) {
        struct mixed mixed;
        struct glibc_builder *builder = build_mixed(newest(), &mixed);
        struct core_builder *core = glibc_builder_core(builder);
        core_builder_segment(core, 0x60000000, 0x2000, CW_PROT_READ | CW_PROT_WRITE);
        glibc_builder_mmapped(builder, 0x60000000, 0x2000, 0);
        for (uint64_t off = 0; off < 0x3000 && strcmp(phases[i], "arenas") == 0; off += 8) {
            core_builder_word(core, GLIBC_BUILDER_LIBC + off, 0); /* searched for everywhere */
        }
        core_builder_word(core, glibc_builder_arena_address(builder, 1) - 0x30 + 8, 1);
        struct heap_case c;
        heap_case_open(&c, builder);
        size_t coverage_count = c.coverage.items.count;
        size_t findings_count = c.findings.items.count;
        const struct cw_progress progress = {.report = stop_in, .context = (void *)phases[i]};
        struct cw_heap heap;
        struct cw_error err = CW_ERROR_INIT;
        enum cw_status status = cw_heap_create(
            &c.space, NULL, c.pool, &progress, &c.memory, &c.coverage, &c.findings, &heap, &err);
        CU_ASSERT_EQUAL(status, CW_ERROR_CANCELLED);
        CU_ASSERT_EQUAL(err.status, CW_ERROR_CANCELLED);
        CU_ASSERT_EQUAL(c.coverage.items.count, coverage_count);
        CU_ASSERT_EQUAL(c.findings.items.count, findings_count);
        CU_ASSERT(heap_case_close(&c));
        glibc_builder_destroy(builder);
    }
}

static void a_small_budget_is_an_error(void)
{
    struct mixed mixed;
    struct glibc_builder *builder = build_mixed(newest(), &mixed);
    struct heap_case c;
    heap_case_open(&c, builder);
    uint64_t used = c.budget.used_bytes;
    for (uint64_t extra = 0; extra < 400 << 10; extra += 3000) {
        struct cw_heap heap = {0};
        struct cw_error err = CW_ERROR_INIT;
        struct cw_arena memory;
        cw_arena_init(&memory, &c.budget);
        c.budget.limit_bytes = used + extra;
        enum cw_status status = cw_heap_create(
            &c.space, NULL, c.pool, NULL, &memory, &c.coverage, &c.findings, &heap, &err);
        CU_ASSERT(status == CW_OK || status == CW_ERROR_MEMORY);
        CU_ASSERT_EQUAL(status, err.status);
        if (status == CW_OK) {
            cw_heap_destroy(&heap);
        }
        cw_arena_deinit(&memory);
        CU_ASSERT_EQUAL(c.budget.used_bytes, used);
    }
    CU_ASSERT(heap_case_close(&c));
    glibc_builder_destroy(builder);
}

CW_TEST_MAIN("heap/alloc_glibc",
             CW_TEST(reads_every_layout),
             CW_TEST(names_the_narrowest_range),
             CW_TEST(sums_agree_with_system_mem),
             CW_TEST(a_wrong_sum_is_a_finding),
             CW_TEST(a_damaged_top_is_a_finding),
             CW_TEST(a_busy_arena_may_have_any_top),
             CW_TEST(no_heap_is_a_note),
             CW_TEST(an_unused_arena_is_no_heap),
             CW_TEST(can_be_cancelled),
             CW_TEST(a_small_budget_is_an_error))
