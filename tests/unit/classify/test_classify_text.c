/* classify/classify_text: what counts as text, and pointers and numbers that do not. */
#include "unit/classify/fixture.h"

static void assert_name(const char *content, size_t bytes, size_t usable_bytes, const char *name)
{
    CU_ASSERT_STRING_EQUAL(fixture_name_of(content, bytes, usable_bytes), name);
}

#define ASSERT_TEXT(text, usable_bytes, name) \
    assert_name((text), sizeof(text), (usable_bytes), (name))

static void terminated_text_is_text(void)
{
    ASSERT_TEXT("a sentence of some length", 40, "text: plain");
    ASSERT_TEXT("/usr/lib/libc.so.6", 24, "text: path");
    ASSERT_TEXT("tab\tand\nline", 24, "short text");
    ASSERT_TEXT("sechs!x", 24, "short text");
    ASSERT_TEXT("six by", 24, "short text");
}

static void utf8_is_text_when_well_formed(void)
{
    ASSERT_TEXT("Grüße aus Zürich, 日本 🦆", 56, "text: plain");
    ASSERT_TEXT("überall \xc3(", 24, "32-byte chunks");
    ASSERT_TEXT("overlong \xc0\xaf is not text", 40, "48-byte chunks");
    ASSERT_TEXT("surrogate \xed\xa0\x80 is not", 40, "48-byte chunks");
    ASSERT_TEXT("C1 control \xc2\x85 is not", 40, "48-byte chunks");
    ASSERT_TEXT("too high \xf4\x90\x80\x80 is", 40, "48-byte chunks");
}

static void too_little_is_not_text(void)
{
    ASSERT_TEXT("five!", 24, "32-byte chunks");
    ASSERT_TEXT("abcdef\x01ghijkl", 24, "32-byte chunks");
    ASSERT_TEXT("......,,;;::!?", 24, "32-byte chunks");
    ASSERT_TEXT("\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f", 24, "32-byte chunks");
}

static void text_may_end_with_the_chunk_only(void)
{
    char bytes[200];
    memset(bytes, 'x', sizeof bytes);
    assert_name(bytes, 40, 40, "text: plain");
    bytes[150] = '\x01';
    assert_name(bytes, 200, 200, "208-byte chunks");
    bytes[150] = 'x';
    bytes[190] = '\x01';
    assert_name(bytes, 200, 200, "text: plain");
}

static void a_record_with_a_name_in_front_says_so(void)
{
    char bytes[200];
    memset(bytes, 0x81, sizeof bytes);
    strcpy(bytes, "the name of it");
    assert_name(bytes, sizeof bytes, sizeof bytes, "text, then other data");
    strcpy(bytes, "short one");
    assert_name(bytes, sizeof bytes, sizeof bytes, "208-byte chunks");
    memset(bytes, 0, sizeof bytes);
    strcpy(bytes, "the start of a buffer");
    assert_name(bytes, sizeof bytes, sizeof bytes, "text: plain");
}

/* The same six bytes are text where no memory is at the address that they make. */
static void printable_pointers_are_not_text(void)
{
    struct fixture *f = fixture_create(2, 1 << 16);
    uint64_t pointer = 0x566162636465; /* "edcbaV" */
    uint32_t index = fixture_word(f, pointer, 24);
    fixture_write(fixture_bytes(f, index) + 8, 0);
    fixture_finish(f);
    fixture_region(f, pointer & ~0xfffULL, 0x1000, CW_PROT_READ, f->module_bytes);
    struct cw_classification c = fixture_classify(f);
    CU_ASSERT_STRING_EQUAL(fixture_name(&c, index), "32-byte chunks");
    cw_classification_destroy(&c);
    fixture_destroy(f);
    CU_ASSERT_STRING_EQUAL(fixture_name_of("edcbaV", 7, 24), "short text");
}

static void wide_text_needs_letters_and_an_end(void)
{
    uint16_t two[40] = {0};
    uint32_t four[40] = {0};
    static const char text[] = "a text of wide characters";
    for (size_t i = 0; i < sizeof text; i++) {
        two[i] = (uint16_t)text[i];
        four[i] = (uint32_t)text[i];
    }
    CU_ASSERT_STRING_EQUAL(fixture_name_of(two, sizeof two, sizeof two), "text: UTF-16");
    CU_ASSERT_STRING_EQUAL(fixture_name_of(four, sizeof four, sizeof four), "text: UTF-32");
    two[20] = 1;
    four[20] = 1;
    CU_ASSERT_STRING_EQUAL(fixture_name_of(two, sizeof two, sizeof two), "96-byte chunks");
    CU_ASSERT_STRING_EQUAL(fixture_name_of(four, sizeof four, sizeof four), "176-byte chunks");
    for (size_t i = 0; i < 40; i++) {
        two[i] = (uint16_t)(33 + i % 20);
        four[i] = (uint32_t)(33 + i % 20);
    }
    CU_ASSERT_STRING_EQUAL(fixture_name_of(two, sizeof two, sizeof two), "96-byte chunks");
    CU_ASSERT_STRING_EQUAL(fixture_name_of(four, sizeof four, sizeof four), "176-byte chunks");
}

static void long_text_is_judged_by_its_start(void)
{
    size_t bytes = 1 << 20;
    char *text = malloc(bytes);
    memset(text, 'a', bytes);
    static const uint8_t start[] = {'{', '"', 'k', 'e', 'y', '"', ':', '"'};
    memcpy(text, start, sizeof start);
    text[bytes - 100] = '\x01';
    CU_ASSERT_STRING_EQUAL(fixture_name_of(text, bytes, bytes), "text: JSON");
    free(text);
}

static void names_show_nothing_of_the_memory(void)
{
    struct fixture *f = fixture_create(4, 4096);
    fixture_chunk(f, "canary canary canary", 21);
    fixture_chunk(f, "canary=canary", 14);
    fixture_finish(f);
    struct cw_classification c = fixture_classify(f);
    for (uint32_t i = 0; i < c.population_count; i++) {
        CU_ASSERT_PTR_NULL(strstr(c.populations[i].name, "canary"));
        CU_ASSERT_PTR_NULL(strstr(c.populations[i].evidence, "canary"));
    }
    cw_classification_destroy(&c);
    fixture_destroy(f);
}

CW_TEST_MAIN("classify/classify_text",
             CW_TEST(terminated_text_is_text),
             CW_TEST(utf8_is_text_when_well_formed),
             CW_TEST(too_little_is_not_text),
             CW_TEST(text_may_end_with_the_chunk_only),
             CW_TEST(a_record_with_a_name_in_front_says_so),
             CW_TEST(printable_pointers_are_not_text),
             CW_TEST(wide_text_needs_letters_and_an_end),
             CW_TEST(long_text_is_judged_by_its_start),
             CW_TEST(names_show_nothing_of_the_memory))
