/* The byte budget: one atomic counter with a limit and a high-water mark. */
#include "base/budget.h"

#include "base/checked.h"

void cw_budget_init(struct cw_budget *budget, uint64_t limit_bytes)
{
    budget->limit_bytes = limit_bytes;
    atomic_init(&budget->used_bytes, 0);
    atomic_init(&budget->peak_bytes, 0);
}

static void raise_peak(struct cw_budget *budget, uint64_t used)
{
    uint64_t peak = atomic_load_explicit(&budget->peak_bytes, memory_order_relaxed);
    while (used > peak && !atomic_compare_exchange_weak(&budget->peak_bytes, &peak, used)) {
    }
}

bool cw_budget_take(struct cw_budget *budget, uint64_t bytes)
{
    uint64_t used = atomic_load_explicit(&budget->used_bytes, memory_order_relaxed);
    uint64_t sum;
    do {
        if (!cw_add(used, bytes, &sum) || sum > budget->limit_bytes) {
            return false;
        }
    } while (!atomic_compare_exchange_weak(&budget->used_bytes, &used, sum));
    raise_peak(budget, sum);
    return true;
}

void cw_budget_give(struct cw_budget *budget, uint64_t bytes)
{
    atomic_fetch_sub(&budget->used_bytes, bytes);
}
