/*
 * The address space: making regions of segments, looking them up, and overlaying files.
 *
 * A segment becomes up to three runs of one provenance, and each run is cut where the mapping
 * behind it changes:
 *
 *     segment    |────── held ──────|─ truncated ─|─ not dumped ─|
 *     mappings      |─ libx ─|
 *     regions    |──|────────|──────|─────────────|──────────────|
 */
#include "space/space.h"

#include <string.h>

#include "base/checked.h"
#include "space/fetch.h"

static cw_addr last_of(cw_addr start, uint64_t size)
{
    return start + (size - 1);
}

/* ---- regions ----------------------------------------------------------------------------- */

/* Two mappings of one file, the second of which goes on where the first one ends. */
static bool mapping_continues(const struct cw_target *target,
                              const struct cw_region *region,
                              const struct cw_region *next)
{
    if (region->mapping_index == next->mapping_index) {
        return true;
    }
    if (region->mapping_index == CW_NONE || next->mapping_index == CW_NONE) {
        return false;
    }
    const struct cw_mapping *first = &target->mappings[region->mapping_index];
    const struct cw_mapping *second = &target->mappings[next->mapping_index];
    return second->file_off - first->file_off == second->start - first->start &&
           strcmp(first->path, second->path) == 0;
}

static bool data_continues(const struct cw_region *region, const struct cw_region *next)
{
    if (region->data == NULL || next->data == NULL) {
        return region->data == next->data && region->fetch_index == next->fetch_index;
    }
    return (uintptr_t)region->data + region->size_bytes == (uintptr_t)next->data;
}

static bool is_continued(const struct cw_target *target,
                         const struct cw_region *region,
                         const struct cw_region *next)
{
    /* All 2^64 bytes as one region would have a size of 0. */
    if (region->size_bytes > UINT64_MAX - next->size_bytes) {
        return false;
    }
    return region->start + region->size_bytes == next->start && next->start != 0 &&
           region->provenance == next->provenance && region->protection == next->protection &&
           mapping_continues(target, region, next) && data_continues(region, next);
}

/* Appends a region, or lengthens the last one by it. */
static bool append_region(struct cw_vector *regions,
                          const struct cw_target *target,
                          const struct cw_region *region)
{
    if (regions->count > 0) {
        struct cw_region *last = cw_vector_at(regions, regions->count - 1);
        if (is_continued(target, last, region)) {
            last->size_bytes += region->size_bytes;
            return true;
        }
    }
    return cw_vector_append(regions, region);
}

/* The first `size` bytes of a region, as one of its own; the region keeps the rest. */
static struct cw_region split_front(struct cw_region *region, uint64_t size)
{
    struct cw_region front = *region;
    front.size_bytes = size;
    region->start += size;
    region->size_bytes -= size;
    if (region->data != NULL) {
        region->data += size;
    }
    return front;
}

/* What the kernel calls anonymous memory of huge pages: a file that no one can see. */
static bool is_anonymous_path(const char *path)
{
    static const char huge_pages[] = "/anon_hugepage";
    return strncmp(path, huge_pages, sizeof huge_pages - 1) == 0;
}

/* A run of one provenance, cut by mappings. `index`: the first mapping that may matter. */
static bool append_run(struct cw_space *space, struct cw_region run, size_t *index)
{
    const struct cw_target *target = space->target;
    while (run.size_bytes > 0) {
        const struct cw_mapping *mapping =
            *index < target->mapping_count ? &target->mappings[*index] : NULL;
        if (mapping != NULL && last_of(mapping->start, mapping->size_bytes) < run.start) {
            (*index)++;
            continue;
        }
        uint64_t size = run.size_bytes;
        run.mapping_index = CW_NONE;
        if (mapping != NULL && mapping->start <= run.start) {
            run.mapping_index = is_anonymous_path(mapping->path) ? CW_NONE : (uint32_t)*index;
            size = cw_min(size, mapping->size_bytes - (run.start - mapping->start));
        } else if (mapping != NULL) {
            size = cw_min(size, mapping->start - run.start);
        }
        struct cw_region front = split_front(&run, size);
        if (!append_region(&space->region_items, target, &front)) {
            return false;
        }
    }
    return true;
}

static bool append_segment(struct cw_space *space, size_t segment_index, size_t *index)
{
    const struct cw_segment *segment = &space->target->segments[segment_index];
    struct cw_region run = {
        .start = segment->start,
        .size_bytes = segment->size_bytes,
        .protection = segment->protection,
        .fetch_index = CW_NONE,
    };
    struct cw_region held = split_front(&run, segment->held_bytes);
    struct cw_region truncated = split_front(&run, segment->stored_bytes - segment->held_bytes);
    held.provenance = CW_HELD;
    held.data = segment->data;
    if (segment->data == NULL && space->target->read != NULL) {
        held.fetch_index = (uint32_t)segment_index;
    }
    truncated.provenance = CW_TRUNCATED;
    run.provenance = CW_NOT_DUMPED;
    return append_run(space, held, index) && append_run(space, truncated, index) &&
           append_run(space, run, index);
}

/*
 * Makes the vector's regions the space's, and brings the look-up table up to date from the region
 * `first` on. False: out of memory; then the space ends where the table does.
 */
static bool publish(struct cw_space *space, size_t first)
{
    space->regions = space->region_items.items;
    space->start_items.count = first;
    bool is_done = true;
    for (size_t i = first; is_done && i < space->region_items.count; i++) {
        is_done = cw_vector_append(&space->start_items, &space->regions[i].start);
    }
    space->region_count = space->start_items.count;
    return is_done;
}

enum cw_status cw_space_create(const struct cw_target *target,
                               struct cw_arena *arena,
                               struct cw_space *ret_space,
                               struct cw_error *err)
{
    if (target->segment_count >= CW_NONE || target->mapping_count >= CW_NONE) {
        return cw_error_set(err,
                            CW_ERROR_UNSUPPORTED,
                            "%zu segments are more than are read",
                            target->segment_count);
    }
    struct cw_space space = {
        .target = target,
        .arena = arena,
        .word_bytes = target->word_bytes,
        .page_bytes = target->page_bytes,
        .pointer_mask = target->arch == CW_ARCH_AARCH64 ? UINT64_MAX >> 8 : UINT64_MAX,
    };
    cw_vector_init(&space.region_items, arena->budget, sizeof(struct cw_region));
    cw_vector_init(&space.start_items, arena->budget, sizeof(cw_addr));
    size_t index = 0;
    bool is_made = true;
    for (size_t i = 0; is_made && i < target->segment_count; i++) {
        is_made = append_segment(&space, i, &index);
    }
    enum cw_status status =
        is_made && publish(&space, 0) ? CW_OK : cw_error_set_memory(err, "the list of regions");
    if (status == CW_OK) {
        status = cw_fetch_create_all(&space, err);
    }
    if (status != CW_OK) {
        cw_space_destroy(&space);
        return status;
    }
    *ret_space = space;
    return CW_OK;
}

void cw_space_destroy(struct cw_space *space)
{
    cw_fetch_destroy_all(space);
    cw_vector_deinit(&space->region_items);
    cw_vector_deinit(&space->start_items);
    *space = (struct cw_space){0};
}

const char *cw_region_path(const struct cw_space *space, const struct cw_region *region)
{
    return cw_region_is_anonymous(region) ? NULL
                                          : space->target->mappings[region->mapping_index].path;
}

/* ---- look-up ----------------------------------------------------------------------------- */

/*
 * How many regions start at or below the address: a binary search without branches to mispredict,
 * over the starts alone (8 to a cache line).
 */
static size_t count_at_or_below(const struct cw_space *space, cw_addr address)
{
    const cw_addr *starts = space->start_items.items;
    size_t left = space->region_count;
    const cw_addr *base = starts;
    while (left > 1) {
        size_t half = left / 2;
        base = base[half] <= address ? base + half : base;
        left -= half;
    }
    return left == 0 ? 0 : (size_t)(base - starts) + (*base <= address ? 1 : 0);
}

const struct cw_region *cw_space_find(const struct cw_space *space, cw_addr address)
{
    size_t count = count_at_or_below(space, address);
    if (count == 0) {
        return NULL;
    }
    const struct cw_region *region = &space->regions[count - 1];
    return address - region->start < region->size_bytes ? region : NULL;
}

size_t cw_space_first_above(const struct cw_space *space, cw_addr address)
{
    size_t count = count_at_or_below(space, address);
    if (count == 0) {
        return 0;
    }
    const struct cw_region *region = &space->regions[count - 1];
    return address - region->start < region->size_bytes ? count - 1 : count;
}

/* ---- overlays ---------------------------------------------------------------------------- */

static bool is_missing(const struct cw_region *region)
{
    return region->provenance == CW_NOT_DUMPED || region->provenance == CW_TRUNCATED;
}

/* A region of which [address, last] is overlaid: up to three pieces. */
static bool append_overlaid(struct cw_vector *pieces,
                            const struct cw_target *target,
                            struct cw_region region,
                            cw_addr address,
                            uint64_t size,
                            const uint8_t *data)
{
    cw_addr first = cw_max(region.start, address);
    cw_addr last = cw_min(last_of(region.start, region.size_bytes), last_of(address, size));
    if (!is_missing(&region) || first > last) {
        return append_region(pieces, target, &region);
    }
    struct cw_region before = split_front(&region, first - region.start);
    struct cw_region laid = split_front(&region, last - first + 1);
    laid.provenance = CW_FROM_FILE;
    laid.data = data + (first - address);
    return (before.size_bytes == 0 || append_region(pieces, target, &before)) &&
           append_region(pieces, target, &laid) &&
           (region.size_bytes == 0 || append_region(pieces, target, &region));
}

/* Puts `pieces` in the place of `count` regions from `first` on. */
static bool replace_regions(struct cw_vector *regions,
                            size_t first,
                            size_t count,
                            const struct cw_vector *pieces)
{
    size_t tail_count = regions->count - (first + count);
    size_t item_bytes = regions->item_bytes;
    for (size_t i = count; i < pieces->count; i++) {
        if (cw_vector_push(regions) == NULL) {
            regions->count = first + count + tail_count;
            return false;
        }
    }
    memmove(cw_vector_at(regions, first + pieces->count),
            cw_vector_at(regions, first + count),
            tail_count * item_bytes);
    memcpy(cw_vector_at(regions, first), pieces->items, pieces->count * item_bytes);
    regions->count = first + pieces->count + tail_count;
    return true;
}

enum cw_status cw_space_overlay(struct cw_space *space,
                                cw_addr address,
                                uint64_t size,
                                const uint8_t *data,
                                struct cw_error *err)
{
    if (size == 0) {
        return CW_OK;
    }
    if (last_of(address, size) < address) {
        return cw_error_set_at(
            err, CW_ERROR_ARGUMENT, address, "an overlay passes the top of the address space");
    }
    /* One neighbour on each side comes along, in case the new pieces continue it. */
    size_t first = cw_space_first_above(space, address);
    first -= first > 0 ? 1 : 0;
    struct cw_vector pieces;
    cw_vector_init(&pieces, space->arena->budget, sizeof(struct cw_region));
    size_t end = first;
    bool is_done = true;
    for (bool is_beyond = false; is_done && !is_beyond && end < space->region_count; end++) {
        const struct cw_region *region = &space->regions[end];
        is_beyond = region->start > last_of(address, size);
        is_done = append_overlaid(&pieces, space->target, *region, address, size, data);
    }
    is_done = is_done && (pieces.count == 0 ||
                          replace_regions(&space->region_items, first, end - first, &pieces));
    cw_vector_deinit(&pieces);
    /* Also after a failure: the vector may have moved. */
    bool is_published = publish(space, first);
    return is_done && is_published ? CW_OK : cw_error_set_memory(err, "the list of regions");
}
