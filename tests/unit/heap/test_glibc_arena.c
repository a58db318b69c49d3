/* heap/glibc_arena, glibc_mp, glibc_orphan: finding the structs, whole and damaged. */
#include "heap/glibc_layout.h"
#include "support/glibc_builder.h"
#include "support/unit.h"

static const struct glibc_layout *modern(void)
{
    return glibc_pick(glibc_with_word_bytes(8) & glibc_with_mp_form(GLIBC_MP_2_35) &
                      glibc_with_tcache_form(GLIBC_TCACHE_SHORT));
}

static struct glibc_builder *make(unsigned arena_count)
{
    struct glibc_builder *builder = glibc_builder_create(modern());
    glibc_builder_thread(builder, 0);
    for (unsigned i = 1; i < arena_count; i++) {
        unsigned arena = glibc_builder_arena(builder);
        glibc_builder_chunk(builder, arena, 0x40 * (uint64_t)(i + 1));
    }
    for (unsigned i = 0; i < 100; i++) {
        glibc_builder_chunk(builder, 0, 0x40);
    }
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

static void lists_the_main_arena_first(void)
{
    struct glibc_builder *builder = make(4);
    struct heap_case c;
    open(&c, builder);
    CU_ASSERT_EQUAL_FATAL(c.heap.arena_count, 4);
    for (unsigned i = 0; i < 4; i++) {
        CU_ASSERT_EQUAL(c.heap.arenas[i].address, glibc_builder_arena_address(builder, i));
    }
    CU_ASSERT_EQUAL(c.findings.items.count, 0);
    done(&c, builder);
}

static void tolerates_two_damaged_bins(void)
{
    struct glibc_builder *builder = make(1);
    struct core_builder *core = glibc_builder_core(builder);
    core_builder_word(core, glibc_builder_bin_address(builder, 0, 1) + 16, 0x4141414141414141);
    core_builder_word(core, glibc_builder_bin_address(builder, 0, 77) + 24, 0);
    struct heap_case c;
    open(&c, builder);
    CU_ASSERT_EQUAL_FATAL(c.heap.arena_count, 1);
    CU_ASSERT_EQUAL(c.heap.arenas[0].address, glibc_builder_arena_address(builder, 0));
    CU_ASSERT_EQUAL(c.heap.by_state[CW_CHUNK_USED].count, 100);
    done(&c, builder);
}

/* The largest size that belongs into the bin; 64 bits. */
static uint64_t size_for_bin(unsigned bin)
{
    static const struct {
        uint8_t first_bin;
        uint8_t base;
        uint8_t shift;
    } steps[] = {{124, 124, 18}, {120, 119, 15}, {112, 110, 12}, {97, 91, 9}, {64, 48, 6}};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        if (bin >= steps[i].first_bin) {
            return ((uint64_t)(bin - steps[i].base + 1) << steps[i].shift) - 16;
        }
    }
    return (uint64_t)bin * 16;
}

/* A busy heap: no two empty bins in a row. */
static void finds_an_arena_with_few_empty_bins(void)
{
    struct glibc_builder *builder = make(1);
    for (unsigned bin = 2; bin < GLIBC_BIN_COUNT; bin++) {
        if (bin % 5 != 0) {
            cw_addr chunk = glibc_builder_chunk(builder, 0, size_for_bin(bin));
            glibc_builder_chunk(builder, 0, 0x40);
            glibc_builder_bin(builder, 0, chunk, bin);
        }
    }
    struct heap_case c;
    open(&c, builder);
    CU_ASSERT_EQUAL_FATAL(c.heap.arena_count, 1);
    CU_ASSERT_EQUAL(c.heap.arenas[0].address, glibc_builder_arena_address(builder, 0));
    CU_ASSERT_EQUAL(c.heap.by_state[CW_CHUNK_BINNED].count, 100);
    CU_ASSERT_EQUAL(c.findings.items.count, 0);
    done(&c, builder);
}

/* No bin is empty: nothing shows an arena but the heap_info of a thread arena. */
static void finds_arenas_without_an_empty_bin(void)
{
    static const cw_addr chunks = 0x65000000;
    struct glibc_builder *builder = make(2);
    struct core_builder *core = glibc_builder_core(builder);
    core_builder_segment(core, chunks, 0x4000, CW_PROT_READ | CW_PROT_WRITE);
    for (unsigned i = 0; i < 2 * GLIBC_BIN_COUNT; i++) {
        cw_addr bin = glibc_builder_bin_address(builder, i % 2, i / 2 + 1);
        cw_addr chunk = chunks + (uint64_t)i * 0x20;
        core_builder_word(core, bin + 16, chunk);
        core_builder_word(core, bin + 24, chunk);
        core_builder_word(core, chunk + 16, bin);
        core_builder_word(core, chunk + 24, bin);
    }
    struct heap_case c;
    open(&c, builder);
    CU_ASSERT_EQUAL_FATAL(c.heap.arena_count, 2);
    CU_ASSERT_EQUAL(c.heap.arenas[0].address, glibc_builder_arena_address(builder, 0));
    CU_ASSERT_EQUAL(c.heap.arenas[0].kind, CW_ARENA_MAIN);
    CU_ASSERT_EQUAL(c.heap.arenas[1].address, glibc_builder_arena_address(builder, 1));
    CU_ASSERT_EQUAL(c.heap.by_state[CW_CHUNK_USED].count, 101);
    done(&c, builder);
}

static void a_broken_circle_keeps_what_it_reaches(void)
{
    struct glibc_builder *builder = make(3);
    /* The circle goes 0, 2, 1: the last one's link is lost. */
    core_builder_word(glibc_builder_core(builder),
                      glibc_builder_arena_address(builder, 1) + 2160,
                      0x4141414141414140);
    struct heap_case c;
    open(&c, builder);
    CU_ASSERT_EQUAL(c.heap.arena_count, 3);
    done(&c, builder);
}

/* Some other program data with self-pointing pairs, as lists have, is no arena. */
static void other_lists_are_no_arena(void)
{
    struct glibc_builder *builder = make(1);
    struct core_builder *core = glibc_builder_core(builder);
    core_builder_mapping(core, 0x600000, 0x2000, 0, "/bin/sample");
    core_builder_segment(core, 0x600000, 0x2000, CW_PROT_READ | CW_PROT_WRITE);
    for (uint64_t off = 0x100; off < 0x300; off += 16) {
        core_builder_word(core, 0x600000 + off, 0x600000 + off - 16);
        core_builder_word(core, 0x600000 + off + 8, 0x600000 + off - 16);
    }
    struct heap_case c;
    open(&c, builder);
    CU_ASSERT_EQUAL_FATAL(c.heap.arena_count, 1);
    CU_ASSERT_EQUAL(c.heap.arenas[0].address, glibc_builder_arena_address(builder, 0));
    done(&c, builder);
}

/* A cut core: libc's data is gone, one thread arena and brk memory are left. */
static void walks_brk_memory_without_its_arena(void)
{
    struct glibc_builder *builder = make(2);
    struct core_builder *core = glibc_builder_core(builder);
    for (uint64_t off = 0; off < 0x3000; off += 8) {
        core_builder_word(core, GLIBC_BUILDER_LIBC + off, 0);
    }
    struct heap_case c;
    open(&c, builder);
    CU_ASSERT_EQUAL_FATAL(c.heap.arena_count, 2);
    CU_ASSERT_EQUAL(c.heap.arenas[0].kind, CW_ARENA_MAIN);
    CU_ASSERT_EQUAL(c.heap.arenas[0].address, 0);
    CU_ASSERT_EQUAL(c.heap.arenas[0].by_state[CW_CHUNK_USED].count, 100);
    CU_ASSERT_EQUAL(c.heap.arenas[0].by_state[CW_CHUNK_TOP].count, 1);
    CU_ASSERT_EQUAL(c.heap.arenas[1].address, glibc_builder_arena_address(builder, 1));
    CU_ASSERT_EQUAL(heap_case_count(&c.coverage, "main-arena-missing"), 1);
    CU_ASSERT_EQUAL(c.findings.items.count, 0);
    done(&c, builder);
}

static void walks_brk_memory_with_nothing_else(void)
{
    struct glibc_builder *builder = make(1);
    struct core_builder *core = glibc_builder_core(builder);
    for (uint64_t off = 0; off < 0x3000; off += 8) {
        core_builder_word(core, GLIBC_BUILDER_LIBC + off, 0);
    }
    struct heap_case c;
    open(&c, builder);
    CU_ASSERT_EQUAL_FATAL(c.heap.arena_count, 1);
    CU_ASSERT_EQUAL(c.heap.by_state[CW_CHUNK_USED].count, 100);
    CU_ASSERT_STRING_EQUAL(c.heap.layout.name, "2.28-2.41");
    done(&c, builder);
}

/* The cache in front, and what little leads on from it, tell that it is brk memory. */
static void walks_brk_memory_that_is_damaged_early(void)
{
    struct glibc_builder *builder = make(1);
    struct core_builder *core = glibc_builder_core(builder);
    for (uint64_t off = 0; off < 0x3000; off += 8) {
        core_builder_word(core, GLIBC_BUILDER_LIBC + off, 0);
    }
    core_builder_word(core, GLIBC_BUILDER_BRK + 0x290 + UINT64_C(6) * 0x40 + 8, 0x41414141);
    struct heap_case c;
    open(&c, builder);
    CU_ASSERT_EQUAL_FATAL(c.heap.arena_count, 1);
    CU_ASSERT_EQUAL(c.heap.by_state[CW_CHUNK_USED].count, 99);
    CU_ASSERT_EQUAL(c.heap.by_state[CW_CHUNK_UNKNOWN].bytes, 0x40);
    CU_ASSERT_EQUAL(heap_case_count(&c.findings, "chunk-size"), 1);
    done(&c, builder);
}

/* The main arena's memory came from mmap: no brk, so sbrk_base is 0. */
static void finds_memory_that_mmap_gave(void)
{
    struct glibc_builder *builder = make(1);
    struct core_builder *core = glibc_builder_core(builder);
    cw_addr binned = glibc_builder_chunk(builder, 0, 0x210);
    glibc_builder_chunk(builder, 0, 0x20);
    glibc_builder_bin(builder, 0, binned, 33);
    core_builder_word(core, glibc_builder_mp_address(builder) + 96, 0);
    /* The sum no longer leads to the start. */
    core_builder_word(core,
                      glibc_builder_arena_address(builder, 0) + 2184,
                      GLIBC_BUILDER_BRK_BYTES + UINT64_C(0x100000000));
    struct heap_case c;
    open(&c, builder);
    CU_ASSERT_EQUAL(c.heap.by_state[CW_CHUNK_USED].count, 101);
    CU_ASSERT_EQUAL(heap_case_state(&c, binned), CW_CHUNK_BINNED);
    CU_ASSERT_EQUAL(heap_case_count(&c.findings, "arena-sum"), 1);
    done(&c, builder);
}

/* Without it a thread arena looks like a main one. */
static void a_lost_heap_info_makes_no_main_arena(void)
{
    for (unsigned mapped = 0; mapped < 2; mapped++) {
        struct glibc_builder *builder = make(3);
        struct core_builder *core = glibc_builder_core(builder);
        core_builder_word(core, glibc_builder_arena_address(builder, 1) - 48, 0x4141414141414141);
        for (uint64_t off = 0; off < 0x3000 && mapped == 0; off += 8) {
            core_builder_word(core, GLIBC_BUILDER_LIBC + off, 0);
        }
        struct heap_case c;
        open(&c, builder);
        CU_ASSERT_EQUAL_FATAL(c.heap.arena_count, 3);
        CU_ASSERT_EQUAL(c.heap.arenas[0].kind, CW_ARENA_MAIN);
        CU_ASSERT_EQUAL(c.heap.arenas[0].address,
                        mapped == 0 ? 0 : glibc_builder_arena_address(builder, 0));
        CU_ASSERT_EQUAL(c.heap.arenas[1].kind, CW_ARENA_THREAD);
        CU_ASSERT_EQUAL(c.heap.arenas[0].by_state[CW_CHUNK_USED].count, 100);
        CU_ASSERT_EQUAL(c.heap.arenas[1].by_state[CW_CHUNK_USED].count, 0);
        CU_ASSERT_EQUAL(c.heap.arenas[2].by_state[CW_CHUNK_USED].count, 1);
        CU_ASSERT_EQUAL(heap_case_count(&c.findings, "heap-info"), 1);
        done(&c, builder);
    }
}

enum {
    MANY = 1500,
    ARENA_BYTES = 2208,
    BINS_OFF = 112,
};

/* Module data full of arenas in one circle: each is followed once, and one is the main one. */
static void a_large_circle_is_followed_once(void)
{
    static const cw_addr data = 0x60000000;
    static const size_t size = (size_t)MANY * ARENA_BYTES + 0x1000;
    struct core_builder *core = core_builder_create(CW_ARCH_X86_64);
    core_builder_mapping(core, data, size, 0, "/bin/sample");
    uint8_t *bytes = core_builder_segment(core, data, size, CW_PROT_READ | CW_PROT_WRITE);
    for (uint64_t i = 0; i < MANY; i++) {
        uint64_t *words = (uint64_t *)(void *)(bytes + i * ARENA_BYTES + BINS_OFF);
        cw_addr bins = data + i * ARENA_BYTES + BINS_OFF;
        for (uint64_t word = 0; word < 254; word++) {
            words[word] = bins + word / 2 * 16 - 16;
        }
        words[256] = data + (i + 1) % MANY * ARENA_BYTES;
        words[259] = 0x1000;
        words[260] = 0x1000;
    }
    size_t core_bytes;
    const uint8_t *finished = core_builder_finish(core, &core_bytes);
    struct heap_case c;
    heap_case_open_bytes(&c, finished, core_bytes);
    CU_ASSERT_EQUAL(c.status, CW_OK);
    CU_ASSERT_EQUAL(c.heap.arena_count, MANY);
    CU_ASSERT_EQUAL(c.heap.arenas[0].kind, CW_ARENA_MAIN);
    CU_ASSERT_EQUAL(c.heap.arenas[1].kind, CW_ARENA_THREAD);
    CU_ASSERT_EQUAL(heap_case_count(&c.coverage, "arena-search-ended"), 0);
    CU_ASSERT(heap_case_close(&c));
    core_builder_destroy(core);
}

CW_TEST_MAIN("heap/glibc_arena",
             CW_TEST(lists_the_main_arena_first),
             CW_TEST(tolerates_two_damaged_bins),
             CW_TEST(finds_an_arena_with_few_empty_bins),
             CW_TEST(finds_arenas_without_an_empty_bin),
             CW_TEST(a_broken_circle_keeps_what_it_reaches),
             CW_TEST(other_lists_are_no_arena),
             CW_TEST(walks_brk_memory_without_its_arena),
             CW_TEST(walks_brk_memory_with_nothing_else),
             CW_TEST(walks_brk_memory_that_is_damaged_early),
             CW_TEST(finds_memory_that_mmap_gave),
             CW_TEST(a_lost_heap_info_makes_no_main_arena),
             CW_TEST(a_large_circle_is_followed_once))
