/*
 * A module's file on disk, and whether it is the file that the target had mapped. In order of
 * trust: the same build-id; then the same program headers; then, where the target does not show
 * the front of the file, segments that would be mapped where the target has them.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "image/module.h"

/* One place to look, and how sure the file there must be. */
struct candidate {
    const char *root;
    const char *path;
    enum cw_module_file needed;
    bool is_exe_option;
};

enum { CANDIDATE_LIMIT = 3 };

static void print_build_id(const uint8_t *bytes, uint32_t size, char *buffer)
{
    static const char digits[] = "0123456789abcdef";
    uint32_t length = 0;
    for (uint32_t i = 0; i < size && i < CW_BUILD_ID_LIMIT; i++) {
        buffer[length++] = digits[bytes[i] >> 4];
        buffer[length++] = digits[bytes[i] & 15];
    }
    buffer[length] = '\0';
}

const char *cw_module_build_id_text(const struct cw_module *module, char *buffer)
{
    print_build_id(module->build_id, module->build_id_bytes, buffer);
    return buffer;
}

static bool is_same_build_id(const struct cw_elf_layout *a, const struct cw_elf_layout *b)
{
    return a->build_id_bytes == b->build_id_bytes &&
           memcmp(a->build_id, b->build_id, a->build_id_bytes) == 0;
}

static bool is_same_table(const struct cw_elf_layout *a, const struct cw_elf_layout *b)
{
    return a->headers_bytes == b->headers_bytes &&
           memcmp(a->headers, b->headers, a->headers_bytes) == 0;
}

/*
 * Is it known to be more than a reserved hole between segments? Kernels say so by a protection,
 * gdb by writing it to the core; what gdb leaves out looks readable and is not known.
 */
static bool is_segment(const struct cw_image *image, const struct cw_mapping *mapping)
{
    const struct cw_region *region = cw_space_find(image->space, mapping->start);
    return region != NULL && ((region->protection & (CW_PROT_EXEC | CW_PROT_WRITE)) != 0 ||
                              (region->protection != 0 && region->provenance != CW_NOT_DUMPED));
}

static bool explains_mappings(const struct cw_image *image,
                              const struct cw_module_detail *detail,
                              const struct cw_elf_layout *layout)
{
    uint64_t page_bytes = image->space->page_bytes;
    const struct cw_mapping *first = cw_module_mapping(image, detail, 0);
    uint64_t bias;
    if (!cw_elf_layout_bias(layout, page_bytes, first->start, first->file_off, &bias)) {
        return false;
    }
    for (size_t i = 0; i < detail->mapping_count; i++) {
        const struct cw_mapping *mapping = cw_module_mapping(image, detail, i);
        if (is_segment(image, mapping) &&
            cw_elf_layout_load_at(layout, page_bytes, bias, mapping->start, mapping->file_off) ==
                NULL) {
            return false;
        }
    }
    return true;
}

static enum cw_module_file judge(const struct cw_image *image,
                                 const struct cw_module_detail *detail,
                                 const struct cw_elf_file *file)
{
    const struct cw_elf_layout *seen = &detail->memory_layout;
    const struct cw_elf_layout *found = &file->layout;
    if (!cw_elf_layout_fits(found, image->space->target)) {
        return CW_MODULE_FILE_MISMATCH;
    }
    if (!detail->has_memory_layout) {
        return explains_mappings(image, detail, found) ? CW_MODULE_FILE_UNVERIFIED
                                                       : CW_MODULE_FILE_MISMATCH;
    }
    if (seen->build_id_bytes > 0) {
        return is_same_build_id(seen, found) ? CW_MODULE_FILE_VERIFIED : CW_MODULE_FILE_MISMATCH;
    }
    bool must_differ = seen->notes_seen && found->build_id_bytes > 0;
    return !must_differ && is_same_table(seen, found) ? CW_MODULE_FILE_UNVERIFIED
                                                      : CW_MODULE_FILE_MISMATCH;
}

static size_t list_candidates(const struct cw_module *module,
                              const struct cw_module_detail *detail,
                              const struct cw_image_options *options,
                              struct candidate *candidates)
{
    size_t count = 0;
    if (module->is_executable && options->exe != NULL) {
        candidates[count++] = (struct candidate){
            .path = options->exe, .needed = CW_MODULE_FILE_UNVERIFIED, .is_exe_option = true};
    }
    /*
     * What now lies at the path of a deleted file, or from here at a relative one, is another
     * file, unless it proves otherwise.
     */
    bool is_sure = !detail->is_deleted && detail->raw_path[0] == '/';
    enum cw_module_file needed = is_sure ? CW_MODULE_FILE_UNVERIFIED : CW_MODULE_FILE_VERIFIED;
    if (options->sysroot != NULL) {
        candidates[count++] = (struct candidate){
            .root = options->sysroot, .path = detail->raw_path, .needed = needed};
        needed = CW_MODULE_FILE_VERIFIED;
    }
    candidates[count++] = (struct candidate){.path = detail->raw_path, .needed = needed};
    return count;
}

static void remember_mismatch(struct cw_module_detail *detail,
                              const struct candidate *candidate,
                              const struct cw_elf_layout *layout)
{
    if (detail->mismatch_path == NULL) {
        detail->mismatch_path = candidate->path;
        detail->is_mismatch_exe = candidate->is_exe_option;
        print_build_id(layout->build_id, layout->build_id_bytes, detail->mismatch_build_id);
    }
}

static void use_file(const struct cw_image *image,
                     struct cw_module *module,
                     struct cw_module_detail *detail,
                     const struct cw_elf_file *file)
{
    detail->file = *file;
    const char *path = file->path;
    if (file->root != NULL) {
        path = cw_arena_printf(image->arena, "%s/%s", file->root, path + strspn(path, "/"));
    }
    module->file_path = path != NULL ? cw_text_escape_copy(image->arena, path) : NULL;
    if (module->build_id_bytes == 0) {
        memcpy(module->build_id, file->layout.build_id, sizeof module->build_id);
        module->build_id_bytes = file->layout.build_id_bytes;
    }
}

/* False: without this file, or because the path holds something else, it is no module. */
static bool find_file(const struct cw_image *image,
                      const struct cw_image_options *options,
                      struct cw_module *module)
{
    struct cw_module_detail *detail = cw_module_detail(image, module);
    struct candidate candidates[CANDIDATE_LIMIT];
    size_t count = list_candidates(module, detail, options, candidates);
    bool is_other = false;
    for (size_t i = 0; i < count; i++) {
        struct cw_elf_file file;
        enum cw_elf_opened opened =
            cw_elf_file_open(candidates[i].root, candidates[i].path, image->arena, &file);
        is_other |= opened == CW_ELF_OTHER;
        if (opened != CW_ELF_OPEN) {
            continue;
        }
        enum cw_module_file state = judge(image, detail, &file);
        if (state >= candidates[i].needed) {
            module->file = state;
            use_file(image, module, detail, &file);
            return true;
        }
        if (state == CW_MODULE_FILE_MISMATCH && candidates[i].needed < CW_MODULE_FILE_VERIFIED) {
            module->file = state;
            remember_mismatch(detail, &candidates[i], &file.layout);
        }
        cw_elf_file_close(&file);
    }
    return module->is_executable || detail->has_memory_layout || (!is_other && !detail->needs_file);
}

static void check_exe(const struct cw_image *image, const char *exe, struct cw_notes *coverage)
{
    struct cw_elf_file file = {0};
    bool has_program = false;
    for (size_t i = 0; i < image->module_count; i++) {
        has_program |= image->modules[i].is_executable;
    }
    if (cw_elf_file_open(NULL, exe, image->arena, &file) != CW_ELF_OPEN) {
        cw_note_add(coverage,
                    CW_WARNING,
                    "exe-unusable",
                    0,
                    "the file given as the program, %s, is no readable ELF file",
                    exe);
    } else if (!has_program) {
        cw_note_add(coverage,
                    CW_WARNING,
                    "exe-unused",
                    0,
                    "the file given as the program, %s, could not be used: the core does not say "
                    "where the program lay in memory",
                    exe);
    }
    cw_elf_file_close(&file);
}

/* An option that names nothing usable is said at once: nobody types it without a wish. */
static void check_options(const struct cw_image *image,
                          const struct cw_image_options *options,
                          struct cw_notes *coverage)
{
    if (options->exe != NULL) {
        check_exe(image, options->exe, coverage);
    }
    if (options->sysroot != NULL && access(options->sysroot, R_OK | X_OK) != 0) {
        cw_note_add(coverage,
                    CW_WARNING,
                    "sysroot-unusable",
                    0,
                    "the folder given as the root of the core's files, %s, cannot be read",
                    options->sysroot);
    }
}

void cw_modules_find_files(struct cw_image *image,
                           const struct cw_image_options *options,
                           struct cw_notes *coverage)
{
    check_options(image, options, coverage);
    struct cw_module_detail *details = image->private->details;
    size_t kept = 0;
    for (size_t i = 0; i < image->module_count; i++) {
        if (find_file(image, options, &image->modules[i])) {
            image->modules[kept] = image->modules[i];
            details[kept++] = details[i];
        }
    }
    image->module_count = kept;
}
