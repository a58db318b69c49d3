/*
 * The struct of a thread's cache, and the mark (key) of the chunks in caches.
 */
#pragma once

#include "heap/glibc_check.h"

enum { GLIBC_TCACHE_BIN_LIMIT = 76 };

/* The struct, read: of each bin, how many chunks it counts, and the head of its list. */
struct glibc_tcache_view {
    uint64_t counts[GLIBC_TCACHE_BIN_LIMIT];
    uint64_t heads[GLIBC_TCACHE_BIN_LIMIT];
    uint64_t slot_limit; /* the most free slots of a bin, or the limit of malloc where it is more */
};

/* Reads the struct at the address as one of this form. False: not all of it is there. */
bool glibc_read_tcache(const struct glibc *glibc,
                       struct glibc_window *window,
                       enum glibc_tcache_form form,
                       cw_addr address,
                       struct glibc_tcache_view *view);

/* Are a bin's count and head such as a bin has? The list is not followed. */
bool glibc_tcache_bin_agrees(const struct glibc *glibc,
                             const struct glibc_tcache_layout *layout,
                             const struct glibc_tcache_view *view,
                             unsigned bin);

/* Counts the second word of a chunk that was met in the list of a cache. */
void glibc_vote_key(struct glibc *glibc, const struct glibc_tcache *cache, uint64_t word);

/* Do nearly all cached chunks bear a key? Needs all votes, and the linking. */
bool glibc_has_key(const struct glibc *glibc);

/*
 * Is the second word of a chunk the key? `cache`: of chunks in that cache; NULL: in any. Only where
 * glibc_has_key.
 */
bool glibc_is_key(const struct glibc *glibc, const struct glibc_tcache *cache, uint64_t word);
