/*
 * The chunk table: every chunk of every allocator, in columns, sorted by address.
 *
 * Chunks lie in extents; in an extent they follow each other without a gap (where nothing can be
 * said about a stretch, it is a chunk of state CW_CHUNK_UNKNOWN). So a chunk is its index, its
 * start is one 32-bit number, and its size is the distance to the next start:
 *
 *   extent  |chunk 17|18|   19    |20|        first_chunk = 17, chunk_count = 4
 *   granule  0        4  5         9   (16 bytes each on LP64, 8 on ILP32)
 *
 * Address to chunk is one cache line: a 32-byte cell for each 64 granules holds their start bits
 * and the number of chunks before it (rank). Cells are aligned in the address space: an address
 * of an extent lies in the cell
 *
 *   first_cell + (address >> (granule_shift + 6)) - (start >> (granule_shift + 6))
 *
 * so that neighbouring extents may share one. An extent with a single chunk (mmapped, or a
 * stretch that is missing) has no cells.
 */
#pragma once

#include "base/checked.h"
#include "base/column.h"

enum cw_chunk_state {
    CW_CHUNK_UNKNOWN,  /* damaged, missing or skipped: nothing is claimed about it */
    CW_CHUNK_USED,     /* in an arena, held by the program */
    CW_CHUNK_TCACHE,   /* freed, in some thread's cache; looks used to its neighbours */
    CW_CHUNK_FASTBIN,  /* freed, in a fastbin; looks used to its neighbours */
    CW_CHUNK_BINNED,   /* free, in the unsorted, a small or a large bin */
    CW_CHUNK_TOP,      /* the end of an arena that can grow */
    CW_CHUNK_MMAPPED,  /* held by the program, a mapping of its own */
    CW_CHUNK_INTERNAL, /* the allocator's own: tcache structs, fenceposts */
    CW_CHUNK_STATE_COUNT,
};

/* "used", "tcache", "fastbin", "binned", "top", "mmapped", "internal", "unknown". */
const char *cw_chunk_state_name(enum cw_chunk_state state);

/* False when the text names no state. */
bool cw_chunk_state_parse(const char *text, enum cw_chunk_state *ret_state);

/* Does the program hold it? (used or mmapped) */
static inline bool cw_chunk_state_is_held(enum cw_chunk_state state)
{
    return state == CW_CHUNK_USED || state == CW_CHUNK_MMAPPED;
}

/* 64 granules of the address space. */
struct cw_chunk_cell {
    uint64_t starts; /* bit i: a chunk starts at granule i */
    uint64_t live;   /* bit i: that chunk is not free to its successor (PREV_INUSE) */
    uint32_t rank;   /* chunks of the table that start before this cell */
    uint32_t padding[3];
};

struct cw_extent {
    cw_addr start;
    uint64_t size_bytes;
    uint32_t arena_index; /* into cw_heap.arenas; CW_NONE: mmapped */
    uint32_t first_chunk;
    uint32_t chunk_count;
    /* Of an aligned block that is a mapping of its own: what lies before its header. Else 0. */
    uint64_t lead_bytes;
    uint64_t first_cell; /* that of `start`; meaningless when chunk_count is 1 */
};

struct cw_chunk_table {
    unsigned granule_shift;    /* 4 on LP64, 3 on ILP32 */
    unsigned header_bytes;     /* from a chunk's start to what malloc returned: 16 or 8 */
    struct cw_extent *extents; /* sorted by start */
    uint32_t extent_count;
    uint32_t chunk_count;
    struct cw_column cell_column;  /* struct cw_chunk_cell */
    struct cw_column start_column; /* uint32_t: granules from the extent's start */
    struct cw_column state_column; /* uint8_t: enum cw_chunk_state */
};

struct cw_chunk {
    uint32_t index;
    uint32_t extent_index;
    cw_addr start;       /* of its memory: its header lies here, or behind the extent's lead */
    uint64_t size_bytes; /* what it takes from the heap, header and lead included */
    enum cw_chunk_state state;
};

static inline enum cw_chunk_state cw_chunk_table_state(const struct cw_chunk_table *table,
                                                       uint32_t index)
{
    return (enum cw_chunk_state)((const uint8_t *)table->state_column.data)[index];
}

/* Start and size of a chunk whose extent is known; the way of sequential passes. */
static inline cw_addr cw_chunk_table_start(const struct cw_chunk_table *table,
                                           const struct cw_extent *extent,
                                           uint32_t index)
{
    const uint32_t *starts = table->start_column.data;
    return extent->start + ((uint64_t)starts[index] << table->granule_shift);
}

static inline uint64_t cw_chunk_table_size(const struct cw_chunk_table *table,
                                           const struct cw_extent *extent,
                                           uint32_t index)
{
    cw_addr start = cw_chunk_table_start(table, extent, index);
    if (index + 1 == extent->first_chunk + extent->chunk_count) {
        return extent->start + extent->size_bytes - start;
    }
    return cw_chunk_table_start(table, extent, index + 1) - start;
}

/* The extent that holds the address, or NULL. */
const struct cw_extent *cw_chunk_table_extent_at(const struct cw_chunk_table *table,
                                                 cw_addr address);

/* The extent of a chunk index (which must be in range). */
const struct cw_extent *cw_chunk_table_extent_of(const struct cw_chunk_table *table,
                                                 uint32_t index);

/* The chunk that holds the address (anywhere in it), or CW_NONE. */
uint32_t cw_chunk_table_find(const struct cw_chunk_table *table, cw_addr address);

/* Everything about one chunk; the index must be in range. */
struct cw_chunk cw_chunk_table_get(const struct cw_chunk_table *table, uint32_t index);

static inline uint64_t cw_chunk_table_cell(const struct cw_chunk_table *table,
                                           const struct cw_extent *extent,
                                           cw_addr address)
{
    unsigned shift = table->granule_shift + 6;
    return extent->first_cell + (address >> shift) - (extent->start >> shift);
}

void cw_chunk_table_destroy(struct cw_chunk_table *table);
