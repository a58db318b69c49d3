/* --fail-if: limits that a caller sets, and whether a target has passed one. */
#pragma once

#include "analyze/analysis.h"

extern const char *const cw_fail_if_choices[];

/* The option, for a verb's list. */
#define CW_FAIL_IF_OPTION                                                                     \
    {                                                                                         \
        "fail-if", "exit with status 3 when there are findings (not those of severity info)", \
            "WHAT", COREWALK_VALUE_CHOICE, cw_fail_if_choices                                 \
    }

/* What findings say, by what it means for the heap. */
struct cw_damage_tally {
    uint64_t damage_count;   /* places, certain or likely; also those that were only counted */
    uint64_t misuse_count;   /* the C library ended the process, which is no damage in itself */
    uint64_t doubt_count;    /* contradictions about how the heap is to be read */
    uint64_t harmless_count; /* of severity info */
};

struct cw_damage_tally cw_damage_count(const struct cw_notes *findings);

/* Has a limit of the request been passed? Damage and misuse do. */
bool cw_fail_if_passed(const struct cw_analysis_input *input);
