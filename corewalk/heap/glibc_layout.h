/*
 * The layouts of glibc's malloc, 2.17 to 2.44: one table, a row for each set of releases that
 * cannot be told apart in memory.
 *
 * struct malloc_state (an arena). From `top` on it is the same in every release, so that all
 * follows from where the bins are:
 *
 *   0 mutex, flags, [have_fastchunks, from 2.27 on] [fastbins, up to 2.42]
 *     ── top_off = bins_off - 2W
 *     top | last_remainder | bins: 254 words | binmap: 16 bytes | next | next_free |
 *     [attached_threads, from 2.23 on] | system_mem | max_system_mem
 *
 * Bin i (1 … 127) is the pair of words (fd, bk) at bins + 2W(i-1); it poses as a chunk whose fd
 * lies there, so that an empty bin points to bins + 2W(i-1) - 2W twice.
 *
 * heap_info, at the start of each heap of a thread arena (aligned to its largest size):
 *
 *   ar_ptr | prev | size | mprotect_size | [pagesize, from 2.35 on] | padding
 *
 * Evidence: the declarations of every release compiled for both word sizes, and looked at with
 * gdb in 2.31, 2.36, 2.41, 2.43 and 2.44. Stable branches and vendors carry layouts back, so the
 * ranges overlap (attached_threads is on the 2.22 branch, have_fastchunks on 2.26, tcache's
 * 16-bit counts on 2.28), and a version string decides nothing.
 */
#pragma once

#include "base/types.h"

enum {
    GLIBC_BIN_COUNT = 127,
    GLIBC_BIN_WORDS = 2 * GLIBC_BIN_COUNT,
    GLIBC_BINMAP_BYTES = 16,
};

/*
 * struct malloc_par (mp_): where the fields lie that we need. Before n_mmaps all forms have
 * trim_threshold, top_pad, mmap_threshold, arena_test, arena_max, one word each.
 */
enum glibc_mp_form {
    GLIBC_MP_2_17, /* has max_total_mem before sbrk_base */
    GLIBC_MP_2_24,
    GLIBC_MP_2_26, /* tcache's words appended */
    GLIBC_MP_2_35, /* huge page words before n_mmaps */
    GLIBC_MP_2_43, /* thp_mode before those */
    GLIBC_MP_FORM_COUNT,
};

struct glibc_mp_offsets {
    uint16_t hp_pagesize; /* 0: not there; likewise tcache_bins */
    uint16_t n_mmaps;     /* int; then n_mmaps_max, max_n_mmaps, no_dyn_threshold */
    uint16_t mmapped_mem; /* word; then max_mmapped_mem */
    uint16_t sbrk_base;
    uint16_t tcache_bins; /* word; then tcache_max_bytes, tcache_count */
};

/* struct tcache_perthread_struct, the content of an ordinary chunk. */
enum glibc_tcache_form {
    GLIBC_TCACHE_NONE,
    GLIBC_TCACHE_CHAR,  /* char counts[64]; entries[64] */
    GLIBC_TCACHE_SHORT, /* uint16_t counts[64]; entries[64] */
    GLIBC_TCACHE_SLOTS, /* uint16_t num_slots[76], free ones left; entries[76] */
    GLIBC_TCACHE_FORM_COUNT,
};

struct glibc_tcache_layout {
    uint8_t count_bytes;
    uint8_t bin_count;
    uint8_t small_bin_count; /* bin i holds chunks of min_size + i * alignment */
};

enum glibc_linking {
    GLIBC_LINKS_PLAIN,
    GLIBC_LINKS_MANGLED, /* (address of the field >> 12) ^ pointer: safe-linking, from 2.32 on */
};

struct glibc_layout {
    uint8_t word_bytes;
    uint8_t first_minor; /* of the releases: 2.first to 2.last */
    uint8_t last_minor;
    uint8_t alignment; /* of what malloc returns */
    uint16_t bins_off;
    uint8_t fastbins_off; /* meaningless without fastbins */
    uint8_t fastbin_count;
    bool has_attached_threads;
    bool mmapped_excludes_header; /* an mmapped chunk's size: mapping - offset - 2W */
    uint8_t heap_info_bytes;
    enum glibc_mp_form mp_form;
    enum glibc_tcache_form tcache_form;
    enum glibc_linking linking;
};

enum { GLIBC_LAYOUT_LIMIT = 32 };

/* All rows, both word sizes; fewer than GLIBC_LAYOUT_LIMIT. */
const struct glibc_layout *glibc_layouts(size_t *ret_count);

const struct glibc_mp_offsets *glibc_mp_offsets(uint64_t word_bytes, enum glibc_mp_form form);
const struct glibc_tcache_layout *glibc_tcache_layout(enum glibc_tcache_form form);

/* Bytes of the struct, without the chunk header around it. */
uint64_t glibc_tcache_bytes(uint64_t word_bytes, enum glibc_tcache_form form);

/* sizeof(struct malloc_state). */
uint64_t glibc_arena_bytes(const struct glibc_layout *layout);

/*
 * A set of rows that may be the right one, by elimination: bit i is row i. Narrowing never leaves
 * the set empty: a probe that contradicts all that is left is ignored, and false returned.
 */
typedef uint32_t glibc_candidates;

bool glibc_narrow(glibc_candidates *candidates, glibc_candidates matching);
glibc_candidates glibc_with_word_bytes(uint64_t word_bytes);
glibc_candidates glibc_with_bins_off(uint64_t bins_off);
glibc_candidates glibc_with_attached_threads(bool has_attached_threads);
glibc_candidates glibc_with_heap_info_bytes(uint64_t heap_info_bytes);
glibc_candidates glibc_with_mp_form(enum glibc_mp_form form);
glibc_candidates glibc_with_tcache_form(enum glibc_tcache_form form);
glibc_candidates glibc_with_linking(enum glibc_linking linking);
glibc_candidates glibc_with_mmapped_rule(bool excludes_header);

/* The newest row of a set that is not empty. */
const struct glibc_layout *glibc_pick(glibc_candidates candidates);

/* First and last release that the set allows. */
void glibc_release_range(glibc_candidates candidates, unsigned *ret_first, unsigned *ret_last);
