/*
 * Code and constants that the target does not hold, from the modules' files. Only segments that
 * the file itself declares read-only: what is writable there, and made read-only after relocation
 * (RELRO), was changed in memory and is not what the file says.
 */
#include <string.h>

#include "base/checked.h"
#include "image/module.h"

/* Missing, read-only, and of this place in this file. A region can go over several mappings. */
static bool is_wanted(const struct cw_image *image,
                      const struct cw_region *region,
                      const char *path,
                      cw_addr address,
                      uint64_t file_off)
{
    if ((region->provenance != CW_NOT_DUMPED && region->provenance != CW_TRUNCATED) ||
        cw_region_is_writable(region) || cw_region_is_anonymous(region)) {
        return false;
    }
    const struct cw_mapping *mapping = &image->space->target->mappings[region->mapping_index];
    return mapping->file_off + (address - mapping->start) == file_off &&
           strcmp(mapping->path, path) == 0;
}

/* Offers a range of the mapping, all of it in the file, region by region. */
static enum cw_status overlay_range(struct cw_image *image,
                                    const struct cw_mapping *mapping,
                                    const struct cw_elf_file *file,
                                    struct cw_module_range range,
                                    struct cw_error *err)
{
    struct cw_space *space = image->space;
    cw_addr end = range.start + range.size_bytes;
    cw_addr at = range.start;
    while (at < end) {
        size_t index = cw_space_first_above(space, at);
        if (index >= space->region_count || space->regions[index].start >= end) {
            break;
        }
        /* By value: the overlay may move the regions. */
        struct cw_region region = space->regions[index];
        at = cw_max(at, region.start);
        uint64_t size = cw_min(region.size_bytes - (at - region.start), end - at);
        uint64_t file_off = mapping->file_off + (at - mapping->start);
        if (is_wanted(image, &region, mapping->path, at, file_off)) {
            enum cw_status status = cw_space_overlay(space, at, size, file->data + file_off, err);
            if (status != CW_OK) {
                return status;
            }
        }
        at += size;
    }
    return CW_OK;
}

static enum cw_status overlay_mapping(struct cw_image *image,
                                      const struct cw_module *module,
                                      const struct cw_elf_file *file,
                                      const struct cw_mapping *mapping,
                                      struct cw_error *err)
{
    const struct cw_elf_load *load = cw_elf_layout_load_at(
        &file->layout, image->space->page_bytes, module->bias, mapping->start, mapping->file_off);
    if (load == NULL || load->is_writable || mapping->file_off >= file->size) {
        return CW_OK;
    }
    /* Whole pages were mapped: what follows the segment in its last page is the file's too. */
    uint64_t file_end = load->file_off + load->file_bytes + image->space->page_bytes - 1;
    file_end = cw_min(cw_align_down(file_end, image->space->page_bytes), file->size);
    uint64_t size;
    uint64_t unused;
    if (!cw_sub(file_end, mapping->file_off, &size)) {
        return CW_OK;
    }
    struct cw_module_range range = {.start = mapping->start,
                                    .size_bytes = cw_min(size, mapping->size_bytes)};
    if (!cw_add(range.start, range.size_bytes, &unused)) {
        return CW_OK;
    }
    return overlay_range(image, mapping, file, range, err);
}

enum cw_status cw_modules_overlay(struct cw_image *image, struct cw_error *err)
{
    for (size_t i = 0; i < image->module_count; i++) {
        const struct cw_module_detail *detail = &image->private->details[i];
        size_t mapping_count = detail->file.data != NULL ? detail->mapping_count : 0;
        for (size_t j = 0; j < mapping_count; j++) {
            enum cw_status status = overlay_mapping(
                image, &image->modules[i], &detail->file, cw_module_mapping(image, detail, j), err);
            if (status != CW_OK) {
                return status;
            }
        }
    }
    return CW_OK;
}
