/* report/render: the registry, writers that fail, memory that ends, pages of every width. */
#include <stdio.h>

#include "sample.h"
#include "support/unit.h"

static void names_find_renderers(void)
{
    size_t count;
    const struct cw_renderer *const *all = cw_renderers(&count);
    CU_ASSERT_EQUAL_FATAL(count, 3);
    CU_ASSERT_STRING_EQUAL(all[0]->name, "text");
    for (size_t i = 0; i < count; i++) {
        CU_ASSERT_PTR_EQUAL(cw_renderer_named(all[i]->name), all[i]);
        CU_ASSERT(strlen(all[i]->summary) > 0);
    }
    CU_ASSERT_PTR_NULL(cw_renderer_named("textual"));
    CU_ASSERT_PTR_NULL(cw_renderer_named(""));
}

/* Wherever the receiver goes away, at once or between two pieces, every format says so. */
static void failing_writers_are_an_error(void)
{
    static const struct cw_report_column columns[] = {{"a", "a", 0}, {"b", "b", 0}};
    static const size_t limits[] = {1, 70000, 140000};
    size_t count;
    const struct cw_renderer *const *all = cw_renderers(&count);
    for (size_t i = 0; i < count; i++) {
        struct fixture fixture;
        fixture_init(&fixture);
        struct cw_report_section *section =
            fixture_add(&fixture, CW_SECTION_TABLE, "t", "T", columns, 2);
        for (uint64_t row = 0; row < 20000; row++) {
            const struct cw_cell cells[] = {cw_cell_count(row), cw_cell_bytes(row)};
            cw_report_add_row(&fixture.report, section, cells);
        }
        for (size_t j = 0; j < COUNT(limits); j++) {
            fixture.sink.limit = limits[j];
            fixture_render(&fixture, all[i]->name, 80);
            CU_ASSERT_EQUAL(fixture.err.status, CW_ERROR_IO);
            CU_ASSERT(fixture.sink.length <= limits[j]);
        }
        fixture_deinit(&fixture);
    }
}

static void failing_streams_stop(void)
{
    static const struct cw_report_column columns[] = {{"a", "a", 0}};
    size_t count;
    const struct cw_renderer *const *all = cw_renderers(&count);
    for (size_t i = 0; i < count; i++) {
        struct fixture fixture;
        fixture_init(&fixture);
        fixture.sink.limit = 100000;
        struct cw_row_stream stream = {.renderer = all[i],
                                       .writer = sink_writer(&fixture.sink),
                                       .columns = columns,
                                       .column_count = 1};
        CU_ASSERT_EQUAL(cw_row_stream_begin(&stream, &fixture.arena, &fixture.err), CW_OK);
        const struct cw_cell cell = cw_cell_text("0123456789");
        uint64_t added = 0;
        while (added < 1000000 && cw_row_stream_add(&stream, &cell)) {
            added++;
        }
        CU_ASSERT(added < 20000);
        CU_ASSERT_FALSE(cw_row_stream_add(&stream, &cell));
        CU_ASSERT_EQUAL(cw_row_stream_end(&stream, &fixture.err), CW_ERROR_IO);
        CU_ASSERT_EQUAL(fixture.err.status, CW_ERROR_IO);
        fixture_deinit(&fixture);
    }
}

static void streams_need_memory(void)
{
    struct fixture fixture;
    fixture_init(&fixture);
    fixture.budget.limit_bytes = 100;
    struct cw_row_stream stream = {.renderer = cw_renderer_named("json"),
                                   .writer = sink_writer(&fixture.sink)};
    CU_ASSERT_EQUAL(cw_row_stream_begin(&stream, &fixture.arena, &fixture.err), CW_ERROR_MEMORY);
    fixture_deinit(&fixture);
}

/* With whatever memory is left, rendering either succeeds or says that it could not. */
static void rendering_survives_every_memory_limit(void)
{
    size_t count;
    const struct cw_renderer *const *all = cw_renderers(&count);
    for (size_t i = 0; i < count; i++) {
        unsigned failures = 0;
        enum cw_status status = CW_ERROR_MEMORY;
        for (uint64_t more = 0; more < (1 << 20) && status != CW_OK; more += 1024) {
            struct fixture fixture;
            fixture_init(&fixture);
            sample_fill(&fixture.report);
            fixture.budget.limit_bytes = fixture.budget.used_bytes + more;
            status = fixture_render_styled(&fixture, all[i]->name, (struct cw_style){0});
            CU_ASSERT(status == CW_OK || status == CW_ERROR_MEMORY);
            CU_ASSERT_EQUAL(fixture.err.status, status);
            failures += status != CW_OK;
            fixture_deinit(&fixture);
        }
        CU_ASSERT_EQUAL(status, CW_OK);
        CU_ASSERT(failures > 0);
    }
}

/* At any width: ASCII, no blank at the end of a line, and no line longer than the page. */
static void pages_keep_to_their_width(void)
{
    struct fixture fixture;
    fixture_init(&fixture);
    sample_fill(&fixture.report);
    for (unsigned width = 20; width <= 200; width++) {
        size_t column = 0;
        for (const char *at = fixture_render(&fixture, "text", width); *at != '\0'; at++) {
            CU_ASSERT_FATAL(*at == '\n' || (*at >= ' ' && *at <= '~'));
            CU_ASSERT_FATAL(*at != '\n' || at == fixture.sink.text || at[-1] != ' ');
            column = *at == '\n' ? 0 : column + 1;
            /* A word of a command is never broken; those of the sample take 6 + 16 columns. */
            CU_ASSERT_FATAL(column <= (width < 24 ? 24 : width));
        }
    }
    fixture_deinit(&fixture);
}

static const char text_page[] =
    "corewalk  0.1.0, core.1234 of pid 1234, x86-64\n"
    "program   /srv/app/bin/sessiond\n"
    "build-id  6f3c0de5b8f1a2d4\n"
    "libc      glibc 2.36 (layout 2.27-2.42 found in the data: tcache of 64 bins at\n"
    "          the first chunk of the main arena)\n"
    "threads   16\n"
    "missing   1.1 GiB\n"
    "\n"
    "The heap holds 9.4 GiB, and 78.1 % of that are 38,211,404 objects of one class,\n"
    "Session. It is growth, not hoarding: only 2.0 % of the heap is free.\n"
    "\n"
    "What is missing\n"
    "  warning  the file ends 1.2 GiB early: two thread arenas are read only in part,\n"
    "           so their chunks are missing from every sum below\n"
    "  info     4.1 MiB of read-only data taken from /srv/app/bin/sessiond (build-ids\n"
    "           agree)\n"
    "\n"
    "Where the memory is: 10.7 GiB writable\n"
    "                                          size   share                     count\n"
    "  heap: in use by the program          9.3 GiB  87.7 %  ############  51,002,117\n"
    "  heap: free, kept by the allocator  192.0 MiB   1.7 %                    90,412\n"
    "  heap: the allocator's own            2.0 MiB  <0.1 %                        16\n"
    "  mmapped chunks                       1.0 GiB   9.3 %  #                      3\n"
    "  thread stacks                      128.0 MiB   1.2 %                        16\n"
    "  data of modules                      8.9 MiB   0.1 %                        31\n"
    "  other anonymous mappings             4.0 KiB  <0.1 %                         1\n"
    "\n"
    "What fills the heap\n"
    "       size   share       count  average  name\n"
    "    7.3 GiB  78.1 %  38,211,404    206 B  Session\n"
    "      vtable for Session at sessiond+0x4d20\n"
    "    1.3 GiB  14.9 %   9,395,240    160 B  std::_Rb_tree_node<std::pai...ction>>>\n"
    "      vtable for std::_Sp_counted_ptr_inplace<net::Connection> at\n"
    "      sessiond+0x51a8, in 12,201 of 12,288 chunks\n"
    "  580.0 MiB   6.0 %   3,341,001    182 B  text: JSON\n"
    "      begins with '{\"', printable to its end\n"
    "   72.0 KiB  <0.1 %       1,536     48 B  48 bytes\n"
    "\n"
    "  Shares are of the 9.4 GiB that the program holds. 0.7 % of them have no name\n"
    "  but their size.\n"
    "\n"
    "Findings\n"
    "  error  0x7f31a4021b30  chunk size 0x4141414141414141 runs past the end of its\n"
    "                         arena; the 1.9 KiB behind it are skipped\n"
    "\n"
    "What to type next\n"
    "  # each of them\n"
    "  corewalk list core.1234 --name Session --min-size 1k\n"
    "  # one of them, word by word\n"
    "  corewalk block core.1234 0x55d0c0a812a0\n"
    "  # the broken chunk\n"
    "  corewalk block core.1234 0x7f31a4021b30\n";

static const char markdown_page[] =
    "- corewalk: 0.1.0, core.1234 of pid 1234, x86-64\n"
    "- program: `/srv/app/bin/sessiond`\n"
    "- build-id: 6f3c0de5b8f1a2d4\n"
    "- libc: glibc 2.36 (layout 2.27-2.42 found in the data: tcache of 64 bins at the first "
    "chunk of the main arena)\n"
    "- threads: 16\n"
    "- missing: 1.1 GiB\n"
    "\n"
    "The heap holds 9.4 GiB, and 78.1 % of that are 38,211,404 objects of one class, "
    "Session. It is growth, not hoarding: only 2.0 % of the heap is free.\n"
    "\n"
    "### What is missing\n"
    "\n"
    "|  |  |\n"
    "|:---|:---|\n"
    "| warning | the file ends 1.2 GiB early: two thread arenas are read only in part, so "
    "their chunks are missing from every sum below |\n"
    "| info | 4.1 MiB of read-only data taken from /srv/app/bin/sessiond (build-ids agree) |\n"
    "\n"
    "### Where the memory is: 10.7 GiB writable\n"
    "\n"
    "|  | size | share | count |\n"
    "|:---|---:|---:|---:|\n"
    "| heap: in use by the program | 9.3 GiB | 87.7 % | 51,002,117 |\n"
    "| heap: free, kept by the allocator | 192.0 MiB | 1.7 % | 90,412 |\n"
    "| heap: the allocator's own | 2.0 MiB | &lt;0.1 % | 16 |\n"
    "| mmapped chunks | 1.0 GiB | 9.3 % | 3 |\n"
    "| thread stacks | 128.0 MiB | 1.2 % | 16 |\n"
    "| data of modules | 8.9 MiB | 0.1 % | 31 |\n"
    "| other anonymous mappings | 4.0 KiB | &lt;0.1 % | 1 |\n"
    "\n"
    "### What fills the heap\n"
    "\n"
    "| size | share | count | average | name | evidence |\n"
    "|---:|---:|---:|---:|:---|:---|\n"
    "| 7.3 GiB | 78.1 % | 38,211,404 | 206 B | `Session` | vtable for Session at "
    "sessiond+0x4d20 |\n"
    "| 1.3 GiB | 14.9 % | 9,395,240 | 160 B | `std::_Rb_tree_node<std::pair<std::string "
    "const, std::shared_ptr<net::Connection>>>` | vtable for "
    "std::\\_Sp\\_counted\\_ptr\\_inplace&lt;net::Connection&gt; at sessiond+0x51a8, in "
    "12,201 of 12,288 chunks |\n"
    "| 580.0 MiB | 6.0 % | 3,341,001 | 182 B | `text: JSON` | begins with '{\"', printable "
    "to its end |\n"
    "| 72.0 KiB | &lt;0.1 % | 1,536 | 48 B | `48 bytes` |  |\n"
    "\n"
    "Shares are of the 9.4 GiB that the program holds. 0.7 % of them have no name but their "
    "size.\n"
    "\n"
    "### Findings\n"
    "\n"
    "|  |  |  |\n"
    "|:---|:---|:---|\n"
    "| error | `0x7f31a4021b30` | chunk size 0x4141414141414141 runs past the end of its "
    "arena; the 1.9 KiB behind it are skipped |\n"
    "\n"
    "### What to type next\n"
    "\n"
    "```sh\n"
    "corewalk list core.1234 --name Session --min-size 1k  # each of them\n"
    "corewalk block core.1234 0x55d0c0a812a0  # one of them, word by word\n"
    "corewalk block core.1234 0x7f31a4021b30  # the broken chunk\n"
    "```\n";

static void assert_page(const char *format, const char *expected)
{
    struct fixture fixture;
    fixture_init(&fixture);
    sample_fill(&fixture.report);
    CU_ASSERT_STRING_EQUAL(fixture_render(&fixture, format, 0), expected);
    fixture_deinit(&fixture);
}

static void the_page_is_this(void)
{
    assert_page("text", text_page);
    assert_page("markdown", markdown_page);
}

CW_TEST_MAIN("report/render",
             CW_TEST(names_find_renderers),
             CW_TEST(failing_writers_are_an_error),
             CW_TEST(failing_streams_stop),
             CW_TEST(streams_need_memory),
             CW_TEST(rendering_survives_every_memory_limit),
             CW_TEST(pages_keep_to_their_width),
             CW_TEST(the_page_is_this))
