/*
 * The main arena's memory without the arena: a core that was cut off has lost libc's data, which
 * lies high, long before the brk memory, which lies low and may be most of what is left.
 *
 * Brk memory begins with a chunk: from 2.26 to 2.42 the main thread's cache, whose size says its
 * form. A thread arena's heap begins with a heap_info, an mmapped chunk has its flag set; so
 * anonymous memory from whose very start chunks lead on and on is brk memory.
 */
#include "heap/glibc_walk.h"

enum {
    CONFIRMING_HOPS = 48,
    HOPS_BEHIND_CACHE = 4, /* a first chunk of a cache's very size confirms as well */
};

/* The form of the cache that takes a chunk of this size; NONE: no cache does. */
static enum glibc_tcache_form form_of(const struct glibc *glibc, uint64_t chunk_bytes)
{
    for (unsigned form = GLIBC_TCACHE_CHAR; form < GLIBC_TCACHE_FORM_COUNT; form++) {
        uint64_t request =
            glibc_tcache_bytes(glibc->space->word_bytes, (enum glibc_tcache_form)form);
        uint64_t bytes = request + glibc->word_bytes + glibc->alignment - 1;
        if (chunk_bytes == cw_align_down(bytes, glibc->alignment)) {
            return (enum glibc_tcache_form)form;
        }
    }
    return GLIBC_TCACHE_NONE;
}

/* Is it a chunk that fits to the one before it? Brk memory's first has none before it. */
static bool fits(const struct glibc *glibc,
                 struct glibc_window *window,
                 cw_addr chunk,
                 cw_addr end,
                 uint64_t previous_bytes,
                 uint64_t *ret_bytes)
{
    const struct glibc_span span = {.kind = GLIBC_SPAN_MAIN};
    uint64_t size_word;
    uint64_t footer;
    if (!glibc_peek(window, chunk, &footer) ||
        !glibc_peek(window, chunk + glibc->word_bytes, &size_word) ||
        !glibc_size_is_sane(glibc, &span, size_word, end - chunk)) {
        return false;
    }
    bool is_in_use = (size_word & GLIBC_PREV_INUSE) != 0;
    *ret_bytes = glibc_chunk_bytes(size_word);
    return previous_bytes == 0 ? footer == 0 && is_in_use : is_in_use || footer == previous_bytes;
}

/* Do chunks lead on from here: many, or all up to the end, or some behind what looks a cache? */
static bool leads_on(const struct glibc *glibc,
                     struct glibc_window *window,
                     cw_addr start,
                     cw_addr end)
{
    uint64_t bytes = 0;
    uint64_t first_bytes = 0;
    unsigned hop = 0;
    cw_addr chunk = start;
    while (hop < CONFIRMING_HOPS && chunk < end && fits(glibc, window, chunk, end, bytes, &bytes)) {
        first_bytes = hop == 0 ? bytes : first_bytes;
        chunk += bytes;
        hop++;
    }
    bool begins_with_cache = hop > 0 && form_of(glibc, first_bytes) != GLIBC_TCACHE_NONE;
    return hop >= CONFIRMING_HOPS ||
           (begins_with_cache && (hop >= HOPS_BEHIND_CACHE || (hop > 1 && chunk == end)));
}

/* The first chunk's size, where it is that of a cache, leaves only releases with this form. */
static void narrow(struct glibc *glibc, uint64_t first_bytes)
{
    enum glibc_tcache_form form = form_of(glibc, first_bytes);
    if (form != GLIBC_TCACHE_NONE) {
        glibc_narrow(&glibc->candidates, glibc_with_tcache_form(form));
        glibc->layout = glibc_pick(glibc->candidates);
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
