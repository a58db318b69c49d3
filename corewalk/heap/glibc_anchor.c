/*
 * Anchors: chunk starts that free lists know of, read before there are chunks. Links may be
 * damaged, so that each is taken only where the chunk that it leads to agrees.
 */
#include "heap/glibc_tcache.h"
#include "heap/glibc_walk.h"

enum { LARGEST_ANCHOR_COUNT = 1 << 20 };

struct gather {
    struct glibc *glibc;
    struct glibc_window window;
    uint64_t steps_left;
};

static bool add_anchor(struct glibc *glibc, cw_addr address)
{
    return cw_vector_append(&glibc->anchors, &address);
}

/* A free chunk knows its size at both ends. */
static bool is_free_chunk(struct gather *gather, cw_addr chunk, uint64_t *ret_bytes)
{
    const struct glibc *glibc = gather->glibc;
    uint64_t size_word;
    uint64_t footer;
    if (!glibc_is_chunk_aligned(glibc, chunk) ||
        !glibc_peek(&gather->window, chunk + glibc->word_bytes, &size_word)) {
        return false;
    }
    uint64_t bytes = glibc_chunk_bytes(size_word);
    if (bytes < glibc->min_chunk_bytes || !glibc_peek(&gather->window, chunk + bytes, &footer) ||
        footer != bytes) {
        return false;
    }
    *ret_bytes = bytes;
    return true;
}

static void gather_bin(struct gather *gather, cw_addr bin)
{
    uint64_t word = gather->glibc->word_bytes;
    uint64_t chunk;
    uint64_t bytes;
    uint64_t back;
    cw_addr previous = bin;
    if (!glibc_peek(&gather->window, bin + 2 * word, &chunk)) {
        return;
    }
    while (chunk != bin && gather->steps_left > 0) {
        gather->steps_left--;
        if (!is_free_chunk(gather, chunk, &bytes) ||
            !glibc_peek(&gather->window, chunk + 3 * word, &back) || back != previous ||
            !add_anchor(gather->glibc, chunk) || !add_anchor(gather->glibc, chunk + bytes)) {
            return;
        }
        previous = chunk;
        if (!glibc_peek(&gather->window, chunk + 2 * word, &chunk)) {
            return;
        }
    }
}

/*
 * A chunk of that size that looks used to its neighbours, as fast and cached ones do. Their links
 * have no second direction that would confirm them: the size must.
 */
static bool is_listed_chunk(struct gather *gather, cw_addr chunk, uint64_t bytes)
{
    const struct glibc *glibc = gather->glibc;
    uint64_t size_word;
    uint64_t next_word;
    return glibc_is_chunk_aligned(glibc, chunk) &&
           glibc_peek(&gather->window, chunk + glibc->word_bytes, &size_word) &&
           glibc_chunk_bytes(size_word) == bytes && (size_word & GLIBC_IS_MMAPPED) == 0 &&
           glibc_peek(&gather->window, chunk + bytes + glibc->word_bytes, &next_word) &&
           (next_word & GLIBC_PREV_INUSE) != 0 && next_word > GLIBC_FLAGS;
}

/*
 * A list of chunks of one size, by its head. Whether links are mangled is not known yet: either way
 * is tried. `to_chunk`: from where links point to, back to the chunk.
 */
static void gather_list(struct gather *gather, cw_addr head, uint64_t to_chunk, uint64_t bytes)
{
    const struct glibc *glibc = gather->glibc;
    cw_addr chunk = head - to_chunk;
    while (head != 0 && gather->steps_left > 0 && is_listed_chunk(gather, chunk, bytes)) {
        cw_addr field = chunk + glibc->header_bytes;
        uint64_t stored;
        gather->steps_left--;
        if (!add_anchor(gather->glibc, chunk) || !add_anchor(gather->glibc, chunk + bytes) ||
            !glibc_peek(&gather->window, field, &stored)) {
            return;
        }
        cw_addr plain = stored - to_chunk;
        cw_addr mangled = ((field >> 12) ^ stored) - to_chunk;
        chunk = is_listed_chunk(gather, plain, bytes) ? plain : mangled;
    }
}

static void gather_fastbins(struct gather *gather, const struct glibc_arena *arena)
{
    const struct glibc *glibc = gather->glibc;
    for (unsigned bin = 0; bin < glibc->layout->fastbin_count; bin++) {
        uint64_t head;
        if (glibc_peek(&gather->window, glibc_fastbin_head(glibc, arena, bin), &head)) {
            gather_list(gather, head, 0, ((uint64_t)bin + 2) * 2 * glibc->word_bytes);
        }
    }
}

/* The form of cache that fills a chunk of that size; NONE: none that the layout may have. */
static enum glibc_tcache_form form_of_size(const struct glibc *glibc, uint64_t chunk_bytes)
{
    for (unsigned i = GLIBC_TCACHE_CHAR; i < GLIBC_TCACHE_FORM_COUNT; i++) {
        enum glibc_tcache_form form = (enum glibc_tcache_form)i;
        uint64_t least = glibc_tcache_bytes(glibc->space->word_bytes, form) + glibc->word_bytes;
        if ((glibc->candidates & glibc_with_tcache_form(form)) != 0 && chunk_bytes >= least &&
            chunk_bytes - least < glibc->alignment + glibc->min_chunk_bytes) {
            return form;
        }
    }
    return GLIBC_TCACHE_NONE;
}

/* The first chunk of an arena is usually the cache of the thread that came with it. */
static void gather_cache(struct gather *gather, cw_addr start)
{
    const struct glibc *glibc = gather->glibc;
    cw_addr chunk = glibc_first_chunk(glibc, start);
    struct glibc_tcache_view view;
    uint64_t size_word;
    if (!glibc_peek(&gather->window, chunk + glibc->word_bytes, &size_word)) {
        return;
    }
    enum glibc_tcache_form form = form_of_size(glibc, glibc_chunk_bytes(size_word));
    if (form == GLIBC_TCACHE_NONE ||
        !glibc_read_tcache(glibc, &gather->window, form, chunk + glibc->header_bytes, &view)) {
        return;
    }
    for (unsigned bin = 0; bin < glibc_tcache_layout(form)->small_bin_count; bin++) {
        gather_list(gather,
                    view.heads[bin],
                    glibc->header_bytes,
                    glibc->min_chunk_bytes + (uint64_t)bin * 16);
    }
}

static int compare_anchors(const void *a, const void *b)
{
    cw_addr x = *(const cw_addr *)a;
    cw_addr y = *(const cw_addr *)b;
    return (x > y) - (x < y);
}

void glibc_gather_anchors(struct glibc *glibc)
{
    if (glibc->has_anchors) {
        return;
    }
    glibc->has_anchors = true;
    struct gather gather = {
        .glibc = glibc, .window = {.space = glibc->space}, .steps_left = LARGEST_ANCHOR_COUNT};
    for (size_t i = 0; i < glibc->arenas.count; i++) {
        const struct glibc_arena *arena = glibc_arena_at(glibc, i);
        cw_addr bins = arena->bins;
        for (unsigned bin = 0; bins != 0 && bin < GLIBC_BIN_COUNT; bin++) {
            gather_bin(&gather, bins + ((uint64_t)bin - 1) * 2 * glibc->word_bytes);
        }
        if (bins != 0) {
            gather_fastbins(&gather, arena);
            gather_cache(&gather,
                         arena->is_main ? glibc->mp.sbrk_base
                                        : arena->address + glibc_arena_bytes(glibc->layout));
        }
    }
    cw_vector_sort(&glibc->anchors, compare_anchors);
}
