/* --fail-if: what counts, and where it does. */
#include "analyze/fail_if.h"

#include <string.h>

#include "analyze/request.h"
#include "heap/damage.h"

const char *const cw_fail_if_choices[] = {"findings", NULL};

struct cw_damage_tally cw_damage_count(const struct cw_notes *findings)
{
    const char *said = cw_damage_kind_of(CW_DAMAGE_LIBC_ABORT)->code;
    const char *sum = cw_damage_kind_of(CW_DAMAGE_ARENA_SUM)->code;
    struct cw_damage_tally tally = {.damage_count = findings->dropped_count};
    for (size_t i = 0; i < findings->items.count; i++) {
        const struct cw_note *note = cw_note_at(findings, i);
        if (note->severity == CW_INFO) {
            /* Of memory that was not found, coverage tells. */
            tally.harmless_count += strcmp(note->code, sum) != 0 ? 1 : 0;
        } else if (cw_damage_kind(note->code) == NULL) {
            tally.doubt_count++;
        } else if (strcmp(note->code, said) == 0) {
            tally.misuse_count++;
        } else {
            tally.damage_count += 1 + note->more_count;
        }
    }
    return tally;
}

bool cw_fail_if_passed(const struct cw_analysis_input *input)
{
    const char *limit = cw_request_setting(input->request, "fail-if");
    struct cw_damage_tally tally = cw_damage_count(input->findings);
    return limit != NULL && strcmp(limit, "findings") == 0 &&
           tally.damage_count + tally.misuse_count > 0;
}
