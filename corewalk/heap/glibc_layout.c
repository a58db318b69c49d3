/* The table of glibc_layout.h, and elimination over it. */
#include "heap/glibc_layout.h"

/* clang-format off */
static const struct glibc_layout layouts[] = {
    /* word, releases, align, bins, fastbins, attached, mmapped, heap_info, mp, tcache, links */
    {8, 17, 22, 16, 104,  8, 10, false, false, 32, GLIBC_MP_2_17, GLIBC_TCACHE_NONE,  GLIBC_LINKS_PLAIN},
    {8, 22, 23, 16, 104,  8, 10, true,  false, 32, GLIBC_MP_2_17, GLIBC_TCACHE_NONE,  GLIBC_LINKS_PLAIN},
    {8, 24, 25, 16, 104,  8, 10, true,  false, 32, GLIBC_MP_2_24, GLIBC_TCACHE_NONE,  GLIBC_LINKS_PLAIN},
    {8, 26, 26, 16, 104,  8, 10, true,  false, 32, GLIBC_MP_2_26, GLIBC_TCACHE_CHAR,  GLIBC_LINKS_PLAIN},
    {8, 26, 29, 16, 112, 16, 10, true,  false, 32, GLIBC_MP_2_26, GLIBC_TCACHE_CHAR,  GLIBC_LINKS_PLAIN},
    {8, 28, 31, 16, 112, 16, 10, true,  false, 32, GLIBC_MP_2_26, GLIBC_TCACHE_SHORT, GLIBC_LINKS_PLAIN},
    {8, 32, 34, 16, 112, 16, 10, true,  false, 32, GLIBC_MP_2_26, GLIBC_TCACHE_SHORT, GLIBC_LINKS_MANGLED},
    {8, 35, 41, 16, 112, 16, 10, true,  false, 48, GLIBC_MP_2_35, GLIBC_TCACHE_SHORT, GLIBC_LINKS_MANGLED},
    {8, 42, 42, 16, 112, 16, 10, true,  false, 48, GLIBC_MP_2_35, GLIBC_TCACHE_SLOTS, GLIBC_LINKS_MANGLED},
    {8, 43, 44, 16,  24,  0,  0, true,  true,  48, GLIBC_MP_2_43, GLIBC_TCACHE_SLOTS, GLIBC_LINKS_MANGLED},

    {4, 17, 22,  8,  56,  8, 10, false, false, 16, GLIBC_MP_2_17, GLIBC_TCACHE_NONE,  GLIBC_LINKS_PLAIN},
    {4, 22, 23,  8,  56,  8, 10, true,  false, 16, GLIBC_MP_2_17, GLIBC_TCACHE_NONE,  GLIBC_LINKS_PLAIN},
    {4, 24, 25,  8,  56,  8, 10, true,  false, 16, GLIBC_MP_2_24, GLIBC_TCACHE_NONE,  GLIBC_LINKS_PLAIN},
    {4, 26, 26, 16,  60,  8, 11, true,  false, 24, GLIBC_MP_2_26, GLIBC_TCACHE_CHAR,  GLIBC_LINKS_PLAIN},
    {4, 26, 29, 16,  64, 12, 11, true,  false, 24, GLIBC_MP_2_26, GLIBC_TCACHE_CHAR,  GLIBC_LINKS_PLAIN},
    {4, 28, 31, 16,  64, 12, 11, true,  false, 24, GLIBC_MP_2_26, GLIBC_TCACHE_SHORT, GLIBC_LINKS_PLAIN},
    {4, 32, 34, 16,  64, 12, 11, true,  false, 24, GLIBC_MP_2_26, GLIBC_TCACHE_SHORT, GLIBC_LINKS_MANGLED},
    {4, 35, 41, 16,  64, 12, 11, true,  false, 24, GLIBC_MP_2_35, GLIBC_TCACHE_SHORT, GLIBC_LINKS_MANGLED},
    {4, 42, 42, 16,  64, 12, 11, true,  false, 24, GLIBC_MP_2_35, GLIBC_TCACHE_SLOTS, GLIBC_LINKS_MANGLED},
    {4, 43, 44, 16,  16,  0,  0, true,  true,  24, GLIBC_MP_2_43, GLIBC_TCACHE_SLOTS, GLIBC_LINKS_MANGLED},
};

/* hp_pagesize, n_mmaps, mmapped_mem, sbrk_base, tcache_bins */
static const struct glibc_mp_offsets mp_offsets[2][GLIBC_MP_FORM_COUNT] = {
    {
        [GLIBC_MP_2_17] = { 0, 20, 36, 48,  0},
        [GLIBC_MP_2_24] = { 0, 20, 36, 44,  0},
        [GLIBC_MP_2_26] = { 0, 20, 36, 44, 48},
        [GLIBC_MP_2_35] = {24, 32, 48, 56, 60},
        [GLIBC_MP_2_43] = {28, 36, 52, 60, 64},
    },
    {
        [GLIBC_MP_2_17] = { 0, 40, 56,  80,   0},
        [GLIBC_MP_2_24] = { 0, 40, 56,  72,   0},
        [GLIBC_MP_2_26] = { 0, 40, 56,  72,  80},
        [GLIBC_MP_2_35] = {48, 60, 80,  96, 104},
        [GLIBC_MP_2_43] = {56, 68, 88, 104, 112},
    },
};

static const struct glibc_tcache_layout tcache_layouts[GLIBC_TCACHE_FORM_COUNT] = {
    [GLIBC_TCACHE_NONE]  = {0,  0,  0},
    [GLIBC_TCACHE_CHAR]  = {1, 64, 64},
    [GLIBC_TCACHE_SHORT] = {2, 64, 64},
    [GLIBC_TCACHE_SLOTS] = {2, 76, 64},
};
/* clang-format on */

enum { LAYOUT_COUNT = sizeof layouts / sizeof layouts[0] };
_Static_assert((int)LAYOUT_COUNT < (int)GLIBC_LAYOUT_LIMIT, "the candidate set is 32 bits wide");

const struct glibc_layout *glibc_layouts(size_t *ret_count)
{
    *ret_count = LAYOUT_COUNT;
    return layouts;
}

const struct glibc_mp_offsets *glibc_mp_offsets(uint64_t word_bytes, enum glibc_mp_form form)
{
    return &mp_offsets[word_bytes == 8][form];
}

const struct glibc_tcache_layout *glibc_tcache_layout(enum glibc_tcache_form form)
{
    return &tcache_layouts[form];
}

uint64_t glibc_tcache_bytes(uint64_t word_bytes, enum glibc_tcache_form form)
{
    const struct glibc_tcache_layout *layout = &tcache_layouts[form];
    return (uint64_t)layout->bin_count * (layout->count_bytes + word_bytes);
}

uint64_t glibc_arena_bytes(const struct glibc_layout *layout)
{
    unsigned words = GLIBC_BIN_WORDS + 2 + 2 + (layout->has_attached_threads ? 1 : 0);
    return layout->bins_off + GLIBC_BINMAP_BYTES + (uint64_t)words * layout->word_bytes;
}

bool glibc_narrow(glibc_candidates *candidates, glibc_candidates matching)
{
    if ((*candidates & matching) == 0) {
        return false;
    }
    *candidates &= matching;
    return true;
}

/* The rows for which `condition`, over `row`, holds. */
#define ROWS_WHERE(condition)                             \
    ({                                                    \
        glibc_candidates rows = 0;                        \
        for (unsigned i = 0; i < LAYOUT_COUNT; i++) {     \
            const struct glibc_layout *row = &layouts[i]; \
            rows |= (glibc_candidates)(condition) << i;   \
        }                                                 \
        rows;                                             \
    })

glibc_candidates glibc_with_word_bytes(uint64_t word_bytes)
{
    return ROWS_WHERE(row->word_bytes == word_bytes);
}

glibc_candidates glibc_with_bins_off(uint64_t bins_off)
{
    return ROWS_WHERE(row->bins_off == bins_off);
}

glibc_candidates glibc_with_attached_threads(bool has_attached_threads)
{
    return ROWS_WHERE(row->has_attached_threads == has_attached_threads);
}

glibc_candidates glibc_with_heap_info_bytes(uint64_t heap_info_bytes)
{
    return ROWS_WHERE(row->heap_info_bytes == heap_info_bytes);
}

glibc_candidates glibc_with_mp_form(enum glibc_mp_form form)
{
    return ROWS_WHERE(row->mp_form == form);
}

glibc_candidates glibc_with_tcache_form(enum glibc_tcache_form form)
{
    return ROWS_WHERE(row->tcache_form == form);
}

glibc_candidates glibc_with_linking(enum glibc_linking linking)
{
    return ROWS_WHERE(row->linking == linking);
}

glibc_candidates glibc_with_mmapped_rule(bool excludes_header)
{
    return ROWS_WHERE(row->mmapped_excludes_header == excludes_header);
}

const struct glibc_layout *glibc_pick(glibc_candidates candidates)
{
    return &layouts[31 - __builtin_clz(candidates)];
}

void glibc_release_range(glibc_candidates candidates, unsigned *ret_first, unsigned *ret_last)
{
    *ret_first = layouts[__builtin_ctz(candidates)].first_minor;
    *ret_last = glibc_pick(candidates)->last_minor;
}
