/*
 * The threads' caches (tcache, from 2.26 on): freed chunks that look used to their neighbours.
 *
 * Each thread's TLS holds a pointer to its cache's struct, an ordinary chunk of a well-known size.
 * So the words next to the thread pointer are searched, nearest first, for one that points to such
 * a chunk whose counts agree with its lists. Threads whose thread pointer is unknown are left out:
 * what they cache counts as used.
 *
 *   char / short   | counts: of each bin       | entries: heads of the lists |
 *   slots          | free slots left, of each  | entries                     |
 *
 * Entries point to what malloc returned, not to the chunk; its first word is the link.
 */
#include "heap/glibc.h"

enum {
    TLS_BYTES = 8192, /* searched on one side of the thread pointer */
    LARGEST_BIN_COUNT = 76,
    BINS_TOLERATED = 1, /* that may disagree: the thread was inside malloc */
};

struct tcache_view {
    uint64_t counts[LARGEST_BIN_COUNT];
    uint64_t heads[LARGEST_BIN_COUNT];
};

struct caches {
    struct glibc *glibc;
    struct glibc_window window;
    uint8_t *states;
    const struct glibc_tcache *cache;
    unsigned unseen_count; /* threads whose TLS cannot be read */
};

/* ---- the struct ---------------------------------------------------------------------------- */

static uint64_t chunk_bytes_for(const struct glibc *glibc, uint64_t request)
{
    uint64_t bytes = request + glibc->word_bytes + glibc->alignment - 1;
    return cw_align_down(bytes, glibc->alignment);
}

static bool read_counts(struct caches *caches,
                        enum glibc_tcache_form form,
                        cw_addr address,
                        struct tcache_view *view)
{
    const struct glibc_tcache_layout *layout = glibc_tcache_layout(form);
    uint8_t raw[2 * LARGEST_BIN_COUNT];
    size_t size = (size_t)layout->bin_count * layout->count_bytes;
    if (!cw_space_read(caches->glibc->space, address, raw, size)) {
        return false;
    }
    for (unsigned i = 0; i < layout->bin_count; i++) {
        view->counts[i] = layout->count_bytes == 1 ? raw[i] : cw_load_u16(raw + 2 * (size_t)i);
    }
    if (form == GLIBC_TCACHE_SLOTS) {
        uint64_t most = caches->glibc->mp.tcache_count;
        for (unsigned i = 0; i < layout->bin_count; i++) {
            most = cw_max(most, view->counts[i]);
        }
        for (unsigned i = 0; i < layout->bin_count; i++) {
            view->counts[i] = most - view->counts[i];
        }
    }
    return true;
}

static bool read_cache(struct caches *caches,
                       enum glibc_tcache_form form,
                       cw_addr address,
                       struct tcache_view *view)
{
    const struct glibc_tcache_layout *layout = glibc_tcache_layout(form);
    uint64_t word = caches->glibc->word_bytes;
    *view = (struct tcache_view){0};
    cw_addr entries = address + (uint64_t)layout->bin_count * layout->count_bytes;
    for (unsigned i = 0; i < layout->bin_count; i++) {
        if (!glibc_peek(&caches->window, entries + (uint64_t)i * word, &view->heads[i])) {
            return false;
        }
    }
    return read_counts(caches, form, address, view);
}

static uint64_t chunk_size(const struct glibc *glibc, uint32_t index)
{
    const struct cw_chunk_table *table = &glibc->builder->heap->chunks;
    return cw_chunk_table_size(table, cw_chunk_table_extent_of(table, index), index);
}

static bool bin_agrees(const struct glibc *glibc,
                       const struct glibc_tcache_layout *layout,
                       const struct tcache_view *view,
                       unsigned bin)
{
    if (view->counts[bin] == 0 || view->heads[bin] == 0) {
        return view->counts[bin] == 0 && view->heads[bin] == 0;
    }
    uint32_t index = glibc_chunk_at(glibc, view->heads[bin] - glibc->header_bytes);
    if (index == CW_NONE) {
        return false;
    }
    return bin >= layout->small_bin_count ||
           chunk_size(glibc, index) == glibc->min_chunk_bytes + (uint64_t)bin * 16;
}

/* Is the chunk at the index a cache of this form? */
static bool is_cache(struct caches *caches,
                     enum glibc_tcache_form form,
                     uint32_t index,
                     cw_addr user)
{
    const struct glibc *glibc = caches->glibc;
    const struct glibc_tcache_layout *layout = glibc_tcache_layout(form);
    uint64_t expected = chunk_bytes_for(glibc, glibc_tcache_bytes(glibc->space->word_bytes, form));
    uint64_t bytes = chunk_size(glibc, index);
    /* A remainder too small to be a chunk stays with it. */
    if (bytes < expected || bytes - expected >= glibc->min_chunk_bytes) {
        return false;
    }
    struct tcache_view view;
    if (!read_cache(caches, form, user, &view)) {
        return false;
    }
    unsigned wrong = 0;
    for (unsigned bin = 0; bin < layout->bin_count; bin++) {
        wrong += bin_agrees(glibc, layout, &view, bin) ? 0 : 1;
    }
    return wrong <= BINS_TOLERATED;
}

/* The form of the cache that the word points to; NONE: it points to none. */
static enum glibc_tcache_form form_behind(struct caches *caches, cw_addr user, uint32_t *ret_index)
{
    struct glibc *glibc = caches->glibc;
    if (user < glibc->header_bytes || user % glibc->alignment != 0) {
        return GLIBC_TCACHE_NONE;
    }
    uint32_t index = glibc_chunk_at(glibc, user - glibc->header_bytes);
    if (index == CW_NONE || caches->states[index] != CW_CHUNK_USED) {
        return GLIBC_TCACHE_NONE;
    }
    for (unsigned form = GLIBC_TCACHE_CHAR; form < GLIBC_TCACHE_FORM_COUNT; form++) {
        if ((glibc->candidates & glibc_with_tcache_form((enum glibc_tcache_form)form)) != 0 &&
            is_cache(caches, (enum glibc_tcache_form)form, index, user)) {
            *ret_index = index;
            return (enum glibc_tcache_form)form;
        }
    }
    return GLIBC_TCACHE_NONE;
}

/* ---- finding ------------------------------------------------------------------------------- */

static bool add_cache(struct caches *caches, cw_addr user, uint32_t index, uint32_t tid)
{
    struct glibc *glibc = caches->glibc;
    struct glibc_tcache cache = {.address = user, .tid = tid};
    caches->states[index] = CW_CHUNK_INTERNAL;
    return cw_vector_append(&glibc->tcaches, &cache);
}

/*
 * When a thread could not be asked: from 2.26 to 2.42 the main thread's cache is the first chunk of
 * the main arena.
 */
static bool find_first_cache(struct caches *caches)
{
    struct glibc *glibc = caches->glibc;
    uint32_t index;
    if (glibc->spans.count == 0 || glibc_span_at(glibc, 0)->kind != GLIBC_SPAN_MAIN) {
        return true;
    }
    cw_addr user = glibc_span_at(glibc, 0)->start + glibc->header_bytes;
    enum glibc_tcache_form form = form_behind(caches, user, &index);
    if (form == GLIBC_TCACHE_NONE) {
        return true;
    }
    glibc_narrow(&glibc->candidates, glibc_with_tcache_form(form));
    glibc->layout = glibc_pick(glibc->candidates);
    return add_cache(caches, user, index, 0);
}

static bool find_cache(struct caches *caches, const struct cw_thread *thread)
{
    struct glibc *glibc = caches->glibc;
    uint64_t word = glibc->word_bytes;
    bool above = glibc->space->target->arch == CW_ARCH_AARCH64;
    cw_addr tp = cw_align_down(thread->tp, word);
    for (uint64_t off = word; off <= TLS_BYTES && (above || off <= tp); off += word) {
        uint64_t value;
        uint32_t index;
        if (!glibc_peek(&caches->window, above ? tp + off : tp - off, &value)) {
            caches->unseen_count += off == word ? 1 : 0;
            return true;
        }
        enum glibc_tcache_form form = form_behind(caches, value, &index);
        if (form != GLIBC_TCACHE_NONE) {
            glibc_narrow(&glibc->candidates, glibc_with_tcache_form(form));
            glibc->layout = glibc_pick(glibc->candidates);
            return add_cache(caches, value, index, thread->tid);
        }
    }
    return true;
}

void glibc_vote_linking(struct glibc *glibc, cw_addr field, uint64_t stored, bool is_user_address)
{
    uint64_t header = is_user_address ? glibc->header_bytes : 0;
    uint64_t mangled = stored ^ (field >> 12);
    bool may_be_plain = stored == 0 || glibc_chunk_at(glibc, stored - header) != CW_NONE;
    bool may_be_mangled = mangled == 0 || glibc_chunk_at(glibc, mangled - header) != CW_NONE;
    glibc->plain_votes += may_be_plain && !may_be_mangled ? 1 : 0;
    glibc->mangled_votes += may_be_mangled && !may_be_plain ? 1 : 0;
}

static void vote(struct caches *caches, const struct glibc_tcache *cache)
{
    struct glibc *glibc = caches->glibc;
    struct tcache_view view;
    enum glibc_tcache_form form = glibc->layout->tcache_form;
    if (!read_cache(caches, form, cache->address, &view)) {
        return;
    }
    for (unsigned bin = 0; bin < glibc_tcache_layout(form)->bin_count; bin++) {
        uint64_t stored;
        if (view.heads[bin] != 0 && glibc_peek(&caches->window, view.heads[bin], &stored)) {
            glibc_vote_linking(glibc, view.heads[bin], stored, true);
        }
    }
}

bool glibc_find_tcaches(struct glibc *glibc)
{
    struct caches caches = {
        .glibc = glibc, .window = {.space = glibc->space}, .states = glibc_states(glibc)};
    const struct cw_target *target = glibc->space->target;
    for (size_t i = 0; i < target->thread_count; i++) {
        caches.unseen_count += target->threads[i].tp == 0 ? 1 : 0;
        if (target->threads[i].tp != 0 && !find_cache(&caches, &target->threads[i])) {
            return false;
        }
    }
    if ((caches.unseen_count > 0 || target->thread_count == 0) && !find_first_cache(&caches)) {
        return false;
    }
    if (caches.unseen_count > 0) {
        cw_note_add(glibc->builder->coverage,
                    CW_WARNING,
                    "tcache-unseen",
                    0,
                    "the thread-local memory of %u of %zu threads cannot be read: freed chunks "
                    "that only their caches know of count as used",
                    caches.unseen_count,
                    target->thread_count);
    }
    for (size_t i = 0; i < glibc->tcaches.count; i++) {
        vote(&caches, cw_vector_at(&glibc->tcaches, i));
    }
    return true;
}

void glibc_settle_linking(struct glibc *glibc)
{
    if (glibc->plain_votes != glibc->mangled_votes) {
        glibc_narrow(&glibc->candidates,
                     glibc_with_linking(glibc->mangled_votes > glibc->plain_votes
                                            ? GLIBC_LINKS_MANGLED
                                            : GLIBC_LINKS_PLAIN));
        glibc->layout = glibc_pick(glibc->candidates);
    }
    glibc->linking = glibc->layout->linking;
}

/* ---- marking ------------------------------------------------------------------------------- */

static void report(struct caches *caches, cw_addr user, const char *what)
{
    cw_note_add(caches->glibc->builder->findings,
                CW_SEVERE,
                "tcache-link",
                user,
                "the cache of thread %" PRIu32 " leads to 0x%" PRIx64 ", %s",
                caches->cache->tid,
                user,
                what);
}

/* Marks one entry; returns the next, 0 at the end of the list. */
static cw_addr take_entry(struct caches *caches, cw_addr user)
{
    struct glibc *glibc = caches->glibc;
    uint64_t stored;
    uint32_t index = glibc_chunk_at(glibc, user - glibc->header_bytes);
    if (index == CW_NONE) {
        if (glibc_peek(&caches->window, user, &stored)) {
            report(caches, user, "where no chunk starts");
        }
        return 0;
    }
    switch ((enum cw_chunk_state)caches->states[index]) {
    case CW_CHUNK_USED:
    case CW_CHUNK_MMAPPED:
        caches->states[index] = CW_CHUNK_TCACHE;
        break;
    case CW_CHUNK_TCACHE:
        report(caches, user, "which is already in a cache: it was freed twice");
        return 0;
    default:
        report(caches, user, "which is not a used chunk");
        return 0;
    }
    return glibc_peek(&caches->window, user, &stored) ? glibc_follow(glibc, user, stored) : 0;
}

static void mark_cache(struct caches *caches)
{
    struct glibc *glibc = caches->glibc;
    enum glibc_tcache_form form = glibc->layout->tcache_form;
    struct tcache_view view;
    if (!read_cache(caches, form, caches->cache->address, &view)) {
        return;
    }
    for (unsigned bin = 0; bin < glibc_tcache_layout(form)->bin_count; bin++) {
        /* One more than counted: the thread may be between linking and counting. */
        uint64_t steps_left = view.counts[bin] + 1;
        cw_addr user = view.heads[bin];
        while (user != 0 && steps_left > 0) {
            user = take_entry(caches, user);
            steps_left--;
        }
        if (user != 0 && view.counts[bin] > 0) {
            report(caches, user, "behind the last chunk that it counts");
        }
    }
}

void glibc_mark_tcaches(struct glibc *glibc)
{
    struct caches caches = {
        .glibc = glibc, .window = {.space = glibc->space}, .states = glibc_states(glibc)};
    for (size_t i = 0; i < glibc->tcaches.count; i++) {
        caches.cache = cw_vector_at(&glibc->tcaches, i);
        mark_cache(&caches);
    }
}
