/*
 * The threads' caches (tcache, from 2.26 on): freed chunks that look used to their neighbours.
 *
 * Each thread's TLS holds a pointer to its cache's struct, an ordinary chunk of a well-known size.
 * So the words next to the thread pointer are searched, nearest first, for one that points to such
 * a chunk whose counts agree with its lists. The program's own thread-local data lies between, and
 * may be large: where no thread has a pointer nearby, the whole mapping is searched, until one
 * shows how far off it is in all of them. Threads whose thread pointer is unknown are left out:
 * what they cache counts as used.
 *
 *   char / short   | counts: of each bin       | entries: heads of the lists |
 *   slots          | free slots left, of each  | entries                     |
 *
 * Entries point to what malloc returned, not to the chunk; its first word is the link.
 */
#include "heap/glibc_tcache.h"

enum {
    NEAR_BYTES = 8192,  /* searched first, on one side of the thread pointer */
    BINS_TOLERATED = 1, /* that may disagree: the thread was inside malloc */
};

/* Looks that may be spent beyond, by all threads together: all of 64 MiB. */
#define FAR_LOOKS (UINT64_C(1) << 23)

struct caches {
    struct glibc *glibc;
    struct glibc_window window;
    uint8_t *states;
    unsigned unseen_count; /* threads whose TLS cannot be read */
    unsigned seen_count;
    uint64_t distance; /* from a thread pointer to the pointer to the cache; 0: not known */
    uint64_t far_looks_left;
    bool failed; /* out of memory */
};

/* ---- the struct ---------------------------------------------------------------------------- */

static uint64_t chunk_bytes_for(const struct glibc *glibc, uint64_t request)
{
    uint64_t bytes = request + glibc->word_bytes + glibc->alignment - 1;
    return cw_align_down(bytes, glibc->alignment);
}

static bool read_counts(const struct glibc *glibc,
                        enum glibc_tcache_form form,
                        cw_addr address,
                        struct glibc_tcache_view *view)
{
    const struct glibc_tcache_layout *layout = glibc_tcache_layout(form);
    uint8_t raw[2 * GLIBC_TCACHE_BIN_LIMIT];
    size_t size = (size_t)layout->bin_count * layout->count_bytes;
    if (!cw_space_read(glibc->space, address, raw, size)) {
        return false;
    }
    for (unsigned i = 0; i < layout->bin_count; i++) {
        view->counts[i] = layout->count_bytes == 1 ? raw[i] : cw_load_u16(raw + 2 * (size_t)i);
    }
    if (form == GLIBC_TCACHE_SLOTS) {
        uint64_t most = glibc->mp.tcache_count;
        for (unsigned i = 0; i < layout->bin_count; i++) {
            most = cw_max(most, view->counts[i]);
        }
        for (unsigned i = 0; i < layout->bin_count; i++) {
            view->counts[i] = most - view->counts[i];
        }
        view->slot_limit = most;
    }
    return true;
}

bool glibc_read_tcache(const struct glibc *glibc,
                       struct glibc_window *window,
                       enum glibc_tcache_form form,
                       cw_addr address,
                       struct glibc_tcache_view *view)
{
    const struct glibc_tcache_layout *layout = glibc_tcache_layout(form);
    uint64_t word = glibc->word_bytes;
    *view = (struct glibc_tcache_view){0};
    cw_addr entries = address + (uint64_t)layout->bin_count * layout->count_bytes;
    for (unsigned i = 0; i < layout->bin_count; i++) {
        if (!glibc_peek(window, entries + (uint64_t)i * word, &view->heads[i])) {
            return false;
        }
    }
    return read_counts(glibc, form, address, view);
}

bool glibc_tcache_bin_agrees(const struct glibc *glibc,
                             const struct glibc_tcache_layout *layout,
                             const struct glibc_tcache_view *view,
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
           glibc_size_of(glibc, index) == glibc->min_chunk_bytes + (uint64_t)bin * 16;
}

/* No bin has more free slots than malloc's own limit: equal bytes are no empty cache. */
static bool has_slots(const struct glibc *glibc,
                      enum glibc_tcache_form form,
                      const struct glibc_tcache_view *view)
{
    return form != GLIBC_TCACHE_SLOTS || glibc->mp.tcache_count == 0 ||
           view->slot_limit <= glibc->mp.tcache_count;
}

enum condition {
    CONDITION_SOUND,
    CONDITION_DAMAGED, /* of the size of a cache, but with bins that disagree */
};

/* Is the chunk at the index a cache of this form, in this condition? */
static bool is_cache(struct caches *caches,
                     enum glibc_tcache_form form,
                     enum condition condition,
                     uint32_t index,
                     cw_addr user)
{
    const struct glibc *glibc = caches->glibc;
    const struct glibc_tcache_layout *layout = glibc_tcache_layout(form);
    uint64_t expected = chunk_bytes_for(glibc, glibc_tcache_bytes(glibc->space->word_bytes, form));
    uint64_t bytes = glibc_size_of(glibc, index);
    /* 2.43 may ask for a granule more; a remainder too small to be a chunk stays with it. */
    uint64_t excess = condition == CONDITION_SOUND ? glibc->alignment + glibc->min_chunk_bytes : 1;
    if (bytes < expected || bytes - expected >= excess) {
        return false;
    }
    struct glibc_tcache_view view;
    if (!glibc_read_tcache(glibc, &caches->window, form, user, &view) ||
        (condition == CONDITION_SOUND && !has_slots(glibc, form, &view))) {
        return false;
    }
    unsigned wrong = 0;
    for (unsigned bin = 0; bin < layout->bin_count; bin++) {
        wrong += glibc_tcache_bin_agrees(glibc, layout, &view, bin) ? 0 : 1;
    }
    return (wrong <= BINS_TOLERATED) == (condition == CONDITION_SOUND);
}

/* The form of the cache that the word points to; NONE: it points to none. */
static enum glibc_tcache_form form_behind(struct caches *caches,
                                          cw_addr user,
                                          enum condition condition,
                                          uint32_t *ret_index)
{
    struct glibc *glibc = caches->glibc;
    if (user < glibc->header_bytes || user % glibc->alignment != 0) {
        return GLIBC_TCACHE_NONE;
    }
    uint32_t index = glibc_chunk_at(glibc, user - glibc->header_bytes);
    if (index == CW_NONE || caches->states[index] != CW_CHUNK_USED) {
        return GLIBC_TCACHE_NONE;
    }
    const struct cw_chunk_table *table = &glibc->builder->heap->chunks;
    if (!glibc_has_arena(glibc, cw_chunk_table_extent_of(table, index)->arena_index)) {
        return GLIBC_TCACHE_NONE; /* the cache of another copy of malloc, or none */
    }
    for (unsigned form = GLIBC_TCACHE_CHAR; form < GLIBC_TCACHE_FORM_COUNT; form++) {
        if ((glibc->candidates & glibc_with_tcache_form((enum glibc_tcache_form)form)) != 0 &&
            is_cache(caches, (enum glibc_tcache_form)form, condition, index, user)) {
            *ret_index = index;
            return (enum glibc_tcache_form)form;
        }
    }
    return GLIBC_TCACHE_NONE;
}

/* ---- finding ------------------------------------------------------------------------------- */

static void add_cache(struct caches *caches,
                      enum glibc_tcache_form form,
                      uint32_t index,
                      struct glibc_tcache cache)
{
    struct glibc *glibc = caches->glibc;
    glibc_narrow(&glibc->candidates, glibc_with_tcache_form(form));
    glibc->layout = glibc_pick(glibc->candidates);
    caches->states[index] = CW_CHUNK_INTERNAL;
    caches->failed |= !cw_vector_append(&glibc->tcaches, &cache);
}

/* From 2.26 to 2.42 the main thread's cache is the first chunk of the main arena. */
static void find_first_cache(struct caches *caches)
{
    const struct glibc *glibc = caches->glibc;
    uint32_t index;
    if (glibc->spans.count == 0 || glibc_span_at(glibc, 0)->kind != GLIBC_SPAN_MAIN) {
        return;
    }
    cw_addr user = glibc_span_at(glibc, 0)->start + glibc->header_bytes;
    enum glibc_tcache_form form = form_behind(caches, user, CONDITION_SOUND, &index);
    if (form != GLIBC_TCACHE_NONE) {
        add_cache(caches, form, index, (struct glibc_tcache){.address = user});
    }
}

enum look {
    LOOK_MISSING,
    LOOK_OTHER,
    LOOK_CACHE,
};

/* Static TLS lies below the thread pointer, but above it on aarch64. */
static bool is_above(const struct caches *caches)
{
    return caches->glibc->space->target->arch == CW_ARCH_AARCH64;
}

static bool peek_tls(struct caches *caches,
                     const struct cw_thread *thread,
                     uint64_t distance,
                     uint64_t *ret_value)
{
    cw_addr tp = cw_align_down(thread->tp, caches->glibc->word_bytes);
    return (is_above(caches) || distance <= tp) &&
           glibc_peek(&caches->window, is_above(caches) ? tp + distance : tp - distance, ret_value);
}

static enum look look_at(struct caches *caches, const struct cw_thread *thread, uint64_t distance)
{
    uint64_t value;
    uint32_t index;
    if (!peek_tls(caches, thread, distance, &value)) {
        return LOOK_MISSING;
    }
    enum glibc_tcache_form form = form_behind(caches, value, CONDITION_SOUND, &index);
    if (form == GLIBC_TCACHE_NONE) {
        return LOOK_OTHER;
    }
    caches->distance = distance;
    add_cache(caches, form, index, (struct glibc_tcache){.address = value, .tid = thread->tid});
    return LOOK_CACHE;
}

/* On x86 a thread block begins with its own address: where it does not, it was not dumped right. */
static bool is_block_blank(struct caches *caches, const struct cw_thread *thread)
{
    enum cw_arch arch = caches->glibc->space->target->arch;
    uint64_t self;
    return (arch == CW_ARCH_X86_64 || arch == CW_ARCH_I386) &&
           glibc_peek(&caches->window, thread->tp, &self) && self == 0;
}

static void find_near(struct caches *caches, const struct cw_thread *thread)
{
    uint64_t word = caches->glibc->word_bytes;
    enum look look = look_at(caches, thread, word);
    bool is_unseen = look == LOOK_MISSING;
    if (look == LOOK_OTHER && caches->distance != 0) {
        /* It is as far off as in the other threads. */
        look = look_at(caches, thread, caches->distance) == LOOK_CACHE ? LOOK_CACHE : LOOK_OTHER;
    }
    for (uint64_t off = 2 * word; off <= NEAR_BYTES && look == LOOK_OTHER; off += word) {
        look = look_at(caches, thread, off);
    }
    is_unseen |= look != LOOK_CACHE && is_block_blank(caches, thread);
    caches->unseen_count += is_unseen ? 1 : 0;
    caches->seen_count += is_unseen ? 0 : 1;
}

/* In the rest of the region that the thread pointer is in. */
static void find_far(struct caches *caches, const struct cw_thread *thread)
{
    uint64_t word = caches->glibc->word_bytes;
    cw_addr tp = cw_align_down(thread->tp, word);
    cw_addr next = is_above(caches) ? tp : tp - word;
    const struct cw_region *region = cw_space_find(caches->glibc->space, next);
    if (tp < word || region == NULL) {
        return;
    }
    uint64_t farthest =
        is_above(caches) ? region->start + (region->size_bytes - word) - tp : tp - region->start;
    enum look look = LOOK_OTHER;
    for (uint64_t off = NEAR_BYTES + word;
         off <= farthest && look == LOOK_OTHER && caches->far_looks_left > 0;
         off += word) {
        caches->far_looks_left--;
        look = look_at(caches, thread, off);
    }
}

static void find_all_far(struct caches *caches)
{
    const struct cw_target *target = caches->glibc->space->target;
    for (size_t i = 0; i < target->thread_count && caches->distance == 0; i++) {
        find_far(caches, &target->threads[i]);
    }
    for (size_t i = 0; i < target->thread_count && caches->distance != 0; i++) {
        if (target->threads[i].tp != 0) {
            look_at(caches, &target->threads[i], caches->distance);
        }
    }
}

static bool has_cache(const struct glibc *glibc, uint32_t tid)
{
    for (size_t i = 0; i < glibc->tcaches.count; i++) {
        const struct glibc_tcache *cache = cw_vector_at(&glibc->tcaches, i);
        if (cache->tid == tid) {
            return true;
        }
    }
    return false;
}

/*
 * Must there be a cache? From 2.26 to 2.42 a thread's first call makes it, later the first one that
 * frees; with a tunable there is none.
 */
static bool expects_cache(const struct glibc *glibc)
{
    glibc_candidates without =
        glibc_with_tcache_form(GLIBC_TCACHE_NONE) | glibc_with_mmapped_rule(true);
    const struct glibc_arena *arena = glibc_arena_at(glibc, 0);
    return (glibc->candidates & without) == 0 && glibc->mp.tcache_count > 0 && arena->is_main &&
           arena->has_sums && arena->system_bytes > 0;
}

static void take_damaged(struct caches *caches, const struct cw_thread *thread, cw_addr user)
{
    uint32_t index;
    enum glibc_tcache_form form = form_behind(caches, user, CONDITION_DAMAGED, &index);
    if (form != GLIBC_TCACHE_NONE) {
        struct glibc_tcache cache = {.address = user, .tid = thread->tid, .is_damaged = true};
        add_cache(caches, form, index, cache);
    }
}

/* The first chunk of the main arena, if the thread's TLS refers to it. */
static void take_damaged_first(struct caches *caches, const struct cw_thread *thread)
{
    const struct glibc *glibc = caches->glibc;
    cw_addr first = glibc_span_at(glibc, 0)->start + glibc->header_bytes;
    uint64_t value;
    for (uint64_t off = glibc->word_bytes; off <= NEAR_BYTES; off += glibc->word_bytes) {
        if (peek_tls(caches, thread, off, &value) && value == first) {
            take_damaged(caches, thread, first);
            return;
        }
    }
}

/*
 * Caches whose struct was overwritten: chunks of the right size that the TLS of a thread refers to
 * where that of the others has their caches; or, where none has one, that of the main thread.
 */
static void find_damaged(struct caches *caches)
{
    const struct glibc *glibc = caches->glibc;
    const struct cw_target *target = glibc->space->target;
    bool is_first_known = expects_cache(glibc) && glibc->tcaches.count == 0 &&
                          glibc->spans.count > 0 &&
                          glibc_span_at(glibc, 0)->kind == GLIBC_SPAN_MAIN;
    for (size_t i = 0; i < target->thread_count && !caches->failed; i++) {
        const struct cw_thread *thread = &target->threads[i];
        uint64_t value;
        if (thread->tp == 0 || has_cache(glibc, thread->tid)) {
            continue;
        }
        if (caches->distance != 0 && peek_tls(caches, thread, caches->distance, &value)) {
            take_damaged(caches, thread, value);
        } else if (caches->distance == 0 && is_first_known && thread->tid == target->pid) {
            take_damaged_first(caches, thread);
        }
    }
}

static void note_missing(const struct caches *caches)
{
    const struct glibc *glibc = caches->glibc;
    bool is_first = glibc == &glibc->copies->items[0]; /* the same threads for all copies */
    if (caches->unseen_count > 0 && is_first) {
        caches->glibc->has_lost_cached = true;
        cw_note_add(glibc->builder->coverage,
                    CW_WARNING,
                    "tcache-unseen",
                    0,
                    "the thread-local memory of %u of %zu threads cannot be read: freed chunks "
                    "that only their caches know of count as used",
                    caches->unseen_count,
                    glibc->space->target->thread_count);
    }
    if (caches->seen_count > 0 && glibc->tcaches.count == 0 && expects_cache(glibc)) {
        cw_note_add(glibc->builder->coverage,
                    CW_WARNING,
                    "tcache-not-found",
                    0,
                    "no thread's cache of freed chunks was found: what they hold counts as used");
    }
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
    struct glibc_tcache_view view;
    enum glibc_tcache_form form = glibc->layout->tcache_form;
    if (!glibc_read_tcache(glibc, &caches->window, form, cache->address, &view)) {
        return;
    }
    const struct glibc_tcache_layout *layout = glibc_tcache_layout(form);
    for (unsigned bin = 0; bin < layout->bin_count; bin++) {
        uint64_t stored;
        bool is_read = !cache->is_damaged || glibc_tcache_bin_agrees(glibc, layout, &view, bin);
        if (is_read && view.heads[bin] != 0 &&
            glibc_peek(&caches->window, view.heads[bin], &stored)) {
            glibc_vote_linking(glibc, view.heads[bin], stored, true);
        }
    }
}

bool glibc_find_tcaches(struct glibc *glibc)
{
    struct caches caches = {.glibc = glibc,
                            .window = {.space = glibc->space},
                            .states = glibc_states(glibc),
                            .far_looks_left = FAR_LOOKS};
    const struct cw_target *target = glibc->space->target;
    for (size_t i = 0; i < target->thread_count && !caches.failed; i++) {
        if (target->threads[i].tp == 0) {
            caches.unseen_count++;
        } else {
            find_near(&caches, &target->threads[i]);
        }
    }
    if (caches.distance == 0) {
        find_all_far(&caches);
    }
    if (!has_cache(glibc, target->pid)) {
        find_first_cache(&caches);
    }
    find_damaged(&caches);
    note_missing(&caches);
    for (size_t i = 0; i < glibc->tcaches.count && !caches.failed; i++) {
        vote(&caches, cw_vector_at(&glibc->tcaches, i));
    }
    return !caches.failed;
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
