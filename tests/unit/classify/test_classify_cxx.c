/* classify/classify_cxx: objects and arrays by their vtable. */
#include "unit/classify/fixture.h"

static void objects_are_named_after_their_class(void)
{
    struct fixture *f = fixture_create(8, 4096);
    uint32_t object = fixture_word(f, FIXTURE_WIDGET, 40);
    uint32_t base = fixture_word(f, FIXTURE_BASE, 40);
    uint32_t odd = fixture_word(f, FIXTURE_WIDGET + 1, 40);
    fixture_finish(f);
    struct cw_classification c = fixture_classify(f);
    const struct cw_population *own = cw_classification_of(&c, object);
    CU_ASSERT_STRING_EQUAL(own->name, "Widget");
    CU_ASSERT_STRING_EQUAL(own->evidence, "vtable at server+0x3210");
    CU_ASSERT_EQUAL(own->kind, CW_POPULATION_VTABLE);
    CU_ASSERT_EQUAL(own->confidence, CW_CERTAIN);
    const struct cw_population *other = cw_classification_of(&c, base);
    CU_ASSERT_STRING_EQUAL(other->name, "Widget");
    CU_ASSERT_STRING_EQUAL(other->evidence, "vtable of a base at server+0x3290");
    CU_ASSERT_EQUAL(other->confidence, CW_GUESS);
    CU_ASSERT_STRING_EQUAL(fixture_name(&c, odd), "48-byte chunks");
    cw_classification_destroy(&c);
    fixture_destroy(f);
}

/* n elements of three words each behind their count, as new Widget[n] lays them out. */
static uint32_t add_array(struct fixture *f, uint64_t count, uint64_t said, uint64_t last_vtable)
{
    uint64_t words[64] = {said};
    for (uint64_t i = 0; i < count; i++) {
        words[1 + 3 * i] = i + 1 == count ? last_vtable : FIXTURE_WIDGET;
    }
    return fixture_chunk(f, words, (1 + 3 * count) * 8);
}

static void arrays_must_fit_their_count(void)
{
    struct fixture *f = fixture_create(64, 1 << 16);
    uint32_t arrays[16];
    for (uint64_t count = 2; count < 16; count++) {
        arrays[count] = add_array(f, count, count, FIXTURE_WIDGET);
    }
    uint32_t miscounted = add_array(f, 6, 5, FIXTURE_WIDGET);
    uint32_t mixed = add_array(f, 6, 6, FIXTURE_OPS);
    uint32_t single = add_array(f, 1, 1, FIXTURE_WIDGET);
    uint32_t huge = add_array(f, 6, 1ULL << 30, FIXTURE_WIDGET);
    fixture_finish(f);
    struct cw_classification c = fixture_classify(f);
    for (uint64_t count = 2; count < 16; count++) {
        CU_ASSERT_STRING_EQUAL(fixture_name(&c, arrays[count]), "Widget[]");
    }
    const struct cw_population *population = cw_classification_of(&c, arrays[2]);
    CU_ASSERT_STRING_EQUAL(population->evidence, "element count, then vtable at server+0x3210");
    CU_ASSERT_EQUAL(population->confidence, CW_PROBABLE);
    CU_ASSERT_EQUAL(cw_classification_of(&c, miscounted)->kind, CW_POPULATION_SIZE);
    CU_ASSERT_EQUAL(cw_classification_of(&c, mixed)->kind, CW_POPULATION_SIZE);
    CU_ASSERT_EQUAL(cw_classification_of(&c, single)->kind, CW_POPULATION_SIZE);
    CU_ASSERT_EQUAL(cw_classification_of(&c, huge)->kind, CW_POPULATION_SIZE);
    cw_classification_destroy(&c);
    fixture_destroy(f);
}

/* A module full of vtables: each its own type_info slot, all of one class. */
static void too_many_classes_become_one_population(void)
{
    enum { VTABLES = CW_CLASSIFIER_KEY_LIMIT + 10, VTABLE_BYTES = 16 };
    struct fixture *f = fixture_create(VTABLES, (size_t)VTABLES * 32);
    size_t bytes = (size_t)(VTABLES + 1) * VTABLE_BYTES;
    uint8_t *data = calloc(1, bytes);
    for (size_t i = 0; i < VTABLES; i++) {
        fixture_write(data + i * VTABLE_BYTES + 8, FIXTURE_RELRO + 0x400);
        fixture_word(f, FIXTURE_DATA + 0x1000 + (i + 1) * VTABLE_BYTES, 24);
    }
    f->modules[0].size_bytes += bytes;
    f->ranges[0].size_bytes += bytes;
    fixture_finish(f);
    fixture_region(f, FIXTURE_DATA + 0x1000, bytes, CW_PROT_READ, data);
    struct cw_classification c = fixture_classify(f);
    CU_ASSERT_EQUAL(c.population_count, 1);
    CU_ASSERT_STRING_EQUAL(c.populations[0].name, "C++ objects of many classes");
    CU_ASSERT_EQUAL(c.populations[0].total.count, VTABLES);
    cw_classification_destroy(&c);
    fixture_destroy(f);
    free(data);
}

CW_TEST_MAIN("classify/classify_cxx",
             CW_TEST(objects_are_named_after_their_class),
             CW_TEST(arrays_must_fit_their_count),
             CW_TEST(too_many_classes_become_one_population))
