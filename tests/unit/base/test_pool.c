/* base/pool: every task once, workers apart. */
#include <stdatomic.h>

#include "base/pool.h"
#include "support/unit.h"

enum { TASK_COUNT = 5000 };

struct tally {
    _Atomic unsigned seen[TASK_COUNT];
    _Atomic bool inside[64];
    _Atomic unsigned clash_count;
};

static void count_task(void *context, unsigned worker, size_t task)
{
    struct tally *tally = context;
    if (atomic_exchange(&tally->inside[worker], true)) {
        tally->clash_count++;
    }
    tally->seen[task]++;
    tally->inside[worker] = false;
}

static void check_runs(unsigned thread_count)
{
    static struct tally tally;
    struct cw_pool *pool;
    CU_ASSERT_EQUAL_FATAL(cw_pool_create(thread_count, &pool, NULL), CW_OK);
    CU_ASSERT_TRUE(cw_pool_threads(pool) >= 1);
    tally = (struct tally){0};
    for (unsigned run = 1; run <= 3; run++) {
        cw_pool_run(pool, count_task, &tally, TASK_COUNT);
        bool is_once = true;
        for (size_t i = 0; i < TASK_COUNT; i++) {
            is_once = is_once && tally.seen[i] == run;
        }
        CU_ASSERT_TRUE(is_once);
    }
    CU_ASSERT_EQUAL(tally.clash_count, 0);
    cw_pool_run(pool, count_task, &tally, 0);
    cw_pool_destroy(pool);
}

static void each_task_runs_once(void)
{
    check_runs(1);
    check_runs(4);
    check_runs(0);
}

struct order {
    size_t next;
    bool is_kept;
};

static void follow_order(void *context, unsigned worker, size_t task)
{
    struct order *order = context;
    order->is_kept = order->is_kept && worker == 0 && task == order->next;
    order->next++;
}

static void one_thread_keeps_the_order(void)
{
    struct cw_pool *pool;
    struct order order = {.is_kept = true};
    CU_ASSERT_EQUAL_FATAL(cw_pool_create(1, &pool, NULL), CW_OK);
    CU_ASSERT_EQUAL(cw_pool_threads(pool), 1);
    cw_pool_run(pool, follow_order, &order, 100);
    CU_ASSERT_TRUE(order.is_kept);
    CU_ASSERT_EQUAL(order.next, 100);
    cw_pool_destroy(pool);
    cw_pool_destroy(NULL);
}

static void the_number_of_threads_is_capped(void)
{
    struct cw_pool *pool;
    CU_ASSERT_EQUAL_FATAL(cw_pool_create(1000, &pool, NULL), CW_OK);
    CU_ASSERT_TRUE(cw_pool_threads(pool) <= 64);
    cw_pool_destroy(pool);
}

CW_TEST_MAIN("base/pool",
             CW_TEST(each_task_runs_once),
             CW_TEST(one_thread_keeps_the_order),
             CW_TEST(the_number_of_threads_is_capped))
