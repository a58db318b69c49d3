/*
 * From chunk to chunk: pieces that workers hop over at once, and how a walk goes on where the
 * chain of sizes breaks.
 */
#pragma once

#include "heap/glibc.h"

enum glibc_stop {
    GLIBC_STOP_LIMIT,   /* landed on the limit exactly */
    GLIBC_STOP_PAST,    /* landed behind it */
    GLIBC_STOP_SIZE,    /* the size at `end` is none of a chunk; its start bit is set */
    GLIBC_STOP_MISSING, /* the header at `end` is missing */
};

/* A part of a run, hopped over by one worker. */
struct glibc_piece {
    uint32_t span_index;
    uint32_t run_index;
    cw_addr start; /* 0: no chunk was found to start from */
    cw_addr limit;
    cw_addr end;  /* where it stopped */
    cw_addr last; /* the chunk before `end`; 0: none */
    enum glibc_stop stop;
    bool is_suspicious; /* headers disagree somewhere: to be looked at chunk by chunk */
};

/* Could this be the size word of an ordinary chunk with so much room behind it? */
bool glibc_size_is_sane(const struct glibc *glibc,
                        const struct glibc_span *span,
                        uint64_t size_word,
                        uint64_t room);

/* Sets the start and live bits from piece->start on, up to piece->limit; fills end, last, stop. */
void glibc_hop(const struct glibc *glibc, struct glibc_piece *piece);

/* Clears the start and live bits in [start, end). */
void glibc_clear(const struct glibc *glibc, uint32_t run_index, cw_addr start, cw_addr end);

/* Sets a start bit and its live bit. */
void glibc_set(const struct glibc *glibc, uint32_t run_index, cw_addr start, bool live);

/*
 * A chunk start at or behind `from` that the chunks behind it confirm, with few false ones:
 * speculation, to be verified by a walk that lands there. 0: none before `limit`.
 */
cw_addr glibc_guess_start(const struct glibc *glibc,
                          const struct glibc_span *span,
                          const struct cw_heap_run *run,
                          cw_addr from,
                          cw_addr limit);

/* The lowest anchor at or behind the address; 0: none. Needs them gathered. */
cw_addr glibc_anchor_behind(const struct glibc *glibc, cw_addr address);

/* Collects chunk starts that free lists know of, once. */
void glibc_gather_anchors(struct glibc *glibc);

/*
 * Where the chunks go on behind a break: the lowest address at or behind `from` from which they
 * lead to a known chunk start, or far enough to be believed. `known` is one (0: none) besides the
 * anchors and the top. False when nothing in the run does.
 */
bool glibc_resync(struct glibc *glibc,
                  const struct glibc_span *span,
                  const struct cw_heap_run *run,
                  cw_addr from,
                  cw_addr known,
                  cw_addr *ret_start);

/* The nearest start bit before the address in the run; 0: none nearby. */
cw_addr glibc_start_before(const struct glibc *glibc, uint32_t run_index, cw_addr address);

/* Where a chain of chunks has stopped, and what is likely to be wrong there. */
struct glibc_blame {
    const struct glibc_span *span;
    uint32_t run_index;
    cw_addr stop;        /* where no chunk can be */
    cw_addr last;        /* the chunk that led there; 0: none */
    cw_addr chain_start; /* the chunk that the chain began with */
    cw_addr known;       /* see glibc_resync */
    /* The answer: */
    cw_addr damaged;        /* the chunk whose header is damaged: at `stop`, or one before */
    cw_addr before;         /* the chunk before that; 0: none */
    enum glibc_doubt doubt; /* that `before` was written beyond its end */
    cw_addr resume;         /* where chunks go on */
};

/* What is searched for references: all writable memory that is held. */
uint64_t glibc_searchable_bytes(const struct glibc *glibc);

/* False when there is nowhere to go on. */
bool glibc_find_blame(struct glibc *glibc, struct glibc_blame *blame);
