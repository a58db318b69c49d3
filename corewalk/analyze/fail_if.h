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

/* Damage that is certain or likely: findings of severity warning or error. */
size_t cw_damage_count(const struct cw_notes *findings);

/* Has a limit of the request been passed? */
bool cw_fail_if_passed(const struct cw_analysis_input *input);
