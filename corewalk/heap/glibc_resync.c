/*
 * Going on behind a break in the chain of chunks.
 *
 * Free lists know chunk starts all over the heap (anchors, glibc_anchor.c). Behind a break, the
 * lowest address is taken from which the sizes lead
 *   - exactly onto the next anchor (or the top, or a start that workers have confirmed), or
 *   - over so many chunks that they stand for one, or
 *   - over fewer to the next break, unless a longer chain begins before and leads across that.
 * Where no address does, it is the anchor itself. A trial ends after a bounded number of chunks,
 * so that many breaks cost no more than their number, and all work draws on one budget.
 */
#include "heap/glibc_walk.h"

enum {
    CERTAIN_HOPS = 64,      /* that stand for a known start */
    BELIEVABLE_HOPS = 8,    /* that may end at another break */
    MOST_ODD_HEADERS = 2,   /* that a chain may have: these may be damaged as well */
    RIVAL_BYTES = 64 << 10, /* behind a believable start, searched for a certain one */
};
cw_addr glibc_anchor_behind(const struct glibc *glibc, cw_addr address)
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

/* What the chain from a candidate is worth, and where it broke. */
struct chain {
    bool is_certain;
    unsigned hop_count;
    cw_addr stop;
};

/* Is the header at odds with the chunk before it? Only a free chunk repeats its size. */
static bool is_odd(struct trial *trial, cw_addr chunk, uint64_t size_word, uint64_t last_word)
{
    uint64_t footer;
    return (size_word & GLIBC_PREV_INUSE) == 0 &&
           ((last_word & GLIBC_PREV_INUSE) == 0 || !glibc_peek(&trial->window, chunk, &footer) ||
            footer != glibc_chunk_bytes(last_word));
}

static struct chain follow(struct trial *trial, cw_addr candidate)
{
    struct glibc *glibc = trial->glibc;
    struct chain chain = {.stop = candidate};
    cw_addr limit = trial->target != 0 ? trial->target : trial->end;
    uint64_t last_word = 0;
    unsigned odd_count = 0;
    uint64_t size_word;
    while (chain.stop < limit && glibc->resync_hops_left > 0 &&
           glibc_peek(&trial->window, chain.stop + glibc->word_bytes, &size_word)) {
        glibc->resync_hops_left--;
        uint64_t bytes = glibc_chunk_bytes(size_word);
        bool is_end = (bytes == 0 && chain.stop + glibc->header_bytes == trial->span->end) ||
                      (bytes == glibc->header_bytes && is_fence(trial, chain.stop));
        if (chain.hop_count > 0 && is_end) {
            chain.is_certain = true;
            return chain;
        }
        if (!glibc_size_is_sane(glibc, trial->span, size_word, trial->end - chain.stop)) {
            return chain;
        }
        odd_count += chain.hop_count > 0 && is_odd(trial, chain.stop, size_word, last_word);
        if (odd_count > MOST_ODD_HEADERS || ++chain.hop_count >= CERTAIN_HOPS) {
            chain.is_certain = odd_count <= MOST_ODD_HEADERS;
            chain.hop_count = chain.is_certain ? chain.hop_count : 0;
            return chain;
        }
        last_word = size_word;
        chain.stop += bytes;
    }
    chain.is_certain = chain.stop == limit;
    return chain;
}

/* The lowest start in the trial's reach from `start` on; 0: none. */
static cw_addr find_start(struct trial *trial, cw_addr start)
{
    const struct glibc *glibc = trial->glibc;
    cw_addr believable = 0;
    cw_addr limit = trial->target != 0 ? trial->target : trial->end;
    for (cw_addr candidate = start; candidate < limit && glibc->resync_hops_left > 0;
         candidate += glibc->alignment) {
        struct chain chain = follow(trial, candidate);
        if (chain.is_certain) {
            return candidate;
        }
        if (believable == 0 && chain.hop_count >= BELIEVABLE_HOPS) {
            believable = candidate;
            limit = cw_min(chain.stop, candidate + RIVAL_BYTES);
        }
    }
    return believable;
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
    trial.target = glibc_anchor_behind(glibc, start);
    trial.target = lower(trial.target, span->top >= start ? span->top : 0);
    trial.target = lower(trial.target, known >= start ? known : 0);
    if (trial.target >= trial.end) {
        trial.target = 0;
    }
    cw_addr found = find_start(&trial, start);
    if (found == 0) {
        found = trial.target;
    }
    if (found != 0) {
        *ret_start = found;
    }
    return found != 0;
}
