/* Verb `list`: every chunk, filtered and streamed. */
#include <inttypes.h>
#include <stdio.h>

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

static const unsigned widths[] = {14, 14, 8, 14, 40, 0};

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

/* The way through the chunks. */
struct listing {
    const struct cw_analysis_input *input;
    struct cw_filter filter;
    struct cw_row_stream stream;
    uint64_t limit;
    bool is_limited; /* chunks that pass are left */
    bool is_cancelled;
};

/* How many chunks are looked at before the caller is asked whether to go on. */
enum { CHUNKS_PER_REPORT = 1 << 16 };

static bool goes_on(struct listing *listing, uint32_t index)
{
    if (index % CHUNKS_PER_REPORT == 0) {
        listing->is_cancelled = !cw_progress_report(listing->input->progress,
                                                    "listing the chunks",
                                                    index,
                                                    listing->input->heap->chunks.chunk_count);
    }
    return !listing->is_cancelled;
}

/* False once nothing more is to be listed. */
static bool list_extent(struct listing *listing, uint32_t extent_index)
{
    const struct cw_chunk_table *table = &listing->input->heap->chunks;
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
        if (!goes_on(listing, index)) {
            return false;
        }
        if (!cw_filter_passes(&listing->filter, &chunk, extent->arena_index)) {
            continue;
        }
        listing->is_limited = listing->stream.row_count == listing->limit;
        if (listing->is_limited || !add_row(listing->input, &chunk, &listing->stream)) {
            return false;
        }
    }
    return true;
}

static void say_limit(struct listing *listing)
{
    char text[64];
    if (listing->is_limited) {
        snprintf(text,
                 sizeof text,
                 "Stopped after %" PRIu64 " chunk%s (--limit).",
                 listing->limit,
                 listing->limit == 1 ? "" : "s");
        cw_row_stream_note(&listing->stream, text);
    }
}

static enum cw_status stream_list(const struct cw_analysis_input *input,
                                  const struct cw_renderer *renderer,
                                  const struct cw_style *style,
                                  const struct cw_writer *writer,
                                  struct cw_error *err)
{
    struct listing listing = {
        .input = input,
        .stream = {.renderer = renderer,
                   .writer = *writer,
                   .style = *style,
                   .columns = columns,
                   .widths = widths,
                   .column_count = sizeof columns / sizeof columns[0]},
        .limit = cw_request_count(input->request, "limit", UINT64_MAX),
    };
    enum cw_status status = cw_filter_create(input, &listing.filter, err);
    if (status == CW_OK) {
        status = cw_row_stream_begin(&listing.stream, input->memory, err);
    }
    if (status != CW_OK) {
        return status;
    }
    uint32_t extent_count = input->heap->chunks.extent_count;
    for (uint32_t i = 0; i < extent_count && list_extent(&listing, i); i++) {
    }
    say_limit(&listing);
    status = cw_row_stream_end(&listing.stream, err);
    if (status == CW_OK && listing.is_cancelled) {
        return cw_error_set(err, CW_ERROR_CANCELLED, "interrupted: the list is not complete");
    }
    return status;
}

static const struct corewalk_option options[] = {
    CW_FILTER_OPTIONS,
    {"limit", "stop after this many chunks", "N", COREWALK_VALUE_LIMIT, NULL},
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
