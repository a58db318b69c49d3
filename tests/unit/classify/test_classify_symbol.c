/* classify/classify_symbol: first words that point into modules, and those that only look so. */
#include "unit/classify/fixture.h"

/* So many that a population is not folded. */
static uint32_t add_some(struct fixture *f, uint64_t word, unsigned count)
{
    uint32_t first = fixture_word(f, word, 40);
    for (unsigned i = 1; i < count; i++) {
        fixture_word(f, word, 40);
    }
    return first;
}

static void assert_population(const struct cw_classification *c,
                              uint32_t index,
                              const char *name,
                              const char *evidence,
                              enum cw_confidence confidence)
{
    const struct cw_population *population = cw_classification_of(c, index);
    CU_ASSERT_STRING_EQUAL(population->name, name);
    CU_ASSERT_STRING_EQUAL(population->evidence, evidence);
    CU_ASSERT_EQUAL(population->confidence, confidence);
}

static void symbols_and_sections_name_what_is_pointed_to(void)
{
    struct fixture *f = fixture_create(64, 1 << 16);
    uint32_t exact = add_some(f, FIXTURE_OPS, 4);
    uint32_t inside = add_some(f, FIXTURE_OPS + 8, 4);
    uint32_t function = add_some(f, FIXTURE_HANDLE, 4);
    uint32_t stripped = add_some(f, FIXTURE_RODATA + 0x800, 4);
    uint32_t vtable = add_some(f, FIXTURE_NO_RTTI, 4);
    uint32_t rare = add_some(f, FIXTURE_RODATA + 0x900, 3);
    fixture_finish(f);
    struct cw_classification c = fixture_classify(f);
    assert_population(&c,
                      exact,
                      "starts with &g_ops (server)",
                      "first word points to the symbol at server+0x3100",
                      CW_PROBABLE);
    assert_population(&c,
                      inside,
                      "starts with &g_ops+0x8 (server)",
                      "first word points to the symbol at server+0x3100",
                      CW_GUESS);
    assert_population(&c,
                      function,
                      "starts with &handle (server)",
                      "first word points to the function at server+0x1000",
                      CW_PROBABLE);
    assert_population(
        &c, stripped, "starts with &server+0x2800", "first word points there (.rodata)", CW_GUESS);
    assert_population(&c, vtable, "Plain", "vtable symbol at server+0x3310", CW_CERTAIN);
    CU_ASSERT_EQUAL(cw_classification_of(&c, vtable)->kind, CW_POPULATION_VTABLE);
    assert_population(&c,
                      rare,
                      "starts with a pointer into server (.rodata)",
                      "the first words point there, to places that few chunks share",
                      CW_GUESS);
    CU_ASSERT_EQUAL(cw_classification_of(&c, rare)->kind, CW_POPULATION_CONTENT);
    cw_classification_destroy(&c);
    fixture_destroy(f);
}

static void what_only_looks_like_a_pointer_is_left_alone(void)
{
    struct fixture *f = fixture_create(64, 1 << 16);
    uint32_t bin = add_some(f, FIXTURE_DATA + 0x400 + 96, 4); /* main_arena's bins */
    uint32_t code = add_some(f, FIXTURE_HANDLE + 8, 4);
    uint32_t unaligned_code = add_some(f, FIXTURE_TEXT + 0x808, 4);
    uint32_t header = add_some(f, FIXTURE_MODULE + 0x10, 4); /* no section */
    uint32_t unaligned = add_some(f, FIXTURE_OPS + 1, 4);
    uint32_t aligned_code = add_some(f, FIXTURE_TEXT + 0x810, 4);
    fixture_finish(f);
    struct cw_classification c = fixture_classify(f);
    CU_ASSERT_STRING_EQUAL(fixture_name(&c, bin), "48-byte chunks");
    CU_ASSERT_STRING_EQUAL(fixture_name(&c, code), "48-byte chunks");
    CU_ASSERT_STRING_EQUAL(fixture_name(&c, unaligned_code), "48-byte chunks");
    CU_ASSERT_STRING_EQUAL(fixture_name(&c, header), "48-byte chunks");
    CU_ASSERT_STRING_EQUAL(fixture_name(&c, unaligned), "48-byte chunks");
    CU_ASSERT_STRING_EQUAL(fixture_name(&c, aligned_code), "starts with &server+0x1810");
    cw_classification_destroy(&c);
    fixture_destroy(f);
}

/* A second module, at an address that numbers reach, with one section and without a file. */
static void add_low_module(struct fixture *f)
{
    f->modules[1] = f->modules[0];
    f->modules[0] = (struct cw_module){
        .path = "/bin/low", .name = "low", .start = FIXTURE_LOW, .size_bytes = 0x2000};
    f->ranges[1] = (struct cw_module_range){FIXTURE_MODULE, FIXTURE_MODULE_BYTES, 1};
    f->ranges[0] = (struct cw_module_range){FIXTURE_LOW, 0x2000, 0};
    f->image.module_count = 2;
    f->private.range_count = 2;
    fixture_region(f, FIXTURE_LOW, 0x2000, CW_PROT_READ, f->module_bytes);
}

static void numbers_in_a_low_module_must_be_frequent(void)
{
    struct fixture *f = fixture_create(64, 1 << 16);
    add_low_module(f);
    uint32_t frequent = add_some(f, FIXTURE_LOW + 0x100, 4);
    uint32_t rare = add_some(f, FIXTURE_LOW + 0x200, 2);
    uint32_t folded = add_some(f, FIXTURE_LOW + 0x300, 3);
    fixture_finish(f);
    struct cw_classification c = fixture_classify(f);
    assert_population(&c,
                      frequent,
                      "starts with &low+0x100",
                      "first word points there (the module's file is missing)",
                      CW_GUESS);
    CU_ASSERT_STRING_EQUAL(fixture_name(&c, folded), "starts with a pointer into low");
    CU_ASSERT_STRING_EQUAL(fixture_name(&c, rare), "48-byte chunks");
    cw_classification_destroy(&c);
    fixture_destroy(f);
}

CW_TEST_MAIN("classify/classify_symbol",
             CW_TEST(symbols_and_sections_name_what_is_pointed_to),
             CW_TEST(what_only_looks_like_a_pointer_is_left_alone),
             CW_TEST(numbers_in_a_low_module_must_be_frequent))
