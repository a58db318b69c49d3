/*
 * jemalloc's extents, by its radix tree of pages (include/jemalloc/internal/rtree.h, edata.h; 5.0
 * on, in its compact form: x86-64, 48 bits of address, 4 KiB pages). The root lies in the .bss of
 * the module that defines jemalloc, with an entry for each GiB; a leaf has one for each page.
 * Extents name themselves, so that each entry can be checked against the page that it stands for.
 *
 *     root[2^18] -> leaf[2^18] -> extent   0 bits  1 address  2 size | serial   (words)
 *     leaf entry:  63 size class 48 | 47 address of the extent 6 | flags 0     [V] 5.3
 *
 * Extents in use, cached and retained are all found; jemalloc's own structures are not extents.
 */
#include "base/checked.h"
#include "base/cursor.h"
#include "base/map.h"
#include "heap/foreign_finder.h"

#define JEMALLOC_PAGE_BYTES UINT64_C(4096)
#define GIB                 (UINT64_C(1) << 30)
#define POINTER_BITS        ((UINT64_C(1) << 48) - 1)
#define STRUCT_ALIGNMENT    UINT64_C(64)
#define BSS_SEARCH_LIMIT    (UINT64_C(64) << 20)

enum {
    LEAF_ENTRIES = 1 << 18,
    LEAF_LIMIT = 512, /* candidates that are gone through */
    ENTRIES_PER_PAGE = 2,
    LEAST_VALID = 8,
    VALID_PER_INVALID = 8, /* a live process may be in the middle of a change */
};

struct tree {
    struct foreign_search *search;
    struct cw_map leaves;  /* that were tried */
    uint64_t entries_left; /* that may be looked at */
    unsigned leaf_count;
};

struct extent {
    cw_addr start;
    uint64_t size_bytes;
};

/* The extent that a leaf's entry stands for, if it holds the entry's page (of any GiB). */
static bool read_extent(const struct foreign_search *search,
                        uint64_t entry,
                        uint64_t index,
                        struct extent *ret_extent)
{
    cw_addr address = entry & POINTER_BITS & ~(STRUCT_ALIGNMENT - 1);
    const uint8_t *data = cw_space_view(search->space, address, 24);
    if (data == NULL) {
        return false;
    }
    struct cw_cursor cursor = cw_cursor_make(data, 24, 8);
    cw_cursor_skip(&cursor, 8);
    uint64_t start = cw_align_down(cw_cursor_u64(&cursor), JEMALLOC_PAGE_BYTES);
    uint64_t size = cw_align_down(cw_cursor_u64(&cursor), JEMALLOC_PAGE_BYTES);
    uint64_t page_off = (index * JEMALLOC_PAGE_BYTES - start) & (GIB - 1);
    *ret_extent = (struct extent){start, size};
    return page_off < size && start <= POINTER_BITS && size <= POINTER_BITS - start &&
           foreign_region(search, start) != NULL;
}

static void try_leaf(struct tree *tree, const uint8_t *leaf)
{
    struct foreign_search *search = tree->search;
    size_t count_before = search->ranges.count;
    uint64_t valid_count = 0;
    uint64_t invalid_count = 0;
    cw_addr last_start = 0;
    struct cw_cursor cursor = cw_cursor_make(leaf, (size_t)LEAF_ENTRIES * 8, 8);
    for (uint64_t i = 0; i < LEAF_ENTRIES && !search->failed && tree->entries_left > 0; i++) {
        struct extent extent;
        uint64_t entry = cw_cursor_u64(&cursor);
        if ((entry & POINTER_BITS) < JEMALLOC_PAGE_BYTES) {
            continue;
        }
        tree->entries_left--;
        if (!read_extent(search, entry, i, &extent)) {
            invalid_count++;
            if (invalid_count > LEAST_VALID && invalid_count > valid_count) {
                break;
            }
            continue;
        }
        valid_count++;
        if (extent.start != last_start) {
            foreign_add_mapped(
                search, CW_FOREIGN_JEMALLOC, extent.start, extent.size_bytes, CW_PROT_WRITE);
            last_start = extent.start;
        }
    }
    if (valid_count < LEAST_VALID || invalid_count * VALID_PER_INVALID > valid_count) {
        search->ranges.count = count_before;
    }
}

/* Every word of the module's data that leads to a leaf's worth of anonymous memory. */
static void search_data(struct tree *tree, const uint8_t *data, uint64_t size)
{
    struct foreign_search *search = tree->search;
    struct cw_cursor cursor = cw_cursor_make(data, (size_t)size, 8);
    while (cw_cursor_left(&cursor) >= 8 && tree->leaf_count < LEAF_LIMIT && !search->failed) {
        cw_addr address = cw_cursor_u64(&cursor);
        if (address == 0 || address % STRUCT_ALIGNMENT != 0 || address > POINTER_BITS ||
            foreign_region(search, address) == NULL) {
            continue;
        }
        const uint8_t *leaf = cw_space_view(search->space, address, (uint64_t)LEAF_ENTRIES * 8);
        bool is_new = false;
        search->failed |= leaf != NULL && cw_map_insert(&tree->leaves, address, &is_new) == NULL;
        if (is_new && !search->failed) {
            tree->leaf_count++;
            try_leaf(tree, leaf);
        }
    }
}

/* A sound process has an entry a page at most. */
static uint64_t entry_limit(const struct cw_space *space)
{
    uint64_t count = LEAF_ENTRIES;
    for (size_t i = 0; i < space->region_count; i++) {
        const struct cw_region *region = &space->regions[i];
        if (cw_region_is_anonymous(region) && region->provenance == CW_HELD) {
            count += ENTRIES_PER_PAGE * (region->size_bytes / JEMALLOC_PAGE_BYTES);
        }
    }
    return count;
}

void foreign_find_jemalloc(struct foreign_search *search)
{
    const struct cw_space *space = search->space;
    const struct cw_module *module = search->module;
    uint64_t left = BSS_SEARCH_LIMIT;
    struct tree tree = {.search = search, .entries_left = entry_limit(space)};
    if (space->target->arch != CW_ARCH_X86_64) {
        return;
    }
    cw_map_init(&tree.leaves, search->budget);
    for (size_t i = cw_space_first_above(space, module->start); i < space->region_count; i++) {
        const struct cw_region *region = &space->regions[i];
        if (region->start - module->start >= module->size_bytes) {
            break;
        }
        const uint8_t *data;
        uint64_t size =
            cw_region_is_writable(region) ? cw_space_run(space, region->start, &data) : 0;
        size = cw_min(size, left);
        left -= size;
        if (size > 0) {
            search_data(&tree, data, size);
        }
    }
    cw_map_deinit(&tree.leaves);
}
