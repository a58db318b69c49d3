/* Section "ledger". */
#include "analyze/sections.h"
#include "base/text.h"

#define COLUMNS(array) array, sizeof(array) / sizeof(array)[0]

void cw_section_ledger(const struct cw_ledger *ledger, struct cw_report *report)
{
    static const struct cw_report_column total[] = {{"total_bytes", "", CW_COLUMN_DATA}};
    static const struct cw_report_column rows[] = {
        {"bytes", "bytes", 0},
        {"", "share", CW_COLUMN_HUMAN | CW_COLUMN_BAR},
        {"label", "owner", CW_COLUMN_CUT},
        {"count", "count", 0},
        {"owner", "", CW_COLUMN_DATA},
    };
    char size[CW_SIZE_TEXT];
    char exact[CW_COUNT_TEXT];
    struct cw_report_section *section =
        cw_report_add(report, CW_SECTION_FIELDS, "ledger", NULL, COLUMNS(total));
    cw_report_add_row(report, section, (struct cw_cell[]){cw_cell_bytes(ledger->total_bytes)});

    section = cw_report_add(report, CW_SECTION_TABLE, "ledger.rows", NULL, COLUMNS(rows));
    section->title = cw_report_printf(report,
                                      "Where the memory is: %s writable (%s bytes)",
                                      cw_text_size(ledger->total_bytes, size),
                                      cw_text_count(ledger->total_bytes, exact));
    section->empty_text = "The target has no writable memory.";
    for (size_t i = 0; i < ledger->row_count; i++) {
        const struct cw_ledger_row *row = &ledger->rows[i];
        struct cw_cell share = cw_cell_share(row->total.bytes, ledger->total_bytes);
        cw_report_add_row(report,
                          section,
                          (struct cw_cell[]){cw_cell_bytes(row->total.bytes),
                                             share,
                                             cw_cell_text(row->label),
                                             cw_cell_count(row->total.count),
                                             cw_cell_text(row->owner)});
    }
    if (ledger->missing_bytes > 0) {
        section->note = cw_report_printf(report,
                                         "%s of it is not in the core: counted, but not looked at.",
                                         cw_text_size(ledger->missing_bytes, size));
    }
}
