/* space/read: views, runs, copies and strings; what is missing is never zero. */
#include <string.h>

#include "support/opened_core.h"
#include "support/unit.h"

enum { RW = CW_PROT_READ | CW_PROT_WRITE };

/* Two regions that touch, a gap, and one of which the second page was not dumped. */
static struct core_builder *sample(void)
{
    struct core_builder *builder = core_builder_create(CW_ARCH_X86_64);
    core_builder_segment(builder, 0x1000, 0x1000, RW);
    core_builder_segment(builder, 0x2000, 0x1000, CW_PROT_READ);
    core_builder_partial_segment(builder, 0x8000, 0x2000, 0x1000, RW);
    core_builder_word(builder, 0x1000, 0x1122334455667788);
    core_builder_bytes(builder, 0x1ffc, "\x01\x02\x03\x04", 4);
    core_builder_bytes(builder, 0x2000, "\x05\x06\x07\x08", 4);
    return builder;
}

static void views_stay_within_a_region(void)
{
    struct core_builder *builder = sample();
    struct opened_core opened;
    opened_core_build(&opened, builder);
    const struct cw_space *space = &opened.space;
    const uint8_t *data = cw_space_view(space, 0x1000, 0x1000);
    CU_ASSERT_PTR_NOT_NULL(data);
    CU_ASSERT_PTR_EQUAL(cw_space_view(space, 0x1008, 8), data + 8);
    CU_ASSERT_PTR_EQUAL(cw_space_view(space, 0x1fff, 1), data + 0xfff);
    CU_ASSERT_PTR_EQUAL(cw_space_view(space, 0x1010, 0), data + 0x10);
    CU_ASSERT_PTR_NULL(cw_space_view(space, 0x1ffc, 8));
    CU_ASSERT_PTR_NULL(cw_space_view(space, 0x1000, UINT64_MAX));
    CU_ASSERT_PTR_NULL(cw_space_view(space, 0x3000, 1));
    CU_ASSERT_PTR_NULL(cw_space_view(space, 0x0fff, 1));
    CU_ASSERT_PTR_NULL(cw_space_view(space, 0x8ffc, 8));
    CU_ASSERT_PTR_NULL(cw_space_view(space, 0x9000, 1));
    CU_ASSERT_PTR_NULL(cw_space_view(space, 0x9000, 0));
    opened_core_close(&opened);
    core_builder_destroy(builder);
}

static void runs_end_with_their_region(void)
{
    struct core_builder *builder = sample();
    struct opened_core opened;
    opened_core_build(&opened, builder);
    const uint8_t *data = NULL;
    CU_ASSERT_EQUAL(cw_space_run(&opened.space, 0x1100, &data), 0xf00);
    CU_ASSERT_PTR_EQUAL(data, cw_space_view(&opened.space, 0x1100, 1));
    CU_ASSERT_EQUAL(cw_space_run(&opened.space, 0x8000, &data), 0x1000);
    data = NULL;
    CU_ASSERT_EQUAL(cw_space_run(&opened.space, 0x9000, &data), 0);
    CU_ASSERT_EQUAL(cw_space_run(&opened.space, 0x4000, &data), 0);
    CU_ASSERT_PTR_NULL(data);
    opened_core_close(&opened);
    core_builder_destroy(builder);
}

static void copies_cross_regions_but_not_gaps(void)
{
    struct core_builder *builder = sample();
    struct opened_core opened;
    static uint8_t buffer[0x3000];
    opened_core_build(&opened, builder);
    const struct cw_space *space = &opened.space;
    CU_ASSERT_TRUE(cw_space_read(space, 0x1000, buffer, 0x2000));
    CU_ASSERT_EQUAL(cw_load_u64(buffer + 0xffc), 0x0807060504030201);
    CU_ASSERT_FALSE(cw_space_read(space, 0x1000, buffer, 0x2001));
    CU_ASSERT_FALSE(cw_space_read(space, 0x0fff, buffer, 2));
    CU_ASSERT_FALSE(cw_space_read(space, 0x8ff8, buffer, 9));
    CU_ASSERT_TRUE(cw_space_read(space, 0x8ff8, buffer, 8));
    CU_ASSERT_TRUE(cw_space_read(space, 0x5000, buffer, 0));
    opened_core_close(&opened);
    core_builder_destroy(builder);
}

static void a_copy_does_not_go_round_the_top(void)
{
    struct core_builder *builder = core_builder_create(CW_ARCH_X86_64);
    struct opened_core opened;
    uint8_t buffer[64];
    char text[64];
    uint8_t *top = core_builder_segment(builder, UINT64_MAX - 0xfff, 0x1000, RW);
    core_builder_segment(builder, 0, 0x1000, RW);
    memset(top, 'x', 0x1000);
    opened_core_build(&opened, builder);
    CU_ASSERT_TRUE(cw_space_read(&opened.space, UINT64_MAX - 31, buffer, 32));
    CU_ASSERT_FALSE(cw_space_read(&opened.space, UINT64_MAX - 31, buffer, 33));
    CU_ASSERT_FALSE(cw_space_read_string(&opened.space, UINT64_MAX - 31, text, sizeof text));
    opened_core_close(&opened);
    core_builder_destroy(builder);
}

static void words_and_numbers_cross_regions(void)
{
    struct core_builder *builder = sample();
    struct opened_core opened;
    opened_core_build(&opened, builder);
    uint64_t word = 0;
    uint32_t number = 0;
    CU_ASSERT_TRUE(cw_space_read_word(&opened.space, 0x1000, &word));
    CU_ASSERT_EQUAL(word, 0x1122334455667788);
    CU_ASSERT_TRUE(cw_space_read_word(&opened.space, 0x1ffc, &word));
    CU_ASSERT_EQUAL(word, 0x0807060504030201);
    CU_ASSERT_TRUE(cw_space_read_u32(&opened.space, 0x1ffe, &number));
    CU_ASSERT_EQUAL(number, 0x06050403);
    CU_ASSERT_FALSE(cw_space_read_word(&opened.space, 0x8ffc, &word));
    CU_ASSERT_FALSE(cw_space_read_u32(&opened.space, 0x8ffe, &number));
    CU_ASSERT_EQUAL(word, 0x0807060504030201);
    CU_ASSERT_EQUAL(number, 0x06050403);
    opened_core_close(&opened);
    core_builder_destroy(builder);
}

static void strings_need_their_terminator_in_time(void)
{
    struct core_builder *builder = sample();
    struct opened_core opened;
    char text[16];
    core_builder_bytes(builder, 0x1ff0, "0123456789abcdef", 16);
    core_builder_bytes(builder, 0x2000, "gh", 3);
    core_builder_bytes(builder, 0x8ffc, "stop", 4);
    opened_core_build(&opened, builder);
    CU_ASSERT_TRUE(cw_space_read_string(&opened.space, 0x1ffa, text, sizeof text));
    CU_ASSERT_STRING_EQUAL(text, "abcdefgh");
    CU_ASSERT_TRUE(cw_space_read_string(&opened.space, 0x1ffa, text, 9));
    CU_ASSERT_FALSE(cw_space_read_string(&opened.space, 0x1ffa, text, 8));
    CU_ASSERT_FALSE(cw_space_read_string(&opened.space, 0x1ffa, text, 0));
    CU_ASSERT_FALSE(cw_space_read_string(&opened.space, 0x8ffc, text, sizeof text));
    CU_ASSERT_FALSE(cw_space_read_string(&opened.space, 0x5000, text, sizeof text));
    opened_core_close(&opened);
    core_builder_destroy(builder);
}

CW_TEST_MAIN("space/read",
             CW_TEST(views_stay_within_a_region),
             CW_TEST(runs_end_with_their_region),
             CW_TEST(copies_cross_regions_but_not_gaps),
             CW_TEST(a_copy_does_not_go_round_the_top),
             CW_TEST(words_and_numbers_cross_regions),
             CW_TEST(strings_need_their_terminator_in_time))
