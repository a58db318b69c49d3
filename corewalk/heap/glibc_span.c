/*
 * Where the arenas' memory lies.
 *
 * The main arena: from mp_.sbrk_base to the end of its top, when both lie in one stretch of
 * writable memory. Where brk was not to be had, mmap gave pieces: see glibc_detached.c.
 *
 * A thread arena: heaps, newest to oldest by `prev`, each aligned to its largest size.
 *
 *   newest  |heap_info| chunks … | top        |  reserve  |  unmapped or PROT_NONE
 *           heap                          heap+size   heap+mprotect_size
 *   oldest  |heap_info|malloc_state| chunks … | fenceposts|
 */
#include "heap/glibc_check.h"

enum { LARGEST_HEAP_COUNT = 1 << 20 };

struct finder {
    struct glibc *glibc;
    struct glibc_window window;
    uint32_t arena_index;
    const struct glibc_arena *arena;
    uint32_t heap_count;
};

static bool add_range(const struct finder *finder,
                      cw_addr start,
                      cw_addr end,
                      enum cw_heap_range_kind kind)
{
    struct cw_heap_range range = {.start = start, .kind = kind, .arena_index = finder->arena_index};
    range.size_bytes = end > start ? end - start : 0;
    return cw_heap_builder_add_range(finder->glibc->builder, &range);
}

static bool add_span(struct finder *finder, cw_addr start, cw_addr end, enum glibc_span_kind kind)
{
    const struct glibc_arena *arena = finder->arena;
    struct glibc_span span = {
        .start = start, .end = end, .kind = kind, .arena_index = finder->arena_index};
    if (arena->top >= start && arena->top < end && kind != GLIBC_SPAN_OLDER_HEAP) {
        span.top = arena->top;
    }
    return end <= start || cw_vector_append(&finder->glibc->spans, &span);
}

cw_addr glibc_stretch_end(const struct cw_space *space, cw_addr address)
{
    size_t index = cw_space_first_above(space, address);
    cw_addr end = address;
    for (; index < space->region_count; index++) {
        const struct cw_region *region = &space->regions[index];
        if (region->start > end || !cw_region_is_writable(region)) {
            break;
        }
        end = region->start + region->size_bytes;
    }
    return end;
}

/* ---- the main arena ------------------------------------------------------------------------ */

static cw_addr main_start(struct finder *finder)
{
    const struct glibc *glibc = finder->glibc;
    const struct glibc_arena *arena = finder->arena;
    if (arena->orphan_base != 0) {
        return arena->orphan_base;
    }
    if (glibc->mp.sbrk_base != 0) {
        return glibc->mp.sbrk_base;
    }
    uint64_t size_word;
    uint64_t top_end;
    cw_addr start;
    if (arena->has_sums && arena->system_bytes > 0 &&
        cw_add(arena->top, arena->top_bytes, &top_end) &&
        cw_sub(top_end, arena->system_bytes, &start) &&
        glibc_peek(
            &finder->window, glibc_first_chunk(glibc, start) + glibc->word_bytes, &size_word) &&
        (size_word & GLIBC_FLAGS) == GLIBC_PREV_INUSE) {
        return start;
    }
    return 0;
}

/* Where the main arena's memory from `start` on ends. */
static cw_addr main_end(const struct finder *finder, cw_addr start)
{
    const struct glibc_arena *arena = finder->arena;
    cw_addr stretch = glibc_stretch_end(finder->glibc->space, start);
    if (arena->top < start || arena->top >= stretch) {
        return stretch;
    }
    uint64_t end;
    if (arena->top_bytes > 0 && cw_add(arena->top, arena->top_bytes, &end) && end <= stretch &&
        end % finder->glibc->space->page_bytes == 0) {
        return end;
    }
    /* The top's size is missing, or damaged. */
    bool fits = arena->has_sums && cw_add(start, arena->system_bytes, &end);
    return fits && end > arena->top ? cw_min(end, stretch) : stretch;
}

static bool add_brk_span(struct finder *finder, cw_addr base, cw_addr end)
{
    cw_addr start = glibc_first_chunk(finder->glibc, base);
    return add_range(finder, base, start, CW_RANGE_HEADER) &&
           add_span(finder, start, end, GLIBC_SPAN_MAIN);
}

/*
 * An arena that never had brk memory: its base is that of the first piece which mmap gave, its top
 * lies in another one. That is so when the pieces account for all its memory, to the byte. Else
 * what was added is taken back, and *ret_done is false.
 */
static bool add_pieces_only(struct finder *finder, cw_addr base, bool *ret_done)
{
    struct glibc *glibc = finder->glibc;
    const struct glibc_arena *arena = finder->arena;
    cw_addr stretch = glibc_stretch_end(glibc->space, base);
    struct glibc_piece_end piece;
    *ret_done = false;
    if (!arena->has_sums || (arena->top >= base && arena->top < stretch) ||
        !glibc_find_piece_end(glibc,
                              &finder->window,
                              glibc_first_chunk(glibc, base),
                              stretch,
                              GLIBC_FENCE_AT_PAGE_END,
                              &piece)) {
        return true;
    }
    size_t span_count = glibc->spans.count;
    size_t range_count = glibc->builder->ranges.count;
    uint64_t missing_bytes;
    if (!add_brk_span(finder, base, piece.end) ||
        !glibc_find_detached(glibc, finder->arena_index, piece.end - base, &missing_bytes)) {
        return false;
    }
    *ret_done = missing_bytes == 0;
    if (!*ret_done) {
        glibc->spans.count = span_count;
        glibc->builder->ranges.count = range_count;
    }
    return true;
}

static bool add_main_spans(struct finder *finder)
{
    struct glibc *glibc = finder->glibc;
    cw_addr base = main_start(finder);
    uint64_t covered = 0;
    uint64_t missing_bytes;
    if (base != 0) {
        bool done;
        if (!add_pieces_only(finder, base, &done)) {
            return false;
        }
        if (done) {
            return true;
        }
        cw_addr end = main_end(finder, base);
        covered = end - base;
        if (!add_brk_span(finder, base, end)) {
            return false;
        }
    }
    return glibc_find_detached(glibc, finder->arena_index, covered, &missing_bytes);
}

/* ---- thread arenas ------------------------------------------------------------------------- */

static bool heap_belongs(struct finder *finder, cw_addr heap)
{
    uint64_t owner;
    return glibc_peek(&finder->window, heap, &owner) && owner == finder->arena->address;
}

/*
 * The size to which heaps are aligned: fixed, but four huge pages where a tunable asks for them
 * (2.35 to 2.41).
 */
static uint64_t find_heap_max(struct finder *finder)
{
    const struct glibc *glibc = finder->glibc;
    uint64_t usual = glibc->word_bytes == 8 ? UINT64_C(64) << 20 : UINT64_C(1) << 20;
    uint64_t huge = 4 * glibc->mp.hp_page_bytes;
    if (huge != 0 && !heap_belongs(finder, cw_align_down(finder->arena->top, usual)) &&
        heap_belongs(finder, cw_align_down(finder->arena->top, huge))) {
        return huge;
    }
    return usual;
}

static bool add_heap(struct finder *finder, cw_addr heap, bool is_newest, cw_addr *ret_previous)
{
    struct glibc *glibc = finder->glibc;
    const struct glibc_arena *arena = finder->arena;
    uint64_t word = glibc->word_bytes;
    uint64_t previous;
    uint64_t size;
    uint64_t reserved;
    *ret_previous = 0;
    if (!glibc_peek(&finder->window, heap + word, &previous) ||
        !glibc_peek(&finder->window, heap + 2 * word, &size) ||
        !glibc_peek(&finder->window, heap + 3 * word, &reserved) || size > glibc->heap_max_bytes) {
        return true;
    }
    cw_addr first = heap + glibc->layout->heap_info_bytes;
    if (heap == arena->first_heap) {
        first = arena->address + glibc_arena_bytes(glibc->layout);
    }
    first = glibc_first_chunk(glibc, first);
    cw_addr end = heap + size;
    if (first >= end) {
        return true;
    }
    finder->heap_count++;
    *ret_previous = previous;
    reserved = cw_min(reserved, glibc->heap_max_bytes);
    return add_range(finder, heap, first, CW_RANGE_HEADER) &&
           add_range(finder, end, heap + reserved, CW_RANGE_RESERVE) &&
           add_span(finder, first, end, is_newest ? GLIBC_SPAN_NEWEST_HEAP : GLIBC_SPAN_OLDER_HEAP);
}

static bool add_heaps(struct finder *finder)
{
    struct glibc *glibc = finder->glibc;
    const struct glibc_arena *arena = finder->arena;
    glibc->heap_max_bytes = find_heap_max(finder);
    cw_addr heap = cw_align_down(arena->top, glibc->heap_max_bytes);
    bool is_newest = true;
    bool saw_first = false;
    if (!heap_belongs(finder, heap)) {
        heap = arena->first_heap; /* the top is damaged or missing */
        is_newest = false;
    }
    uint64_t bytes_left = arena->has_sums ? arena->system_bytes : UINT64_MAX;
    while (heap != 0 && heap_belongs(finder, heap) && finder->heap_count < LARGEST_HEAP_COUNT) {
        saw_first |= heap == arena->first_heap;
        cw_addr previous;
        uint32_t count_before = finder->heap_count;
        if (!add_heap(finder, heap, is_newest, &previous)) {
            return false;
        }
        /* Heaps take at least a page each, so that a loop ends too. */
        if (finder->heap_count == count_before || bytes_left < glibc->space->page_bytes) {
            break;
        }
        bytes_left -= glibc->space->page_bytes;
        heap = previous;
        is_newest = false;
    }
    if (!saw_first && arena->first_heap != 0) {
        glibc_report(glibc,
                     CW_DAMAGE_HEAP_CHAIN,
                     arena->address,
                     0,
                     "the chain of heaps of the arena at 0x%" PRIx64 " does not lead to its first",
                     arena->address);
        cw_addr previous;
        return heap_belongs(finder, arena->first_heap)
                   ? add_heap(finder, arena->first_heap, false, &previous)
                   : true;
    }
    return true;
}

/* ---- all ----------------------------------------------------------------------------------- */

/* A span of some copy, while all are sorted together. */
struct placed_span {
    struct glibc_span span;
    struct glibc *glibc;
};

static int compare_spans(const void *a, const void *b)
{
    const struct glibc_span *x = &((const struct placed_span *)a)->span;
    const struct glibc_span *y = &((const struct placed_span *)b)->span;
    if (x->start != y->start) {
        return x->start < y->start ? -1 : 1;
    }
    return (x->end > y->end) - (x->end < y->end);
}

static bool place_spans(struct glibc_copies *copies, struct cw_vector *placed)
{
    for (size_t i = 0; i < copies->count; i++) {
        struct glibc *glibc = &copies->items[i];
        for (size_t k = 0; k < glibc->spans.count; k++) {
            struct placed_span item = {.span = *glibc_span_at(glibc, k), .glibc = glibc};
            if (!cw_vector_append(placed, &item)) {
                return false;
            }
        }
        glibc->spans.count = 0;
    }
    return true;
}

/*
 * Sorts the spans of each copy. Damage can make spans overlap: what lies behind the one that begins
 * first is dropped.
 */
static bool sort_spans(struct glibc_copies *copies)
{
    struct cw_vector placed;
    cw_vector_init(&placed, copies->items[0].spans.budget, sizeof(struct placed_span));
    bool done = place_spans(copies, &placed);
    cw_vector_sort(&placed, compare_spans);
    cw_addr end = 0;
    for (size_t i = 0; i < placed.count && done; i++) {
        const struct placed_span *item = cw_vector_at(&placed, i);
        if (item->span.start < end) {
            glibc_report(item->glibc,
                         CW_DAMAGE_HEAP_OVERLAP,
                         item->span.start,
                         0,
                         "the heap at 0x%" PRIx64 " overlaps another one and was left out",
                         item->span.start);
            continue;
        }
        end = item->span.end;
        done = cw_vector_append(&item->glibc->spans, &item->span);
    }
    cw_vector_deinit(&placed);
    return done;
}

static bool find_spans(struct glibc *glibc, bool is_shared)
{
    for (uint32_t i = 0; i < glibc->arenas.count; i++) {
        const struct glibc_arena *arena = glibc_arena_at(glibc, i);
        struct finder finder = {.glibc = glibc,
                                .window = {.space = glibc->space},
                                .arena_index = glibc->first_arena + i,
                                .arena = arena};
        bool done = arena->is_main ? is_shared || add_main_spans(&finder) : add_heaps(&finder);
        struct cw_heap_arena *public =
            cw_vector_at(&glibc->builder->arenas, glibc->first_arena + i);
        public->heap_count = arena->is_main ? 1 : finder.heap_count;
        if (!done) {
            return false;
        }
    }
    return true;
}

static const char *module_name(const struct glibc *glibc, cw_addr address)
{
    const struct cw_image *image = glibc->builder->image;
    const struct cw_module *module = image == NULL ? NULL : cw_image_module_at(image, address);
    return module == NULL ? NULL : module->name;
}

/* Before all else, so that every arena has its number. */
static bool add_arenas(struct glibc *glibc)
{
    glibc->first_arena = (uint32_t)glibc->builder->arenas.count;
    for (uint32_t i = 0; i < glibc->arenas.count; i++) {
        const struct glibc_arena *arena = glibc_arena_at(glibc, i);
        struct cw_heap_arena public = {
            .address = arena->address,
            .kind = arena->is_main ? CW_ARENA_MAIN : CW_ARENA_THREAD,
            .module = arena->is_main ? module_name(glibc, arena->address) : NULL,
            .system_bytes = arena->system_bytes,
        };
        if (!cw_heap_builder_add_arena(glibc->builder, &public)) {
            return false;
        }
    }
    return true;
}

bool glibc_find_spans(struct glibc_copies *copies)
{
    bool is_shared[GLIBC_COPY_LIMIT] = {false};
    for (size_t i = 0; i < copies->count; i++) {
        if (!add_arenas(&copies->items[i])) {
            return false;
        }
    }
    if (!glibc_find_shared(copies, is_shared)) {
        return false;
    }
    for (size_t i = 0; i < copies->count; i++) {
        if (!find_spans(&copies->items[i], is_shared[i])) {
            return false;
        }
    }
    return sort_spans(copies);
}
