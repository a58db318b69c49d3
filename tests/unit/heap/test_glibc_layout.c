/* heap/glibc_layout: the table against figures seen in real processes, and elimination. */
#include "heap/glibc_layout.h"
#include "support/unit.h"

/* Whether all rows of a release say so of their struct malloc_state, as gdb or a compiler do. */
static bool arena_is(unsigned word_bytes, unsigned minor, uint64_t bytes)
{
    size_t count;
    const struct glibc_layout *rows = glibc_layouts(&count);
    unsigned matches = 0;
    for (size_t i = 0; i < count; i++) {
        bool is_release = rows[i].word_bytes == word_bytes && rows[i].first_minor <= minor &&
                          rows[i].last_minor >= minor;
        if (is_release && glibc_arena_bytes(&rows[i]) != bytes) {
            return false;
        }
        matches += is_release ? 1 : 0;
    }
    return matches > 0;
}

static void arenas_have_their_size(void)
{
    CU_ASSERT(arena_is(8, 21, 2184));
    CU_ASSERT(arena_is(8, 24, 2192));
    CU_ASSERT(arena_is(8, 31, 2200));
    CU_ASSERT(arena_is(8, 36, 2200));
    CU_ASSERT(arena_is(8, 42, 2200));
    CU_ASSERT(arena_is(8, 43, 2112));
    CU_ASSERT(arena_is(4, 21, 1104));
    CU_ASSERT(arena_is(4, 24, 1108));
    CU_ASSERT(arena_is(4, 31, 1116));
    CU_ASSERT(arena_is(4, 41, 1116));
    CU_ASSERT(arena_is(4, 43, 1068));
}

static void caches_have_their_size(void)
{
    CU_ASSERT_EQUAL(glibc_tcache_bytes(8, GLIBC_TCACHE_CHAR), 576);
    CU_ASSERT_EQUAL(glibc_tcache_bytes(8, GLIBC_TCACHE_SHORT), 640);
    CU_ASSERT_EQUAL(glibc_tcache_bytes(8, GLIBC_TCACHE_SLOTS), 760);
    CU_ASSERT_EQUAL(glibc_tcache_bytes(4, GLIBC_TCACHE_CHAR), 320);
    CU_ASSERT_EQUAL(glibc_tcache_bytes(4, GLIBC_TCACHE_SHORT), 384);
    CU_ASSERT_EQUAL(glibc_tcache_bytes(4, GLIBC_TCACHE_SLOTS), 456);
}

static void every_release_has_a_row(void)
{
    size_t count;
    const struct glibc_layout *rows = glibc_layouts(&count);
    for (unsigned word_bytes = 4; word_bytes <= 8; word_bytes += 4) {
        for (unsigned minor = 17; minor <= 44; minor++) {
            bool found = false;
            for (size_t i = 0; i < count; i++) {
                found |= rows[i].word_bytes == word_bytes && rows[i].first_minor <= minor &&
                         rows[i].last_minor >= minor;
            }
            CU_ASSERT(found);
        }
    }
}

static void narrowing_ignores_a_contradiction(void)
{
    glibc_candidates rows = glibc_with_word_bytes(8);
    CU_ASSERT(glibc_narrow(&rows, glibc_with_bins_off(112)));
    CU_ASSERT(glibc_narrow(&rows, glibc_with_mp_form(GLIBC_MP_2_35)));
    glibc_candidates before = rows;
    CU_ASSERT_FALSE(glibc_narrow(&rows, glibc_with_heap_info_bytes(32)));
    CU_ASSERT_FALSE(glibc_narrow(&rows, glibc_with_mmapped_rule(true)));
    CU_ASSERT_FALSE(glibc_narrow(&rows, glibc_with_linking(GLIBC_LINKS_PLAIN)));
    CU_ASSERT_FALSE(glibc_narrow(&rows, glibc_with_attached_threads(false)));
    CU_ASSERT_EQUAL(rows, before);
    unsigned first;
    unsigned last;
    glibc_release_range(rows, &first, &last);
    CU_ASSERT_EQUAL(first, 35);
    CU_ASSERT_EQUAL(last, 42);
    CU_ASSERT(glibc_narrow(&rows, glibc_with_tcache_form(GLIBC_TCACHE_SLOTS)));
    CU_ASSERT_EQUAL(glibc_pick(rows)->first_minor, 42);
}

CW_TEST_MAIN("heap/glibc_layout",
             CW_TEST(arenas_have_their_size),
             CW_TEST(caches_have_their_size),
             CW_TEST(every_release_has_a_row),
             CW_TEST(narrowing_ignores_a_contradiction))
