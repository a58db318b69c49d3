/* Sections "schema", "tool", "target" and "coverage". */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "analyze/completeness.h"
#include "analyze/sections.h"
#include "base/text.h"
#include "heap/damage.h"
#include "image/runtime.h"

#define COLUMNS(array) array, sizeof(array) / sizeof(array)[0]

void cw_section_identity(const struct cw_analysis_input *input, struct cw_report *report)
{
    (void)input;
    static const struct cw_report_column schema[] = {{"schema", "", CW_COLUMN_DATA}};
    static const struct cw_report_column tool[] = {{"name", "", CW_COLUMN_DATA},
                                                   {"version", "", CW_COLUMN_DATA}};
    struct cw_report_section *section =
        cw_report_add(report, CW_SECTION_FIELDS, "", NULL, COLUMNS(schema));
    cw_report_add_row(report, section, (struct cw_cell[]){cw_cell_text("corewalk/report/1")});
    section = cw_report_add(report, CW_SECTION_FIELDS, "tool", NULL, COLUMNS(tool));
    cw_report_add_row(
        report,
        section,
        (struct cw_cell[]){cw_cell_text("corewalk"), cw_cell_text(corewalk_version())});
}

static const char *kind_name(enum cw_target_kind kind)
{
    static const char *const names[] = {
        [CW_TARGET_CORE] = "core", [CW_TARGET_LIVE] = "live", [CW_TARGET_CALLBACK] = "callback"};
    return names[kind];
}

static struct cw_cell optional_text(const char *text)
{
    return text != NULL && text[0] != '\0' ? cw_cell_text(text) : cw_cell_absent();
}

/* Is it the name of the path's file, or how that begins? The kernel cuts names to 15 bytes. */
static bool is_name_of(const char *path, const char *program)
{
    const char *slash = strrchr(path, '/');
    return strncmp(slash != NULL ? slash + 1 : path, program, strlen(program)) == 0;
}

static const char *program_text(const struct cw_analysis_input *input,
                                const char *build_id,
                                struct cw_report *report)
{
    const struct cw_module *executable = input->image->executable;
    char name[128];
    cw_text_escape(input->target->program != NULL ? input->target->program : "", name, sizeof name);
    if (executable == NULL) {
        return name[0] != '\0' ? cw_report_printf(report, "%s (its file is not named)", name)
                               : "unknown";
    }
    if (strncmp(executable->path, "/[", 2) == 0) { /* recovered from memory: see image/recover.h */
        return cw_report_printf(report,
                                "%s, at 0x%" PRIx64 "; name its file with --exe",
                                name[0] != '\0' ? name : "unknown",
                                executable->start);
    }
    const char *program = input->target->program;
    const char *alias = program != NULL && !is_name_of(executable->path, program)
                            ? cw_report_printf(report, ", running as %s", name)
                            : "";
    const char *id = build_id[0] != '\0' ? cw_report_printf(report, "build-id %.12s...", build_id)
                                         : "no build-id";
    return cw_report_printf(report, "%s%s (%s)", executable->path, alias, id);
}

/* "SIGABRT"; NULL: none ended the process. */
static const char *signal_text(const struct cw_target *target, struct cw_report *report)
{
    if (target->signal == 0) {
        return NULL;
    }
    const char *abbreviation = sigabbrev_np((int)target->signal);
    return abbreviation != NULL ? cw_report_printf(report, "SIG%s", abbreviation)
                                : cw_report_printf(report, "%" PRIu32, target->signal);
}

/* Only what is the C library's own: it could be anything. */
static const char *abort_text(const struct cw_analysis_input *input, struct cw_report *report)
{
    char text[400];
    return cw_image_abort_message(input->image, text, sizeof text) && cw_damage_is_libc_text(text)
               ? cw_report_printf(report, "%s", cw_damage_unframed(text))
               : NULL;
}

static const char *process_text(const struct cw_target *target, struct cw_report *report)
{
    const char *pid =
        target->pid != 0 ? cw_report_printf(report, "pid %" PRIu32 ", ", target->pid) : "";
    const char *name = signal_text(target, report);
    const char *signal = name != NULL ? cw_report_printf(report, ", signal %s", name) : "";
    const char *threads = target->thread_count == 0
                              ? "threads unknown"
                              : cw_report_printf(report,
                                                 "%zu thread%s",
                                                 target->thread_count,
                                                 target->thread_count == 1 ? "" : "s");
    return cw_report_printf(report, "%s%s, %s%s", pid, threads, cw_arch_name(target->arch), signal);
}

static const char *libc_text(const struct cw_analysis_input *input,
                             const char *version,
                             struct cw_report *report)
{
    const char *layout = input->heap != NULL ? input->heap->layout.name : NULL;
    if (layout != NULL && version != NULL) {
        return cw_report_printf(
            report, "glibc %s by its banner; heap layout of %s, probed", version, layout);
    }
    if (layout != NULL) {
        return cw_report_printf(report, "glibc; heap layout of %s, probed", layout);
    }
    if (version != NULL) {
        return cw_report_printf(report, "glibc %s by its banner", version);
    }
    const struct cw_runtime_found *musl = cw_image_runtime(input->image, "musl");
    if (musl != NULL) {
        return cw_report_printf(report, "musl (%s)", musl->evidence);
    }
    return cw_image_is_without_libc(input->image) ? "none: a static program of Go"
                                                  : "not recognised";
}

/* What serves the program's memory, where that is not glibc's malloc alone. */

static bool is_shown(const struct cw_analysis_input *input, const struct cw_runtime_found *found)
{
    return !found->is_guess || input->heap == NULL || input->heap->allocator == NULL;
}

/* How glibc's malloc stands beside the others. */
static const char *beside_text(const struct cw_analysis_input *input,
                               bool has_replacement,
                               bool is_inside)
{
    const struct cw_heap *heap = input->heap;
    if (heap == NULL) {
        return "";
    }
    if (heap->allocator != NULL) {
        return is_inside ? ", within glibc's malloc" : ", beside glibc's malloc";
    }
    if (cw_image_glibc_version(input->image) == NULL) {
        return "";
    }
    return has_replacement && cw_is_complete(input) ? "; glibc's malloc is unused"
                                                    : "; glibc's malloc was not found";
}

/* The first line; NULL where there is nothing but glibc's malloc. */
static const char *memory_text(const struct cw_analysis_input *input, struct cw_report *report)
{
    size_t count;
    const struct cw_runtime_found *found = cw_image_runtimes(input->image, &count);
    const char *names = "";
    bool has_replacement = false;
    bool is_inside = true;
    for (size_t i = 0; i < count; i++) {
        if (is_shown(input, &found[i])) {
            has_replacement |= found[i].runtime->kind == CW_RUNTIME_MALLOC;
            is_inside &= found[i].runtime->kind == CW_RUNTIME_INSIDE;
            names = cw_report_printf(report,
                                     "%s%s%s (%s%s)",
                                     names,
                                     names[0] != '\0' ? ", " : "",
                                     found[i].runtime->name,
                                     found[i].is_guess ? "a guess: " : "",
                                     found[i].evidence);
        }
    }
    if (names[0] != '\0') {
        return cw_report_printf(
            report, "%s%s", names, beside_text(input, has_replacement, is_inside));
    }
    if (input->heap == NULL || input->heap->allocator != NULL) {
        return NULL;
    }
    return cw_is_complete(input)
               ? "not recognised: neither glibc's malloc nor another known allocator"
               : "not recognised: what would show it is missing from the core";
}

static const char *libc_flavor(const struct cw_analysis_input *input)
{
    const struct cw_heap *heap = input->heap;
    if (cw_image_glibc_version(input->image) != NULL ||
        (heap != NULL && heap->layout.name != NULL)) {
        return "glibc";
    }
    if (cw_image_runtime(input->image, "musl") != NULL) {
        return "musl";
    }
    return cw_image_is_without_libc(input->image) ? "none" : "unknown";
}

static void add_allocators(const struct cw_analysis_input *input, struct cw_report *report)
{
    static const struct cw_report_column columns[] = {
        {"id", "", CW_COLUMN_DATA},
        {"name", "", CW_COLUMN_DATA},
        {"kind", "", CW_COLUMN_DATA},
        {"evidence", "", CW_COLUMN_DATA},
        {"confidence", "", CW_COLUMN_DATA},
    };
    static const char *const kinds[] = {
        [CW_RUNTIME_MALLOC] = "malloc", [CW_RUNTIME_HEAP] = "heap", [CW_RUNTIME_INSIDE] = "inside"};
    size_t count;
    const struct cw_runtime_found *found = cw_image_runtimes(input->image, &count);
    struct cw_report_section *section =
        cw_report_add(report, CW_SECTION_TABLE, "target.allocators", NULL, COLUMNS(columns));
    section->hidden = true;
    for (size_t i = 0; i < count; i++) {
        if (is_shown(input, &found[i])) {
            cw_report_add_row(
                report,
                section,
                (struct cw_cell[]){cw_cell_text(found[i].runtime->id),
                                   cw_cell_text(found[i].runtime->name),
                                   cw_cell_text(kinds[found[i].runtime->kind]),
                                   cw_cell_text(found[i].evidence),
                                   cw_cell_text(found[i].is_guess ? "guess" : "certain")});
        }
    }
}

static const char *packing_text(const struct cw_target *target, struct cw_report *report)
{
    char size[CW_SIZE_TEXT];
    return target->packing != NULL ? cw_report_printf(report,
                                                      " (%s of %s)",
                                                      cw_text_size(target->packed_bytes, size),
                                                      target->packing)
                                   : "";
}

static const char *core_text(const struct cw_analysis_input *input, struct cw_report *report)
{
    const struct cw_target *target = input->target;
    char size[CW_SIZE_TEXT];
    char missing[CW_SIZE_TEXT];
    if (target->path == NULL) {
        return "memory read through the caller";
    }
    const char *slash = strrchr(target->path, '/');
    char name[256];
    cw_text_escape(slash != NULL ? slash + 1 : target->path, name, sizeof name);
    cw_text_size(target->file_bytes, size);
    const char *packing = packing_text(target, report);
    uint64_t missing_bytes = cw_missing_bytes(input);
    if (cw_is_complete(input)) {
        return cw_report_printf(report, "%s, %s%s, complete", name, size, packing);
    }
    return missing_bytes == 0
               ? cw_report_printf(report, "%s, %s%s, INCOMPLETE", name, size, packing)
               : cw_report_printf(report,
                                  "%s, %s%s, INCOMPLETE: %s missing",
                                  name,
                                  size,
                                  packing,
                                  cw_text_size(missing_bytes, missing));
}

static void add_coverage(const struct cw_analysis_input *input, struct cw_report *report)
{
    static const struct cw_report_column columns[] = {
        {"code", "", CW_COLUMN_DATA},
        {"severity", "", CW_COLUMN_SEVERITY},
        {"text", "", CW_COLUMN_WRAP},
    };
    static const char *const severities[] = {
        [CW_INFO] = "info", [CW_WARNING] = "warning", [CW_SEVERE] = "warning"};
    struct cw_report_section *section =
        cw_report_add(report, CW_SECTION_TABLE, "coverage", "What is missing", COLUMNS(columns));
    for (size_t i = 0; i < input->coverage->items.count; i++) {
        const struct cw_note *note = cw_note_at(input->coverage, i);
        cw_report_add_row(report,
                          section,
                          (struct cw_cell[]){cw_cell_text(note->code),
                                             cw_cell_text(severities[note->severity]),
                                             cw_cell_text(note->text)});
    }
}

void cw_section_target(const struct cw_analysis_input *input, struct cw_report *report)
{
    static const struct cw_report_column columns[] = {
        {"", "memory", CW_COLUMN_HUMAN | CW_COLUMN_WRAP},
        {"", "program", CW_COLUMN_HUMAN | CW_COLUMN_WRAP},
        {"", "process", CW_COLUMN_HUMAN | CW_COLUMN_WRAP},
        {"", "libc", CW_COLUMN_HUMAN | CW_COLUMN_WRAP},
        {"", "core", CW_COLUMN_HUMAN | CW_COLUMN_WRAP},
        {"abort_message", "abort", CW_COLUMN_WRAP},
        {"signal", "", CW_COLUMN_DATA},
        {"kind", "", CW_COLUMN_DATA},
        {"path", "", CW_COLUMN_DATA},
        {"compression", "", CW_COLUMN_DATA},
        {"compressed_bytes", "", CW_COLUMN_DATA},
        {"pid", "", CW_COLUMN_DATA},
        {"arch", "", CW_COLUMN_DATA},
        {"word_bytes", "", CW_COLUMN_DATA},
        {"executable.path", "", CW_COLUMN_DATA},
        {"executable.build_id", "", CW_COLUMN_DATA},
        {"libc.flavor", "", CW_COLUMN_DATA},
        {"libc.version", "", CW_COLUMN_DATA},
        {"libc.layout", "", CW_COLUMN_DATA},
        {"libc.evidence", "", CW_COLUMN_DATA},
        {"thread_count", "", CW_COLUMN_DATA},
        {"complete", "", CW_COLUMN_DATA},
        {"missing_bytes", "", CW_COLUMN_DATA},
    };
    const struct cw_target *target = input->target;
    const struct cw_module *executable = input->image->executable;
    const char *version = cw_image_glibc_version(input->image);
    const struct cw_heap_layout *layout = input->heap != NULL ? &input->heap->layout : NULL;
    char build_id[CW_BUILD_ID_TEXT] = "";
    if (executable != NULL) {
        cw_module_build_id_text(executable, build_id);
    }
    const char *path =
        target->path != NULL ? cw_text_escape_copy(report->arena, target->path) : NULL;
    struct cw_cell cells[] = {
        optional_text(memory_text(input, report)),
        cw_cell_text(program_text(input, build_id, report)),
        cw_cell_text(process_text(target, report)),
        cw_cell_text(libc_text(input, version, report)),
        cw_cell_text(core_text(input, report)),
        optional_text(abort_text(input, report)),
        optional_text(signal_text(target, report)),
        cw_cell_text(kind_name(target->kind)),
        optional_text(path),
        optional_text(target->packing),
        target->packing != NULL ? cw_cell_bytes(target->packed_bytes) : cw_cell_absent(),
        target->pid != 0 ? cw_cell_count(target->pid) : cw_cell_absent(),
        cw_cell_text(cw_arch_name(target->arch)),
        cw_cell_count(target->word_bytes),
        optional_text(executable != NULL ? executable->path : NULL),
        optional_text(cw_report_printf(report, "%s", build_id)),
        cw_cell_text(libc_flavor(input)),
        optional_text(version),
        optional_text(layout != NULL ? layout->name : NULL),
        optional_text(layout != NULL ? layout->evidence : NULL),
        cw_cell_count(target->thread_count),
        cw_cell_bool(cw_is_complete(input)),
        cw_cell_bytes(cw_missing_bytes(input)),
    };
    struct cw_report_section *section =
        cw_report_add(report, CW_SECTION_FIELDS, "target", NULL, COLUMNS(columns));
    cw_report_add_row(report, section, cells);
    add_allocators(input, report);
    add_coverage(input, report);
}
