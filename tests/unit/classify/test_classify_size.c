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
    CU_ASSERT_STRING_EQUAL(name_of_size(1016), "1,024-byte chunks");
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
    CU_ASSERT_STRING_EQUAL(cw_classification_of(&c, index)->evidence, "by size only");
    CU_ASSERT_STRING_EQUAL(cw_classification_of(&c, 0)->evidence, "malloc(25-40)");
    cw_classification_destroy(&c);
    fixture_destroy(f);
}

static void a_size_that_many_share_is_named_exactly(void)
{
    struct fixture *f = fixture_create(24, 1 << 18);
    for (unsigned i = 0; i < 16; i++) {
        fixture_word(f, 1ULL << 40, 5000);
    }
    fixture_word(f, 1ULL << 40, 5016);
    fixture_finish(f);
    struct cw_classification c = fixture_classify(f);
    CU_ASSERT_EQUAL_FATAL(c.population_count, 2);
    CU_ASSERT_STRING_EQUAL(c.populations[0].name, "5,008-byte chunks");
    CU_ASSERT_STRING_EQUAL(c.populations[0].evidence, "malloc(4985-5000)");
    CU_ASSERT_EQUAL(c.populations[0].total.count, 16);
    CU_ASSERT_STRING_EQUAL(c.populations[1].name, "4-8 KiB chunks");
    cw_classification_destroy(&c);
    fixture_destroy(f);
}

CW_TEST_MAIN("classify/classify_size",
             CW_TEST(a_size_that_many_share_is_named_exactly),
             CW_TEST(names_have_the_size),
             CW_TEST(enormous_chunks_have_a_name))
