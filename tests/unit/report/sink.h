/*
 * What renderer tests share: a writer that keeps what it is given (and can be told to fail), and
 * a report with its memory.
 */
#pragma once

#include <stdlib.h>
#include <string.h>

#include "report/render.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct sink {
    char *text; /* always terminated */
    size_t length;
    size_t limit; /* fails once this many bytes were taken; 0: never */
};

static inline bool sink_write(void *context, const char *bytes, size_t count)
{
    struct sink *sink = context;
    if (sink->limit != 0 && sink->length + count > sink->limit) {
        return false;
    }
    sink->text = realloc(sink->text, sink->length + count + 1);
    memcpy(sink->text + sink->length, bytes, count);
    sink->length += count;
    sink->text[sink->length] = '\0';
    return true;
}

static inline struct cw_writer sink_writer(struct sink *sink)
{
    return (struct cw_writer){sink_write, sink};
}

static inline void sink_destroy(struct sink *sink)
{
    free(sink->text);
    *sink = (struct sink){0};
}

/* A report and everything it stands on. */
struct fixture {
    struct cw_budget budget;
    struct cw_arena arena;
    struct cw_report report;
    struct sink sink;
    struct cw_error err;
};

static inline void fixture_init(struct fixture *fixture)
{
    memset(fixture, 0, sizeof *fixture);
    cw_budget_init(&fixture->budget, UINT64_MAX);
    cw_arena_init(&fixture->arena, &fixture->budget);
    cw_report_init(&fixture->report, &fixture->arena);
}

static inline void fixture_deinit(struct fixture *fixture)
{
    cw_report_deinit(&fixture->report);
    cw_arena_deinit(&fixture->arena);
    sink_destroy(&fixture->sink);
}

static inline enum cw_status fixture_render_styled(struct fixture *fixture,
                                                   const char *format,
                                                   struct cw_style style)
{
    size_t limit = fixture->sink.limit;
    sink_destroy(&fixture->sink);
    fixture->sink.limit = limit;
    fixture->err = CW_ERROR_INIT;
    struct cw_writer writer = sink_writer(&fixture->sink);
    return cw_renderer_named(format)->render(&fixture->report, &style, &writer, &fixture->err);
}

/* The rendered text; "" when nothing was written. */
static inline const char *fixture_render(struct fixture *fixture,
                                         const char *format,
                                         unsigned width)
{
    fixture_render_styled(fixture, format, (struct cw_style){.width = width});
    return fixture->sink.text != NULL ? fixture->sink.text : "";
}

static inline struct cw_report_section *fixture_add(struct fixture *fixture,
                                                    enum cw_section_kind kind,
                                                    const char *key,
                                                    const char *title,
                                                    const struct cw_report_column *columns,
                                                    size_t column_count)
{
    return cw_report_add(&fixture->report, kind, key, title, columns, column_count);
}
