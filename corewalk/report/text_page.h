/*
 * The page of the text renderer: ASCII, at most so many columns, no blanks at the ends of lines.
 * text_table.c lays out tables, text_lines.c everything that is made of lines.
 */
#pragma once

#include "report/model.h"
#include "report/output.h"

struct cw_text_page {
    struct cw_output output;
    struct cw_arena *arena; /* for what rendering needs */
    unsigned width;
    unsigned indent; /* of the section being written */
    bool color;
    bool out_of_memory;
};

enum cw_text_style {
    CW_TEXT_PLAIN,
    CW_TEXT_HEADING,
    CW_TEXT_BAR,
    CW_TEXT_WARNING,
    CW_TEXT_ERROR,
};

#define CW_TEXT_BOLD  "\x1b[1m"
#define CW_TEXT_RESET "\x1b[0m"

/* Puts `count` bytes, styled if the page has colors. */
void cw_text_put_styled(struct cw_text_page *page,
                        enum cw_text_style style,
                        const char *bytes,
                        size_t count);

/* How a cell of this column is to look. */
enum cw_text_style cw_text_style_of(unsigned flags, const char *text);

/*
 * Wraps `text` between `column`, where the line already stands, and the page's edge; what follows
 * the first line hangs at `column` too. Ends the line.
 */
void cw_text_put_wrapped(struct cw_text_page *page,
                         const char *text,
                         unsigned column,
                         enum cw_text_style style);

/* The cell as text in the page's arena; "" (and out_of_memory) when there is no memory. */
const char *cw_text_cell(struct cw_text_page *page, const struct cw_cell *cell, unsigned flags);

/* "label   value" lines of one row. */
void cw_text_put_fields(struct cw_text_page *page,
                        const struct cw_report_section *section,
                        size_t row);

/* A paragraph for each cell of the row. */
void cw_text_put_prose(struct cw_text_page *page, const struct cw_report_section *section);

/* Commands as they can be pasted into a shell, with what they are good for as comments. */
void cw_text_put_commands(struct cw_text_page *page, const struct cw_report_section *section);

/* Aligned columns; rows as fields where the page is too narrow for any table. */
void cw_text_put_table(struct cw_text_page *page, const struct cw_report_section *section);
