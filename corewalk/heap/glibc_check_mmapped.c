/*
 * Mapped chunks that mp_ counts and nobody has found: their headers were overwritten, if no memory
 * is missing. A single one is where something refers to, as to a block at the start of a page, and
 * its size fits into anonymous memory that nothing else is in; if there is just one such place.
 */
#include "heap/glibc_check.h"

struct lost {
    struct glibc *glibc;
    uint64_t bytes;
    cw_addr page; /* 0: nothing refers to a place that would do */
    bool is_ambiguous;
    struct cw_vector thread_words; /* cw_addr: stack and thread pointers, sorted */
    struct cw_vector ends;         /* cw_addr: of each region's stretch of writable memory */
};

static bool has_missing_memory(const struct cw_space *space)
{
    for (size_t i = 0; i < space->region_count; i++) {
        const struct cw_region *region = &space->regions[i];
        if (cw_region_is_writable(region) && region->provenance != CW_HELD) {
            return true;
        }
    }
    return false;
}

static struct cw_tally tally_mapped(const struct cw_chunk_table *table)
{
    struct cw_tally tally = {0};
    for (uint32_t i = 0; i < table->extent_count; i++) {
        if (table->extents[i].arena_index == CW_NONE) {
            cw_tally_add(&tally, table->extents[i].size_bytes);
        }
    }
    return tally;
}

static int compare_addresses(const void *a, const void *b)
{
    cw_addr x = *(const cw_addr *)a;
    cw_addr y = *(const cw_addr *)b;
    return (x > y) - (x < y);
}

/* What is_place looks up for each of up to millions of words. False: out of memory. */
static bool gather(struct lost *lost)
{
    const struct cw_space *space = lost->glibc->space;
    const struct cw_target *target = space->target;
    bool done = true;
    for (size_t i = 0; i < target->thread_count && done; i++) {
        done = cw_vector_append(&lost->thread_words, &target->threads[i].sp) &&
               cw_vector_append(&lost->thread_words, &target->threads[i].tp);
    }
    cw_vector_sort(&lost->thread_words, compare_addresses);
    cw_addr end = 0;
    for (size_t i = 0; i < space->region_count && done; i++) {
        if (space->regions[i].start >= end) {
            end = glibc_stretch_end(space, space->regions[i].start);
        }
        done = cw_vector_append(&lost->ends, &end);
    }
    return done;
}

static bool holds_thread_word(const struct lost *lost, cw_addr start)
{
    size_t low = 0;
    size_t high = lost->thread_words.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (*(cw_addr *)cw_vector_at(&lost->thread_words, middle) < start) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < lost->thread_words.count &&
           cw_range_has(start, lost->bytes, *(cw_addr *)cw_vector_at(&lost->thread_words, low));
}

/* Could the mapping begin at the page? It holds no chunk, stack or thread block, and has room. */
static bool is_place(const struct lost *lost, cw_addr page)
{
    const struct glibc *glibc = lost->glibc;
    const struct cw_region *region = cw_space_find(glibc->space, page);
    if (region == NULL || !cw_region_is_writable(region) || !cw_region_is_anonymous(region)) {
        return false;
    }
    cw_addr end = *(cw_addr *)cw_vector_at(&lost->ends, (size_t)(region - glibc->space->regions));
    return end - page >= lost->bytes && !holds_thread_word(lost, page) &&
           cw_chunk_table_find(&glibc->builder->heap->chunks, page) == CW_NONE;
}

static void look_at(struct lost *lost, uint64_t word)
{
    const struct glibc *glibc = lost->glibc;
    cw_addr page = cw_align_down(word, glibc->space->page_bytes);
    if (word != glibc_first_chunk(glibc, page) + glibc->header_bytes || page == lost->page ||
        !is_place(lost, page)) {
        return;
    }
    lost->is_ambiguous |= lost->page != 0;
    lost->page = page;
}

static void search_region(struct lost *lost, const struct cw_region *region)
{
    struct glibc *glibc = lost->glibc;
    uint64_t word = glibc->word_bytes;
    cw_addr address = region->start;
    cw_addr end = region->start + region->size_bytes;
    while (address < end && glibc->search_bytes_left > 0) {
        const uint8_t *data;
        uint64_t seen = cw_min(cw_space_run(glibc->space, address, &data), end - address);
        if (seen < word) {
            return;
        }
        glibc->search_bytes_left -= cw_min(seen, glibc->search_bytes_left);
        for (uint64_t off = (word - address % word) % word; off + word <= seen; off += word) {
            look_at(lost, cw_load_word(data + off, word));
        }
        address += seen;
    }
}

static void report(struct glibc *glibc, const struct lost *lost, struct cw_tally missing)
{
    if (lost->page != 0 && !lost->is_ambiguous) {
        cw_addr chunk = glibc_first_chunk(glibc, lost->page);
        glibc_report(glibc,
                     CW_DAMAGE_MMAPPED_HEADER,
                     chunk,
                     0,
                     "the header of the block at 0x%" PRIx64 ", a mapping of %" PRIu64
                     " bytes, is damaged: the mapping was not counted as "
                     "part of the heap",
                     chunk + glibc->header_bytes,
                     missing.bytes);
    } else {
        glibc_report(glibc,
                     CW_DAMAGE_MMAPPED_HEADER,
                     glibc->mp.address,
                     0,
                     "%" PRIu64 " blocks with mappings of their own, %" PRIu64
                     " bytes, were not found: their headers have likely been overwritten",
                     missing.count,
                     missing.bytes);
    }
}

void glibc_check_mmapped(struct glibc *glibc)
{
    const struct cw_space *space = glibc->space;
    struct cw_tally mapped = tally_mapped(&glibc->builder->heap->chunks);
    struct cw_tally counted = glibc->builder->heap->allocator_mmapped;
    if (!glibc->builder->heap->has_mmap_count || counted.count <= mapped.count ||
        counted.bytes <= mapped.bytes || has_missing_memory(space)) {
        return;
    }
    struct cw_tally missing = {.count = counted.count - mapped.count,
                               .bytes = counted.bytes - mapped.bytes};
    struct lost lost = {.glibc = glibc, .bytes = missing.bytes};
    cw_vector_init(&lost.thread_words, glibc->arenas.budget, sizeof(cw_addr));
    cw_vector_init(&lost.ends, glibc->arenas.budget, sizeof(cw_addr));
    bool is_searched = missing.count == 1 && gather(&lost);
    for (size_t i = 0; i < space->region_count && is_searched; i++) {
        if (cw_region_is_writable(&space->regions[i])) {
            search_region(&lost, &space->regions[i]);
        }
    }
    report(glibc, &lost, missing);
    cw_vector_deinit(&lost.thread_words);
    cw_vector_deinit(&lost.ends);
}
