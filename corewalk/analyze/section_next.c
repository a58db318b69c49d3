/* What to type next. */
#include <inttypes.h>
#include <string.h>

#include "analyze/sections.h"
#include "base/text.h"

/* Does a shell read the text as one plain word? */
static bool is_plain_word(const char *text)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "./_-+=:,@%";
    return text[0] != '\0' && text[strspn(text, plain)] == '\0';
}

static const char *target_word(const struct cw_analysis_input *input, struct cw_report *report)
{
    const char *path = input->target->path;
    if (path == NULL) {
        return "";
    }
    if (input->target->has_no_path) {
        return " -";
    }
    if (is_plain_word(path)) {
        return cw_report_printf(report, " %s", path);
    }
    /* A quote ends the quoted word, stands escaped, and begins the next one. */
    const char *quoted = "";
    for (const char *part = path;; part++) {
        size_t length = strcspn(part, "'");
        quoted = cw_report_printf(report, "%s%.*s", quoted, (int)length, part);
        part += length;
        if (*part == '\0') {
            break;
        }
        quoted = cw_report_printf(report, "%s'\\''", quoted);
    }
    const char *escaped = cw_text_escape_copy(report->arena, path);
    bool is_printable = escaped != NULL && strcmp(escaped, path) == 0;
    return is_printable ? cw_report_printf(report, " '%s'", quoted) : " CORE";
}

const char *cw_section_command(const struct cw_analysis_input *input,
                               struct cw_report *report,
                               const char *verb_and_options,
                               const char *argument)
{
    return cw_report_printf(report,
                            "corewalk %s%s%s%s",
                            verb_and_options,
                            target_word(input, report),
                            argument[0] != '\0' ? " " : "",
                            argument);
}

static void add_command(const struct cw_analysis_input *input,
                        struct cw_report *report,
                        struct cw_report_section *section,
                        const char *verb_and_options,
                        const char *argument,
                        const char *purpose)
{
    const char *command = cw_section_command(input, report, verb_and_options, argument);
    cw_report_add_row(
        report, section, (struct cw_cell[]){cw_cell_text(command), cw_cell_text(purpose)});
}

/* The list of the biggest blocks, by a size that some have; NULL when all are small. */
static const char *list_command(const struct cw_classification *classification)
{
    static const struct {
        uint64_t bytes;
        const char *command;
    } lists[] = {
        {1 << 20, "list --min-size 1M"},
        {64 << 10, "list --min-size 64k"},
        {4 << 10, "list --min-size 4k"},
    };
    uint64_t largest = 0;
    for (uint32_t i = 0; classification != NULL && i < classification->population_count; i++) {
        largest = cw_max(largest, classification->populations[i].largest_bytes);
    }
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        if (largest >= lists[i].bytes) {
            return lists[i].command;
        }
    }
    return NULL;
}

void cw_section_next(const struct cw_analysis_input *input, struct cw_report *report)
{
    static const struct cw_report_column columns[] = {{"", "", CW_COLUMN_HUMAN},
                                                      {"", "", CW_COLUMN_HUMAN}};
    struct cw_report_section *section =
        cw_report_add(report, CW_SECTION_COMMANDS, NULL, "Next", columns, 2);
    const struct cw_classification *classification = input->classification;
    if (input->heap == NULL || input->heap->allocator == NULL) {
        return;
    }
    if (cw_notes_serious(input->findings) > 0) {
        add_command(input, report, section, "check", "", "what is damaged, and who did it");
        add_command(input, report, section, "histogram", "", "every kind of block");
        return; /* what fills the heap comes after that */
    }
    add_command(input, report, section, "histogram", "", "every kind of block");
    add_command(input, report, section, "histogram --by size", "", "every size of block");
    const char *list = list_command(classification);
    if (list != NULL) {
        add_command(input, report, section, list, "", "the biggest blocks");
    }
    if (classification != NULL && classification->population_count > 0) {
        const char *sample =
            cw_report_printf(report, "0x%" PRIx64, classification->populations[0].samples[0]);
        add_command(input, report, section, "block", sample, "one of the largest kind");
    }
}
