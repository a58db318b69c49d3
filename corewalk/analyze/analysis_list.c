/* Verb `list`: every chunk, filtered and streamed. */
#include "analyze/filter.h"
#include "analyze/request.h"

static const struct cw_report_column columns[] = {
    {"address", "address", 0},
    {"bytes", "bytes", CW_COLUMN_EXACT},
    {"state", "state", 0},
    {"arena", "arena", 0},
    {"name", "name", CW_COLUMN_CUT},
    {"kind", "", CW_COLUMN_DATA},
};

static const unsigned widths[] = {18, 14, 8, 18, 40, 0};

static bool add_row(const struct cw_analysis_input *input,
                    const struct cw_chunk *chunk,
                    struct cw_row_stream *stream)
{
    const struct cw_population *population =
        cw_classification_of(input->classification, chunk->index);
    const struct cw_extent *extent = &input->heap->chunks.extents[chunk->extent_index];
    char arena[CW_ARENA_TEXT];
    const struct cw_cell cells[] = {
        cw_cell_address(cw_heap_user_address(input->heap, chunk)),
        cw_cell_bytes(chunk->size_bytes),
        cw_cell_text(cw_chunk_state_name(chunk->state)),
        cw_arena_cell(input->heap, extent->arena_index, arena),
        population != NULL ? cw_cell_text(population->name) : cw_cell_absent(),
        population != NULL ? cw_cell_text(cw_population_kind_name(population->kind))
                           : cw_cell_absent(),
    };
    return cw_row_stream_add(stream, cells);
}

/* False once the receiver is gone or the limit is reached. */
static bool list_extent(const struct cw_analysis_input *input,
                        const struct cw_filter *filter,
                        uint32_t extent_index,
                        struct cw_row_stream *stream,
                        uint64_t *left)
{
    const struct cw_chunk_table *table = &input->heap->chunks;
    const struct cw_extent *extent = &table->extents[extent_index];
    for (uint32_t i = 0; i < extent->chunk_count; i++) {
        uint32_t index = extent->first_chunk + i;
        struct cw_chunk chunk = {
            .index = index,
            .extent_index = extent_index,
            .start = cw_chunk_table_start(table, extent, index),
            .size_bytes = cw_chunk_table_size(table, extent, index),
            .state = cw_chunk_table_state(table, index),
        };
        if (!cw_filter_passes(filter, &chunk, extent->arena_index)) {
            continue;
        }
        if (*left == 0 || !add_row(input, &chunk, stream)) {
            return false;
        }
        (*left)--;
    }
    return true;
}

static enum cw_status stream_list(const struct cw_analysis_input *input,
                                  const struct cw_renderer *renderer,
                                  const struct cw_style *style,
                                  const struct cw_writer *writer,
                                  struct cw_error *err)
{
    struct cw_filter filter;
    struct cw_row_stream stream = {
        .renderer = renderer,
        .writer = *writer,
        .style = *style,
        .columns = columns,
        .widths = widths,
        .column_count = sizeof columns / sizeof columns[0],
    };
    enum cw_status status = cw_filter_create(input, &filter, err);
    if (status == CW_OK) {
        status = cw_row_stream_begin(&stream, input->memory, err);
    }
    if (status != CW_OK) {
        return status;
    }
    uint64_t left = cw_request_count(input->request, "limit", UINT64_MAX);
    uint32_t extent_count = input->heap->chunks.extent_count;
    for (uint32_t i = 0; i < extent_count && list_extent(input, &filter, i, &stream, &left); i++) {
    }
    return cw_row_stream_end(&stream, err);
}

static const struct corewalk_option options[] = {
    CW_FILTER_OPTIONS,
    {"limit", "stop after this many chunks", "N", COREWALK_VALUE_COUNT, NULL},
};

const struct cw_analysis cw_analysis_list = {
    .verb =
        {
            .name = "list",
            .summary = "every chunk, one a line, filtered",
            .description =
                "Lists chunks by address: the address that malloc returned, the size with the "
                "allocator's header, the state, the arena (none for a mapping of its own) and the "
                "name. With --format json each line is an object (JSON Lines). Filters combine.",
            .options = options,
            .option_count = sizeof options / sizeof options[0],
        },
    .stage = CW_STAGE_CLASSIFY,
    .stream = stream_list,
};
