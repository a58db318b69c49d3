/* Asks the finders of foreign.def whose runtime was seen. */
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "heap/foreign_finder.h"

/* More elements than the lists of a sound process have: 2 TiB of PHP's chunks. */
enum { STEP_LIMIT = 1 << 20 };

static const struct {
    const char *owner;
    const char *label;
    const char *runtime;
    void (*find)(struct foreign_search *search);
} kinds[CW_FOREIGN_KIND_COUNT] = {
#define CW_FOREIGN(kind, owner, label, runtime, find) \
    [CW_FOREIGN_##kind] = {owner, label, runtime, foreign_find_##find},
#include "heap/foreign.def"
#undef CW_FOREIGN
};

const char *cw_foreign_owner(enum cw_foreign_kind kind)
{
    return kinds[kind].owner;
}

const char *cw_foreign_label(enum cw_foreign_kind kind)
{
    return kinds[kind].label;
}

const char *cw_foreign_runtime(enum cw_foreign_kind kind)
{
    return kinds[kind].runtime;
}

bool foreign_step(struct foreign_search *search)
{
    return !search->failed && search->step_count++ < STEP_LIMIT;
}

void foreign_find_none(struct foreign_search *search)
{
    (void)search;
}

void foreign_add(struct foreign_search *search,
                 enum cw_foreign_kind kind,
                 cw_addr start,
                 uint64_t size_bytes)
{
    uint64_t last;
    struct cw_foreign_range range = {start, size_bytes, kind};
    if (size_bytes > 0 && cw_add(start, size_bytes - 1, &last) &&
        !cw_vector_append(&search->ranges, &range)) {
        search->failed = true;
    }
}

void foreign_add_mapped(struct foreign_search *search,
                        enum cw_foreign_kind kind,
                        cw_addr start,
                        uint64_t size_bytes,
                        uint32_t protection)
{
    const struct cw_space *space = search->space;
    uint64_t mapped_bytes = 0;
    for (size_t i = cw_space_first_above(space, start);
         i < space->region_count && mapped_bytes < size_bytes;
         i++) {
        const struct cw_region *region = &space->regions[i];
        if (!cw_range_has(region->start, region->size_bytes, start + mapped_bytes) ||
            !cw_region_is_anonymous(region) || (region->protection & protection) != protection ||
            (mapped_bytes > 0 && !foreign_step(search))) {
            break;
        }
        mapped_bytes = region->start + (region->size_bytes - 1) - start + 1;
    }
    foreign_add(search, kind, start, cw_min(size_bytes, mapped_bytes));
}

const struct cw_region *foreign_region(const struct foreign_search *search, cw_addr address)
{
    const struct cw_region *region = cw_space_find(search->space, address);
    return region != NULL && cw_region_is_writable(region) && cw_region_is_anonymous(region)
               ? region
               : NULL;
}

const struct cw_foreign_range *cw_foreign_at(const struct cw_foreign *foreign, cw_addr address)
{
    for (size_t i = foreign->range_count; i > 0; i--) {
        const struct cw_foreign_range *range = &foreign->ranges[i - 1];
        if (cw_range_has(range->start, range->size_bytes, address)) {
            return range;
        }
    }
    return NULL;
}

static int compare_ranges(const void *left, const void *right)
{
    const struct cw_foreign_range *a = left;
    const struct cw_foreign_range *b = right;
    if (a->start != b->start) {
        return a->start < b->start ? -1 : 1;
    }
    if (a->size_bytes != b->size_bytes) {
        return a->size_bytes < b->size_bytes ? -1 : 1;
    }
    return a->kind < b->kind ? -1 : a->kind > b->kind;
}

static void find_all(struct foreign_search *search)
{
    for (size_t i = 0; i < CW_FOREIGN_KIND_COUNT; i++) {
        const struct cw_runtime_found *found = cw_image_runtime(search->image, kinds[i].runtime);
        if (found != NULL) {
            size_t count_before = search->ranges.count;
            search->module = found->module;
            kinds[i].find(search);
            if (search->failed) {
                search->ranges.count = count_before; /* what it would claim stays unknown */
                search->failed = false;
            }
        }
    }
}

static void drop_repeated(struct cw_vector *ranges)
{
    size_t kept = 0;
    cw_vector_sort(ranges, compare_ranges);
    for (size_t i = 0; i < ranges->count; i++) {
        const struct cw_foreign_range *range = cw_vector_at(ranges, i);
        if (kept == 0 || compare_ranges(cw_vector_at(ranges, kept - 1), range) != 0) {
            *(struct cw_foreign_range *)cw_vector_at(ranges, kept++) = *range;
        }
    }
    ranges->count = kept;
}

bool cw_foreign_find(const struct cw_space *space,
                     const struct cw_image *image,
                     struct cw_arena *memory,
                     struct cw_foreign *ret_foreign)
{
    struct foreign_search search = {.space = space, .image = image, .budget = memory->budget};
    cw_vector_init(&search.ranges, memory->budget, sizeof(struct cw_foreign_range));
    find_all(&search);
    drop_repeated(&search.ranges);
    struct cw_foreign foreign = {.range_count = search.ranges.count};
    foreign.ranges = cw_arena_alloc_array(memory, search.ranges.count, sizeof *foreign.ranges);
    bool made = (foreign.ranges != NULL || foreign.range_count == 0);
    if (made && foreign.range_count > 0) {
        memcpy(foreign.ranges, search.ranges.items, foreign.range_count * sizeof *foreign.ranges);
    }
    cw_vector_deinit(&search.ranges);
    if (made) {
        *ret_foreign = foreign;
    }
    return made;
}
