/* report/render_json: nesting, exact numbers, escaping, merged sections, JSON Lines. */
#include <jansson.h>

#include "sink.h"
#include "support/unit.h"

/* Renders, parses, and gives the value at a path of keys and [index]es, "" when there is none. */
static const char *compact(struct fixture *fixture)
{
    static char text[4096];
    json_error_t error;
    json_t *root = json_loads(fixture_render(fixture, "json", 80), 0, &error);
    CU_ASSERT_PTR_NOT_NULL_FATAL(root);
    size_t length = json_dumpb(root, text, sizeof text - 1, JSON_COMPACT | JSON_REAL_PRECISION(6));
    CU_ASSERT_FATAL(length < sizeof text);
    text[length] = '\0';
    json_decref(root);
    return text;
}

static void an_empty_report_is_an_empty_object(void)
{
    struct fixture fixture;
    fixture_init(&fixture);
    CU_ASSERT_STRING_EQUAL(fixture_render(&fixture, "json", 80), "{}\n");
    fixture_deinit(&fixture);
}

static void nests_dotted_keys_and_leaves_out_what_is_absent(void)
{
    static const struct cw_report_column columns[] = {
        {"used.count", "", 0},
        {"top", "", 0},
        {"used.bytes", "", CW_COLUMN_DATA},
        {"a.b.c", "", 0},
        {"gone.too", "", 0},
        {"human", "", CW_COLUMN_HUMAN},
        {NULL, "", CW_COLUMN_HUMAN},
        {"yes", "", 0},
    };
    const struct cw_cell cells[] = {cw_cell_count(3),
                                    cw_cell_bytes(0),
                                    cw_cell_bytes(96),
                                    cw_cell_address(0xDEAD),
                                    cw_cell_absent(),
                                    cw_cell_count(1),
                                    cw_cell_count(1),
                                    cw_cell_bool(true)};
    struct fixture fixture;
    fixture_init(&fixture);
    struct cw_report_section *section =
        fixture_add(&fixture, CW_SECTION_FIELDS, "heap", "Heap", columns, COUNT(columns));
    cw_report_add_row(&fixture.report, section, cells);
    CU_ASSERT_STRING_EQUAL(compact(&fixture),
                           "{\"heap\":{\"used\":{\"count\":3,\"bytes\":96},\"top\":0,"
                           "\"a\":{\"b\":{\"c\":\"0xdead\"}},\"yes\":true}}");
    fixture_deinit(&fixture);
}

static void merges_sections_of_one_prefix(void)
{
    static const struct cw_report_column total[] = {{"total_bytes", "", 0}};
    static const struct cw_report_column row[] = {{"bytes", "", 0}};
    const struct cw_cell cells[] = {cw_cell_bytes(5)};
    struct fixture fixture;
    fixture_init(&fixture);
    struct cw_report *report = &fixture.report;
    cw_report_add_row(
        report, fixture_add(&fixture, CW_SECTION_FIELDS, "ledger", NULL, total, 1), cells);
    cw_report_add_row(report, fixture_add(&fixture, CW_SECTION_FIELDS, "", NULL, total, 1), cells);
    cw_report_add_row(
        report, fixture_add(&fixture, CW_SECTION_TABLE, "ledger.rows", NULL, row, 1), cells);
    fixture_add(&fixture, CW_SECTION_TABLE, "none", NULL, row, 1);
    fixture_add(&fixture, CW_SECTION_FIELDS, "nor", NULL, row, 1);
    fixture_add(&fixture, CW_SECTION_TABLE, NULL, NULL, row, 1);
    cw_report_add_row(
        report, fixture_add(&fixture, CW_SECTION_TABLE, "ledger.rows", NULL, row, 1), cells);
    CU_ASSERT_STRING_EQUAL(compact(&fixture),
                           "{\"ledger\":{\"total_bytes\":5,\"rows\":[{\"bytes\":5},{\"bytes\":5}]},"
                           "\"total_bytes\":5,\"none\":[]}");
    fixture_deinit(&fixture);
}

static void numbers_are_exact(void)
{
    static const struct cw_report_column columns[] = {
        {"a", "", 0}, {"b", "", 0}, {"c", "", 0}, {"d", "", 0}, {"e", "", 0}, {"f", "", 0}};
    const struct cw_cell cells[] = {cw_cell_bytes(UINT64_MAX),
                                    cw_cell_count((uint64_t)INT64_MAX + 1),
                                    cw_cell_count(INT64_MAX),
                                    cw_cell_share(1, 3),
                                    cw_cell_address(UINT64_MAX),
                                    cw_cell_seconds(1.5)};
    struct fixture fixture;
    fixture_init(&fixture);
    cw_report_add_row(&fixture.report,
                      fixture_add(&fixture, CW_SECTION_FIELDS, "", NULL, columns, COUNT(columns)),
                      cells);
    CU_ASSERT_STRING_EQUAL(fixture_render(&fixture, "json", 80),
                           "{\n"
                           "  \"a\": 18446744073709551615,\n"
                           "  \"b\": 9223372036854775808,\n"
                           "  \"c\": 9223372036854775807,\n"
                           "  \"d\": 0.333333,\n"
                           "  \"e\": \"0xffffffffffffffff\",\n"
                           "  \"f\": 1.5\n"
                           "}\n");
    fixture_deinit(&fixture);
}

static void escapes_and_is_not_fooled_by_texts(void)
{
    static const struct cw_report_column columns[] = {{"a", "", 0}, {"b", "", 0}, {"c", "", 0}};
    static const char *const words[] = {"x\"y", "\\"};
    static const cw_addr addresses[] = {0x10, 0x20};
    const struct cw_cell cells[] = {cw_cell_text("\\u0001"
                                                 "99"),
                                    cw_cell_words(words, COUNT(words)),
                                    cw_cell_addresses(addresses, COUNT(addresses))};
    struct fixture fixture;
    fixture_init(&fixture);
    cw_report_add_row(&fixture.report,
                      fixture_add(&fixture, CW_SECTION_PROSE, "p", NULL, columns, COUNT(columns)),
                      cells);
    CU_ASSERT_STRING_EQUAL(compact(&fixture),
                           "{\"p\":{\"a\":\"\\\\u000199\",\"b\":[\"x\\\"y\",\"\\\\\"],"
                           "\"c\":[\"0x10\",\"0x20\"]}}");
    fixture_deinit(&fixture);
}

static void commands_are_an_array_of_texts(void)
{
    static const struct cw_report_column columns[] = {{"command", "", 0}, {"why", "", 0}};
    const struct cw_cell cells[] = {cw_cell_text("corewalk help"), cw_cell_text("because")};
    struct fixture fixture;
    fixture_init(&fixture);
    cw_report_add_row(
        &fixture.report,
        fixture_add(&fixture, CW_SECTION_COMMANDS, "next", NULL, columns, COUNT(columns)),
        cells);
    CU_ASSERT_STRING_EQUAL(compact(&fixture), "{\"next\":[\"corewalk help\"]}");
    fixture_deinit(&fixture);
}

/* Two sections that want one key for different things are our own mistake, and must not pass. */
static void says_when_keys_collide(void)
{
    static const struct cw_report_column twice[] = {{"a", "", 0}, {"a", "", 0}};
    static const struct cw_report_column below[] = {{"a", "", 0}, {"a.b", "", 0}};
    static const struct {
        const struct cw_report_column *columns;
        const char *keys[2];
        enum cw_section_kind kinds[2];
    } cases[] = {
        {twice, {"x", "y"}, {CW_SECTION_FIELDS, CW_SECTION_FIELDS}},
        {below, {"x", "y"}, {CW_SECTION_FIELDS, CW_SECTION_FIELDS}},
        {twice, {"x.a", "x.a"}, {CW_SECTION_TABLE, CW_SECTION_TABLE}},
    };
    const struct cw_cell cells[] = {cw_cell_count(1), cw_cell_count(2)};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct fixture fixture;
        fixture_init(&fixture);
        for (size_t j = 0; j < 2; j++) {
            cw_report_add_row(
                &fixture.report,
                fixture_add(
                    &fixture, cases[i].kinds[j], cases[i].keys[j], NULL, cases[i].columns, 2),
                cells);
        }
        CU_ASSERT_STRING_EQUAL(fixture_render(&fixture, "json", 80), "");
        CU_ASSERT_NOT_EQUAL(fixture.err.status, CW_OK);
        fixture_deinit(&fixture);
    }
}

static void a_table_does_not_fit_into_an_object(void)
{
    static const struct cw_report_column columns[] = {{"a", "", 0}};
    const struct cw_cell cells[] = {cw_cell_count(1)};
    for (int order = 0; order < 2; order++) {
        struct fixture fixture;
        fixture_init(&fixture);
        enum cw_section_kind first = order == 0 ? CW_SECTION_TABLE : CW_SECTION_FIELDS;
        enum cw_section_kind second = order == 0 ? CW_SECTION_FIELDS : CW_SECTION_TABLE;
        cw_report_add_row(
            &fixture.report, fixture_add(&fixture, first, "x", NULL, columns, 1), cells);
        cw_report_add_row(
            &fixture.report, fixture_add(&fixture, second, "x", NULL, columns, 1), cells);
        CU_ASSERT_STRING_EQUAL(fixture_render(&fixture, "json", 80), "");
        CU_ASSERT_STRING_EQUAL(fixture.err.text,
                               "JSON report: \"x\" does not fit in memory or in the tree");
        fixture_deinit(&fixture);
    }
}

/* --- streams ------------------------------------------------------------------------------ */

static const struct cw_report_column stream_columns[] = {
    {"address", "address", 0},
    {"used.count", "", 0},
    {"used.bytes", "", 0},
    {"used.top.bytes", "", 0},
    {"useful.share", "", 0},
    {"name", "", 0},
    {"skipped", "", CW_COLUMN_HUMAN},
    {"list", "", 0},
    {"last.flag", "", 0},
};

static const char *stream_rows(struct fixture *fixture,
                               const struct cw_cell *cells,
                               size_t row_count)
{
    struct cw_row_stream stream = {
        .renderer = cw_renderer_named("json"),
        .writer = sink_writer(&fixture->sink),
        .columns = stream_columns,
        .column_count = COUNT(stream_columns),
    };
    CU_ASSERT_EQUAL(cw_row_stream_begin(&stream, &fixture->arena, &fixture->err), CW_OK);
    for (size_t i = 0; i < row_count; i++) {
        CU_ASSERT_TRUE(cw_row_stream_add(&stream, cells));
        cells += COUNT(stream_columns);
    }
    CU_ASSERT_EQUAL(cw_row_stream_end(&stream, &fixture->err), CW_OK);
    return fixture->sink.text != NULL ? fixture->sink.text : "";
}

static void streams_one_object_a_line(void)
{
    static const char *const words[] = {"p", "q"};
    static const cw_addr addresses[] = {1, 2};
    const struct cw_cell rows[] = {
        cw_cell_address(0x55d0c0a812a0),
        cw_cell_count(UINT64_MAX),
        cw_cell_bytes(0),
        cw_cell_bytes(7),
        cw_cell_share(1, 4),
        cw_cell_text("a\"b\\c"),
        cw_cell_text("no"),
        cw_cell_words(words, 2),
        cw_cell_bool(false),
        cw_cell_absent(),
        cw_cell_absent(),
        cw_cell_bytes(1),
        cw_cell_absent(),
        cw_cell_absent(),
        cw_cell_text("\x1b\x7f\xc3"),
        cw_cell_absent(),
        cw_cell_addresses(addresses, 2),
        cw_cell_bool(true),
        cw_cell_absent(),
        cw_cell_absent(),
        cw_cell_absent(),
        cw_cell_absent(),
        cw_cell_absent(),
        cw_cell_absent(),
        cw_cell_absent(),
        cw_cell_absent(),
        cw_cell_absent(),
    };
    struct fixture fixture;
    fixture_init(&fixture);
    CU_ASSERT_STRING_EQUAL(
        stream_rows(&fixture, rows, 3),
        "{\"address\":\"0x55d0c0a812a0\",\"used\":{\"count\":18446744073709551615,\"bytes\":0,"
        "\"top\":{\"bytes\":7}},\"useful\":{\"share\":0.25},\"name\":\"a\\\"b\\\\c\","
        "\"list\":[\"p\",\"q\"],\"last\":{\"flag\":false}}\n"
        "{\"used\":{\"bytes\":1},\"name\":\"\\u001b\\u007f\\u00c3\",\"list\":[\"0x1\",\"0x2\"],"
        "\"last\":{\"flag\":true}}\n"
        "{}\n");
    fixture_deinit(&fixture);
}

static void streams_reals_without_a_locale(void)
{
    static const double reals[] = {0, 1, 0.5, 1e-6, 0.1234567, 12.25, 1e300, -0.5};
    static const char *const texts[] = {
        "0.0", "1.0", "0.5", "0.000001", "0.123457", "12.25", "1000000000000.0", "-0.5"};
    for (size_t i = 0; i < COUNT(reals); i++) {
        struct cw_cell cells[COUNT(stream_columns)] = {{0}};
        char expected[64];
        struct fixture fixture;
        fixture_init(&fixture);
        cells[0] = (struct cw_cell){.unit = CW_UNIT_SECONDS, .real = reals[i]};
        snprintf(expected, sizeof expected, "{\"address\":%s}\n", texts[i]);
        CU_ASSERT_STRING_EQUAL(stream_rows(&fixture, cells, 1), expected);
        fixture_deinit(&fixture);
    }
}

static void an_empty_stream_is_empty(void)
{
    struct fixture fixture;
    fixture_init(&fixture);
    CU_ASSERT_STRING_EQUAL(stream_rows(&fixture, NULL, 0), "");
    fixture_deinit(&fixture);
}

/* Every line of a long stream crosses the buffer somewhere, and none is damaged by that. */
static void long_streams_stay_whole(void)
{
    enum { ROWS = 20000 };
    struct fixture fixture;
    fixture_init(&fixture);
    struct cw_cell *cells = calloc((size_t)ROWS * COUNT(stream_columns), sizeof *cells);
    for (size_t i = 0; i < ROWS; i++) {
        cells[i * COUNT(stream_columns)] = cw_cell_address(i);
        cells[i * COUNT(stream_columns) + 5] = cw_cell_text("some name or other");
    }
    const char *at = stream_rows(&fixture, cells, ROWS);
    for (size_t i = 0; i < ROWS; i++) {
        char expected[96];
        int length = snprintf(expected,
                              sizeof expected,
                              "{\"address\":\"0x%zx\",\"name\":\"some name or other\"}\n",
                              i);
        if (strncmp(at, expected, (size_t)length) != 0) {
            CU_FAIL_FATAL("a line is damaged");
        }
        at += length;
    }
    CU_ASSERT_EQUAL(*at, '\0');
    free(cells);
    fixture_deinit(&fixture);
}

CW_TEST_MAIN("report/render_json",
             CW_TEST(an_empty_report_is_an_empty_object),
             CW_TEST(nests_dotted_keys_and_leaves_out_what_is_absent),
             CW_TEST(merges_sections_of_one_prefix),
             CW_TEST(numbers_are_exact),
             CW_TEST(escapes_and_is_not_fooled_by_texts),
             CW_TEST(commands_are_an_array_of_texts),
             CW_TEST(says_when_keys_collide),
             CW_TEST(a_table_does_not_fit_into_an_object),
             CW_TEST(streams_one_object_a_line),
             CW_TEST(streams_reals_without_a_locale),
             CW_TEST(an_empty_stream_is_empty),
             CW_TEST(long_streams_stay_whole))
