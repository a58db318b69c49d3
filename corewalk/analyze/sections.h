/*
 * The sections that reports are put together from; each is a section_<name>.c. A section whose
 * stage did not run (its input is NULL) adds nothing.
 */
#pragma once

#include "analyze/analysis.h"
#include "analyze/ledger.h"

/* "schema" and "tool": what every JSON report begins with. */
void cw_section_identity(const struct cw_analysis_input *input, struct cw_report *report);

/* "target" and "coverage": what was read, and what is missing. */
void cw_section_target(const struct cw_analysis_input *input, struct cw_report *report);

/* "verdict": the answer in one or two sentences. */
void cw_section_verdict(const struct cw_analysis_input *input,
                        const struct cw_ledger *ledger,
                        struct cw_report *report);

/* "ledger": where the memory is. */
void cw_section_ledger(const struct cw_ledger *ledger, struct cw_report *report);

/* "mappings": the largest anonymous ones, where they matter. */
void cw_section_mappings(const struct cw_ledger *ledger, struct cw_report *report);

/* "heap": the allocator's sums, and its arenas. */
void cw_section_heap(const struct cw_analysis_input *input, struct cw_report *report);

/* "heap.arenas"; people see the first `row_limit` rows (0: all). */
struct cw_report_section *cw_section_arenas(const struct cw_heap *heap,
                                            size_t row_limit,
                                            struct cw_report *report);

/* "populations" and "naming": what fills the heap; people see the first `row_limit` rows (0: all).
 * NULL: they were not classified.
 */
struct cw_report_section *cw_section_populations(const struct cw_analysis_input *input,
                                                 size_t row_limit,
                                                 struct cw_report *report);

/* How many populations the page shows: those that matter. */
size_t cw_page_population_count(const struct cw_analysis_input *input);

/* "findings": corruption. */
void cw_section_findings(const struct cw_analysis_input *input, struct cw_report *report);

/* What to type next; texts are made by cw_section_command. */
void cw_section_next(const struct cw_analysis_input *input, struct cw_report *report);

/* "corewalk VERB ARGUMENTS" with the target's path, quoted for a shell, in its place. */
const char *cw_section_command(const struct cw_analysis_input *input,
                               struct cw_report *report,
                               const char *verb_and_options,
                               const char *argument);

/* "timing": seconds of each phase, and the most memory that was held beside the core. */
void cw_section_timing(const struct cw_analysis_input *input, struct cw_report *report);

/* What a table of chunks says when it is empty: there is none, or nothing that was walked. */
const char *cw_section_no_chunk(const struct cw_heap *heap);

/* Bytes that the program holds: used and mmapped. */
struct cw_tally cw_heap_held(const struct cw_heap *heap);
