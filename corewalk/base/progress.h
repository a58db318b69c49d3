/*
 * How a long pass tells where it is, and learns that it should stop. The hook may be called from
 * any worker, but never from two at once.
 */
#pragma once

#include "base/error.h"

struct cw_progress {
    /* Returns false to cancel. total may be 0 (unknown). NULL: nobody listens. */
    bool (*report)(void *context, const char *phase, uint64_t done, uint64_t total);
    void *context;
};

/* False once the hook said stop. `progress` may be NULL. */
static inline bool cw_progress_report(const struct cw_progress *progress,
                                      const char *phase,
                                      uint64_t done,
                                      uint64_t total)
{
    return progress == NULL || progress->report == NULL ||
           progress->report(progress->context, phase, done, total);
}
