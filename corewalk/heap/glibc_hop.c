/*
 * Hopping over a piece of a run: the next chunk starts where this one ends.
 *
 * A hop depends on the load before it, so one walker waits for memory most of the time; several
 * walkers start in the middle of runs (glibc_guess_start), and the cache line 1 KiB ahead is
 * fetched early. The cell that is being filled stays in registers. The first and the last cell of
 * a piece may be shared with a neighbour, so they are merged atomically.
 */
#include "heap/glibc_walk.h"

enum {
    PREFETCH_BYTES = 1024,
    GUESS_HOPS = 32,
    GUESS_WINDOW_BYTES = 32 << 10, /* looked through for a start before giving up */
};

struct hopper {
    const struct glibc *glibc;
    struct glibc_window window;
    struct cw_chunk_cell *cells;
    uint64_t cell_base;  /* number of the run's first cell in the address space */
    uint64_t first_cell; /* of the piece; these four number cells in the run */
    uint64_t last_cell;
    uint64_t cell;
    uint64_t starts;
    uint64_t live;
    uint64_t last_bit;    /* of the newest chunk, in `live` */
    uint64_t last_word;   /* its size word; 0: none yet */
    uint64_t needed_flag; /* of used chunks: NON_MAIN in thread arenas */
    bool is_odd;          /* headers disagree */
};

/* Flags and misaligned bits that the size word of an ordinary chunk does not have. */
static uint64_t bad_bits(const struct glibc *glibc, const struct glibc_span *span)
{
    uint64_t misaligned = (glibc->alignment - 1) & ~(uint64_t)GLIBC_FLAGS;
    uint64_t foreign = span->kind == GLIBC_SPAN_MAIN ? GLIBC_NON_MAIN : 0;
    return misaligned | GLIBC_IS_MMAPPED | foreign;
}

bool glibc_size_is_sane(const struct glibc *glibc,
                        const struct glibc_span *span,
                        uint64_t size_word,
                        uint64_t room)
{
    uint64_t size = glibc_chunk_bytes(size_word);
    return (size_word & bad_bits(glibc, span)) == 0 && size >= glibc->min_chunk_bytes &&
           size <= room;
}

static void flush(const struct hopper *hopper)
{
    struct cw_chunk_cell *cell = &hopper->cells[hopper->cell];
    if (hopper->cell == hopper->first_cell || hopper->cell == hopper->last_cell) {
        __atomic_fetch_or(&cell->starts, hopper->starts, __ATOMIC_RELAXED);
        __atomic_fetch_or(&cell->live, hopper->live, __ATOMIC_RELAXED);
    } else {
        cell->starts |= hopper->starts;
        cell->live |= hopper->live;
    }
}

/*
 * What a header says of the chunk before it, against that one's own: a free chunk repeats its size
 * at its end and has no free neighbour, a used one of a thread arena says so. Not 0: they disagree.
 * Without branches, which would often be guessed wrong.
 */
static inline uint64_t compare_headers(uint64_t last_word,
                                       uint64_t footer,
                                       uint64_t size_word,
                                       uint64_t needed_flag)
{
    uint64_t is_free = (size_word & GLIBC_PREV_INUSE) - 1; /* all ones, or 0 */
    uint64_t of_free = (footer ^ glibc_chunk_bytes(last_word)) | (~last_word & GLIBC_PREV_INUSE);
    return (is_free & of_free) | (~is_free & ~last_word & needed_flag);
}

/* Follows the chunks within the window. Returns true when the piece's end was reached. */
static inline bool hop_window(struct hopper *hopper,
                              struct glibc_piece *piece,
                              uint64_t bad,
                              cw_addr run_end)
{
    const struct glibc *glibc = hopper->glibc;
    const uint64_t word = glibc->word_bytes;
    const unsigned shift = glibc->builder->heap->chunks.granule_shift;
    const uint64_t min_bytes = glibc->min_chunk_bytes;
    const uint8_t *data = hopper->window.data;
    const cw_addr window_start = hopper->window.start;
    /* Headers that end in the window; it holds the first one. */
    const uint64_t window_bytes = hopper->window.size_bytes - (uint64_t)2 * word;
    const cw_addr limit = piece->limit;
    cw_addr chunk = piece->end;
    cw_addr last = piece->last;
    const uint64_t needed_flag = hopper->needed_flag;
    uint64_t last_word = hopper->last_word;
    uint64_t known = last_word != 0 ? UINT64_MAX : 0;
    uint64_t odd = 0;
    bool done = false;
    while (chunk < limit && chunk - window_start <= window_bytes) {
        const uint8_t *header = data + (chunk - window_start);
        __builtin_prefetch(header + PREFETCH_BYTES);
        uint64_t size_word = cw_load_word(header + word, word);
        hopper->live |= size_word & GLIBC_PREV_INUSE ? hopper->last_bit : 0;
        odd |=
            known & compare_headers(last_word, cw_load_word(header, word), size_word, needed_flag);
        known = UINT64_MAX;
        last_word = size_word;
        uint64_t granule = chunk >> shift;
        uint64_t cell = (granule >> 6) - hopper->cell_base;
        if (cell != hopper->cell) {
            flush(hopper);
            hopper->cell = cell;
            hopper->starts = 0;
            hopper->live = 0;
        }
        hopper->last_bit = UINT64_C(1) << (granule & 63);
        hopper->starts |= hopper->last_bit;
        uint64_t size = glibc_chunk_bytes(size_word);
        if ((size_word & bad) != 0 || size < min_bytes || size > run_end - chunk) {
            piece->stop = GLIBC_STOP_SIZE;
            done = true;
            break;
        }
        last = chunk;
        chunk += size;
    }
    piece->end = chunk;
    piece->last = last;
    hopper->last_word = last_word;
    hopper->is_odd |= odd != 0;
    return done;
}

/* The PREV_INUSE bit behind the last chunk. What cannot be seen counts as in use. */
static void settle_last(struct hopper *hopper, cw_addr next)
{
    uint64_t size_word;
    uint64_t footer;
    bool seen = glibc_peek(&hopper->window, next + hopper->glibc->word_bytes, &size_word);
    if (seen && glibc_peek(&hopper->window, next, &footer)) {
        hopper->is_odd |=
            compare_headers(hopper->last_word, footer, size_word, hopper->needed_flag) != 0;
    }
    if (!seen || (size_word & GLIBC_PREV_INUSE) != 0) {
        hopper->live |= hopper->last_bit;
    }
}

void glibc_hop(const struct glibc *glibc, struct glibc_piece *piece)
{
    const struct glibc_span *span = glibc_span_at(glibc, piece->span_index);
    const struct cw_heap_run *run = cw_heap_builder_run(glibc->builder, piece->run_index);
    unsigned shift = glibc->builder->heap->chunks.granule_shift + 6;
    struct hopper hopper = {
        .glibc = glibc,
        .window = {.space = glibc->space},
        .cells = cw_heap_builder_cells(glibc->builder, run),
        .cell_base = run->start >> shift,
        .needed_flag = span->kind != GLIBC_SPAN_MAIN ? GLIBC_NON_MAIN : 0,
    };
    hopper.first_cell = (piece->start >> shift) - hopper.cell_base;
    hopper.last_cell = ((piece->limit - 1) >> shift) - hopper.cell_base;
    hopper.cell = hopper.first_cell;
    piece->end = piece->start;
    piece->last = 0;
    piece->stop = GLIBC_STOP_LIMIT;
    cw_addr run_end = run->start + run->size_bytes;
    uint64_t bad = bad_bits(glibc, span);
    bool done = false;
    while (!done && piece->end < piece->limit) {
        if (!glibc_window_move(&hopper.window, piece->end, (uint64_t)2 * glibc->word_bytes)) {
            piece->stop = GLIBC_STOP_MISSING;
            break;
        }
        done = hop_window(&hopper, piece, bad, run_end);
    }
    if (!done && piece->stop != GLIBC_STOP_MISSING && piece->end > piece->limit) {
        piece->stop = GLIBC_STOP_PAST;
    }
    if (!done && piece->last != 0) {
        settle_last(&hopper, piece->end);
    }
    flush(&hopper);
    piece->is_suspicious = hopper.is_odd;
}

void glibc_clear(const struct glibc *glibc, uint32_t run_index, cw_addr start, cw_addr end)
{
    const struct cw_heap_run *run = cw_heap_builder_run(glibc->builder, run_index);
    struct cw_chunk_cell *cells = cw_heap_builder_cells(glibc->builder, run);
    unsigned shift = glibc->builder->heap->chunks.granule_shift;
    uint64_t base = run->start >> (shift + 6);
    uint64_t granule = start >> shift;
    uint64_t end_granule = end >> shift;
    while (granule < end_granule) {
        struct cw_chunk_cell *cell = &cells[(granule >> 6) - base];
        uint64_t upper = cw_min((granule | 63) + 1, end_granule);
        uint64_t width = upper - granule;
        uint64_t mask = (width == 64 ? UINT64_MAX : (UINT64_C(1) << width) - 1) << (granule & 63);
        cell->starts &= ~mask;
        cell->live &= ~mask;
        granule = upper;
    }
}

cw_addr glibc_start_before(const struct glibc *glibc, uint32_t run_index, cw_addr address)
{
    const struct cw_heap_run *run = cw_heap_builder_run(glibc->builder, run_index);
    const struct cw_chunk_cell *cells = cw_heap_builder_cells(glibc->builder, run);
    unsigned shift = glibc->builder->heap->chunks.granule_shift;
    if (address <= run->start) {
        return 0;
    }
    uint64_t granule = (address - 1) >> shift;
    uint64_t base = run->start >> (shift + 6);
    uint64_t below = UINT64_MAX >> (63 - (granule & 63));
    for (uint64_t cell = (granule >> 6) - base;; cell--) {
        uint64_t bits = cells[cell].starts & below;
        if (bits != 0) {
            unsigned bit = 63 - (unsigned)__builtin_clzll(bits);
            return ((base + cell) << (shift + 6)) + ((cw_addr)bit << shift);
        }
        if (cell == 0) {
            return 0;
        }
        below = UINT64_MAX;
    }
}

void glibc_set(const struct glibc *glibc, uint32_t run_index, cw_addr start, bool live)
{
    const struct cw_heap_run *run = cw_heap_builder_run(glibc->builder, run_index);
    unsigned shift = glibc->builder->heap->chunks.granule_shift;
    struct cw_chunk_cell *cells = cw_heap_builder_cells(glibc->builder, run);
    struct cw_chunk_cell *cell = &cells[(start >> (shift + 6)) - (run->start >> (shift + 6))];
    uint64_t bit = UINT64_C(1) << (start >> shift & 63);
    cell->starts |= bit;
    cell->live |= live ? bit : 0;
}

/* Where GUESS_HOPS chunks from the candidate lead; 0 when they are none. */
static cw_addr try_guess(const struct glibc *glibc,
                         const struct glibc_span *span,
                         struct glibc_window *window,
                         cw_addr chunk,
                         cw_addr end)
{
    uint64_t previous_bytes = 0;
    for (unsigned hop = 0; hop < GUESS_HOPS; hop++) {
        uint64_t size_word;
        uint64_t footer;
        if (chunk >= end || !glibc_peek(window, chunk + glibc->word_bytes, &size_word) ||
            !glibc_size_is_sane(glibc, span, size_word, end - chunk)) {
            return 0;
        }
        if (hop > 0 && (size_word & GLIBC_PREV_INUSE) == 0 &&
            (!glibc_peek(window, chunk, &footer) || footer != previous_bytes)) {
            return 0;
        }
        previous_bytes = glibc_chunk_bytes(size_word);
        chunk += previous_bytes;
    }
    return chunk;
}

/*
 * The end of the confirming hops is taken, not their beginning: from a false start inside a
 * chunk's content the sizes soon lead onto the true chain.
 */
cw_addr glibc_guess_start(const struct glibc *glibc,
                          const struct glibc_span *span,
                          const struct cw_heap_run *run,
                          cw_addr from,
                          cw_addr limit)
{
    struct glibc_window window = {.space = glibc->space};
    cw_addr run_end = run->start + run->size_bytes;
    cw_addr end = span->top != 0 && span->top < run_end ? span->top : run_end;
    cw_addr chunk = glibc_first_chunk(glibc, from);
    cw_addr give_up = cw_min(limit, chunk + GUESS_WINDOW_BYTES);
    for (; chunk < give_up; chunk += glibc->alignment) {
        cw_addr start = try_guess(glibc, span, &window, chunk, end);
        if (start != 0 && start < limit) {
            return start;
        }
    }
    return 0;
}
