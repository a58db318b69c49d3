/* target/segments: sorted, without overlap, whatever the input says. */
#include "support/unit.h"
#include "target/segments.h"

struct fixture {
    struct cw_budget budget;
    struct cw_arena arena;
    struct cw_vector raw;
    struct cw_target target;
    uint64_t cut_count;
};

static const uint8_t data[0x10000];

static void set_up(struct fixture *fixture, size_t item_bytes)
{
    *fixture = (struct fixture){0};
    cw_budget_init(&fixture->budget, UINT64_MAX);
    cw_arena_init(&fixture->arena, &fixture->budget);
    cw_vector_init(&fixture->raw, &fixture->budget, item_bytes);
}

static void tear_down(struct fixture *fixture)
{
    cw_vector_deinit(&fixture->raw);
    cw_arena_deinit(&fixture->arena);
    CU_ASSERT_EQUAL(fixture->budget.used_bytes, 0);
}

static void add(struct fixture *fixture, cw_addr start, uint64_t size, uint64_t held)
{
    struct cw_segment segment = {
        .start = start,
        .size_bytes = size,
        .stored_bytes = held,
        .held_bytes = held,
        .data = held > 0 ? data : NULL,
    };
    cw_vector_append(&fixture->raw, &segment);
}

static void normalise(struct fixture *fixture)
{
    CU_ASSERT_EQUAL(
        cw_segments_normalise(
            &fixture->raw, &fixture->arena, &fixture->target, &fixture->cut_count, NULL),
        CW_OK);
}

static void check(const struct fixture *fixture, size_t index, cw_addr start, uint64_t size)
{
    CU_ASSERT_TRUE(index < fixture->target.segment_count);
    if (index < fixture->target.segment_count) {
        CU_ASSERT_EQUAL(fixture->target.segments[index].start, start);
        CU_ASSERT_EQUAL(fixture->target.segments[index].size_bytes, size);
    }
}

static void sorts_by_address(void)
{
    struct fixture fixture;
    set_up(&fixture, sizeof(struct cw_segment));
    add(&fixture, 0x3000, 0x1000, 0);
    add(&fixture, 0x1000, 0x1000, 0x1000);
    add(&fixture, 0x2000, 0x1000, 0);
    normalise(&fixture);
    check(&fixture, 0, 0x1000, 0x1000);
    check(&fixture, 1, 0x2000, 0x1000);
    check(&fixture, 2, 0x3000, 0x1000);
    CU_ASSERT_EQUAL(fixture.cut_count, 0);
    CU_ASSERT_PTR_EQUAL(fixture.target.segments[0].data, data);
    tear_down(&fixture);
}

static void the_later_of_two_that_overlap_is_cut(void)
{
    struct fixture fixture;
    set_up(&fixture, sizeof(struct cw_segment));
    add(&fixture, 0x1000, 0x2000, 0x2000);
    add(&fixture, 0x2800, 0x2000, 0x1800);
    add(&fixture, 0x1800, 0x0800, 0x0800); /* inside the first: nothing is left */
    add(&fixture, 0x3800, 0x1800, 0x0400); /* all that it holds is covered by the second */
    normalise(&fixture);
    CU_ASSERT_EQUAL_FATAL(fixture.target.segment_count, 3);
    check(&fixture, 0, 0x1000, 0x2000);
    check(&fixture, 1, 0x3000, 0x1800);
    CU_ASSERT_PTR_EQUAL(fixture.target.segments[1].data, data + 0x800);
    CU_ASSERT_EQUAL(fixture.target.segments[1].held_bytes, 0x1000);
    check(&fixture, 2, 0x4800, 0x0800);
    CU_ASSERT_EQUAL(fixture.target.segments[2].held_bytes, 0);
    CU_ASSERT_EQUAL(fixture.target.segments[2].stored_bytes, 0);
    CU_ASSERT_PTR_NULL(fixture.target.segments[2].data);
    CU_ASSERT_EQUAL(fixture.cut_count, 3);
    tear_down(&fixture);
}

static void of_repeated_ones_the_first_counts(void)
{
    struct fixture fixture;
    set_up(&fixture, sizeof(struct cw_segment));
    add(&fixture, 0x5000, 0x1000, 0x800);
    add(&fixture, 0x1000, 0x1000, 0x100);
    for (unsigned i = 0; i < 50; i++) {
        add(&fixture, 0x1000, 0x1000, 0x200);
    }
    normalise(&fixture);
    CU_ASSERT_EQUAL_FATAL(fixture.target.segment_count, 2);
    CU_ASSERT_EQUAL(fixture.target.segments[0].held_bytes, 0x100);
    CU_ASSERT_EQUAL(fixture.cut_count, 50);
    tear_down(&fixture);
}

static void the_top_of_the_address_space_is_legal_and_final(void)
{
    struct fixture fixture;
    set_up(&fixture, sizeof(struct cw_segment));
    add(&fixture, UINT64_MAX - 0xfff, 0x1000, 0x1000);
    add(&fixture, UINT64_MAX - 0xff, 0x1000, 0x1000);
    add(&fixture, 0x1000, 0x1000, 0x1000);
    normalise(&fixture);
    CU_ASSERT_EQUAL_FATAL(fixture.target.segment_count, 2);
    check(&fixture, 1, UINT64_MAX - 0xfff, 0x1000);
    CU_ASSERT_EQUAL(fixture.cut_count, 1);
    tear_down(&fixture);
}

static void one_that_wraps_ends_at_the_top(void)
{
    struct fixture fixture;
    set_up(&fixture, sizeof(struct cw_segment));
    add(&fixture, UINT64_MAX - 0xfff, 0x10000, 0x3000);
    add(&fixture, UINT64_MAX - 0x2fff, 0x2fff, 0x2fff);
    normalise(&fixture);
    CU_ASSERT_EQUAL_FATAL(fixture.target.segment_count, 2);
    check(&fixture, 0, UINT64_MAX - 0x2fff, 0x2fff);
    check(&fixture, 1, UINT64_MAX, 1);
    CU_ASSERT_EQUAL(fixture.target.segments[1].held_bytes, 1);
    CU_ASSERT_PTR_EQUAL(fixture.target.segments[1].data, data + 0xfff);
    CU_ASSERT_EQUAL(fixture.cut_count, 1);
    tear_down(&fixture);
}

static void what_is_not_stored_gives_way_to_what_is(void)
{
    struct fixture fixture;
    set_up(&fixture, sizeof(struct cw_segment));
    add(&fixture, 0x1000, (uint64_t)1 << 63, 0x1000);
    add(&fixture, 0x5000, 0x1000, 0x1000);
    add(&fixture, 0x8000, 0x4000, 0);
    add(&fixture, 0x9000, 0x1000, 0); /* knows no more than the one before */
    normalise(&fixture);
    CU_ASSERT_EQUAL_FATAL(fixture.target.segment_count, 3);
    check(&fixture, 0, 0x1000, 0x4000);
    check(&fixture, 1, 0x5000, 0x1000);
    check(&fixture, 2, 0x8000, 0x4000);
    CU_ASSERT_EQUAL(fixture.target.segments[1].held_bytes, 0x1000);
    CU_ASSERT_EQUAL(fixture.cut_count, 2);
    tear_down(&fixture);
}

static void empty_ones_are_left_out(void)
{
    struct fixture fixture;
    set_up(&fixture, sizeof(struct cw_segment));
    add(&fixture, 0x1000, 0, 0);
    add(&fixture, 0, 0, 0);
    normalise(&fixture);
    CU_ASSERT_EQUAL(fixture.target.segment_count, 0);
    CU_ASSERT_EQUAL(fixture.cut_count, 0);
    tear_down(&fixture);
}

static void mappings_without_segments_get_empty_ones(void)
{
    struct fixture fixture;
    struct cw_mapping mappings[] = {
        {0x1000, 0x5000, 0, "a"}, {0x6000, 0x1000, 0, "b"}, {0xa000, 0x1000, 0, "c"}};
    set_up(&fixture, sizeof(struct cw_segment));
    add(&fixture, 0x0800, 0x1000, 0);
    add(&fixture, 0x3000, 0x1000, 0x1000);
    add(&fixture, 0xa000, 0x0800, 0x0100);
    normalise(&fixture);
    fixture.target.mappings = mappings;
    fixture.target.mapping_count = 3;
    CU_ASSERT_EQUAL(cw_segments_fill_from_mappings(&fixture.target, &fixture.arena, NULL), CW_OK);
    CU_ASSERT_EQUAL_FATAL(fixture.target.segment_count, 7);
    check(&fixture, 1, 0x1800, 0x1800);
    check(&fixture, 2, 0x3000, 0x1000);
    check(&fixture, 3, 0x4000, 0x2000);
    check(&fixture, 4, 0x6000, 0x1000);
    check(&fixture, 5, 0xa000, 0x0800);
    check(&fixture, 6, 0xa800, 0x0800);
    CU_ASSERT_EQUAL(fixture.target.segments[1].held_bytes, 0);
    CU_ASSERT_EQUAL(fixture.target.segments[1].protection, CW_PROT_READ);
    CU_ASSERT_EQUAL(fixture.target.segments[2].held_bytes, 0x1000);
    tear_down(&fixture);
}

static void a_mapping_up_to_the_top_is_filled_once(void)
{
    struct fixture fixture;
    struct cw_mapping mappings[] = {{1, UINT64_MAX - 1, 0, "all"}};
    set_up(&fixture, sizeof(struct cw_segment));
    add(&fixture, UINT64_MAX - 0xfff, 0x1000, 0);
    normalise(&fixture);
    fixture.target.mappings = mappings;
    fixture.target.mapping_count = 1;
    CU_ASSERT_EQUAL(cw_segments_fill_from_mappings(&fixture.target, &fixture.arena, NULL), CW_OK);
    CU_ASSERT_EQUAL_FATAL(fixture.target.segment_count, 2);
    check(&fixture, 0, 1, UINT64_MAX - 0x1000);
    CU_ASSERT_EQUAL(cw_segments_fill_from_mappings(&fixture.target, &fixture.arena, NULL), CW_OK);
    CU_ASSERT_EQUAL(fixture.target.segment_count, 2);
    tear_down(&fixture);
}

static void mappings_are_cut_like_segments(void)
{
    struct fixture fixture;
    const struct cw_mapping mappings[] = {
        {0x3000, 0x1000, 0x100, "b"}, {0x1000, 0x2800, 0, "a"}, {0x5000, 0, 0, "empty"}};
    set_up(&fixture, sizeof(struct cw_mapping));
    for (size_t i = 0; i < 3; i++) {
        cw_vector_append(&fixture.raw, &mappings[i]);
    }
    CU_ASSERT_EQUAL(cw_mappings_normalise(
                        &fixture.raw, &fixture.arena, &fixture.target, &fixture.cut_count, NULL),
                    CW_OK);
    CU_ASSERT_EQUAL_FATAL(fixture.target.mapping_count, 2);
    CU_ASSERT_STRING_EQUAL(fixture.target.mappings[0].path, "a");
    CU_ASSERT_EQUAL(fixture.target.mappings[1].start, 0x3800);
    CU_ASSERT_EQUAL(fixture.target.mappings[1].file_off, 0x900);
    CU_ASSERT_EQUAL(fixture.cut_count, 1);
    tear_down(&fixture);
}

static void a_spent_budget_is_an_error(void)
{
    struct fixture fixture;
    struct cw_mapping mappings[] = {{0x8000, 0x5000, 0, "a"}};
    set_up(&fixture, sizeof(struct cw_segment));
    add(&fixture, 0x1000, 0x1000, 0);
    normalise(&fixture);
    fixture.target.mappings = mappings;
    fixture.target.mapping_count = 1;
    fixture.budget.limit_bytes = fixture.budget.used_bytes;
    CU_ASSERT_EQUAL(cw_segments_normalise(
                        &fixture.raw, &fixture.arena, &fixture.target, &fixture.cut_count, NULL),
                    CW_ERROR_MEMORY);
    CU_ASSERT_EQUAL(cw_mappings_normalise(
                        &fixture.raw, &fixture.arena, &fixture.target, &fixture.cut_count, NULL),
                    CW_ERROR_MEMORY);
    CU_ASSERT_EQUAL(cw_segments_fill_from_mappings(&fixture.target, &fixture.arena, NULL),
                    CW_ERROR_MEMORY);
    tear_down(&fixture);
}

static void what_is_not_stored_gives_way_to_the_next_that_is(void)
{
    struct fixture fixture;
    set_up(&fixture, sizeof(struct cw_segment));
    add(&fixture, 0x10000, UINT64_C(1) << 40, 0x1000);
    add(&fixture, 0x10800, 0x1000, 0x1000); /* inside what the first has: cut */
    add(&fixture, 0x20000, 0x1000, 0);
    add(&fixture, 0x30000, 0x1000, 0x1000);
    normalise(&fixture);
    CU_ASSERT_EQUAL_FATAL(fixture.target.segment_count, 2);
    check(&fixture, 0, 0x10000, 0x20000);
    check(&fixture, 1, 0x30000, 0x1000);
    CU_ASSERT_EQUAL(fixture.target.segments[1].held_bytes, 0x1000);
    tear_down(&fixture);
}

CW_TEST_MAIN("target/segments",
             CW_TEST(sorts_by_address),
             CW_TEST(the_later_of_two_that_overlap_is_cut),
             CW_TEST(of_repeated_ones_the_first_counts),
             CW_TEST(the_top_of_the_address_space_is_legal_and_final),
             CW_TEST(one_that_wraps_ends_at_the_top),
             CW_TEST(what_is_not_stored_gives_way_to_what_is),
             CW_TEST(what_is_not_stored_gives_way_to_the_next_that_is),
             CW_TEST(empty_ones_are_left_out),
             CW_TEST(mappings_without_segments_get_empty_ones),
             CW_TEST(a_mapping_up_to_the_top_is_filled_once),
             CW_TEST(mappings_are_cut_like_segments),
             CW_TEST(a_spent_budget_is_an_error))
