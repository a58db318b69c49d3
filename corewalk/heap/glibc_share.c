/*
 * Brk memory that several copies of malloc share: libc's own and that of libc_malloc_debug.so, each
 * with a main arena. To each the other one is a stranger that calls sbrk:
 *
 *   base A                base B                                   top A             top B
 *   | chunks … |fence|fence| chunks … |fence|fence|(gap)| chunks … |top | chunks … | top |
 *   |<------ of A -------->|<-------- of B ------>|     |<-- of A ----->|<---- of B ---->|
 *
 * So the memory is cut into pieces that end with fenceposts or with a top. Whose a piece is follows
 * from the bases and tops; else from the bins that know of its free chunks; else from its
 * neighbours, since a copy goes on without fenceposts where its own memory goes on.
 *
 * system_mem counts what lies in between as well, in both arenas: here each arena is left with what
 * is its own.
 */
#include "heap/glibc.h"
#include "heap/glibc_walk.h"

struct piece {
    cw_addr start; /* of the first chunk */
    cw_addr end;
    size_t owner; /* index of the copy; GLIBC_COPY_LIMIT: not known yet */
};

/* The main arena of a copy, as far as brk memory is concerned. */
struct member {
    bool is_member; /* has brk memory with its top in it */
    bool is_placed;
    cw_addr base;
    cw_addr top_end;
};

struct share {
    struct glibc_copies *copies;
    struct glibc_window window;
    struct member members[GLIBC_COPY_LIMIT];
    struct cw_vector pieces; /* struct piece, by address */
};

static struct glibc_arena *main_of(const struct glibc_copies *copies, size_t index)
{
    return glibc_arena_at(&copies->items[index], 0);
}

static void find_members(struct share *share)
{
    for (size_t i = 0; i < share->copies->count; i++) {
        const struct glibc *glibc = &share->copies->items[i];
        struct member *member = &share->members[i];
        const struct glibc_arena *arena = glibc->arenas.count > 0 ? glibc_arena_at(glibc, 0) : NULL;
        member->base = glibc->mp.sbrk_base;
        if (arena != NULL && arena->is_main && arena->address != 0 && member->base != 0 &&
            arena->top >= member->base && arena->top_bytes > 0 &&
            cw_add(arena->top, arena->top_bytes, &member->top_end)) {
            member->is_member = member->top_end <= glibc_stretch_end(glibc->space, member->base);
        }
    }
}

/* ---- pieces -------------------------------------------------------------------------------- */

static bool has_piece(struct share *share, cw_addr chunk, cw_addr limit, struct piece *piece)
{
    struct glibc_piece_end end;
    struct glibc *first = &share->copies->items[0];
    if (!glibc_find_piece_end(first, &share->window, chunk, limit, GLIBC_FENCE_ANYWHERE, &end) ||
        (end.top_of == NULL && end.end == limit)) {
        return false;
    }
    *piece = (struct piece){.start = chunk, .end = end.end, .owner = GLIBC_COPY_LIMIT};
    if (end.top_of != NULL) {
        piece->owner = (size_t)(end.top_of - share->copies->items);
    }
    return true;
}

/* The first piece at or behind the address. */
static bool next_piece(struct share *share, cw_addr from, cw_addr limit, struct piece *piece)
{
    const struct glibc *first = &share->copies->items[0];
    for (cw_addr chunk = glibc_first_chunk(first, from); chunk < limit; chunk += first->alignment) {
        if (first->detached_hops_left == 0) {
            return false;
        }
        if (has_piece(share, chunk, limit, piece)) {
            return true;
        }
    }
    return false;
}

static void own_by_base(const struct share *share, struct piece *piece)
{
    for (size_t i = 0; i < share->copies->count && piece->owner == GLIBC_COPY_LIMIT; i++) {
        const struct member *member = &share->members[i];
        if (member->is_placed &&
            glibc_first_chunk(&share->copies->items[i], member->base) == piece->start) {
            piece->owner = i;
        }
    }
}

static void own_by_bins(const struct share *share, struct piece *piece)
{
    const struct glibc *owner = glibc_owner_of_piece(share->copies, NULL, piece->start, piece->end);
    if (piece->owner == GLIBC_COPY_LIMIT && owner != NULL) {
        piece->owner = (size_t)(owner - share->copies->items);
    }
}

/* Of the copies that share the memory around the piece, the only one that it can belong to. */
static void own_by_neighbours(const struct share *share, size_t index)
{
    struct piece *piece = cw_vector_at(&share->pieces, index);
    const struct piece *before = index > 0 ? piece - 1 : NULL;
    const struct piece *behind = index + 1 < share->pieces.count ? piece + 1 : NULL;
    size_t count = 0;
    size_t owner = GLIBC_COPY_LIMIT;
    for (size_t i = 0; i < share->copies->count; i++) {
        const struct member *member = &share->members[i];
        if (!member->is_placed || piece->start < member->base || piece->end > member->top_end ||
            (before != NULL && before->owner == i) || (behind != NULL && behind->owner == i)) {
            continue;
        }
        owner = i;
        count++;
    }
    if (piece->owner == GLIBC_COPY_LIMIT && count == 1) {
        piece->owner = owner;
    }
}

/* The first copy whose memory reaches around the piece. */
static void own_by_reach(const struct share *share, struct piece *piece)
{
    for (size_t i = 0; i < share->copies->count && piece->owner == GLIBC_COPY_LIMIT; i++) {
        const struct member *member = &share->members[i];
        if (member->is_placed && piece->start >= member->base && piece->end <= member->top_end) {
            piece->owner = i;
        }
    }
}

static void find_owners(struct share *share)
{
    size_t count = share->pieces.count;
    for (size_t i = 0; i < count; i++) {
        struct piece *piece = cw_vector_at(&share->pieces, i);
        own_by_base(share, piece);
        own_by_bins(share, piece);
    }
    for (size_t i = 0; i < count; i++) {
        own_by_neighbours(share, i);
    }
    for (size_t i = 0; i < count; i++) {
        own_by_reach(share, cw_vector_at(&share->pieces, i));
    }
}

/* Cuts [start, end) into pieces. *ret_is_cut: all of it was. False: out of memory. */
static bool cut(struct share *share, cw_addr start, cw_addr end, bool *ret_is_cut)
{
    struct piece piece;
    share->pieces.count = 0;
    *ret_is_cut = false;
    for (cw_addr at = start; at < end; at = piece.end) {
        if (!next_piece(share, at, end, &piece)) {
            return true;
        }
        if (!cw_vector_append(&share->pieces, &piece)) {
            return false;
        }
    }
    *ret_is_cut = true;
    return true;
}

/* ---- spans --------------------------------------------------------------------------------- */

static bool add_range(struct share *share, size_t owner, cw_addr start, cw_addr end)
{
    const struct member *member = &share->members[owner];
    struct glibc *glibc = &share->copies->items[owner];
    if (start < member->base || end > member->top_end || start >= end) {
        return true;
    }
    struct cw_heap_range range = {.start = start,
                                  .size_bytes = end - start,
                                  .kind = CW_RANGE_FOREIGN,
                                  .arena_index = glibc->first_arena};
    struct cw_heap_arena *arena = cw_vector_at(&glibc->builder->arenas, glibc->first_arena);
    arena->system_bytes += range.size_bytes;
    return cw_heap_builder_add_range(glibc->builder, &range);
}

static bool add_span(struct share *share, const struct piece *piece)
{
    struct glibc *glibc = &share->copies->items[piece->owner];
    const struct glibc_arena *main_arena = main_of(share->copies, piece->owner);
    struct glibc_span span = {.start = piece->start,
                              .end = piece->end,
                              .kind = GLIBC_SPAN_MAIN,
                              .arena_index = glibc->first_arena};
    span.top =
        cw_range_has(span.start, span.end - span.start, main_arena->top) ? main_arena->top : 0;
    struct cw_heap_arena *arena = cw_vector_at(&glibc->builder->arenas, glibc->first_arena);
    arena->system_bytes += span.end - span.start;
    return cw_vector_append(&glibc->spans, &span);
}

/* Takes from each arena's count all that lies between its base and its top's end. */
static void take_hulls(struct share *share)
{
    for (size_t i = 0; i < share->copies->count; i++) {
        const struct glibc *glibc = &share->copies->items[i];
        const struct member *member = &share->members[i];
        if (member->is_placed) {
            struct cw_heap_arena *arena = cw_vector_at(&glibc->builder->arenas, glibc->first_arena);
            uint64_t hull_bytes = member->top_end - member->base;
            arena->system_bytes -= cw_min(arena->system_bytes, hull_bytes);
        }
    }
}

static bool add_pieces(struct share *share, cw_addr start)
{
    cw_addr end = start;
    for (size_t i = 0; i < share->pieces.count; i++) {
        const struct piece *piece = cw_vector_at(&share->pieces, i);
        size_t before = i == 0 ? piece->owner : ((const struct piece *)piece - 1)->owner;
        bool is_inside = end >= share->members[piece->owner].base;
        if (!add_range(share, is_inside ? piece->owner : before, end, piece->start) ||
            !add_span(share, piece)) {
            return false;
        }
        end = piece->end;
    }
    return true;
}

/* ---- groups -------------------------------------------------------------------------------- */

/* The one with the lowest base that is not placed yet; GLIBC_COPY_LIMIT: none. */
static size_t lowest_member(const struct share *share)
{
    size_t lowest = GLIBC_COPY_LIMIT;
    for (size_t i = 0; i < share->copies->count; i++) {
        const struct member *member = &share->members[i];
        if (member->is_member && !member->is_placed &&
            (lowest == GLIBC_COPY_LIMIT || member->base < share->members[lowest].base)) {
            lowest = i;
        }
    }
    return lowest;
}

static bool lay_out(struct share *share, cw_addr start, cw_addr end, bool *ret_is_shared)
{
    bool is_cut;
    if (!cut(share, start, end, &is_cut)) {
        return false;
    }
    find_owners(share);
    for (size_t i = 0; i < share->pieces.count; i++) {
        is_cut &= ((struct piece *)cw_vector_at(&share->pieces, i))->owner != GLIBC_COPY_LIMIT;
    }
    if (is_cut) {
        take_hulls(share);
    }
    for (size_t i = 0; i < share->copies->count; i++) {
        ret_is_shared[i] |= is_cut && share->members[i].is_placed;
    }
    return !is_cut || add_pieces(share, start);
}

/* Lays out the memory of the member with the lowest base and of all that overlap it. */
static bool place_group(struct share *share, size_t first, bool *ret_is_shared)
{
    cw_addr start = share->members[first].base;
    cw_addr end = share->members[first].top_end;
    size_t count = 0;
    for (size_t next = first;
         next != GLIBC_COPY_LIMIT && (count == 0 || share->members[next].base < end);
         next = lowest_member(share)) {
        share->members[next].is_placed = true;
        end = cw_max(end, share->members[next].top_end);
        count++;
    }
    bool done = count < 2 || lay_out(share, start, end, ret_is_shared);
    for (size_t i = 0; i < share->copies->count; i++) {
        share->members[i].is_member &= !share->members[i].is_placed;
        share->members[i].is_placed = false;
    }
    return done;
}

bool glibc_find_shared(struct glibc_copies *copies, bool *ret_is_shared)
{
    struct share share = {.copies = copies, .window = {.space = copies->items[0].space}};
    if (copies->count < 2) {
        return true;
    }
    cw_vector_init(&share.pieces, copies->items[0].spans.budget, sizeof(struct piece));
    find_members(&share);
    bool done = true;
    size_t first;
    while (done && (first = lowest_member(&share)) != GLIBC_COPY_LIMIT) {
        done = place_group(&share, first, ret_is_shared);
    }
    cw_vector_deinit(&share.pieces);
    return done;
}

/* ---- by the free lists --------------------------------------------------------------------- */

static bool knows_of(struct glibc *glibc, cw_addr start, cw_addr end)
{
    glibc_gather_anchors(glibc);
    size_t low = 0;
    size_t high = glibc->anchors.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (*(cw_addr *)cw_vector_at(&glibc->anchors, middle) < start) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < glibc->anchors.count && *(cw_addr *)cw_vector_at(&glibc->anchors, low) < end;
}

struct glibc *glibc_owner_of_piece(struct glibc_copies *copies,
                                   struct glibc *usual,
                                   cw_addr start,
                                   cw_addr end)
{
    struct glibc *owner = NULL;
    for (size_t i = 0; i < copies->count && copies->count > 1; i++) {
        if (knows_of(&copies->items[i], start, end)) {
            if (owner != NULL) {
                return usual;
            }
            owner = &copies->items[i];
        }
    }
    return owner == NULL ? usual : owner;
}
