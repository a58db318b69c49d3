/* base/cursor: total reads over bytes of unknown quality. */
#include "base/cursor.h"
#include "support/unit.h"

static const uint8_t bytes[16] = {1, 2, 3, 4, 5, 6, 7, 8, 'a', 'b', 0, 'c', 0, 0x10, 0x20, 0x30};

static void reads_little_endian_and_moves(void)
{
    struct cw_cursor cursor = cw_cursor_make(bytes, sizeof bytes, 8);
    CU_ASSERT_EQUAL(cw_cursor_u8(&cursor), 1);
    CU_ASSERT_EQUAL(cw_cursor_u16(&cursor), 0x0302);
    CU_ASSERT_EQUAL(cw_cursor_u32(&cursor), 0x07060504);
    CU_ASSERT_EQUAL(cursor.position, 7);
    CU_ASSERT_FALSE(cursor.failed);
}

static void a_word_is_as_wide_as_the_target_says(void)
{
    struct cw_cursor wide = cw_cursor_make(bytes, sizeof bytes, 8);
    struct cw_cursor narrow = cw_cursor_make(bytes, sizeof bytes, 4);
    CU_ASSERT_EQUAL(cw_cursor_word(&wide), 0x0807060504030201);
    CU_ASSERT_EQUAL(cw_cursor_word(&narrow), 0x04030201);
    CU_ASSERT_EQUAL(cw_cursor_word(&narrow), 0x08070605);
}

static void a_read_past_the_end_gives_zero_and_fails_for_good(void)
{
    struct cw_cursor cursor = cw_cursor_make(bytes, 3, 8);
    CU_ASSERT_EQUAL(cw_cursor_u32(&cursor), 0);
    CU_ASSERT_TRUE(cursor.failed);
    CU_ASSERT_EQUAL(cursor.position, 0);
    CU_ASSERT_EQUAL(cw_cursor_u8(&cursor), 0);
    CU_ASSERT_EQUAL(cw_cursor_u16(&cursor), 0);
    CU_ASSERT_EQUAL(cw_cursor_u64(&cursor), 0);
    CU_ASSERT_PTR_NULL(cw_cursor_string(&cursor));
    CU_ASSERT_PTR_NULL(cw_cursor_bytes(&cursor, SIZE_MAX));
}

static void strings_need_their_terminator(void)
{
    struct cw_cursor cursor = cw_cursor_make(bytes, sizeof bytes, 8);
    cw_cursor_seek(&cursor, 8);
    CU_ASSERT_STRING_EQUAL(cw_cursor_string(&cursor), "ab");
    CU_ASSERT_STRING_EQUAL(cw_cursor_string(&cursor), "c");
    CU_ASSERT_PTR_NULL(cw_cursor_string(&cursor));
    CU_ASSERT_TRUE(cursor.failed);
    struct cw_cursor empty = cw_cursor_make(NULL, 0, 8);
    CU_ASSERT_PTR_NULL(cw_cursor_string(&empty));
}

static void seek_may_go_to_the_end_but_not_past_it(void)
{
    struct cw_cursor cursor = cw_cursor_make(bytes, sizeof bytes, 8);
    cw_cursor_seek(&cursor, sizeof bytes);
    CU_ASSERT_EQUAL(cw_cursor_left(&cursor), 0);
    CU_ASSERT_FALSE(cursor.failed);
    cw_cursor_seek(&cursor, sizeof bytes + 1);
    CU_ASSERT_TRUE(cursor.failed);
}

static void align_stops_at_the_end(void)
{
    struct cw_cursor cursor = cw_cursor_make(bytes, 6, 8);
    cw_cursor_align(&cursor, 4);
    CU_ASSERT_EQUAL(cursor.position, 0);
    cw_cursor_skip(&cursor, 1);
    cw_cursor_align(&cursor, 4);
    CU_ASSERT_EQUAL(cursor.position, 4);
    cw_cursor_skip(&cursor, 1);
    cw_cursor_align(&cursor, 4);
    CU_ASSERT_EQUAL(cursor.position, 6);
    CU_ASSERT_FALSE(cursor.failed);
}

CW_TEST_MAIN("base/cursor",
             CW_TEST(reads_little_endian_and_moves),
             CW_TEST(a_word_is_as_wide_as_the_target_says),
             CW_TEST(a_read_past_the_end_gives_zero_and_fails_for_good),
             CW_TEST(strings_need_their_terminator),
             CW_TEST(seek_may_go_to_the_end_but_not_past_it),
             CW_TEST(align_stops_at_the_end))
