/* base/vector: the growing array. */
#include "base/vector.h"
#include "support/unit.h"

static int compare_u32(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a;
    uint32_t right = *(const uint32_t *)b;
    return (left > right) - (left < right);
}

static void grows_keeps_and_sorts(void)
{
    struct cw_budget budget;
    struct cw_vector vector;
    cw_budget_init(&budget, UINT64_MAX);
    cw_vector_init(&vector, &budget, sizeof(uint32_t));
    cw_vector_sort(&vector, compare_u32);
    for (uint32_t i = 0; i < 1000; i++) {
        uint32_t value = i * 7919 % 1000;
        CU_ASSERT_TRUE(cw_vector_append(&vector, &value));
    }
    CU_ASSERT_EQUAL(*(uint32_t *)cw_vector_at(&vector, 1), 919);
    cw_vector_sort(&vector, compare_u32);
    for (uint32_t i = 0; i < 1000; i++) {
        CU_ASSERT_EQUAL(*(uint32_t *)cw_vector_at(&vector, i), i);
    }
    cw_vector_deinit(&vector);
    CU_ASSERT_EQUAL(budget.used_bytes, 0);
    CU_ASSERT_EQUAL(vector.count, 0);
}

static void a_pushed_item_is_zeroed(void)
{
    struct cw_budget budget;
    struct cw_vector vector;
    cw_budget_init(&budget, UINT64_MAX);
    cw_vector_init(&vector, &budget, sizeof(uint64_t));
    uint64_t *item = cw_vector_push(&vector);
    *item = 5;
    vector.count = 0;
    item = cw_vector_push(&vector);
    CU_ASSERT_EQUAL(*item, 0);
    cw_vector_deinit(&vector);
}

static void the_budget_stops_it_without_losing_anything(void)
{
    struct cw_budget budget;
    struct cw_vector vector;
    cw_budget_init(&budget, 32 * sizeof(uint32_t));
    cw_vector_init(&vector, &budget, sizeof(uint32_t));
    uint32_t count = 0;
    while (cw_vector_append(&vector, &count)) {
        count++;
    }
    CU_ASSERT_EQUAL(count, 32);
    CU_ASSERT_EQUAL(vector.count, 32);
    CU_ASSERT_EQUAL(*(uint32_t *)cw_vector_at(&vector, 31), 31);
    cw_vector_deinit(&vector);
    CU_ASSERT_EQUAL(budget.used_bytes, 0);
}

CW_TEST_MAIN("base/vector",
             CW_TEST(grows_keeps_and_sorts),
             CW_TEST(a_pushed_item_is_zeroed),
             CW_TEST(the_budget_stops_it_without_losing_anything))
