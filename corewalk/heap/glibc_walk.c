/*
 * Tiling the spans.
 *
 * Each span is cut into runs (what of it is held), each run into pieces that start at guessed
 * chunks; workers hop over all pieces. Then each span is stitched, in order: the walk from its
 * first chunk is the truth, and a piece belongs to it when the walk lands on its first chunk
 * exactly; else the piece's bits are cleared and the walk goes on by itself to the next piece.
 *
 *   truth ──►|──── piece ────►|──── piece ────►|…        landed on both
 *   truth ──►:──────►|xx piece xx|──── piece ───►|…      passed the first: hopped again
 *
 * Where the chain of sizes stops, it is a fencepost, a chunk that reaches into missing memory, or
 * damage; then one chunk of state UNKNOWN lasts until the walk can be resumed (glibc_resync.c).
 */
#include "heap/glibc_walk.h"

enum {
    PIECE_BYTES = 1 << 20,
    LARGEST_BREAK_COUNT = 10000, /* behind them, the rest of a span is unknown */
    LONGEST_FENCE = 3,           /* fenceposts in a row: two, and a remainder of the same size */
};

#define RESYNC_HOPS (UINT64_C(1) << 26)
#define SEARCH_BYTES                                                            \
    (UINT64_C(1) << 30) /* for references to blocks: these, or what is twice as \
                         */
enum { SEARCHES = 2 };  /* much as there is, if that is more */

struct walk {
    struct glibc *glibc;
    struct cw_vector pieces; /* struct glibc_piece, in address order */
    size_t next_piece;       /* the first that is not stitched yet */
};

struct stitch {
    struct glibc *glibc;
    const struct glibc_span *span;
    uint32_t span_index;
    struct walk *walk;
    struct glibc_window window;
    uint32_t run_index;
    cw_addr run_start;
    cw_addr run_end;
    cw_addr extent_start;
    cw_addr chain_start; /* where the chain was taken up last */
    cw_addr position;
    cw_addr last; /* the chunk that ends at `position`; 0: none */
    bool no_memory;
};

/* ---- runs and pieces ----------------------------------------------------------------------- */

static bool add_runs(struct glibc *glibc, struct glibc_span *span)
{
    const struct cw_space *space = glibc->space;
    span->first_run = (uint32_t)glibc->builder->runs.count;
    cw_addr run_start = 0;
    cw_addr run_end = 0;
    for (size_t i = cw_space_first_above(space, span->start); i < space->region_count; i++) {
        const struct cw_region *region = &space->regions[i];
        if (region->start >= span->end) {
            break;
        }
        if (region->provenance != CW_HELD) {
            continue;
        }
        cw_addr start = cw_max(region->start, span->start);
        cw_addr end = region->start + region->size_bytes;
        end = end < region->start ? span->end : cw_min(end, span->end);
        if (start != run_end && run_end != run_start) {
            if (!cw_heap_builder_add_run(
                    glibc->builder, run_start, run_end - run_start, span->arena_index)) {
                return false;
            }
            run_start = start;
        } else if (run_end == run_start) {
            run_start = start;
        }
        run_end = end;
    }
    if (run_end != run_start &&
        !cw_heap_builder_add_run(
            glibc->builder, run_start, run_end - run_start, span->arena_index)) {
        return false;
    }
    span->run_count = (uint32_t)glibc->builder->runs.count - span->first_run;
    return true;
}

bool glibc_add_runs(struct glibc *glibc)
{
    for (size_t i = 0; i < glibc->spans.count; i++) {
        if (!add_runs(glibc, glibc_span_at(glibc, i))) {
            return false;
        }
    }
    return true;
}

static bool plan_run(struct walk *walk, uint32_t span_index, uint32_t run_index)
{
    const struct glibc_span *span = glibc_span_at(walk->glibc, span_index);
    const struct cw_heap_run *run = cw_heap_builder_run(walk->glibc->builder, run_index);
    for (uint64_t off = 0; off < run->size_bytes; off += PIECE_BYTES) {
        struct glibc_piece piece = {.span_index = span_index, .run_index = run_index};
        piece.start = run->start + off;
        piece.limit = piece.start + cw_min(PIECE_BYTES, run->size_bytes - off);
        piece.stop = off == 0 && run->start == span->start ? GLIBC_STOP_LIMIT : GLIBC_STOP_MISSING;
        if (!cw_vector_append(&walk->pieces, &piece)) {
            return false;
        }
    }
    return true;
}

static bool plan_pieces(struct walk *walk)
{
    for (uint32_t i = 0; i < walk->glibc->spans.count; i++) {
        const struct glibc_span *span = glibc_span_at(walk->glibc, i);
        for (uint32_t run = 0; run < span->run_count; run++) {
            if (!plan_run(walk, i, span->first_run + run)) {
                return false;
            }
        }
    }
    return true;
}

/* Replaces a piece's planned start, the first of a span excepted, by a guessed one. */
static void guess_piece(void *context, unsigned worker, size_t task)
{
    (void)worker;
    struct walk *walk = context;
    struct glibc_piece *piece = cw_vector_at(&walk->pieces, task);
    if (piece->stop == GLIBC_STOP_LIMIT) {
        return;
    }
    piece->start = glibc_guess_start(walk->glibc,
                                     glibc_span_at(walk->glibc, piece->span_index),
                                     cw_heap_builder_run(walk->glibc->builder, piece->run_index),
                                     piece->start,
                                     piece->limit);
}

/* Where hopping in a run must end: at the top, or where the run does. */
static cw_addr run_goal(const struct glibc *glibc,
                        const struct glibc_span *span,
                        uint32_t run_index)
{
    const struct cw_heap_run *run = cw_heap_builder_run(glibc->builder, run_index);
    cw_addr end = run->start + run->size_bytes;
    return span->top >= run->start && span->top < end ? span->top : end;
}

/* Drops pieces without a start, and limits each by the start of the next. */
static void limit_pieces(struct walk *walk)
{
    size_t kept = 0;
    for (size_t i = 0; i < walk->pieces.count; i++) {
        const struct glibc_piece *piece = cw_vector_at(&walk->pieces, i);
        const struct glibc_span *span = glibc_span_at(walk->glibc, piece->span_index);
        cw_addr goal = run_goal(walk->glibc, span, piece->run_index);
        if (piece->start != 0 && piece->start < goal) {
            struct glibc_piece *place = cw_vector_at(&walk->pieces, kept++);
            *place = *piece;
            place->limit = goal;
        }
    }
    walk->pieces.count = kept;
    for (size_t i = 0; i + 1 < kept; i++) {
        struct glibc_piece *piece = cw_vector_at(&walk->pieces, i);
        const struct glibc_piece *next = cw_vector_at(&walk->pieces, i + 1);
        if (piece->run_index == next->run_index) {
            piece->limit = next->start;
        }
    }
}

static void hop_piece(void *context, unsigned worker, size_t task)
{
    (void)worker;
    struct walk *walk = context;
    glibc_hop(walk->glibc, cw_vector_at(&walk->pieces, task));
}

/* ---- stitching ----------------------------------------------------------------------------- */

static void add_mark(struct stitch *stitch, cw_addr start, enum cw_chunk_state state)
{
    struct glibc_mark mark = {.start = start, .state = state};
    stitch->no_memory |= !cw_vector_append(&stitch->glibc->marks, &mark);
}

static void add_single(struct stitch *stitch, cw_addr start, cw_addr end, enum cw_chunk_state state)
{
    stitch->no_memory |= !cw_heap_builder_add_single(
        stitch->glibc->builder, stitch->span->arena_index, start, end - start, state);
}

static void add_range(struct stitch *stitch,
                      cw_addr start,
                      cw_addr end,
                      enum cw_heap_range_kind kind)
{
    struct cw_heap_range range = {.start = start,
                                  .size_bytes = end - start,
                                  .kind = kind,
                                  .arena_index = stitch->span->arena_index};
    stitch->no_memory |= !cw_heap_builder_add_range(stitch->glibc->builder, &range);
}

/* Ends the extent that is being made; the next one begins at `next`. */
static void close_extent(struct stitch *stitch, cw_addr end, cw_addr next)
{
    if (end > stitch->extent_start) {
        stitch->no_memory |= !cw_heap_builder_add_extent(stitch->glibc->builder,
                                                         stitch->run_index,
                                                         stitch->extent_start,
                                                         end - stitch->extent_start);
    }
    stitch->extent_start = next;
    stitch->position = next;
}

static struct glibc_piece *next_piece(const struct stitch *stitch)
{
    if (stitch->walk->next_piece >= stitch->walk->pieces.count) {
        return NULL;
    }
    struct glibc_piece *piece = cw_vector_at(&stitch->walk->pieces, stitch->walk->next_piece);
    return piece->span_index == stitch->span_index ? piece : NULL;
}

/* Clears what pieces have found before the position, except in the truth. */
static void drop_passed_pieces(struct stitch *stitch)
{
    struct glibc_piece *piece;
    while ((piece = next_piece(stitch)) != NULL && piece->start < stitch->position) {
        glibc_clear(stitch->glibc, piece->run_index, piece->start, piece->limit);
        stitch->walk->next_piece++;
    }
}

/* The start of the next piece in this run, as yet unconfirmed; 0: none. */
static cw_addr next_guess(const struct stitch *stitch)
{
    const struct glibc_piece *piece = next_piece(stitch);
    return piece != NULL && piece->run_index == stitch->run_index ? piece->start : 0;
}

/* Walks on from the position: with a piece that starts there, else by hopping to the next. */
static struct glibc_piece advance(struct stitch *stitch)
{
    drop_passed_pieces(stitch);
    struct glibc_piece *piece = next_piece(stitch);
    if (piece != NULL && piece->start == stitch->position) {
        stitch->walk->next_piece++;
        return *piece;
    }
    struct glibc_piece own = {
        .span_index = stitch->span_index,
        .run_index = stitch->run_index,
        .start = stitch->position,
        .limit = next_guess(stitch),
    };
    if (own.limit == 0) {
        cw_addr goal = run_goal(stitch->glibc, stitch->span, stitch->run_index);
        own.limit = goal > stitch->position ? goal : stitch->run_end;
    }
    glibc_hop(stitch->glibc, &own);
    return own;
}

static void enter_run(struct stitch *stitch, uint32_t run_index)
{
    const struct cw_heap_run *run = cw_heap_builder_run(stitch->glibc->builder, run_index);
    stitch->run_index = run_index;
    stitch->run_start = run->start;
    stitch->run_end = run->start + run->size_bytes;
}

/* Makes the run that holds the position the current one. False: it is missing. */
static bool find_run(struct stitch *stitch)
{
    const struct glibc_span *span = stitch->span;
    uint32_t run = stitch->run_index == CW_NONE ? span->first_run : stitch->run_index;
    for (; run < span->first_run + span->run_count; run++) {
        enter_run(stitch, run);
        if (stitch->position < stitch->run_start) {
            return false;
        }
        if (stitch->position < stitch->run_end) {
            return true;
        }
    }
    return false;
}

/* ---- breaks -------------------------------------------------------------------------------- */

static bool may_resume(struct stitch *stitch)
{
    return stitch->glibc->break_count++ < LARGEST_BREAK_COUNT;
}

/*
 * Nothing is known from `from` on: one chunk of state UNKNOWN until a later run has a start to go
 * on from, or to the end of the span.
 */
static void skip_unknown(struct stitch *stitch, cw_addr from)
{
    const struct glibc_span *span = stitch->span;
    cw_addr resume = span->end;
    bool may = may_resume(stitch);
    uint32_t run = span->first_run;
    for (; run < span->first_run + span->run_count && resume == span->end; run++) {
        enter_run(stitch, run);
        if (stitch->run_start <= from) {
            continue;
        }
        stitch->position = stitch->run_start;
        drop_passed_pieces(stitch);
        cw_addr start;
        if (may && glibc_resync(stitch->glibc,
                                span,
                                cw_heap_builder_run(stitch->glibc->builder, run),
                                stitch->run_start,
                                next_guess(stitch),
                                &start)) {
            resume = start;
        }
    }
    if (resume == span->end && span->top > from) {
        resume = span->top;
    }
    add_single(stitch, from, resume, CW_CHUNK_UNKNOWN);
    add_mark(stitch, from, CW_CHUNK_UNKNOWN);
    stitch->position = resume;
    stitch->extent_start = resume;
    stitch->run_index = CW_NONE;
    stitch->last = 0;
}

static void add_break(struct stitch *stitch, const struct glibc_break *damage)
{
    stitch->no_memory |= !cw_vector_append(&stitch->glibc->breaks, damage);
}

/* What is known of the chunk before a damaged header: whether it is free is not. */
static void settle_before(struct stitch *stitch, cw_addr before, cw_addr chunk)
{
    uint64_t footer;
    if (before != 0) {
        /* The bit that says otherwise lies in the damaged word. */
        bool is_free = glibc_peek(&stitch->window, chunk, &footer) && footer == chunk - before;
        glibc_set(stitch->glibc, stitch->run_index, before, !is_free);
    }
}

/* The chain has stopped at the chunk: its header is damaged, or one that led there. */
static void resume_behind_damage(struct stitch *stitch, cw_addr chunk)
{
    struct glibc *glibc = stitch->glibc;
    stitch->position = chunk + 1;
    drop_passed_pieces(stitch);
    struct glibc_blame blame = {
        .span = stitch->span,
        .run_index = stitch->run_index,
        .stop = chunk,
        .last = stitch->last,
        .chain_start = cw_max(stitch->chain_start, stitch->extent_start),
        .known = next_guess(stitch),
    };
    bool goes_on = may_resume(stitch) && glibc_find_blame(glibc, &blame);
    struct glibc_break damage = {.chunk = goes_on ? blame.damaged : chunk,
                                 .before = goes_on ? blame.before : stitch->last,
                                 .is_plausible = goes_on && blame.damaged != chunk,
                                 .doubt = goes_on ? blame.doubt : GLIBC_MAY_BE};
    add_break(stitch, &damage);
    settle_before(stitch, damage.before, damage.chunk);
    if (goes_on) {
        cw_addr end = cw_min(cw_max(blame.resume, chunk + glibc->alignment), stitch->run_end);
        glibc_clear(glibc, stitch->run_index, damage.chunk + glibc->alignment, end);
        add_mark(stitch, damage.chunk, CW_CHUNK_UNKNOWN);
        stitch->position = blame.resume;
        stitch->chain_start = blame.resume;
        stitch->last = 0;
        return;
    }
    glibc_clear(glibc, stitch->run_index, chunk, stitch->run_end);
    close_extent(stitch, chunk, chunk);
    skip_unknown(stitch, chunk);
}

/* The chunk is sound, but its end lies in missing memory or in another run. */
static void cross_missing(struct stitch *stitch, cw_addr chunk, uint64_t bytes)
{
    struct glibc *glibc = stitch->glibc;
    uint64_t next_size;
    enum cw_chunk_state state = CW_CHUNK_UNKNOWN;
    if (glibc_peek(&stitch->window, chunk + bytes + glibc->word_bytes, &next_size)) {
        state = next_size & GLIBC_PREV_INUSE ? CW_CHUNK_USED : CW_CHUNK_UNKNOWN;
    } else {
        add_mark(stitch, chunk, CW_CHUNK_UNKNOWN);
    }
    glibc_clear(glibc, stitch->run_index, chunk, stitch->run_end);
    close_extent(stitch, chunk, chunk + bytes);
    add_single(stitch, chunk, chunk + bytes, state);
    stitch->last = chunk;
}

/* How many fenceposts of two words stand at the address; 0: none. */
static unsigned count_fence(struct stitch *stitch, cw_addr chunk)
{
    const struct glibc *glibc = stitch->glibc;
    unsigned count = 0;
    uint64_t size_word;
    while (count < LONGEST_FENCE &&
           glibc_peek(&stitch->window,
                      chunk + (uint64_t)count * glibc->header_bytes + glibc->word_bytes,
                      &size_word) &&
           glibc_chunk_bytes(size_word) == glibc->header_bytes &&
           (count == 0 || (size_word & GLIBC_PREV_INUSE) != 0)) {
        count++;
    }
    return count;
}

/*
 * The main arena's memory was interrupted: someone else called sbrk, or the next piece came from
 * mmap. Two fenceposts end what was before; where it goes on is recorded nowhere.
 */
static void cross_foreign(struct stitch *stitch, cw_addr fence, unsigned count)
{
    struct glibc *glibc = stitch->glibc;
    cw_addr end = fence;
    for (unsigned i = 0; i < count; i++) {
        glibc_set(glibc, stitch->run_index, end, true);
        add_mark(stitch, end, CW_CHUNK_INTERNAL);
        end += glibc->header_bytes;
    }
    stitch->position = end;
    drop_passed_pieces(stitch);
    cw_addr resume;
    const struct cw_heap_run *run = cw_heap_builder_run(glibc->builder, stitch->run_index);
    bool goes_on = end < stitch->span->end && (stitch->span->top > end || next_guess(stitch) != 0);
    if (!goes_on) {
        /* The arena's top lies elsewhere: what follows is not its own. */
        glibc_clear(glibc, stitch->run_index, end, stitch->run_end);
        close_extent(stitch, end, stitch->span->end);
        if (stitch->span->end - end < glibc->alignment) {
            add_range(stitch, end, stitch->span->end, CW_RANGE_HEADER);
        }
        return;
    }
    if (!glibc_resync(glibc, stitch->span, run, end, next_guess(stitch), &resume)) {
        close_extent(stitch, end, end);
        skip_unknown(stitch, end);
        return;
    }
    close_extent(stitch, end, resume);
    add_range(stitch, end, resume, CW_RANGE_FOREIGN);
    stitch->last = 0;
}

/*
 * A thread arena's older heap ends with a fencepost of two words and one of size 0; what was left
 * of the old top can be a chunk of the least size that no one owns.
 */
static bool end_older_heap(struct stitch *stitch, cw_addr chunk, uint64_t size_word)
{
    const struct glibc *glibc = stitch->glibc;
    uint64_t bytes = glibc_chunk_bytes(size_word);
    if (bytes == glibc->header_bytes) {
        add_mark(stitch, chunk, CW_CHUNK_INTERNAL);
        stitch->position = chunk + bytes;
        stitch->last = chunk;
        return true;
    }
    cw_addr end = chunk + glibc->header_bytes;
    if (bytes != 0 || end > stitch->span->end || stitch->span->end - end >= glibc->alignment) {
        return false;
    }
    uint64_t last_size;
    if (stitch->last != 0 &&
        glibc_peek(&stitch->window, stitch->last + glibc->word_bytes, &last_size) &&
        glibc_chunk_bytes(last_size) == glibc->min_chunk_bytes) {
        add_mark(stitch, stitch->last, CW_CHUNK_INTERNAL);
    }
    glibc_set(glibc, stitch->run_index, chunk, true);
    add_mark(stitch, chunk, CW_CHUNK_INTERNAL);
    add_range(stitch, end, stitch->span->end, CW_RANGE_HEADER);
    close_extent(stitch, end, stitch->span->end);
    return true;
}

/* The size at the position is none of an ordinary chunk; its start bit is set. */
static void settle_stop(struct stitch *stitch, cw_addr chunk)
{
    struct glibc *glibc = stitch->glibc;
    const struct glibc_span *span = stitch->span;
    uint64_t size_word = 0;
    if (!glibc_peek(&stitch->window, chunk + glibc->word_bytes, &size_word)) {
        glibc_clear(glibc, stitch->run_index, chunk, stitch->run_end);
        close_extent(stitch, chunk, chunk);
        skip_unknown(stitch, chunk);
        return;
    }
    uint64_t bytes = glibc_chunk_bytes(size_word);
    if (span->kind == GLIBC_SPAN_MAIN) {
        unsigned fence = bytes == glibc->header_bytes ? count_fence(stitch, chunk) : 0;
        if (fence >= 2) {
            cross_foreign(stitch, chunk, fence);
            return;
        }
    } else if (span->kind == GLIBC_SPAN_OLDER_HEAP && end_older_heap(stitch, chunk, size_word)) {
        return;
    }
    uint64_t room = (span->top > chunk ? span->top : span->end) - chunk;
    if (bytes > stitch->run_end - chunk && stitch->run_end < span->end &&
        glibc_size_is_sane(glibc, span, size_word, room)) {
        cross_missing(stitch, chunk, bytes);
        return;
    }
    resume_behind_damage(stitch, chunk);
}

/* ---- a span -------------------------------------------------------------------------------- */

static void add_top(struct stitch *stitch)
{
    cw_addr top = stitch->position;
    drop_passed_pieces(stitch);
    if (stitch->span->end > stitch->run_end) {
        close_extent(stitch, top, stitch->span->end);
        add_single(stitch, top, stitch->span->end, CW_CHUNK_TOP);
        return;
    }
    glibc_set(stitch->glibc, stitch->run_index, top, true);
    add_mark(stitch, top, CW_CHUNK_TOP);
    close_extent(stitch, stitch->span->end, stitch->span->end);
}

static void take_step(struct stitch *stitch)
{
    struct glibc_piece piece = advance(stitch);
    if (piece.is_suspicious) {
        struct glibc_suspect suspect = {.start = piece.start, .end = piece.end};
        stitch->no_memory |= !cw_vector_append(&stitch->glibc->suspects, &suspect);
    }
    bool has_last = piece.last != 0;
    cw_addr before = stitch->last;
    stitch->position = piece.end;
    stitch->last = has_last ? piece.last : stitch->last;
    cw_addr top = stitch->span->top;
    if (piece.stop == GLIBC_STOP_SIZE) {
        settle_stop(stitch, piece.end);
    } else if (piece.stop == GLIBC_STOP_PAST && has_last && piece.last < top && top < piece.end) {
        /* No chunk reaches across the top. */
        stitch->last = piece.last == piece.start
                           ? before
                           : glibc_start_before(stitch->glibc, stitch->run_index, piece.last);
        resume_behind_damage(stitch, piece.last);
    } else if (piece.end == stitch->span->end && stitch->span->kind == GLIBC_SPAN_MAIN) {
        /* Brk memory whose arena is missing: what ends it is its top. */
        add_mark(stitch, stitch->last, CW_CHUNK_TOP);
    } else if (piece.end == stitch->run_end && piece.end < stitch->span->end) {
        /* The header that tells whether the last chunk is free is missing. */
        add_mark(stitch, stitch->last, CW_CHUNK_UNKNOWN);
        close_extent(stitch, piece.end, piece.end);
    } else if (piece.stop == GLIBC_STOP_MISSING) {
        close_extent(stitch, piece.end, piece.end);
        skip_unknown(stitch, piece.end);
    }
}

static bool stitch_span(struct walk *walk, uint32_t span_index)
{
    const struct glibc_span *span = glibc_span_at(walk->glibc, span_index);
    struct stitch stitch = {
        .glibc = walk->glibc,
        .span = span,
        .span_index = span_index,
        .walk = walk,
        .window = {.space = walk->glibc->space},
        .run_index = CW_NONE,
        .extent_start = span->start,
        .position = span->start,
    };
    while (stitch.position < span->end && !stitch.no_memory) {
        bool is_held = find_run(&stitch);
        if (stitch.position == span->top && span->top != 0) {
            if (is_held) {
                add_top(&stitch);
            } else {
                add_single(&stitch, span->top, span->end, CW_CHUNK_TOP);
                stitch.position = span->end;
                stitch.extent_start = span->end;
            }
        } else if (is_held) {
            take_step(&stitch);
        } else {
            skip_unknown(&stitch, stitch.position);
        }
    }
    if (stitch.extent_start < span->end) {
        close_extent(&stitch, span->end, span->end);
    }
    drop_passed_pieces(&stitch);
    return !stitch.no_memory;
}

static int compare_breaks(const void *a, const void *b)
{
    const struct glibc_break *x = a;
    const struct glibc_break *y = b;
    return (x->chunk > y->chunk) - (x->chunk < y->chunk);
}

enum cw_status glibc_walk_spans(struct glibc *glibc, struct cw_error *err)
{
    struct walk walk = {.glibc = glibc};
    struct cw_budget *budget = glibc->arenas.budget;
    cw_vector_init(&walk.pieces, budget, sizeof(struct glibc_piece));
    glibc->resync_hops_left = RESYNC_HOPS;
    glibc->search_bytes_left = cw_max(SEARCH_BYTES, SEARCHES * glibc_searchable_bytes(glibc));
    struct cw_pool *pool = glibc->builder->pool;
    bool done = plan_pieces(&walk);
    if (done) {
        cw_pool_run(pool, guess_piece, &walk, walk.pieces.count);
        limit_pieces(&walk);
        cw_pool_run(pool, hop_piece, &walk, walk.pieces.count);
    }
    for (uint32_t i = 0; i < glibc->spans.count && done; i++) {
        done = stitch_span(&walk, i);
    }
    cw_vector_sort(&glibc->breaks, compare_breaks);
    cw_vector_deinit(&walk.pieces);
    return done ? CW_OK : cw_error_set_memory(err, "the walk over the heap");
}
