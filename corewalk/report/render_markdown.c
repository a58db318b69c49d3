/* GitHub's markdown: pipe tables, with everything that came from outside made harmless. */
#include "report/render.h"
#include "report/show.h"

static bool is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

static bool is_alphanumeric(char byte)
{
    return is_digit(byte) || (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
}

/* "#12" would link to an issue, and "@name" would call someone. */
static bool makes_reference(const char *start, const char *at)
{
    return (*at == '#' && is_digit(at[1])) ||
           (*at == '@' && is_alphanumeric(at[1]) && (at == start || !is_alphanumeric(at[-1])));
}

/* One byte of running text. */
static void put_escaped(struct cw_output *output, char byte)
{
    switch (byte) {
    case '<':
        cw_output_puts(output, "&lt;");
        break;
    case '>':
        cw_output_puts(output, "&gt;");
        break;
    case '&':
        cw_output_puts(output, "&amp;");
        break;
    default:
        if (strchr("\\`*_[]~$|", byte) != NULL) {
            cw_output_putc(output, '\\');
        }
        cw_output_putc(output, byte);
    }
}

static void put_text(struct cw_output *output, const char *text)
{
    for (const char *at = text; *at != '\0'; at++) {
        put_escaped(output, *at);
        if (makes_reference(text, at)) {
            cw_output_puts(output, "<!-- -->");
        }
    }
}

/* The same at the start of a line, where "-", "#" and "1." would begin a block. */
static void put_block(struct cw_output *output, const char *text)
{
    text += strspn(text, " ");
    size_t digits = strspn(text, "0123456789");
    if (digits > 0 && (text[digits] == '.' || text[digits] == ')')) {
        cw_output_put(output, text, digits);
        cw_output_putc(output, '\\');
        text += digits;
    } else if (*text != '\0' && strchr("-+=#", *text) != NULL) {
        cw_output_putc(output, '\\');
    }
    put_text(output, text);
}

static size_t longest_backtick_run(const char *text)
{
    size_t longest = 0;
    for (text = strchr(text, '`'); text != NULL; text = strchr(text, '`')) {
        size_t run = strspn(text, "`");
        longest = run > longest ? run : longest;
        text += run;
    }
    return longest;
}

/* Where a cell stands: inside a table, a pipe in a code span needs a backslash; outside, it must
 * not have one. */
enum place {
    IN_TEXT,
    IN_TABLE,
};

/*
 * A code span. Inside a table there is no way to write a backslash before a pipe, so that one
 * case is running text.
 */
static void put_code(struct cw_output *output, const char *text, enum place place)
{
    if (*text == '\0' || (place == IN_TABLE && strstr(text, "\\|") != NULL)) {
        put_text(output, text);
        return;
    }
    size_t fence = longest_backtick_run(text) + 1;
    /* A blank next to the fence is stripped, one on either side; it parts backtick from fence. */
    bool pads = text[0] == '`' || text[strlen(text) - 1] == '`' ||
                (text[0] == ' ' && text[strlen(text) - 1] == ' ');
    cw_output_repeat(output, '`', fence);
    cw_output_puts(output, pads ? " " : "");
    for (; *text != '\0'; text++) {
        if (*text == '|' && place == IN_TABLE) {
            cw_output_putc(output, '\\');
        }
        cw_output_putc(output, *text);
    }
    cw_output_puts(output, pads ? " " : "");
    cw_output_repeat(output, '`', fence);
}

static void put_list(struct cw_output *output,
                     const struct cw_cell *cell,
                     bool is_code,
                     enum place place)
{
    bool is_words = cell->unit == CW_UNIT_WORDS;
    size_t count = is_words ? cell->words.count : cell->addresses.count;
    for (size_t i = 0; i < count; i++) {
        cw_output_puts(output, i > 0 ? ", " : "");
        if (!is_words) {
            cw_output_putc(output, '`');
            cw_output_address(output, cell->addresses.items[i]);
            cw_output_putc(output, '`');
        } else if (is_code) {
            put_code(output, cell->words.items[i], place);
        } else {
            put_text(output, cell->words.items[i]);
        }
    }
}

static void put_cell(struct cw_output *output,
                     const struct cw_cell *cell,
                     unsigned flags,
                     enum place place)
{
    char buffer[CW_SHOW_BYTES];
    bool is_code = (flags & CW_COLUMN_CUT) != 0 || cell->unit == CW_UNIT_ADDRESS;
    if (cell->unit == CW_UNIT_WORDS || cell->unit == CW_UNIT_ADDRESSES) {
        put_list(output, cell, is_code, place);
    } else if (is_code) {
        put_code(output, cw_show_cell(cell, flags, buffer, sizeof buffer), place);
    } else {
        put_text(output, cw_show_cell(cell, flags, buffer, sizeof buffer));
    }
}

/* --- sections ----------------------------------------------------------------------------- */

static void put_row(struct cw_output *output,
                    const struct cw_report_section *section,
                    const bool *shown,
                    size_t row)
{
    for (size_t i = 0; i < section->column_count; i++) {
        if (shown[i]) {
            cw_output_puts(output, "| ");
            put_cell(output, cw_report_cell(section, row, i), section->columns[i].flags, IN_TABLE);
            cw_output_putc(output, ' ');
        }
    }
    cw_output_puts(output, "|\n");
}

static bool is_number_column(const struct cw_report_section *section, size_t column)
{
    size_t row_count = cw_report_shown_row_count(section);
    size_t row = 0;
    while (row + 1 < row_count && cw_cell_is_absent(cw_report_cell(section, row, column))) {
        row++;
    }
    return cw_show_is_number(cw_report_cell(section, row, column));
}

static bool put_table(struct cw_output *output,
                      const struct cw_report_section *section,
                      struct cw_arena *arena)
{
    bool *shown = cw_arena_alloc_array(arena, section->column_count, sizeof *shown);
    if (shown == NULL) {
        return false;
    }
    for (size_t i = 0; i < section->column_count; i++) {
        shown[i] = cw_report_shows_column(section, i);
        if (shown[i]) {
            cw_output_puts(output, "| ");
            put_text(output, cw_report_label(&section->columns[i]));
            cw_output_putc(output, ' ');
        }
    }
    cw_output_puts(output, "|\n");
    for (size_t i = 0; i < section->column_count; i++) {
        if (shown[i]) {
            cw_output_puts(output, is_number_column(section, i) ? "|---:" : "|:---");
        }
    }
    cw_output_puts(output, "|\n");
    for (size_t row = 0; row < cw_report_shown_row_count(section); row++) {
        put_row(output, section, shown, row);
    }
    return true;
}

/* FIELDS: "- label: value". PROSE: a paragraph each. */
static void put_lines(struct cw_output *output, const struct cw_report_section *section)
{
    bool is_prose = section->kind == CW_SECTION_PROSE;
    bool needs_blank_line = false;
    for (size_t i = 0; i < section->column_count; i++) {
        const struct cw_report_column *column = &section->columns[i];
        const struct cw_cell *cell = cw_report_cell(section, 0, i);
        if ((column->flags & CW_COLUMN_DATA) != 0 || cw_cell_is_absent(cell)) {
            continue;
        }
        const char *label = cw_report_label(column);
        cw_output_puts(output, needs_blank_line ? "\n" : "");
        cw_output_puts(output, is_prose ? "" : "- ");
        if (*label != '\0') {
            put_block(output, label);
            cw_output_puts(output, ": ");
            put_cell(output, cell, column->flags, IN_TEXT);
        } else if (cell->unit == CW_UNIT_TEXT && (column->flags & CW_COLUMN_CUT) == 0) {
            put_block(output, cell->text);
        } else {
            put_cell(output, cell, column->flags, IN_TEXT);
        }
        cw_output_newline(output);
        needs_blank_line = is_prose;
    }
}

static void put_commands(struct cw_output *output, const struct cw_report_section *section)
{
    size_t fence = 3;
    size_t row_count = cw_report_shown_row_count(section);
    char buffer[CW_SHOW_BYTES];
    for (size_t row = 0; row < row_count; row++) {
        const struct cw_cell *cell = cw_report_cell(section, row, 0);
        size_t run = longest_backtick_run(cw_show_cell(cell, 0, buffer, sizeof buffer)) + 1;
        fence = run > fence ? run : fence;
    }
    cw_output_repeat(output, '`', fence);
    cw_output_puts(output, "sh\n");
    for (size_t row = 0; row < row_count; row++) {
        const struct cw_cell *cells = cw_report_cell(section, row, 0);
        cw_output_puts(output, cw_show_cell(&cells[0], 0, buffer, sizeof buffer));
        if (section->column_count > 1 && !cw_cell_is_absent(&cells[1])) {
            cw_output_puts(output, "  # ");
            cw_output_puts(output, cw_show_cell(&cells[1], 0, buffer, sizeof buffer));
        }
        cw_output_newline(output);
    }
    cw_output_repeat(output, '`', fence);
    cw_output_newline(output);
}

static bool put_content(struct cw_output *output,
                        const struct cw_report_section *section,
                        struct cw_arena *arena)
{
    switch (section->kind) {
    case CW_SECTION_TABLE:
        return put_table(output, section, arena);
    case CW_SECTION_COMMANDS:
        put_commands(output, section);
        return true;
    case CW_SECTION_FIELDS:
    case CW_SECTION_PROSE:
        put_lines(output, section);
        return true;
    }
    return true;
}

static void put_paragraph(struct cw_output *output, const char *text)
{
    put_block(output, text);
    cw_output_newline(output);
}

/* False: out of memory. */
static bool put_section(struct cw_output *output,
                        const struct cw_report_section *section,
                        struct cw_arena *arena,
                        bool is_first)
{
    if (!is_first) {
        cw_output_newline(output);
    }
    if (section->title != NULL) {
        cw_output_puts(output, "### ");
        put_text(output, section->title);
        cw_output_puts(output, "\n\n");
    }
    if (cw_report_view(section) == CW_VIEW_EMPTY_TEXT) {
        put_paragraph(output, section->empty_text);
        return true;
    }
    if (!put_content(output, section, arena)) {
        return false;
    }
    if (section->note != NULL) {
        cw_output_newline(output);
        put_paragraph(output, section->note);
    }
    return true;
}

static enum cw_status render(const struct cw_report *report,
                             const struct cw_style *style,
                             const struct cw_writer *writer,
                             struct cw_error *err)
{
    (void)style;
    struct cw_output output;
    enum cw_status status = cw_report_begin(report, writer, &output, err);
    if (status != CW_OK) {
        return status;
    }
    bool is_first = true;
    for (size_t i = 0; i < report->sections.count; i++) {
        const struct cw_report_section *section = cw_report_section_at(report, i);
        if (cw_report_view(section) == CW_VIEW_NOTHING) {
            continue;
        }
        if (!put_section(&output, section, report->arena, is_first)) {
            return cw_error_set_memory(err, "a markdown table");
        }
        is_first = false;
    }
    return cw_output_finish(&output, err);
}

/* --- streams ------------------------------------------------------------------------------ */

static void stream_head(struct cw_row_stream *stream, const struct cw_cell *first_row)
{
    struct cw_output *output = &stream->output;
    for (size_t i = 0; i < stream->column_count; i++) {
        if ((stream->columns[i].flags & CW_COLUMN_DATA) == 0) {
            cw_output_puts(output, "| ");
            put_text(output, cw_report_label(&stream->columns[i]));
            cw_output_putc(output, ' ');
        }
    }
    cw_output_puts(output, "|\n");
    for (size_t i = 0; i < stream->column_count; i++) {
        if ((stream->columns[i].flags & CW_COLUMN_DATA) == 0) {
            bool is_number = first_row != NULL && cw_show_is_number(&first_row[i]);
            cw_output_puts(output, is_number ? "|---:" : "|:---");
        }
    }
    cw_output_puts(output, "|\n");
}

static void stream_row(struct cw_row_stream *stream, const struct cw_cell *cells)
{
    for (size_t i = 0; i < stream->column_count; i++) {
        if ((stream->columns[i].flags & CW_COLUMN_DATA) == 0) {
            cw_output_puts(&stream->output, "| ");
            put_cell(&stream->output, &cells[i], stream->columns[i].flags, IN_TABLE);
            cw_output_putc(&stream->output, ' ');
        }
    }
    cw_output_puts(&stream->output, "|\n");
}

static void stream_note(struct cw_row_stream *stream, const char *text)
{
    cw_output_newline(&stream->output);
    put_text(&stream->output, text);
    cw_output_newline(&stream->output);
}

const struct cw_renderer cw_renderer_markdown = {
    .name = "markdown",
    .summary = "tables as GitHub shows them, for a bug report",
    .render = render,
    .stream_head = stream_head,
    .stream_row = stream_row,
    .stream_note = stream_note,
};
