/* Where modules lie: bias, extent, .bss, and the range table that look-ups search. */
#include <stdlib.h>

#include "base/checked.h"
#include "image/module.h"

/* How far anonymous writable memory goes on from an address, up to `end`. */
static cw_addr anonymous_until(const struct cw_space *space, cw_addr start, cw_addr end)
{
    cw_addr at = start;
    for (size_t i = cw_space_first_above(space, start); i < space->region_count && at < end; i++) {
        const struct cw_region *region = &space->regions[i];
        if (region->start > at || !cw_region_is_anonymous(region) ||
            !cw_region_is_writable(region)) {
            break;
        }
        /* A region may end at the very top of the address space. */
        uint64_t left = region->size_bytes - (at - region->start);
        at = left < end - at ? at + left : end;
    }
    return at;
}

/* The whole pages of a PT_LOAD behind its bytes of the file. Empty when its numbers make no sense.
 */
static struct cw_module_range bss_of(const struct cw_image *image,
                                     const struct cw_module *module,
                                     const struct cw_elf_layout *layout,
                                     const struct cw_elf_load *load)
{
    struct cw_module_range none = {0};
    uint64_t page_bytes = image->space->page_bytes;
    cw_addr start = cw_elf_layout_address(layout, module->bias, load->vaddr);
    cw_addr from;
    cw_addr to;
    if (!load->is_writable || start < module->start || !cw_add(start, load->file_bytes, &from) ||
        !cw_align_up(from, page_bytes, &from) || !cw_add(start, load->memory_bytes, &to) ||
        !cw_align_up(to, page_bytes, &to) || from >= to) {
        return none;
    }
    cw_addr end = anonymous_until(image->space, from, to);
    return (struct cw_module_range){.start = from,
                                    .size_bytes = end - from,
                                    .module_index = (uint32_t)(module - image->modules)};
}

static void append(struct cw_image_private *private, struct cw_module_range range)
{
    if (range.size_bytes > 0) {
        private->ranges[private->range_count++] = range;
    }
}

static void set_layout(const struct cw_image *image, struct cw_module_detail *detail)
{
    if (detail->has_memory_layout) {
        detail->layout = detail->memory_layout;
        detail->has_layout = true;
    } else if (detail->file.data != NULL) {
        detail->layout = detail->file.layout;
        detail->has_layout = true;
    }
    detail->has_layout =
        detail->has_layout && cw_elf_layout_fits(&detail->layout, image->space->target);
}

static void place_module(struct cw_image *image, struct cw_module *module)
{
    struct cw_image_private *private = image->private;
    struct cw_module_detail *detail = cw_module_detail(image, module);
    const struct cw_mapping *first = cw_module_mapping(image, detail, 0);
    set_layout(image, detail);
    detail->has_layout = detail->has_layout && cw_elf_layout_bias(&detail->layout,
                                                                  image->space->page_bytes,
                                                                  first->start,
                                                                  first->file_off,
                                                                  &module->bias);
    if (!detail->has_layout) {
        module->bias = first->start - first->file_off;
    }
    for (size_t i = 0; i < detail->mapping_count; i++) {
        const struct cw_mapping *mapping = cw_module_mapping(image, detail, i);
        /* A range that wraps is cut at the top. */
        append(private,
               (struct cw_module_range){
                   .start = mapping->start,
                   .size_bytes = cw_min(mapping->size_bytes, UINT64_MAX - mapping->start),
                   .module_index = (uint32_t)(module - image->modules)});
    }
    for (size_t i = 0; detail->has_layout && i < detail->layout.load_count; i++) {
        append(private, bss_of(image, module, &detail->layout, &detail->layout.loads[i]));
    }
}

static int compare_ranges(const void *a, const void *b)
{
    const struct cw_module_range *left = a;
    const struct cw_module_range *right = b;
    if (left->start != right->start) {
        return left->start < right->start ? -1 : 1;
    }
    if (left->module_index != right->module_index) {
        return left->module_index < right->module_index ? -1 : 1;
    }
    return left->size_bytes < right->size_bytes ? -1 : left->size_bytes > right->size_bytes;
}

/* Joins what touches and gives overlapping memory to the lower range; extends the modules. */
static void tidy_ranges(struct cw_image *image)
{
    struct cw_image_private *private = image->private;
    qsort(private->ranges, private->range_count, sizeof *private->ranges, compare_ranges);
    size_t kept = 0;
    for (size_t i = 0; i < private->range_count; i++) {
        struct cw_module_range range = private->ranges[i];
        struct cw_module_range *last = kept > 0 ? &private->ranges[kept - 1] : NULL;
        cw_addr last_end = last != NULL ? last->start + last->size_bytes : 0;
        if (range.start < last_end) {
            uint64_t cut = cw_min(last_end - range.start, range.size_bytes);
            range.start += cut;
            range.size_bytes -= cut;
        }
        if (last != NULL && last->module_index == range.module_index && range.start == last_end) {
            last->size_bytes += range.size_bytes;
        } else if (range.size_bytes > 0) {
            private->ranges[kept++] = range;
        }
        struct cw_module *module = &image->modules[range.module_index];
        module->size_bytes =
            cw_max(module->size_bytes, range.start + range.size_bytes - module->start);
    }
    private->range_count = kept;
}

enum cw_status cw_modules_place(struct cw_image *image, struct cw_error *err)
{
    size_t limit = 0;
    for (size_t i = 0; i < image->module_count; i++) {
        const struct cw_module_detail *detail = &image->private->details[i];
        limit += detail->mapping_count + detail->memory_layout.load_count +
                 detail->file.layout.load_count;
    }
    struct cw_module_range *ranges = cw_arena_alloc_array(image->arena, limit, sizeof *ranges);
    if (ranges == NULL) {
        return cw_error_set_memory(err, "the ranges of modules");
    }
    image->private->ranges = ranges;
    for (size_t i = 0; i < image->module_count; i++) {
        place_module(image, &image->modules[i]);
    }
    if (image->private->range_count > 0) {
        tidy_ranges(image);
    }
    for (size_t i = 0; i < image->module_count; i++) {
        if (image->modules[i].is_executable) {
            image->executable = &image->modules[i];
        }
    }
    return CW_OK;
}

const struct cw_module *cw_image_module_at(const struct cw_image *image, cw_addr address)
{
    const struct cw_image_private *private = image->private;
    size_t low = 0;
    size_t high = private->range_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (private->ranges[middle].start <= address) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == 0) {
        return NULL;
    }
    const struct cw_module_range *range = &private->ranges[low - 1];
    return cw_range_has(range->start, range->size_bytes, address)
               ? &image->modules[range->module_index]
               : NULL;
}

bool cw_image_is_code(const struct cw_image *image, cw_addr address)
{
    const struct cw_region *region = cw_space_find(image->space, address);
    const struct cw_module *module = cw_image_module_at(image, address);
    if (region == NULL || (region->protection & CW_PROT_EXEC) != 0 || module == NULL ||
        cw_region_is_writable(region)) {
        return region != NULL && (region->protection & CW_PROT_EXEC) != 0;
    }
    /* What the target holds has its true protection. */
    const struct cw_module_detail *detail = cw_module_detail(image, module);
    size_t count =
        region->provenance != CW_HELD && detail->has_layout ? detail->layout.load_count : 0;
    for (size_t i = 0; i < count; i++) {
        const struct cw_elf_load *load = &detail->layout.loads[i];
        cw_addr start = cw_elf_layout_address(&detail->layout, module->bias, load->vaddr);
        if (load->is_executable && cw_range_has(start, load->memory_bytes, address)) {
            return true;
        }
    }
    return false;
}
