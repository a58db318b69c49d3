/* heap/glibc_compare: claims that memory refutes are findings, others are not. */
#include <string.h>

#include "heap/glibc_compare.h"
#include "support/unit.h"

enum { ARENA = 0x70200c60, MP = 0x70200340 };

struct compared {
    struct cw_budget budget;
    struct cw_arena memory;
    struct cw_notes findings;
    struct cw_heap heap;
    struct cw_heap_builder builder;
    struct glibc glibc;
    const char *evidence;
};

/* Of a heap laid out as in the rows that hold 2.`minor`. */
static void compare(struct compared *c, glibc_candidates rows, struct glibc_claims claims)
{
    struct glibc_arena arena = {.address = ARENA, .is_main = true};
    *c = (struct compared){0};
    cw_budget_init(&c->budget, UINT64_MAX);
    cw_arena_init(&c->memory, &c->budget);
    cw_notes_init(&c->findings, &c->memory);
    c->heap.memory = &c->memory;
    c->builder = (struct cw_heap_builder){.heap = &c->heap, .findings = &c->findings};
    c->glibc = (struct glibc){.builder = &c->builder, .candidates = rows};
    c->glibc.layout = glibc_pick(rows);
    c->glibc.mp.address = MP;
    cw_vector_init(&c->glibc.arenas, &c->budget, sizeof arena);
    CU_ASSERT(cw_vector_append(&c->glibc.arenas, &arena));
    c->evidence = glibc_compare(&c->glibc, &claims);
}

static size_t done(struct compared *c)
{
    size_t count = c->findings.items.count;
    for (size_t i = 0; i < count; i++) {
        CU_ASSERT_STRING_EQUAL(cw_note_at(&c->findings, i)->code, "layout-contradiction");
    }
    cw_vector_deinit(&c->glibc.arenas);
    cw_notes_deinit(&c->findings);
    cw_arena_deinit(&c->memory);
    CU_ASSERT_EQUAL(c->budget.used_bytes, 0);
    return count;
}

static glibc_candidates rows_of(enum glibc_tcache_form form, enum glibc_linking linking)
{
    return glibc_with_word_bytes(8) & glibc_with_tcache_form(form) & glibc_with_linking(linking);
}

static void nothing_said_is_nothing_refuted(void)
{
    struct compared c;
    compare(&c, glibc_with_word_bytes(8), (struct glibc_claims){0});
    CU_ASSERT_STRING_EQUAL(c.evidence, "");
    CU_ASSERT_EQUAL(done(&c), 0);
}

static void what_agrees_is_evidence(void)
{
    struct glibc_claims claims = {
        .minor = 36, .is_by_banner = true, .main_arena = ARENA, .arena_bytes = 2200, .mp = MP};
    struct compared c;
    compare(&c, rows_of(GLIBC_TCACHE_SHORT, GLIBC_LINKS_MANGLED), claims);
    CU_ASSERT_STRING_EQUAL(c.evidence, "; its banner agrees; the symbols main_arena and mp_ agree");
    CU_ASSERT_EQUAL(done(&c), 0);
}

/* Layouts are carried back to stable branches, up to a point; never forward. */
static void releases_are_compared(void)
{
    static const struct {
        enum glibc_tcache_form form;
        enum glibc_linking linking;
        unsigned minor;
        size_t findings;
    } cases[] = {
        {GLIBC_TCACHE_SHORT, GLIBC_LINKS_PLAIN, 28, 0},
        {GLIBC_TCACHE_SHORT, GLIBC_LINKS_PLAIN, 31, 0},
        {GLIBC_TCACHE_SHORT, GLIBC_LINKS_PLAIN, 27, 0},
        {GLIBC_TCACHE_SHORT, GLIBC_LINKS_PLAIN, 32, 1},
        {GLIBC_TCACHE_NONE, GLIBC_LINKS_PLAIN, 17, 0},
        {GLIBC_TCACHE_NONE, GLIBC_LINKS_PLAIN, 26, 1},
        {GLIBC_TCACHE_SHORT, GLIBC_LINKS_MANGLED, 41, 0},
        {GLIBC_TCACHE_SHORT, GLIBC_LINKS_MANGLED, 31, 1},
        {GLIBC_TCACHE_SHORT, GLIBC_LINKS_MANGLED, 42, 1},
        {GLIBC_TCACHE_SLOTS, GLIBC_LINKS_MANGLED, 41, 1},
        {GLIBC_TCACHE_SLOTS, GLIBC_LINKS_MANGLED, 44, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct glibc_claims claims = {.minor = cases[i].minor};
        struct compared c;
        compare(&c, rows_of(cases[i].form, cases[i].linking), claims);
        CU_ASSERT_STRING_EQUAL(c.evidence,
                               cases[i].findings > 0 ? "" : "; the name of its file agrees");
        CU_ASSERT_EQUAL(done(&c), cases[i].findings);
    }
}

static void symbols_are_compared(void)
{
    const struct glibc_claims cases[] = {
        {.main_arena = ARENA + 16, .mp = MP},
        {.main_arena = ARENA, .arena_bytes = 2112, .mp = MP},
        {.main_arena = ARENA, .arena_bytes = 2200, .mp = MP - 8},
    };
    static const char *const agreeing[] = {
        "; the symbol mp_ agrees", "; the symbol mp_ agrees", "; the symbol main_arena agrees"};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct compared c;
        compare(&c, rows_of(GLIBC_TCACHE_SHORT, GLIBC_LINKS_MANGLED), cases[i]);
        CU_ASSERT_STRING_EQUAL(c.evidence, agreeing[i]);
        CU_ASSERT_PTR_NOT_NULL(strstr(cw_note_at(&c.findings, 0)->text, "read as memory shows it"));
        CU_ASSERT_EQUAL(done(&c), 1);
    }
}

CW_TEST_MAIN("heap/glibc_compare",
             CW_TEST(nothing_said_is_nothing_refuted),
             CW_TEST(what_agrees_is_evidence),
             CW_TEST(releases_are_compared),
             CW_TEST(symbols_are_compared))
