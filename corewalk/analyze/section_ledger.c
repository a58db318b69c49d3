/* Sections "ledger" and "mappings". */
#include "analyze/sections.h"
#include "base/text.h"

/* Other anonymous mappings are listed from 1/4 of all memory on, unless that is little. */
enum { WORTH_LISTING = 4, LEAST_LISTED_BYTES = 16 << 20 };

#define COLUMNS(array) array, sizeof(array) / sizeof(array)[0]

void cw_section_ledger(const struct cw_ledger *ledger, struct cw_report *report)
{
    static const struct cw_report_column total[] = {{"total_bytes", "", CW_COLUMN_DATA}};
    static const struct cw_report_column rows[] = {
        {"bytes", "bytes", 0},
        {"", "share", CW_COLUMN_HUMAN | CW_COLUMN_BAR},
        {"zero_bytes", "all zero", 0},
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
                                             row->zero_bytes > 0 ? cw_cell_bytes(row->zero_bytes)
                                                                 : cw_cell_absent(),
                                             cw_cell_text(row->label),
                                             cw_cell_count(row->total.count),
                                             cw_cell_text(row->owner)});
    }
    if (ledger->missing_bytes > 0) {
        section->note = cw_report_printf(report,
                                         "%s of it is not in the core: counted, but not looked at.",
                                         cw_text_size(ledger->missing_bytes, size));
    } else if (ledger->zero_bytes > ledger->total_bytes / 10) {
        section->note = "Pages that are all zero were most likely never touched, and take no room.";
    }
}

void cw_section_mappings(const struct cw_ledger *ledger, struct cw_report *report)
{
    static const struct cw_report_column columns[] = {
        {"bytes", "bytes", 0},
        {"zero_bytes", "all zero", 0},
        {"address", "address", 0},
    };
    uint64_t anonymous = cw_ledger_bytes_of(ledger, "anonymous");
    if (anonymous < LEAST_LISTED_BYTES || anonymous < ledger->total_bytes / WORTH_LISTING) {
        return;
    }
    struct cw_report_section *section = cw_report_add(report,
                                                      CW_SECTION_TABLE,
                                                      "mappings",
                                                      "Largest of the other anonymous memory",
                                                      COLUMNS(columns));
    section->note =
        ledger->missing_bytes == 0
            ? "Not glibc's heap: mapped by the program, or by an allocator of its own (PHP, "
              "Python, Java and many compilers have one). They are not looked into."
            : "What they are cannot be told: the core is incomplete.";
    for (size_t i = 0; i < ledger->mapping_count; i++) {
        const struct cw_ledger_mapping *mapping = &ledger->mappings[i];
        cw_report_add_row(report,
                          section,
                          (struct cw_cell[]){cw_cell_bytes(mapping->size_bytes),
                                             cw_cell_bytes(mapping->zero_bytes),
                                             cw_cell_address(mapping->start)});
    }
}
