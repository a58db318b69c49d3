/*
 * The ledger: every writable byte of the process has exactly one owner, and the rows sum to the
 * total. Chunks own what they span; then the allocator's ranges, thread stacks, module data and
 * mapped files; what is left is anonymous memory of unknown purpose.
 */
#pragma once

#include "analyze/analysis.h"

struct cw_ledger_row {
    const char *owner;     /* stable, for machines: "heap-used", "stack", "module" … */
    const char *label;     /* for people; escaped */
    struct cw_tally total; /* count: chunks, stacks, mappings */
    uint64_t zero_bytes;   /* of all-zero pages; not counted in the heap */
};

/* Anonymous memory of unknown purpose, none of it missing. */
struct cw_ledger_mapping {
    cw_addr start;
    uint64_t size_bytes;
    uint64_t zero_bytes;
};

#define CW_LEDGER_MAPPINGS 5

struct cw_ledger {
    uint64_t total_bytes;       /* of all writable memory */
    uint64_t missing_bytes;     /* of that, what the target does not hold */
    uint64_t zero_bytes;        /* of that, all-zero pages outside the heap */
    struct cw_ledger_row *rows; /* by bytes descending, then owner, then label */
    size_t row_count;
    struct cw_ledger_mapping mappings[CW_LEDGER_MAPPINGS]; /* the largest, by bytes descending */
    size_t mapping_count;
};

/* `input->heap` may be NULL: the walk did not happen. Everything lives in `input->memory`. */
enum cw_status cw_ledger_create(const struct cw_analysis_input *input,
                                struct cw_ledger *ret_ledger,
                                struct cw_error *err);

/* Sum of the rows of one owner. */
uint64_t cw_ledger_bytes_of(const struct cw_ledger *ledger, const char *owner);
