/* Text that is made of lines: fields, paragraphs, commands. */
#include "base/checked.h"
#include "report/render.h"
#include "report/show.h"
#include "report/text_page.h"

enum {
    GAP = 2,              /* between a label and its value, a command and its remark */
    LONGEST_LABEL = 24,   /* beyond this a label does not push the values of the others */
    NARROWEST_VALUE = 16, /* a value is not squeezed below this by its label */
    CONTINUATION = 4,     /* more indentation for the rest of a command */
};

static const char *const escapes[] = {
    [CW_TEXT_PLAIN] = "",
    [CW_TEXT_HEADING] = CW_TEXT_BOLD,
    [CW_TEXT_BAR] = "\x1b[36m",
    [CW_TEXT_WARNING] = "\x1b[33m",
    [CW_TEXT_ERROR] = "\x1b[31m",
};

void cw_text_put_styled(struct cw_text_page *page,
                        enum cw_text_style style,
                        const char *bytes,
                        size_t count)
{
    bool is_styled = page->color && style != CW_TEXT_PLAIN && count > 0;
    if (is_styled) {
        cw_output_puts(&page->output, escapes[style]);
    }
    cw_output_put(&page->output, bytes, count);
    if (is_styled) {
        cw_output_puts(&page->output, CW_TEXT_RESET);
    }
}

enum cw_text_style cw_text_style_of(unsigned flags, const char *text)
{
    if ((flags & CW_COLUMN_SEVERITY) == 0) {
        return CW_TEXT_PLAIN;
    }
    return strcmp(text, "error") == 0     ? CW_TEXT_ERROR
           : strcmp(text, "warning") == 0 ? CW_TEXT_WARNING
                                          : CW_TEXT_PLAIN;
}

void cw_text_put_wrapped(struct cw_text_page *page,
                         const char *text,
                         unsigned column,
                         enum cw_text_style style)
{
    struct cw_slice line;
    size_t room = page->width > column ? page->width - column : 1;
    for (bool is_first = true; cw_show_next_line(&text, room, &line); is_first = false) {
        if (!is_first) {
            cw_output_newline(&page->output);
            cw_output_blanks(&page->output, column);
        }
        cw_text_put_styled(page, style, line.start, line.length);
    }
    cw_output_newline(&page->output);
}

const char *cw_text_cell(struct cw_text_page *page, const struct cw_cell *cell, unsigned flags)
{
    const char *text = cw_show_cell_copy(cell, flags, page->arena);
    if (text == NULL) {
        page->out_of_memory = true;
        return "";
    }
    return text;
}

/* --- fields ------------------------------------------------------------------------------- */

static bool is_shown(const struct cw_report_section *section, size_t row, size_t column)
{
    return (section->columns[column].flags & CW_COLUMN_DATA) == 0 &&
           !cw_cell_is_absent(cw_report_cell(section, row, column));
}

/* Where values start: behind the longest label of reasonable length, of all rows. */
static unsigned value_column(const struct cw_text_page *page,
                             const struct cw_report_section *section)
{
    size_t longest = 0;
    for (size_t i = 0; i < section->column_count; i++) {
        size_t length = strlen(cw_report_label(&section->columns[i]));
        if (cw_report_shows_column(section, i) && length <= LONGEST_LABEL) {
            longest = cw_max(longest, length);
        }
    }
    size_t column = longest > 0 ? page->indent + longest + GAP : page->indent;
    return (unsigned)(column + NARROWEST_VALUE <= page->width ? column : page->indent + GAP);
}

static void put_field(struct cw_text_page *page,
                      const struct cw_report_column *column,
                      const char *text,
                      unsigned value_start)
{
    const char *label = cw_report_label(column);
    size_t position = page->indent + strlen(label);
    enum cw_text_style style = cw_text_style_of(column->flags, text);
    if (*label == '\0') {
        value_start = page->indent;
    }
    cw_output_blanks(&page->output, page->indent);
    cw_output_puts(&page->output, label);
    if (*label != '\0' && position + GAP > value_start) {
        cw_output_newline(&page->output);
        position = 0;
    }
    cw_output_blanks(&page->output, value_start - position);
    if ((column->flags & CW_COLUMN_CUT) != 0) {
        size_t room = page->width - value_start;
        char *buffer = cw_arena_alloc(page->arena, room + 1);
        page->out_of_memory |= buffer == NULL;
        text = buffer != NULL ? cw_show_cut(text, room, buffer) : "";
    }
    cw_text_put_wrapped(page, text, value_start, style);
}

void cw_text_put_fields(struct cw_text_page *page,
                        const struct cw_report_section *section,
                        size_t row)
{
    unsigned value_start = value_column(page, section);
    for (size_t i = 0; i < section->column_count; i++) {
        if (is_shown(section, row, i)) {
            const struct cw_report_column *column = &section->columns[i];
            const char *text = cw_text_cell(page, cw_report_cell(section, row, i), column->flags);
            put_field(page, column, text, value_start);
        }
    }
}

/* --- prose -------------------------------------------------------------------------------- */

void cw_text_put_prose(struct cw_text_page *page, const struct cw_report_section *section)
{
    bool is_first = true;
    for (size_t i = 0; i < section->column_count; i++) {
        if (!is_shown(section, 0, i)) {
            continue;
        }
        const struct cw_report_column *column = &section->columns[i];
        const char *label = cw_report_label(column);
        const char *text = cw_text_cell(page, cw_report_cell(section, 0, i), column->flags);
        enum cw_text_style style = cw_text_style_of(column->flags, text);
        if (*label != '\0') {
            text = cw_arena_printf(page->arena, "%s: %s", label, text);
            page->out_of_memory |= text == NULL;
        }
        if (!is_first) {
            cw_output_newline(&page->output);
        }
        cw_output_blanks(&page->output, page->indent);
        cw_text_put_wrapped(page, text != NULL ? text : "", page->indent, style);
        is_first = false;
    }
}

/* --- commands ----------------------------------------------------------------------------- */

/*
 * How much of a command goes on a line of `width` columns that may end in " \": up to the last
 * blank outside quotes that fits, or the next one where none does: a word is never broken.
 */
static size_t command_line(const char *command, size_t width)
{
    char quote = '\0';
    size_t best = 0;
    for (size_t i = 0; command[i] != '\0'; i++) {
        char byte = command[i];
        if (quote != '\0') {
            if (byte == quote) {
                quote = '\0';
            }
        } else if (byte == '\'' || byte == '"') {
            quote = byte;
        } else if (byte == ' ' && (best == 0 || i + 2 <= width)) {
            best = i;
        }
    }
    size_t length = strlen(command);
    return length <= width || best == 0 ? length : best;
}

static void put_command(struct cw_text_page *page, const char *command)
{
    unsigned column = page->indent;
    command += strspn(command, " ");
    for (;;) {
        size_t room = page->width > column ? page->width - column : 0;
        size_t length = command_line(command, room);
        cw_output_blanks(&page->output, column);
        cw_output_put(&page->output, command, length);
        command += length;
        command += strspn(command, " ");
        if (*command == '\0') {
            break;
        }
        cw_output_puts(&page->output, " \\\n");
        column = page->indent + CONTINUATION;
    }
}

/* The command of a row, or its remark (0, 1). */
static const char *command_text(struct cw_text_page *page,
                                const struct cw_report_section *section,
                                size_t row,
                                size_t column)
{
    return column < section->column_count && is_shown(section, row, column)
               ? cw_text_cell(page, cw_report_cell(section, row, column), 0)
               : "";
}

/* The column of the remarks, or 0 where they do not all fit behind the commands. */
static unsigned remark_column(struct cw_text_page *page, const struct cw_report_section *section)
{
    size_t longest = 0;
    size_t longest_remark = 0;
    for (size_t row = 0; row < cw_report_row_count(section); row++) {
        longest = cw_max(longest, strlen(command_text(page, section, row, 0)));
        longest_remark = cw_max(longest_remark, strlen(command_text(page, section, row, 1)));
    }
    size_t column = page->indent + longest + GAP;
    return column + strlen("# ") + longest_remark <= page->width ? (unsigned)column : 0;
}

void cw_text_put_commands(struct cw_text_page *page, const struct cw_report_section *section)
{
    unsigned column = remark_column(page, section);
    for (size_t row = 0; row < cw_report_row_count(section); row++) {
        const char *command = command_text(page, section, row, 0);
        const char *remark = command_text(page, section, row, 1);
        bool has_remark = *remark != '\0';
        if (has_remark && column == 0) {
            cw_output_blanks(&page->output, page->indent);
            cw_output_puts(&page->output, "# ");
            cw_text_put_wrapped(page, remark, page->indent + 2, CW_TEXT_PLAIN);
        }
        put_command(page, command);
        if (has_remark && column != 0) {
            cw_output_blanks(&page->output, column - page->indent - strlen(command));
            cw_output_puts(&page->output, "# ");
            cw_output_puts(&page->output, remark);
        }
        cw_output_newline(&page->output);
    }
}
