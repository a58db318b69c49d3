/* classify/module_filter: agrees with a plain search, also where modules overlap or are huge. */
#include "unit/classify/fixture.h"

static void assert_agrees(const struct cw_module *modules, size_t count, cw_addr address)
{
    struct cw_budget budget;
    struct cw_arena arena;
    struct cw_image image = {.modules = (struct cw_module *)modules, .module_count = count};
    static struct cw_module_filter filter;
    bool expected = false;
    cw_budget_init(&budget, UINT64_MAX);
    cw_arena_init(&arena, &budget);
    for (size_t i = 0; i < count; i++) {
        expected |= cw_range_has(modules[i].start, modules[i].size_bytes, address);
    }
    CU_ASSERT_TRUE_FATAL(cw_module_filter_init(&filter, &image, 8, &arena));
    CU_ASSERT_EQUAL(cw_module_filter_has(&filter, address), expected);
    CU_ASSERT_FALSE(cw_module_filter_has(&filter, address + 4));
    cw_arena_deinit(&arena);
}

static void finds_edges_of_modules(void)
{
    static const struct cw_module modules[] = {
        {.start = 0x400000, .size_bytes = 0x10000},
        {.start = 0x550000000000, .size_bytes = 0x123458},
        {.start = 0x550000100000, .size_bytes = 0x1000},
        {.start = 0x550000100800, .size_bytes = 0x100000},
        {.start = 0x7f0000000000, .size_bytes = 0},
        {.start = 0x7f8000000000, .size_bytes = 8},
    };
    static const cw_addr addresses[] = {
        0,
        0x3ffff8,
        0x400000,
        0x40fff8,
        0x410000,
        0x550000000000,
        0x550000123450,
        0x550000123458,
        0x5500002007f8,
        0x550000200800,
        0x7f0000000000,
        0x7f8000000000,
        0x7f8000000008,
        0xfffffffffffffff8,
    };
    for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++) {
        assert_agrees(modules, sizeof modules / sizeof modules[0], addresses[i]);
    }
}

static void survives_modules_as_large_as_memory(void)
{
    static const struct cw_module modules[] = {
        {.start = 0x1000, .size_bytes = 1ULL << 46},
        {.start = 1ULL << 63, .size_bytes = UINT64_MAX},
    };
    assert_agrees(modules, 2, 0x12345678);
    assert_agrees(modules, 2, 1ULL << 50);
    struct cw_module many[3000];
    for (size_t i = 0; i < 3000; i++) {
        many[i] = (struct cw_module){.start = i << 32, .size_bytes = 0x1000000};
    }
    assert_agrees(many, 3000, (2999ULL << 32) + 0x800000);
    assert_agrees(many, 3000, (2999ULL << 32) + 0x1000000);
}

static void needs_memory_for_its_ranges(void)
{
    static struct cw_module_filter filter;
    struct cw_module module = {.start = 0x1000, .size_bytes = 0x1000};
    struct cw_image image = {.modules = &module, .module_count = 1};
    struct cw_budget budget;
    struct cw_arena arena;
    cw_budget_init(&budget, 10);
    cw_arena_init(&arena, &budget);
    CU_ASSERT_FALSE(cw_module_filter_init(&filter, &image, 8, &arena));
    cw_arena_deinit(&arena);
}

CW_TEST_MAIN("classify/module_filter",
             CW_TEST(finds_edges_of_modules),
             CW_TEST(survives_modules_as_large_as_memory),
             CW_TEST(needs_memory_for_its_ranges))
