/*
 * heap: a heap of every layout, 2.17 to 2.44 and both word sizes, with everything that a program
 * leaves in it. Each chunk is what was built, each sum is system_mem, and the layout is found from
 * the data alone. Suites that can be run cover few of the releases (tests/run --matrix).
 */
#include <stdio.h>
#include <string.h>

#include "heap/glibc_check.h"
#include "support/glibc_builder.h"
#include "support/unit.h"

#define MAPPINGS UINT64_C(0x60000000)

enum {
    CHUNK_LIMIT = 512,
    RW = CW_PROT_READ | CW_PROT_WRITE,
};

struct expected_chunk {
    cw_addr start;
    uint64_t bytes;
    enum cw_chunk_state state;
};

/* A heap that is being built, and what it must be read as. */
struct plan {
    const struct glibc_layout *layout;
    struct glibc_builder *builder;
    struct expected_chunk chunks[CHUNK_LIMIT];
    unsigned chunk_count;
    unsigned cache_count;
};

static bool has_caches(const struct plan *plan)
{
    return plan->layout->tcache_form != GLIBC_TCACHE_NONE;
}

static void expect(struct plan *plan, cw_addr start, uint64_t bytes, enum cw_chunk_state state)
{
    CU_ASSERT_FATAL(plan->chunk_count < CHUNK_LIMIT);
    plan->chunks[plan->chunk_count++] = (struct expected_chunk){start, bytes, state};
}

/* A chunk, followed by a used one that keeps it apart from what comes. */
static cw_addr add(struct plan *plan, unsigned arena, uint64_t bytes, enum cw_chunk_state state)
{
    cw_addr chunk = glibc_builder_chunk(plan->builder, arena, bytes);
    uint64_t least = (uint64_t)4 * plan->layout->word_bytes;
    expect(plan, chunk, bytes, state);
    expect(plan, glibc_builder_chunk(plan->builder, arena, least), least, CW_CHUNK_USED);
    return chunk;
}

static void add_binned(struct plan *plan, unsigned arena)
{
    static const struct {
        uint64_t bytes;
        bool is_unsorted;
    } rows[] = {{0x80, true},
                {0x4010, true},
                {0x90, false},
                {0x90, false},
                {0x400, false},
                {0x2000, false}};
    struct glibc glibc = {.word_bytes = plan->layout->word_bytes,
                          .alignment = plan->layout->alignment};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cw_addr chunk = add(plan, arena, rows[i].bytes, CW_CHUNK_BINNED);
        unsigned bin = rows[i].is_unsorted ? 1 : glibc_bin_of(&glibc, rows[i].bytes);
        glibc_builder_bin(plan->builder, arena, chunk, bin);
    }
}

static void add_fast(struct plan *plan, unsigned arena)
{
    uint64_t least = (uint64_t)4 * plan->layout->word_bytes;
    for (unsigned i = 0; i < 12 && plan->layout->fastbin_count > 0; i++) {
        uint64_t bytes = least + (uint64_t)(i % 3) * 16;
        glibc_builder_fast(plan->builder, arena, add(plan, arena, bytes, CW_CHUNK_FASTBIN));
    }
}

static void add_cached(struct plan *plan, unsigned thread, unsigned arena)
{
    uint64_t least = (uint64_t)4 * plan->layout->word_bytes;
    for (unsigned i = 0; i < 14 && has_caches(plan); i++) {
        uint64_t bytes = least + (uint64_t)16 * (i % 3 + (i % 2) * 30);
        glibc_builder_cache(plan->builder, thread, add(plan, arena, bytes, CW_CHUNK_TCACHE));
    }
    if (plan->layout->tcache_form == GLIBC_TCACHE_SLOTS) {
        /* With tcache_max raised: sizes of a large bin are mixed, ascending. */
        static const uint64_t sizes[] = {0x7f0, 0x500, 0x4f0, 0x3000, 0x2010};
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            cw_addr chunk = add(plan, arena, sizes[i], CW_CHUNK_TCACHE);
            glibc_builder_cache(plan->builder, thread, chunk);
        }
    }
}

static unsigned add_thread(struct plan *plan, unsigned arena)
{
    cw_addr chunk = glibc_builder_top(plan->builder, arena);
    unsigned thread = glibc_builder_thread(plan->builder, arena);
    if (has_caches(plan)) {
        expect(plan, chunk, glibc_builder_top(plan->builder, arena) - chunk, CW_CHUNK_INTERNAL);
        plan->cache_count++;
    }
    return thread;
}

static void add_mapping(struct plan *plan, cw_addr start, uint64_t bytes, uint64_t offset)
{
    core_builder_segment(glibc_builder_core(plan->builder), start, bytes, RW);
    glibc_builder_mmapped(plan->builder, start, bytes, offset);
}

/* One of each kind; from 2.43 on a freed one stays in a cache. */
static void add_mappings(struct plan *plan, unsigned thread)
{
    uint64_t word = plan->layout->word_bytes;
    add_mapping(plan, MAPPINGS, 0x24000, 0);
    expect(plan, MAPPINGS, 0x24000, CW_CHUNK_MMAPPED);
    add_mapping(plan, MAPPINGS + 0x100000, 0x30000, 0x1000 - 2 * word);
    expect(plan, MAPPINGS + 0x100000, 0x30000, CW_CHUNK_MMAPPED);
    if (plan->layout->mmapped_excludes_header) {
        cw_addr start = MAPPINGS + 0x200000;
        add_mapping(plan, start, 0x31000, 0);
        glibc_builder_cache(plan->builder, thread, start + (word == 4 ? 8 : 0));
        expect(plan, start, 0x31000, CW_CHUNK_TCACHE);
    }
}

static void build(struct plan *plan, const struct glibc_layout *layout)
{
    *plan = (struct plan){.layout = layout, .builder = glibc_builder_create(layout)};
    unsigned threads[3] = {add_thread(plan, 0)};
    unsigned arenas[3] = {0};
    for (unsigned i = 1; i < 3; i++) {
        arenas[i] = glibc_builder_arena(plan->builder);
        threads[i] = add_thread(plan, arenas[i]);
    }
    for (unsigned i = 0; i < 3; i++) {
        add_binned(plan, arenas[i]);
        add_fast(plan, arenas[i]);
        add_cached(plan, threads[i], arenas[(i + 1) % 3]);
    }
    add_mappings(plan, threads[1]);
    glibc_builder_heap(plan->builder, arenas[2]);
    add_fast(plan, arenas[2]);
    add_cached(plan, threads[2], arenas[2]);
}

/* ---- checks -------------------------------------------------------------------------------- */

static void check_chunks(const struct heap_case *c, const struct plan *plan)
{
    unsigned wrong = 0;
    for (unsigned i = 0; i < plan->chunk_count; i++) {
        const struct expected_chunk *expected = &plan->chunks[i];
        uint32_t index = cw_chunk_table_find(&c->heap.chunks, expected->start);
        struct cw_chunk found = {0};
        if (index != CW_NONE) {
            found = cw_chunk_table_get(&c->heap.chunks, index);
        }
        wrong += found.start != expected->start || found.size_bytes != expected->bytes ||
                         found.state != expected->state
                     ? 1
                     : 0;
    }
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT_EQUAL(c->heap.by_state[CW_CHUNK_UNKNOWN].count, 0);
    CU_ASSERT_EQUAL(c->heap.by_state[CW_CHUNK_TOP].count, 3);
}

static void check_count(const struct heap_case *c, const struct plan *plan)
{
    /* Beside what is planned: three tops, and of the older heap its rest and its fenceposts. */
    uint32_t others = c->heap.chunks.chunk_count - plan->chunk_count;
    CU_ASSERT(others >= 3 + 2 && others <= 3 + 3);
    CU_ASSERT(c->heap.by_state[CW_CHUNK_INTERNAL].count >= plan->cache_count);
}

/* From a thread arena's first heap to its first chunk, from the declarations of each release. */
static uint64_t first_chunk_off(const struct glibc_layout *layout)
{
    if (layout->word_bytes == 8) {
        return layout->bins_off == 24          ? 0x870
               : layout->heap_info_bytes == 48 ? 0x8d0
               : layout->bins_off == 112       ? 0x8c0
                                               : 0x8b0;
    }
    return layout->bins_off == 16         ? 0x448
           : layout->alignment == 16      ? 0x478
           : layout->has_attached_threads ? 0x468
                                          : 0x460;
}

static void check_sums(const struct heap_case *c, const struct plan *plan)
{
    CU_ASSERT_EQUAL_FATAL(c->heap.arena_count, 3);
    for (uint32_t i = 0; i < 3; i++) {
        const struct cw_heap_arena *arena = &c->heap.arenas[i];
        uint64_t sum = arena->gap_bytes;
        for (unsigned state = 0; state < CW_CHUNK_STATE_COUNT; state++) {
            sum += arena->by_state[state].bytes;
        }
        CU_ASSERT_EQUAL(sum, arena->system_bytes);
    }
    CU_ASSERT_EQUAL(c->heap.arenas[0].gap_bytes,
                    plan->layout->word_bytes == 4 && plan->layout->alignment == 16 ? 8 : 0);
    CU_ASSERT_EQUAL(c->heap.arenas[1].gap_bytes, first_chunk_off(plan->layout));
    CU_ASSERT_EQUAL(c->heap.arenas[2].heap_count, 2);
    CU_ASSERT_EQUAL(c->heap.allocator_mmapped.count, plan->layout->mmapped_excludes_header ? 3 : 2);
}

static void check_name(const struct heap_case *c, const struct glibc_layout *layout)
{
    char name[32];
    int length = snprintf(name, sizeof name, "2.%u", layout->first_minor);
    if (layout->first_minor != layout->last_minor) {
        snprintf(name + length, sizeof name - (size_t)length, "-2.%u", layout->last_minor);
    }
    CU_ASSERT_STRING_EQUAL(c->heap.layout.name, name);
}

static void check_layout(const struct glibc_layout *layout)
{
    struct plan plan;
    build(&plan, layout);
    struct heap_case c;
    heap_case_open(&c, plan.builder);
    CU_ASSERT_EQUAL_FATAL(c.status, CW_OK);
    CU_ASSERT_PTR_NULL(heap_case_check(&c));
    CU_ASSERT_EQUAL(c.findings.items.count, 0);
    CU_ASSERT_EQUAL(heap_case_count(&c.coverage, "mmapped-count"), 0);
    CU_ASSERT_EQUAL(heap_case_count(&c.coverage, "no-mp"), 0);
    check_chunks(&c, &plan);
    check_count(&c, &plan);
    check_sums(&c, &plan);
    check_name(&c, layout);
    CU_ASSERT(heap_case_close(&c));
    glibc_builder_destroy(plan.builder);
}

static void every_release_is_read_exactly(void)
{
    size_t count;
    const struct glibc_layout *rows = glibc_layouts(&count);
    for (size_t i = 0; i < count; i++) {
        check_layout(&rows[i]);
    }
}

/* With little to go by the range of releases is wide, but never without the right one. */
static void a_bare_heap_is_of_a_range_that_holds_its_release(void)
{
    size_t count;
    const struct glibc_layout *rows = glibc_layouts(&count);
    for (size_t i = 0; i < count; i++) {
        struct glibc_builder *builder = glibc_builder_create(&rows[i]);
        cw_addr chunk = glibc_builder_chunk(builder, 0, 0x50);
        struct heap_case c;
        heap_case_open(&c, builder);
        CU_ASSERT_EQUAL_FATAL(c.status, CW_OK);
        CU_ASSERT_EQUAL(heap_case_state(&c, chunk), CW_CHUNK_USED);
        CU_ASSERT_EQUAL(c.findings.items.count, 0);
        unsigned first = 0;
        unsigned last = 0;
        int fields = sscanf(c.heap.layout.name, "2.%u-2.%u", &first, &last);
        last = fields == 1 ? first : last;
        CU_ASSERT(first <= rows[i].first_minor && rows[i].last_minor <= last);
        CU_ASSERT(heap_case_close(&c));
        glibc_builder_destroy(builder);
    }
}

CW_TEST_MAIN("heap/glibc_releases",
             CW_TEST(every_release_is_read_exactly),
             CW_TEST(a_bare_heap_is_of_a_range_that_holds_its_release))
