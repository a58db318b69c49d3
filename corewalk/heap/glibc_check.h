/*
 * glibc's own integrity checks, over all chunks and lists (glibc_check*.c), and the reports of
 * what they find. The hop notices that something in a piece is odd (glibc_hop.c), so that only
 * such pieces are looked at chunk by chunk; lists are checked while they are walked.
 */
#pragma once

#include <stdarg.h>

#include "heap/damage.h"
#include "heap/glibc.h"

/*
 * Adds a finding. `culprit`: an address in the block that is likely to blame, or 0. The first of
 * each kind are kept, the rest is counted.
 */
void glibc_report(struct glibc *glibc,
                  enum cw_damage damage,
                  cw_addr address,
                  cw_addr culprit,
                  const char *format,
                  ...) __attribute__((format(printf, 5, 6)));

/* Adds one of a chunk that was freed twice; `where` it is. */
void glibc_report_twice(struct glibc *glibc, cw_addr chunk, const char *where);

/* Says how many findings of each kind were only counted. */
void glibc_report_rest(const struct glibc_copies *copies);

/* " (SIZE bytes) at 0xUSER": a block for texts, by any address in it; "" where there is none. */
#define GLIBC_BLOCK_TEXT 80
const char *glibc_block_text(const struct glibc *glibc, cw_addr address, char *buffer);

/* A link for texts: the address, or, since it may be content, only that it is none. */
#define GLIBC_LINK_TEXT 32
const char *glibc_link_text(const struct glibc *glibc, uint64_t link, char *buffer);

/* Was the chunk's header found to be damaged by the walk? */
bool glibc_is_damaged(const struct glibc *glibc, cw_addr chunk);

/* Reports what the walk has met. Needs the table. */
void glibc_report_breaks(struct glibc *glibc);

/* The chunk that ends where the one at the address starts, in the same extent; 0: none. */
cw_addr glibc_chunk_before(const struct glibc *glibc, cw_addr chunk);

/* The number of the bin that chunks of this size belong into; 2 to 126. */
unsigned glibc_bin_of(const struct glibc *glibc, uint64_t chunk_bytes);

/* Bins from this one on are sorted, and linked by size as well. */
enum { GLIBC_FIRST_LARGE_BIN = 64, GLIBC_UNSORTED_BIN = 1 };

/*
 * Looks at the chunks of suspicious pieces, once the bins of all copies were walked: those that are
 * free to their successor but were met in no bin still have the state UNKNOWN.
 */
void glibc_check_chunks(struct glibc *glibc);

/* Reports mappings that the mp_ of all copies count and nobody has found. Needs the table. */
void glibc_check_mmapped(struct glibc *glibc);

/* Looks, in the copy of libc_malloc_debug.so, for blocks that were written beyond their end. */
void glibc_check_magic(struct glibc *glibc);

/*
 * An arena that counts more memory than was found, when nothing else is wrong: a piece of it was
 * more likely overlooked than its count overwritten.
 */
void glibc_excuse_sums(const struct glibc_copies *copies);

/* What glibc itself has said, where it was about the heap. */
void glibc_report_abort(struct glibc *glibc);

/*
 * Lowers findings that an operation under way explains: a thread was stopped inside malloc with
 * the chunk in its hands. Needs all findings.
 */
void glibc_explain_unfinished(const struct glibc_copies *copies);
