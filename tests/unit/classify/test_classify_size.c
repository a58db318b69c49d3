/* classify/classify_size: exact sizes, then powers of two. */
#include "unit/classify/fixture.h"

static const char *name_of_size(size_t usable_bytes)
{
    static const uint8_t content[] = {1, 0, 0, 0, 0, 0, 0, 0xff};
    return fixture_name_of(content, sizeof content, usable_bytes);
}

static void names_have_the_size(void)
{
    CU_ASSERT_STRING_EQUAL(name_of_size(24), "32-byte chunks");
    CU_ASSERT_STRING_EQUAL(name_of_size(1016), "1024-byte chunks");
    CU_ASSERT_STRING_EQUAL(name_of_size(1032), "1-2 KiB chunks");
    CU_ASSERT_STRING_EQUAL(name_of_size((64 << 10) - 9), "64-128 KiB chunks");
    CU_ASSERT_STRING_EQUAL(name_of_size((512 << 10) - 8), "512 KiB-1 MiB chunks");
    CU_ASSERT_STRING_EQUAL(name_of_size(3 << 20), "2-4 MiB chunks");
}

static void enormous_chunks_have_a_name(void)
{
    struct fixture *f = fixture_create(8, 4096);
    fixture_word(f, 1ULL << 40, 40);
    fixture_finish(f);
    uint32_t index = fixture_mmapped(f, NULL, 600ULL << 30);
    struct cw_classification c = fixture_classify(f);
    CU_ASSERT_STRING_EQUAL(fixture_name(&c, index),
                           "512 GiB-1 TiB chunks (content not in the core)");
    CU_ASSERT_EQUAL(cw_classification_of(&c, index)->confidence, CW_GUESS);
    CU_ASSERT_STRING_EQUAL(cw_classification_of(&c, 0)->evidence, "by size only");
    cw_classification_destroy(&c);
    fixture_destroy(f);
}

CW_TEST_MAIN("classify/classify_size",
             CW_TEST(names_have_the_size),
             CW_TEST(enormous_chunks_have_a_name))
