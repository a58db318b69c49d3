/*
 * Going on behind a break in the chain of chunks.
 *
 * Free lists know chunk starts all over the heap (anchors, glibc_anchor.c). Behind a break, the
 * lowest address from which the sizes lead exactly onto the next anchor (or the top, or a start
 * that workers have confirmed) is taken; where no address does, the anchor itself. All work draws
 * on one budget.
 */
#include "heap/glibc_walk.h"

enum { UNANCHORED_HOPS = 64 }; /* that stand for an anchor where there is none */

/* The lowest anchor at or behind the address; 0: none. */
static cw_addr anchor_behind(const struct glibc *glibc, cw_addr address)
{
    size_t low = 0;
    size_t high = glibc->anchors.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (*(cw_addr *)cw_vector_at(&glibc->anchors, middle) < address) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < glibc->anchors.count ? *(cw_addr *)cw_vector_at(&glibc->anchors, low) : 0;
}

/* The lower of two addresses of which either may be 0 (none). */
static cw_addr lower(cw_addr a, cw_addr b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

struct trial {
    struct glibc *glibc;
    const struct glibc_span *span;
    struct glibc_window window;
    cw_addr target; /* 0: none */
    cw_addr end;    /* of the run */
};

/* Fenceposts end a piece of the main arena's memory in twos, a thread arena's heap with one. */
static bool is_fence(struct trial *trial, cw_addr chunk)
{
    const struct glibc *glibc = trial->glibc;
    uint64_t second;
    return glibc_peek(&trial->window, chunk + glibc->header_bytes + glibc->word_bytes, &second) &&
           second == ((trial->span->kind == GLIBC_SPAN_MAIN ? glibc->header_bytes : 0) |
                      GLIBC_PREV_INUSE);
}

/* Do the sizes from the candidate on lead to the target? */
static bool leads_on(struct trial *trial, cw_addr candidate)
{
    struct glibc *glibc = trial->glibc;
    cw_addr chunk = candidate;
    cw_addr limit = trial->target != 0 ? trial->target : trial->end;
    for (unsigned hop = 0; chunk < limit; hop++) {
        uint64_t size_word;
        if (glibc->resync_hops_left == 0 ||
            !glibc_peek(&trial->window, chunk + glibc->word_bytes, &size_word)) {
            return false;
        }
        glibc->resync_hops_left--;
        uint64_t bytes = glibc_chunk_bytes(size_word);
        if (bytes == 0 && hop > 0 && chunk + glibc->header_bytes == trial->span->end) {
            return true; /* the last fencepost of a heap */
        }
        if (bytes == glibc->header_bytes && hop > 0 && is_fence(trial, chunk)) {
            return true;
        }
        if (!glibc_size_is_sane(glibc, trial->span, size_word, trial->end - chunk)) {
            return false;
        }
        chunk += bytes;
        if (trial->target == 0 && hop >= UNANCHORED_HOPS) {
            return true;
        }
    }
    return chunk == limit;
}

bool glibc_resync(struct glibc *glibc,
                  const struct glibc_span *span,
                  const struct cw_heap_run *run,
                  cw_addr from,
                  cw_addr known,
                  cw_addr *ret_start)
{
    glibc_gather_anchors(glibc);
    cw_addr start = glibc_first_chunk(glibc, from);
    struct trial trial = {.glibc = glibc, .span = span, .window = {.space = glibc->space}};
    trial.end = run->start + run->size_bytes;
    trial.target = anchor_behind(glibc, start);
    trial.target = lower(trial.target, span->top >= start ? span->top : 0);
    trial.target = lower(trial.target, known >= start ? known : 0);
    if (trial.target >= trial.end) {
        trial.target = 0;
    }
    cw_addr limit = trial.target != 0 ? trial.target : trial.end;
    for (cw_addr candidate = start; candidate < limit; candidate += glibc->alignment) {
        if (leads_on(&trial, candidate)) {
            *ret_start = candidate;
            return true;
        }
        if (glibc->resync_hops_left == 0) {
            break;
        }
    }
    if (trial.target != 0) {
        *ret_start = trial.target;
        return true;
    }
    return false;
}
