/*
 * Renderers: one per --format, render_<name>.c and a line in renderers.def. Each can render a
 * whole report, and a stream of rows that is too long to hold (`list`).
 */
#pragma once

#include "report/model.h"
#include "report/output.h"

struct cw_style {
    unsigned width; /* columns of the page; 0: 80 */
    bool color;     /* ANSI styling */
};

struct cw_row_stream;

struct cw_renderer {
    const char *name;    /* as --format takes it */
    const char *summary; /* for help */
    enum cw_status (*render)(const struct cw_report *report,
                             const struct cw_style *style,
                             const struct cw_writer *writer,
                             struct cw_error *err);
    /* Called once, before the first row, which shows what the columns hold; NULL: no rows came. */
    void (*stream_head)(struct cw_row_stream *stream, const struct cw_cell *first_row);
    void (*stream_row)(struct cw_row_stream *stream, const struct cw_cell *cells);
    /* A remark behind the rows, one short line; NULL: the format has no place for it. */
    void (*stream_note)(struct cw_row_stream *stream, const char *text);
};

#define CW_RENDERER(name) extern const struct cw_renderer cw_renderer_##name;
#include "report/renderers.def"
#undef CW_RENDERER

/* NULL when no format has this name. */
const struct cw_renderer *cw_renderer_named(const char *name);

/* All of them, the default first, for help and completion. */
const struct cw_renderer *const *cw_renderers(size_t *ret_count);

/*
 * Rows one by one:
 *
 *     struct cw_row_stream stream = {.renderer = renderer, .writer = *writer, .style = *style,
 *                                    .columns = columns, .widths = widths, .column_count = 4};
 *     status = cw_row_stream_begin(&stream, arena, err);
 *     while (… && cw_row_stream_add(&stream, cells)) …
 *     status = cw_row_stream_end(&stream, err);
 */
struct cw_row_stream {
    /* Set by the caller; columns and widths are borrowed. */
    const struct cw_renderer *renderer;
    struct cw_writer writer;
    struct cw_style style;
    const struct cw_report_column *columns; /* keys that share a prefix stand side by side */
    const unsigned *widths;                 /* in characters, a hint for text; may be NULL */
    size_t column_count;
    /* Set by cw_row_stream_begin. */
    struct cw_output output;
    uint64_t row_count;
};

/* The buffer comes from `arena`. */
enum cw_status cw_row_stream_begin(struct cw_row_stream *stream,
                                   struct cw_arena *arena,
                                   struct cw_error *err);

/* False once the receiver is gone: stop producing. */
bool cw_row_stream_add(struct cw_row_stream *stream, const struct cw_cell *cells);

/* A remark behind the last row, for people: formats for machines leave it out. */
void cw_row_stream_note(struct cw_row_stream *stream, const char *text);

/* Hands over what is left. CW_ERROR_IO when the receiver was gone. */
enum cw_status cw_row_stream_end(struct cw_row_stream *stream, struct cw_error *err);

/* For renderers: readies the output, unless memory ran out while the report was made. */
enum cw_status cw_report_begin(const struct cw_report *report,
                               const struct cw_writer *writer,
                               struct cw_output *ret_output,
                               struct cw_error *err);

/* For renderers: is the column shown to people, and does any row have a value in it? */
bool cw_report_shows_column(const struct cw_report_section *section, size_t column);

/* For renderers: what of a section people see. */
enum cw_section_view {
    CW_VIEW_NOTHING,
    CW_VIEW_EMPTY_TEXT, /* under its title, instead of the content */
    CW_VIEW_CONTENT,
};
enum cw_section_view cw_report_view(const struct cw_report_section *section);
