/*
 * The bins of the arenas, whose chunks are known as free to their neighbours.
 *
 * The state column is the set of what was visited: a list ends where it meets a chunk that was
 * already put into one, so that all lists together have no more steps than there are chunks. The
 * lists of an arena are walked at once, to their ends, since each step waits for memory.
 */
#include <string.h>

#include "heap/glibc_check.h"

enum { UNBINNED_TOLERATED = 1 }; /* a chunk between unlinking and reuse */

struct lists {
    struct glibc *glibc;
    struct glibc_window window;
    uint8_t *states;
    const struct glibc_arena *arena;
    uint64_t steps_left;
    bool is_incomplete; /* a list ended early: in missing memory, at damage, or at the limit */
};

/* A bin that is being walked. */
struct bin_walk {
    unsigned bin;
    cw_addr head;            /* as a chunk */
    cw_addr chunk;           /* to be taken next */
    cw_addr previous;        /* the head, or a chunk */
    uint64_t previous_bytes; /* 0: the head */
};

/* The links of `where` (a chunk, or the head of the bin) are damaged. */
static void report_bin(struct lists *lists,
                       const struct bin_walk *walk,
                       cw_addr where,
                       const char *link,
                       uint64_t target,
                       const char *what)
{
    struct glibc *glibc = lists->glibc;
    char address[GLIBC_LINK_TEXT];
    glibc_link_text(glibc, target, address);
    lists->is_incomplete = true;
    if (glibc_is_damaged(glibc, where)) {
        return; /* what has hit its header has hit its links */
    }
    if (where == walk->head) {
        glibc_report(glibc,
                     CW_DAMAGE_ARENA_LIST,
                     where + glibc->header_bytes,
                     0,
                     "bin %u of the arena at 0x%" PRIx64
                     " %s %s, %s: the arena has likely been overwritten",
                     walk->bin,
                     lists->arena->address,
                     link,
                     address,
                     what);
        return;
    }
    char text[GLIBC_BLOCK_TEXT];
    glibc_report(glibc,
                 CW_DAMAGE_BIN_LINK,
                 where,
                 where + glibc->header_bytes,
                 "the free block at %s, in bin %u, %s %s, %s: it has likely been written to after "
                 "it was freed",
                 glibc_block_text(glibc, where, text),
                 walk->bin,
                 link,
                 address,
                 what);
}

/* Large bins: descending sizes, the first chunk of each linked to those of the next sizes. */
static void check_large(struct lists *lists, const struct bin_walk *walk, cw_addr chunk)
{
    struct glibc *glibc = lists->glibc;
    uint64_t word = glibc->word_bytes;
    uint64_t forward;
    uint64_t backward;
    uint64_t there_and_back = chunk;
    uint64_t back_and_there = chunk;
    if (!glibc_peek(&lists->window, chunk + 4 * word, &forward) ||
        !glibc_peek(&lists->window, chunk + 5 * word, &backward) || forward == 0) {
        return;
    }
    bool is_sound = glibc_chunk_at(glibc, forward) != CW_NONE &&
                    glibc_chunk_at(glibc, backward) != CW_NONE &&
                    glibc_peek(&lists->window, forward + 5 * word, &there_and_back) &&
                    glibc_peek(&lists->window, backward + 4 * word, &back_and_there) &&
                    there_and_back == chunk && back_and_there == chunk;
    if (!is_sound && glibc_chunk_at(glibc, forward) != CW_NONE &&
        glibc_chunk_at(glibc, backward) != CW_NONE) {
        /* One of the neighbours is to blame, and will be found to be, when its own links are. */
        uint64_t own;
        bool is_mine = glibc_peek(&lists->window, forward + 5 * word, &own) && own != chunk &&
                       glibc_chunk_at(glibc, own) != CW_NONE;
        is_sound = !is_mine;
    }
    if (!is_sound) {
        char text[GLIBC_BLOCK_TEXT];
        glibc_report(glibc,
                     CW_DAMAGE_NEXTSIZE_LINK,
                     chunk,
                     chunk + glibc->header_bytes,
                     "the free block at %s, in bin %u, has broken links to other sizes: it has "
                     "likely been written to after it was freed",
                     glibc_block_text(glibc, chunk, text),
                     walk->bin);
    }
}

static void check_binned_size(struct lists *lists,
                              const struct bin_walk *walk,
                              cw_addr chunk,
                              uint64_t bytes)
{
    struct glibc *glibc = lists->glibc;
    if (walk->bin != GLIBC_UNSORTED_BIN && glibc_bin_of(glibc, bytes) != walk->bin) {
        glibc_report(glibc,
                     CW_DAMAGE_BIN_SIZE,
                     chunk,
                     chunk + glibc->header_bytes,
                     "the free chunk at 0x%" PRIx64 " has %" PRIu64
                     " bytes, but lies in bin %u, which is for other sizes",
                     chunk,
                     bytes,
                     walk->bin);
        return;
    }
    if (walk->bin < GLIBC_FIRST_LARGE_BIN) {
        return;
    }
    if (walk->previous_bytes != 0 && bytes > walk->previous_bytes) {
        glibc_report(glibc,
                     CW_DAMAGE_BIN_ORDER,
                     chunk,
                     chunk + glibc->header_bytes,
                     "the free chunk at 0x%" PRIx64 " has %" PRIu64
                     " bytes, but follows a smaller one in bin %u",
                     chunk,
                     bytes,
                     walk->bin);
    }
    check_large(lists, walk, chunk);
}

/* The link back of the chunk does not lead to the one before: which of the two is damaged? */
static void check_back(struct lists *lists,
                       const struct bin_walk *walk,
                       cw_addr chunk,
                       uint64_t back)
{
    if (back != walk->previous) {
        report_bin(lists, walk, chunk, "links back to", back, "not to the chunk before it");
    }
}

/* The header behind it says that it is in use, but its links and its footer say free. */
static bool is_free_after_all(
    struct lists *lists, const struct bin_walk *walk, cw_addr chunk, uint64_t bytes, uint64_t back)
{
    struct glibc *glibc = lists->glibc;
    uint64_t footer;
    if (back != walk->previous || !glibc_peek(&lists->window, chunk + bytes, &footer) ||
        footer != bytes) {
        return false;
    }
    if (!glibc_is_damaged(glibc, chunk + bytes)) {
        glibc_report(glibc,
                     CW_DAMAGE_PREV_INUSE,
                     chunk + bytes,
                     chunk + glibc->header_bytes,
                     "the header at 0x%" PRIx64 " says that the block before it, at 0x%" PRIx64
                     " (%" PRIu64 " bytes), is in use, but it is free and in bin %u",
                     chunk + bytes,
                     chunk + glibc->header_bytes,
                     bytes,
                     walk->bin);
    }
    return true;
}

/* Marks one chunk of a bin. False: the list cannot be followed further. */
static bool take_binned(struct lists *lists, struct bin_walk *walk, cw_addr chunk)
{
    struct glibc *glibc = lists->glibc;
    uint64_t back;
    uint32_t index = glibc_chunk_at(glibc, chunk);
    if (!glibc_peek(&lists->window, chunk + 3 * glibc->word_bytes, &back)) {
        /* A wild address, or one whose memory is missing? */
        if (cw_space_find(glibc->space, chunk) == NULL) {
            report_bin(lists, walk, walk->previous, "links to", chunk, "where nothing is mapped");
        }
        lists->is_incomplete = true;
        return false;
    }
    if (index == CW_NONE) {
        report_bin(lists, walk, walk->previous, "links to", chunk, "where no chunk starts");
        return false;
    }
    uint64_t bytes = glibc_size_of(glibc, index);
    switch ((enum cw_chunk_state)lists->states[index]) {
    case CW_CHUNK_UNKNOWN:
        lists->states[index] = CW_CHUNK_BINNED;
        break;
    case CW_CHUNK_BINNED:
        report_bin(lists, walk, walk->previous, "links to", chunk, "which is already in a bin");
        return false;
    case CW_CHUNK_FASTBIN:
    case CW_CHUNK_TCACHE:
        lists->is_incomplete = true;
        glibc_report_twice(glibc, chunk, "both in a bin and in a list of freed blocks");
        return false;
    default:
        if (!is_free_after_all(lists, walk, chunk, bytes, back)) {
            report_bin(lists, walk, walk->previous, "links to", chunk, "which is not free");
            return false;
        }
        lists->states[index] = CW_CHUNK_BINNED;
        break;
    }
    glibc->builder->heap->checks.bin_chunk_count++;
    check_back(lists, walk, chunk, back);
    if (!glibc_is_damaged(glibc, chunk)) {
        check_binned_size(lists, walk, chunk, bytes);
    }
    walk->previous = chunk;
    walk->previous_bytes = bytes;
    return true;
}

/* What lies behind a broken link is met from the other end: marked, not checked again. */
static void mark_backwards(struct lists *lists, cw_addr head)
{
    const struct glibc *glibc = lists->glibc;
    uint64_t word = glibc->word_bytes;
    uint64_t chunk;
    cw_addr behind = head;
    if (!glibc_peek(&lists->window, head + 3 * word, &chunk)) {
        return;
    }
    while (chunk != head && lists->steps_left > 0) {
        lists->steps_left--;
        uint32_t index = glibc_chunk_at(glibc, chunk);
        uint64_t forward;
        if (index == CW_NONE || lists->states[index] != CW_CHUNK_UNKNOWN ||
            !glibc_peek(&lists->window, chunk + 2 * word, &forward) || forward != behind) {
            return;
        }
        lists->states[index] = CW_CHUNK_BINNED;
        behind = chunk;
        if (!glibc_peek(&lists->window, chunk + 3 * word, &chunk)) {
            return;
        }
    }
}

/* Goes to the first or the next chunk of a bin. False: the list is at its end, or cannot be read.
 */
static bool advance(struct lists *lists, struct bin_walk *walk)
{
    uint64_t word = lists->glibc->word_bytes;
    uint64_t last;
    if (!glibc_peek(&lists->window, walk->previous + 2 * word, &walk->chunk)) {
        lists->is_incomplete = true;
        return false;
    }
    if (walk->chunk == walk->head) {
        if (glibc_peek(&lists->window, walk->head + 3 * word, &last) && last != walk->previous) {
            report_bin(lists, walk, walk->head, "ends at", last, "not at its last chunk");
        }
        return false;
    }
    if (cw_range_has(lists->window.start, lists->window.size_bytes, walk->chunk)) {
        __builtin_prefetch(lists->window.data + (walk->chunk - lists->window.start));
    }
    return true;
}

static bool step(struct lists *lists, struct bin_walk *walk)
{
    if (lists->steps_left == 0) {
        lists->is_incomplete = true;
        return false;
    }
    lists->steps_left--;
    if (!take_binned(lists, walk, walk->chunk)) {
        mark_backwards(lists, walk->head);
        return false;
    }
    return advance(lists, walk);
}

static void walk_bins(struct lists *lists)
{
    struct bin_walk open[GLIBC_BIN_COUNT];
    unsigned open_count = 0;
    for (unsigned bin = 1; bin <= GLIBC_BIN_COUNT; bin++) {
        cw_addr head = lists->arena->bins + ((uint64_t)bin - 2) * 2 * lists->glibc->word_bytes;
        open[open_count] = (struct bin_walk){.bin = bin, .head = head, .previous = head};
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

/* A bin with chunks whose bit is clear is passed over by malloc. */
static void check_binmap(struct lists *lists, unsigned bin)
{
    uint64_t word = lists->glibc->word_bytes;
    cw_addr head = lists->arena->bins + ((uint64_t)bin - 2) * 2 * word;
    cw_addr map = lists->arena->bins + (uint64_t)GLIBC_BIN_WORDS * word;
    uint64_t chunk;
    uint32_t bits;
    if (bin != GLIBC_UNSORTED_BIN && glibc_peek(&lists->window, head + 2 * word, &chunk) &&
        chunk != head &&
        cw_space_read_u32(lists->glibc->space, map + bin / 32 * sizeof bits, &bits) &&
        !(bits >> bin % 32 & 1)) {
        glibc_report(lists->glibc,
                     CW_DAMAGE_BINMAP,
                     map,
                     0,
                     "bin %u of the arena at 0x%" PRIx64
                     " has chunks, but the arena's map says that it is empty",
                     bin,
                     lists->arena->address);
    }
}

void glibc_settle_unbinned(struct glibc_copies *copies)
{
    struct glibc *first_copy = &copies->items[0];
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
        cw_addr start = cw_chunk_table_get(table, first).start;
        glibc_report(first_copy,
                     CW_DAMAGE_NOT_BINNED,
                     start,
                     0,
                     "%" PRIu64 " chunk%s free to their neighbours, but in no bin; the first is "
                     "at 0x%" PRIx64,
                     count,
                     count == 1 ? " is" : "s are",
                     start);
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
        for (unsigned bin = 1; bin <= GLIBC_BIN_COUNT; bin++) {
            check_binmap(&lists, bin);
        }
    }
    glibc->has_unread_list = lists.is_incomplete;
}
