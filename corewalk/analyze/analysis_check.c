/*
 * Verb `check`: is the heap sound, what is damaged, what does it mean, and who did it? The words
 * of damaged headers are overwritten memory: only what is a pointer or a sound size is shown.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "analyze/fail_if.h"
#include "analyze/sections.h"
#include "analyze/where.h"
#include "base/text.h"
#include "heap/damage.h"

#define COLUMNS(array) array, sizeof(array) / sizeof(array)[0]

enum { EXPLAINED_LIMIT = 20 };

static const char *const severities[] = {
    [CW_INFO] = "info", [CW_WARNING] = "warning", [CW_SEVERE] = "error"};

/* ---- the answer ---------------------------------------------------------------------------- */

/* Does nothing but the C library's own words tell of damage? */
static bool is_only_said(const struct cw_notes *findings)
{
    for (size_t i = 0; i < findings->items.count; i++) {
        const struct cw_note *note = cw_note_at(findings, i);
        if (note->severity != CW_INFO && strcmp(note->code, "libc-abort") != 0) {
            return false;
        }
    }
    return true;
}

static const char *answer(const struct cw_analysis_input *input, struct cw_report *report)
{
    char count[CW_COUNT_TEXT];
    size_t damage_count = cw_damage_count(input->findings);
    size_t info_count = input->findings->items.count - cw_notes_serious(input->findings);
    cw_text_count(input->heap->chunks.chunk_count, count);
    const char *harmless = "";
    if (info_count > 0) {
        harmless = cw_report_printf(report,
                                    " %zu thing%s likely harmless: see below.",
                                    info_count,
                                    info_count == 1 ? " is" : "s are");
    }
    if (damage_count == 0) {
        return cw_report_printf(report, "No damage found in %s chunks.%s", count, harmless);
    }
    if (is_only_said(input->findings)) {
        return cw_report_printf(report,
                                "glibc has ended the process. No damage found in %s chunks.%s",
                                count,
                                harmless);
    }
    return cw_report_printf(report,
                            "%zu damaged place%s, in %s chunks.%s",
                            damage_count,
                            damage_count == 1 ? "" : "s",
                            count,
                            harmless);
}

static void add_answer(const struct cw_analysis_input *input, struct cw_report *report)
{
    static const struct cw_report_column columns[] = {{"", "", CW_COLUMN_HUMAN | CW_COLUMN_WRAP}};
    bool is_sound = cw_damage_count(input->findings) == 0;
    struct cw_report_section *section =
        cw_report_add(report,
                      CW_SECTION_PROSE,
                      NULL,
                      is_sound                        ? "Result: sound"
                      : is_only_said(input->findings) ? "Result: misused"
                                                      : "Result: damaged",
                      COLUMNS(columns));
    const char *text = input->heap->allocator == NULL
                           ? "There is no heap of an allocator that is known: nothing was checked."
                           : answer(input, report);
    section->title = input->heap->allocator == NULL ? "Result: nothing checked" : section->title;
    cw_report_add_row(report, section, (struct cw_cell[]){cw_cell_text(text)});
}

static void add_counts(const struct cw_analysis_input *input, struct cw_report *report)
{
    static const struct cw_report_column columns[] = {
        {"chunk_count", "chunks", 0},
        {"arena_count", "arenas", 0},
        {"bin_chunk_count", "in bins", 0},
        {"fastbin_chunk_count", "in fastbins", 0},
        {"tcache_chunk_count", "in thread caches", 0},
        {"tcache_count", "thread caches", 0},
        {"mmapped_count", "own mappings", 0},
        {"unfinished_count", "threads in malloc", 0},
    };
    const struct cw_heap *heap = input->heap;
    const struct cw_heap_checks *checks = &heap->checks;
    struct cw_report_section *section =
        cw_report_add(report, CW_SECTION_FIELDS, "check", "What was checked", COLUMNS(columns));
    cw_report_add_row(report,
                      section,
                      (struct cw_cell[]){
                          cw_cell_count(heap->chunks.chunk_count),
                          cw_cell_count(heap->arena_count),
                          cw_cell_count(checks->bin_chunk_count),
                          cw_cell_count(checks->fastbin_chunk_count),
                          cw_cell_count(checks->tcache_chunk_count),
                          cw_cell_count(checks->tcache_count),
                          cw_cell_count(heap->by_state[CW_CHUNK_MMAPPED].count),
                          cw_cell_count(checks->unfinished_count),
                      });
}

/* ---- one finding --------------------------------------------------------------------------- */

/* The messages that the release in use has; all of them, where it is not known. */
static const char *messages_of(const struct cw_analysis_input *input,
                               const struct cw_damage_kind *kind,
                               struct cw_report *report)
{
    const char *version = cw_image_glibc_version(input->image);
    unsigned minor = version != NULL && version[0] == '2' && version[1] == '.'
                         ? (unsigned)strtoul(version + 2, NULL, 10)
                         : 0;
    const char *list = NULL;
    for (size_t i = 0; i < CW_DAMAGE_MESSAGE_LIMIT && kind->messages[i].text != NULL; i++) {
        const struct cw_damage_message *message = &kind->messages[i];
        if (minor != 0 && (minor < message->first_minor || minor > message->last_minor)) {
            continue;
        }
        list = list == NULL ? cw_report_printf(report, "\"%s\"", message->text)
                            : cw_report_printf(report, "%s or \"%s\"", list, message->text);
    }
    return list;
}

static struct cw_cell place_cell(const struct cw_analysis_input *input,
                                 cw_addr address,
                                 struct cw_report *report)
{
    if (address == 0) {
        return cw_cell_absent();
    }
    struct cw_where where = cw_where_is(input, address);
    return cw_cell_text(cw_report_printf(report, "%s", where.text));
}

/* A word of a header: shown where it is a size that fits or leads somewhere. */
static const char *word_text(const struct cw_analysis_input *input,
                             cw_addr address,
                             struct cw_report *report)
{
    uint64_t word;
    if (!cw_space_read_word(input->space, address, &word)) {
        return "not in the core";
    }
    bool is_shown = word <= 0xffff || cw_space_find(input->space, word) != NULL;
    return is_shown ? cw_report_printf(report, "0x%" PRIx64, word)
                    : cw_word_kind(word, input->space->word_bytes);
}

static struct cw_cell header_cell(const struct cw_analysis_input *input,
                                  const struct cw_note *note,
                                  struct cw_report *report)
{
    uint32_t index = cw_chunk_table_find(&input->heap->chunks, note->address);
    if (note->address == 0 || index == CW_NONE) {
        return cw_cell_absent();
    }
    cw_addr start = cw_chunk_table_get(&input->heap->chunks, index).start;
    return cw_cell_text(
        cw_report_printf(report,
                         "0x%" PRIx64 ": %s, %s",
                         start,
                         word_text(input, start, report),
                         word_text(input, start + input->space->word_bytes, report)));
}

/* The chunks before and behind the one that holds the address. */
static struct cw_cell neighbour_cell(const struct cw_analysis_input *input,
                                     cw_addr address,
                                     int side,
                                     struct cw_report *report)
{
    const struct cw_chunk_table *table = &input->heap->chunks;
    uint32_t index = address == 0 ? CW_NONE : cw_chunk_table_find(table, address);
    if (index == CW_NONE) {
        return cw_cell_absent();
    }
    const struct cw_extent *extent = cw_chunk_table_extent_of(table, index);
    bool is_there = side < 0 ? index > extent->first_chunk
                             : index + 1 < extent->first_chunk + extent->chunk_count;
    if (!is_there) {
        return cw_cell_absent();
    }
    struct cw_chunk chunk = cw_chunk_table_get(table, side < 0 ? index - 1 : index + 1);
    return place_cell(input, cw_heap_user_address(input->heap, &chunk), report);
}

static struct cw_cell culprit_bytes(const struct cw_analysis_input *input, cw_addr culprit)
{
    uint32_t index = culprit == 0 ? CW_NONE : cw_chunk_table_find(&input->heap->chunks, culprit);
    return index == CW_NONE
               ? cw_cell_absent()
               : cw_cell_bytes(cw_chunk_table_get(&input->heap->chunks, index).size_bytes);
}

static void explain(const struct cw_analysis_input *input,
                    size_t number,
                    const struct cw_note *note,
                    struct cw_report *report)
{
    static const struct cw_report_column columns[] = {
        {"", "what", CW_COLUMN_HUMAN | CW_COLUMN_WRAP},
        {"", "means", CW_COLUMN_HUMAN | CW_COLUMN_WRAP},
        {"", "glibc says", CW_COLUMN_HUMAN | CW_COLUMN_WRAP},
        {"", "culprit", CW_COLUMN_HUMAN | CW_COLUMN_WRAP},
        {"", "header", CW_COLUMN_HUMAN | CW_COLUMN_WRAP},
        {"", "before", CW_COLUMN_HUMAN | CW_COLUMN_WRAP},
        {"", "behind", CW_COLUMN_HUMAN | CW_COLUMN_WRAP},
        {"", "next", CW_COLUMN_HUMAN | CW_COLUMN_WRAP},
    };
    const struct cw_damage_kind *kind = cw_damage_kind(note->code);
    struct cw_report_section *section =
        cw_report_add(report, CW_SECTION_FIELDS, NULL, NULL, COLUMNS(columns));
    section->title = cw_report_printf(report,
                                      "%zu. %s: %s",
                                      number,
                                      severities[note->severity],
                                      kind != NULL ? kind->title : note->code);
    const char *messages = kind != NULL ? messages_of(input, kind, report) : NULL;
    cw_addr target = note->culprit != 0 ? note->culprit : note->address;
    struct cw_cell next = cw_cell_absent();
    if (target != 0) {
        next = cw_cell_text(cw_section_command(
            input, report, "block", cw_report_printf(report, "0x%" PRIx64, target)));
    }
    cw_report_add_row(report,
                      section,
                      (struct cw_cell[]){
                          cw_cell_text(note->text),
                          kind != NULL ? cw_cell_text(kind->meaning) : cw_cell_absent(),
                          messages != NULL ? cw_cell_text(messages) : cw_cell_absent(),
                          place_cell(input, note->culprit, report),
                          header_cell(input, note, report),
                          neighbour_cell(input, note->address, -1, report),
                          neighbour_cell(input, note->address, 1, report),
                          next,
                      });
}

/* ---- all ----------------------------------------------------------------------------------- */

static void add_findings(const struct cw_analysis_input *input, struct cw_report *report)
{
    static const struct cw_report_column columns[] = {
        {"code", "", CW_COLUMN_DATA},
        {"severity", "", CW_COLUMN_DATA},
        {"address", "", CW_COLUMN_DATA},
        {"text", "", CW_COLUMN_DATA},
        {"culprit", "", CW_COLUMN_DATA},
        {"culprit_bytes", "", CW_COLUMN_DATA},
        {"culprit_name", "", CW_COLUMN_DATA},
        {"title", "", CW_COLUMN_DATA},
        {"meaning", "", CW_COLUMN_DATA},
        {"glibc_message", "", CW_COLUMN_DATA},
    };
    struct cw_report_section *section =
        cw_report_add(report, CW_SECTION_TABLE, "findings", NULL, COLUMNS(columns));
    section->hidden = true;
    for (size_t i = 0; i < input->findings->items.count; i++) {
        const struct cw_note *note = cw_note_at(input->findings, i);
        const struct cw_damage_kind *kind = cw_damage_kind(note->code);
        const char *messages = kind != NULL ? messages_of(input, kind, report) : NULL;
        struct cw_cell absent = cw_cell_absent();
        cw_report_add_row(report,
                          section,
                          (struct cw_cell[]){
                              cw_cell_text(note->code),
                              cw_cell_text(severities[note->severity]),
                              note->address != 0 ? cw_cell_address(note->address) : absent,
                              cw_cell_text(note->text),
                              note->culprit != 0 ? cw_cell_address(note->culprit) : absent,
                              culprit_bytes(input, note->culprit),
                              place_cell(input, note->culprit, report),
                              kind != NULL ? cw_cell_text(kind->title) : absent,
                              kind != NULL ? cw_cell_text(kind->meaning) : absent,
                              messages != NULL ? cw_cell_text(messages) : absent,
                          });
    }
}

static void explain_all(const struct cw_analysis_input *input, struct cw_report *report)
{
    static const struct cw_report_column columns[] = {{"", "", CW_COLUMN_HUMAN | CW_COLUMN_WRAP}};
    const struct cw_notes *findings = input->findings;
    size_t shown = cw_min(findings->items.count, EXPLAINED_LIMIT);
    for (size_t i = 0; i < shown; i++) {
        explain(input, i + 1, cw_note_at(findings, i), report);
    }
    uint64_t rest = findings->items.count - shown + findings->dropped_count;
    if (rest > 0) {
        struct cw_report_section *section =
            cw_report_add(report, CW_SECTION_PROSE, NULL, NULL, COLUMNS(columns));
        const char *text = cw_report_printf(
            report, "And %" PRIu64 " more; --format json lists the first 1000.", rest);
        cw_report_add_row(report, section, (struct cw_cell[]){cw_cell_text(text)});
    }
}

static enum cw_status report_check(const struct cw_analysis_input *input,
                                   struct cw_report *report,
                                   struct cw_error *err)
{
    (void)err;
    cw_section_identity(input, report);
    cw_section_target(input, report);
    add_answer(input, report);
    add_counts(input, report);
    add_findings(input, report);
    explain_all(input, report);
    return CW_OK;
}

static const struct corewalk_option options[] = {CW_FAIL_IF_OPTION};

const struct cw_analysis cw_analysis_check = {
    .verb =
        {
            .name = "check",
            .summary = "is the heap sound? what is damaged, and who did it",
            .description =
                "Runs the integrity checks of glibc's malloc over all chunks and all lists of free "
                "ones, and more: sizes, footers, links, bins, thread caches, tops, mappings. Each "
                "finding says what is wrong, what that means, what glibc says when it stumbles "
                "over it, and which block is likely to blame. What a malloc under way "
                "explains is of severity info. --fail-if findings makes the exit status 3 when "
                "there is a finding of severity warning or error.",
            .options = options,
            .option_count = sizeof options / sizeof options[0],
        },
    .stage = CW_STAGE_CLASSIFY,
    .report = report_check,
};
