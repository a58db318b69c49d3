/* Verb `analyze`: the page. */
#include "analyze/fail_if.h"
#include "analyze/sections.h"

static enum cw_status report_page(const struct cw_analysis_input *input,
                                  struct cw_report *report,
                                  struct cw_error *err)
{
    struct cw_ledger ledger;
    enum cw_status status = cw_ledger_create(input, &ledger, err);
    if (status != CW_OK) {
        return status;
    }
    cw_section_identity(input, report);
    cw_section_target(input, report);
    cw_section_verdict(input, &ledger, report);
    cw_section_ledger(&ledger, report);
    cw_section_mappings(&ledger, report);
    cw_section_heap(input, report);
    struct cw_report_section *populations =
        cw_section_populations(input, cw_page_population_count(input), report);
    if (populations != NULL) {
        populations->hidden = input->heap->allocator == NULL; /* the verdict says so */
    }
    cw_section_findings(input, report);
    cw_section_next(input, report);
    return CW_OK;
}

static const struct corewalk_option options[] = {CW_FAIL_IF_OPTION};

const struct cw_analysis cw_analysis_analyze = {
    .verb =
        {
            .name = "analyze",
            .summary = "the page to read first: where, what, how sure",
            .description =
                "Prints the page to read first and to paste into a bug report: what was read and "
                "what is missing, the verdict, a ledger of all writable memory that sums to the "
                "total, the kinds of blocks that fill the heap with the evidence for each name, "
                "and damage that was found. It holds no memory content.",
            .options = options,
            .option_count = sizeof options / sizeof options[0],
        },
    .stage = CW_STAGE_CLASSIFY,
    .takes_partial_input = true,
    .report = report_page,
};
