/* heap/glibc_check, glibc_blame, glibc_unfinished, damage: integrity checks of synthetic heaps. */
#include <string.h>

#include "heap/damage.h"
#include "heap/glibc_check.h"
#include "support/glibc_builder.h"
#include "support/unit.h"

enum { CHUNK_COUNT = 40 };

struct fixture {
    struct glibc_builder *builder;
    struct core_builder *core;
    cw_addr chunks[CHUNK_COUNT];
};

static const struct glibc_layout *modern(void)
{
    return glibc_pick(glibc_with_word_bytes(8) & glibc_with_mp_form(GLIBC_MP_2_35) &
                      glibc_with_tcache_form(GLIBC_TCACHE_SHORT));
}

static struct fixture make(unsigned arena_count, uint64_t bytes)
{
    struct fixture fixture = {.builder = glibc_builder_create(modern())};
    fixture.core = glibc_builder_core(fixture.builder);
    glibc_builder_thread(fixture.builder, 0);
    for (unsigned i = 0; i < arena_count; i++) {
        glibc_builder_arena(fixture.builder);
    }
    for (unsigned i = 0; i < CHUNK_COUNT; i++) {
        fixture.chunks[i] = glibc_builder_chunk(fixture.builder, arena_count, bytes);
    }
    return fixture;
}

/* Exactly this one finding, there, and blaming that block. */
static void expect(struct fixture *fixture, const char *code, cw_addr address, cw_addr culprit)
{
    struct heap_case c;
    heap_case_open(&c, fixture->builder);
    CU_ASSERT_EQUAL_FATAL(c.status, CW_OK);
    CU_ASSERT_PTR_NULL(heap_case_check(&c));
    CU_ASSERT_EQUAL_FATAL(c.findings.items.count, code != NULL ? 1 : 0);
    if (code != NULL) {
        const struct cw_note *note = cw_note_at(&c.findings, 0);
        CU_ASSERT_STRING_EQUAL(note->code, code);
        CU_ASSERT_EQUAL(note->address, address);
        CU_ASSERT_EQUAL(note->culprit, culprit);
        CU_ASSERT_PTR_NOT_NULL(cw_damage_kind(code));
    }
    CU_ASSERT(heap_case_close(&c));
    glibc_builder_destroy(fixture->builder);
}

static void a_footer_that_disagrees(void)
{
    struct fixture fixture = make(0, 0x70);
    glibc_builder_bin(fixture.builder, 0, fixture.chunks[7], 7);
    core_builder_word(fixture.core, fixture.chunks[8], 0x80);
    expect(&fixture, "footer", fixture.chunks[7], fixture.chunks[7] + 16);
}

static void a_lost_bit_is_a_zero_too_many(void)
{
    struct fixture fixture = make(0, 0x100);
    core_builder_word(fixture.core, fixture.chunks[8] + 8, 0x100);
    expect(&fixture, "prev-inuse", fixture.chunks[8], fixture.chunks[7] + 16);
}

static void free_neighbours(void)
{
    struct fixture fixture = make(0, 0x70);
    glibc_builder_bin(fixture.builder, 0, fixture.chunks[7], 7);
    glibc_builder_bin(fixture.builder, 0, fixture.chunks[9], 7);
    cw_addr between = fixture.chunks[8];
    cw_addr head = glibc_builder_bin_address(fixture.builder, 0, 1);
    core_builder_word(fixture.core, between + 16, head);
    core_builder_word(fixture.core, between + 24, head);
    core_builder_word(fixture.core, head + 16, between);
    core_builder_word(fixture.core, head + 24, between);
    core_builder_word(fixture.core, fixture.chunks[9], 0x70);
    core_builder_word(fixture.core, fixture.chunks[9] + 8, 0x70);
    struct heap_case c;
    heap_case_open(&c, fixture.builder);
    CU_ASSERT_EQUAL(heap_case_count(&c.findings, "free-neighbours"), 2);
    CU_ASSERT_EQUAL(c.findings.items.count, 2);
    CU_ASSERT(heap_case_close(&c));
    glibc_builder_destroy(fixture.builder);
}

static void a_flag_of_the_wrong_arena(void)
{
    struct fixture fixture = make(1, 0x70);
    core_builder_word(fixture.core, fixture.chunks[8] + 8, 0x71);
    expect(&fixture, "arena-flag", fixture.chunks[8], fixture.chunks[7] + 16);
}

static void a_map_that_hides_a_bin(void)
{
    struct fixture fixture = make(0, 0x70);
    glibc_builder_bin(fixture.builder, 0, fixture.chunks[7], 7);
    cw_addr map = glibc_builder_bin_address(fixture.builder, 0, 2) + GLIBC_BIN_WORDS * 8;
    core_builder_word(fixture.core, map, 0);
    expect(&fixture, "binmap", map, 0);
}

static void a_chunk_in_the_wrong_bin(void)
{
    struct fixture fixture = make(0, 0x70);
    glibc_builder_bin(fixture.builder, 0, fixture.chunks[7], 9);
    expect(&fixture, "bin-size", fixture.chunks[7], fixture.chunks[7] + 16);
}

/* One byte behind a block: the size still looks like one, and leads into content. */
static struct fixture make_overflow_by_a_byte(uint64_t referred_off)
{
    struct fixture fixture = make(0, 0x90);
    core_builder_word(fixture.core, fixture.chunks[8], UINT64_C(0x4141414141414141));
    core_builder_word(fixture.core, fixture.chunks[8] + 8, 0x41);
    if (referred_off != 0) {
        core_builder_word(fixture.core, fixture.chunks[20] + 16, fixture.chunks[8] + referred_off);
    }
    return fixture;
}

static void an_overflow_by_a_byte(void)
{
    struct fixture fixture = make_overflow_by_a_byte(16);
    expect(&fixture, "chunk-size", fixture.chunks[8], fixture.chunks[7] + 16);
}

/* It may as well be that the size is right, and text ends in front of it. */
static void a_byte_that_looks_like_an_overflow(void)
{
    struct fixture fixture = make_overflow_by_a_byte(0);
    expect(&fixture, "chunk-size", fixture.chunks[8] + 0x40, 0);
    fixture = make_overflow_by_a_byte(24);
    expect(&fixture, "chunk-size", fixture.chunks[8] + 0x40, 0);
}

/* Strings that are referred to behind a header of their own, full to the end: one is too long. */
static void blocks_referred_to_inside(void)
{
    struct fixture fixture = make(0, 0x20);
    for (unsigned i = 0; i + 20 < CHUNK_COUNT; i++) {
        for (unsigned off = 16; off < 40; off += 8) {
            core_builder_word(fixture.core, fixture.chunks[i] + off, 0x6161616161616161);
        }
        core_builder_word(fixture.core, fixture.chunks[i + 20] + 16, fixture.chunks[i] + 24);
    }
    core_builder_word(fixture.core, fixture.chunks[9] + 8, 0x6161616161616161);
    expect(&fixture, "chunk-size", fixture.chunks[9], fixture.chunks[8] + 16);
}

/* The size leads too far, into a block that something refers to. */
static void a_size_that_leads_too_far(void)
{
    struct fixture fixture = make(0, 0x90);
    core_builder_word(fixture.core, fixture.chunks[20] + 16, fixture.chunks[9] + 16);
    core_builder_word(fixture.core, fixture.chunks[8] + 8, 0x90 + 0x41);
    expect(&fixture, "chunk-size", fixture.chunks[8], fixture.chunks[7] + 16);
}

static void many_of_a_kind_are_summed_up(void)
{
    struct fixture fixture = make(1, 0x70);
    for (unsigned i = 1; i < CHUNK_COUNT; i++) {
        core_builder_word(fixture.core, fixture.chunks[i] + 8, 0x71);
    }
    struct heap_case c;
    heap_case_open(&c, fixture.builder);
    CU_ASSERT_EQUAL_FATAL(heap_case_count(&c.findings, "arena-flag"), 21);
    CU_ASSERT_PTR_NOT_NULL(strstr(cw_note_at(&c.findings, 20)->text, "19 more"));
    CU_ASSERT_EQUAL(cw_note_at(&c.findings, 20)->more_count, 18);
    CU_ASSERT(heap_case_close(&c));
    glibc_builder_destroy(fixture.builder);
}

static unsigned bin_of(uint64_t word_bytes, uint64_t alignment, uint64_t chunk_bytes)
{
    struct glibc glibc = {.word_bytes = word_bytes, .alignment = alignment};
    return glibc_bin_of(&glibc, chunk_bytes);
}

/* Against what malloc_info shows of bins, and the macros of malloc.c. */
static void bins_of_sizes(void)
{
    CU_ASSERT_EQUAL(bin_of(8, 16, 0x20), 2);
    CU_ASSERT_EQUAL(bin_of(8, 16, 0x3f0), 63);
    CU_ASSERT_EQUAL(bin_of(8, 16, 0x400), 64);
    CU_ASSERT_EQUAL(bin_of(8, 16, 0x430), 64);
    CU_ASSERT_EQUAL(bin_of(8, 16, 0x440), 65);
    CU_ASSERT_EQUAL(bin_of(8, 16, 3136), 97);
    CU_ASSERT_EQUAL(bin_of(8, 16, 10752), 112);
    CU_ASSERT_EQUAL(bin_of(8, 16, 1 << 20), 126);
    CU_ASSERT_EQUAL(bin_of(4, 8, 16), 2);
    CU_ASSERT_EQUAL(bin_of(4, 8, 504), 63);
    CU_ASSERT_EQUAL(bin_of(4, 8, 512), 64);
    CU_ASSERT_EQUAL(bin_of(4, 16, 16), 2);
    CU_ASSERT_EQUAL(bin_of(4, 16, 992), 63);
    CU_ASSERT_EQUAL(bin_of(4, 16, 1008), 64);
}

static void texts_of_the_library(void)
{
    CU_ASSERT(cw_damage_is_heap_text("double free or corruption (!prev)"));
    CU_ASSERT(cw_damage_is_heap_text("*** Error in `./a.out': free(): invalid pointer: 0x1 ***"));
    CU_ASSERT(!cw_damage_is_heap_text("*** stack smashing detected ***: terminated"));
    CU_ASSERT(cw_damage_is_libc_text("*** stack smashing detected ***: terminated"));
    CU_ASSERT(cw_damage_is_libc_text("server: main.c:12: main: Assertion `n > 0' failed."));
    CU_ASSERT(!cw_damage_is_libc_text("the user's own text"));
    CU_ASSERT_PTR_NULL(cw_damage_kind("no-such-code"));
}

static void programs_are_not_named(void)
{
    CU_ASSERT_STRING_EQUAL(
        cw_damage_unframed("*** Error in `./a': free(): invalid pointer: 0x1 ***"),
        "free(): invalid pointer: 0x1 ***");
    CU_ASSERT_STRING_EQUAL(cw_damage_unframed("a: malloc.c:2401: sysmalloc: Assertion `x' failed."),
                           "malloc.c:2401: sysmalloc: Assertion `x' failed.");
    CU_ASSERT_STRING_EQUAL(cw_damage_unframed("free(): invalid size"), "free(): invalid size");
}

static void releases_of_versions(void)
{
    CU_ASSERT_EQUAL(cw_damage_release("2.36"), 36);
    CU_ASSERT_EQUAL(cw_damage_release("2.36-9+deb12u4"), 36);
    CU_ASSERT_EQUAL(cw_damage_release("2.42.9000"), 43);
    CU_ASSERT_EQUAL(cw_damage_release("2.31.1"), 31);
    CU_ASSERT_EQUAL(cw_damage_release("3.1"), 0);
}

CW_TEST_MAIN("heap/glibc_check",
             CW_TEST(a_footer_that_disagrees),
             CW_TEST(a_lost_bit_is_a_zero_too_many),
             CW_TEST(free_neighbours),
             CW_TEST(a_flag_of_the_wrong_arena),
             CW_TEST(a_map_that_hides_a_bin),
             CW_TEST(a_chunk_in_the_wrong_bin),
             CW_TEST(an_overflow_by_a_byte),
             CW_TEST(a_byte_that_looks_like_an_overflow),
             CW_TEST(blocks_referred_to_inside),
             CW_TEST(a_size_that_leads_too_far),
             CW_TEST(many_of_a_kind_are_summed_up),
             CW_TEST(bins_of_sizes),
             CW_TEST(texts_of_the_library),
             CW_TEST(programs_are_not_named),
             CW_TEST(releases_of_versions))
