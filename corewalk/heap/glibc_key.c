/*
 * The mark of cached chunks: from 2.29 on the second word of each holds a key, the address of the
 * cache or (from 2.34 on) one random number for the process; it is wiped when the chunk is handed
 * out. So where caches could not be read, or their lists are damaged, the chunks that they have
 * lost can be counted. Not more than that: the key also survives in memory that left a cache
 * another way.
 *
 * The key is learnt from the chunks that are in lists, by majority.
 */
#include "heap/glibc.h"

enum {
    FEWEST_VOTERS = 4,
    SMALLEST_KEY = 0x10000, /* below are counts, flags and the like, where there is no key */
};

struct poll {
    const struct glibc *glibc;
    struct glibc_window window;
    uint64_t key; /* the candidate of a majority */
    uint64_t lead;
    struct cw_tally voters;
    struct cw_tally with_key;
};

/* What the poll does with the second word of a chunk of the wanted state. */
typedef void (*ballot)(struct poll *poll, uint64_t word, uint64_t chunk_bytes);

static void look_at_extent(struct poll *poll,
                           const struct cw_extent *extent,
                           enum cw_chunk_state state,
                           ballot cast)
{
    const struct glibc *glibc = poll->glibc;
    const struct cw_chunk_table *table = &glibc->builder->heap->chunks;
    for (uint32_t i = 0; i < extent->chunk_count; i++) {
        uint32_t index = extent->first_chunk + i;
        if (cw_chunk_table_state(table, index) != state) {
            continue;
        }
        cw_addr user =
            cw_chunk_table_start(table, extent, index) + extent->lead_bytes + glibc->header_bytes;
        uint64_t word;
        if (glibc_peek(&poll->window, user + glibc->word_bytes, &word)) {
            cast(poll, word, cw_chunk_table_size(table, extent, index));
        }
    }
}

static void look_at_all(struct poll *poll, enum cw_chunk_state state, ballot cast)
{
    const struct cw_chunk_table *table = &poll->glibc->builder->heap->chunks;
    for (uint32_t i = 0; i < table->extent_count; i++) {
        look_at_extent(poll, &table->extents[i], state, cast);
    }
}

/* Boyer and Moore's vote: what has a majority is left over. */
static void choose(struct poll *poll, uint64_t word, uint64_t chunk_bytes)
{
    cw_tally_add(&poll->voters, chunk_bytes);
    if (poll->lead == 0) {
        poll->key = word;
    }
    poll->lead = poll->key == word ? poll->lead + 1 : poll->lead - 1;
}

static void count(struct poll *poll, uint64_t word, uint64_t chunk_bytes)
{
    if (word == poll->key) {
        cw_tally_add(&poll->with_key, chunk_bytes);
    }
}

/* Is the candidate a key? Most releases give every chunk the same; three in four must have it. */
static bool learn(struct poll *poll)
{
    look_at_all(poll, CW_CHUNK_TCACHE, choose);
    if (poll->voters.count < FEWEST_VOTERS || poll->key < SMALLEST_KEY) {
        return false;
    }
    look_at_all(poll, CW_CHUNK_TCACHE, count);
    return poll->with_key.count >= poll->voters.count - poll->voters.count / 4;
}

void glibc_count_lost(const struct glibc_copies *copies)
{
    struct poll poll = {0};
    for (size_t i = 0; i < copies->count && poll.glibc == NULL; i++) {
        if (copies->items[i].has_lost_cached) {
            poll = (struct poll){.glibc = &copies->items[i]};
        }
    }
    if (poll.glibc == NULL) {
        return;
    }
    poll.window.space = poll.glibc->space;
    if (!learn(&poll)) {
        return;
    }
    poll.with_key = (struct cw_tally){0};
    look_at_all(&poll, CW_CHUNK_USED, count);
    if (poll.with_key.count > 0) {
        cw_note_add(poll.glibc->builder->coverage,
                    CW_INFO,
                    "probably-cached",
                    0,
                    "%" PRIu64 " chunks of %" PRIu64 " bytes count as used, but bear the mark of "
                    "freed ones in a thread's cache: they have probably been freed",
                    poll.with_key.count,
                    poll.with_key.bytes);
    }
}
