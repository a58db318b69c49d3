/*
 * Free lists of the arenas: fastbins, whose chunks look used to their neighbours, and bins, whose
 * chunks are known as free to them.
 *
 * The state column is the set of what was visited: a list ends where it meets a chunk that was
 * already put into one, so that all lists together have no more steps than there are chunks. The
 * lists of an arena are walked at once, to their ends, since each step waits for memory.
 */
#include <string.h>

#include "heap/glibc.h"

enum {
    LARGEST_FASTBIN_COUNT = 11,
    UNBINNED_TOLERATED = 1, /* a chunk between unlinking and reuse */
};

struct lists {
    struct glibc *glibc;
    struct glibc_window window;
    uint8_t *states;
    const struct glibc_arena *arena;
    uint64_t steps_left;
    bool is_incomplete; /* a list ended early: in missing memory, at damage, or at the limit */
};

uint32_t glibc_chunk_at(const struct glibc *glibc, cw_addr chunk)
{
    const struct cw_chunk_table *table = &glibc->builder->heap->chunks;
    const struct cw_extent *extent = cw_chunk_table_extent_at(table, chunk);
    if (extent == NULL || (chunk & ((UINT64_C(1) << table->granule_shift) - 1)) != 0) {
        return CW_NONE;
    }
    if (extent->chunk_count == 1) {
        /* Of an aligned block in a mapping of its own, the chunk lies behind the start. */
        return chunk == extent->start + extent->lead_bytes ? extent->first_chunk : CW_NONE;
    }
    const struct cw_chunk_cell *cells = table->cell_column.data;
    const struct cw_chunk_cell *cell = &cells[cw_chunk_table_cell(table, extent, chunk)];
    unsigned granule = (unsigned)(chunk >> table->granule_shift) & 63;
    if (!(cell->starts >> granule & 1)) {
        return CW_NONE;
    }
    uint64_t below = cell->starts & ((UINT64_C(1) << granule) - 1);
    return cell->rank + (uint32_t)__builtin_popcountll(below);
}

/* ---- fastbins ------------------------------------------------------------------------------ */

static cw_addr fastbin_head(const struct glibc *glibc,
                            const struct glibc_arena *arena,
                            unsigned bin)
{
    return arena->address + glibc->layout->fastbins_off + (uint64_t)bin * glibc->word_bytes;
}

void glibc_vote_fastbins(struct glibc *glibc)
{
    struct glibc_window window = {.space = glibc->space};
    for (size_t i = 0; i < glibc->arenas.count; i++) {
        const struct glibc_arena *arena = glibc_arena_at(glibc, i);
        unsigned bin_count = arena->orphan_base != 0 ? 0 : glibc->layout->fastbin_count;
        for (unsigned bin = 0; bin < bin_count; bin++) {
            uint64_t chunk;
            uint64_t stored;
            if (glibc_peek(&window, fastbin_head(glibc, arena, bin), &chunk) && chunk != 0 &&
                glibc_chunk_at(glibc, chunk) != CW_NONE &&
                glibc_peek(&window, chunk + glibc->header_bytes, &stored)) {
                glibc_vote_linking(glibc, chunk + glibc->header_bytes, stored, false);
            }
        }
    }
}

static void report_fastbin(struct lists *lists, cw_addr chunk, const char *what)
{
    lists->is_incomplete = true;
    cw_note_add(lists->glibc->builder->findings,
                CW_SEVERE,
                "fastbin-link",
                chunk,
                "a fastbin of the arena at 0x%" PRIx64 " leads to 0x%" PRIx64 ", %s",
                lists->arena->address,
                chunk,
                what);
}

/* Marks one chunk of a list; returns the next, 0 at the end. */
static cw_addr take_fast(struct lists *lists, cw_addr chunk)
{
    struct glibc *glibc = lists->glibc;
    uint32_t index = glibc_chunk_at(glibc, chunk);
    uint64_t stored;
    if (index == CW_NONE || lists->states[index] == CW_CHUNK_UNKNOWN) {
        if (glibc_peek(&lists->window, chunk, &stored)) {
            report_fastbin(lists, chunk, "where no used chunk starts");
        }
        return 0;
    }
    if (lists->states[index] != CW_CHUNK_USED) {
        report_fastbin(lists, chunk, "which is already in a list");
        return 0;
    }
    lists->states[index] = CW_CHUNK_FASTBIN;
    cw_addr field = chunk + glibc->header_bytes;
    return glibc_peek(&lists->window, field, &stored) ? glibc_follow(glibc, field, stored) : 0;
}

/* Takes one chunk of each list in turn, and fetches the next ones early. */
static void walk_fastbins(struct lists *lists, cw_addr *chunks, unsigned open_count)
{
    while (open_count > 0) {
        for (unsigned list = 0; list < open_count; list++) {
            cw_addr next = take_fast(lists, chunks[list]);
            if (next == 0) {
                next = chunks[--open_count];
                chunks[list--] = next;
                continue;
            }
            chunks[list] = next;
            if (cw_range_has(lists->window.start, lists->window.size_bytes, next)) {
                __builtin_prefetch(lists->window.data + (next - lists->window.start));
            }
        }
    }
}

void glibc_mark_fastbins(struct glibc *glibc)
{
    struct lists lists = {
        .glibc = glibc, .window = {.space = glibc->space}, .states = glibc_states(glibc)};
    for (size_t i = 0; i < glibc->arenas.count; i++) {
        lists.arena = glibc_arena_at(glibc, i);
        cw_addr chunks[LARGEST_FASTBIN_COUNT];
        unsigned open_count = 0;
        unsigned bin_count = lists.arena->orphan_base != 0 ? 0 : glibc->layout->fastbin_count;
        for (unsigned bin = 0; bin < bin_count; bin++) {
            cw_addr field = fastbin_head(glibc, lists.arena, bin);
            if (glibc_peek(&lists.window, field, &chunks[open_count]) && chunks[open_count] != 0) {
                open_count++;
            }
        }
        walk_fastbins(&lists, chunks, open_count);
    }
}

/* ---- bins ---------------------------------------------------------------------------------- */

static void report_bin(struct lists *lists, unsigned bin, cw_addr chunk, const char *what)
{
    lists->is_incomplete = true;
    if (lists->arena->was_busy) {
        return; /* lists are being relinked */
    }
    cw_note_add(lists->glibc->builder->findings,
                CW_SEVERE,
                "bin-link",
                chunk,
                "bin %u of the arena at 0x%" PRIx64 " leads to 0x%" PRIx64 ", %s",
                bin,
                lists->arena->address,
                chunk,
                what);
}

/* Marks one chunk of a bin. False: the list cannot be followed further. */
static bool take_binned(struct lists *lists, unsigned bin, cw_addr chunk, cw_addr previous)
{
    const struct glibc *glibc = lists->glibc;
    uint64_t back;
    if (!glibc_peek(&lists->window, chunk + 3 * glibc->word_bytes, &back)) {
        lists->is_incomplete = true;
        return false;
    }
    uint32_t index = glibc_chunk_at(glibc, chunk);
    if (index == CW_NONE) {
        report_bin(lists, bin, chunk, "where no chunk starts");
        return false;
    }
    switch ((enum cw_chunk_state)lists->states[index]) {
    case CW_CHUNK_UNKNOWN:
        lists->states[index] = CW_CHUNK_BINNED;
        break;
    case CW_CHUNK_BINNED:
        report_bin(lists, bin, chunk, "which is already in a bin");
        return false;
    default:
        report_bin(lists, bin, chunk, "which is not free");
        break;
    }
    if (back != previous) {
        report_bin(lists, bin, chunk, "whose link back does not agree");
    }
    return true;
}

/* A bin on the way from its head around to it. */
struct open_bin {
    unsigned bin;
    cw_addr head;
    cw_addr chunk; /* to be taken next */
    cw_addr previous;
};

/* Goes to the first or the next chunk of a bin. False: the list is at its end, or cannot be read.
 */
static bool advance(struct lists *lists, struct open_bin *open)
{
    cw_addr from = open->chunk;
    if (!glibc_peek(&lists->window, from + 2 * lists->glibc->word_bytes, &open->chunk)) {
        lists->is_incomplete = true;
        return false;
    }
    open->previous = from;
    if (open->chunk == open->head) {
        return false;
    }
    if (cw_range_has(lists->window.start, lists->window.size_bytes, open->chunk)) {
        __builtin_prefetch(lists->window.data + (open->chunk - lists->window.start));
    }
    return true;
}

static bool step(struct lists *lists, struct open_bin *open)
{
    if (lists->steps_left == 0) {
        lists->is_incomplete = true;
        return false;
    }
    lists->steps_left--;
    return take_binned(lists, open->bin, open->chunk, open->previous) && advance(lists, open);
}

static void walk_bins(struct lists *lists)
{
    struct open_bin open[GLIBC_BIN_COUNT];
    unsigned open_count = 0;
    for (unsigned bin = 1; bin <= GLIBC_BIN_COUNT; bin++) {
        cw_addr head = lists->arena->bins + ((uint64_t)bin - 2) * 2 * lists->glibc->word_bytes;
        open[open_count] = (struct open_bin){.bin = bin, .head = head, .chunk = head};
        open_count += advance(lists, &open[open_count]) ? 1 : 0;
    }
    while (open_count > 0) {
        for (unsigned i = 0; i < open_count; i++) {
            if (!step(lists, &open[i])) {
                open[i--] = open[--open_count];
            }
        }
    }
}

void glibc_settle_unbinned(const struct glibc_copies *copies)
{
    const struct glibc *first_copy = &copies->items[0];
    const struct cw_chunk_table *table = &first_copy->builder->heap->chunks;
    uint64_t count = 0;
    uint32_t first = CW_NONE;
    if (table->chunk_count == 0) {
        return;
    }
    uint8_t *states = glibc_states(first_copy);
    uint8_t *end = states + table->chunk_count;
    for (uint8_t *state = states; state < end; state++) {
        state = memchr(state, CW_CHUNK_UNKNOWN, (size_t)(end - state));
        if (state == NULL) {
            break;
        }
        *state = CW_CHUNK_BINNED;
        first = count == 0 ? (uint32_t)(state - states) : first;
        count++;
    }
    bool is_incomplete = false;
    for (size_t i = 0; i < copies->count; i++) {
        const struct glibc *glibc = &copies->items[i];
        is_incomplete |= glibc->has_unread_list || glibc->break_count > 0;
        for (size_t k = 0; k < glibc->marks.count; k++) {
            const struct glibc_mark *mark = cw_vector_at(&glibc->marks, k);
            count -= mark->state == CW_CHUNK_UNKNOWN && count > 0 ? 1 : 0;
        }
    }
    if (count > UNBINNED_TOLERATED && !is_incomplete) {
        cw_note_add(first_copy->builder->findings,
                    CW_WARNING,
                    "free-not-binned",
                    cw_chunk_table_get(table, first).start,
                    "%" PRIu64 " chunks are free to their neighbours, but in no bin",
                    count);
    }
}

void glibc_mark_bins(struct glibc *glibc)
{
    struct lists lists = {
        .glibc = glibc,
        .window = {.space = glibc->space},
        .states = glibc_states(glibc),
        .steps_left = glibc->builder->heap->chunks.chunk_count,
    };
    for (size_t i = 0; i < glibc->arenas.count; i++) {
        lists.arena = glibc_arena_at(glibc, i);
        if (lists.arena->orphan_base != 0) {
            lists.is_incomplete = true;
            continue;
        }
        walk_bins(&lists);
        lists.is_incomplete |= lists.arena->was_busy;
    }
    glibc->has_unread_list = lists.is_incomplete;
}
