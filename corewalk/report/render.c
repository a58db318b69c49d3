/* The registry of renderers, row streams, and what renderers ask of a report. */
#include "report/render.h"

static const struct cw_renderer *const renderers[] = {
#define CW_RENDERER(name) &cw_renderer_##name,
#include "report/renderers.def"
#undef CW_RENDERER
};

enum { RENDERER_COUNT = sizeof renderers / sizeof renderers[0] };

const struct cw_renderer *cw_renderer_named(const char *name)
{
    for (size_t i = 0; i < RENDERER_COUNT; i++) {
        if (strcmp(renderers[i]->name, name) == 0) {
            return renderers[i];
        }
    }
    return NULL;
}

const struct cw_renderer *const *cw_renderers(size_t *ret_count)
{
    *ret_count = RENDERER_COUNT;
    return renderers;
}

enum cw_status cw_row_stream_begin(struct cw_row_stream *stream,
                                   struct cw_arena *arena,
                                   struct cw_error *err)
{
    stream->row_count = 0;
    return cw_output_init(&stream->output, &stream->writer, arena, err);
}

bool cw_row_stream_add(struct cw_row_stream *stream, const struct cw_cell *cells)
{
    if (stream->row_count == 0) {
        stream->renderer->stream_head(stream, cells);
    }
    stream->row_count++;
    stream->renderer->stream_row(stream, cells);
    return !stream->output.failed;
}

void cw_row_stream_note(struct cw_row_stream *stream, const char *text)
{
    if (stream->renderer->stream_note != NULL) {
        stream->renderer->stream_note(stream, text);
    }
}

enum cw_status cw_row_stream_end(struct cw_row_stream *stream, struct cw_error *err)
{
    if (stream->row_count == 0) {
        stream->renderer->stream_head(stream, NULL);
    }
    return cw_output_finish(&stream->output, err);
}

enum cw_status cw_report_begin(const struct cw_report *report,
                               const struct cw_writer *writer,
                               struct cw_output *ret_output,
                               struct cw_error *err)
{
    if (report->failed) {
        return cw_error_set(
            err, CW_ERROR_MEMORY, "the report does not fit in memory; raise --max-memory");
    }
    return cw_output_init(ret_output, writer, report->arena, err);
}

bool cw_report_shows_column(const struct cw_report_section *section, size_t column)
{
    if ((section->columns[column].flags & CW_COLUMN_DATA) != 0) {
        return false;
    }
    size_t row_count = cw_report_row_count(section);
    for (size_t row = 0; row < row_count; row++) {
        if (!cw_cell_is_absent(cw_report_cell(section, row, column))) {
            return true;
        }
    }
    return false;
}

enum cw_section_view cw_report_view(const struct cw_report_section *section)
{
    if (section->hidden) {
        return CW_VIEW_NOTHING;
    }
    for (size_t column = 0; column < section->column_count; column++) {
        if (cw_report_shows_column(section, column)) {
            return CW_VIEW_CONTENT;
        }
    }
    return section->empty_text != NULL ? CW_VIEW_EMPTY_TEXT : CW_VIEW_NOTHING;
}
