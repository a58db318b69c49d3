/* base/checked: arithmetic that refuses to wrap, and ranges up to the top of the address space. */
#include "base/checked.h"
#include "support/unit.h"

static void sums_and_products_refuse_to_wrap(void)
{
    uint64_t value = 7;
    CU_ASSERT_TRUE(cw_add(UINT64_MAX - 1, 1, &value));
    CU_ASSERT_EQUAL(value, UINT64_MAX);
    CU_ASSERT_FALSE(cw_add(UINT64_MAX, 1, &value));
    CU_ASSERT_EQUAL(value, UINT64_MAX);
    CU_ASSERT_TRUE(cw_sub(5, 5, &value));
    CU_ASSERT_EQUAL(value, 0);
    CU_ASSERT_FALSE(cw_sub(4, 5, &value));
    CU_ASSERT_TRUE(cw_mul((uint64_t)1 << 32, UINT32_MAX, &value));
    CU_ASSERT_EQUAL(value, (uint64_t)UINT32_MAX << 32);
    CU_ASSERT_FALSE(cw_mul((uint64_t)1 << 32, (uint64_t)1 << 32, &value));
    CU_ASSERT_EQUAL(value, (uint64_t)UINT32_MAX << 32);
}

static void alignment_rounds_and_refuses_the_top(void)
{
    uint64_t value = 7;
    CU_ASSERT_TRUE(cw_align_up(4097, 4096, &value));
    CU_ASSERT_EQUAL(value, 8192);
    CU_ASSERT_TRUE(cw_align_up(0, 16, &value));
    CU_ASSERT_EQUAL(value, 0);
    CU_ASSERT_FALSE(cw_align_up(UINT64_MAX, 16, &value));
    CU_ASSERT_EQUAL(cw_align_down(4097, 4096), 4096);
    CU_ASSERT_TRUE(cw_is_power_of_two(1));
    CU_ASSERT_FALSE(cw_is_power_of_two(0));
    CU_ASSERT_FALSE(cw_is_power_of_two(12));
}

static void ranges_may_end_at_the_top(void)
{
    uint64_t start = UINT64_MAX - 15;
    CU_ASSERT_TRUE(cw_range_holds(start, 16, start, 16));
    CU_ASSERT_TRUE(cw_range_holds(start, 16, UINT64_MAX, 1));
    CU_ASSERT_FALSE(cw_range_holds(start, 16, UINT64_MAX, 2));
    CU_ASSERT_FALSE(cw_range_holds(start, 16, start - 1, 1));
    CU_ASSERT_TRUE(cw_range_has(start, 16, UINT64_MAX));
    CU_ASSERT_FALSE(cw_range_has(start, 15, UINT64_MAX));
    CU_ASSERT_FALSE(cw_range_has(100, 0, 100));
}

static void an_empty_range_lies_where_its_start_does(void)
{
    CU_ASSERT_TRUE(cw_range_holds(10, 5, 15, 0));
    CU_ASSERT_FALSE(cw_range_holds(10, 5, 16, 0));
}

static void smaller_and_larger(void)
{
    CU_ASSERT_EQUAL(cw_min(1, UINT64_MAX), 1);
    CU_ASSERT_EQUAL(cw_max(1, UINT64_MAX), UINT64_MAX);
}

CW_TEST_MAIN("base/checked",
             CW_TEST(sums_and_products_refuse_to_wrap),
             CW_TEST(alignment_rounds_and_refuses_the_top),
             CW_TEST(ranges_may_end_at_the_top),
             CW_TEST(an_empty_range_lies_where_its_start_does),
             CW_TEST(smaller_and_larger))
