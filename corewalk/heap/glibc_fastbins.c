/*
 * The fastbins of the arenas (up to 2.42), whose chunks look used to their neighbours.
 *
 * The state column is the set of what was visited, as for bins (glibc_bins.c). The lists of an
 * arena are walked at once, since each step waits for memory.
 */
#include "heap/glibc_check.h"

enum { LARGEST_FASTBIN_COUNT = 11 };

struct fastbins {
    struct glibc *glibc;
    struct glibc_window window;
    uint8_t *states;
    const struct glibc_arena *arena;
};

void glibc_vote_fastbins(struct glibc *glibc)
{
    struct glibc_window window = {.space = glibc->space};
    for (size_t i = 0; i < glibc->arenas.count; i++) {
        const struct glibc_arena *arena = glibc_arena_at(glibc, i);
        unsigned bin_count = arena->orphan_base != 0 ? 0 : glibc->layout->fastbin_count;
        for (unsigned bin = 0; bin < bin_count; bin++) {
            uint64_t chunk;
            uint64_t stored;
            if (glibc_peek(&window, glibc_fastbin_head(glibc, arena, bin), &chunk) && chunk != 0 &&
                glibc_chunk_at(glibc, chunk) != CW_NONE &&
                glibc_peek(&window, chunk + glibc->header_bytes, &stored)) {
                glibc_vote_linking(glibc, chunk + glibc->header_bytes, stored, false);
            }
        }
    }
}

/* A list that is being followed: where it was entered and what led to the chunk at hand. */
struct fast_list {
    cw_addr chunk;
    cw_addr from; /* the chunk whose link led here; 0: the arena */
    unsigned bin;
};

/* The link that led to the chunk is damaged: in the chunk before, or in the arena. */
static void report_fastbin(struct fastbins *fastbins,
                           const struct fast_list *list,
                           const char *what)
{
    struct glibc *glibc = fastbins->glibc;
    cw_addr user = list->from + glibc->header_bytes;
    char link[GLIBC_LINK_TEXT];
    if (list->from != 0) {
        char text[GLIBC_BLOCK_TEXT];
        glibc_report(glibc,
                     CW_DAMAGE_FASTBIN_LINK,
                     list->from,
                     user,
                     "the freed block at %s links to %s, %s: it has likely been written to after "
                     "it was freed",
                     glibc_block_text(glibc, list->from, text),
                     glibc_link_text(glibc, list->chunk, link),
                     what);
    } else {
        cw_addr head = glibc_fastbin_head(glibc, fastbins->arena, list->bin);
        glibc_report(glibc,
                     CW_DAMAGE_FASTBIN_LINK,
                     head,
                     0,
                     "a fastbin of the arena at 0x%" PRIx64
                     " begins at %s, %s: the arena has likely been overwritten",
                     fastbins->arena->address,
                     glibc_link_text(glibc, list->chunk, link),
                     what);
    }
}

/* Two words apart from the least size on: each fastbin takes one size, the finer ones of 32 bits.
 */
static void check_fast_size(struct fastbins *fastbins, const struct fast_list *list, uint32_t index)
{
    struct glibc *glibc = fastbins->glibc;
    uint64_t bytes = glibc_size_of(glibc, index);
    if (bytes / (2 * glibc->word_bytes) - 2 != list->bin && !glibc_is_damaged(glibc, list->chunk)) {
        glibc_report(glibc,
                     CW_DAMAGE_FASTBIN_SIZE,
                     list->chunk,
                     list->chunk + glibc->header_bytes,
                     "the chunk at 0x%" PRIx64 " has %" PRIu64
                     " bytes, but lies in the fastbin of another size",
                     list->chunk,
                     bytes);
    }
}

/* Marks one chunk of a list and moves on to the next. False at the end. */
static bool take_fast(struct fastbins *fastbins, struct fast_list *list)
{
    struct glibc *glibc = fastbins->glibc;
    uint32_t index = glibc_chunk_at(glibc, list->chunk);
    uint64_t stored;
    if (index == CW_NONE || fastbins->states[index] == CW_CHUNK_TOP) {
        if (list->from != 0 || glibc_peek(&fastbins->window, list->chunk, &stored)) {
            report_fastbin(fastbins, list, "where no chunk starts");
        }
        return false;
    }
    switch ((enum cw_chunk_state)fastbins->states[index]) {
    case CW_CHUNK_USED:
        break;
    case CW_CHUNK_FASTBIN:
        glibc_report_twice(glibc, list->chunk, "in a fastbin twice");
        return false;
    case CW_CHUNK_TCACHE:
        glibc_report_twice(glibc, list->chunk, "both in a thread's cache and in a fastbin");
        return false;
    default:
        if (glibc_is_damaged(glibc, list->chunk)) {
            break;
        }
        report_fastbin(fastbins, list, "where no used chunk starts");
        return false;
    }
    fastbins->states[index] = CW_CHUNK_FASTBIN;
    glibc->builder->heap->checks.fastbin_chunk_count++;
    check_fast_size(fastbins, list, index);
    cw_addr field = list->chunk + glibc->header_bytes;
    if (!glibc_peek(&fastbins->window, field, &stored)) {
        return false;
    }
    list->from = list->chunk;
    list->chunk = glibc_follow(glibc, field, stored);
    return list->chunk != 0;
}

/* Takes one chunk of each list in turn, and fetches the next ones early. */
static void walk_fastbins(struct fastbins *fastbins, struct fast_list *open, unsigned open_count)
{
    while (open_count > 0) {
        for (unsigned i = 0; i < open_count; i++) {
            if (!take_fast(fastbins, &open[i])) {
                open[i--] = open[--open_count];
                continue;
            }
            cw_addr next = open[i].chunk;
            if (cw_range_has(fastbins->window.start, fastbins->window.size_bytes, next)) {
                __builtin_prefetch(fastbins->window.data + (next - fastbins->window.start));
            }
        }
    }
}

void glibc_mark_fastbins(struct glibc *glibc)
{
    struct fastbins fastbins = {
        .glibc = glibc, .window = {.space = glibc->space}, .states = glibc_states(glibc)};
    for (size_t i = 0; i < glibc->arenas.count; i++) {
        fastbins.arena = glibc_arena_at(glibc, i);
        struct fast_list open[LARGEST_FASTBIN_COUNT];
        unsigned open_count = 0;
        unsigned bin_count = fastbins.arena->orphan_base != 0 ? 0 : glibc->layout->fastbin_count;
        for (unsigned bin = 0; bin < bin_count; bin++) {
            cw_addr field = glibc_fastbin_head(glibc, fastbins.arena, bin);
            uint64_t chunk;
            if (glibc_peek(&fastbins.window, field, &chunk) && chunk != 0) {
                open[open_count++] = (struct fast_list){.chunk = chunk, .bin = bin};
            }
        }
        walk_fastbins(&fastbins, open, open_count);
    }
}
