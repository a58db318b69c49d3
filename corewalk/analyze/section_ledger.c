/* Sections "ledger" and "heap". */
#include "analyze/sections.h"
#include "base/text.h"

enum { PAGE_ARENAS = 6 };

#define COLUMNS(array) array, sizeof(array) / sizeof(array)[0]

struct cw_tally cw_heap_held(const struct cw_heap *heap)
{
    struct cw_tally held = heap->by_state[CW_CHUNK_USED];
    cw_tally_merge(&held, &heap->by_state[CW_CHUNK_MMAPPED]);
    return held;
}

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

/* Sum over all arenas of what lies in no chunk, and of what glibc calls system_mem. */
static void sum_arenas(const struct cw_heap *heap, uint64_t *gap_bytes, uint64_t *system_bytes)
{
    *gap_bytes = 0;
    *system_bytes = 0;
    for (uint32_t i = 0; i < heap->arena_count; i++) {
        *gap_bytes += heap->arenas[i].gap_bytes;
        *system_bytes += heap->arenas[i].system_bytes;
    }
}

static void add_heap_sums(const struct cw_heap *heap, struct cw_report *report)
{
    static const struct cw_report_column columns[] = {
        {"allocator", "", CW_COLUMN_DATA},
        {"used.count", "", CW_COLUMN_DATA},
        {"used.bytes", "", CW_COLUMN_DATA},
        {"tcache.count", "", CW_COLUMN_DATA},
        {"tcache.bytes", "", CW_COLUMN_DATA},
        {"fastbin.count", "", CW_COLUMN_DATA},
        {"fastbin.bytes", "", CW_COLUMN_DATA},
        {"binned.count", "", CW_COLUMN_DATA},
        {"binned.bytes", "", CW_COLUMN_DATA},
        {"top.count", "", CW_COLUMN_DATA},
        {"top.bytes", "", CW_COLUMN_DATA},
        {"mmapped.count", "", CW_COLUMN_DATA},
        {"mmapped.bytes", "", CW_COLUMN_DATA},
        {"unknown.count", "", CW_COLUMN_DATA},
        {"unknown.bytes", "", CW_COLUMN_DATA},
        {"overhead_bytes", "", CW_COLUMN_DATA},
        {"system_bytes", "", CW_COLUMN_DATA},
    };
    static const enum cw_chunk_state states[] = {CW_CHUNK_USED,
                                                 CW_CHUNK_TCACHE,
                                                 CW_CHUNK_FASTBIN,
                                                 CW_CHUNK_BINNED,
                                                 CW_CHUNK_TOP,
                                                 CW_CHUNK_MMAPPED,
                                                 CW_CHUNK_UNKNOWN};
    struct cw_cell cells[sizeof columns / sizeof columns[0]];
    size_t cell = 0;
    cells[cell++] = cw_cell_text(heap->allocator);
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        const struct cw_tally *tally = &heap->by_state[states[i]];
        bool is_absent = states[i] == CW_CHUNK_UNKNOWN && tally->count == 0;
        cells[cell++] = is_absent ? cw_cell_absent() : cw_cell_count(tally->count);
        cells[cell++] = is_absent ? cw_cell_absent() : cw_cell_bytes(tally->bytes);
    }
    uint64_t gap_bytes;
    uint64_t system_bytes;
    sum_arenas(heap, &gap_bytes, &system_bytes);
    cells[cell++] = cw_cell_bytes(heap->by_state[CW_CHUNK_INTERNAL].bytes + gap_bytes);
    cells[cell++] = cw_cell_bytes(system_bytes);
    struct cw_report_section *section =
        cw_report_add(report, CW_SECTION_FIELDS, "heap", NULL, COLUMNS(columns));
    cw_report_add_row(report, section, cells);
}

struct cw_report_section *cw_section_arenas(const struct cw_heap *heap,
                                            size_t row_limit,
                                            struct cw_report *report)
{
    static const struct cw_report_column columns[] = {
        {"system_bytes", "system", 0},
        {"used.bytes", "used", 0},
        {"used.count", "chunks", 0},
        {"", "free", CW_COLUMN_HUMAN},
        {"tcache.bytes", "", CW_COLUMN_DATA},
        {"tcache.count", "", CW_COLUMN_DATA},
        {"fastbin.bytes", "", CW_COLUMN_DATA},
        {"fastbin.count", "", CW_COLUMN_DATA},
        {"binned.bytes", "", CW_COLUMN_DATA},
        {"binned.count", "", CW_COLUMN_DATA},
        {"top_bytes", "top", 0},
        {"heap_count", "heaps", 0},
        {"kind", "arena", 0},
        {"address", "at", 0},
    };
    struct cw_report_section *section =
        cw_report_add(report, CW_SECTION_TABLE, "heap.arenas", "Arenas", COLUMNS(columns));
    section->empty_text = "No arena was found.";
    section->shown_row_limit = row_limit;
    for (uint32_t i = 0; i < heap->arena_count; i++) {
        const struct cw_heap_arena *arena = &heap->arenas[i];
        const struct cw_tally *tallies = arena->by_state;
        cw_report_add_row(
            report,
            section,
            (struct cw_cell[]){
                cw_cell_bytes(arena->system_bytes),
                cw_cell_bytes(tallies[CW_CHUNK_USED].bytes),
                cw_cell_count(tallies[CW_CHUNK_USED].count),
                cw_cell_bytes(tallies[CW_CHUNK_TCACHE].bytes + tallies[CW_CHUNK_FASTBIN].bytes +
                              tallies[CW_CHUNK_BINNED].bytes),
                cw_cell_bytes(tallies[CW_CHUNK_TCACHE].bytes),
                cw_cell_count(tallies[CW_CHUNK_TCACHE].count),
                cw_cell_bytes(tallies[CW_CHUNK_FASTBIN].bytes),
                cw_cell_count(tallies[CW_CHUNK_FASTBIN].count),
                cw_cell_bytes(tallies[CW_CHUNK_BINNED].bytes),
                cw_cell_count(tallies[CW_CHUNK_BINNED].count),
                cw_cell_bytes(tallies[CW_CHUNK_TOP].bytes),
                cw_cell_count(arena->heap_count),
                cw_cell_text(arena->kind == CW_ARENA_MAIN ? "main" : "thread"),
                cw_cell_address(arena->address),
            });
    }
    return section;
}

void cw_section_heap(const struct cw_analysis_input *input, struct cw_report *report)
{
    if (input->heap != NULL && input->heap->allocator != NULL) {
        add_heap_sums(input->heap, report);
        cw_section_arenas(input->heap, PAGE_ARENAS, report)->hidden = input->heap->arena_count < 2;
    }
}
