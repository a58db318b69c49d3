/* report/render_markdown: tables, escaping, code spans, streams. */
#include "sink.h"
#include "support/unit.h"

static void render_one(struct fixture *fixture,
                       enum cw_section_kind kind,
                       unsigned flags,
                       const char *label,
                       struct cw_cell cell)
{
    const struct cw_report_column column = {"k", label, flags};
    fixture_init(fixture);
    cw_report_add_row(&fixture->report, fixture_add(fixture, kind, "s", NULL, &column, 1), &cell);
    CU_ASSERT_STRING_NOT_EQUAL(fixture_render(fixture, "markdown", 80), "");
}

static void assert_field(const char *text, unsigned flags, const char *expected)
{
    struct fixture fixture;
    char line[256];
    render_one(&fixture, CW_SECTION_FIELDS, flags, "k", cw_cell_text(text));
    snprintf(line, sizeof line, "- k: %s\n", expected);
    CU_ASSERT_STRING_EQUAL(fixture.sink.text, line);
    fixture_deinit(&fixture);
}

static void assert_in_table(const char *text, unsigned flags, const char *expected)
{
    struct fixture fixture;
    char table[256];
    render_one(&fixture, CW_SECTION_TABLE, flags, "k", cw_cell_text(text));
    snprintf(table, sizeof table, "| k |\n|:---|\n| %s |\n", expected);
    CU_ASSERT_STRING_EQUAL(fixture.sink.text, table);
    fixture_deinit(&fixture);
}

static void assert_paragraph(const char *text, const char *expected)
{
    struct fixture fixture;
    char paragraph[256];
    render_one(&fixture, CW_SECTION_PROSE, 0, "", cw_cell_text(text));
    snprintf(paragraph, sizeof paragraph, "%s\n", expected);
    CU_ASSERT_STRING_EQUAL(fixture.sink.text, paragraph);
    fixture_deinit(&fixture);
}

static void escapes_running_text(void)
{
    assert_field(
        "a_b *c* `d` [e](f) ~g~ $h$", 0, "a\\_b \\*c\\* \\`d\\` \\[e\\](f) \\~g\\~ \\$h\\$");
    assert_field("<script>&amp;", 0, "&lt;script&gt;&amp;amp;");
    assert_field("\\x1b|", 0, "\\\\x1b\\|");
    assert_in_table("a\\|b|c", 0, "a\\\\\\|b\\|c");
}

/* Pasted into an issue, nothing must call a stranger or link to another issue. */
static void makes_no_references(void)
{
    assert_field("thread #3 of @someone", 0, "thread #<!-- -->3 of @<!-- -->someone");
    assert_field("memcpy@plt # x", 0, "memcpy@plt # x");
}

static void begins_no_blocks(void)
{
    assert_paragraph("- no list", "\\- no list");
    assert_paragraph("# no title", "\\# no title");
    assert_paragraph("1. no list", "1\\. no list");
    assert_paragraph("12) no list", "12\\) no list");
    assert_paragraph("  4 KiB", "4 KiB");
    assert_paragraph("> no quote", "&gt; no quote");
}

static void names_are_code(void)
{
    assert_field("std::vector<a_b>", CW_COLUMN_CUT, "`std::vector<a_b>`");
    assert_field("a|b", CW_COLUMN_CUT, "`a|b`");
    assert_field("a`b", CW_COLUMN_CUT, "``a`b``");
    assert_field("`a``b", CW_COLUMN_CUT, "``` `a``b ```");
    assert_field("b`", CW_COLUMN_CUT, "`` b` ``");
    assert_field(" a ", CW_COLUMN_CUT, "`  a  `");
    assert_field("", CW_COLUMN_CUT, "");
    assert_in_table("operator|", CW_COLUMN_CUT, "`operator\\|`");
    assert_in_table("a\\|b", CW_COLUMN_CUT, "a\\\\\\|b");
    assert_field("a\\|b", CW_COLUMN_CUT, "`a\\|b`");
}

static void lists_are_written_item_by_item(void)
{
    static const char *const words[] = {"a_b", "c"};
    static const cw_addr addresses[] = {0x10, 0x20};
    struct fixture fixture;
    render_one(&fixture, CW_SECTION_FIELDS, 0, "k", cw_cell_words(words, 2));
    CU_ASSERT_STRING_EQUAL(fixture.sink.text, "- k: a\\_b, c\n");
    fixture_deinit(&fixture);
    render_one(&fixture, CW_SECTION_FIELDS, CW_COLUMN_CUT, "k", cw_cell_words(words, 2));
    CU_ASSERT_STRING_EQUAL(fixture.sink.text, "- k: `a_b`, `c`\n");
    fixture_deinit(&fixture);
    render_one(&fixture, CW_SECTION_FIELDS, 0, "", cw_cell_addresses(addresses, 2));
    CU_ASSERT_STRING_EQUAL(fixture.sink.text, "- `0x10`, `0x20`\n");
    fixture_deinit(&fixture);
}

static void commands_are_fenced(void)
{
    static const struct cw_report_column columns[] = {{"c", "", 0}, {"w", "", 0}};
    const struct cw_cell rows[][2] = {
        {cw_cell_text("corewalk list --name 'a|<b>'"), cw_cell_text("why")},
        {cw_cell_text("echo '````'"), cw_cell_absent()},
    };
    struct fixture fixture;
    fixture_init(&fixture);
    struct cw_report_section *section =
        fixture_add(&fixture, CW_SECTION_COMMANDS, "n", "Next_", columns, 2);
    cw_report_add_row(&fixture.report, section, rows[0]);
    cw_report_add_row(&fixture.report, section, rows[1]);
    CU_ASSERT_STRING_EQUAL(fixture_render(&fixture, "markdown", 80),
                           "### Next\\_\n\n`````sh\ncorewalk list --name 'a|<b>'  # why\n"
                           "echo '````'\n`````\n");
    fixture_deinit(&fixture);
}

static void tables_align_numbers_and_leave_out_empty_columns(void)
{
    static const struct cw_report_column columns[] = {{"a", "bytes", 0},
                                                      {"b", "gone", 0},
                                                      {"c", "data", CW_COLUMN_DATA},
                                                      {"d", "at", 0},
                                                      {"e", "share", CW_COLUMN_BAR},
                                                      {"f", NULL, 0}};
    const struct cw_cell rows[][6] = {
        {cw_cell_absent(),
         cw_cell_absent(),
         cw_cell_count(1),
         cw_cell_address(0xabc),
         cw_cell_share(1, 2),
         cw_cell_bool(true)},
        {cw_cell_bytes(2048),
         cw_cell_absent(),
         cw_cell_count(1),
         cw_cell_absent(),
         cw_cell_share(1, 2),
         cw_cell_bool(false)},
    };
    struct fixture fixture;
    fixture_init(&fixture);
    struct cw_report_section *section =
        fixture_add(&fixture, CW_SECTION_TABLE, "n", NULL, columns, COUNT(columns));
    section->note = "A *note*.";
    cw_report_add_row(&fixture.report, section, rows[0]);
    cw_report_add_row(&fixture.report, section, rows[1]);
    section = fixture_add(&fixture, CW_SECTION_TABLE, "e", "None", columns, COUNT(columns));
    section->empty_text = "There are none.";
    CU_ASSERT_STRING_EQUAL(fixture_render(&fixture, "markdown", 80),
                           "| bytes | at | share |  |\n"
                           "|---:|:---|---:|:---|\n"
                           "|  | `0xabc` | 50.0 % | yes |\n"
                           "| 2.0 KiB |  | 50.0 % | no |\n"
                           "\n"
                           "A \\*note\\*.\n"
                           "\n"
                           "### None\n"
                           "\n"
                           "There are none.\n");
    fixture_deinit(&fixture);
}

static void streams_are_tables(void)
{
    static const struct cw_report_column columns[] = {{"a", "address", 0},
                                                      {"b", "bytes", CW_COLUMN_EXACT},
                                                      {"c", "no", CW_COLUMN_DATA},
                                                      {"d", "name", CW_COLUMN_CUT}};
    const struct cw_cell cells[] = {
        cw_cell_address(0x10), cw_cell_bytes(1024), cw_cell_count(1), cw_cell_text("a|b")};
    for (size_t rows = 0; rows < 2; rows++) {
        struct fixture fixture;
        fixture_init(&fixture);
        struct cw_row_stream stream = {.renderer = cw_renderer_named("markdown"),
                                       .writer = sink_writer(&fixture.sink),
                                       .columns = columns,
                                       .column_count = COUNT(columns)};
        cw_row_stream_begin(&stream, &fixture.arena, &fixture.err);
        for (size_t i = 0; i < rows; i++) {
            cw_row_stream_add(&stream, cells);
        }
        cw_row_stream_end(&stream, &fixture.err);
        CU_ASSERT_STRING_EQUAL(fixture.sink.text,
                               rows == 0 ? "| address | bytes | name |\n|:---|:---|:---|\n"
                                         : "| address | bytes | name |\n|:---|---:|:---|\n"
                                           "| `0x10` | 1,024 | `a\\|b` |\n");
        fixture_deinit(&fixture);
    }
}

CW_TEST_MAIN("report/render_markdown",
             CW_TEST(escapes_running_text),
             CW_TEST(makes_no_references),
             CW_TEST(begins_no_blocks),
             CW_TEST(names_are_code),
             CW_TEST(lists_are_written_item_by_item),
             CW_TEST(commands_are_fenced),
             CW_TEST(tables_align_numbers_and_leave_out_empty_columns),
             CW_TEST(streams_are_tables))
