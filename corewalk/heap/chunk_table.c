/* Look-ups in the chunk table: one binary search over extents, then one cell. */
#include "heap/chunk_table.h"

#include <string.h>

static const char *const state_names[CW_CHUNK_STATE_COUNT] = {
    [CW_CHUNK_UNKNOWN] = "unknown",
    [CW_CHUNK_USED] = "used",
    [CW_CHUNK_TCACHE] = "tcache",
    [CW_CHUNK_FASTBIN] = "fastbin",
    [CW_CHUNK_BINNED] = "binned",
    [CW_CHUNK_TOP] = "top",
    [CW_CHUNK_MMAPPED] = "mmapped",
    [CW_CHUNK_INTERNAL] = "internal",
};

const char *cw_chunk_state_name(enum cw_chunk_state state)
{
    return (unsigned)state < CW_CHUNK_STATE_COUNT ? state_names[state] : "unknown";
}

bool cw_chunk_state_parse(const char *text, enum cw_chunk_state *ret_state)
{
    for (unsigned i = 0; i < CW_CHUNK_STATE_COUNT; i++) {
        if (strcmp(text, state_names[i]) == 0) {
            *ret_state = (enum cw_chunk_state)i;
            return true;
        }
    }
    return false;
}

const struct cw_extent *cw_chunk_table_extent_at(const struct cw_chunk_table *table,
                                                 cw_addr address)
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
    if (low == 0) {
        return NULL;
    }
    const struct cw_extent *extent = &table->extents[low - 1];
    return cw_range_has(extent->start, extent->size_bytes, address) ? extent : NULL;
}

const struct cw_extent *cw_chunk_table_extent_of(const struct cw_chunk_table *table, uint32_t index)
{
    uint32_t low = 0;
    uint32_t high = table->extent_count;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (table->extents[middle].first_chunk <= index) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return &table->extents[low];
}

uint32_t cw_chunk_table_find(const struct cw_chunk_table *table, cw_addr address)
{
    const struct cw_extent *extent = cw_chunk_table_extent_at(table, address);
    if (extent == NULL) {
        return CW_NONE;
    }
    if (extent->chunk_count == 1) {
        return extent->first_chunk;
    }
    const struct cw_chunk_cell *cells = table->cell_column.data;
    const struct cw_chunk_cell *cell = &cells[cw_chunk_table_cell(table, extent, address)];
    unsigned granule = (unsigned)(address >> table->granule_shift) & 63;
    uint64_t up_to_here = cell->starts & (UINT64_MAX >> (63 - granule));
    return cell->rank + (uint32_t)__builtin_popcountll(up_to_here) - 1;
}

struct cw_chunk cw_chunk_table_get(const struct cw_chunk_table *table, uint32_t index)
{
    const struct cw_extent *extent = cw_chunk_table_extent_of(table, index);
    return (struct cw_chunk){
        .index = index,
        .extent_index = (uint32_t)(extent - table->extents),
        .start = cw_chunk_table_start(table, extent, index),
        .size_bytes = cw_chunk_table_size(table, extent, index),
        .state = cw_chunk_table_state(table, index),
    };
}

void cw_chunk_table_destroy(struct cw_chunk_table *table)
{
    cw_column_destroy(&table->cell_column);
    cw_column_destroy(&table->start_column);
    cw_column_destroy(&table->state_column);
    *table = (struct cw_chunk_table){0};
}
