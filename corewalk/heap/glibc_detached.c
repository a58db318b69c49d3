/*
 * Detached pieces of the main arena: what mmap gave where brk was not to be had (something lies in
 * its way, or a tunable asks for huge pages).
 *
 * A piece has no header, and nothing says where it lies. It begins on a page with a chunk whose
 * PREV_INUSE is set, and its chunks lead to the arena's top or to two fenceposts at the end of a
 * page. Each new piece tends to lie right below the one before, in one mapping with it:
 *
 *   |chunks … | top || chunks … |fence|fence|| chunks … |fence|fence|
 *   page             page                    page
 *
 * They are looked for only when the arena counts more memory than brk accounts for.
 */
#include "heap/glibc.h"
#include "heap/glibc_walk.h"

enum {
    BELIEVABLE_HOPS = 4096, /* that make a piece of a chain which breaks off */
};

struct search {
    struct glibc *glibc;
    const struct glibc_arena *arena;
    uint32_t arena_index;
    struct glibc_window window;
    uint64_t missing_bytes; /* that the arena counts and no span covers */
    size_t known_count;     /* spans there were before; the rest are pieces */
};

static bool is_fence(struct search *search, cw_addr chunk)
{
    const struct glibc *glibc = search->glibc;
    uint64_t size_word;
    return glibc_peek(&search->window, chunk + glibc->word_bytes, &size_word) &&
           glibc_chunk_bytes(size_word) == glibc->header_bytes;
}

/* The end of the piece if two fenceposts at `chunk` end one at a page's end; else 0. */
static cw_addr end_of_fence(struct search *search, cw_addr chunk)
{
    const struct glibc *glibc = search->glibc;
    uint64_t page_bytes = glibc->space->page_bytes;
    cw_addr end = chunk + 2 * glibc->header_bytes;
    uint64_t left = (page_bytes - end % page_bytes) % page_bytes;
    bool is_end = left < glibc->alignment && is_fence(search, chunk) &&
                  is_fence(search, chunk + glibc->header_bytes);
    return is_end ? end + left : 0;
}

/* The end of the piece that begins at the page, always behind it; or 0: none does. */
static cw_addr find_piece(struct search *search, cw_addr page, cw_addr limit)
{
    struct glibc *glibc = search->glibc;
    const struct glibc_arena *arena = search->arena;
    cw_addr chunk = glibc_first_chunk(glibc, page);
    for (uint64_t hop = 0; glibc->detached_hops_left > 0; hop++) {
        uint64_t size_word;
        if (chunk == arena->top && arena->top_bytes > 0 && arena->top_bytes <= limit - chunk) {
            return chunk + arena->top_bytes;
        }
        if (limit - chunk < glibc->header_bytes ||
            !glibc_peek(&search->window, chunk + glibc->word_bytes, &size_word)) {
            return hop >= BELIEVABLE_HOPS ? limit : 0;
        }
        if (hop > 0 && glibc_chunk_bytes(size_word) == glibc->header_bytes) {
            return end_of_fence(search, chunk);
        }
        uint64_t bytes = glibc_chunk_bytes(size_word);
        bool is_sound = bytes >= glibc->min_chunk_bytes && bytes % glibc->alignment == 0 &&
                        bytes <= limit - chunk &&
                        (size_word & (GLIBC_IS_MMAPPED | GLIBC_NON_MAIN)) == 0 &&
                        (hop > 0 || (size_word & GLIBC_PREV_INUSE) != 0);
        if (!is_sound) {
            return hop >= BELIEVABLE_HOPS ? limit : 0;
        }
        glibc->detached_hops_left--;
        chunk += bytes;
    }
    return 0;
}

static bool add_piece(struct search *search, cw_addr page, cw_addr end)
{
    const struct glibc_arena *arena = search->arena;
    struct glibc_span span = {
        .start = glibc_first_chunk(search->glibc, page),
        .end = end,
        .top = cw_range_has(page, end - page, arena->top) ? arena->top : 0,
        .kind = GLIBC_SPAN_MAIN,
        .arena_index = search->arena_index,
    };
    /* Where chunks are aligned to more than their header, as on i386, a few bytes come before. */
    struct cw_heap_range front = {.start = page,
                                  .size_bytes = span.start - page,
                                  .kind = CW_RANGE_HEADER,
                                  .arena_index = search->arena_index};
    search->missing_bytes -= cw_min(search->missing_bytes, end - page);
    return cw_heap_builder_add_range(search->glibc->builder, &front) &&
           cw_vector_append(&search->glibc->spans, &span);
}

/* The end of the span that holds the address, of those known before; 0: none does. */
static cw_addr end_of_known(const struct search *search, cw_addr address)
{
    for (size_t i = 0; i < search->known_count; i++) {
        const struct glibc_span *span = glibc_span_at(search->glibc, i);
        if (address >= span->start && address < span->end) {
            return span->end;
        }
    }
    return 0;
}

static bool search_stretch(struct search *search, cw_addr start, cw_addr end)
{
    uint64_t page_bytes = search->glibc->space->page_bytes;
    cw_addr page = start;
    while (page < end && end - page >= page_bytes && search->missing_bytes > 0) {
        cw_addr next = end_of_known(search, glibc_first_chunk(search->glibc, page));
        if (next == 0) {
            next = find_piece(search, page, end);
            if (next != 0 && !add_piece(search, page, next)) {
                return false;
            }
        }
        if (next == 0) {
            next = page + 1;
        }
        if (!cw_align_up(next, page_bytes, &page)) {
            return true;
        }
    }
    return true;
}

bool glibc_find_detached(struct glibc *glibc, uint32_t arena_index, uint64_t covered_bytes)
{
    const struct glibc_arena *arena = glibc_arena_at(glibc, arena_index);
    const struct cw_space *space = glibc->space;
    if (!arena->has_sums || arena->system_bytes <= covered_bytes) {
        return true;
    }
    struct search search = {
        .glibc = glibc,
        .arena = arena,
        .arena_index = arena_index,
        .window = {.space = space},
        .missing_bytes = arena->system_bytes - covered_bytes,
        .known_count = glibc->spans.count,
    };
    for (size_t i = 0; i < space->region_count && search.missing_bytes > 0; i++) {
        const struct cw_region *region = &space->regions[i];
        cw_addr start;
        if (region->provenance != CW_HELD || !cw_region_is_writable(region) ||
            !cw_region_is_anonymous(region) ||
            !cw_align_up(region->start, space->page_bytes, &start)) {
            continue;
        }
        cw_addr end = region->start + region->size_bytes;
        if (end > start && !search_stretch(&search, start, end)) {
            return false;
        }
    }
    return true;
}
