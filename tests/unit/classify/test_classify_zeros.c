/* classify/classify_zeros: every byte counts. */
#include "unit/classify/fixture.h"

static void one_byte_makes_the_difference(void)
{
    uint8_t bytes[40] = {0};
    CU_ASSERT_STRING_EQUAL(fixture_name_of(bytes, sizeof bytes, sizeof bytes), "all zero");
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = 1;
        CU_ASSERT_STRING_EQUAL(fixture_name_of(bytes, sizeof bytes, 40), "48-byte chunks");
        bytes[i] = 0;
    }
}

static void unseen_bytes_are_not_zero(void)
{
    struct fixture *f = fixture_create(2, 4096);
    uint32_t whole = fixture_add(f, CW_CHUNK_USED, NULL, 0, 40);
    uint32_t cut = fixture_add(f, CW_CHUNK_USED, NULL, 0, 40);
    fixture_finish_held(f, f->heap_used - 8);
    struct cw_classification c = fixture_classify(f);
    CU_ASSERT_STRING_EQUAL(fixture_name(&c, whole), "all zero");
    CU_ASSERT_EQUAL(cw_classification_of(&c, whole)->confidence, CW_CERTAIN);
    CU_ASSERT_STRING_EQUAL(fixture_name(&c, cut), "48-byte chunks");
    cw_classification_destroy(&c);
    fixture_destroy(f);
}

CW_TEST_MAIN("classify/classify_zeros",
             CW_TEST(one_byte_makes_the_difference),
             CW_TEST(unseen_bytes_are_not_zero))
