/* Sections "populations" and "naming". */
#include <inttypes.h>

#include "analyze/sections.h"
#include "base/text.h"

/* The page shows between so many kinds, the smaller ones only from 1/200 of what is held on. */
enum { PAGE_LEAST_ROWS = 5, PAGE_MOST_ROWS = 10, PAGE_LEAST_SHARE = 200 };

#define COLUMNS(array) array, sizeof(array) / sizeof(array)[0]

static void add_population(struct cw_report *report,
                           struct cw_report_section *section,
                           const struct cw_population *population,
                           uint64_t held_bytes,
                           size_t id)
{
    /* Of a size there is nothing to be sure or unsure of. */
    const char *how = population->kind == CW_POPULATION_SIZE
                          ? population->evidence
                          : cw_report_printf(report,
                                             "%s (%s)",
                                             population->evidence,
                                             cw_confidence_name(population->confidence));
    cw_report_add_row(report,
                      section,
                      (struct cw_cell[]){
                          cw_cell_bytes(population->total.bytes),
                          cw_cell_share(population->total.bytes, held_bytes),
                          cw_cell_count(population->total.count),
                          cw_cell_bytes(population->total.bytes / population->total.count),
                          cw_cell_text(population->name),
                          cw_cell_text(how),
                          cw_cell_count(id),
                          cw_cell_text(cw_population_kind_name(population->kind)),
                          cw_cell_text(cw_confidence_name(population->confidence)),
                          cw_cell_text(population->evidence),
                          cw_cell_bytes(population->smallest_bytes),
                          cw_cell_bytes(population->largest_bytes),
                          cw_cell_addresses(population->samples, population->sample_count),
                      });
}

/* How much of what the program holds could be named, and how much only has a size. */
static void add_naming(const struct cw_classification *classification, struct cw_report *report)
{
    static const struct cw_report_column columns[] = {
        {"named_bytes", "", CW_COLUMN_DATA},
        {"shaped_bytes", "", CW_COLUMN_DATA},
        {"unnamed_bytes", "", CW_COLUMN_DATA},
    };
    uint64_t named = 0;
    uint64_t shaped = 0;
    uint64_t unnamed = 0;
    for (uint32_t i = 0; i < classification->population_count; i++) {
        const struct cw_population *population = &classification->populations[i];
        uint64_t bytes = population->total.bytes;
        switch (population->kind) {
        case CW_POPULATION_SIZE:
            unnamed += bytes;
            break;
        case CW_POPULATION_SHAPE:
            shaped += bytes;
            break;
        default:
            named += bytes;
        }
    }
    struct cw_report_section *section =
        cw_report_add(report, CW_SECTION_FIELDS, "naming", NULL, COLUMNS(columns));
    cw_report_add_row(
        report,
        section,
        (struct cw_cell[]){cw_cell_bytes(named), cw_cell_bytes(shaped), cw_cell_bytes(unnamed)});
}

/* Says what the rows that people do not see amount to. */
static const char *rest_text(const struct cw_classification *classification,
                             size_t shown_count,
                             uint64_t held_bytes,
                             struct cw_report *report)
{
    size_t rest_count = classification->population_count - shown_count;
    uint64_t rest_bytes = 0;
    char size[CW_SIZE_TEXT];
    for (size_t i = shown_count; i < classification->population_count; i++) {
        rest_bytes += classification->populations[i].total.bytes;
    }
    double percent = 100 * (double)rest_bytes / (double)held_bytes;
    const char *share = percent < 0.1 ? "<0.1 %" : cw_report_printf(report, "%.1f %%", percent);
    return cw_report_printf(report,
                            "%zu more kind%s: %s, %s.",
                            rest_count,
                            rest_count == 1 ? "" : "s",
                            cw_text_size(rest_bytes, size),
                            share);
}

size_t cw_page_population_count(const struct cw_analysis_input *input)
{
    const struct cw_classification *classification = input->classification;
    if (classification == NULL) {
        return 0;
    }
    uint64_t least_bytes = cw_heap_held(input->heap).bytes / PAGE_LEAST_SHARE;
    size_t count = 0;
    while (count < classification->population_count && count < PAGE_MOST_ROWS &&
           (count < PAGE_LEAST_ROWS ||
            classification->populations[count].total.bytes >= least_bytes)) {
        count++;
    }
    return count;
}

struct cw_report_section *cw_section_populations(const struct cw_analysis_input *input,
                                                 size_t row_limit,
                                                 struct cw_report *report)
{
    static const struct cw_report_column columns[] = {
        {"bytes", "bytes", 0},
        {"", "share", CW_COLUMN_HUMAN},
        {"count", "count", 0},
        {"", "average", CW_COLUMN_HUMAN},
        {"name", "name", CW_COLUMN_CUT},
        {"", "evidence", CW_COLUMN_HUMAN | CW_COLUMN_WRAP},
        {"id", "", CW_COLUMN_DATA},
        {"kind", "", CW_COLUMN_DATA},
        {"confidence", "", CW_COLUMN_DATA},
        {"evidence", "", CW_COLUMN_DATA},
        {"smallest_bytes", "", CW_COLUMN_DATA},
        {"largest_bytes", "", CW_COLUMN_DATA},
        {"samples", "", CW_COLUMN_DATA},
    };
    const struct cw_classification *classification = input->classification;
    if (classification == NULL) {
        return NULL;
    }
    char size[CW_SIZE_TEXT];
    char count[CW_COUNT_TEXT];
    struct cw_tally held = cw_heap_held(input->heap);
    struct cw_report_section *section =
        cw_report_add(report, CW_SECTION_TABLE, "populations", NULL, COLUMNS(columns));
    section->title = input->heap->allocator == NULL
                         ? "What fills the heap"
                         : cw_report_printf(report,
                                            "What fills the heap: %s held in %s chunks",
                                            cw_text_size(held.bytes, size),
                                            cw_text_count(held.count, count));
    section->empty_text = cw_section_no_chunk(input->heap);
    section->shown_row_limit = row_limit;
    for (uint32_t i = 0; i < classification->population_count; i++) {
        add_population(report, section, &classification->populations[i], held.bytes, (size_t)i + 1);
    }
    if (cw_report_shown_row_count(section) < classification->population_count) {
        section->note =
            rest_text(classification, cw_report_shown_row_count(section), held.bytes, report);
    }
    add_naming(classification, report);
    return section;
}
