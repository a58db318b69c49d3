/*
 * The report model: sections of typed cells. An analysis says each number once, with its unit and
 * its key of the JSON contract; every renderer shows the same numbers in its own way. Knows no
 * heap.
 *
 *   section "populations"   (CW_SECTION_TABLE: an array of objects in JSON)
 *     columns   bytes        share     count    name          evidence
 *     row       1234567890   0.41      1234     "Session"     "vtable at …"
 *
 * A key with dots nests in JSON: column "used.bytes" becomes {"used": {"bytes": …}}, and a
 * section "ledger.rows" becomes {"ledger": {"rows": […]}}. An absent cell has no key in JSON
 * (absent, never null) and is blank in text.
 */
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "base/vector.h"

enum cw_unit {
    CW_UNIT_ABSENT,
    CW_UNIT_TEXT,
    CW_UNIT_BYTES,
    CW_UNIT_COUNT,
    CW_UNIT_SHARE,   /* 0 … 1 */
    CW_UNIT_ADDRESS, /* "0x…" */
    CW_UNIT_BOOL,
    CW_UNIT_SECONDS,
    CW_UNIT_WORDS,     /* a list of texts */
    CW_UNIT_ADDRESSES, /* a list of addresses */
};

struct cw_cell {
    enum cw_unit unit;
    union {
        const char *text; /* printable ASCII: already escaped */
        uint64_t number;  /* bytes, count, address */
        double real;      /* share, seconds */
        bool boolean;
        struct {
            const char *const *items;
            size_t count;
        } words;
        struct {
            const cw_addr *items;
            size_t count;
        } addresses;
    };
};

static inline struct cw_cell cw_cell_absent(void)
{
    return (struct cw_cell){.unit = CW_UNIT_ABSENT};
}
static inline struct cw_cell cw_cell_text(const char *text)
{
    return (struct cw_cell){.unit = CW_UNIT_TEXT, .text = text};
}
static inline struct cw_cell cw_cell_bytes(uint64_t bytes)
{
    return (struct cw_cell){.unit = CW_UNIT_BYTES, .number = bytes};
}
static inline struct cw_cell cw_cell_count(uint64_t count)
{
    return (struct cw_cell){.unit = CW_UNIT_COUNT, .number = count};
}
/* part / whole; absent when the whole is 0. */
static inline struct cw_cell cw_cell_share(uint64_t part, uint64_t whole)
{
    return whole == 0
               ? cw_cell_absent()
               : (struct cw_cell){.unit = CW_UNIT_SHARE, .real = (double)part / (double)whole};
}
static inline struct cw_cell cw_cell_address(cw_addr address)
{
    return (struct cw_cell){.unit = CW_UNIT_ADDRESS, .number = address};
}
static inline struct cw_cell cw_cell_bool(bool value)
{
    return (struct cw_cell){.unit = CW_UNIT_BOOL, .boolean = value};
}
static inline struct cw_cell cw_cell_seconds(double seconds)
{
    return (struct cw_cell){.unit = CW_UNIT_SECONDS, .real = seconds};
}
static inline struct cw_cell cw_cell_words(const char *const *items, size_t count)
{
    return (struct cw_cell){.unit = CW_UNIT_WORDS, .words = {items, count}};
}
static inline struct cw_cell cw_cell_addresses(const cw_addr *items, size_t count)
{
    return (struct cw_cell){.unit = CW_UNIT_ADDRESSES, .addresses = {items, count}};
}

/* A cell that is not shown anywhere: absent, or a text or number that could not be made. */
static inline bool cw_cell_is_absent(const struct cw_cell *cell)
{
    switch (cell->unit) {
    case CW_UNIT_ABSENT:
        return true;
    case CW_UNIT_TEXT:
        return cell->text == NULL;
    case CW_UNIT_SHARE:
    case CW_UNIT_SECONDS:
        return !__builtin_isfinite(cell->real);
    default:
        return false;
    }
}

enum cw_column_flags {
    CW_COLUMN_DATA = 1,      /* for machines only: not shown in text and markdown */
    CW_COLUMN_HUMAN = 2,     /* for people only: not in JSON (what other cells already say) */
    CW_COLUMN_BAR = 4,       /* a share: text draws a bar behind its number */
    CW_COLUMN_WRAP = 8,      /* free text: takes what width is left, and wraps */
    CW_COLUMN_EXACT = 16,    /* bytes shown as an exact number with separators, not human-sized */
    CW_COLUMN_CUT = 32,      /* a name: cut in its middle ("...") when long; code in markdown */
    CW_COLUMN_SEVERITY = 64, /* "info", "warning" or "error": coloured on a terminal */
};

struct cw_report_column {
    const char *key;   /* of the JSON contract; dots nest; may be NULL with CW_COLUMN_HUMAN */
    const char *label; /* heading in text; "" for none */
    unsigned flags;    /* enum cw_column_flags */
};

static inline const char *cw_report_label(const struct cw_report_column *column)
{
    return column->label != NULL ? column->label : "";
}

enum cw_section_kind {
    CW_SECTION_FIELDS,   /* one row; text shows "label  value" lines, JSON an object */
    CW_SECTION_TABLE,    /* any rows; JSON an array of objects */
    CW_SECTION_PROSE,    /* one row; text shows its cells as paragraphs, JSON an object */
    CW_SECTION_COMMANDS, /* commands to type next, each on its line, and what each is good for in an
                            optional second column; JSON an array of the commands */
};

struct cw_report_section {
    /* Sections that share a prefix, or a key, are merged. "": the fields go to the top level;
     * NULL: not in JSON at all. */
    const char *key;
    const char *title; /* heading; NULL: none, and the content is not indented */
    const char *note;  /* a sentence under the content, in text and markdown; NULL: none */
    /* Shown instead of an empty table; NULL: an empty section is left out in text. */
    const char *empty_text;
    size_t shown_row_limit; /* people see the first so many rows of a table; 0: all */
    enum cw_section_kind kind;
    bool hidden; /* JSON only */
    const struct cw_report_column *columns;
    size_t column_count;
    struct cw_vector cells; /* struct cw_cell, column_count a row */
};

struct cw_report {
    struct cw_arena *arena;
    struct cw_vector sections;      /* struct cw_report_section * */
    bool failed;                    /* out of memory somewhere: rendering says CW_ERROR_MEMORY */
    struct cw_report_section spare; /* handed out, and ignored, once memory is out */
};

void cw_report_init(struct cw_report *report, struct cw_arena *arena);
void cw_report_deinit(struct cw_report *report);

/* A new section at the end; set its other fields directly. Columns are borrowed. Never NULL. */
struct cw_report_section *cw_report_add(struct cw_report *report,
                                        enum cw_section_kind kind,
                                        const char *key,
                                        const char *title,
                                        const struct cw_report_column *columns,
                                        size_t column_count);

/* Appends a row; `cells` holds column_count of them. Texts are borrowed. */
void cw_report_add_row(struct cw_report *report,
                       struct cw_report_section *section,
                       const struct cw_cell *cells);

static inline struct cw_report_section *cw_report_section_at(const struct cw_report *report,
                                                             size_t index)
{
    return *(struct cw_report_section **)cw_vector_at(&report->sections, index);
}

static inline size_t cw_report_row_count(const struct cw_report_section *section)
{
    return section->column_count == 0 ? 0 : section->cells.count / section->column_count;
}

/* Rows that people see. */
static inline size_t cw_report_shown_row_count(const struct cw_report_section *section)
{
    size_t row_count = cw_report_row_count(section);
    size_t limit = section->shown_row_limit;
    return limit != 0 && limit < row_count ? limit : row_count;
}

static inline const struct cw_cell *cw_report_cell(const struct cw_report_section *section,
                                                   size_t row,
                                                   size_t column)
{
    return cw_vector_at(&section->cells, row * section->column_count + column);
}

/* A formatted text in the report's arena; never NULL ("" when out of memory: see failed). */
const char *cw_report_printf(struct cw_report *report, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
