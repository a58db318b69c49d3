/* base/map: the hash map. */
#include "base/map.h"
#include "support/unit.h"

static bool insert(struct cw_map *map, uint64_t key, uint64_t value)
{
    bool is_new = false;
    uint64_t *place = cw_map_insert(map, key, &is_new);
    bool is_fresh = place != NULL && is_new && *place == 0;
    if (place != NULL) {
        *place = value;
    }
    return is_fresh;
}

static bool holds(const struct cw_map *map, uint64_t key, uint64_t value)
{
    const uint64_t *place = cw_map_find(map, key);
    return place != NULL && *place == value;
}

static void finds_what_was_inserted(void)
{
    struct cw_budget budget;
    struct cw_map map;
    cw_budget_init(&budget, UINT64_MAX);
    cw_map_init(&map, &budget);
    CU_ASSERT_PTR_NULL(cw_map_find(&map, 1));
    for (uint64_t i = 0; i < 10000; i++) {
        CU_ASSERT_TRUE(insert(&map, i << 40, i));
    }
    CU_ASSERT_EQUAL(map.count, 10000);
    for (uint64_t i = 0; i < 10000; i++) {
        CU_ASSERT_TRUE(holds(&map, i << 40, i));
    }
    CU_ASSERT_FALSE(insert(&map, 0, 0));
    CU_ASSERT_PTR_NULL(cw_map_find(&map, 1));
    cw_map_deinit(&map);
    CU_ASSERT_EQUAL(budget.used_bytes, 0);
}

static void a_second_insertion_gives_the_first_value(void)
{
    struct cw_budget budget;
    struct cw_map map;
    cw_budget_init(&budget, UINT64_MAX);
    cw_map_init(&map, &budget);
    CU_ASSERT_TRUE(insert(&map, UINT64_MAX, 5));
    CU_ASSERT_TRUE(insert(&map, 0, 6));
    bool is_new = true;
    CU_ASSERT_PTR_EQUAL(cw_map_insert(&map, UINT64_MAX, &is_new), cw_map_find(&map, UINT64_MAX));
    CU_ASSERT_FALSE(is_new);
    CU_ASSERT_TRUE(holds(&map, UINT64_MAX, 5));
    CU_ASSERT_EQUAL(map.count, 2);
    cw_map_deinit(&map);
}

static void the_budget_stops_it_without_losing_anything(void)
{
    struct cw_budget budget;
    struct cw_map map;
    cw_budget_init(&budget, (uint64_t)64 * 17);
    cw_map_init(&map, &budget);
    uint64_t count = 0;
    while (cw_map_insert(&map, count, NULL) != NULL) {
        count++;
    }
    CU_ASSERT_EQUAL(count, 48);
    CU_ASSERT_PTR_NOT_NULL(cw_map_find(&map, 47));
    CU_ASSERT_PTR_NULL(cw_map_find(&map, 48));
    cw_map_deinit(&map);
    CU_ASSERT_EQUAL(budget.used_bytes, 0);
}

CW_TEST_MAIN("base/map",
             CW_TEST(finds_what_was_inserted),
             CW_TEST(a_second_insertion_gives_the_first_value),
             CW_TEST(the_budget_stops_it_without_losing_anything))
