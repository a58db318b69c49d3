/* Section "timing": what --timing asks for. */
#include "analyze/sections.h"

static const char *const phase_names[CW_PHASE_COUNT] = {
    [CW_PHASE_TARGET] = "target",
    [CW_PHASE_IMAGE] = "image",
    [CW_PHASE_HEAP] = "heap",
    [CW_PHASE_CLASSIFY] = "classify",
    [CW_PHASE_REPORT] = "report",
};

void cw_section_timing(const struct cw_analysis_input *input, struct cw_report *report)
{
    static const struct cw_report_column phase_columns[] = {
        {"name", "phase", 0},
        {"seconds", "time", 0},
    };
    static const struct cw_report_column sum_columns[] = {
        {"peak_memory_bytes", "peak memory", 0},
    };
    struct cw_report_section *phases =
        cw_report_add(report, CW_SECTION_TABLE, "timing.phases", "Timing", phase_columns, 2);
    for (unsigned phase = 0; phase < CW_PHASE_COUNT; phase++) {
        cw_report_add_row(report,
                          phases,
                          (struct cw_cell[]){cw_cell_text(phase_names[phase]),
                                             cw_cell_seconds(input->phase_seconds[phase])});
    }
    struct cw_report_section *sums =
        cw_report_add(report, CW_SECTION_FIELDS, "timing", NULL, sum_columns, 1);
    uint64_t peak_bytes = atomic_load(&input->memory->budget->peak_bytes);
    cw_report_add_row(report, sums, (struct cw_cell[]){cw_cell_bytes(peak_bytes)});
}
