/*
 * V8's pages, by their header (src/heap/memory-chunk-layout.h, basic-memory-chunk.h). Pages are
 * aligned to 256 KiB; large objects have one of their own size. Since V8 12 the header holds no
 * more than flags: nothing is claimed there.
 *
 *     0 size  1 flags  2 Heap*  3 area_start  4 area_end   (words) [V] V8 10.2, 11.3
 */
#include "base/checked.h"
#include "base/map.h"
#include "heap/foreign_finder.h"

#define PAGE_BYTES      (UINT64_C(256) << 10)
#define PAGE_SIZE_LIMIT (UINT64_C(1) << 40)
#define AREA_OFF_LIMIT  (UINT64_C(64) << 10)

enum {
    LEAST_PAGES = 4, /* of one heap: fewer may be chance */
};

struct page {
    uint64_t size_bytes;
    cw_addr heap;
};

static bool read_page(const struct foreign_search *search, cw_addr start, struct page *ret_page)
{
    uint64_t words[5];
    for (unsigned i = 0; i < 5; i++) {
        if (!cw_space_read_word(
                search->space, start + (uint64_t)i * search->space->word_bytes, &words[i])) {
            return false;
        }
    }
    uint64_t size = words[0];
    bool is_page = size >= search->space->page_bytes && size < PAGE_SIZE_LIMIT &&
                   size % search->space->page_bytes == 0 && words[3] > start &&
                   words[3] - start < AREA_OFF_LIMIT && words[4] > words[3] &&
                   words[4] - start <= size && words[2] % search->space->word_bytes == 0 &&
                   words[2] - cw_align_down(words[2], PAGE_BYTES) != 0 &&
                   foreign_region(search, words[2]) != NULL;
    *ret_page = (struct page){size, words[2]};
    return is_page;
}

typedef void visit(struct foreign_search *search,
                   struct cw_map *heaps,
                   cw_addr at,
                   struct page page);

static void count_page(struct foreign_search *search,
                       struct cw_map *heaps,
                       cw_addr at,
                       struct page page)
{
    (void)at;
    bool is_new;
    uint64_t *count = cw_map_insert(heaps, page.heap, &is_new);
    if (count == NULL) {
        search->failed = true;
    } else {
        ++*count;
    }
}

static void claim_page(struct foreign_search *search,
                       struct cw_map *heaps,
                       cw_addr at,
                       struct page page)
{
    const uint64_t *count = cw_map_find(heaps, page.heap);
    if (count != NULL && *count >= LEAST_PAGES) {
        foreign_add_mapped(search, CW_FOREIGN_V8, at, page.size_bytes, 0);
    }
}

static void visit_pages(struct foreign_search *search, struct cw_map *heaps, visit *visit_page)
{
    const struct cw_space *space = search->space;
    for (size_t i = 0; i < space->region_count; i++) {
        const struct cw_region *region = &space->regions[i];
        cw_addr at;
        if (region->provenance != CW_HELD || !cw_region_is_anonymous(region) ||
            (region->protection & CW_PROT_READ) == 0 ||
            !cw_align_up(region->start, PAGE_BYTES, &at)) {
            continue;
        }
        while (cw_range_has(region->start, region->size_bytes, at) && !search->failed) {
            struct page page;
            if (read_page(search, at, &page)) {
                visit_page(search, heaps, at, page);
            }
            if (!cw_add(at, PAGE_BYTES, &at)) {
                break;
            }
        }
    }
}

void foreign_find_v8(struct foreign_search *search)
{
    struct cw_map heaps;
    cw_map_init(&heaps, search->budget);
    visit_pages(search, &heaps, count_page);
    visit_pages(search, &heaps, claim_page);
    cw_map_deinit(&heaps);
}
