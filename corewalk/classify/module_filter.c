/* The module filter: a one-hash Bloom filter over granules before a binary search. */
#include "classify/module_filter.h"

#include <string.h>

#include "base/checked.h"

/* Beyond this share of the table (1/4) a bit says too little to be worth setting more. */
enum { GRANULE_LIMIT = CW_MODULE_FILTER_BITS / 4 };

static void set_bits(struct cw_module_filter *filter, cw_addr start, uint64_t size_bytes)
{
    uint64_t first = start >> CW_MODULE_FILTER_GRANULE_SHIFT;
    uint64_t count = ((start + (size_bytes - 1)) >> CW_MODULE_FILTER_GRANULE_SHIFT) - first + 1;
    if (filter->granule_count > GRANULE_LIMIT || count > GRANULE_LIMIT) {
        memset(filter->bits, 0xff, sizeof filter->bits);
        filter->granule_count = GRANULE_LIMIT + 1;
        return;
    }
    filter->granule_count += count;
    for (uint64_t granule = first; granule < first + count; granule++) {
        unsigned bit = cw_module_filter_bit(granule << CW_MODULE_FILTER_GRANULE_SHIFT);
        filter->bits[bit / 64] |= 1ULL << (bit % 64);
    }
}

/* Adds a module's range, or what the ranges before it leave of it: modules may overlap. */
static void add_range(struct cw_module_filter *filter, cw_addr start, uint64_t size_bytes)
{
    uint64_t size = cw_min(size_bytes, UINT64_MAX - start);
    struct cw_filter_range *last =
        filter->range_count > 0 ? &filter->ranges[filter->range_count - 1] : NULL;
    if (size == 0) {
        return;
    }
    set_bits(filter, start, size);
    if (last != NULL && cw_range_has(last->start, last->size_bytes, start)) {
        last->size_bytes = cw_max(last->size_bytes, start - last->start + size);
        return;
    }
    filter->ranges[filter->range_count++] = (struct cw_filter_range){start, size};
}

bool cw_module_filter_init(struct cw_module_filter *filter,
                           const struct cw_image *image,
                           unsigned word_bytes,
                           struct cw_arena *memory)
{
    memset(filter, 0, sizeof *filter);
    filter->alignment_mask = word_bytes - 1;
    filter->ranges = cw_arena_alloc_array(memory, image->module_count, sizeof *filter->ranges);
    if (filter->ranges == NULL) {
        return false;
    }
    for (size_t i = 0; i < image->module_count; i++) {
        add_range(filter, image->modules[i].start, image->modules[i].size_bytes);
    }
    return true;
}

bool cw_module_filter_search(const struct cw_module_filter *filter, cw_addr address)
{
    size_t low = 0;
    size_t high = filter->range_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (filter->ranges[middle].start <= address) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low > 0 &&
           cw_range_has(filter->ranges[low - 1].start, filter->ranges[low - 1].size_bytes, address);
}
