/* The registry of analyses, made from analyses.def. */
#include <string.h>

#include "analyze/analysis.h"

#define CW_ANALYSIS(name) extern const struct cw_analysis cw_analysis_##name;
#include "analyze/analyses.def"
#undef CW_ANALYSIS

static const struct cw_analysis *const analyses[] = {
#define CW_ANALYSIS(name) &cw_analysis_##name,
#include "analyze/analyses.def"
#undef CW_ANALYSIS
};

const struct cw_analysis *const *cw_analyses(size_t *ret_count)
{
    *ret_count = sizeof analyses / sizeof analyses[0];
    return analyses;
}

const struct cw_analysis *cw_analysis_named(const char *name)
{
    for (size_t i = 0; i < sizeof analyses / sizeof analyses[0]; i++) {
        if (strcmp(analyses[i]->verb.name, name) == 0) {
            return analyses[i];
        }
    }
    return NULL;
}
