/* base/column: large arrays straight from the system. */
#include "base/column.h"
#include "support/unit.h"

static void is_zeroed_charged_and_given_back(void)
{
    struct cw_budget budget;
    struct cw_column column;
    cw_budget_init(&budget, 1 << 20);
    CU_ASSERT_TRUE_FATAL(cw_column_create(&budget, 10000, sizeof(uint32_t), &column));
    uint32_t *values = column.data;
    CU_ASSERT_EQUAL(values[0] | values[9999], 0);
    values[9999] = 1;
    CU_ASSERT_EQUAL(budget.used_bytes, column.size_bytes);
    CU_ASSERT_TRUE(column.size_bytes >= 40000);
    cw_column_destroy(&column);
    CU_ASSERT_EQUAL(budget.used_bytes, 0);
    cw_column_destroy(&column);
}

static void refuses_what_does_not_fit(void)
{
    struct cw_budget budget;
    struct cw_column column = {.size_bytes = 77};
    cw_budget_init(&budget, 1 << 20);
    CU_ASSERT_FALSE(cw_column_create(&budget, (1 << 20) + 1, 1, &column));
    CU_ASSERT_FALSE(cw_column_create(&budget, UINT64_MAX / 2, 4, &column));
    CU_ASSERT_FALSE(cw_column_create(&budget, UINT64_MAX, 1, &column));
    budget.limit_bytes = UINT64_MAX;
    CU_ASSERT_FALSE(cw_column_create(&budget, (uint64_t)1 << 60, 1, &column));
    CU_ASSERT_EQUAL(column.size_bytes, 77);
    CU_ASSERT_EQUAL(budget.used_bytes, 0);
}

static void no_items_are_legal(void)
{
    struct cw_budget budget;
    struct cw_column column;
    cw_budget_init(&budget, 0);
    CU_ASSERT_TRUE(cw_column_create(&budget, 0, 8, &column));
    CU_ASSERT_PTR_NULL(column.data);
    cw_column_destroy(&column);
}

CW_TEST_MAIN("base/column",
             CW_TEST(is_zeroed_charged_and_given_back),
             CW_TEST(refuses_what_does_not_fit),
             CW_TEST(no_items_are_legal))
