/* --fail-if: what counts, and where it does. */
#include "analyze/fail_if.h"

#include <string.h>

#include "analyze/request.h"

const char *const cw_fail_if_choices[] = {"findings", NULL};

size_t cw_damage_count(const struct cw_notes *findings)
{
    return cw_notes_serious(findings) + (size_t)findings->dropped_count;
}

bool cw_fail_if_passed(const struct cw_analysis_input *input)
{
    const char *limit = cw_request_setting(input->request, "fail-if");
    return limit != NULL && strcmp(limit, "findings") == 0 && cw_damage_count(input->findings) > 0;
}
