/* The report model: sections in order, cells row by row. */
#include "report/model.h"

#include <stdarg.h>

void cw_report_init(struct cw_report *report, struct cw_arena *arena)
{
    *report = (struct cw_report){.arena = arena};
    cw_vector_init(&report->sections, arena->budget, sizeof(struct cw_report_section *));
}

void cw_report_deinit(struct cw_report *report)
{
    for (size_t i = 0; i < report->sections.count; i++) {
        cw_vector_deinit(&cw_report_section_at(report, i)->cells);
    }
    cw_vector_deinit(&report->sections);
}

struct cw_report_section *cw_report_add(struct cw_report *report,
                                        enum cw_section_kind kind,
                                        const char *key,
                                        const char *title,
                                        const struct cw_report_column *columns,
                                        size_t column_count)
{
    struct cw_report_section *section = cw_arena_alloc(report->arena, sizeof *section);
    if (section == NULL || !cw_vector_append(&report->sections, &section)) {
        report->failed = true;
        section = &report->spare;
    }
    *section = (struct cw_report_section){
        .key = key,
        .title = title,
        .kind = kind,
        .columns = columns,
        .column_count = column_count,
    };
    cw_vector_init(&section->cells, report->arena->budget, sizeof(struct cw_cell));
    return section;
}

void cw_report_add_row(struct cw_report *report,
                       struct cw_report_section *section,
                       const struct cw_cell *cells)
{
    size_t row_start = section->cells.count;
    for (size_t i = 0; i < section->column_count && !report->failed; i++) {
        report->failed = !cw_vector_append(&section->cells, &cells[i]);
    }
    if (report->failed) {
        section->cells.count = row_start;
    }
}

const char *cw_report_printf(struct cw_report *report, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const char *text = cw_arena_vprintf(report->arena, format, arguments);
    va_end(arguments);
    if (text == NULL) {
        report->failed = true;
    }
    return text != NULL ? text : "";
}
