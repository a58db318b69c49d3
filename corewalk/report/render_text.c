/* The page: what a tired engineer reads at 3 a.m. and pastes into a bug report. */
#include "base/checked.h"
#include "report/render.h"
#include "report/show.h"
#include "report/text_page.h"

enum {
    DEFAULT_WIDTH = 80,
    NARROWEST_PAGE = 20,
    WIDEST_PAGE = 1000,
    INDENT = 2, /* of what stands under a title */
    GAP = 2,
    STREAM_CELL_BYTES = 1024, /* longer lists in a row of a stream end in "..." */
    LEAST_CUT = 12,           /* a text in a stream is cut to no less, however narrow the page */
};

static unsigned page_width(const struct cw_style *style)
{
    unsigned width = style->width != 0 ? style->width : DEFAULT_WIDTH;
    return (unsigned)cw_min(cw_max(width, NARROWEST_PAGE), WIDEST_PAGE);
}

static void put_content(struct cw_text_page *page, const struct cw_report_section *section)
{
    switch (section->kind) {
    case CW_SECTION_FIELDS:
        cw_text_put_fields(page, section, 0);
        break;
    case CW_SECTION_TABLE:
        cw_text_put_table(page, section);
        break;
    case CW_SECTION_PROSE:
        cw_text_put_prose(page, section);
        break;
    case CW_SECTION_COMMANDS:
        cw_text_put_commands(page, section);
        break;
    }
}

static void put_paragraph(struct cw_text_page *page, const char *text)
{
    cw_output_blanks(&page->output, page->indent);
    cw_text_put_wrapped(page, text, page->indent, CW_TEXT_PLAIN);
}

static void put_section(struct cw_text_page *page, const struct cw_report_section *section)
{
    page->indent = 0;
    if (section->title != NULL) {
        cw_text_put_wrapped(page, section->title, 0, CW_TEXT_HEADING);
        page->indent = INDENT;
    }
    if (cw_report_view(section) == CW_VIEW_EMPTY_TEXT) {
        put_paragraph(page, section->empty_text);
        return;
    }
    put_content(page, section);
    if (section->note != NULL) {
        cw_output_newline(&page->output);
        put_paragraph(page, section->note);
    }
}

static enum cw_status render(const struct cw_report *report,
                             const struct cw_style *style,
                             const struct cw_writer *writer,
                             struct cw_error *err)
{
    struct cw_text_page page = {
        .arena = report->arena, .width = page_width(style), .color = style->color};
    enum cw_status status = cw_report_begin(report, writer, &page.output, err);
    if (status != CW_OK) {
        return status;
    }
    bool is_first = true;
    for (size_t i = 0; i < report->sections.count; i++) {
        const struct cw_report_section *section = cw_report_section_at(report, i);
        if (cw_report_view(section) == CW_VIEW_NOTHING) {
            continue;
        }
        if (!is_first) {
            cw_output_newline(&page.output);
        }
        put_section(&page, section);
        is_first = false;
    }
    if (page.out_of_memory) {
        return cw_error_set(
            err, CW_ERROR_MEMORY, "the page does not fit in memory; raise --max-memory");
    }
    return cw_output_finish(&page.output, err);
}

/* --- streams ------------------------------------------------------------------------------ */

static bool is_shown(const struct cw_row_stream *stream, size_t column)
{
    return (stream->columns[column].flags & CW_COLUMN_DATA) == 0;
}

static size_t width_hint(const struct cw_row_stream *stream, size_t column)
{
    return stream->widths != NULL ? stream->widths[column] : 0;
}

/*
 * A text in its column; one that is too long pushes what follows, so that nothing is lost. Returns
 * how many columns it took, with the gap.
 */
static size_t put_aligned(struct cw_output *output, const char *text, size_t width, bool is_right)
{
    size_t length = strlen(text);
    size_t padding = length < width ? width - length : 0;
    cw_output_blanks(output, is_right ? padding : 0);
    cw_output_put(output, text, length);
    cw_output_blanks(output, (is_right ? 0 : padding) + GAP);
    return length + padding + GAP;
}

/* What the last text of a row may take: the rest of the page. */
static size_t room_left(const struct cw_row_stream *stream, size_t used)
{
    size_t width = page_width(&stream->style);
    return used + LEAST_CUT < width ? width - used : LEAST_CUT;
}

static bool is_last(const struct cw_row_stream *stream, size_t column)
{
    for (size_t i = column + 1; i < stream->column_count; i++) {
        if (is_shown(stream, i)) {
            return false;
        }
    }
    return true;
}

static void stream_head(struct cw_row_stream *stream, const struct cw_cell *first_row)
{
    struct cw_output *output = &stream->output;
    cw_output_puts(output, stream->style.color ? CW_TEXT_BOLD : "");
    for (size_t i = 0; i < stream->column_count; i++) {
        if (is_shown(stream, i)) {
            bool is_right = first_row != NULL && cw_show_is_number(&first_row[i]);
            put_aligned(
                output, cw_report_label(&stream->columns[i]), width_hint(stream, i), is_right);
        }
    }
    if (stream->style.color) {
        output->blanks = 0;
        cw_output_puts(output, CW_TEXT_RESET);
    }
    cw_output_newline(output);
}

static void stream_row(struct cw_row_stream *stream, const struct cw_cell *cells)
{
    char buffer[STREAM_CELL_BYTES];
    char cut[WIDEST_PAGE + 1];
    size_t used = 0;
    for (size_t i = 0; i < stream->column_count; i++) {
        if (is_shown(stream, i)) {
            const char *text =
                cw_show_cell(&cells[i], stream->columns[i].flags, buffer, sizeof buffer);
            bool is_right = cw_show_is_number(&cells[i]);
            if ((stream->columns[i].flags & CW_COLUMN_CUT) != 0 && is_last(stream, i)) {
                text = cw_show_cut(text, room_left(stream, used), cut);
            }
            used += put_aligned(&stream->output, text, width_hint(stream, i), is_right);
        }
    }
    cw_output_newline(&stream->output);
}

static void stream_note(struct cw_row_stream *stream, const char *text)
{
    cw_output_puts(&stream->output, text);
    cw_output_newline(&stream->output);
}

const struct cw_renderer cw_renderer_text = {
    .name = "text",
    .summary = "a page for people: 80 columns of plain text",
    .render = render,
    .stream_head = stream_head,
    .stream_row = stream_row,
    .stream_note = stream_note,
};
