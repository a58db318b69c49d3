/*
 * Mmapped chunks: nothing points to them. They are looked for at the pages of writable anonymous
 * memory; neighbouring mappings are merged by the kernel, so that a region may hold many.
 *
 *   mapping  |prev_size 0|size 2|  content                      |   size + 2W: from 2.43 on
 *            start                                         + total, a page multiple
 *
 *   aligned  |    stale header  |…|prev_size = c - start|size|2| content |
 *            start                c = a multiple of the alignment, less 2W
 *
 * An aligned block leaves the header of the whole mapping behind, stale from the first realloc on,
 * and is itself found at the places where memalign can have put it: or, when mremap has moved it,
 * at the end of any page. mp_ counts the mappings and their bytes: agreement proves that exactly
 * the right ones were found.
 */
#include "heap/glibc.h"

enum {
    LARGEST_ALIGNMENT_SHIFT = 40,
    LOOKS_PER_PAGE = 4, /* for moved blocks: mappings do not overlap, so that one would do */
};

struct mapping {
    cw_addr start;
    uint64_t total_bytes;
    cw_addr chunk;
    bool is_near_stack; /* its memory also holds a thread's stack pointer */
    bool is_refuted;    /* mp_ counts one less: the program's data, which looks like a header */
};

struct scan {
    struct glibc *glibc;     /* the first copy: all have the same layout */
    struct cw_vector spans;  /* struct glibc_span of all copies, by address */
    struct cw_tally counted; /* by the copies' mp_ */
    bool is_counted;         /* each has one */
    struct glibc_window window;
    struct cw_vector found;   /* struct mapping */
    struct cw_tally sure;     /* of them: not near a stack */
    bool is_thorough;         /* moved blocks are looked for as well */
    uint64_t page_looks_left; /* for moved blocks */
    bool failed;              /* out of memory, or cancelled */
};

/* The mapping's size if the header at `chunk` is that of a mapping from `start` on; else 0. */
static uint64_t mapping_bytes(struct scan *scan, cw_addr start, cw_addr chunk)
{
    const struct glibc *glibc = scan->glibc;
    uint64_t prev_size;
    uint64_t size_word;
    uint64_t total;
    if (!glibc_peek(&scan->window, chunk, &prev_size) ||
        !glibc_peek(&scan->window, chunk + glibc->word_bytes, &size_word) ||
        (size_word & GLIBC_FLAGS) != GLIBC_IS_MMAPPED) {
        return 0;
    }
    uint64_t extra = 0;
    if (glibc->layout->mmapped_excludes_header) {
        prev_size &= ~UINT64_C(1); /* says that huge pages were used */
        extra = glibc->header_bytes;
    }
    if (prev_size != chunk - start || !cw_add(glibc_chunk_bytes(size_word), extra, &total) ||
        !cw_add(total, prev_size, &total) || total % glibc->space->page_bytes != 0 ||
        total <= prev_size) {
        return 0;
    }
    return total;
}

/* Is the block's header at `chunk`? Then completes the mapping with it. */
static bool try_chunk(struct scan *scan, struct mapping *mapping, cw_addr chunk)
{
    uint64_t total = mapping_bytes(scan, mapping->start, chunk);
    if (total == 0) {
        return false;
    }
    mapping->chunk = chunk;
    mapping->total_bytes = total;
    return true;
}

/* At the places where memalign puts blocks of each alignment. */
static bool find_aligned(struct scan *scan, struct mapping *mapping, uint64_t reach_bytes)
{
    const struct glibc *glibc = scan->glibc;
    cw_addr outer = glibc_first_chunk(glibc, mapping->start);
    for (unsigned shift = 4; shift < LARGEST_ALIGNMENT_SHIFT; shift++) {
        uint64_t alignment = UINT64_C(1) << shift;
        if (alignment >= reach_bytes) {
            break;
        }
        uint64_t user;
        if (alignment <= glibc->alignment ||
            !cw_align_up(outer + glibc->header_bytes, alignment, &user)) {
            continue;
        }
        /* Up to 2.42 what is cut off in front must make a chunk. */
        if (!glibc->layout->mmapped_excludes_header &&
            user - glibc->header_bytes - outer < glibc->min_chunk_bytes) {
            user += alignment;
        }
        cw_addr chunk = user - glibc->header_bytes;
        if (chunk > outer && user - mapping->start < reach_bytes &&
            try_chunk(scan, mapping, chunk)) {
            return true;
        }
    }
    return false;
}

/* At the end of any page: mremap keeps no alignment beyond a page. */
static bool find_moved(struct scan *scan, struct mapping *mapping, uint64_t reach_bytes)
{
    const struct glibc *glibc = scan->glibc;
    uint64_t page_bytes = glibc->space->page_bytes;
    for (uint64_t off = page_bytes; off < reach_bytes && scan->page_looks_left > 0;
         off += page_bytes) {
        scan->page_looks_left--;
        if (try_chunk(scan, mapping, mapping->start + off - glibc->header_bytes)) {
            return true;
        }
    }
    return false;
}

/* Is there a mapping at the page, which ends at `end` at the latest? */
static bool find_mapping(struct scan *scan, cw_addr page, cw_addr end, struct mapping *mapping)
{
    cw_addr outer = glibc_first_chunk(scan->glibc, page);
    uint64_t stale_bytes = mapping_bytes(scan, page, outer);
    if (stale_bytes == 0) {
        return false;
    }
    mapping->start = page;
    uint64_t reach_bytes = cw_min(stale_bytes, end - page);
    if (!find_aligned(scan, mapping, reach_bytes) &&
        !(scan->is_thorough && find_moved(scan, mapping, reach_bytes))) {
        mapping->chunk = outer;
        mapping->total_bytes = stale_bytes;
    }
    return mapping->total_bytes <= end - page;
}

/* The first span that ends behind the address, or NULL. */
static const struct glibc_span *span_behind(const struct scan *scan, cw_addr address)
{
    size_t low = 0;
    size_t high = scan->spans.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (((struct glibc_span *)cw_vector_at(&scan->spans, middle))->end <= address) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < scan->spans.count ? cw_vector_at(&scan->spans, low) : NULL;
}

/* Does a live stack, or thread block, reach into the memory? */
static bool holds_stack(const struct glibc *glibc, cw_addr start, uint64_t size)
{
    const struct cw_target *target = glibc->space->target;
    for (size_t i = 0; i < target->thread_count; i++) {
        const struct cw_thread *thread = &target->threads[i];
        if ((thread->sp != 0 && cw_range_has(start, size, thread->sp)) ||
            (thread->tp != 0 && cw_range_has(start, size, thread->tp))) {
            return true;
        }
    }
    return false;
}

/*
 * By how much mp_ counts more bytes than these, of as many mappings. False: it cannot be. From 2.43
 * on each mremap leaves two words too many in its sum.
 */
static bool find_drift(const struct scan *scan, struct cw_tally tally, uint64_t *ret_bytes)
{
    const struct glibc *glibc = scan->glibc;
    if (!scan->is_counted || tally.count != scan->counted.count ||
        tally.bytes > scan->counted.bytes) {
        return false;
    }
    *ret_bytes = scan->counted.bytes - tally.bytes;
    return *ret_bytes == 0 ||
           (glibc->mp.form == GLIBC_MP_2_43 && *ret_bytes % glibc->header_bytes == 0);
}

/* Is that what mp_ counts? Less than a page cannot hide that a mapping's size was read wrong. */
static bool is_all(const struct scan *scan, struct cw_tally tally)
{
    uint64_t drift;
    return find_drift(scan, tally, &drift) && drift < scan->glibc->space->page_bytes;
}

static bool is_complete(const struct scan *scan)
{
    return is_all(scan, scan->sure);
}

/* The mapping that begins at the page, if one does; returns where to look next. */
static cw_addr look_at_page(struct scan *scan, cw_addr page, cw_addr end, bool is_near_stack)
{
    const struct glibc *glibc = scan->glibc;
    struct mapping mapping = {.is_near_stack = is_near_stack};
    if (!find_mapping(scan, page, end, &mapping) ||
        (is_near_stack && holds_stack(glibc, page, mapping.total_bytes))) {
        return page + glibc->space->page_bytes;
    }
    scan->failed |= !cw_vector_append(&scan->found, &mapping);
    if (!is_near_stack) {
        cw_tally_add(&scan->sure, mapping.total_bytes);
    }
    return page + mapping.total_bytes;
}

/*
 * Where the missing memory around the page ends; 0: the page is there. No header can be seen in it,
 * and there may be more of it than anyone could go through by pages.
 */
static cw_addr end_of_missing(const struct scan *scan, cw_addr page)
{
    if (cw_range_has(scan->window.start, scan->window.size_bytes, page)) {
        return 0;
    }
    const struct cw_region *region = cw_space_find(scan->glibc->space, page);
    bool is_missing = region != NULL && region->provenance != CW_HELD;
    return is_missing ? region->start + region->size_bytes : 0;
}

/* [start, end) is anonymous and writable; parts of it may be missing, or belong to arenas. */
static void scan_stretch(struct scan *scan, cw_addr start, cw_addr end)
{
    const struct glibc *glibc = scan->glibc;
    uint64_t page_bytes = glibc->space->page_bytes;
    bool is_near_stack = holds_stack(glibc, start, end - start);
    cw_addr page = start;
    while (page < end && end - page >= page_bytes && !scan->failed && !is_complete(scan)) {
        const struct glibc_span *span = span_behind(scan, page);
        cw_addr limit = span != NULL ? cw_min(end, span->start) : end;
        if (page >= limit) {
            if (span == NULL || span->start > page || !cw_align_up(span->end, page_bytes, &page)) {
                return;
            }
            continue;
        }
        cw_addr missing_end = end_of_missing(scan, page);
        if (missing_end == 0) {
            page = look_at_page(scan, page, limit, is_near_stack);
        } else if (!cw_align_up(missing_end, page_bytes, &page)) {
            return;
        }
    }
}

static bool is_anonymous_data(const struct cw_region *region)
{
    return cw_region_is_writable(region) && cw_region_is_anonymous(region);
}

static void scan_space(struct scan *scan)
{
    const struct cw_space *space = scan->glibc->space;
    const struct cw_progress *progress = scan->glibc->builder->progress;
    size_t i = 0;
    while (i < space->region_count && !scan->failed && !is_complete(scan)) {
        if (!is_anonymous_data(&space->regions[i])) {
            i++;
            continue;
        }
        cw_addr start;
        cw_addr end = space->regions[i].start;
        if (!cw_align_up(end, space->page_bytes, &start)) {
            return;
        }
        while (i < space->region_count && is_anonymous_data(&space->regions[i]) &&
               space->regions[i].start == end) {
            end += space->regions[i++].size_bytes;
        }
        if (end > start) {
            scan_stretch(scan, start, end);
        }
        if (!cw_progress_report(progress, "mappings", i, space->region_count)) {
            scan->glibc->was_cancelled = true;
            scan->failed = true;
        }
    }
}

static struct mapping *found_at(const struct scan *scan, size_t index)
{
    return cw_vector_at(&scan->found, index);
}

static struct cw_tally tally_found(const struct scan *scan)
{
    struct cw_tally tally = {0};
    for (size_t i = 0; i < scan->found.count; i++) {
        cw_tally_add(&tally, found_at(scan, i)->total_bytes);
    }
    return tally;
}

static bool add_mapping(struct glibc *glibc, const struct mapping *mapping)
{
    return cw_heap_builder_add_mmapped(
        glibc->builder, mapping->start, mapping->total_bytes, mapping->chunk - mapping->start);
}

static void report_mismatch(const struct scan *scan, struct cw_tally found)
{
    cw_note_add(scan->glibc->builder->coverage,
                CW_WARNING,
                "mmapped-count",
                scan->glibc->mp.address,
                "%" PRIu64 " mmapped chunks of %" PRIu64
                " bytes were found, but the allocator counts %" PRIu64 " of %" PRIu64 " bytes",
                found.count,
                found.bytes,
                scan->counted.count,
                scan->counted.bytes);
}

static int compare_spans(const void *a, const void *b)
{
    const struct glibc_span *x = a;
    const struct glibc_span *y = b;
    return (x->start > y->start) - (x->start < y->start);
}

/* What all copies know. False: out of memory. */
static bool gather(struct scan *scan, const struct glibc_copies *copies)
{
    scan->is_counted = true;
    for (size_t i = 0; i < copies->count; i++) {
        const struct glibc *glibc = &copies->items[i];
        scan->is_counted &= glibc->mp.address != 0;
        scan->counted.count += glibc->mp.n_mmaps;
        scan->counted.bytes += glibc->mp.mmapped_bytes;
        for (size_t k = 0; k < glibc->spans.count; k++) {
            if (!cw_vector_append(&scan->spans, glibc_span_at(glibc, k))) {
                return false;
            }
        }
    }
    cw_vector_sort(&scan->spans, compare_spans);
    return true;
}

static void scan_twice(struct scan *scan)
{
    scan_space(scan);
    if (scan->is_counted && !is_complete(scan) && !scan->failed) {
        scan->is_thorough = true;
        scan->found.count = 0;
        scan->sure = (struct cw_tally){0};
        scan_space(scan);
    }
}

/* Does it begin or end where the kernel's mapping or another found one does? */
static bool is_anchored(const struct scan *scan, size_t index)
{
    const struct mapping *mapping = found_at(scan, index);
    const struct cw_region *region = cw_space_find(scan->glibc->space, mapping->start);
    cw_addr end = mapping->start + mapping->total_bytes;
    if (region == NULL || mapping->start == region->start ||
        end == region->start + region->size_bytes) {
        return true;
    }
    const struct mapping *before = index > 0 ? found_at(scan, index - 1) : NULL;
    const struct mapping *behind = index + 1 < scan->found.count ? found_at(scan, index + 1) : NULL;
    return (before != NULL && before->start + before->total_bytes == mapping->start) ||
           (behind != NULL && behind->start == end);
}

/* Several too many: those that lie anywhere, if mp_ counts all but them. */
static void refute_loose(struct scan *scan)
{
    struct cw_tally anchored = {0};
    if (!scan->is_counted || scan->sure.count <= scan->counted.count) {
        return;
    }
    for (size_t i = 0; i < scan->found.count; i++) {
        const struct mapping *mapping = found_at(scan, i);
        if (!mapping->is_near_stack && is_anchored(scan, i)) {
            cw_tally_add(&anchored, mapping->total_bytes);
        }
    }
    if (!is_all(scan, anchored)) {
        return;
    }
    for (size_t i = 0; i < scan->found.count; i++) {
        struct mapping *mapping = found_at(scan, i);
        mapping->is_refuted = !mapping->is_near_stack && !is_anchored(scan, i);
    }
    scan->sure = anchored;
}

/*
 * One too many: it is the one whose bytes mp_ does not count. Among several of that size it is the
 * only one that lies anywhere; if that does not tell them apart, nothing does.
 */
static void refute_one(struct scan *scan)
{
    struct mapping *same_size = NULL;
    struct mapping *loose = NULL;
    unsigned same_size_count = 0;
    unsigned loose_count = 0;
    if (!scan->is_counted || scan->sure.count != scan->counted.count + 1) {
        return;
    }
    for (size_t i = 0; i < scan->found.count; i++) {
        struct mapping *mapping = found_at(scan, i);
        struct cw_tally rest = {.count = scan->sure.count - 1,
                                .bytes = scan->sure.bytes - mapping->total_bytes};
        if (mapping->is_near_stack || !is_all(scan, rest)) {
            continue;
        }
        same_size = mapping;
        same_size_count++;
        if (!is_anchored(scan, i)) {
            loose = mapping;
            loose_count++;
        }
    }
    struct mapping *refuted = same_size_count == 1 ? same_size : loose_count == 1 ? loose : NULL;
    if (refuted != NULL) {
        refuted->is_refuted = true;
        scan->sure.count--;
        scan->sure.bytes -= refuted->total_bytes;
    }
}

/* Does something else begin, or nothing follow, where the mapping ends? */
static bool has_known_end(const struct scan *scan, size_t index)
{
    const struct mapping *mapping = found_at(scan, index);
    cw_addr end = mapping->start + mapping->total_bytes;
    const struct cw_region *region = cw_space_find(scan->glibc->space, end);
    if (region == NULL || region->start == end || !is_anonymous_data(region) ||
        (index + 1 < scan->found.count && found_at(scan, index + 1)->start == end)) {
        return true;
    }
    const struct glibc_span *span = span_behind(scan, end);
    return span != NULL && span->start - end < scan->glibc->space->page_bytes;
}

/* As is_all, but pages of drift are taken for that where none of those added could be larger. */
static bool is_all_by_ends(const struct scan *scan, struct cw_tally tally, bool with_stacks)
{
    uint64_t drift;
    if (!find_drift(scan, tally, &drift)) {
        return false;
    }
    bool is_all = true;
    for (size_t i = 0; i < scan->found.count && drift >= scan->glibc->space->page_bytes; i++) {
        const struct mapping *mapping = found_at(scan, i);
        bool is_added = with_stacks || (!mapping->is_near_stack && !mapping->is_refuted);
        is_all &= !is_added || has_known_end(scan, i);
    }
    return is_all;
}

static void add_found(struct scan *scan)
{
    uint64_t drift;
    struct cw_tally added = tally_found(scan);
    bool with_stacks = find_drift(scan, added, &drift);
    if (!with_stacks) {
        refute_loose(scan);
        refute_one(scan);
        added = scan->sure;
    }
    for (size_t i = 0; i < scan->found.count && !scan->failed; i++) {
        const struct mapping *mapping = found_at(scan, i);
        if (with_stacks || (!mapping->is_near_stack && !mapping->is_refuted)) {
            scan->failed |= !add_mapping(scan->glibc, mapping);
        }
    }
    if (scan->is_counted && !is_all_by_ends(scan, added, with_stacks) && !scan->failed) {
        report_mismatch(scan, added);
    }
}

static uint64_t count_pages(const struct cw_space *space)
{
    uint64_t count = 0;
    for (size_t i = 0; i < space->region_count; i++) {
        const struct cw_region *region = &space->regions[i];
        if (is_anonymous_data(region) && region->provenance == CW_HELD) {
            count += region->size_bytes / space->page_bytes;
        }
    }
    return count;
}

bool glibc_find_mmapped(struct glibc_copies *copies)
{
    struct glibc *glibc = &copies->items[0];
    struct cw_heap *heap = glibc->builder->heap;
    heap->mmapped_overhead_bytes = glibc->header_bytes;
    if (glibc->layout->mmapped_excludes_header) {
        heap->mmapped_overhead_bytes += glibc->word_bytes;
    }
    struct scan scan = {
        .glibc = glibc,
        .window = {.space = glibc->space},
        .page_looks_left = LOOKS_PER_PAGE * count_pages(glibc->space),
    };
    cw_vector_init(&scan.found, glibc->arenas.budget, sizeof(struct mapping));
    cw_vector_init(&scan.spans, glibc->arenas.budget, sizeof(struct glibc_span));
    scan.failed = !gather(&scan, copies);
    heap->has_mmap_count = scan.is_counted;
    heap->allocator_mmapped = scan.counted;
    if (!scan.failed) {
        scan_twice(&scan);
        add_found(&scan);
    }
    cw_vector_deinit(&scan.spans);
    cw_vector_deinit(&scan.found);
    return !scan.failed;
}
