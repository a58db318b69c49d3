/*
 * Finding mp_, glibc's parameters: in the data around the main arena, by what its fields must be.
 * It says where brk memory starts and how many mmapped chunks there are; without it both are found
 * less surely.
 */
#include "heap/glibc.h"

enum {
    SEARCHED_BYTES = 512 << 10, /* on either side of the main arena */
    ENOUGH_SCORE = 6,
};

struct probe {
    struct glibc *glibc;
    struct glibc_window window;
    const struct glibc_arena *main_arena;
    cw_addr address;
};

static bool word_at(struct probe *probe, uint64_t off, uint64_t *ret_value)
{
    return glibc_peek(&probe->window, probe->address + off, ret_value);
}

static bool int_at(struct probe *probe, uint64_t off, uint64_t *ret_value)
{
    uint32_t value;
    if (!cw_range_holds(probe->window.start, probe->window.size_bytes, probe->address + off, 4)) {
        return false;
    }
    value = cw_load_u32(probe->window.data + (probe->address + off - probe->window.start));
    *ret_value = value;
    return true;
}

/* The words that all forms begin with; 0 where they cannot be. */
static unsigned score_head(struct probe *probe)
{
    uint64_t word = probe->glibc->word_bytes;
    uint64_t trim;
    uint64_t top_pad;
    uint64_t mmap_threshold;
    uint64_t arena_test;
    uint64_t arena_max;
    if (!word_at(probe, 3 * word, &arena_test) || arena_test == 0 || arena_test > 4096 ||
        !word_at(probe, 4 * word, &arena_max) || arena_max > 65536 || !word_at(probe, 0, &trim) ||
        !word_at(probe, word, &top_pad) || !word_at(probe, 2 * word, &mmap_threshold)) {
        return 0;
    }
    unsigned score = 1;
    score += arena_test == (word == 8 ? 8 : 2) ? 1 : 0;
    score += top_pad == 0x20000 ? 2 : 0;
    score += mmap_threshold != 0 && (trim == mmap_threshold || trim == 2 * mmap_threshold) ? 2 : 0;
    return score;
}

/* The counters of mmapped chunks; 0 where they cannot be. */
static unsigned score_counters(struct probe *probe,
                               const struct glibc_mp_offsets *offsets,
                               struct glibc_mp *mp)
{
    /* From 2.43 on each mremap leaves two words too many in the sum. */
    bool drifts = mp->form == GLIBC_MP_2_43;
    uint64_t limit;
    uint64_t most;
    uint64_t no_dynamic;
    uint64_t most_bytes;
    if (!int_at(probe, offsets->n_mmaps, &mp->n_mmaps) ||
        !int_at(probe, offsets->n_mmaps + 4, &limit) ||
        !int_at(probe, offsets->n_mmaps + 8, &most) ||
        !int_at(probe, offsets->n_mmaps + 12, &no_dynamic) ||
        !word_at(probe, offsets->mmapped_mem, &mp->mmapped_bytes) ||
        !word_at(probe, (uint64_t)offsets->mmapped_mem + probe->glibc->word_bytes, &most_bytes)) {
        return 0;
    }
    uint64_t page = probe->glibc->space->page_bytes;
    uint64_t unit = drifts ? probe->glibc->header_bytes : page;
    bool is_sound = mp->n_mmaps <= most && most <= INT32_MAX && limit <= INT32_MAX &&
                    no_dynamic <= 1 && mp->mmapped_bytes % unit == 0 && most_bytes % unit == 0 &&
                    mp->mmapped_bytes <= most_bytes && (most == 0) == (most_bytes == 0) &&
                    mp->mmapped_bytes / page >= mp->n_mmaps &&
                    (drifts || (mp->n_mmaps == 0) == (mp->mmapped_bytes == 0));
    if (!is_sound) {
        return 0;
    }
    return limit == 65536 ? 3 : 1;
}

/* sbrk_base: where brk memory begins, or 0 when it was never used. */
static unsigned score_base(struct probe *probe,
                           const struct glibc_mp_offsets *offsets,
                           struct glibc_mp *mp)
{
    if (!word_at(probe, offsets->sbrk_base, &mp->sbrk_base)) {
        return 0;
    }
    if (mp->sbrk_base == 0) {
        return 1;
    }
    const struct glibc_arena *arena = probe->main_arena;
    const struct cw_region *region = cw_space_find(probe->glibc->space, mp->sbrk_base);
    if (region == NULL || !cw_region_is_writable(region)) {
        return 0;
    }
    if (arena->has_sums && mp->sbrk_base + arena->system_bytes == arena->top + arena->top_bytes) {
        return 8;
    }
    return mp->sbrk_base == region->start ? 4 : 1;
}

static unsigned score_tcache(struct probe *probe,
                             const struct glibc_mp_offsets *offsets,
                             struct glibc_mp *mp)
{
    uint64_t word = probe->glibc->word_bytes;
    uint64_t bins;
    uint64_t most_bytes;
    if (offsets->tcache_bins == 0 || probe->glibc->has_no_caches) {
        return 1;
    }
    if (!word_at(probe, offsets->tcache_bins, &bins) || bins == 0 || bins > 76 ||
        !word_at(probe, (uint64_t)offsets->tcache_bins + word, &most_bytes) ||
        most_bytes > UINT32_MAX ||
        !word_at(probe, (uint64_t)offsets->tcache_bins + 2 * word, &mp->tcache_count) ||
        mp->tcache_count > UINT16_MAX) {
        return 0;
    }
    return bins == 64 ? 4 : 2;
}

static unsigned score_form(struct probe *probe, enum glibc_mp_form form, struct glibc_mp *mp)
{
    const struct glibc_mp_offsets *offsets =
        glibc_mp_offsets(probe->glibc->space->word_bytes, form);
    *mp = (struct glibc_mp){.address = probe->address, .form = form};
    unsigned counters = score_counters(probe, offsets, mp);
    unsigned base = counters == 0 ? 0 : score_base(probe, offsets, mp);
    unsigned tcache = base == 0 ? 0 : score_tcache(probe, offsets, mp);
    if (tcache == 0) {
        return 0;
    }
    if (offsets->hp_pagesize != 0 && !word_at(probe, offsets->hp_pagesize, &mp->hp_page_bytes)) {
        return 0;
    }
    if (mp->hp_page_bytes != 0 &&
        (!cw_is_power_of_two(mp->hp_page_bytes) || mp->hp_page_bytes > UINT64_C(1) << 34)) {
        return 0;
    }
    return counters + base + tcache;
}

static void probe_address(struct probe *probe, unsigned *best_score)
{
    unsigned head = score_head(probe);
    for (unsigned form = 0; head > 0 && form < GLIBC_MP_FORM_COUNT; form++) {
        if ((probe->glibc->candidates & glibc_with_mp_form((enum glibc_mp_form)form)) == 0) {
            continue;
        }
        struct glibc_mp mp;
        unsigned score = score_form(probe, (enum glibc_mp_form)form, &mp);
        if (score > 0 && head + score >= ENOUGH_SCORE && head + score > *best_score) {
            *best_score = head + score;
            probe->glibc->mp = mp;
        }
    }
}

/* The writable memory around the main arena: with .bss, the data of the module that it is in. */
static void find_data(const struct glibc *glibc,
                      cw_addr address,
                      cw_addr *ret_start,
                      cw_addr *ret_end)
{
    const struct cw_space *space = glibc->space;
    size_t index = cw_space_first_above(space, address);
    cw_addr start = address;
    while (index < space->region_count && space->regions[index].start <= start &&
           cw_region_is_writable(&space->regions[index])) {
        start = space->regions[index].start;
        if (index == 0 ||
            space->regions[index - 1].start + space->regions[index - 1].size_bytes != start) {
            break;
        }
        index--;
    }
    *ret_start = cw_max(start, address - cw_min(address, SEARCHED_BYTES));
    *ret_end = cw_min(glibc_stretch_end(space, address), address + SEARCHED_BYTES);
}

void glibc_find_mp(struct glibc *glibc)
{
    const struct glibc_arena *arena = glibc_arena_at(glibc, 0);
    if (!arena->is_main || arena->address == 0) {
        return;
    }
    struct probe probe = {.glibc = glibc, .window = {.space = glibc->space}, .main_arena = arena};
    cw_addr start;
    cw_addr end;
    find_data(glibc, arena->address, &start, &end);
    start = cw_align_down(start + glibc->word_bytes - 1, glibc->word_bytes);
    unsigned best_score = 0;
    for (uint64_t off = 0; start + off < end; off += glibc->word_bytes) {
        probe.address = start + off;
        if (!cw_range_has(probe.window.start, probe.window.size_bytes, probe.address) &&
            !glibc_window_move(&probe.window, probe.address, glibc->word_bytes)) {
            /* Nothing here: on to the next page. */
            off = (probe.address | 0xfff) + 1 - glibc->word_bytes - start;
            continue;
        }
        probe_address(&probe, &best_score);
    }
    if (glibc->mp.address != 0) {
        glibc_narrow(&glibc->candidates, glibc_with_mp_form(glibc->mp.form));
        glibc->layout = glibc_pick(glibc->candidates);
    }
}
