/*
 * What lies in the threads' caches: follows their lists, marks and checks the chunks in them.
 */
#include "heap/glibc_tcache.h"

struct marking {
    struct glibc *glibc;
    struct glibc_window window;
    uint8_t *states;
    const struct glibc_tcache *cache;
};

/* A list that is being followed. */
struct cached_list {
    unsigned bin;
    cw_addr user; /* the entry at hand */
    cw_addr from; /* the entry whose link led to it; 0: the cache's struct */
};

/* The link that led to the entry is damaged: in the entry before, or in the struct. */
static void report_link(struct marking *marking, const struct cached_list *list, const char *what)
{
    struct glibc *glibc = marking->glibc;
    glibc->has_lost_cached = true;
    char link[GLIBC_LINK_TEXT];
    if (list->from == 0) {
        glibc_report(glibc,
                     CW_DAMAGE_TCACHE_LINK,
                     marking->cache->address,
                     marking->cache->address,
                     "the cache of thread %" PRIu32 " at 0x%" PRIx64
                     " leads to %s, %s: the cache itself has likely been overwritten",
                     marking->cache->tid,
                     marking->cache->address,
                     glibc_link_text(glibc, list->user, link),
                     what);
        return;
    }
    char text[GLIBC_BLOCK_TEXT];
    glibc_report(glibc,
                 CW_DAMAGE_TCACHE_LINK,
                 list->from,
                 list->from,
                 "the freed block at %s links to %s, %s: it has likely been written to after it "
                 "was freed",
                 glibc_block_text(glibc, list->from, text),
                 glibc_link_text(glibc, list->user, link),
                 what);
}

static void check_cached_size(struct marking *marking,
                              const struct cached_list *list,
                              uint32_t index)
{
    struct glibc *glibc = marking->glibc;
    const struct glibc_tcache_layout *layout = glibc_tcache_layout(glibc->layout->tcache_form);
    uint64_t bytes = glibc_size_of(glibc, index);
    if (list->bin < layout->small_bin_count &&
        bytes != glibc->min_chunk_bytes + (uint64_t)list->bin * 16 &&
        !glibc_is_damaged(glibc, list->user - glibc->header_bytes)) {
        glibc_report(glibc,
                     CW_DAMAGE_TCACHE_SIZE,
                     list->user,
                     list->user,
                     "the freed block at 0x%" PRIx64 " has %" PRIu64
                     " bytes, but lies among the cached ones of another size",
                     list->user,
                     bytes);
    }
}

/* Marks one entry and moves on to the next. False at the end of the list. */
static bool take_entry(struct marking *marking, struct cached_list *list)
{
    struct glibc *glibc = marking->glibc;
    uint64_t stored;
    uint64_t key;
    uint32_t index = glibc_chunk_at(glibc, list->user - glibc->header_bytes);
    if (index == CW_NONE) {
        glibc->has_lost_cached = true;
        if (list->from != 0 || glibc_peek(&marking->window, list->user, &stored)) {
            report_link(marking, list, "where no chunk starts");
        }
        return false;
    }
    switch ((enum cw_chunk_state)marking->states[index]) {
    case CW_CHUNK_USED:
    case CW_CHUNK_MMAPPED:
        marking->states[index] = CW_CHUNK_TCACHE;
        break;
    case CW_CHUNK_TCACHE:
        glibc_report_twice(glibc, list->user - glibc->header_bytes, "in a thread's cache twice");
        return false;
    default:
        if (glibc_is_damaged(glibc, list->user - glibc->header_bytes)) {
            break;
        }
        report_link(marking, list, "which is not a used chunk");
        return false;
    }
    glibc->builder->heap->checks.tcache_chunk_count++;
    check_cached_size(marking, list, index);
    if (glibc_peek(&marking->window, list->user + glibc->word_bytes, &key)) {
        glibc_vote_key(glibc, marking->cache, key);
    }
    if (!glibc_peek(&marking->window, list->user, &stored)) {
        return false;
    }
    list->from = list->user;
    list->user = glibc_follow(glibc, list->user, stored);
    return list->user != 0;
}

static void report_count(struct marking *marking, unsigned bin, uint64_t counted, const char *found)
{
    glibc_report(marking->glibc,
                 CW_DAMAGE_TCACHE_COUNT,
                 marking->cache->address,
                 marking->cache->address,
                 "the cache of thread %" PRIu32 " at 0x%" PRIx64 " counts %" PRIu64
                 " blocks in bin %u, but the list has %s",
                 marking->cache->tid,
                 marking->cache->address,
                 counted,
                 bin,
                 found);
}

static void mark_list(struct marking *marking, unsigned bin, uint64_t counted, cw_addr head)
{
    struct cached_list list = {.bin = bin, .user = head};
    uint64_t taken = 0;
    bool goes_on = head != 0;
    /* One more than counted: the thread may be between linking and counting. */
    while (goes_on && taken <= counted) {
        goes_on = take_entry(marking, &list);
        taken += goes_on || list.user == 0 ? 1 : 0;
    }
    bool reached_end = list.user == 0;
    if (goes_on) {
        report_count(marking, bin, counted, "more");
    } else if (reached_end && taken != counted) {
        report_count(marking, bin, counted, taken < counted ? "fewer" : "more");
    }
}

static void mark_cache(struct marking *marking)
{
    struct glibc *glibc = marking->glibc;
    enum glibc_tcache_form form = glibc->layout->tcache_form;
    struct glibc_tcache_view view;
    if (!glibc_read_tcache(glibc, &marking->window, form, marking->cache->address, &view)) {
        return;
    }
    glibc->builder->heap->checks.tcache_count++;
    for (unsigned bin = 0; bin < glibc_tcache_layout(form)->bin_count; bin++) {
        mark_list(marking, bin, view.counts[bin], view.heads[bin]);
    }
}

static void check_key(struct marking *marking, cw_addr user)
{
    struct glibc *glibc = marking->glibc;
    uint64_t key;
    if (!glibc_peek(&marking->window, user + glibc->word_bytes, &key) ||
        glibc_is_key(glibc, marking->cache, key)) {
        return;
    }
    char text[GLIBC_BLOCK_TEXT];
    glibc_report(glibc,
                 CW_DAMAGE_TCACHE_KEY,
                 user,
                 user,
                 "the freed block at %s lacks the key that all cached blocks have in their second "
                 "word: it has likely been written to after it was freed",
                 glibc_block_text(glibc, user - glibc->header_bytes, text));
}

static void check_keys(struct marking *marking)
{
    struct glibc *glibc = marking->glibc;
    enum glibc_tcache_form form = glibc->layout->tcache_form;
    struct glibc_tcache_view view;
    if (!glibc_read_tcache(glibc, &marking->window, form, marking->cache->address, &view)) {
        return;
    }
    for (unsigned bin = 0; bin < glibc_tcache_layout(form)->bin_count; bin++) {
        cw_addr user = view.heads[bin];
        for (uint64_t i = 0; i < view.counts[bin] && user != 0; i++) {
            uint32_t index = glibc_chunk_at(glibc, user - glibc->header_bytes);
            uint64_t stored;
            if (index == CW_NONE || marking->states[index] != CW_CHUNK_TCACHE ||
                !glibc_peek(&marking->window, user, &stored)) {
                break;
            }
            check_key(marking, user);
            user = glibc_follow(glibc, user, stored);
        }
    }
}

void glibc_mark_tcaches(struct glibc *glibc)
{
    struct marking marking = {
        .glibc = glibc, .window = {.space = glibc->space}, .states = glibc_states(glibc)};
    for (size_t i = 0; i < glibc->tcaches.count; i++) {
        marking.cache = cw_vector_at(&glibc->tcaches, i);
        mark_cache(&marking);
    }
    for (size_t i = 0; i < glibc->tcaches.count && glibc_has_key(glibc); i++) {
        marking.cache = cw_vector_at(&glibc->tcaches, i);
        check_keys(&marking);
    }
}
