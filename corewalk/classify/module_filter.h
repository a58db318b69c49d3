/*
 * "May a module hold this address?" in a few instructions, for the first word of every chunk.
 *
 * Heap and modules interleave in the address space, so a lowest and a highest bound reject
 * little. A bit for each 64 KiB granule of the modules, at a hash of its number, rejects nearly
 * all words that point elsewhere; the few that pass are looked up in the sorted ranges.
 */
#pragma once

#include "image/image.h"

enum {
    CW_MODULE_FILTER_GRANULE_SHIFT = 16,
    CW_MODULE_FILTER_BITS = 1 << 16,
};

struct cw_filter_range {
    cw_addr start;
    uint64_t size_bytes;
};

struct cw_module_filter {
    uint64_t bits[CW_MODULE_FILTER_BITS / 64];
    struct cw_filter_range *ranges; /* sorted, disjoint */
    size_t range_count;
    uint64_t granule_count;  /* of which bits were set */
    uint64_t alignment_mask; /* of a word of the target */
};

/* The ranges live in `memory`. False: out of memory. */
bool cw_module_filter_init(struct cw_module_filter *filter,
                           const struct cw_image *image,
                           unsigned word_bytes,
                           struct cw_arena *memory);

/* The part that finds a granule's address in the ranges. */
bool cw_module_filter_search(const struct cw_module_filter *filter, cw_addr address);

static inline unsigned cw_module_filter_bit(cw_addr address)
{
    /* The golden ratio's bits spread neighbouring granules over the table. */
    uint64_t granule = address >> CW_MODULE_FILTER_GRANULE_SHIFT;
    return (unsigned)((granule * 0x9e3779b97f4a7c15U) >> 48);
}

/* Is it word-aligned, and inside some module's range? */
static inline bool cw_module_filter_has(const struct cw_module_filter *filter, cw_addr address)
{
    unsigned bit = cw_module_filter_bit(address);
    return (address & filter->alignment_mask) == 0 &&
           (filter->bits[bit / 64] >> (bit % 64) & 1) != 0 &&
           cw_module_filter_search(filter, address);
}
