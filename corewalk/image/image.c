/* The image: its making in order, its end, and addresses put into words. */
#include "image/image.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "image/module.h"

/* Longer than "server+0x7fffffffffff (.data.rel.ro.local)" without the module's name. */
enum { SUFFIX_BYTES = 96 };

static enum cw_status load(struct cw_image *image,
                           const struct cw_image_options *options,
                           struct cw_notes *coverage,
                           struct cw_error *err)
{
    enum cw_status status = cw_modules_collect(image, coverage, err);
    if (status != CW_OK) {
        return status;
    }
    cw_modules_find_files(image, options, coverage);
    status = cw_modules_place(image, err);
    if (status != CW_OK) {
        return status;
    }
    status = cw_modules_overlay(image, err);
    if (status != CW_OK) {
        return status;
    }
    cw_modules_load_symbols(image, options, coverage);
    cw_image_find_libc(image);
    cw_modules_note_files(image, coverage);
    return cw_image_find_runtimes(image) ? CW_OK : cw_error_set_memory(err, "the list of runtimes");
}

enum cw_status cw_image_create(struct cw_space *space,
                               const struct cw_image_options *options,
                               struct cw_arena *arena,
                               struct cw_notes *coverage,
                               struct cw_image *ret_image,
                               struct cw_error *err)
{
    struct cw_image image = {.space = space, .arena = arena};
    image.private = cw_arena_alloc(arena, sizeof *image.private);
    if (image.private == NULL) {
        return cw_error_set_memory(err, "the list of modules");
    }
    cw_classes_init(&image);
    enum cw_status status = load(&image, options, coverage, err);
    if (status != CW_OK) {
        cw_image_destroy(&image);
        return status;
    }
    *ret_image = image;
    return CW_OK;
}

void cw_image_destroy(struct cw_image *image)
{
    if (image->private == NULL) {
        return;
    }
    for (size_t i = 0; i < image->module_count; i++) {
        struct cw_module_detail *detail = &image->private->details[i];
        cw_column_destroy(&detail->symbol_column);
        cw_elf_file_close(&detail->file);
        cw_elf_file_close(&detail->debug_file);
    }
    cw_classes_deinit(image);
    *image = (struct cw_image){0};
}

/* `prefix` and the symbol's name, cut so that the suffix always fits. */
static void print_symbol(const struct cw_symbol *symbol,
                         const char *suffix,
                         char *buffer,
                         size_t buffer_bytes)
{
    size_t length = strlen(buffer);
    size_t suffix_bytes = strlen(suffix);
    if (length + suffix_bytes + 1 < buffer_bytes) {
        cw_image_demangle(symbol->name, buffer + length, buffer_bytes - length - suffix_bytes);
        length = strlen(buffer);
    }
    snprintf(buffer + length, buffer_bytes - length, "%s", suffix);
}

const char *cw_image_describe(const struct cw_image *image,
                              cw_addr address,
                              char *buffer,
                              size_t buffer_bytes)
{
    const struct cw_module *module = cw_image_module_at(image, address);
    if (buffer_bytes == 0) {
        return buffer;
    }
    buffer[0] = '\0';
    if (module == NULL) {
        return buffer;
    }
    char suffix[SUFFIX_BYTES] = "";
    const struct cw_symbol *symbol = cw_module_symbol_at(module, address);
    if (symbol != NULL) {
        if (address > symbol->start) {
            snprintf(suffix, sizeof suffix, "+0x%" PRIx64, address - symbol->start);
        }
        snprintf(buffer, buffer_bytes, "%s: ", module->name);
        print_symbol(symbol, suffix, buffer, buffer_bytes);
        return buffer;
    }
    const struct cw_section *section = cw_module_section_at(module, address);
    if (section != NULL && section->name[0] != '\0') {
        snprintf(suffix, sizeof suffix, " (%.40s)", section->name);
    }
    snprintf(
        buffer, buffer_bytes, "%s+0x%" PRIx64 "%s", module->name, address - module->start, suffix);
    return buffer;
}
