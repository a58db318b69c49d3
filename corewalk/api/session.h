/* The session: owner of everything, advanced stage by stage as verbs need it. */
#pragma once

#include "analyze/analysis.h"

struct corewalk_session {
    struct cw_budget budget;
    struct cw_arena memory; /* of target, space, image and notes */
    struct cw_arena heap_memory;
    struct cw_arena classify_memory;
    struct cw_progress progress;
    struct cw_pool *pool;
    struct cw_target target;
    struct cw_notes coverage;
    struct cw_notes findings;
    struct cw_space space;
    struct cw_image image;
    struct cw_stack *stacks;
    size_t stack_count;
    struct cw_heap heap;
    struct cw_classification classification;
    double phase_seconds[CW_PHASE_COUNT];
    char missing[400]; /* corewalk_outcome.missing of the last run */
    bool has_heap;
    bool has_classification;
    int (*caller_progress)(void *context, const char *phase, uint64_t done, uint64_t total);
    void *caller_context;
};

/*
 * Runs the stages up to `stage` that have not run yet. On failure those before it stay done, and
 * the failed one may be tried again.
 */
enum cw_status cw_session_advance(struct corewalk_session *session,
                                  enum cw_stage stage,
                                  struct cw_error *err);

/* Options of an older caller are shorter: what they lack is zero. `options` may be NULL. */
struct corewalk_options cw_session_options(const struct corewalk_options *options);

/* A session without a target; NULL when there is no memory. */
struct corewalk_session *cw_session_allocate(const struct corewalk_options *options,
                                             struct cw_error *err);

/*
 * The end of every corewalk_open_…: with *err set by opening the target, or when preparing it
 * fails, closes the session and exports the error.
 */
int cw_session_finish_open(struct corewalk_session *session,
                           const struct corewalk_options *options,
                           struct cw_error *err,
                           struct corewalk_session **ret_session,
                           struct corewalk_error *error);
