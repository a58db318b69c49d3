/* A report like that of `corewalk analyze`: the page whose goldens test_page.c keeps. */
#pragma once

#include "report/model.h"
#include "sink.h"

static inline void sample_head(struct cw_report *report)
{
    static const struct cw_report_column tool[] = {
        {"schema", "", CW_COLUMN_DATA},
        {"tool.name", "", CW_COLUMN_DATA},
        {"tool.version", "", CW_COLUMN_DATA},
    };
    const struct cw_cell tool_cells[] = {
        cw_cell_text("corewalk/report/1"), cw_cell_text("corewalk"), cw_cell_text("0.1.0")};
    struct cw_report_section *section =
        cw_report_add(report, CW_SECTION_FIELDS, "", NULL, tool, COUNT(tool));
    section->hidden = true;
    cw_report_add_row(report, section, tool_cells);

    static const struct cw_report_column columns[] = {
        {NULL, "corewalk", CW_COLUMN_HUMAN},
        {"kind", "", CW_COLUMN_DATA},
        {"executable.path", "program", CW_COLUMN_CUT},
        {"executable.build_id", "build-id", 0},
        {"pid", "pid", CW_COLUMN_DATA},
        {"arch", "machine", CW_COLUMN_DATA},
        {"word_bytes", "", CW_COLUMN_DATA},
        {"libc.flavor", "", CW_COLUMN_DATA},
        {"libc.version", "", CW_COLUMN_DATA},
        {"libc.layout", "", CW_COLUMN_DATA},
        {"libc.evidence", "", CW_COLUMN_DATA},
        {NULL, "libc", CW_COLUMN_HUMAN},
        {"thread_count", "threads", 0},
        {"complete", "", CW_COLUMN_DATA},
        {"missing_bytes", "missing", 0},
    };
    const struct cw_cell cells[] = {
        cw_cell_text("0.1.0, core.1234 of pid 1234, x86-64"),
        cw_cell_text("core"),
        cw_cell_text("/srv/app/bin/sessiond"),
        cw_cell_text("6f3c0de5b8f1a2d4"),
        cw_cell_count(1234),
        cw_cell_text("x86_64"),
        cw_cell_count(8),
        cw_cell_text("glibc"),
        cw_cell_text("2.36"),
        cw_cell_text("2.27-2.42"),
        cw_cell_text("tcache of 64 bins at the first chunk of the main arena"),
        cw_cell_text("glibc 2.36 (layout 2.27-2.42 found in the data: tcache of 64 bins at the "
                     "first chunk of the main arena)"),
        cw_cell_count(16),
        cw_cell_bool(false),
        cw_cell_bytes(1288490188),
    };
    section = cw_report_add(report, CW_SECTION_FIELDS, "target", NULL, columns, COUNT(columns));
    cw_report_add_row(report, section, cells);
}

static inline void sample_verdict(struct cw_report *report)
{
    static const struct cw_report_column columns[] = {{"kind", "", CW_COLUMN_DATA},
                                                      {"text", "", 0}};
    const struct cw_cell cells[] = {
        cw_cell_text("growth"),
        cw_cell_text("The heap holds 9.4 GiB, and 78.1 % of that are 38,211,404 objects of one "
                     "class, Session. It is growth, not hoarding: only 2.0 % of the heap is "
                     "free."),
    };
    struct cw_report_section *section =
        cw_report_add(report, CW_SECTION_PROSE, "verdict", NULL, columns, COUNT(columns));
    cw_report_add_row(report, section, cells);

    static const struct cw_report_column notes[] = {{"severity", "", CW_COLUMN_SEVERITY},
                                                    {"code", "", CW_COLUMN_DATA},
                                                    {"text", "", CW_COLUMN_WRAP}};
    const struct cw_cell truncated[] = {
        cw_cell_text("warning"),
        cw_cell_text("core-truncated"),
        cw_cell_text("the file ends 1.2 GiB early: two thread arenas are read only in part, so "
                     "their chunks are missing from every sum below"),
    };
    const struct cw_cell from_file[] = {
        cw_cell_text("info"),
        cw_cell_text("from-file"),
        cw_cell_text("4.1 MiB of read-only data taken from /srv/app/bin/sessiond (build-ids "
                     "agree)"),
    };
    section =
        cw_report_add(report, CW_SECTION_TABLE, "coverage", "What is missing", notes, COUNT(notes));
    cw_report_add_row(report, section, truncated);
    cw_report_add_row(report, section, from_file);
}

static inline void sample_ledger(struct cw_report *report)
{
    static const struct {
        const char *owner;
        const char *label;
        uint64_t bytes;
        uint64_t count;
    } rows[] = {
        {"heap-used", "heap: in use by the program", 10093173145, 51002117},
        {"heap-free", "heap: free, kept by the allocator", 201326592, 90412},
        {"heap-overhead", "heap: the allocator's own", 2163712, 16},
        {"mmapped", "mmapped chunks", 1073741824, 3},
        {"stacks", "thread stacks", 134217728, 16},
        {"modules", "data of modules", 9433088, 31},
        {"anonymous", "other anonymous mappings", 4096, 1},
    };
    static const struct cw_report_column total_columns[] = {{"total_bytes", "", 0}};
    static const struct cw_report_column columns[] = {
        {"owner", "", CW_COLUMN_DATA},
        {"label", "", 0},
        {"bytes", "size", 0},
        {NULL, "share", CW_COLUMN_HUMAN | CW_COLUMN_BAR},
        {"count", "count", 0},
    };
    uint64_t total = 0;
    for (size_t i = 0; i < COUNT(rows); i++) {
        total += rows[i].bytes;
    }
    const struct cw_cell total_cells[] = {cw_cell_bytes(total)};
    struct cw_report_section *section = cw_report_add(
        report, CW_SECTION_FIELDS, "ledger", NULL, total_columns, COUNT(total_columns));
    section->hidden = true;
    cw_report_add_row(report, section, total_cells);
    section = cw_report_add(report,
                            CW_SECTION_TABLE,
                            "ledger.rows",
                            "Where the memory is: 10.7 GiB writable",
                            columns,
                            COUNT(columns));
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct cw_cell cells[] = {
            cw_cell_text(rows[i].owner),
            cw_cell_text(rows[i].label),
            cw_cell_bytes(rows[i].bytes),
            cw_cell_share(rows[i].bytes, total),
            cw_cell_count(rows[i].count),
        };
        cw_report_add_row(report, section, cells);
    }
}

static inline void sample_populations(struct cw_report *report)
{
    static const struct {
        const char *id;
        const char *name;
        const char *kind;
        const char *confidence;
        const char *evidence;
        uint64_t bytes;
        uint64_t count;
    } rows[] = {
        {"p1",
         "Session",
         "vtable",
         "certain",
         "vtable for Session at sessiond+0x4d20",
         7881299348,
         38211404},
        {"p2",
         "std::_Rb_tree_node<std::pair<std::string const, std::shared_ptr<net::Connection>>>",
         "vtable",
         "probable",
         "vtable for std::_Sp_counted_ptr_inplace<net::Connection> at "
         "sessiond+0x51a8, in 12,201 of 12,288 chunks",
         1503238553,
         9395240},
        {"p3",
         "text: JSON",
         "text",
         "guess",
         "begins with '{\"', printable to its end",
         608174080,
         3341001},
        {"p4", "48 bytes", "size", "guess", NULL, 73728, 1536},
    };
    static const struct cw_report_column columns[] = {
        {"id", "", CW_COLUMN_DATA},
        {"bytes", "size", 0},
        {NULL, "share", CW_COLUMN_HUMAN},
        {"count", "count", 0},
        {NULL, "average", CW_COLUMN_HUMAN},
        {"name", "name", CW_COLUMN_CUT},
        {"kind", "", CW_COLUMN_DATA},
        {"confidence", "", CW_COLUMN_DATA},
        {"evidence", "evidence", CW_COLUMN_WRAP},
        {"samples", "", CW_COLUMN_DATA},
    };
    static const cw_addr samples[] = {0x55d0c0a812a0, 0x7f31a4000b70};
    struct cw_report_section *section = cw_report_add(
        report, CW_SECTION_TABLE, "populations", "What fills the heap", columns, COUNT(columns));
    section->note = "Shares are of the 9.4 GiB that the program holds. 0.7 % of them have no name "
                    "but their size.";
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct cw_cell cells[] = {
            cw_cell_text(rows[i].id),
            cw_cell_bytes(rows[i].bytes),
            cw_cell_share(rows[i].bytes, 10093173145),
            cw_cell_count(rows[i].count),
            cw_cell_bytes(rows[i].bytes / rows[i].count),
            cw_cell_text(rows[i].name),
            cw_cell_text(rows[i].kind),
            cw_cell_text(rows[i].confidence),
            cw_cell_text(rows[i].evidence),
            cw_cell_addresses(samples, i == 0 ? COUNT(samples) : 1),
        };
        cw_report_add_row(report, section, cells);
    }
}

static inline void sample_tail(struct cw_report *report)
{
    static const struct cw_report_column findings[] = {
        {"severity", "", CW_COLUMN_SEVERITY},
        {"address", "", 0},
        {"code", "", CW_COLUMN_DATA},
        {"text", "", CW_COLUMN_WRAP},
    };
    const struct cw_cell broken[] = {
        cw_cell_text("error"),
        cw_cell_address(0x7f31a4021b30),
        cw_cell_text("chunk-size-broken"),
        cw_cell_text("chunk size 0x4141414141414141 runs past the end of its arena; the 1.9 KiB "
                     "behind it are skipped"),
    };
    struct cw_report_section *section =
        cw_report_add(report, CW_SECTION_TABLE, "findings", "Findings", findings, COUNT(findings));
    section->empty_text = "No corruption found.";
    cw_report_add_row(report, section, broken);

    static const struct cw_report_column next[] = {{"command", "", 0}, {"why", "", 0}};
    static const char *const commands[][2] = {
        {"corewalk list core.1234 --name Session --min-size 1k", "each of them"},
        {"corewalk block core.1234 0x55d0c0a812a0", "one of them, word by word"},
        {"corewalk block core.1234 0x7f31a4021b30", "the broken chunk"},
    };
    section =
        cw_report_add(report, CW_SECTION_COMMANDS, "next", "What to type next", next, COUNT(next));
    for (size_t i = 0; i < COUNT(commands); i++) {
        const struct cw_cell cells[] = {cw_cell_text(commands[i][0]), cw_cell_text(commands[i][1])};
        cw_report_add_row(report, section, cells);
    }
}

/* Fills an empty report. */
static inline void sample_fill(struct cw_report *report)
{
    sample_head(report);
    sample_verdict(report);
    sample_ledger(report);
    sample_populations(report);
    sample_tail(report);
}
