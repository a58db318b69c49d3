/*
 * The session's byte budget (--max-memory). Everything that grows with the input draws on it;
 * whoever takes gives back the same number. Safe from several threads.
 */
#pragma once

#include <stdatomic.h>

#include "base/types.h"

struct cw_budget {
    uint64_t limit_bytes; /* UINT64_MAX: no limit */
    _Atomic uint64_t used_bytes;
    _Atomic uint64_t peak_bytes;
};

void cw_budget_init(struct cw_budget *budget, uint64_t limit_bytes);

/* False, and nothing taken, when the limit would be passed. */
bool cw_budget_take(struct cw_budget *budget, uint64_t bytes);

void cw_budget_give(struct cw_budget *budget, uint64_t bytes);
