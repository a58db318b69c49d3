/* base/arena: many small things of one lifetime, under a budget. */
#include <string.h>

#include "base/arena.h"
#include "support/unit.h"

static void memory_is_zeroed_aligned_and_apart(void)
{
    struct cw_budget budget;
    struct cw_arena arena;
    cw_budget_init(&budget, UINT64_MAX);
    cw_arena_init(&arena, &budget);
    char *previous = NULL;
    for (size_t i = 0; i < 2000; i++) {
        size_t size = i % 100 + 1;
        char *place = cw_arena_alloc(&arena, size);
        CU_ASSERT_PTR_NOT_NULL(place);
        if (place == NULL) {
            break;
        }
        CU_ASSERT_EQUAL((uintptr_t)place % 16, 0);
        CU_ASSERT_EQUAL(place[0] | place[size - 1], 0);
        CU_ASSERT_PTR_NOT_EQUAL(place, previous);
        memset(place, 0xff, size);
        previous = place;
    }
    cw_arena_deinit(&arena);
    CU_ASSERT_EQUAL(budget.used_bytes, 0);
}

static void one_thing_larger_than_any_block_fits(void)
{
    struct cw_budget budget;
    struct cw_arena arena;
    cw_budget_init(&budget, UINT64_MAX);
    cw_arena_init(&arena, &budget);
    char *large = cw_arena_alloc(&arena, 5 << 20);
    CU_ASSERT_PTR_NOT_NULL(large);
    if (large != NULL) {
        large[(5 << 20) - 1] = 1;
    }
    CU_ASSERT_PTR_NOT_NULL(cw_arena_alloc(&arena, 1));
    cw_arena_deinit(&arena);
    CU_ASSERT_EQUAL(budget.used_bytes, 0);
}

static void the_budget_and_absurd_sizes_are_refused(void)
{
    struct cw_budget budget;
    struct cw_arena arena;
    cw_budget_init(&budget, 10000);
    cw_arena_init(&arena, &budget);
    CU_ASSERT_PTR_NULL(cw_arena_alloc(&arena, 20000));
    CU_ASSERT_PTR_NULL(cw_arena_alloc(&arena, SIZE_MAX));
    CU_ASSERT_PTR_NULL(cw_arena_alloc(&arena, SIZE_MAX / 2 + 1));
    CU_ASSERT_PTR_NULL(cw_arena_alloc_array(&arena, SIZE_MAX / 8, 16));
    CU_ASSERT_PTR_NULL(cw_arena_strndup(&arena, "", SIZE_MAX));
    CU_ASSERT_EQUAL(budget.used_bytes, 0);
    CU_ASSERT_PTR_NOT_NULL(cw_arena_alloc_array(&arena, 10, 16));
    cw_arena_deinit(&arena);
}

static void texts_are_copied_and_formatted(void)
{
    struct cw_budget budget;
    struct cw_arena arena;
    cw_budget_init(&budget, UINT64_MAX);
    cw_arena_init(&arena, &budget);
    CU_ASSERT_STRING_EQUAL(cw_arena_strdup(&arena, "whole"), "whole");
    CU_ASSERT_STRING_EQUAL(cw_arena_strndup(&arena, "whole", 2), "wh");
    CU_ASSERT_STRING_EQUAL(cw_arena_printf(&arena, "%s=%d", "x", 42), "x=42");
    cw_arena_deinit(&arena);
}

CW_TEST_MAIN("base/arena",
             CW_TEST(memory_is_zeroed_aligned_and_apart),
             CW_TEST(one_thing_larger_than_any_block_fits),
             CW_TEST(the_budget_and_absurd_sizes_are_refused),
             CW_TEST(texts_are_copied_and_formatted))
