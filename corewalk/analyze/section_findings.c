/* Section "findings": what is damaged. */
#include <inttypes.h>

#include "analyze/sections.h"

enum { PAGE_FINDINGS = 3 };

void cw_section_findings(const struct cw_analysis_input *input, struct cw_report *report)
{
    static const struct cw_report_column columns[] = {
        {"code", "", CW_COLUMN_DATA},
        {"severity", "", CW_COLUMN_SEVERITY},
        {"address", "", 0},
        {"text", "", CW_COLUMN_WRAP},
        {"culprit", "", CW_COLUMN_DATA},
    };
    static const char *const severities[] = {
        [CW_INFO] = "info", [CW_WARNING] = "warning", [CW_SEVERE] = "error"};
    const struct cw_notes *findings = input->findings;
    if (input->heap == NULL) {
        return;
    }
    struct cw_report_section *section = cw_report_add(report,
                                                      CW_SECTION_TABLE,
                                                      "findings",
                                                      "Findings",
                                                      columns,
                                                      sizeof columns / sizeof columns[0]);
    section->shown_row_limit = PAGE_FINDINGS;
    for (size_t i = 0; i < findings->items.count; i++) {
        const struct cw_note *note = cw_note_at(findings, i);
        cw_report_add_row(report,
                          section,
                          (struct cw_cell[]){cw_cell_text(note->code),
                                             cw_cell_text(severities[note->severity]),
                                             note->address != 0 ? cw_cell_address(note->address)
                                                                : cw_cell_absent(),
                                             cw_cell_text(note->text),
                                             note->culprit != 0 ? cw_cell_address(note->culprit)
                                                                : cw_cell_absent()});
    }
    uint64_t rest = findings->items.count - cw_report_shown_row_count(section);
    rest += findings->dropped_count;
    if (rest > 0) {
        section->note = cw_report_printf(report, "%" PRIu64 " more: see corewalk check.", rest);
    }
}
