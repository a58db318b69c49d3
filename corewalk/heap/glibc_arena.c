/*
 * Finding arenas without symbols.
 *
 * An empty bin points to itself, twice: no other data has runs of such pairs. From a run the 127
 * bins follow by sliding, from the bins the arena's struct by following `next`: the arenas form a
 * circle through their structs' starts, so that only the right distance from struct to bins closes
 * it. That distance is also the first thing known about the layout.
 *
 * The main arena is data of libc, or of a static executable; so module data is searched first, and
 * all other writable memory only when nothing was found there. An arena without an empty bin, or
 * one that is not in module data, is reached from the heap of a thread arena: aligned to its
 * largest size, it begins with a heap_info that leads to its arena.
 */
#include <stdlib.h>

#include "base/map.h"
#include "heap/glibc_check.h"

enum {
    SHORTEST_RUN = 4,     /* self-pointing bins in a row that make a candidate */
    LONE_TRIES = 1 << 16, /* of single ones, where that finds nothing: nearly all bins are filled */
    WORST_BAD_BINS = 2,   /* a core may be taken while bins are being relinked */
    LARGEST_ARENA_COUNT = 16384,
    CIRCLE_STEPS = 8 * LARGEST_ARENA_COUNT, /* of all attempts together */
    HEAP_LOOKS = 1 << 22,         /* at addresses where heaps of thread arenas may begin */
    HEAP_TRIES = 1 << 16,         /* of those that look like one */
    LARGEST_BSS_BYTES = 16 << 20, /* searched of the anonymous memory behind module data */
};

/* Arenas that lead to each other: those of one copy of malloc. */
struct circle {
    struct cw_vector arenas; /* struct glibc_arena */
    uint64_t number;
    uint64_t bins_off;
    uint64_t system_bytes;
    bool is_closed;
};

struct search {
    struct glibc *glibc; /* what all copies have in common */
    struct glibc_window window;
    cw_addr tried_bins;    /* the last candidate, so as not to try its other runs */
    struct cw_map visited; /* arenas, under each distance: number of the last circle with it */
    uint64_t circle_count;
    uint64_t steps_left;
    unsigned shortest_run;
    uint64_t tries_left;
    struct circle kept[GLIBC_COPY_LIMIT]; /* the closed ones, or else the best of the others */
    size_t kept_count;
    bool failed; /* out of memory, or cancelled */
};

struct bins_check {
    unsigned empty_count;
    unsigned bad_count;
};

bool glibc_window_move(struct glibc_window *window, cw_addr address, uint64_t size)
{
    const uint8_t *data;
    uint64_t seen = cw_space_run(window->space, address, &data);
    if (seen == 0) {
        return false;
    }
    const struct cw_region *region = cw_space_find(window->space, address);
    if (region->data != NULL && region->fetch_index == CW_NONE) {
        window->start = region->start;
        window->size_bytes = region->size_bytes;
        window->data = region->data;
    } else {
        window->start = address;
        window->size_bytes = seen;
        window->data = data;
    }
    return cw_range_holds(window->start, window->size_bytes, address, size);
}

/* ---- one candidate ------------------------------------------------------------------------- */

/* Is the list sound at its head? A list whose members cannot be seen counts as sound. */
static bool bin_is_linked(struct search *search, cw_addr bin, uint64_t fd, uint64_t bk)
{
    uint64_t word = search->glibc->word_bytes;
    uint64_t back;
    if (fd == 0 || bk == 0 || fd % word != 0 || bk % word != 0) {
        return false;
    }
    if (glibc_peek(&search->window, fd + 3 * word, &back) && back != bin) {
        return false;
    }
    return !glibc_peek(&search->window, bk + 2 * word, &back) || back == bin;
}

static struct bins_check check_bins(struct search *search, cw_addr bins)
{
    uint64_t word = search->glibc->word_bytes;
    struct bins_check check = {0};
    for (unsigned i = 0; i < GLIBC_BIN_COUNT && check.bad_count <= WORST_BAD_BINS; i++) {
        cw_addr pair = bins + (uint64_t)i * 2 * word;
        cw_addr bin = pair - 2 * word;
        uint64_t fd;
        uint64_t bk;
        bool is_seen =
            glibc_peek(&search->window, pair, &fd) && glibc_peek(&search->window, pair + word, &bk);
        if (is_seen && fd == bin && bk == bin) {
            check.empty_count++;
        } else if (!is_seen || !bin_is_linked(search, bin, fd, bk)) {
            check.bad_count++;
        }
    }
    return check;
}

/* Reads what does not depend on more than where the bins are. */
static bool read_arena(struct search *search,
                       cw_addr bins,
                       uint64_t bins_off,
                       struct glibc_arena *arena)
{
    struct glibc *glibc = search->glibc;
    uint64_t word = glibc->word_bytes;
    uint32_t mutex;
    *arena = (struct glibc_arena){.address = bins - bins_off, .bins = bins};
    if (!cw_space_read_u32(glibc->space, arena->address, &mutex) ||
        !glibc_peek(&search->window, bins - 2 * word, &arena->top)) {
        return false;
    }
    arena->was_busy = mutex != 0;
    static const unsigned heap_info_words[] = {4, 6};
    for (unsigned i = 0; i < 2; i++) {
        cw_addr heap = arena->address - (uint64_t)heap_info_words[i] * word;
        uint64_t owner;
        if ((heap & 0xfff) == 0 && glibc_peek(&search->window, heap, &owner) &&
            owner == arena->address) {
            arena->first_heap = heap;
        }
    }
    uint64_t top_size;
    if (glibc_peek(&search->window, arena->top + word, &top_size)) {
        arena->top_bytes = glibc_chunk_bytes(top_size);
    }
    return true;
}

static cw_addr next_field(const struct glibc *glibc, cw_addr bins)
{
    return bins + (uint64_t)GLIBC_BIN_WORDS * glibc->word_bytes + GLIBC_BINMAP_BYTES;
}

static uint64_t visit_key(cw_addr bins, uint64_t bins_off)
{
    return bins ^ bins_off << 48; /* an address that this confuses cannot be one */
}

/* The last circle that led to the bins under that distance; 0: none has. */
static uint64_t circle_of(const struct search *search, cw_addr bins, uint64_t bins_off)
{
    const uint64_t *circle = cw_map_find(&search->visited, visit_key(bins, bins_off));
    return circle == NULL ? 0 : *circle;
}

static bool append_arena(struct search *search,
                         struct cw_vector *arenas,
                         const struct glibc_arena *arena,
                         uint64_t bins_off)
{
    bool is_new;
    uint64_t *circle = cw_map_insert(&search->visited, visit_key(arena->bins, bins_off), &is_new);
    if (circle == NULL || !cw_vector_append(arenas, arena)) {
        search->failed = true;
        return false;
    }
    *circle = search->circle_count;
    return true;
}

/*
 * Follows `next` from the bins, under the assumption of a distance. Returns how sure that makes
 * us: 2 for a closed circle, 1 for some arenas in a row, 0 for nothing.
 */
static unsigned follow_circle(struct search *search,
                              cw_addr bins,
                              uint64_t bins_off,
                              struct cw_vector *arenas)
{
    struct glibc *glibc = search->glibc;
    arenas->count = 0;
    search->circle_count++;
    while (search->steps_left > 0) {
        search->steps_left--;
        struct glibc_arena arena;
        struct bins_check check = check_bins(search, bins);
        if (check.bad_count > WORST_BAD_BINS || !read_arena(search, bins, bins_off, &arena)) {
            break;
        }
        if (!append_arena(search, arenas, &arena, bins_off)) {
            return 0;
        }
        uint64_t next;
        if (!glibc_peek(&search->window, next_field(glibc, bins), &next) ||
            arenas->count >= LARGEST_ARENA_COUNT) {
            break;
        }
        if (circle_of(search, next + bins_off, bins_off) == search->circle_count) {
            const struct glibc_arena *first = cw_vector_at(arenas, 0);
            return next == first->address ? 2 : 1;
        }
        bins = next + bins_off;
    }
    /* A thread arena alone is still vouched for by the heap that it lies in. */
    const struct glibc_arena *first = arenas->count > 0 ? cw_vector_at(arenas, 0) : NULL;
    return first != NULL && (arenas->count > 1 || first->first_heap != 0) ? 1 : 0;
}

/* ---- sums ---------------------------------------------------------------------------------- */

static bool is_page_multiple(uint64_t value)
{
    return value != 0 && value % 4096 == 0;
}

/*
 * Between next_free and system_mem there may be attached_threads, a small number; system_mem and
 * its maximum are page multiples.
 */
static int vote_attached(struct search *search, const struct glibc_arena *arena)
{
    const struct glibc *glibc = search->glibc;
    uint64_t word = glibc->word_bytes;
    cw_addr fields = next_field(glibc, arena->bins) + 2 * word;
    uint64_t values[3] = {0};
    for (unsigned i = 0; i < 3; i++) {
        if (!glibc_peek(&search->window, fields + i * word, &values[i])) {
            return 0;
        }
    }
    if (values[0] < 65536 && !is_page_multiple(values[0]) && is_page_multiple(values[1]) &&
        values[2] >= values[1]) {
        return 1;
    }
    return is_page_multiple(values[0]) && values[1] >= values[0] ? -1 : 0;
}

static void read_sums(struct search *search, struct cw_vector *arenas, bool has_attached)
{
    const struct glibc *glibc = search->glibc;
    for (size_t i = 0; i < arenas->count; i++) {
        struct glibc_arena *arena = cw_vector_at(arenas, i);
        cw_addr field =
            next_field(glibc, arena->bins) + (uint64_t)(has_attached ? 3 : 2) * glibc->word_bytes;
        arena->has_sums = glibc_peek(&search->window, field, &arena->system_bytes);
    }
}

static bool has_attached(struct search *search, const struct cw_vector *arenas, uint64_t bins_off)
{
    glibc_candidates rows = search->glibc->candidates & glibc_with_bins_off(bins_off);
    if ((rows & glibc_with_attached_threads(false)) == 0) {
        return true;
    }
    int votes = 0;
    for (size_t i = 0; i < arenas->count; i++) {
        votes += vote_attached(search, cw_vector_at(arenas, i));
    }
    return votes >= 0;
}

/* ---- the search ---------------------------------------------------------------------------- */

/* The kept circle that a new one takes the place of, or NULL: it is worse than all of them. */
static struct circle *place_for(struct search *search, const struct circle *circle)
{
    bool has_closed = search->kept_count > 0 && search->kept[0].is_closed;
    if (search->kept_count == 0) {
        search->kept[search->kept_count++] = (struct circle){0};
        return &search->kept[0];
    }
    if (has_closed && circle->is_closed && search->kept_count < GLIBC_COPY_LIMIT) {
        struct circle *place = &search->kept[search->kept_count++];
        *place = (struct circle){0};
        return place;
    }
    if (has_closed != circle->is_closed) {
        return has_closed ? NULL : &search->kept[0];
    }
    struct circle *least = &search->kept[0];
    for (size_t i = 1; i < search->kept_count; i++) {
        least = search->kept[i].system_bytes < least->system_bytes ? &search->kept[i] : least;
    }
    return circle->system_bytes > least->system_bytes ? least : NULL;
}

/* Takes the arenas over, or leaves them. */
static void keep_circle(struct search *search,
                        struct cw_vector *arenas,
                        uint64_t bins_off,
                        bool is_closed)
{
    struct circle circle = {.arenas = *arenas,
                            .number = search->circle_count,
                            .bins_off = bins_off,
                            .is_closed = is_closed};
    read_sums(search, arenas, has_attached(search, arenas, bins_off));
    for (size_t i = 0; i < arenas->count; i++) {
        const struct glibc_arena *arena = cw_vector_at(arenas, i);
        circle.system_bytes += cw_min(arena->system_bytes, UINT64_C(1) << 47);
    }
    struct circle *place = place_for(search, &circle);
    if (place != NULL) {
        cw_vector_deinit(&place->arenas);
        *place = circle;
        cw_vector_init(arenas, search->glibc->arenas.budget, sizeof(struct glibc_arena));
    }
}

static void try_circle(struct search *search, cw_addr bins, uint64_t bins_off)
{
    if (circle_of(search, bins, bins_off) != 0) {
        return; /* an earlier circle has led here */
    }
    struct cw_vector arenas;
    cw_vector_init(&arenas, search->glibc->arenas.budget, sizeof(struct glibc_arena));
    unsigned sureness = follow_circle(search, bins, bins_off, &arenas);
    if (sureness > 0) {
        keep_circle(search, &arenas, bins_off, sureness == 2);
    }
    cw_vector_deinit(&arenas);
}

/*
 * The distances from struct to bins that any candidate row has: where the bins are known, or the
 * struct (the other one is 0).
 */
static void try_distances(struct search *search, cw_addr bins, cw_addr arena)
{
    size_t row_count;
    const struct glibc_layout *rows = glibc_layouts(&row_count);
    uint64_t tried = 0;
    for (size_t i = 0; i < row_count && !search->failed; i++) {
        if (!(search->glibc->candidates >> i & 1) || rows[i].bins_off == tried) {
            continue;
        }
        tried = rows[i].bins_off;
        try_circle(search, bins != 0 ? bins : arena + tried, tried);
    }
}

static bool is_kept(const struct search *search, cw_addr bins)
{
    for (size_t i = 0; i < search->kept_count; i++) {
        if (circle_of(search, bins, search->kept[i].bins_off) == search->kept[i].number) {
            return true;
        }
    }
    return false;
}

/*
 * `pair` is the first of some self-pointing bins: slides back to where the 127 begin. Starts that
 * are off by one have one bin wrong, so all with the fewest wrong are tried.
 */
static void try_run(struct search *search, cw_addr pair)
{
    uint64_t stride = 2 * search->glibc->word_bytes;
    uint64_t span = (uint64_t)GLIBC_BIN_COUNT * stride;
    if (cw_range_has(search->tried_bins, span, pair) && is_kept(search, search->tried_bins)) {
        return;
    }
    unsigned fewest = WORST_BAD_BINS + 1;
    unsigned bad_counts[GLIBC_BIN_COUNT];
    for (unsigned back = 0; back < GLIBC_BIN_COUNT; back++) {
        struct bins_check check = check_bins(search, pair - (uint64_t)back * stride);
        bad_counts[back] = check.empty_count >= search->shortest_run ? check.bad_count : UINT32_MAX;
        fewest = bad_counts[back] < fewest ? bad_counts[back] : fewest;
    }
    for (unsigned back = 0; back < GLIBC_BIN_COUNT && !search->failed; back++) {
        if (bad_counts[back] <= WORST_BAD_BINS && bad_counts[back] <= fewest + 1) {
            search->tried_bins = pair - (uint64_t)back * stride;
            try_distances(search, search->tried_bins, 0);
        }
    }
}

static void search_bytes(struct search *search, cw_addr address, const uint8_t *data, uint64_t size)
{
    uint64_t word = search->glibc->word_bytes;
    uint64_t stride = (uint64_t)2 * word;
    uint64_t first = (word - address % word) % word;
    uint64_t run_off = 0;
    uint64_t run_length = 0;
    for (uint64_t off = first; off + stride <= size && !search->failed; off += word) {
        uint64_t value = cw_load_word(data + off, word);
        if (value != address + off - stride || value != cw_load_word(data + off + word, word)) {
            continue;
        }
        bool continues = run_length > 0 && off == run_off + run_length * stride;
        run_off = continues ? run_off : off;
        run_length = continues ? run_length + 1 : 1;
        if (run_length == search->shortest_run && search->tries_left > 0) {
            search->tries_left--;
            try_run(search, address + run_off);
        }
    }
}

static void search_region(struct search *search, const struct cw_region *region, uint64_t limit)
{
    cw_addr address = region->start;
    uint64_t left = cw_min(region->size_bytes, limit);
    while (left > 0 && !search->failed) {
        const uint8_t *data;
        uint64_t seen = cw_min(cw_space_run(search->glibc->space, address, &data), left);
        if (seen == 0) {
            return;
        }
        search_bytes(search, address, data, seen);
        address += seen;
        left -= seen;
    }
}

static void search_module_data(struct search *search)
{
    const struct cw_space *space = search->glibc->space;
    cw_addr data_end = 0;
    for (size_t i = 0; i < space->region_count; i++) {
        const struct cw_region *region = &space->regions[i];
        bool is_file = !cw_region_is_anonymous(region);
        bool is_bss = !is_file && region->start == data_end && data_end != 0;
        if (cw_region_is_writable(region) && (is_file || is_bss)) {
            search_region(search, region, is_file ? UINT64_MAX : LARGEST_BSS_BYTES);
        }
        if (is_file) {
            data_end = region->start + region->size_bytes;
        }
    }
}

static void search_everywhere(struct search *search)
{
    const struct cw_space *space = search->glibc->space;
    const struct cw_progress *progress = search->glibc->builder->progress;
    for (size_t i = 0; i < space->region_count && !search->failed; i++) {
        if (cw_region_is_writable(&space->regions[i])) {
            search_region(search, &space->regions[i], UINT64_MAX);
        }
        if (!cw_progress_report(progress, "arenas", i, space->region_count)) {
            search->glibc->was_cancelled = true;
            search->failed = true;
        }
    }
}

/* Does a heap of a thread arena begin at the address? *ret_arena: whose it is. */
static bool read_heap_info(struct search *search, cw_addr heap, cw_addr *ret_arena)
{
    uint64_t word = search->glibc->word_bytes;
    uint64_t owner;
    uint64_t previous;
    uint64_t size;
    uint64_t reserved;
    if (!glibc_peek(&search->window, heap, &owner) || owner == 0 || owner % word != 0 ||
        !glibc_peek(&search->window, heap + word, &previous) ||
        !glibc_peek(&search->window, heap + 2 * word, &size) ||
        !glibc_peek(&search->window, heap + 3 * word, &reserved)) {
        return false;
    }
    *ret_arena = owner;
    return is_page_multiple(size) && is_page_multiple(reserved) && size <= reserved &&
           previous % 4096 == 0 && previous != heap;
}

/* The sizes that heaps are aligned to are multiples of four of the smallest huge pages. */
static void search_heaps(struct search *search)
{
    const struct cw_space *space = search->glibc->space;
    uint64_t step = UINT64_C(1) << (search->glibc->word_bytes == 8 ? 23 : 20);
    unsigned looks_left = HEAP_LOOKS;
    unsigned tries_left = HEAP_TRIES;
    for (size_t i = 0; i < space->region_count && !search->failed; i++) {
        const struct cw_region *region = &space->regions[i];
        cw_addr heap;
        if (!cw_region_is_writable(region) || !cw_region_is_anonymous(region) ||
            region->provenance != CW_HELD || !cw_align_up(region->start, step, &heap)) {
            continue;
        }
        while (cw_range_has(region->start, region->size_bytes, heap) && looks_left > 0 &&
               tries_left > 0) {
            cw_addr arena;
            looks_left--;
            if (read_heap_info(search, heap, &arena)) {
                tries_left--;
                try_distances(search, 0, arena);
            }
            if (!cw_add(heap, step, &heap)) {
                break;
            }
        }
    }
}

static int compare_arenas(const void *a, const void *b)
{
    const struct glibc_arena *x = a;
    const struct glibc_arena *y = b;
    if (x->is_main != y->is_main) {
        return x->is_main ? -1 : 1;
    }
    return (x->address > y->address) - (x->address < y->address);
}

/* Does it lie where the struct of a thread arena does, at the start of a heap? */
static bool lies_in_heap(const struct glibc *glibc, cw_addr address)
{
    uint64_t into_heap = address % (UINT64_C(1) << 20);
    return into_heap == 4 * glibc->word_bytes || into_heap == 6 * glibc->word_bytes;
}

/*
 * The main arena is the one in module data. Where no mapping says what that is, it is the first
 * that has no heap around it and does not lie like one that had.
 */
static bool choose_main(const struct search *search, const struct circle *circle)
{
    const struct cw_space *space = search->glibc->space;
    struct glibc_arena *chosen = NULL;
    bool is_in_module = false;
    for (size_t i = 0; i < circle->arenas.count && !is_in_module; i++) {
        struct glibc_arena *arena = cw_vector_at(&circle->arenas, i);
        const struct cw_region *region = cw_space_find(space, arena->address);
        if (arena->first_heap != 0 || region == NULL) {
            continue;
        }
        is_in_module = !cw_region_is_anonymous(region);
        if (is_in_module || (chosen == NULL && !lies_in_heap(search->glibc, arena->address))) {
            chosen = arena;
        }
    }
    if (chosen != NULL) {
        chosen->is_main = true;
    }
    return chosen != NULL;
}

static void report_strays(const struct search *search, const struct circle *circle)
{
    for (size_t i = 0; i < circle->arenas.count; i++) {
        const struct glibc_arena *arena = cw_vector_at(&circle->arenas, i);
        if (!arena->is_main && arena->first_heap == 0) {
            glibc_report(search->glibc,
                         CW_DAMAGE_HEAP_INFO,
                         arena->address,
                         0,
                         "the arena at 0x%" PRIx64
                         " is not the main one, but the heap_info in front "
                         "of it is damaged: the heap that it lies in was left out",
                         arena->address);
        }
    }
}

/* What the arenas that were found say about the layout. */
static void narrow(struct search *search, struct glibc *glibc, const struct circle *circle)
{
    glibc_narrow(&glibc->candidates, glibc_with_bins_off(circle->bins_off));
    bool attached = has_attached(search, &circle->arenas, circle->bins_off);
    glibc_narrow(&glibc->candidates, glibc_with_attached_threads(attached));
    for (size_t i = 0; i < circle->arenas.count; i++) {
        const struct glibc_arena *arena = cw_vector_at(&circle->arenas, i);
        if (arena->first_heap != 0) {
            glibc_narrow(&glibc->candidates,
                         glibc_with_heap_info_bytes(arena->address - arena->first_heap));
        }
    }
    glibc->layout = glibc_pick(glibc->candidates);
}

static int compare_circles(const void *a, const void *b)
{
    const struct circle *x = a;
    const struct circle *y = b;
    if (x->system_bytes != y->system_bytes) {
        return x->system_bytes > y->system_bytes ? -1 : 1;
    }
    return (x->number > y->number) - (x->number < y->number);
}

/* Makes a copy of each circle; behind the first one, only of those that have a main arena. */
static void make_copies(struct search *search, struct glibc_copies *copies)
{
    struct cw_heap_builder *builder = search->glibc->builder;
    qsort(search->kept, search->kept_count, sizeof search->kept[0], compare_circles);
    copies->count = 0;
    for (size_t i = 0; i < search->kept_count; i++) {
        struct circle *circle = &search->kept[i];
        bool has_main = choose_main(search, circle);
        if (i > 0 && !has_main) {
            cw_vector_deinit(&circle->arenas);
            continue;
        }
        report_strays(search, circle);
        cw_vector_sort(&circle->arenas, compare_arenas);
        struct glibc *glibc = &copies->items[copies->count++];
        if (copies->count > 1) {
            glibc_init(glibc, builder);
            glibc->copies = copies;
        }
        narrow(search, glibc, circle);
        cw_vector_deinit(&glibc->arenas);
        glibc->arenas = circle->arenas;
    }
    copies->count = copies->count == 0 ? 1 : copies->count;
}

bool glibc_find_arenas(struct glibc_copies *copies)
{
    struct glibc *glibc = &copies->items[0];
    struct search search = {
        .glibc = glibc, .window = {.space = glibc->space}, .steps_left = CIRCLE_STEPS};
    cw_map_init(&search.visited, glibc->arenas.budget);
    search.shortest_run = SHORTEST_RUN;
    search.tries_left = UINT64_MAX;
    search_module_data(&search);
    if (search.kept_count == 0 && !search.failed) {
        search.shortest_run = 1;
        search.tries_left = LONE_TRIES;
        search_module_data(&search);
        search.shortest_run = SHORTEST_RUN;
        search.tries_left = UINT64_MAX;
    }
    bool is_in_modules = search.kept_count > 0;
    search_heaps(&search);
    bool is_closed = search.kept_count > 0 && search.kept[0].is_closed;
    if (!is_in_modules && !is_closed && !search.failed) {
        search_everywhere(&search);
    }
    cw_map_deinit(&search.visited);
    if (search.steps_left == 0) {
        cw_note_add(glibc->builder->coverage,
                    CW_WARNING,
                    "arena-search-ended",
                    0,
                    "memory is full of what looks like arenas: not all of them were looked at");
    }
    make_copies(&search, copies);
    return !search.failed;
}
