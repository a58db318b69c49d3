/* base/budget: the session's byte budget. */
#include "base/budget.h"
#include "base/pool.h"
#include "support/unit.h"

static void takes_up_to_the_limit_and_remembers_the_peak(void)
{
    struct cw_budget budget;
    cw_budget_init(&budget, 100);
    CU_ASSERT_TRUE(cw_budget_take(&budget, 60));
    CU_ASSERT_FALSE(cw_budget_take(&budget, 41));
    CU_ASSERT_TRUE(cw_budget_take(&budget, 40));
    cw_budget_give(&budget, 90);
    CU_ASSERT_TRUE(cw_budget_take(&budget, 20));
    CU_ASSERT_EQUAL(budget.used_bytes, 30);
    CU_ASSERT_EQUAL(budget.peak_bytes, 100);
}

static void a_sum_that_wraps_is_refused(void)
{
    struct cw_budget budget;
    cw_budget_init(&budget, UINT64_MAX);
    CU_ASSERT_TRUE(cw_budget_take(&budget, UINT64_MAX));
    CU_ASSERT_FALSE(cw_budget_take(&budget, 1));
    CU_ASSERT_EQUAL(budget.used_bytes, UINT64_MAX);
}

static void take_and_give(void *context, unsigned worker, size_t task)
{
    struct cw_budget *budget = context;
    (void)worker;
    if (cw_budget_take(budget, task % 7 + 1)) {
        cw_budget_give(budget, task % 7 + 1);
    }
}

static void threads_leave_it_balanced(void)
{
    struct cw_budget budget;
    struct cw_pool *pool;
    cw_budget_init(&budget, 8);
    CU_ASSERT_EQUAL_FATAL(cw_pool_create(4, &pool, NULL), CW_OK);
    cw_pool_run(pool, take_and_give, &budget, 20000);
    cw_pool_destroy(pool);
    CU_ASSERT_EQUAL(budget.used_bytes, 0);
    CU_ASSERT_TRUE(budget.peak_bytes <= 8);
}

CW_TEST_MAIN("base/budget",
             CW_TEST(takes_up_to_the_limit_and_remembers_the_peak),
             CW_TEST(a_sum_that_wraps_is_refused),
             CW_TEST(threads_leave_it_balanced))
