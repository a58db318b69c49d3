/*
 * The main arena's memory without the arena: a core that was cut off has lost libc's data, which
 * lies high, long before the brk memory, which lies low and may be most of what is left.
 *
 * Brk memory begins with a chunk: from 2.26 to 2.42 the main thread's cache, whose size says its
 * form. A thread arena's heap begins with a heap_info, an mmapped chunk has its flag set; so
 * anonymous memory from whose very start chunks lead on and on is brk memory.
 */
#include "heap/glibc_walk.h"

enum { CONFIRMING_HOPS = 48 };

static bool leads_on(const struct glibc *glibc,
                     struct glibc_window *window,
                     cw_addr start,
                     cw_addr end)
{
    const struct glibc_span span = {.kind = GLIBC_SPAN_MAIN};
    uint64_t previous_bytes = 0;
    cw_addr chunk = start;
    for (unsigned hop = 0; hop < CONFIRMING_HOPS; hop++) {
        uint64_t size_word;
        uint64_t footer;
        if (chunk >= end || !glibc_peek(window, chunk, &footer) ||
            !glibc_peek(window, chunk + glibc->word_bytes, &size_word) ||
            !glibc_size_is_sane(glibc, &span, size_word, end - chunk)) {
            return false;
        }
        bool is_in_use = (size_word & GLIBC_PREV_INUSE) != 0;
        if (hop == 0 ? footer != 0 || !is_in_use : !is_in_use && footer != previous_bytes) {
            return false;
        }
        previous_bytes = glibc_chunk_bytes(size_word);
        chunk += previous_bytes;
    }
    return true;
}

/* The first chunk's size, where it is that of a cache, leaves only releases with this form. */
static void narrow(struct glibc *glibc, uint64_t first_bytes)
{
    for (unsigned form = GLIBC_TCACHE_CHAR; form < GLIBC_TCACHE_FORM_COUNT; form++) {
        uint64_t request =
            glibc_tcache_bytes(glibc->space->word_bytes, (enum glibc_tcache_form)form);
        uint64_t bytes = request + glibc->word_bytes + glibc->alignment - 1;
        if (first_bytes == cw_align_down(bytes, glibc->alignment)) {
            glibc_narrow(&glibc->candidates, glibc_with_tcache_form((enum glibc_tcache_form)form));
            glibc->layout = glibc_pick(glibc->candidates);
        }
    }
}

static bool put_first(struct glibc *glibc, cw_addr base)
{
    if (cw_vector_push(&glibc->arenas) == NULL) {
        return false;
    }
    for (size_t i = glibc->arenas.count - 1; i > 0; i--) {
        *glibc_arena_at(glibc, i) = *glibc_arena_at(glibc, i - 1);
    }
    *glibc_arena_at(glibc, 0) = (struct glibc_arena){.is_main = true, .orphan_base = base};
    cw_note_add(glibc->builder->coverage,
                CW_WARNING,
                "main-arena-missing",
                base,
                "the main arena's own data is missing from the input; its memory from 0x%" PRIx64
                " on was walked, but which of its used chunks are cached is less sure",
                base);
    return true;
}

bool glibc_find_orphan(struct glibc *glibc)
{
    const struct cw_space *space = glibc->space;
    struct glibc_window window = {.space = space};
    if (glibc->layout == NULL) {
        glibc->layout = glibc_pick(glibc->candidates);
        glibc->alignment = glibc->layout->alignment;
    }
    cw_addr end = 0; /* of the stretch of writable memory */
    for (size_t i = 0; i < space->region_count; i++) {
        const struct cw_region *region = &space->regions[i];
        if (!cw_region_is_writable(region) || !cw_region_is_anonymous(region)) {
            continue;
        }
        if (region->start >= end) {
            end = glibc_stretch_end(space, region->start);
        }
        cw_addr start = glibc_first_chunk(glibc, region->start);
        uint64_t size_word;
        if (leads_on(glibc, &window, start, end) &&
            glibc_peek(&window, start + glibc->word_bytes, &size_word)) {
            narrow(glibc, glibc_chunk_bytes(size_word));
            return put_first(glibc, region->start);
        }
    }
    return true;
}
