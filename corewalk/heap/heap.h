/*
 * The heap: what the allocators of the process have made of its memory, as one chunk table.
 *
 * Allocators are plugins: alloc_<name>.c and a line in allocators.def. Each looks for its own
 * structures in the space and adds arenas, extents, chunks and ranges of its own overhead.
 */
#pragma once

#include "base/pool.h"
#include "heap/chunk_table.h"
#include "image/image.h"

enum cw_arena_kind {
    CW_ARENA_MAIN,
    CW_ARENA_THREAD,
};

/*
 * One arena, with the sums of its chunks. For glibc
 *   used + tcache + fastbin + binned + top + internal + unknown + gap_bytes = system_bytes
 * (glibc's system_mem) on a sound heap.
 */
struct cw_heap_arena {
    cw_addr address; /* of the arena's own struct */
    enum cw_arena_kind kind;
    const char *module; /* of a main arena: the copy of the allocator whose it is; NULL: unknown */
    /* As the allocator says; less what other copies of the allocator have in between. */
    uint64_t system_bytes;
    uint32_t heap_count;   /* subheaps; 1 for the main arena */
    struct cw_tally by_state[CW_CHUNK_STATE_COUNT];
    uint64_t
        gap_bytes; /* of system_bytes, in no chunk: headers of heaps, foreign sbrk, alignment */
};

enum cw_heap_range_kind {
    CW_RANGE_HEADER,  /* the allocator's structs between chunks: heap_info, malloc_state */
    CW_RANGE_FOREIGN, /* inside the arena's span, but obtained by someone else (sbrk) */
    CW_RANGE_RESERVE, /* writable, reserved for the arena, outside system_bytes */
};

/* Memory that belongs to an allocator without being a chunk. Disjoint from extents. */
struct cw_heap_range {
    cw_addr start;
    uint64_t size_bytes;
    enum cw_heap_range_kind kind;
    uint32_t arena_index;
};

/* How an allocator's layout was found: for the report. */
struct cw_heap_layout {
    const char *name;     /* "2.27-2.42": the releases that share what was found */
    const char *evidence; /* one sentence */
};

struct cw_heap {
    struct cw_space *space;
    const struct cw_image *image;
    struct cw_arena *memory;
    const char *allocator; /* "glibc"; NULL: none was recognised */
    struct cw_heap_layout layout;
    /* The main arena first, then by address; so for each copy of the allocator in turn. */
    struct cw_heap_arena *arenas;
    uint32_t arena_count;
    struct cw_heap_range *ranges; /* sorted by start */
    uint32_t range_count;
    struct cw_chunk_table chunks;
    struct cw_tally by_state[CW_CHUNK_STATE_COUNT]; /* over all chunks */
    /* What the allocator itself counts of mmapped chunks; has_mmap_count: whether it could be read.
     */
    bool has_mmap_count;
    struct cw_tally allocator_mmapped;
    unsigned mmapped_overhead_bytes; /* of an mmapped chunk, what the program may not use */
};

/*
 * Finds and walks every allocator. A process without a known one yields an empty heap and a
 * coverage note, not an error; damage yields findings. The ways to fail are CW_ERROR_MEMORY,
 * CW_ERROR_CANCELLED, and CW_ERROR_UNSUPPORTED for more than 2^32 - 2 chunks. The pool's workers
 * are used for the walk.
 */
enum cw_status cw_heap_create(struct cw_space *space,
                              const struct cw_image *image,
                              struct cw_pool *pool,
                              const struct cw_progress *progress,
                              struct cw_arena *memory,
                              struct cw_notes *coverage,
                              struct cw_notes *findings,
                              struct cw_heap *ret_heap,
                              struct cw_error *err);
void cw_heap_destroy(struct cw_heap *heap);

/* Bytes the program may use in a chunk (malloc_usable_size), 0 for states that hold nothing. */
static inline uint64_t cw_heap_usable_bytes(const struct cw_heap *heap,
                                            const struct cw_chunk *chunk)
{
    uint64_t overhead = 0;
    if (chunk->state == CW_CHUNK_USED) {
        /* While a chunk is in use, the first word of its successor's header is the program's. */
        overhead = heap->chunks.header_bytes / 2;
    } else if (chunk->state == CW_CHUNK_MMAPPED) {
        overhead =
            heap->mmapped_overhead_bytes + heap->chunks.extents[chunk->extent_index].lead_bytes;
    } else {
        return 0;
    }
    return chunk->size_bytes > overhead ? chunk->size_bytes - overhead : 0;
}

/* Where they start: what malloc returned. */
static inline cw_addr cw_heap_user_address(const struct cw_heap *heap, const struct cw_chunk *chunk)
{
    return chunk->start + heap->chunks.extents[chunk->extent_index].lead_bytes +
           heap->chunks.header_bytes;
}
