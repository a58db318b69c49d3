/*
 * Zend's memory manager (PHP 7.0 on; Zend/zend_alloc.c). Memory is taken in chunks of 2 MiB,
 * aligned to their size, in a circular list; the manager's own struct lies in the first of them,
 * behind its header. Larger blocks ("huge") are aligned likewise, and in a list of their own.
 *
 *     chunk   0  heap  1  next  2  prev  3 …  (words)        first chunk: heap = chunk + 8 words
 *     heap    … real_size, …, huge_list, main_chunk, cached_chunks …
 *     huge    0  address  1  size  2  next
 *
 * What lies before main_chunk differs from release to release, so it is found by its value. What
 * is found adds up to memory_get_usage(true), plus chunks in the cache. [V] PHP 8.2.
 */
#include "base/checked.h"
#include "heap/foreign_finder.h"

#define CHUNK_BYTES (UINT64_C(2) << 20)

enum {
    HEADER_WORDS = 8, /* of the chunk, where the heap begins in the first one */
    HEAP_WORDS = 96,  /* as far as main_chunk is looked for */
};

struct zend {
    struct foreign_search *search;
    cw_addr heap;
    cw_addr first;
};

static bool word_at(const struct zend *zend, cw_addr start, unsigned index, uint64_t *ret_word)
{
    const struct cw_space *space = zend->search->space;
    return cw_space_read_word(space, start + (uint64_t)index * space->word_bytes, ret_word);
}

static bool is_chunk(const struct zend *zend, cw_addr address)
{
    uint64_t heap;
    return address % CHUNK_BYTES == 0 && foreign_region(zend->search, address) != NULL &&
           word_at(zend, address, 0, &heap) && heap == zend->heap;
}

/* Does every link of the circle have its counterpart? Adds the chunks if so. */
static bool follow_chunks(const struct zend *zend)
{
    struct foreign_search *search = zend->search;
    size_t count_before = search->ranges.count;
    cw_addr at = zend->first;
    while (foreign_step(search)) {
        uint64_t next;
        uint64_t back;
        if (!word_at(zend, at, 1, &next) || !is_chunk(zend, next) ||
            !word_at(zend, next, 2, &back) || back != at) {
            break;
        }
        foreign_add(search, CW_FOREIGN_ZEND, at, CHUNK_BYTES);
        if (next == zend->first) {
            return true;
        }
        at = next;
    }
    search->ranges.count = count_before;
    return false;
}

static void follow_huge(const struct zend *zend, cw_addr node)
{
    while (node != 0 && foreign_step(zend->search)) {
        uint64_t start;
        uint64_t size;
        if (!word_at(zend, node, 0, &start) || !word_at(zend, node, 1, &size) ||
            !word_at(zend, node, 2, &node) || start % CHUNK_BYTES != 0 ||
            size % zend->search->space->page_bytes != 0 ||
            foreign_region(zend->search, start) == NULL) {
            return;
        }
        foreign_add_mapped(zend->search, CW_FOREIGN_ZEND, start, size, CW_PROT_WRITE);
    }
}

/* Chunks kept for later have no heap of their own to name: only the list says so. */
static void follow_cached(const struct zend *zend, cw_addr chunk)
{
    while (chunk != 0 && foreign_step(zend->search)) {
        if (!is_chunk(zend, chunk)) {
            return;
        }
        foreign_add(zend->search, CW_FOREIGN_ZEND, chunk, CHUNK_BYTES);
        if (!word_at(zend, chunk, 1, &chunk)) {
            return;
        }
    }
}

static void follow_heap(const struct zend *zend)
{
    for (unsigned i = 1; i + 1 < HEAP_WORDS; i++) {
        uint64_t huge;
        uint64_t main_chunk;
        uint64_t cached;
        if (word_at(zend, zend->heap, i, &main_chunk) && main_chunk == zend->first &&
            word_at(zend, zend->heap, i - 1, &huge) && word_at(zend, zend->heap, i + 1, &cached)) {
            follow_huge(zend, huge);
            follow_cached(zend, cached);
            return;
        }
    }
}

static void try_first(struct foreign_search *search, cw_addr address)
{
    uint64_t heap_off = (uint64_t)HEADER_WORDS * search->space->word_bytes;
    struct zend zend = {search, address + heap_off, address};
    if (is_chunk(&zend, address) && follow_chunks(&zend)) {
        follow_heap(&zend);
    }
}

void foreign_find_zend(struct foreign_search *search)
{
    const struct cw_space *space = search->space;
    for (size_t i = 0; i < space->region_count && !search->failed; i++) {
        const struct cw_region *region = &space->regions[i];
        cw_addr at;
        if (region->provenance != CW_HELD || foreign_region(search, region->start) == NULL ||
            !cw_align_up(region->start, CHUNK_BYTES, &at)) {
            continue;
        }
        while (cw_range_holds(region->start, region->size_bytes, at, CHUNK_BYTES)) {
            try_first(search, at);
            if (!cw_add(at, CHUNK_BYTES, &at)) {
                break;
            }
        }
    }
}
