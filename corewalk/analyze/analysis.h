/*
 * An analysis answers one question: it takes what the lower layers found and fills a report, or
 * streams rows. analysis_<name>.c and a line in analyses.def; each is a verb of the command line
 * and a command of the debugger plugin.
 */
#pragma once

#include <corewalk/corewalk.h>

#include "classify/classify.h"
#include "report/render.h"
#include "space/stack.h"

/* What an analysis needs done before it runs; each includes those before it. */
enum cw_stage {
    CW_STAGE_IMAGE,
    CW_STAGE_HEAP,
    CW_STAGE_CLASSIFY,
};

/* What the time goes into; a session does each once, but for the report. */
enum cw_phase {
    CW_PHASE_TARGET,
    CW_PHASE_IMAGE,
    CW_PHASE_HEAP,
    CW_PHASE_CLASSIFY,
    CW_PHASE_REPORT, /* up to its rendering */
    CW_PHASE_COUNT,
};

/* Everything known about the target. Parts of stages that did not run are zeroed. */
struct cw_analysis_input {
    const struct cw_target *target;
    const struct cw_space *space;
    const struct cw_image *image;
    const struct cw_stack *stacks; /* sorted by start */
    size_t stack_count;
    const struct cw_heap *heap;
    const struct cw_classification *classification;
    const struct cw_notes *coverage;
    const struct cw_notes *findings;
    const double *phase_seconds; /* CW_PHASE_COUNT of them; 0 where a phase did not run */
    const struct corewalk_request *request; /* already checked against the verb's options */
    const struct cw_progress *progress;     /* for long streams; may be NULL */
    struct cw_pool *pool;
    struct cw_arena *memory; /* for what the report borrows; lives with the report */
};

struct cw_analysis {
    struct corewalk_verb verb;
    enum cw_stage stage;
    bool takes_partial_input; /* also works when a stage was interrupted: its parts are NULL */
    /* Exactly one of the two is set. */
    enum cw_status (*report)(const struct cw_analysis_input *input,
                             struct cw_report *report,
                             struct cw_error *err);
    enum cw_status (*stream)(const struct cw_analysis_input *input,
                             const struct cw_renderer *renderer,
                             const struct cw_style *style,
                             const struct cw_writer *writer,
                             struct cw_error *err);
};

/* NULL when no verb has this name. */
const struct cw_analysis *cw_analysis_named(const char *name);

/* All of them, in the order of analyses.def. */
const struct cw_analysis *const *cw_analyses(size_t *ret_count);
