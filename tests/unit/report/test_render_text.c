/* report/render_text and its tables and lines: widths, wrapping, cutting, streams, colors. */
#include "sink.h"
#include "support/unit.h"

static void empty_reports_are_empty_pages(void)
{
    static const struct cw_report_column columns[] = {{"a", "a", 0}, {"b", "b", CW_COLUMN_DATA}};
    const struct cw_cell cells[] = {cw_cell_absent(), cw_cell_count(1)};
    struct fixture fixture;
    fixture_init(&fixture);
    CU_ASSERT_STRING_EQUAL(fixture_render(&fixture, "text", 80), "");
    CU_ASSERT_EQUAL(fixture.err.status, CW_OK);
    fixture_add(&fixture, CW_SECTION_TABLE, "t", "Not shown", columns, 2);
    cw_report_add_row(&fixture.report,
                      fixture_add(&fixture, CW_SECTION_FIELDS, "f", "Nor this", columns, 2),
                      cells);
    fixture_add(&fixture, CW_SECTION_TABLE, "h", "Nor that", columns, 2)->hidden = true;
    CU_ASSERT_STRING_EQUAL(fixture_render(&fixture, "text", 80), "");
    struct cw_report_section *section =
        fixture_add(&fixture, CW_SECTION_TABLE, "e", "Findings", columns, 2);
    section->empty_text = "No corruption found.";
    section->note = "Not shown under nothing.";
    CU_ASSERT_STRING_EQUAL(fixture_render(&fixture, "text", 80),
                           "Findings\n  No corruption found.\n");
    fixture_deinit(&fixture);
}

static void fields_align_their_values(void)
{
    static const struct cw_report_column columns[] = {
        {"a", "size", 0},
        {"b", "executable", CW_COLUMN_CUT},
        {"c", "gone", 0},
        {"d", "a label that is longer than a label should be", 0},
        {"e", "", 0},
        {"f", "exact", CW_COLUMN_EXACT},
        {"g", "text", 0},
    };
    const struct cw_cell cells[] = {
        cw_cell_bytes(1 << 20),
        cw_cell_text("/a/path/that/is/somewhat/longer/than/the/page"),
        cw_cell_absent(),
        cw_cell_count(4321),
        cw_cell_text("no label"),
        cw_cell_bytes(1 << 20),
        cw_cell_text("some words that need more than one line"),
    };
    struct fixture fixture;
    fixture_init(&fixture);
    cw_report_add_row(
        &fixture.report,
        fixture_add(&fixture, CW_SECTION_FIELDS, "f", "Fields", columns, COUNT(columns)),
        cells);
    CU_ASSERT_STRING_EQUAL(fixture_render(&fixture, "text", 40),
                           "Fields\n"
                           "  size        1.0 MiB\n"
                           "  executable  /a/path/that/is/so.../page\n"
                           "  a label that is longer than a label should be\n"
                           "              4,321\n"
                           "  no label\n"
                           "  exact       1,048,576\n"
                           "  text        some words that need more\n"
                           "              than one line\n");
    fixture_deinit(&fixture);
}

static void prose_is_paragraphs(void)
{
    static const struct cw_report_column columns[] = {
        {"a", "", 0}, {"b", "", CW_COLUMN_DATA}, {"c", "", 0}, {"d", "Advice", 0}};
    const struct cw_cell cells[] = {cw_cell_text("One sentence. Another one."),
                                    cw_cell_text("data"),
                                    cw_cell_absent(),
                                    cw_cell_text("do something")};
    struct fixture fixture;
    fixture_init(&fixture);
    cw_report_add_row(&fixture.report,
                      fixture_add(&fixture, CW_SECTION_PROSE, "p", NULL, columns, COUNT(columns)),
                      cells);
    CU_ASSERT_STRING_EQUAL(fixture_render(&fixture, "text", 20),
                           "One sentence.\nAnother one.\n\nAdvice: do something\n");
    fixture_deinit(&fixture);
}

/* --- commands ----------------------------------------------------------------------------- */

static const struct cw_report_column command_columns[] = {{"command", "", 0}, {"why", "", 0}};

static void fill_commands(struct fixture *fixture, const char *remark)
{
    struct cw_report_section *section = fixture_add(
        fixture, CW_SECTION_COMMANDS, "next", "Next", command_columns, COUNT(command_columns));
    const struct cw_cell rows[][2] = {
        {cw_cell_text("corewalk list core --name 'a b  c' --min-size 4k"), cw_cell_text(remark)},
        {cw_cell_text("corewalk help"), cw_cell_absent()},
        {cw_cell_text("corewalk block"), cw_cell_text("one")},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        cw_report_add_row(&fixture->report, section, rows[i]);
    }
}

static void remarks_stand_behind_commands_if_they_fit(void)
{
    struct fixture fixture;
    fixture_init(&fixture);
    fill_commands(&fixture, "all");
    CU_ASSERT_STRING_EQUAL(fixture_render(&fixture, "text", 80),
                           "Next\n"
                           "  corewalk list core --name 'a b  c' --min-size 4k  # all\n"
                           "  corewalk help\n"
                           "  corewalk block                                    # one\n");
    fixture_deinit(&fixture);
}

/* A pasted command must mean the same: no break inside quotes or words. */
static void long_commands_continue_as_a_shell_reads_them(void)
{
    struct fixture fixture;
    fixture_init(&fixture);
    fill_commands(&fixture, "every one of these, and of those that look like them");
    CU_ASSERT_STRING_EQUAL(fixture_render(&fixture, "text", 32),
                           "Next\n"
                           "  # every one of these, and of\n"
                           "    those that look like them\n"
                           "  corewalk list core --name \\\n"
                           "      'a b  c' --min-size 4k\n"
                           "  corewalk help\n"
                           "  # one\n"
                           "  corewalk block\n");
    CU_ASSERT_STRING_EQUAL(fixture_render(&fixture, "text", 20),
                           "Next\n"
                           "  # every one of\n"
                           "    these, and of\n"
                           "    those that look\n"
                           "    like them\n"
                           "  corewalk list \\\n"
                           "      core --name \\\n"
                           "      'a b  c' \\\n"
                           "      --min-size 4k\n"
                           "  corewalk help\n"
                           "  # one\n"
                           "  corewalk block\n");
    fixture_deinit(&fixture);
}

/* --- tables ------------------------------------------------------------------------------- */

static const struct cw_report_column table_columns[] = {
    {"name", "name", CW_COLUMN_CUT},
    {"bytes", "size", 0},
    {NULL, "share", CW_COLUMN_HUMAN | CW_COLUMN_BAR},
    {"count", "count", 0},
    {"absent", "absent", 0},
    {"text", "evidence", CW_COLUMN_WRAP},
};

static void fill_table(struct fixture *fixture)
{
    struct cw_report_section *section =
        fixture_add(fixture, CW_SECTION_TABLE, "t", "Table", table_columns, COUNT(table_columns));
    const struct cw_cell rows[][COUNT(table_columns)] = {
        {cw_cell_text("std::map<std::string, Session*>::node"),
         cw_cell_bytes(3 << 20),
         cw_cell_share(3, 4),
         cw_cell_count(1234567),
         cw_cell_absent(),
         cw_cell_text("the vtable of Session, found in nearly every chunk")},
        {cw_cell_text("short"),
         cw_cell_bytes(1 << 10),
         cw_cell_share(1, 4096),
         cw_cell_absent(),
         cw_cell_absent(),
         cw_cell_absent()},
        {cw_cell_text("half"),
         cw_cell_bytes(17),
         cw_cell_share(3, 8),
         cw_cell_count(1),
         cw_cell_absent(),
         cw_cell_text("a guess")},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        cw_report_add_row(&fixture->report, section, rows[i]);
    }
}

static void tables_take_what_the_page_has(void)
{
    struct fixture fixture;
    fixture_init(&fixture);
    fill_table(&fixture);
    CU_ASSERT_STRING_EQUAL(fixture_render(&fixture, "text", 132),
                           "Table\n"
                           "  name                                      size   share               "
                           "    count  evidence\n"
                           "  std::map<std::string, Session*>::node  3.0 MiB  75.0 %  ###########  "
                           "1,234,567  the vtable of Session, found in nearly every chunk\n"
                           "  short                                  1.0 KiB  <0.1 %\n"
                           "  half                                      17 B  37.5 %  ######       "
                           "        1  a guess\n");
    CU_ASSERT_STRING_EQUAL(
        fixture_render(&fixture, "text", 80),
        "Table\n"
        "  name                                      size   share                   count\n"
        "  std::map<std::string, Session*>::node  3.0 MiB  75.0 %  ###########  1,234,567\n"
        "      the vtable of Session, found in nearly every chunk\n"
        "  short                                  1.0 KiB  <0.1 %\n"
        "  half                                      17 B  37.5 %  ######               1\n"
        "      a guess\n");
    CU_ASSERT_STRING_EQUAL(fixture_render(&fixture, "text", 60),
                           "Table\n"
                           "  name                         size   share      count\n"
                           "  std::map<std::st...:node  3.0 MiB  75.0 %  1,234,567\n"
                           "      the vtable of Session, found in nearly every chunk\n"
                           "  short                     1.0 KiB  <0.1 %\n"
                           "  half                         17 B  37.5 %          1\n"
                           "      a guess\n");
    CU_ASSERT_STRING_EQUAL(fixture_render(&fixture, "text", 40),
                           "Table\n"
                           "  name           size   share      count\n"
                           "  std::m...e  3.0 MiB  75.0 %  1,234,567\n"
                           "      the vtable of Session, found in\n"
                           "      nearly every chunk\n"
                           "  short       1.0 KiB  <0.1 %\n"
                           "  half           17 B  37.5 %          1\n"
                           "      a guess\n");
    CU_ASSERT_STRING_EQUAL(fixture_render(&fixture, "text", 30),
                           "Table\n"
                           "  name      std::map<std...ode\n"
                           "  size      3.0 MiB\n"
                           "  share     75.0 %\n"
                           "  count     1,234,567\n"
                           "  evidence  the vtable of\n"
                           "            Session, found in\n"
                           "            nearly every chunk\n"
                           "\n"
                           "  name      short\n"
                           "  size      1.0 KiB\n"
                           "  share     <0.1 %\n"
                           "\n"
                           "  name      half\n"
                           "  size      17 B\n"
                           "  share     37.5 %\n"
                           "  count     1\n"
                           "  evidence  a guess\n");
    fixture_deinit(&fixture);
}

static void texts_are_cut_when_nothing_else_helps(void)
{
    static const struct cw_report_column columns[] = {{"a", "label", 0}, {"b", "size", 0}};
    const struct cw_cell cells[] = {cw_cell_text("a text without a flag that is long"),
                                    cw_cell_bytes(1 << 30)};
    struct fixture fixture;
    fixture_init(&fixture);
    cw_report_add_row(
        &fixture.report, fixture_add(&fixture, CW_SECTION_TABLE, "t", NULL, columns, 2), cells);
    CU_ASSERT_STRING_EQUAL(fixture_render(&fixture, "text", 30),
                           "label                     size\n"
                           "a text without...long  1.0 GiB\n");
    fixture_deinit(&fixture);
}

static void tables_without_labels_have_no_heading(void)
{
    static const struct cw_report_column columns[] = {{"a", "", 0}, {"b", NULL, CW_COLUMN_WRAP}};
    const struct cw_cell cells[] = {cw_cell_text("info"),
                                    cw_cell_text("all is well, or so it seems")};
    struct fixture fixture;
    fixture_init(&fixture);
    struct cw_report_section *section =
        fixture_add(&fixture, CW_SECTION_TABLE, "t", NULL, columns, 2);
    section->note = "A note that is wrapped, too.";
    cw_report_add_row(&fixture.report, section, cells);
    CU_ASSERT_STRING_EQUAL(fixture_render(&fixture, "text", 26),
                           "info  all is well, or so\n"
                           "      it seems\n"
                           "\n"
                           "A note that is wrapped,\n"
                           "too.\n");
    fixture_deinit(&fixture);
}

static void bars_of_nothing_are_left_out(void)
{
    static const struct cw_report_column columns[] = {{"a", "share", CW_COLUMN_BAR}};
    const struct cw_cell cells[] = {cw_cell_share(0, 1)};
    struct fixture fixture;
    fixture_init(&fixture);
    cw_report_add_row(
        &fixture.report, fixture_add(&fixture, CW_SECTION_TABLE, "t", NULL, columns, 1), cells);
    CU_ASSERT_STRING_EQUAL(fixture_render(&fixture, "text", 80), "share\n0.0 %\n");
    fixture_deinit(&fixture);
}

static void color_is_only_where_it_was_asked_for(void)
{
    static const struct cw_report_column columns[] = {{"severity", "what", CW_COLUMN_SEVERITY},
                                                      {"share", "share", CW_COLUMN_BAR}};
    static const char *const severities[] = {"info", "warning", "error"};
    struct fixture fixture;
    fixture_init(&fixture);
    struct cw_report_section *section =
        fixture_add(&fixture, CW_SECTION_TABLE, "t", "Title", columns, 2);
    for (size_t i = 0; i < COUNT(severities); i++) {
        const struct cw_cell cells[] = {cw_cell_text(severities[i]), cw_cell_share(i, 2)};
        cw_report_add_row(&fixture.report, section, cells);
    }
    fixture_render_styled(&fixture, "text", (struct cw_style){.width = 30, .color = true});
    CU_ASSERT_STRING_EQUAL(fixture.sink.text,
                           "\x1b[1mTitle\x1b[0m\n"
                           "  \x1b[1mwhat\x1b[0m       \x1b[1mshare\x1b[0m\n"
                           "  info       0.0 %\n"
                           "  \x1b[33mwarning\x1b[0m   50.0 %  \x1b[36m#####\x1b[0m\n"
                           "  \x1b[31merror\x1b[0m    100.0 %  \x1b[36m##########\x1b[0m\n");
    CU_ASSERT_PTR_NULL(strchr(fixture_render(&fixture, "text", 30), '\x1b'));
    fixture_deinit(&fixture);
}

/* --- streams ------------------------------------------------------------------------------ */

static const struct cw_report_column stream_columns[] = {
    {"address", "address", 0},
    {"bytes", "bytes", CW_COLUMN_EXACT},
    {"hidden", "hidden", CW_COLUMN_DATA},
    {"state", NULL, 0},
    {"name", "name", CW_COLUMN_CUT},
};
static const unsigned stream_widths[] = {10, 8, 8, 6, 10};

static const char *stream_rows(struct fixture *fixture,
                               const unsigned *widths,
                               const struct cw_cell (*rows)[COUNT(stream_columns)],
                               size_t row_count)
{
    sink_destroy(&fixture->sink);
    struct cw_row_stream stream = {
        .renderer = cw_renderer_named("text"),
        .writer = sink_writer(&fixture->sink),
        .columns = stream_columns,
        .widths = widths,
        .column_count = COUNT(stream_columns),
    };
    CU_ASSERT_EQUAL(cw_row_stream_begin(&stream, &fixture->arena, &fixture->err), CW_OK);
    for (size_t i = 0; i < row_count; i++) {
        CU_ASSERT_TRUE(cw_row_stream_add(&stream, rows[i]));
    }
    CU_ASSERT_EQUAL(cw_row_stream_end(&stream, &fixture->err), CW_OK);
    return fixture->sink.text;
}

static void streams_align_by_hints(void)
{
    const struct cw_cell rows[][COUNT(stream_columns)] = {
        {cw_cell_address(0xabc0),
         cw_cell_bytes(1234),
         cw_cell_count(9),
         cw_cell_text("used"),
         cw_cell_text("a name that is longer than its hint")},
        {cw_cell_address(0x7f31a4021b30),
         cw_cell_bytes(1ULL << 40),
         cw_cell_count(9),
         cw_cell_absent(),
         cw_cell_absent()},
    };
    struct fixture fixture;
    fixture_init(&fixture);
    CU_ASSERT_STRING_EQUAL(stream_rows(&fixture, stream_widths, rows, 2),
                           "address        bytes          name\n"
                           "0xabc0         1,234  used    a name that is longer than its hint\n"
                           "0x7f31a4021b30  1,099,511,627,776\n");
    CU_ASSERT_STRING_EQUAL(stream_rows(&fixture, NULL, rows, 1),
                           "address  bytes    name\n"
                           "0xabc0  1,234  used  a name that is longer than its hint\n");
    fixture_deinit(&fixture);
}

static void an_empty_stream_is_a_heading(void)
{
    struct fixture fixture;
    fixture_init(&fixture);
    CU_ASSERT_STRING_EQUAL(stream_rows(&fixture, stream_widths, NULL, 0),
                           "address     bytes             name\n");
    fixture_deinit(&fixture);
}

static void the_last_text_of_a_stream_fits_the_page(void)
{
    static const struct cw_report_column columns[] = {
        {"state", "state", 0}, {"name", "name", CW_COLUMN_CUT}, {"data", "", CW_COLUMN_DATA}};
    static const unsigned widths[] = {8, 30, 0};
    const struct cw_cell rows[][3] = {
        {cw_cell_text("used"), cw_cell_text("std::map<std::string, Session>"), cw_cell_text("x")},
        {cw_cell_text("longer-than-its-column"),
         cw_cell_text("std::map<std::string, Session>"),
         cw_cell_text("x")},
    };
    struct fixture fixture;
    fixture_init(&fixture);
    struct cw_row_stream stream = {.renderer = cw_renderer_named("text"),
                                   .writer = sink_writer(&fixture.sink),
                                   .style = {.width = 34},
                                   .columns = columns,
                                   .widths = widths,
                                   .column_count = 3};
    CU_ASSERT_EQUAL(cw_row_stream_begin(&stream, &fixture.arena, &fixture.err), CW_OK);
    CU_ASSERT_TRUE(cw_row_stream_add(&stream, rows[0]));
    CU_ASSERT_TRUE(cw_row_stream_add(&stream, rows[1]));
    cw_row_stream_note(&stream, "That is all.");
    CU_ASSERT_EQUAL(cw_row_stream_end(&stream, &fixture.err), CW_OK);
    CU_ASSERT_STRING_EQUAL(fixture.sink.text,
                           "state     name\n"
                           "used      std::map<std::st...sion>\n"
                           "longer-than-its-column  std::ma...n>\n"
                           "That is all.\n");
    fixture_deinit(&fixture);
}

static void only_the_heading_of_a_stream_is_styled(void)
{
    static const struct cw_report_column columns[] = {{"a", "name", 0}, {"b", "no", 0}};
    static const unsigned widths[] = {6, 6};
    const struct cw_cell cells[] = {cw_cell_text("x"), cw_cell_text("y")};
    struct fixture fixture;
    fixture_init(&fixture);
    struct cw_row_stream stream = {.renderer = cw_renderer_named("text"),
                                   .writer = sink_writer(&fixture.sink),
                                   .style = {.color = true},
                                   .columns = columns,
                                   .widths = widths,
                                   .column_count = 2};
    CU_ASSERT_EQUAL(cw_row_stream_begin(&stream, &fixture.arena, &fixture.err), CW_OK);
    CU_ASSERT_TRUE(cw_row_stream_add(&stream, cells));
    CU_ASSERT_EQUAL(cw_row_stream_end(&stream, &fixture.err), CW_OK);
    CU_ASSERT_STRING_EQUAL(fixture.sink.text, "\x1b[1mname    no\x1b[0m\nx       y\n");
    fixture_deinit(&fixture);
}

CW_TEST_MAIN("report/render_text",
             CW_TEST(empty_reports_are_empty_pages),
             CW_TEST(fields_align_their_values),
             CW_TEST(prose_is_paragraphs),
             CW_TEST(remarks_stand_behind_commands_if_they_fit),
             CW_TEST(long_commands_continue_as_a_shell_reads_them),
             CW_TEST(tables_take_what_the_page_has),
             CW_TEST(texts_are_cut_when_nothing_else_helps),
             CW_TEST(tables_without_labels_have_no_heading),
             CW_TEST(bars_of_nothing_are_left_out),
             CW_TEST(color_is_only_where_it_was_asked_for),
             CW_TEST(streams_align_by_hints),
             CW_TEST(an_empty_stream_is_a_heading),
             CW_TEST(the_last_text_of_a_stream_fits_the_page),
             CW_TEST(only_the_heading_of_a_stream_is_styled))
