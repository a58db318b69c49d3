/*
 * Renderers: one per --format, render_<name>.c and a line in renderers.def. Each can render a
 * whole report, and a stream of rows that is too long to hold (`list`).
 */
#pragma once

#include "report/model.h"

/* Where rendered bytes go. Returns false when the receiver is gone (EPIPE, disk full). */
struct cw_writer {
    bool (*write)(void *context, const char *bytes, size_t count);
    void *context;
};

struct cw_style {
    unsigned width; /* columns of the page; 0: 80 */
    bool color;     /* ANSI styling */
};

/* State of a row stream; the renderer's own. */
struct cw_row_stream {
    const struct cw_renderer *renderer;
    struct cw_writer writer;
    struct cw_style style;
    const struct cw_report_column *columns;
    const unsigned *widths; /* a hint in characters for each column, for text */
    size_t column_count;
    uint64_t row_count;
    bool failed;  /* the writer said no */
    char *buffer; /* output is gathered here */
    size_t buffered_bytes;
};

struct cw_renderer {
    const char *name;    /* as --format takes it */
    const char *summary; /* for help */
    enum cw_status (*render)(const struct cw_report *report,
                             const struct cw_style *style,
                             const struct cw_writer *writer,
                             struct cw_error *err);
    void (*stream_head)(struct cw_row_stream *stream);
    void (*stream_row)(struct cw_row_stream *stream, const struct cw_cell *cells);
};

/* NULL when no format has this name. */
const struct cw_renderer *cw_renderer_named(const char *name);

/* All of them, for help and completion. */
const struct cw_renderer *const *cw_renderers(size_t *ret_count);

/*
 * Starts a stream of rows. `columns` and `widths` (column_count hints, in characters) are
 * borrowed. The buffer comes from `arena`.
 */
enum cw_status cw_row_stream_begin(const struct cw_renderer *renderer,
                                   const struct cw_style *style,
                                   const struct cw_writer *writer,
                                   const struct cw_report_column *columns,
                                   const unsigned *widths,
                                   size_t column_count,
                                   struct cw_arena *arena,
                                   struct cw_row_stream *ret_stream,
                                   struct cw_error *err);

/* False once the receiver is gone: stop producing. */
bool cw_row_stream_add(struct cw_row_stream *stream, const struct cw_cell *cells);

/* Flushes. False when the receiver was gone. */
bool cw_row_stream_end(struct cw_row_stream *stream);

/* For renderers: appends to the stream's buffer, flushing as it fills. */
void cw_row_stream_put(struct cw_row_stream *stream, const char *bytes, size_t count);
void cw_row_stream_puts(struct cw_row_stream *stream, const char *text);
