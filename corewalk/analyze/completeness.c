/* What is missing, from the space and the coverage notes. */
#include "analyze/completeness.h"

#include <string.h>

uint64_t cw_missing_bytes(const struct cw_analysis_input *input)
{
    uint64_t missing = 0;
    for (size_t i = 0; i < input->space->region_count; i++) {
        const struct cw_region *region = &input->space->regions[i];
        if (region->provenance == CW_TRUNCATED ||
            (region->provenance == CW_NOT_DUMPED && cw_region_is_writable(region))) {
            missing += region->size_bytes;
        }
    }
    return missing;
}

bool cw_is_complete(const struct cw_analysis_input *input)
{
    for (size_t i = 0; i < input->coverage->items.count; i++) {
        const struct cw_note *note = cw_note_at(input->coverage, i);
        if (note->severity >= CW_WARNING && strncmp(note->code, "core-", strlen("core-")) == 0) {
            return false;
        }
    }
    return cw_missing_bytes(input) == 0;
}
