/*
 * The heap builder: cells, then ranks, then columns.
 *
 * Runs are cut into blocks of cells, which workers count; a running sum over the blocks in address
 * order gives each its first chunk number; then workers fill ranks, starts and states of a block
 * each. Every array is written once, in order.
 */
#include "heap/heap_builder.h"

#include <string.h>

enum {
    CELLS_PER_BLOCK = 8192,   /* 8 MiB of an LP64 heap */
    CHUNKS_PER_BLOCK = 65536, /* of the last pass, which sums */
};

#define LARGEST_CHUNK_COUNT (UINT32_MAX - 1)

/* Some cells of a run, or a single chunk (no cells). */
struct block {
    cw_addr start;
    uint64_t first_cell;
    uint64_t cell_count;
    cw_addr cell_address; /* of the first cell */
    uint64_t chunk_count;
    uint32_t first_chunk;
    enum cw_chunk_state state; /* of a single chunk */
};

struct build {
    struct cw_heap_builder *builder;
    struct cw_chunk_table *table;
    struct block *blocks;
};

struct sum {
    const struct cw_heap_builder *builder;
    struct cw_tally *tallies; /* per worker, per arena and one for none, per state */
    size_t tallies_per_worker;
};

void cw_heap_builder_init(struct cw_heap_builder *builder, struct cw_budget *budget)
{
    cw_vector_init(&builder->arenas, budget, sizeof(struct cw_heap_arena));
    cw_vector_init(&builder->ranges, budget, sizeof(struct cw_heap_range));
    cw_vector_init(&builder->runs, budget, sizeof(struct cw_heap_run));
    cw_vector_init(&builder->extents, budget, sizeof(struct cw_built_extent));
    builder->extent_granule_limit = UINT64_C(1) << 32;
}

void cw_heap_builder_deinit(struct cw_heap_builder *builder)
{
    cw_vector_deinit(&builder->arenas);
    cw_vector_deinit(&builder->ranges);
    cw_vector_deinit(&builder->runs);
    cw_vector_deinit(&builder->extents);
}

bool cw_heap_builder_add_arena(struct cw_heap_builder *builder, const struct cw_heap_arena *arena)
{
    return cw_vector_append(&builder->arenas, arena);
}

bool cw_heap_builder_add_range(struct cw_heap_builder *builder, const struct cw_heap_range *range)
{
    return range->size_bytes == 0 || cw_vector_append(&builder->ranges, range);
}

static unsigned cell_shift(const struct cw_heap_builder *builder)
{
    return builder->heap->chunks.granule_shift + 6;
}

bool cw_heap_builder_add_run(struct cw_heap_builder *builder,
                             cw_addr start,
                             uint64_t size,
                             uint32_t arena_index)
{
    unsigned shift = cell_shift(builder);
    struct cw_heap_run run = {.start = start, .size_bytes = size, .arena_index = arena_index};
    run.cell_count = ((start + (size - 1)) >> shift) - (start >> shift) + 1;
    return cw_vector_append(&builder->runs, &run);
}

bool cw_heap_builder_add_extent(struct cw_heap_builder *builder,
                                uint32_t run_index,
                                cw_addr start,
                                uint64_t size)
{
    const struct cw_heap_run *run = cw_heap_builder_run(builder, run_index);
    struct cw_built_extent item = {.run_index = run_index};
    item.extent = (struct cw_extent){
        .start = start,
        .size_bytes = size,
        .arena_index = run->arena_index,
        .first_cell =
            run->first_cell + (start >> cell_shift(builder)) - (run->start >> cell_shift(builder)),
    };
    return cw_vector_append(&builder->extents, &item);
}

bool cw_heap_builder_add_single(struct cw_heap_builder *builder,
                                uint32_t arena_index,
                                cw_addr start,
                                uint64_t size,
                                enum cw_chunk_state state)
{
    struct cw_built_extent item = {.run_index = CW_NONE, .state = state};
    item.extent =
        (struct cw_extent){.start = start, .size_bytes = size, .arena_index = arena_index};
    return cw_vector_append(&builder->extents, &item);
}

bool cw_heap_builder_add_mmapped(struct cw_heap_builder *builder,
                                 cw_addr start,
                                 uint64_t size,
                                 uint64_t lead_bytes)
{
    struct cw_built_extent item = {.run_index = CW_NONE, .state = CW_CHUNK_MMAPPED};
    item.extent = (struct cw_extent){
        .start = start, .size_bytes = size, .lead_bytes = lead_bytes, .arena_index = CW_NONE};
    return cw_vector_append(&builder->extents, &item);
}

enum cw_status cw_heap_builder_make_cells(struct cw_heap_builder *builder, struct cw_error *err)
{
    struct cw_chunk_table *table = &builder->heap->chunks;
    uint64_t count = 0;
    for (uint32_t i = 0; i < builder->runs.count; i++) {
        struct cw_heap_run *run = cw_heap_builder_run(builder, i);
        run->first_cell = count;
        count += run->cell_count;
    }
    struct cw_budget *budget = builder->runs.budget;
    if (!cw_column_create(budget, count, sizeof(struct cw_chunk_cell), &table->cell_column)) {
        return cw_error_set_memory(err, "the map of the heap's chunks");
    }
    return CW_OK;
}

struct cw_chunk_cell *cw_heap_builder_cells(const struct cw_heap_builder *builder,
                                            const struct cw_heap_run *run)
{
    return (struct cw_chunk_cell *)builder->heap->chunks.cell_column.data + run->first_cell;
}

/* ---- extents ------------------------------------------------------------------------------ */

static int compare_extents(const void *a, const void *b)
{
    const struct cw_built_extent *x = a;
    const struct cw_built_extent *y = b;
    return (x->extent.start > y->extent.start) - (x->extent.start < y->extent.start);
}

/* The last start bit in (extent's start, extent's start + limit), else the first one behind. */
static cw_addr find_cut(const struct cw_heap_builder *builder, const struct cw_extent *extent)
{
    const struct cw_chunk_table *table = &builder->heap->chunks;
    const struct cw_chunk_cell *cells = table->cell_column.data;
    unsigned shift = table->granule_shift;
    uint64_t start_granule = extent->start >> shift;
    uint64_t granule = start_granule + builder->extent_granule_limit - 1;
    for (; granule > start_granule; granule--) {
        uint64_t cell = cw_chunk_table_cell(table, extent, granule << shift);
        if (cells[cell].starts >> (granule & 63) & 1) {
            return granule << shift;
        }
    }
    uint64_t end_granule = (extent->start + extent->size_bytes) >> shift;
    for (granule = start_granule + builder->extent_granule_limit; granule < end_granule;
         granule++) {
        uint64_t cell = cw_chunk_table_cell(table, extent, granule << shift);
        if (cells[cell].starts >> (granule & 63) & 1) {
            return granule << shift;
        }
    }
    return extent->start + extent->size_bytes;
}

/* Cuts extents whose starts do not fit into 32 bits, at chunk boundaries. */
static bool split_extents(struct cw_heap_builder *builder)
{
    unsigned shift = builder->heap->chunks.granule_shift;
    uint64_t limit_bytes = builder->extent_granule_limit << shift;
    for (size_t i = 0; i < builder->extents.count; i++) {
        struct cw_built_extent *item = cw_vector_at(&builder->extents, i);
        if (item->run_index == CW_NONE || item->extent.size_bytes <= limit_bytes) {
            continue;
        }
        cw_addr cut = find_cut(builder, &item->extent);
        uint64_t left_bytes = cut - item->extent.start;
        uint64_t rest_bytes = item->extent.size_bytes - left_bytes;
        item->extent.size_bytes = left_bytes;
        uint32_t run_index = item->run_index;
        if (rest_bytes > 0 && !cw_heap_builder_add_extent(builder, run_index, cut, rest_bytes)) {
            return false;
        }
    }
    return true;
}

static bool copy_extents(struct cw_heap_builder *builder)
{
    struct cw_chunk_table *table = &builder->heap->chunks;
    if (!split_extents(builder) || builder->extents.count >= CW_NONE) {
        return false;
    }
    cw_vector_sort(&builder->extents, compare_extents);
    table->extent_count = (uint32_t)builder->extents.count;
    table->extents = cw_arena_alloc_array(
        builder->heap->memory, table->extent_count + (size_t)1, sizeof *table->extents);
    if (table->extents == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < table->extent_count; i++) {
        const struct cw_built_extent *item = cw_vector_at(&builder->extents, i);
        table->extents[i] = item->extent;
    }
    return true;
}

/* ---- blocks ------------------------------------------------------------------------------- */

static int compare_blocks(const void *a, const void *b)
{
    const struct block *x = a;
    const struct block *y = b;
    if (x->start != y->start) {
        return x->start < y->start ? -1 : 1;
    }
    /* The cells before a single chunk hold none at or behind its start. */
    return (x->cell_count == 0) - (y->cell_count == 0);
}

static bool add_run_blocks(const struct cw_heap_builder *builder,
                           const struct cw_heap_run *run,
                           struct cw_vector *blocks)
{
    unsigned shift = cell_shift(builder);
    for (uint64_t done = 0; done < run->cell_count; done += CELLS_PER_BLOCK) {
        cw_addr cell_address = ((run->start >> shift) + done) << shift;
        struct block block = {
            .start = cw_max(cell_address, run->start),
            .first_cell = run->first_cell + done,
            .cell_count = cw_min(CELLS_PER_BLOCK, run->cell_count - done),
            .cell_address = cell_address,
        };
        if (!cw_vector_append(blocks, &block)) {
            return false;
        }
    }
    return true;
}

static bool make_blocks(const struct cw_heap_builder *builder, struct cw_vector *blocks)
{
    for (uint32_t i = 0; i < builder->runs.count; i++) {
        if (!add_run_blocks(builder, cw_heap_builder_run(builder, i), blocks)) {
            return false;
        }
    }
    for (size_t i = 0; i < builder->extents.count; i++) {
        const struct cw_built_extent *item = cw_vector_at(&builder->extents, i);
        struct block block = {.start = item->extent.start, .chunk_count = 1, .state = item->state};
        if (item->run_index == CW_NONE && !cw_vector_append(blocks, &block)) {
            return false;
        }
    }
    cw_vector_sort(blocks, compare_blocks);
    return true;
}

static void count_block(void *context, unsigned worker, size_t task)
{
    (void)worker;
    struct build *build = context;
    struct block *block = &build->blocks[task];
    const struct cw_chunk_cell *cells = build->table->cell_column.data;
    for (uint64_t i = 0; i < block->cell_count; i++) {
        block->chunk_count += (uint64_t)__builtin_popcountll(cells[block->first_cell + i].starts);
    }
}

/* Index of the last extent that starts at or before the address, or 0. */
static uint32_t extent_index_at(const struct cw_chunk_table *table, cw_addr address)
{
    uint32_t low = 0;
    uint32_t high = table->extent_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (table->extents[middle].start <= address) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low == 0 ? 0 : low - 1;
}

struct fill {
    const struct cw_chunk_table *table;
    uint32_t extent_index;
    cw_addr extent_start;
    cw_addr next_start; /* of the extent behind it */
    uint32_t *starts;
    uint8_t *states;
};

/* Moves on to the extent that holds the address. */
static void enter_extent(struct fill *fill, cw_addr address)
{
    const struct cw_chunk_table *table = fill->table;
    fill->extent_index = extent_index_at(table, address);
    fill->extent_start = table->extents[fill->extent_index].start;
    fill->next_start = fill->extent_index + 1 < table->extent_count
                           ? table->extents[fill->extent_index + 1].start
                           : UINT64_MAX;
}

static uint32_t fill_cell(struct fill *fill,
                          const struct cw_chunk_cell *cell,
                          cw_addr address,
                          uint32_t index)
{
    unsigned shift = fill->table->granule_shift;
    uint32_t *starts = fill->starts;
    uint8_t *states = fill->states;
    uint64_t live = cell->live;
    for (uint64_t bits = cell->starts; bits != 0; bits &= bits - 1) {
        unsigned granule = (unsigned)__builtin_ctzll(bits);
        cw_addr start = address + ((uint64_t)granule << shift);
        if (start >= fill->next_start) {
            enter_extent(fill, start);
        }
        starts[index] = (uint32_t)((start - fill->extent_start) >> shift);
        states[index] = live >> granule & 1 ? CW_CHUNK_USED : CW_CHUNK_UNKNOWN;
        index++;
    }
    return index;
}

static void fill_block(void *context, unsigned worker, size_t task)
{
    (void)worker;
    struct build *build = context;
    struct block *block = &build->blocks[task];
    struct cw_chunk_table *table = build->table;
    struct fill fill = {
        .table = table,
        .starts = table->start_column.data,
        .states = table->state_column.data,
    };
    uint32_t index = block->first_chunk;
    if (block->cell_count == 0) {
        fill.states[index] = (uint8_t)block->state;
        return;
    }
    struct cw_chunk_cell *cells = table->cell_column.data;
    cw_addr address = block->cell_address;
    enter_extent(&fill, block->start);
    for (uint64_t i = 0; i < block->cell_count; i++) {
        struct cw_chunk_cell *cell = &cells[block->first_cell + i];
        cell->rank = index;
        index = fill_cell(&fill, cell, address, index);
        address += UINT64_C(64) << table->granule_shift;
    }
}

static enum cw_status number_blocks(struct cw_chunk_table *table,
                                    const struct cw_vector *blocks,
                                    struct cw_error *err)
{
    uint64_t total = 0;
    for (size_t i = 0; i < blocks->count; i++) {
        struct block *block = cw_vector_at(blocks, i);
        block->first_chunk = (uint32_t)total;
        total += block->chunk_count;
        if (total > LARGEST_CHUNK_COUNT) {
            return cw_error_set(err,
                                CW_ERROR_UNSUPPORTED,
                                "the heap has more than %u chunks, the most that are supported",
                                LARGEST_CHUNK_COUNT);
        }
    }
    table->chunk_count = (uint32_t)total;
    return CW_OK;
}

static enum cw_status make_columns(struct cw_heap_builder *builder, struct cw_error *err)
{
    struct cw_chunk_table *table = &builder->heap->chunks;
    struct cw_budget *budget = builder->runs.budget;
    uint64_t count = table->chunk_count;
    if (!cw_column_create(budget, count, sizeof(uint32_t), &table->start_column) ||
        !cw_column_create(budget, count, sizeof(uint8_t), &table->state_column)) {
        return cw_error_set_memory(err, "the chunk table");
    }
    return CW_OK;
}

static uint32_t first_chunk_of(const struct cw_chunk_table *table, const struct cw_extent *extent)
{
    const struct cw_chunk_cell *cells = table->cell_column.data;
    const struct cw_chunk_cell *cell = &cells[extent->first_cell];
    unsigned granule = (unsigned)(extent->start >> table->granule_shift) & 63;
    uint64_t below = cell->starts & ((UINT64_C(1) << granule) - 1);
    return cell->rank + (uint32_t)__builtin_popcountll(below);
}

/* Singles come in the same order among the blocks as among the extents. */
static void number_extents(struct cw_heap_builder *builder, const struct cw_vector *blocks)
{
    struct cw_chunk_table *table = &builder->heap->chunks;
    size_t block_index = 0;
    for (uint32_t i = 0; i < table->extent_count; i++) {
        const struct cw_built_extent *item = cw_vector_at(&builder->extents, i);
        struct cw_extent *extent = &table->extents[i];
        if (item->run_index != CW_NONE) {
            extent->first_chunk = first_chunk_of(table, extent);
            continue;
        }
        const struct block *block;
        do {
            block = cw_vector_at(blocks, block_index++);
        } while (block->cell_count != 0);
        extent->first_chunk = block->first_chunk;
    }
    for (uint32_t i = 0; i < table->extent_count; i++) {
        uint32_t end =
            i + 1 < table->extent_count ? table->extents[i + 1].first_chunk : table->chunk_count;
        table->extents[i].chunk_count = end - table->extents[i].first_chunk;
    }
}

enum cw_status cw_heap_builder_build(struct cw_heap_builder *builder, struct cw_error *err)
{
    struct cw_chunk_table *table = &builder->heap->chunks;
    struct cw_vector blocks;
    cw_vector_init(&blocks, builder->runs.budget, sizeof(struct block));
    enum cw_status status = CW_OK;
    if (!copy_extents(builder) || !make_blocks(builder, &blocks)) {
        status = cw_error_set_memory(err, "the list of extents");
    }
    struct build build = {.builder = builder, .table = table, .blocks = blocks.items};
    if (status == CW_OK) {
        cw_pool_run(builder->pool, count_block, &build, blocks.count);
        status = number_blocks(table, &blocks, err);
    }
    if (status == CW_OK) {
        status = make_columns(builder, err);
    }
    if (status == CW_OK) {
        cw_pool_run(builder->pool, fill_block, &build, blocks.count);
        number_extents(builder, &blocks);
    }
    cw_vector_deinit(&blocks);
    return status;
}

/* ---- sums --------------------------------------------------------------------------------- */

static struct cw_tally *tallies_of(const struct sum *sum, unsigned worker, uint32_t arena_index)
{
    size_t arena_count = sum->builder->arenas.count;
    size_t row = arena_index == CW_NONE ? arena_count : arena_index;
    return sum->tallies + worker * sum->tallies_per_worker + row * CW_CHUNK_STATE_COUNT;
}

/* The end of the chunks from `index` on, before `end`, that have its state. */
static uint32_t state_run_end(const struct cw_chunk_table *table, uint32_t index, uint32_t end)
{
    const uint8_t *states = table->state_column.data;
    uint8_t state = states[index];
    uint64_t eight_times = state * UINT64_C(0x0101010101010101);
    while (end - index >= sizeof(uint64_t) && cw_load_u64(states + index) == eight_times) {
        index += sizeof(uint64_t);
    }
    while (index < end && states[index] == state) {
        index++;
    }
    return index;
}

/* Neighbours of one state are summed at once: the last one's end less the first one's start. */
static void sum_block(void *context, unsigned worker, size_t task)
{
    const struct sum *sum = context;
    const struct cw_chunk_table *table = &sum->builder->heap->chunks;
    uint32_t index = (uint32_t)(task * CHUNKS_PER_BLOCK);
    uint32_t end = (uint32_t)cw_min((uint64_t)index + CHUNKS_PER_BLOCK, table->chunk_count);
    const struct cw_extent *extent = cw_chunk_table_extent_of(table, index);
    while (index < end) {
        struct cw_tally *tallies = tallies_of(sum, worker, extent->arena_index);
        uint32_t extent_end =
            (uint32_t)cw_min((uint64_t)extent->first_chunk + extent->chunk_count, end);
        while (index < extent_end) {
            uint32_t last = state_run_end(table, index, extent_end) - 1;
            struct cw_tally sum_of_run = {
                .count = last - index + 1,
                .bytes = cw_chunk_table_start(table, extent, last) +
                         cw_chunk_table_size(table, extent, last) -
                         cw_chunk_table_start(table, extent, index),
            };
            cw_tally_merge(&tallies[cw_chunk_table_state(table, index)], &sum_of_run);
            index = last + 1;
        }
        extent++;
    }
}

static void merge_sums(struct cw_heap_builder *builder, const struct sum *sum, unsigned worker)
{
    for (uint32_t arena = 0; arena <= builder->arenas.count; arena++) {
        bool is_arena = arena < builder->arenas.count;
        const struct cw_tally *tallies = tallies_of(sum, worker, is_arena ? arena : CW_NONE);
        for (unsigned state = 0; state < CW_CHUNK_STATE_COUNT; state++) {
            cw_tally_merge(&builder->heap->by_state[state], &tallies[state]);
            if (is_arena) {
                struct cw_heap_arena *of = cw_vector_at(&builder->arenas, arena);
                cw_tally_merge(&of->by_state[state], &tallies[state]);
            }
        }
    }
}

enum cw_status cw_heap_builder_sum(struct cw_heap_builder *builder, struct cw_error *err)
{
    unsigned threads = cw_pool_threads(builder->pool);
    struct sum sum = {.builder = builder};
    sum.tallies_per_worker = (builder->arenas.count + 1) * CW_CHUNK_STATE_COUNT;
    struct cw_column column;
    uint64_t count = sum.tallies_per_worker * threads;
    if (!cw_column_create(builder->runs.budget, count, sizeof(struct cw_tally), &column)) {
        return cw_error_set_memory(err, "the arenas' sums");
    }
    sum.tallies = column.data;
    uint64_t chunk_count = builder->heap->chunks.chunk_count;
    cw_pool_run(
        builder->pool, sum_block, &sum, (chunk_count + CHUNKS_PER_BLOCK - 1) / CHUNKS_PER_BLOCK);
    for (unsigned worker = 0; worker < threads; worker++) {
        merge_sums(builder, &sum, worker);
    }
    cw_column_destroy(&column);
    return CW_OK;
}

static int compare_ranges(const void *a, const void *b)
{
    const struct cw_heap_range *x = a;
    const struct cw_heap_range *y = b;
    return (x->start > y->start) - (x->start < y->start);
}

static void *hand_over(struct cw_arena *memory, const struct cw_vector *vector)
{
    void *items = cw_arena_alloc_array(memory, vector->count + 1, vector->item_bytes);
    if (items != NULL && vector->count > 0) {
        memcpy(items, vector->items, vector->count * vector->item_bytes);
    }
    return items;
}

enum cw_status cw_heap_builder_finish(struct cw_heap_builder *builder, struct cw_error *err)
{
    struct cw_heap *heap = builder->heap;
    cw_vector_sort(&builder->ranges, compare_ranges);
    heap->arenas = hand_over(heap->memory, &builder->arenas);
    heap->ranges = hand_over(heap->memory, &builder->ranges);
    if (heap->arenas == NULL || heap->ranges == NULL) {
        return cw_error_set_memory(err, "the list of arenas");
    }
    heap->arena_count = (uint32_t)builder->arenas.count;
    heap->range_count = (uint32_t)builder->ranges.count;
    return CW_OK;
}
