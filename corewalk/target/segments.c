/*
 * Order among segments and mappings. Both are spans of addresses that sort by start; of two with
 * one start the first in the input comes first, and the later one is cut:
 *
 *     |---- first ----|                 |---- first ----|
 *            |---- later ----|    ►                     |-later-|
 *
 * But memory of which nothing was stored gives way to a segment that has some: a size that lies
 * must not hide what is there.
 */
#include "target/segments.h"

#include <string.h>

#include "base/checked.h"

struct place {
    cw_addr start;
    size_t index;
    size_t next_held; /* the first place from this one on of which something is held */
};

static int compare_places(const void *a, const void *b)
{
    const struct place *left = a;
    const struct place *right = b;
    if (left->start != right->start) {
        return left->start < right->start ? -1 : 1;
    }
    return left->index < right->index ? -1 : 1;
}

/* Every item begins with its start: the one thing that the sorting needs of it. */
_Static_assert(offsetof(struct cw_segment, start) == 0, "sorted by its first field");
_Static_assert(offsetof(struct cw_mapping, start) == 0, "sorted by its first field");

static bool sort_places(const struct cw_vector *raw, struct cw_vector *ret_places)
{
    bool is_sorted = true;
    cw_addr previous = 0;
    for (size_t i = 0; i < raw->count; i++) {
        struct place *place = cw_vector_push(ret_places);
        if (place == NULL) {
            return false;
        }
        *place = (struct place){.start = *(const cw_addr *)cw_vector_at(raw, i), .index = i};
        is_sorted = is_sorted && place->start >= previous;
        previous = place->start;
    }
    if (!is_sorted) {
        cw_vector_sort(ret_places, compare_places);
    }
    return true;
}

/* How far a sweep has come: everything below `next` is taken, or everything at all. */
struct sweep {
    cw_addr top; /* the last address that there is */
    cw_addr next;
    bool is_at_top;
    uint64_t cut_count;
    const struct cw_vector *raw;
    const struct cw_vector *places;
};

/*
 * What is left of [start, start + size) above the sweep: its size (0: nothing), and how many
 * bytes go at the front.
 */
static uint64_t take_span(struct sweep *sweep, cw_addr start, uint64_t size, uint64_t *ret_front)
{
    *ret_front = 0;
    if (size == 0) {
        return 0;
    }
    /* All 2^64 bytes as one span would have a size of 0. */
    uint64_t room = start > sweep->top ? 0 : cw_max(sweep->top - start, sweep->top - start + 1);
    uint64_t kept = cw_min(size, room);
    uint64_t front = sweep->is_at_top      ? kept
                     : start < sweep->next ? cw_min(kept, sweep->next - start)
                                           : 0;
    sweep->cut_count += kept < size || front > 0 ? 1 : 0;
    kept -= front;
    if (kept > 0) {
        sweep->next = start + front + kept;
        sweep->is_at_top = sweep->next == 0 || sweep->next > sweep->top;
    }
    *ret_front = front;
    return kept;
}

static struct place *place_at(const struct sweep *sweep, size_t index)
{
    return cw_vector_at(sweep->places, index);
}

/* The first segment in order that begins at the address or above and holds something, or NULL. */
static const struct cw_segment *next_held(const struct sweep *sweep, cw_addr start)
{
    size_t low = 0;
    size_t high = sweep->places->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (place_at(sweep, middle)->start < start) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    size_t held = low < sweep->places->count ? place_at(sweep, low)->next_held : low;
    return held < sweep->places->count ? cw_vector_at(sweep->raw, place_at(sweep, held)->index)
                                       : NULL;
}

static void give_way(struct sweep *sweep, struct cw_segment *segment)
{
    uint64_t end;
    if (!cw_add(segment->start, cw_max(segment->stored_bytes, 1), &end)) {
        return;
    }
    const struct cw_segment *held = next_held(sweep, end);
    if (held != NULL && held->start - segment->start < segment->size_bytes) {
        segment->size_bytes = held->start - segment->start;
        sweep->cut_count++;
    }
}

static void find_held(const struct sweep *sweep)
{
    size_t next = sweep->places->count;
    for (size_t i = sweep->places->count; i > 0; i--) {
        struct place *place = place_at(sweep, i - 1);
        const struct cw_segment *segment = cw_vector_at(sweep->raw, place->index);
        next = segment->held_bytes > 0 ? i - 1 : next;
        place->next_held = next;
    }
}

static bool cut_segment(struct sweep *sweep, void *item)
{
    struct cw_segment *segment = item;
    uint64_t front;
    give_way(sweep, segment);
    uint64_t size = take_span(sweep, segment->start, segment->size_bytes, &front);
    uint64_t held_front = cw_min(front, segment->held_bytes);
    segment->start += front;
    segment->size_bytes = size;
    segment->stored_bytes -= cw_min(front, segment->stored_bytes);
    segment->stored_bytes = cw_min(segment->stored_bytes, size);
    segment->held_bytes = cw_min(segment->held_bytes - held_front, size);
    if (segment->data != NULL) {
        segment->data = segment->held_bytes > 0 ? segment->data + held_front : NULL;
    }
    return size > 0;
}

static bool cut_mapping(struct sweep *sweep, void *item)
{
    struct cw_mapping *mapping = item;
    uint64_t front;
    mapping->size_bytes = take_span(sweep, mapping->start, mapping->size_bytes, &front);
    mapping->start += front;
    mapping->file_off += front;
    return mapping->size_bytes > 0;
}

struct list {
    void *items;
    size_t count;
    uint64_t cut_count;
};

/* The raw items in order, each cut by `cut`, which says whether anything is left of it. */
static bool normalise(const struct cw_vector *raw,
                      struct cw_arena *arena,
                      cw_addr top,
                      bool (*cut)(struct sweep *sweep, void *item),
                      struct list *ret_list)
{
    struct cw_vector places;
    cw_vector_init(&places, arena->budget, sizeof(struct place));
    struct list list = {.items = cw_arena_alloc_array(arena, raw->count, raw->item_bytes)};
    bool is_done = list.items != NULL && sort_places(raw, &places);
    struct sweep sweep = {.top = top, .raw = raw, .places = &places};
    if (is_done && cut == cut_segment) {
        find_held(&sweep);
    }
    for (size_t i = 0; is_done && i < raw->count; i++) {
        const struct place *place = cw_vector_at(&places, i);
        void *item = (char *)list.items + list.count * raw->item_bytes;
        memcpy(item, cw_vector_at(raw, place->index), raw->item_bytes);
        list.count += cut(&sweep, item) ? 1 : 0;
    }
    cw_vector_deinit(&places);
    list.cut_count = sweep.cut_count;
    if (is_done) {
        *ret_list = list;
    }
    return is_done;
}

enum cw_status cw_segments_normalise(const struct cw_vector *raw,
                                     struct cw_arena *arena,
                                     struct cw_target *target,
                                     uint64_t *ret_cut_count,
                                     struct cw_error *err)
{
    struct list list;
    if (!normalise(raw, arena, cw_target_top(target), cut_segment, &list)) {
        return cw_error_set_memory(err, "the list of segments");
    }
    target->segments = list.items;
    target->segment_count = list.count;
    *ret_cut_count = list.cut_count;
    return CW_OK;
}

enum cw_status cw_mappings_normalise(const struct cw_vector *raw,
                                     struct cw_arena *arena,
                                     struct cw_target *target,
                                     uint64_t *ret_cut_count,
                                     struct cw_error *err)
{
    struct list list;
    if (!normalise(raw, arena, cw_target_top(target), cut_mapping, &list)) {
        return cw_error_set_memory(err, "the list of mapped files");
    }
    target->mappings = list.items;
    target->mapping_count = list.count;
    *ret_cut_count = list.cut_count;
    return CW_OK;
}

/* The parts of one mapping that no segment covers; `index` is where the last one left off. */
static bool append_gaps(const struct cw_target *target,
                        const struct cw_mapping *mapping,
                        size_t *index,
                        struct cw_vector *gaps)
{
    cw_addr at = mapping->start;
    cw_addr last = mapping->start + (mapping->size_bytes - 1);
    for (;;) {
        const struct cw_segment *segment =
            *index < target->segment_count ? &target->segments[*index] : NULL;
        cw_addr segment_last =
            segment != NULL ? segment->start + (segment->size_bytes - 1) : UINT64_MAX;
        if (segment != NULL && segment_last < at) {
            (*index)++;
            continue;
        }
        if (segment == NULL || segment->start > at) {
            cw_addr gap_last = segment == NULL ? last : cw_min(last, segment->start - 1);
            struct cw_segment gap = {
                .start = at,
                .size_bytes = gap_last - at + 1,
                .protection = CW_PROT_READ,
            };
            if (!cw_vector_append(gaps, &gap)) {
                return false;
            }
        }
        if (segment_last >= last) {
            return true;
        }
        at = segment_last + 1;
    }
}

enum cw_status cw_segments_fill_from_mappings(struct cw_target *target,
                                              struct cw_arena *arena,
                                              struct cw_error *err)
{
    struct cw_vector all;
    cw_vector_init(&all, arena->budget, sizeof(struct cw_segment));
    size_t index = 0;
    bool is_done = true;
    for (size_t i = 0; is_done && i < target->mapping_count; i++) {
        is_done = append_gaps(target, &target->mappings[i], &index, &all);
    }
    size_t gap_count = all.count;
    for (size_t i = 0; is_done && gap_count > 0 && i < target->segment_count; i++) {
        is_done = cw_vector_append(&all, &target->segments[i]);
    }
    enum cw_status status = CW_OK;
    if (!is_done) {
        status = cw_error_set_memory(err, "the list of segments");
    } else if (gap_count > 0) {
        uint64_t cut_count;
        status = cw_segments_normalise(&all, arena, target, &cut_count, err);
    }
    cw_vector_deinit(&all);
    return status;
}
