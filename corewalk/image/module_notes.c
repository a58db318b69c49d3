/*
 * What is said of modules whose files were not found, not used or not proven. A few are named one
 * by one; many (a container's core, a truncated one) become one sentence.
 */
#include <stdio.h>
#include <string.h>

#include "image/module.h"

enum {
    NAMED_LIMIT = 3,    /* modules named in a sentence about many */
    MISMATCH_LIMIT = 8, /* notes of their own */
    NAMES_BYTES = 200,
};

/* Modules of one kind: how many, and the names of the first. */
struct gathering {
    size_t count;
    const struct cw_module *first;
    char names[NAMES_BYTES];
};

static void gather(struct gathering *gathering, const struct cw_module *module)
{
    size_t length = strlen(gathering->names);
    if (gathering->count < NAMED_LIMIT) {
        snprintf(gathering->names + length,
                 sizeof gathering->names - length,
                 "%s%.60s",
                 gathering->count > 0 ? ", " : "",
                 module->name);
    }
    if (gathering->count++ == 0) {
        gathering->first = module;
    }
}

/* "", or " and N more" behind the names. */
static const char *more(const struct gathering *gathering, char *buffer, size_t buffer_bytes)
{
    buffer[0] = '\0';
    if (gathering->count > NAMED_LIMIT) {
        snprintf(buffer, buffer_bytes, " and %zu more", gathering->count - NAMED_LIMIT);
    }
    return buffer;
}

static const char *or_unknown(const char *build_id)
{
    return build_id[0] != '\0' ? build_id : "unknown";
}

static void note_mismatch(const struct cw_image *image,
                          const struct cw_module *module,
                          struct cw_notes *coverage)
{
    const struct cw_module_detail *detail = cw_module_detail(image, module);
    char build_id[CW_BUILD_ID_TEXT];
    cw_note_add(coverage,
                CW_WARNING,
                "module-mismatch",
                module->start,
                "%.60s: the target had build %s, but %.120s is build %s and was not used",
                module->name,
                or_unknown(cw_module_build_id_text(module, build_id)),
                detail->mismatch_path,
                or_unknown(detail->mismatch_build_id));
}

static void note_mismatches(const struct cw_image *image, struct cw_notes *coverage)
{
    size_t count = 0;
    for (size_t i = 0; i < image->module_count; i++) {
        const struct cw_module *module = &image->modules[i];
        const struct cw_module_detail *detail = &image->private->details[i];
        /* A wrong --exe is said even when the right file was found elsewhere. */
        bool is_said = detail->mismatch_path != NULL &&
                       (module->file == CW_MODULE_FILE_MISMATCH || detail->is_mismatch_exe);
        if (is_said && (count++ < MISMATCH_LIMIT || module->is_executable)) {
            note_mismatch(image, module, coverage);
        }
    }
    if (count > MISMATCH_LIMIT) {
        cw_note_add(coverage,
                    CW_WARNING,
                    "module-mismatch",
                    0,
                    "%zu modules in all have files of another build; is this the machine that the "
                    "target ran on?",
                    count);
    }
}

static void note_unverified(const struct cw_image *image, struct cw_notes *coverage)
{
    struct gathering unverified = {0};
    for (size_t i = 0; i < image->module_count; i++) {
        if (image->modules[i].file == CW_MODULE_FILE_UNVERIFIED) {
            gather(&unverified, &image->modules[i]);
        }
    }
    char rest[40];
    if (unverified.count > 0) {
        cw_note_add(coverage,
                    CW_INFO,
                    "module-unverified",
                    unverified.first->start,
                    "files used without a build-id to compare, since the target shows none: %s%s",
                    unverified.names,
                    more(&unverified, rest, sizeof rest));
    }
}

static bool has_writable_memory(const struct cw_image *image, const struct cw_module *module)
{
    const struct cw_module_detail *detail = cw_module_detail(image, module);
    for (size_t i = 0; i < detail->mapping_count; i++) {
        const struct cw_region *region =
            cw_space_find(image->space, cw_module_mapping(image, detail, i)->start);
        if (region != NULL && cw_region_is_writable(region)) {
            return true;
        }
    }
    return false;
}

static void note_missing_file(const struct cw_image *image,
                              const struct cw_module *module,
                              struct cw_notes *coverage)
{
    bool is_deleted = cw_module_detail(image, module)->is_deleted;
    char build_id[CW_BUILD_ID_TEXT];
    cw_note_add(coverage,
                CW_WARNING,
                module->is_executable ? "executable-missing" : "libc-missing",
                module->start,
                "the file of %s %.120s (build %s) %s; %s",
                module->is_executable ? "the program," : "the C library,",
                module->path,
                or_unknown(cw_module_build_id_text(module, build_id)),
                is_deleted ? "was deleted or replaced" : "was not found",
                module->symbol_count > 0 ? "its code and constants are unknown"
                                         : "its symbols, code and constants are unknown");
}

static void note_missing(const struct cw_image *image, struct cw_notes *coverage)
{
    struct gathering missing = {0};
    for (size_t i = 0; i < image->module_count; i++) {
        const struct cw_module *module = &image->modules[i];
        if (module->file != CW_MODULE_FILE_MISSING) {
            continue;
        }
        if (module->is_executable || module == image->private->libc) {
            note_missing_file(image, module, coverage);
        } else if (has_writable_memory(image, module)) {
            gather(&missing, module);
        }
    }
    char rest[40];
    if (missing.count > 0) {
        cw_note_add(coverage,
                    CW_INFO,
                    "module-missing",
                    missing.first->start,
                    "files not found, so that their symbols are unknown: %s%s",
                    missing.names,
                    more(&missing, rest, sizeof rest));
    }
}

void cw_modules_note_files(const struct cw_image *image, struct cw_notes *coverage)
{
    note_missing(image, coverage);
    note_mismatches(image, coverage);
    note_unverified(image, coverage);
}
