/*
 * How an allocator fills the heap. It declares runs of held memory, in whose cells it sets a bit
 * for each chunk's start; then the extents that these chunks make, and chunks that stand alone.
 * The builder numbers them and makes the table.
 *
 *   run      |======== cells ========|      a stretch of held memory
 *   extents  |17|18|  19 |  |20| 21 |[22]   gap between 19 and 20; 22 stands alone
 *
 * Extents of runs and single chunks must not overlap, and every start bit must lie in an extent.
 */
#pragma once

#include "heap/heap.h"

/* Memory that an allocator will tile with chunks: consecutive, held, with cells of its own. */
struct cw_heap_run {
    cw_addr start;
    uint64_t size_bytes;
    uint32_t arena_index;
    uint64_t first_cell;
    uint64_t cell_count;
};

struct cw_heap_builder {
    struct cw_space *space;
    const struct cw_image *image;
    struct cw_pool *pool;
    const struct cw_progress *progress;
    struct cw_notes *coverage;
    struct cw_notes *findings;
    struct cw_heap *heap;
    struct cw_vector arenas;       /* struct cw_heap_arena */
    struct cw_vector ranges;       /* struct cw_heap_range */
    struct cw_vector runs;         /* struct cw_heap_run, not sorted */
    struct cw_vector extents;      /* struct cw_built_extent */
    uint64_t extent_granule_limit; /* 2^32; tests make it small */
};

struct cw_built_extent {
    struct cw_extent extent;
    uint32_t run_index;        /* CW_NONE: a single chunk */
    enum cw_chunk_state state; /* of a single chunk */
};

/* The caller fills in what it borrows (space … heap) before. */
void cw_heap_builder_init(struct cw_heap_builder *builder, struct cw_budget *budget);
void cw_heap_builder_deinit(struct cw_heap_builder *builder);

/* All of these: false when out of memory. */
bool cw_heap_builder_add_arena(struct cw_heap_builder *builder, const struct cw_heap_arena *arena);
bool cw_heap_builder_add_range(struct cw_heap_builder *builder, const struct cw_heap_range *range);
bool cw_heap_builder_add_run(struct cw_heap_builder *builder,
                             cw_addr start,
                             uint64_t size,
                             uint32_t arena_index);
bool cw_heap_builder_add_extent(struct cw_heap_builder *builder,
                                uint32_t run_index,
                                cw_addr start,
                                uint64_t size);
bool cw_heap_builder_add_single(struct cw_heap_builder *builder,
                                uint32_t arena_index,
                                cw_addr start,
                                uint64_t size,
                                enum cw_chunk_state state);
/* A mapping of its own, whose chunk's header lies `lead_bytes` behind its start. */
bool cw_heap_builder_add_mmapped(struct cw_heap_builder *builder,
                                 cw_addr start,
                                 uint64_t size,
                                 uint64_t lead_bytes);

static inline struct cw_heap_run *cw_heap_builder_run(const struct cw_heap_builder *builder,
                                                      uint32_t index)
{
    return cw_vector_at(&builder->runs, index);
}

/* Makes the cells of all runs, zeroed. */
enum cw_status cw_heap_builder_make_cells(struct cw_heap_builder *builder, struct cw_error *err);

/* The cells of a run; [0] is the one that holds its start. */
struct cw_chunk_cell *cw_heap_builder_cells(const struct cw_heap_builder *builder,
                                            const struct cw_heap_run *run);

/*
 * Makes the table. States: those of single chunks as given; else USED where the live bit is set,
 * UNKNOWN where it is not.
 */
enum cw_status cw_heap_builder_build(struct cw_heap_builder *builder, struct cw_error *err);

/* Sums the states over arenas and the whole, once they are final. */
enum cw_status cw_heap_builder_sum(struct cw_heap_builder *builder, struct cw_error *err);

/* Hands arenas and ranges over to the heap. */
enum cw_status cw_heap_builder_finish(struct cw_heap_builder *builder, struct cw_error *err);
