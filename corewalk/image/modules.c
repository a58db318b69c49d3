/*
 * Modules from the target's own list of file mappings.
 *
 *   NT_FILE, by path and address         module
 *   libz.so.1  0x7f00'0000  off 0        first mapping: its bytes are the front of the file
 *   libz.so.1  0x7f00'3000  off 3000     inside the extent that its program headers give
 *   libz.so.1  0x7f01'9000  off 18000    (also where two mappings have offset 0)
 *   anonymous  0x7f01'b000               .bss: memory size beyond file size of the last PT_LOAD
 *
 * Where the first bytes are not in the target (a truncated core) the group is "blind": it counts
 * as a module when it has code, and its file on disk has to supply the layout.
 */
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/text.h"
#include "image/module.h"

/* As much as is looked at of a file's front: the notes of real files lie in the first page. */
enum { FRONT_BYTES = 65536 };

static const char deleted_suffix[] = " (deleted)";

struct collector {
    struct cw_image *image;
    struct cw_vector details; /* struct cw_module_detail */
    uint64_t skipped_count;
    bool is_out_of_memory;
};

static const struct cw_mapping *mapping_of(const struct cw_image *image, size_t order_index)
{
    return &image->space->target->mappings[image->private->order[order_index]];
}

/* Names of the kernel that are no files, and folders where opening is not harmless. */
static bool is_file_path(const char *path)
{
    static const char *const prefixes[] = {
        "/dev/", "/proc/", "/sys/", "/memfd:", "/SYSV", "/anon_hugepage", "/i915"};
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        if (strncmp(path, prefixes[i], strlen(prefixes[i])) == 0) {
            return false;
        }
    }
    /* The kernel's are absolute; "./" begins what recover.c found of a program started so. */
    return path[0] == '/' || strncmp(path, "./", 2) == 0;
}

static int compare_mappings(const void *a, const void *b, void *context)
{
    const struct cw_mapping *mappings = context;
    uint32_t left_index = *(const uint32_t *)a;
    uint32_t right_index = *(const uint32_t *)b;
    const struct cw_mapping *left = &mappings[left_index];
    const struct cw_mapping *right = &mappings[right_index];
    int by_path = strcmp(left->path, right->path);
    if (by_path != 0) {
        return by_path;
    }
    if (left->start != right->start) {
        return left->start < right->start ? -1 : 1;
    }
    return left_index < right_index ? -1 : left_index > right_index;
}

static bool sort_mappings(struct cw_image *image)
{
    const struct cw_target *target = image->space->target;
    uint32_t *order = cw_arena_alloc_array(image->arena, target->mapping_count, sizeof *order);
    if (order == NULL) {
        return false;
    }
    for (size_t i = 0; i < target->mapping_count; i++) {
        order[i] = (uint32_t)i;
    }
    if (target->mapping_count > 0) {
        qsort_r(order, target->mapping_count, sizeof *order, compare_mappings, target->mappings);
    }
    image->private->order = order;
    return true;
}

static uint32_t protection_of(const struct cw_image *image, const struct cw_mapping *mapping)
{
    const struct cw_region *region = cw_space_find(image->space, mapping->start);
    return region != NULL ? region->protection : 0;
}

/* What the target shows of the file from its first byte on. */
static uint64_t see_front(const struct cw_image *image,
                          const struct cw_mapping *mapping,
                          const uint8_t **ret_data)
{
    if (mapping->file_off != 0) {
        return 0;
    }
    const struct cw_region *region = cw_space_find(image->space, mapping->start);
    if (region == NULL) {
        return 0;
    }
    uint64_t size = region->size_bytes - (mapping->start - region->start);
    size = cw_min(cw_min(size, mapping->size_bytes), FRONT_BYTES);
    *ret_data = cw_space_view(image->space, mapping->start, size);
    return *ret_data != NULL ? size : 0;
}

/* The end of what a layout occupies when its first mapping lies there; 0: none that is sound. */
static cw_addr extent_end(const struct cw_image *image, const struct cw_module_detail *detail)
{
    const struct cw_elf_layout *layout = &detail->memory_layout;
    const struct cw_mapping *first = mapping_of(image, detail->first_mapping);
    uint64_t bias;
    if (!cw_elf_layout_bias(
            layout, image->space->page_bytes, first->start, first->file_off, &bias)) {
        return 0;
    }
    cw_addr end = 0;
    for (size_t i = 0; i < layout->load_count; i++) {
        cw_addr start = cw_elf_layout_address(layout, bias, layout->loads[i].vaddr);
        uint64_t load_end;
        if (cw_add(start, layout->loads[i].memory_bytes, &load_end)) {
            end = cw_max(end, load_end);
        }
    }
    return end;
}

static bool joins(const struct cw_image *image,
                  const struct cw_module_detail *detail,
                  const struct cw_mapping *mapping)
{
    return !detail->has_memory_layout || mapping->start < extent_end(image, detail);
}

/* "/usr/lib/libz.so.1.2 (deleted)" and its path without the kernel's remark. */
static bool set_path(const struct cw_image *image, struct cw_module_detail *detail)
{
    const char *path = mapping_of(image, detail->first_mapping)->path;
    size_t length = strlen(path);
    size_t suffix = sizeof deleted_suffix - 1;
    detail->is_deleted =
        length > suffix && memcmp(path + length - suffix, deleted_suffix, suffix) == 0;
    detail->raw_path =
        cw_arena_strndup(image->arena, path, detail->is_deleted ? length - suffix : length);
    return detail->raw_path != NULL;
}

/*
 * A new group at this mapping, or NULL with *ret_is_data: the target shows that it is no ELF file,
 * and neither are the other mappings of this path.
 */
static struct cw_module_detail *start_group(struct collector *collector,
                                            size_t order_index,
                                            bool *ret_is_data)
{
    struct cw_image *image = collector->image;
    const uint8_t *data;
    uint64_t size = see_front(image, mapping_of(image, order_index), &data);
    *ret_is_data = size > 0 && !cw_elf_is_magic(data, size);
    if (*ret_is_data) {
        return NULL;
    }
    struct cw_module_detail *detail = cw_vector_push(&collector->details);
    if (detail == NULL) {
        collector->is_out_of_memory = true;
        return NULL;
    }
    detail->first_mapping = order_index;
    detail->mapping_count = 1;
    detail->has_memory_layout =
        size > 0 && cw_elf_layout_read(data, size, image->arena, &detail->memory_layout);
    collector->is_out_of_memory |= !set_path(image, detail);
    return detail;
}

static bool holds(const struct cw_image *image,
                  const struct cw_module_detail *detail,
                  cw_addr address)
{
    for (size_t i = 0; i < detail->mapping_count; i++) {
        const struct cw_mapping *mapping = cw_module_mapping(image, detail, i);
        if (cw_range_has(mapping->start, mapping->size_bytes, address)) {
            return true;
        }
    }
    return false;
}

/* Does the kernel's auxiliary vector say that the program itself lies here? */
static bool is_program(const struct cw_image *image, const struct cw_module_detail *detail)
{
    const struct cw_target *target = image->space->target;
    return (target->auxv_phdr != 0 && holds(image, detail, target->auxv_phdr)) ||
           (target->auxv_entry != 0 && holds(image, detail, target->auxv_entry));
}

/*
 * Is a group that was put together a module, or a file that someone reads through a mapping?
 * Protections are not all known: gdb leaves pages out of its cores without a word on them. So a
 * second mapping, as modules have them, counts too; where the first bytes are not shown, and
 * neither code nor the name speaks for a module, its file must be there and be an ELF file.
 */
static bool is_module(const struct cw_image *image, struct cw_module_detail *detail)
{
    uint32_t protection = 0;
    for (size_t i = 0; i < detail->mapping_count; i++) {
        protection |= protection_of(image, cw_module_mapping(image, detail, i));
    }
    if (!detail->has_memory_layout) {
        const char *slash = strrchr(detail->raw_path, '/');
        bool is_sure = (protection & CW_PROT_EXEC) != 0 || is_program(image, detail) ||
                       strstr(slash, ".so") != NULL;
        detail->needs_file = !is_sure;
        return is_sure || detail->mapping_count > 1;
    }
    uint32_t wanted = 0;
    for (size_t i = 0; i < detail->memory_layout.load_count; i++) {
        const struct cw_elf_load *load = &detail->memory_layout.loads[i];
        wanted |= load->is_executable ? CW_PROT_EXEC : 0;
        wanted |= load->is_writable ? CW_PROT_WRITE : 0;
    }
    return wanted == 0 || detail->mapping_count > 1 ||
           (protection & (CW_PROT_EXEC | CW_PROT_WRITE)) != 0;
}

/* Takes a finished group away again when it is none, or one too many. */
static void finish_group(struct collector *collector, size_t *group_count)
{
    struct cw_vector *details = &collector->details;
    struct cw_module_detail *last = cw_vector_at(details, details->count - 1);
    bool is_wanted = !collector->is_out_of_memory && is_module(collector->image, last);
    if (is_wanted && *group_count < CW_MODULE_COPY_LIMIT && details->count <= CW_MODULE_LIMIT) {
        (*group_count)++;
        return;
    }
    collector->skipped_count += is_wanted;
    details->count--;
}

/* The mappings of one path, order[first … end). */
static void split_run(struct collector *collector, size_t first, size_t end)
{
    struct cw_module_detail *current = NULL;
    size_t group_count = 0;
    bool is_data = false;
    for (size_t i = first; i < end && !collector->is_out_of_memory; i++) {
        const struct cw_mapping *mapping = mapping_of(collector->image, i);
        if (current != NULL && joins(collector->image, current, mapping)) {
            current->mapping_count++;
            continue;
        }
        if (is_data && mapping->file_off != 0) {
            continue;
        }
        if (current != NULL) {
            finish_group(collector, &group_count);
        }
        current = start_group(collector, i, &is_data);
    }
    if (current != NULL) {
        finish_group(collector, &group_count);
    }
}

static void split_runs(struct collector *collector)
{
    size_t count = collector->image->space->target->mapping_count;
    for (size_t first = 0, end; first < count; first = end) {
        const char *path = mapping_of(collector->image, first)->path;
        end = first + 1;
        while (end < count && strcmp(mapping_of(collector->image, end)->path, path) == 0) {
            end++;
        }
        if (is_file_path(path)) {
            split_run(collector, first, end);
        }
    }
}

static int compare_details(const void *a, const void *b, void *context)
{
    const struct cw_module_detail *left = a;
    const struct cw_module_detail *right = b;
    cw_addr left_start = mapping_of(context, left->first_mapping)->start;
    cw_addr right_start = mapping_of(context, right->first_mapping)->start;
    if (left_start != right_start) {
        return left_start < right_start ? -1 : 1;
    }
    return left->first_mapping < right->first_mapping ? -1 : 1;
}

static bool has_code(const struct cw_image *image, const struct cw_module_detail *detail)
{
    for (size_t i = 0; i < detail->mapping_count; i++) {
        if (protection_of(image, cw_module_mapping(image, detail, i)) & CW_PROT_EXEC) {
            return true;
        }
    }
    return false;
}

/* The program: where the auxiliary vector points, else the lowest module with code. */
static void mark_executable(struct cw_image *image)
{
    bool (*const tests[])(const struct cw_image *, const struct cw_module_detail *) = {is_program,
                                                                                       has_code};
    for (size_t test = 0; test < sizeof tests / sizeof tests[0]; test++) {
        for (size_t i = 0; i < image->module_count; i++) {
            if (tests[test](image, &image->private->details[i])) {
                image->modules[i].is_executable = true;
                return;
            }
        }
    }
    if (image->module_count > 0) {
        image->modules[0].is_executable = true;
    }
}

static bool fill_module(const struct cw_image *image,
                        const struct cw_module_detail *detail,
                        struct cw_module *module)
{
    const char *slash = strrchr(detail->raw_path, '/');
    const struct cw_mapping *first = cw_module_mapping(image, detail, 0);
    const struct cw_elf_layout *layout = &detail->memory_layout;
    module->start = first->start;
    module->path = cw_text_escape_copy(image->arena, first->path);
    module->name = cw_text_escape_copy(image->arena, slash + 1);
    memcpy(module->build_id, layout->build_id, sizeof module->build_id);
    module->build_id_bytes = layout->build_id_bytes;
    return module->path != NULL && module->name != NULL;
}

static bool make_modules(struct collector *collector)
{
    struct cw_image *image = collector->image;
    size_t count = collector->details.count;
    struct cw_module_detail *details = cw_arena_alloc_array(image->arena, count, sizeof *details);
    image->modules = cw_arena_alloc_array(image->arena, count, sizeof *image->modules);
    if (details == NULL || image->modules == NULL) {
        return false;
    }
    if (count > 0) {
        memcpy(details, collector->details.items, count * sizeof *details);
        qsort_r(details, count, sizeof *details, compare_details, image);
    }
    image->private->details = details;
    for (size_t i = 0; i < count; i++) {
        if (!fill_module(image, &details[i], &image->modules[i])) {
            return false;
        }
    }
    image->module_count = count;
    mark_executable(image);
    return true;
}

enum cw_status cw_modules_collect(struct cw_image *image,
                                  struct cw_notes *coverage,
                                  struct cw_error *err)
{
    struct collector collector = {.image = image};
    cw_vector_init(&collector.details, image->arena->budget, sizeof(struct cw_module_detail));
    bool is_done = sort_mappings(image);
    if (is_done) {
        split_runs(&collector);
        is_done = !collector.is_out_of_memory && make_modules(&collector);
    }
    cw_vector_deinit(&collector.details);
    if (!is_done) {
        return cw_error_set_memory(err, "the list of modules");
    }
    if (collector.skipped_count > 0) {
        cw_note_add(coverage,
                    CW_WARNING,
                    "modules-skipped",
                    0,
                    "%llu modules beyond the first %d (or %d of one file) were not looked at",
                    (unsigned long long)collector.skipped_count,
                    CW_MODULE_LIMIT,
                    CW_MODULE_COPY_LIMIT);
    }
    return CW_OK;
}
