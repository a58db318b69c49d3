/* Chunks of the table by their addresses. */
#include "heap/glibc_check.h"

uint32_t glibc_chunk_at(const struct glibc *glibc, cw_addr chunk)
{
    const struct cw_chunk_table *table = &glibc->builder->heap->chunks;
    const struct cw_extent *extent = cw_chunk_table_extent_at(table, chunk);
    if (extent == NULL || (chunk & ((UINT64_C(1) << table->granule_shift) - 1)) != 0) {
        return CW_NONE;
    }
    if (extent->chunk_count == 1) {
        /* Of an aligned block in a mapping of its own, the chunk lies behind the start. */
        return chunk == extent->start + extent->lead_bytes ? extent->first_chunk : CW_NONE;
    }
    const struct cw_chunk_cell *cells = table->cell_column.data;
    const struct cw_chunk_cell *cell = &cells[cw_chunk_table_cell(table, extent, chunk)];
    unsigned granule = (unsigned)(chunk >> table->granule_shift) & 63;
    if (!(cell->starts >> granule & 1)) {
        return CW_NONE;
    }
    uint64_t below = cell->starts & ((UINT64_C(1) << granule) - 1);
    return cell->rank + (uint32_t)__builtin_popcountll(below);
}

uint64_t glibc_size_of(const struct glibc *glibc, uint32_t index)
{
    const struct cw_chunk_table *table = &glibc->builder->heap->chunks;
    return cw_chunk_table_size(table, cw_chunk_table_extent_of(table, index), index);
}

cw_addr glibc_chunk_before(const struct glibc *glibc, cw_addr chunk)
{
    const struct cw_chunk_table *table = &glibc->builder->heap->chunks;
    uint32_t index = chunk == 0 ? CW_NONE : cw_chunk_table_find(table, chunk - 1);
    return index == CW_NONE ? 0 : cw_chunk_table_get(table, index).start;
}
