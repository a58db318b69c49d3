/* report/model: rows, merging of memory failures, formatted texts. */
#include "sink.h"
#include "support/unit.h"

static const struct cw_report_column columns[] = {{"a", "a", 0}, {"b", "b", 0}};

static void keeps_rows_in_order(void)
{
    struct fixture fixture;
    fixture_init(&fixture);
    struct cw_report_section *section =
        fixture_add(&fixture, CW_SECTION_TABLE, "t", NULL, columns, COUNT(columns));
    for (uint64_t i = 0; i < 100; i++) {
        const struct cw_cell cells[] = {cw_cell_count(i), cw_cell_address(i * 16)};
        cw_report_add_row(&fixture.report, section, cells);
    }
    CU_ASSERT_FALSE(fixture.report.failed);
    CU_ASSERT_EQUAL(cw_report_row_count(section), 100);
    CU_ASSERT_EQUAL(cw_report_cell(section, 99, 0)->number, 99);
    CU_ASSERT_EQUAL(cw_report_cell(section, 57, 1)->number, 912);
    CU_ASSERT_PTR_EQUAL(cw_report_section_at(&fixture.report, 0), section);
    fixture_deinit(&fixture);
    CU_ASSERT_EQUAL(fixture.budget.used_bytes, 0);
}

static void knows_what_is_absent(void)
{
    const struct cw_cell null_text = cw_cell_text(NULL);
    const struct cw_cell no_share = cw_cell_share(1, 0);
    const struct cw_cell no_time = cw_cell_seconds(__builtin_nan(""));
    const struct cw_cell nothing = cw_cell_absent();
    const struct cw_cell zero = cw_cell_count(0);
    const struct cw_cell share = cw_cell_share(0, 1);
    CU_ASSERT_TRUE(cw_cell_is_absent(&null_text));
    CU_ASSERT_TRUE(cw_cell_is_absent(&no_share));
    CU_ASSERT_TRUE(cw_cell_is_absent(&no_time));
    CU_ASSERT_TRUE(cw_cell_is_absent(&nothing));
    CU_ASSERT_FALSE(cw_cell_is_absent(&zero));
    CU_ASSERT_FALSE(cw_cell_is_absent(&share));
}

static void formats_into_the_arena(void)
{
    struct fixture fixture;
    fixture_init(&fixture);
    CU_ASSERT_STRING_EQUAL(cw_report_printf(&fixture.report, "%d of %s", 3, "x"), "3 of x");
    fixture.budget.limit_bytes = fixture.budget.used_bytes;
    char *large = calloc(1, 100001);
    memset(large, 'x', 100000);
    CU_ASSERT_STRING_EQUAL(cw_report_printf(&fixture.report, "%s", large), "");
    CU_ASSERT_TRUE(fixture.report.failed);
    free(large);
    fixture_deinit(&fixture);
}

/* Whatever runs out of memory, adding goes on without effect, and rendering says so. */
static void survives_every_memory_limit(void)
{
    for (uint64_t limit = 0; limit < 60000; limit += 1500) {
        struct fixture fixture;
        fixture_init(&fixture);
        fixture.budget.limit_bytes = limit;
        for (int i = 0; i < 40; i++) {
            struct cw_report_section *section =
                fixture_add(&fixture, CW_SECTION_TABLE, "t", NULL, columns, COUNT(columns));
            CU_ASSERT_PTR_NOT_NULL_FATAL(section);
            for (uint64_t row = 0; row < 30; row++) {
                const struct cw_cell cells[] = {cw_cell_count(row), cw_cell_bytes(row)};
                cw_report_add_row(&fixture.report, section, cells);
            }
            CU_ASSERT_EQUAL(section->cells.count % COUNT(columns), 0);
        }
        CU_ASSERT_TRUE(fixture.report.failed);
        fixture_render(&fixture, "text", 80);
        CU_ASSERT_EQUAL(fixture.err.status, CW_ERROR_MEMORY);
        CU_ASSERT_EQUAL(fixture.sink.length, 0);
        fixture_deinit(&fixture);
        CU_ASSERT_EQUAL(fixture.budget.used_bytes, 0);
    }
}

CW_TEST_MAIN("report/model",
             CW_TEST(keeps_rows_in_order),
             CW_TEST(knows_what_is_absent),
             CW_TEST(formats_into_the_arena),
             CW_TEST(survives_every_memory_limit))
