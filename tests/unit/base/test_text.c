/* base/text: escaping, human sizes and their parsers. */
#include "base/text.h"
#include "support/unit.h"

static const char *size_of(uint64_t bytes)
{
    static char buffer[CW_SIZE_TEXT];
    return cw_text_size(bytes, buffer);
}

static void escapes_what_is_not_plain(void)
{
    char buffer[64];
    cw_text_escape("a\x1b[31m\\\n\xc3", buffer, sizeof buffer);
    CU_ASSERT_STRING_EQUAL(buffer, "a\\x1b[31m\\x5c\\x0a\\xc3");
}

static void escape_never_splits_an_escape(void)
{
    char buffer[6];
    CU_ASSERT_EQUAL(cw_text_escape("ab\x01", buffer, sizeof buffer), 2);
    CU_ASSERT_STRING_EQUAL(buffer, "ab");
}

static void sizes_are_truncated_not_rounded_up(void)
{
    CU_ASSERT_STRING_EQUAL(size_of(0), "0 B");
    CU_ASSERT_STRING_EQUAL(size_of(1023), "1023 B");
    CU_ASSERT_STRING_EQUAL(size_of(1024), "1.0 KiB");
    CU_ASSERT_STRING_EQUAL(size_of(1024 * 1024 - 1), "1023.9 KiB");
    CU_ASSERT_STRING_EQUAL(size_of(UINT64_MAX), "15.9 EiB");
}

static void counts_have_separators(void)
{
    char buffer[CW_COUNT_TEXT];
    CU_ASSERT_STRING_EQUAL(cw_text_count(7, buffer), "7");
    CU_ASSERT_STRING_EQUAL(cw_text_count(123456, buffer), "123,456");
    CU_ASSERT_STRING_EQUAL(cw_text_count(UINT64_MAX, buffer), "18,446,744,073,709,551,615");
}

static void parses_sizes_as_people_type_them(void)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } sizes[] = {
        {"0", 0},
        {"4096", 4096},
        {"0x1000", 4096},
        {"64k", 65536},
        {"64KiB", 65536},
        {"1.5G", 1610612736},
        {"0.001k", 1},
        {"2gb", 2147483648},
        {"12B", 12},
        {"15e", 15ULL << 60},
        {"1.9995M", 1 << 20 | 1047527},
    };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        uint64_t bytes = 1;
        CU_ASSERT_TRUE(cw_text_parse_size(sizes[i].text, &bytes));
        /* Digits beyond the thousandths do not count. */
        CU_ASSERT_TRUE(bytes == sizes[i].bytes || sizes[i].bytes - bytes < 1024);
    }
}

static void refuses_what_is_no_size(void)
{
    static const char *const texts[] = {
        "", "k", "-1", "16e", "1x", "0x", "1 k", "1kk", "99999999999999999999"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        uint64_t bytes = 77;
        CU_ASSERT_FALSE(cw_text_parse_size(texts[i], &bytes));
        CU_ASSERT_EQUAL(bytes, 77);
    }
}

static void parses_addresses_with_and_without_prefix(void)
{
    cw_addr address = 0;
    CU_ASSERT_TRUE(cw_text_parse_address("0x7fff12", &address));
    CU_ASSERT_EQUAL(address, 0x7fff12);
    CU_ASSERT_TRUE(cw_text_parse_address("ffffffffffffffff", &address));
    CU_ASSERT_EQUAL(address, UINT64_MAX);
    CU_ASSERT_FALSE(cw_text_parse_address("10000000000000000", &address));
    CU_ASSERT_FALSE(cw_text_parse_address("main", &address));
}

CW_TEST_MAIN("base/text",
             CW_TEST(escapes_what_is_not_plain),
             CW_TEST(escape_never_splits_an_escape),
             CW_TEST(sizes_are_truncated_not_rounded_up),
             CW_TEST(counts_have_separators),
             CW_TEST(parses_sizes_as_people_type_them),
             CW_TEST(refuses_what_is_no_size),
             CW_TEST(parses_addresses_with_and_without_prefix))
