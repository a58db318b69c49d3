/*
 * Coverage of a core file: what was cut off it, what the dumper was told to leave out, what lies
 * about itself. One note for each kind, whatever the number of segments.
 */
#include "target/core_coverage.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/text.h"

static uint64_t add_clamped(uint64_t a, uint64_t b)
{
    return a + cw_min(b, UINT64_MAX - a);
}

/* "12.3 %", "less than 0.1 %". */
static void format_share(uint64_t part, uint64_t whole, char *buffer, size_t buffer_bytes)
{
    unsigned permille = (unsigned)((unsigned __int128)part * 1000 / cw_max(whole, 1));
    if (permille == 0) {
        snprintf(buffer, buffer_bytes, "less than 0.1 %%");
    } else {
        snprintf(buffer, buffer_bytes, "%u.%u %%", permille / 10, permille % 10);
    }
}

/* A sentence that grows by parts, set apart by semicolons. What does not fit is left out. */
struct sentence {
    char text[400];
    size_t length;
};

__attribute__((format(printf, 2, 3))) static void append_part(struct sentence *sentence,
                                                              const char *format,
                                                              ...)
{
    char *end = sentence->text + sentence->length;
    size_t room = sizeof sentence->text - sentence->length;
    va_list arguments;
    int added = snprintf(end, room, "%s", sentence->length > 0 ? "; " : "");
    va_start(arguments, format);
    added += vsnprintf(end + added, room - (size_t)added, format, arguments);
    va_end(arguments);
    if ((size_t)added < room) {
        sentence->length += (size_t)added;
    } else {
        *end = '\0';
    }
}

static void append_memory(struct sentence *sentence, uint64_t missing_bytes, uint64_t stored_bytes)
{
    char missing[CW_SIZE_TEXT];
    char stored[CW_SIZE_TEXT];
    char share[32];
    format_share(missing_bytes, stored_bytes, share, sizeof share);
    append_part(sentence,
                "%s of the %s of memory in it (%s)",
                cw_text_size(missing_bytes, missing),
                cw_text_size(stored_bytes, stored),
                share);
}

static void note_truncation(const struct cw_target *target,
                            const struct cw_elf_core *core,
                            const struct cw_core_notes *notes,
                            uint64_t stored_bytes,
                            struct cw_notes *coverage)
{
    struct sentence missing = {0};
    if (target->missing_bytes > 0) {
        append_memory(&missing, target->missing_bytes, stored_bytes);
    }
    if (core->declared_count == 0) {
        append_part(
            &missing, "the number of segment headers (%" PRIu64 " were found)", core->header_count);
    } else if (core->declared_count > core->header_count) {
        append_part(&missing,
                    "%" PRIu64 " of %" PRIu64 " segment headers",
                    core->declared_count - core->header_count,
                    core->declared_count);
    }
    if (notes->cut_bytes > 0) {
        append_part(&missing, "notes on threads and mapped files");
    }
    if (missing.length > 0) {
        cw_note_add(coverage,
                    CW_WARNING,
                    "core-truncated",
                    0,
                    "The core file is cut off. Missing: %s.",
                    missing.text);
    }
}

/* Both lists are sorted: `index` follows the segments through the mappings. */
static bool is_of_file(const struct cw_target *target,
                       const struct cw_segment *segment,
                       size_t *index)
{
    while (*index < target->mapping_count) {
        const struct cw_mapping *mapping = &target->mappings[*index];
        if (mapping->start + (mapping->size_bytes - 1) >= segment->start) {
            return cw_range_has(mapping->start, mapping->size_bytes, segment->start);
        }
        (*index)++;
    }
    return false;
}

static uint64_t filtered_bytes(const struct cw_target *target)
{
    uint64_t bytes = 0;
    size_t index = 0;
    for (size_t i = 0; i < target->segment_count; i++) {
        const struct cw_segment *segment = &target->segments[i];
        bool is_file = is_of_file(target, segment, &index);
        if ((segment->protection & CW_PROT_WRITE) != 0 && !is_file) {
            bytes = add_clamped(bytes, segment->size_bytes - segment->stored_bytes);
        }
    }
    return bytes;
}

static void note_filter(const struct cw_target *target, struct cw_notes *coverage)
{
    uint64_t bytes = filtered_bytes(target);
    if (bytes > 0) {
        char size[CW_SIZE_TEXT];
        cw_note_add(coverage,
                    CW_WARNING,
                    "core-filtered",
                    0,
                    "%s of writable anonymous memory were left out of the core when it was "
                    "written (coredump_filter, or madvise with MADV_DONTDUMP).",
                    cw_text_size(bytes, size));
    }
}

static void note_oddities(const struct cw_core_notes *notes,
                          uint64_t odd_count,
                          struct cw_notes *coverage)
{
    if (odd_count > 0) {
        cw_note_add(coverage,
                    CW_WARNING,
                    "core-segments-damaged",
                    0,
                    "%" PRIu64 " segments or mappings of the core overlap, wrap around or are "
                    "smaller than their content; they were cut to fit.",
                    odd_count);
    }
    if (notes->damaged_count > 0) {
        cw_note_add(coverage,
                    CW_WARNING,
                    "core-notes-damaged",
                    0,
                    "%" PRIu64 " notes of the core, or entries in them, lie about their size and "
                    "were left out.",
                    notes->damaged_count);
    }
}

static void note_absences(const struct cw_core_notes *notes, struct cw_notes *coverage)
{
    if (notes->threads.count == 0) {
        cw_note_add(coverage,
                    CW_WARNING,
                    "core-threads-missing",
                    0,
                    "The core names no threads (NT_PRSTATUS): their stacks and registers are "
                    "unknown.");
    }
}

void cw_core_coverage(struct cw_target *target,
                      const struct cw_elf_core *core,
                      const struct cw_core_notes *notes,
                      uint64_t odd_count,
                      struct cw_notes *coverage)
{
    uint64_t stored_bytes = 0;
    for (size_t i = 0; i < target->segment_count; i++) {
        const struct cw_segment *segment = &target->segments[i];
        stored_bytes = add_clamped(stored_bytes, segment->stored_bytes);
        target->missing_bytes =
            add_clamped(target->missing_bytes, segment->stored_bytes - segment->held_bytes);
    }
    note_truncation(target, core, notes, stored_bytes, coverage);
    note_absences(notes, coverage);
    note_filter(target, coverage);
    note_oddities(notes, odd_count, coverage);
}
