/*
 * Tables of the text page: numbers keep their width, names are cut in their middle, free text
 * wraps beside its row or goes below it. (libsmartcols, which could align them, breaks and cuts
 * anywhere, numbers too, knows neither of these forms, and measures by the locale.)
 *
 *   natural widths ─fits?─► bars take what is left
 *        │ no
 *   free text beside its row, or else below ─► names cut ─► bars dropped ─► texts cut
 *        │ still too wide
 *   each row as fields
 */
#include "base/checked.h"
#include "report/render.h"
#include "report/show.h"
#include "report/text_page.h"

enum {
    GAP = 2,
    SHORTEST_BAR = 10,
    LONGEST_BAR = 20,
    NARROWEST_WRAP = 20,  /* free text that would get less goes below its row */
    COMFORTABLE_CUT = 32, /* a name keeps this much while free text is beside it */
    READABLE_CUT = 24,    /* bars are dropped before names get less than this */
    NARROWEST_CUT = 8,
    NARROWEST_BELOW = 32, /* below its row, free text starts under the name if it gets this much */
    MOST_LINES_BELOW = 2, /* … and needs no more than this */
    BELOW_INDENT = 4,
};

struct column {
    const struct cw_report_column *source;
    size_t source_index;
    const char **texts; /* one a row */
    const char *label;
    size_t text_width; /* natural, clamped to the page */
    size_t width;      /* as laid out, with the bar */
    size_t bar_width;
    double largest_share;
    bool is_number;
    bool is_below; /* printed under the row */
};

struct table {
    struct cw_text_page *page;
    const struct cw_report_section *section;
    struct column *columns;
    size_t column_count;
    size_t row_count;
    size_t room;
    char *scratch;         /* for cutting: room + 1 bytes */
    const char **rest;     /* of each column: what of a wrapped text is still to come */
    unsigned below_column; /* where text below rows starts */
};

static bool has_flag(const struct column *column, unsigned flag)
{
    return (column->source->flags & flag) != 0;
}

/* --- measuring ---------------------------------------------------------------------------- */

static bool measure_column(struct table *table, struct column *column)
{
    struct cw_text_page *page = table->page;
    size_t width = strlen(column->label);
    bool has_cells = false;
    column->texts = cw_arena_alloc_array(page->arena, table->row_count, sizeof *column->texts);
    if (column->texts == NULL) {
        return false;
    }
    for (size_t row = 0; row < table->row_count; row++) {
        const struct cw_cell *cell = cw_report_cell(table->section, row, column->source_index);
        column->texts[row] = cw_text_cell(page, cell, column->source->flags);
        width = cw_max(width, strnlen(column->texts[row], table->room));
        if (cw_cell_is_absent(cell)) {
            continue;
        }
        if (!has_cells) {
            column->is_number = cw_show_is_number(cell);
            has_cells = true;
        }
        if (cell->unit == CW_UNIT_SHARE && cell->real > column->largest_share) {
            column->largest_share = cell->real;
        }
    }
    column->text_width = width;
    column->width = width;
    if (has_flag(column, CW_COLUMN_BAR) && column->largest_share > 0) {
        column->bar_width = SHORTEST_BAR;
        column->width += GAP + SHORTEST_BAR;
    }
    return true;
}

static bool measure(struct table *table)
{
    const struct cw_report_section *section = table->section;
    struct cw_arena *arena = table->page->arena;
    table->columns = cw_arena_alloc_array(arena, section->column_count, sizeof *table->columns);
    table->scratch = cw_arena_alloc(arena, table->room + 1);
    table->rest = cw_arena_alloc_array(arena, section->column_count, sizeof *table->rest);
    if (table->columns == NULL || table->scratch == NULL || table->rest == NULL) {
        return false;
    }
    for (size_t i = 0; i < section->column_count; i++) {
        if (!cw_report_shows_column(section, i)) {
            continue;
        }
        struct column *column = &table->columns[table->column_count++];
        *column = (struct column){
            .source = &section->columns[i],
            .source_index = i,
            .label = cw_report_label(&section->columns[i]),
        };
        if (!measure_column(table, column)) {
            return false;
        }
    }
    return true;
}

/* --- layout ------------------------------------------------------------------------------- */

static size_t total_width(const struct table *table)
{
    size_t total = 0;
    for (size_t i = 0; i < table->column_count; i++) {
        if (!table->columns[i].is_below) {
            total += (total > 0 ? GAP : 0) + table->columns[i].width;
        }
    }
    return total;
}

static bool fits(const struct table *table)
{
    return total_width(table) <= table->room;
}

static void grow_bars(struct table *table)
{
    for (size_t i = 0; i < table->column_count; i++) {
        struct column *column = &table->columns[i];
        if (column->bar_width > 0) {
            size_t left = table->room - total_width(table);
            size_t more = cw_min(left, LONGEST_BAR - SHORTEST_BAR);
            column->bar_width += more;
            column->width += more;
        }
    }
}

static void drop_bars(struct table *table)
{
    for (size_t i = 0; i < table->column_count; i++) {
        struct column *column = &table->columns[i];
        if (column->bar_width > 0) {
            column->width -= GAP + column->bar_width;
            column->bar_width = 0;
        }
    }
}

/* Takes columns away from the widest of those with one of the flags (0: any text) that exceed
 * `least`. */
static void squeeze(struct table *table, unsigned flags, size_t least)
{
    for (size_t total = total_width(table); total > table->room; total--) {
        struct column *widest = NULL;
        for (size_t i = 0; i < table->column_count; i++) {
            struct column *column = &table->columns[i];
            bool is_flexible = flags == 0 ? !column->is_number : has_flag(column, flags);
            if (is_flexible && !column->is_below && column->width > least &&
                (widest == NULL || column->width > widest->width)) {
                widest = column;
            }
        }
        if (widest == NULL) {
            break;
        }
        widest->width--;
    }
}

/* Free text beside its row, if the names leave it enough. */
static bool wrap_beside(struct table *table)
{
    size_t wanted = 0;
    size_t reserved = 0;
    for (size_t i = 0; i < table->column_count; i++) {
        const struct column *column = &table->columns[i];
        if (has_flag(column, CW_COLUMN_WRAP)) {
            wanted += cw_min(column->text_width, NARROWEST_WRAP);
            reserved += column->width;
        } else if (has_flag(column, CW_COLUMN_CUT) && column->width > COMFORTABLE_CUT) {
            reserved += column->width - COMFORTABLE_CUT;
        }
    }
    if (wanted == 0 || total_width(table) - reserved + wanted > table->room) {
        return false;
    }
    squeeze(table, CW_COLUMN_CUT | CW_COLUMN_WRAP, COMFORTABLE_CUT);
    squeeze(table, CW_COLUMN_WRAP, NARROWEST_WRAP);
    return fits(table);
}

static void wrap_below(struct table *table)
{
    for (size_t i = 0; i < table->column_count; i++) {
        struct column *column = &table->columns[i];
        column->is_below = has_flag(column, CW_COLUMN_WRAP) && table->column_count > 1;
    }
}

/* False when even the narrowest table is too wide for the page. */
static bool lay_out(struct table *table)
{
    if (!fits(table) && !wrap_beside(table)) {
        wrap_below(table);
        squeeze(table, CW_COLUMN_CUT, READABLE_CUT);
    }
    if (!fits(table)) {
        drop_bars(table);
        squeeze(table, CW_COLUMN_CUT, NARROWEST_CUT);
        squeeze(table, 0, NARROWEST_CUT);
    }
    if (!fits(table)) {
        return false;
    }
    grow_bars(table);
    return true;
}

/* --- printing ----------------------------------------------------------------------------- */

static void put_aligned(struct table *table,
                        const struct column *column,
                        const char *text,
                        enum cw_text_style style)
{
    struct cw_output *output = &table->page->output;
    size_t bar = column->bar_width > 0 ? GAP + column->bar_width : 0;
    size_t room = column->width - bar;
    text = cw_show_cut(text, room, table->scratch);
    size_t length = strlen(text);
    cw_output_blanks(output, column->is_number ? room - length : 0);
    cw_text_put_styled(table->page, style, text, length);
    cw_output_blanks(output, column->is_number ? 0 : room - length);
}

static void put_bar(struct table *table, const struct column *column, size_t row)
{
    static const char full[LONGEST_BAR + 1] = "####################";
    const struct cw_cell *cell = cw_report_cell(table->section, row, column->source_index);
    size_t length = 0;
    if (cell->unit == CW_UNIT_SHARE && cell->real > 0) {
        length = (size_t)(cell->real / column->largest_share * (double)column->bar_width + 0.5);
    }
    cw_output_blanks(&table->page->output, GAP);
    cw_text_put_styled(table->page, CW_TEXT_BAR, full, length);
    cw_output_blanks(&table->page->output, column->bar_width - length);
}

static void put_heading(struct table *table)
{
    struct cw_output *output = &table->page->output;
    bool has_labels = false;
    for (size_t i = 0; i < table->column_count; i++) {
        has_labels |= table->columns[i].label[0] != '\0' && !table->columns[i].is_below;
    }
    if (!has_labels) {
        return;
    }
    cw_output_blanks(output, table->page->indent);
    for (size_t i = 0; i < table->column_count; i++) {
        const struct column *column = &table->columns[i];
        if (!column->is_below) {
            put_aligned(table, column, column->label, CW_TEXT_HEADING);
            cw_output_blanks(output, column->bar_width > 0 ? GAP + column->bar_width : 0);
            cw_output_blanks(output, GAP);
        }
    }
    cw_output_newline(output);
}

/* One line of a row. table->rest[i] is what is left of a wrapped text; only line 0 has the others.
 */
static void put_line(struct table *table, size_t row, size_t line_index)
{
    struct cw_output *output = &table->page->output;
    cw_output_blanks(output, table->page->indent);
    for (size_t i = 0; i < table->column_count; i++) {
        const struct column *column = &table->columns[i];
        struct cw_slice line = {"", 0};
        enum cw_text_style style = cw_text_style_of(column->source->flags, column->texts[row]);
        if (column->is_below) {
            continue;
        }
        if (has_flag(column, CW_COLUMN_WRAP)) {
            cw_show_next_line(&table->rest[i], column->width, &line);
            cw_text_put_styled(table->page, style, line.start, line.length);
            cw_output_blanks(output, column->width - line.length);
        } else if (line_index > 0) {
            cw_output_blanks(output, column->width);
        } else {
            put_aligned(table, column, column->texts[row], style);
            if (column->bar_width > 0) {
                put_bar(table, column, row);
            }
        }
        cw_output_blanks(output, GAP);
    }
    cw_output_newline(output);
}

static bool has_rest(const struct table *table)
{
    for (size_t i = 0; i < table->column_count; i++) {
        const struct column *column = &table->columns[i];
        if (has_flag(column, CW_COLUMN_WRAP) && !column->is_below &&
            table->rest[i][strspn(table->rest[i], " ")] != '\0') {
            return true;
        }
    }
    return false;
}

static size_t line_count(const char *text, size_t width)
{
    struct cw_slice line;
    size_t count = 0;
    while (cw_show_next_line(&text, width, &line)) {
        count++;
    }
    return count;
}

/* Does all text below rows take few lines when it starts at `start`? */
static bool is_short_below(const struct table *table, size_t start)
{
    size_t width = table->page->width - start;
    for (size_t i = 0; i < table->column_count; i++) {
        for (size_t row = 0; table->columns[i].is_below && row < table->row_count; row++) {
            if (line_count(table->columns[i].texts[row], width) > MOST_LINES_BELOW) {
                return false;
            }
        }
    }
    return true;
}

/* Where text below rows starts: under the name, unless it would become a narrow strip there. */
static unsigned below_column(const struct table *table)
{
    size_t least = table->page->indent + BELOW_INDENT;
    size_t at = table->page->indent;
    for (size_t i = 0; i < table->column_count; i++) {
        const struct column *column = &table->columns[i];
        if (has_flag(column, CW_COLUMN_CUT) && at + NARROWEST_BELOW <= table->page->width &&
            is_short_below(table, at)) {
            return (unsigned)cw_max(at, least);
        }
        at += column->is_below ? 0 : column->width + GAP;
    }
    return (unsigned)least;
}

static void put_row(struct table *table, size_t row)
{
    size_t line_index = 0;
    for (size_t i = 0; i < table->column_count; i++) {
        table->rest[i] = table->columns[i].texts[row];
    }
    do {
        put_line(table, row, line_index++);
    } while (has_rest(table));
    for (size_t i = 0; i < table->column_count; i++) {
        if (table->columns[i].is_below && *table->rest[i] != '\0') {
            cw_output_blanks(&table->page->output, table->below_column);
            cw_text_put_wrapped(table->page, table->rest[i], table->below_column, CW_TEXT_PLAIN);
        }
    }
}

static void put_records(struct table *table)
{
    for (size_t row = 0; row < table->row_count; row++) {
        if (row > 0) {
            cw_output_newline(&table->page->output);
        }
        cw_text_put_fields(table->page, table->section, row);
    }
}

void cw_text_put_table(struct cw_text_page *page, const struct cw_report_section *section)
{
    struct table table = {
        .page = page,
        .section = section,
        .row_count = cw_report_shown_row_count(section),
        .room = page->width - page->indent,
    };
    if (!measure(&table)) {
        page->out_of_memory = true;
        return;
    }
    if (!lay_out(&table)) {
        put_records(&table);
        return;
    }
    table.below_column = below_column(&table);
    put_heading(&table);
    for (size_t row = 0; row < table.row_count; row++) {
        put_row(&table, row);
    }
}
