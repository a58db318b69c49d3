/*
 * The mark of cached chunks: from 2.29 on the second word of each holds a key, the address of its
 * cache or (from 2.34 on) one random number for the process; it is wiped when the chunk is handed
 * out. A cached chunk without it was written to after it was freed.
 *
 * So, too, where caches could not be read, or their lists are damaged, the chunks that they have
 * lost can be counted. Not more than that: the key also survives in memory that left a cache
 * another way.
 *
 * The key is learnt from the chunks that are in lists, by majority.
 */
#include "heap/glibc_tcache.h"

enum {
    FEWEST_VOTERS = 4,
    SMALLEST_KEY = 0x10000, /* below are counts, flags and the like, where there is no key */
};

/* Boyer and Moore's vote: what has a majority is left over. */
void glibc_vote_key(struct glibc *glibc, const struct glibc_tcache *cache, uint64_t word)
{
    struct glibc_key *key = &glibc->key;
    if (key->lead == 0) {
        key->word = word;
    }
    key->lead = key->word == word ? key->lead + 1 : key->lead - 1;
    key->voter_count++;
    key->own_count += word == cache->address ? 1 : 0;
}

/* Three in four. */
static bool is_cache_address(const struct glibc_key *key)
{
    return key->own_count >= key->voter_count - key->voter_count / 4;
}

/* A number of the process came after links were mangled; without that it is content. */
bool glibc_has_key(const struct glibc *glibc)
{
    const struct glibc_key *key = &glibc->key;
    return key->voter_count >= FEWEST_VOTERS &&
           (is_cache_address(key) ||
            (glibc->linking == GLIBC_LINKS_MANGLED && key->word >= SMALLEST_KEY &&
             key->lead >= key->voter_count - key->voter_count / 2));
}

bool glibc_is_key(const struct glibc *glibc, const struct glibc_tcache *cache, uint64_t word)
{
    if (!is_cache_address(&glibc->key)) {
        return word == glibc->key.word;
    }
    bool is_key = cache != NULL && word == cache->address;
    for (size_t i = 0; i < glibc->tcaches.count && cache == NULL && !is_key; i++) {
        const struct glibc_tcache *any = cw_vector_at(&glibc->tcaches, i);
        is_key = word == any->address;
    }
    return is_key;
}

/* ---- what caches have lost ----------------------------------------------------------------- */

struct count {
    const struct glibc *glibc;
    struct glibc_window window;
    struct cw_tally *lost;
};

static void count_in_extent(struct count *count, const struct cw_extent *extent)
{
    const struct glibc *glibc = count->glibc;
    const struct cw_chunk_table *table = &glibc->builder->heap->chunks;
    for (uint32_t i = 0; i < extent->chunk_count; i++) {
        uint32_t index = extent->first_chunk + i;
        if (cw_chunk_table_state(table, index) != CW_CHUNK_USED) {
            continue;
        }
        cw_addr user =
            cw_chunk_table_start(table, extent, index) + extent->lead_bytes + glibc->header_bytes;
        uint64_t word;
        if (glibc_peek(&count->window, user + glibc->word_bytes, &word) &&
            glibc_is_key(glibc, NULL, word)) {
            cw_tally_add(count->lost, cw_chunk_table_size(table, extent, index));
        }
    }
}

void glibc_count_lost(const struct glibc_copies *copies)
{
    const struct cw_heap_builder *builder = copies->items[0].builder;
    const struct cw_chunk_table *table = &builder->heap->chunks;
    struct cw_tally lost = {0};
    for (size_t i = 0; i < copies->count; i++) {
        const struct glibc *glibc = &copies->items[i];
        struct count count = {.glibc = glibc, .window = {.space = glibc->space}, .lost = &lost};
        bool may_count = glibc->has_lost_cached && glibc_has_key(glibc);
        for (uint32_t k = 0; k < table->extent_count && may_count; k++) {
            if (glibc_has_arena(glibc, table->extents[k].arena_index)) {
                count_in_extent(&count, &table->extents[k]);
            }
        }
    }
    if (lost.count > 0) {
        cw_note_add(builder->coverage,
                    CW_INFO,
                    "probably-cached",
                    0,
                    "%" PRIu64 " chunks of %" PRIu64 " bytes count as used, but bear the mark of "
                    "freed ones in a thread's cache: they have probably been freed",
                    lost.count,
                    lost.bytes);
    }
}
