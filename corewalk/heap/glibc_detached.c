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
    MOST_CHOSEN_FROM = 16,  /* pieces of no known owner, of which those are chosen that add up */
};

/* A piece, from a page on. */
struct candidate {
    cw_addr page;
    cw_addr end;
};

struct search {
    struct glibc *glibc;
    const struct glibc_arena *arena;
    uint32_t arena_index;
    struct glibc_window window;
    uint64_t missing_bytes;    /* that the arena counts and no span covers */
    size_t known_count;        /* spans there were before; the rest are pieces */
    struct cw_vector doubtful; /* struct candidate: no free list says whose they are */
};

static bool is_fence(const struct glibc *glibc, struct glibc_window *window, cw_addr chunk)
{
    uint64_t size_word;
    return glibc_peek(window, chunk + glibc->word_bytes, &size_word) &&
           glibc_chunk_bytes(size_word) == glibc->header_bytes;
}

/*
 * The end of the piece if fenceposts at `chunk` end one: two, or three where what was left of the
 * old top is as small. Else 0.
 */
static cw_addr end_of_fence(const struct glibc *glibc,
                            struct glibc_window *window,
                            cw_addr chunk,
                            enum glibc_fence_rule rule)
{
    uint64_t page_bytes = glibc->space->page_bytes;
    cw_addr end = chunk + 2 * glibc->header_bytes;
    uint64_t left = (page_bytes - end % page_bytes) % page_bytes;
    if (!is_fence(glibc, window, chunk) || !is_fence(glibc, window, chunk + glibc->header_bytes)) {
        return 0;
    }
    bool is_at_page_end = left < glibc->alignment;
    if (!(rule == GLIBC_FENCE_AT_PAGE_END && is_at_page_end) && is_fence(glibc, window, end)) {
        end += glibc->header_bytes;
        left -= cw_min(left, glibc->header_bytes);
        is_at_page_end = left < glibc->alignment;
    }
    if (rule == GLIBC_FENCE_ANYWHERE) {
        return end;
    }
    return is_at_page_end ? end + left : 0;
}

/* Whose main arena has its top there, of a size that fits? */
static const struct glibc *owner_of_top(const struct glibc_copies *copies,
                                        cw_addr chunk,
                                        uint64_t room,
                                        uint64_t *ret_top_bytes)
{
    for (size_t i = 0; i < copies->count; i++) {
        const struct glibc *glibc = &copies->items[i];
        const struct glibc_arena *arena = glibc->arenas.count > 0 ? glibc_arena_at(glibc, 0) : NULL;
        if (arena != NULL && chunk == arena->top && arena->top_bytes > 0 &&
            arena->top_bytes <= room) {
            *ret_top_bytes = arena->top_bytes;
            return glibc;
        }
    }
    return NULL;
}

bool glibc_find_piece_end(struct glibc *glibc,
                          struct glibc_window *window,
                          cw_addr chunk,
                          cw_addr limit,
                          enum glibc_fence_rule rule,
                          struct glibc_piece_end *ret_end)
{
    for (uint64_t hop = 0; chunk < limit && glibc->detached_hops_left > 0; hop++) {
        uint64_t room = limit - chunk;
        uint64_t size_word;
        uint64_t top_bytes;
        const struct glibc *top_of = owner_of_top(glibc->copies, chunk, room, &top_bytes);
        if (top_of != NULL) {
            *ret_end = (struct glibc_piece_end){.end = chunk + top_bytes, .top_of = top_of};
            return true;
        }
        if (room < glibc->header_bytes ||
            !glibc_peek(window, chunk + glibc->word_bytes, &size_word)) {
            *ret_end = (struct glibc_piece_end){.end = limit};
            return hop >= BELIEVABLE_HOPS;
        }
        uint64_t bytes = glibc_chunk_bytes(size_word);
        if (hop > 0 && bytes == glibc->header_bytes) {
            *ret_end = (struct glibc_piece_end){.end = end_of_fence(glibc, window, chunk, rule)};
            return ret_end->end != 0 && ret_end->end <= limit;
        }
        bool is_sound = bytes >= glibc->min_chunk_bytes && bytes % glibc->alignment == 0 &&
                        bytes <= room && (size_word & (GLIBC_IS_MMAPPED | GLIBC_NON_MAIN)) == 0 &&
                        (hop > 0 || (size_word & GLIBC_PREV_INUSE) != 0);
        if (!is_sound) {
            *ret_end = (struct glibc_piece_end){.end = limit};
            return hop >= BELIEVABLE_HOPS;
        }
        glibc->detached_hops_left--;
        chunk += bytes;
    }
    return false;
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

static cw_addr end_in_spans(const struct glibc *glibc, size_t count, cw_addr address)
{
    for (size_t i = 0; i < count; i++) {
        const struct glibc_span *span = glibc_span_at(glibc, i);
        if (address >= span->start && address < span->end) {
            return span->end;
        }
    }
    return 0;
}

/* The end of the span that holds the address, of those known before; 0: none does. */
static cw_addr end_of_known(const struct search *search, cw_addr address)
{
    const struct glibc_copies *copies = search->glibc->copies;
    cw_addr end = end_in_spans(search->glibc, search->known_count, address);
    for (size_t i = 0; i < copies->count && end == 0; i++) {
        const struct glibc *other = &copies->items[i];
        end = other == search->glibc ? 0 : end_in_spans(other, other->spans.count, address);
    }
    return end;
}

/* The piece that begins at the page: adds it if it is the arena's. *ret_end: of whatever it is. */
static bool look_at_page(struct search *search, cw_addr page, cw_addr limit, cw_addr *ret_end)
{
    struct glibc *glibc = search->glibc;
    struct glibc_copies *copies = glibc->copies;
    struct glibc_piece_end piece;
    cw_addr chunk = glibc_first_chunk(glibc, page);
    *ret_end = 0;
    if (!glibc_find_piece_end(
            glibc, &search->window, chunk, limit, GLIBC_FENCE_AT_PAGE_END, &piece)) {
        return true;
    }
    *ret_end = piece.end;
    const struct glibc *owner = piece.top_of;
    if (owner == NULL) {
        struct glibc *usual = copies->count == 1 ? glibc : NULL;
        owner = glibc_owner_of_piece(copies, usual, chunk, piece.end);
    }
    if (owner == NULL) {
        struct candidate candidate = {.page = page, .end = piece.end};
        return cw_vector_append(&search->doubtful, &candidate);
    }
    return owner != glibc || add_piece(search, page, piece.end);
}

static bool search_stretch(struct search *search, cw_addr start, cw_addr end)
{
    uint64_t page_bytes = search->glibc->space->page_bytes;
    cw_addr page = start;
    while (page < end && end - page >= page_bytes && search->missing_bytes > 0) {
        cw_addr next = end_of_known(search, glibc_first_chunk(search->glibc, page));
        if (next == 0 && !look_at_page(search, page, end, &next)) {
            return false;
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

/* The set of doubtful pieces, one bit each, that make up what is missing; 0: none does. */
static uint32_t choose_pieces(const struct search *search)
{
    size_t count = cw_min(search->doubtful.count, MOST_CHOSEN_FROM);
    for (uint32_t set = 1; set < UINT32_C(1) << count; set++) {
        uint64_t bytes = 0;
        for (size_t i = 0; i < count; i++) {
            const struct candidate *candidate = cw_vector_at(&search->doubtful, i);
            bytes += (set >> i & 1) != 0 ? candidate->end - candidate->page : 0;
        }
        if (bytes == search->missing_bytes) {
            return set;
        }
    }
    return 0;
}

/*
 * Doubtful pieces belong to one of the copies of malloc: to this one those that make up what is
 * missing exactly, or else as many as fit.
 */
static bool take_doubtful(struct search *search)
{
    uint32_t chosen = choose_pieces(search);
    for (size_t i = 0; i < search->doubtful.count && search->missing_bytes > 0; i++) {
        const struct candidate *candidate = cw_vector_at(&search->doubtful, i);
        bool is_taken = chosen != 0 ? i < MOST_CHOSEN_FROM && (chosen >> i & 1) != 0
                                    : candidate->end - candidate->page <= search->missing_bytes;
        if (is_taken && !add_piece(search, candidate->page, candidate->end)) {
            return false;
        }
    }
    return true;
}

static bool search_space(struct search *search)
{
    const struct cw_space *space = search->glibc->space;
    for (size_t i = 0; i < space->region_count && search->missing_bytes > 0; i++) {
        const struct cw_region *region = &space->regions[i];
        cw_addr start;
        if (region->provenance != CW_HELD || !cw_region_is_writable(region) ||
            !cw_region_is_anonymous(region) ||
            !cw_align_up(region->start, space->page_bytes, &start)) {
            continue;
        }
        cw_addr end = region->start + region->size_bytes;
        if (end > start && !search_stretch(search, start, end)) {
            return false;
        }
    }
    return true;
}

bool glibc_find_detached(struct glibc *glibc,
                         uint32_t arena_index,
                         uint64_t covered_bytes,
                         uint64_t *ret_missing_bytes)
{
    const struct glibc_arena *arena = glibc_arena_at(glibc, arena_index - glibc->first_arena);
    *ret_missing_bytes = 0;
    if (!arena->has_sums || arena->system_bytes <= covered_bytes) {
        return true;
    }
    struct search search = {
        .glibc = glibc,
        .arena = arena,
        .arena_index = arena_index,
        .window = {.space = glibc->space},
        .missing_bytes = arena->system_bytes - covered_bytes,
        .known_count = glibc->spans.count,
    };
    cw_vector_init(&search.doubtful, glibc->spans.budget, sizeof(struct candidate));
    bool done = search_space(&search) && take_doubtful(&search);
    cw_vector_deinit(&search.doubtful);
    *ret_missing_bytes = search.missing_bytes;
    return done;
}
