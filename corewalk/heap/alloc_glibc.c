/* The glibc allocator: the order in which its parts run. */
#include <string.h>

#include "base/checked.h"
#include "heap/allocator.h"
#include "heap/glibc_check.h"
#include "heap/glibc_compare.h"
#include "image/runtime.h"

#define DETACHED_HOPS (UINT64_C(1) << 26)

void glibc_init(struct glibc *glibc, struct cw_heap_builder *builder)
{
    struct cw_budget *budget = builder->runs.budget;
    *glibc = (struct glibc){.builder = builder, .space = builder->space};
    glibc->word_bytes = builder->space->word_bytes;
    glibc->header_bytes = 2 * glibc->word_bytes;
    glibc->min_chunk_bytes = 4 * glibc->word_bytes;
    glibc->detached_hops_left = DETACHED_HOPS;
    glibc->candidates = glibc_with_word_bytes(builder->space->word_bytes);
    cw_vector_init(&glibc->arenas, budget, sizeof(struct glibc_arena));
    cw_vector_init(&glibc->spans, budget, sizeof(struct glibc_span));
    cw_vector_init(&glibc->marks, budget, sizeof(struct glibc_mark));
    cw_vector_init(&glibc->anchors, budget, sizeof(cw_addr));
    cw_vector_init(&glibc->breaks, budget, sizeof(struct glibc_break));
    cw_vector_init(&glibc->suspects, budget, sizeof(struct glibc_suspect));
    cw_vector_init(&glibc->tcaches, budget, sizeof(struct glibc_tcache));
}

void glibc_deinit(struct glibc *glibc)
{
    cw_vector_deinit(&glibc->arenas);
    cw_vector_deinit(&glibc->spans);
    cw_vector_deinit(&glibc->marks);
    cw_vector_deinit(&glibc->anchors);
    cw_vector_deinit(&glibc->breaks);
    cw_vector_deinit(&glibc->suspects);
    cw_vector_deinit(&glibc->tcaches);
}

static void release(void *state)
{
    struct glibc_copies *copies = state;
    for (size_t i = 0; i < copies->count; i++) {
        glibc_deinit(&copies->items[i]);
    }
}

/* From 2.42 on libc sets its arena up even when another allocator takes its place. */
static bool was_used(const struct glibc *glibc)
{
    for (size_t i = 0; i < glibc->arenas.count; i++) {
        const struct glibc_arena *arena = glibc_arena_at(glibc, i);
        if (arena->system_bytes > 0 || arena->orphan_base != 0) {
            return true;
        }
    }
    return glibc->mp.n_mmaps > 0;
}

static void note_absence(const struct glibc *glibc)
{
    const struct cw_image *image = glibc->builder->image;
    const struct cw_runtime_found *other = image != NULL ? cw_image_replacement(image) : NULL;
    if (other != NULL) {
        cw_note_add(glibc->builder->coverage,
                    CW_WARNING,
                    "no-glibc-heap",
                    0,
                    "the blocks of %s (%s) are not looked into",
                    other->runtime->name,
                    other->evidence);
        return;
    }
    cw_note_add(glibc->builder->coverage,
                CW_WARNING,
                "no-glibc-heap",
                0,
                glibc->arenas.count == 0
                    ? "no block was looked into: no arena of glibc's malloc was found"
                    : "no block was looked into: glibc's malloc was never used");
}

/* libc's own copy stays unused where this library's takes its place. */
static bool is_debug_library(const struct glibc *glibc)
{
    static const char prefix[] = "libc_malloc_debug.so";
    const struct cw_image *image = glibc->builder->image;
    const struct cw_module *module =
        image == NULL ? NULL : cw_image_module_at(image, glibc_arena_at(glibc, 0)->address);
    return module != NULL && strncmp(module->name, prefix, sizeof prefix - 1) == 0;
}

static void find_mp(struct glibc *glibc)
{
    if (glibc->layout == NULL) {
        return;
    }
    glibc->alignment = glibc->layout->alignment;
    glibc->has_no_caches = is_debug_library(glibc);
    glibc_find_mp(glibc);
}

/* Keeps, of several copies, those that have memory. */
static void drop_unused(struct glibc_copies *copies)
{
    size_t kept = 0;
    for (size_t i = 0; i < copies->count; i++) {
        if (was_used(&copies->items[i])) {
            struct glibc used = copies->items[i];
            copies->items[i] = copies->items[kept];
            copies->items[kept++] = used;
        }
    }
    for (size_t i = cw_max(kept, 1); i < copies->count; i++) {
        glibc_deinit(&copies->items[i]);
    }
    copies->count = cw_max(kept, 1);
}

static void note_no_main(const struct glibc *glibc)
{
    cw_note_add(glibc->builder->coverage,
                CW_WARNING,
                "main-arena-not-found",
                0,
                "neither the main arena nor its memory was found, only thread arenas: what it "
                "holds, often most of the heap, counts as other memory");
}

static bool find_parts(struct glibc_copies *copies)
{
    if (!glibc_find_arenas(copies)) {
        return false;
    }
    struct glibc *glibc = &copies->items[0];
    if (glibc->layout != NULL) {
        glibc->alignment = glibc->layout->alignment;
    }
    bool has_main = glibc->arenas.count > 0 && glibc_arena_at(glibc, 0)->is_main;
    if (!has_main && !glibc_find_orphan(glibc)) {
        return false;
    }
    if (glibc->arenas.count > 0 && !glibc_arena_at(glibc, 0)->is_main) {
        note_no_main(glibc);
    }
    if (glibc->arenas.count == 0) {
        note_absence(glibc);
        return true;
    }
    for (size_t i = 0; i < copies->count; i++) {
        find_mp(&copies->items[i]);
    }
    drop_unused(copies);
    if (!was_used(glibc)) {
        note_absence(glibc);
        glibc->arenas.count = 0;
        return true;
    }
    if (!glibc_find_spans(copies)) {
        return false;
    }
    for (size_t i = 0; i < copies->count; i++) {
        if (!glibc_add_runs(&copies->items[i])) {
            return false;
        }
    }
    return true;
}

/* Why a part has said false. */
static enum cw_status fail(const struct glibc *glibc, struct cw_error *err, const char *what)
{
    return glibc->was_cancelled
               ? cw_error_set(err, CW_ERROR_CANCELLED, "cancelled while making %s", what)
               : cw_error_set_memory(err, what);
}

static enum cw_status find(struct cw_heap_builder *builder, void **ret_state, struct cw_error *err)
{
    struct glibc_copies *copies = cw_arena_alloc(builder->heap->memory, sizeof *copies);
    if (copies == NULL) {
        return cw_error_set_memory(err, "the search for glibc's heap");
    }
    struct glibc *glibc = &copies->items[0];
    glibc_init(glibc, builder);
    glibc->copies = copies;
    copies->count = 1;
    bool done = find_parts(copies);
    if (done && glibc->arenas.count > 0) {
        *ret_state = copies;
        return CW_OK;
    }
    enum cw_status status = done ? CW_OK : fail(glibc, err, "the list of glibc's arenas");
    release(copies);
    return status;
}

static enum cw_status walk(struct cw_heap_builder *builder, void *state, struct cw_error *err)
{
    struct glibc_copies *copies = state;
    if (!cw_progress_report(builder->progress, "heap", 0, 2)) {
        return cw_error_set(err, CW_ERROR_CANCELLED, "cancelled before the walk over the heap");
    }
    enum cw_status status = CW_OK;
    for (size_t i = 0; i < copies->count && status == CW_OK; i++) {
        status = glibc_walk_spans(&copies->items[i], err);
    }
    if (status == CW_OK && !glibc_find_mmapped(copies)) {
        return fail(&copies->items[0], err, "the list of mmapped chunks");
    }
    return status;
}

static void apply_marks(struct glibc *glibc, bool unknown_ones)
{
    uint8_t *states = glibc_states(glibc);
    for (size_t i = 0; i < glibc->marks.count; i++) {
        const struct glibc_mark *mark = cw_vector_at(&glibc->marks, i);
        uint32_t index = glibc_chunk_at(glibc, mark->start);
        if (index != CW_NONE && (mark->state == CW_CHUNK_UNKNOWN) == unknown_ones) {
            states[index] = (uint8_t)mark->state;
        }
    }
}

static bool mark_free(struct glibc *glibc)
{
    glibc_report_breaks(glibc);
    apply_marks(glibc, false);
    apply_marks(glibc, true);
    if (!glibc_find_tcaches(glibc)) {
        return false;
    }
    glibc_vote_fastbins(glibc);
    glibc_settle_linking(glibc);
    glibc_mark_tcaches(glibc);
    glibc_mark_fastbins(glibc);
    glibc_mark_bins(glibc);
    return true;
}

static enum cw_status mark(struct cw_heap_builder *builder, void *state, struct cw_error *err)
{
    struct glibc_copies *copies = state;
    if (!cw_progress_report(builder->progress, "heap", 1, 2)) {
        return cw_error_set(err, CW_ERROR_CANCELLED, "cancelled after the walk over the heap");
    }
    for (size_t i = 0; i < copies->count; i++) {
        if (!mark_free(&copies->items[i])) {
            return cw_error_set_memory(err, "the list of thread caches");
        }
    }
    for (size_t i = 0; i < copies->count; i++) {
        glibc_check_chunks(&copies->items[i]);
    }
    glibc_settle_unbinned(copies);
    for (size_t i = 0; i < copies->count; i++) {
        apply_marks(&copies->items[i], true);
    }
    glibc_count_lost(copies);
    return CW_OK;
}

/* ---- afterwards ---------------------------------------------------------------------------- */

static void describe_layout(const struct glibc *glibc)
{
    struct cw_heap *heap = glibc->builder->heap;
    unsigned first;
    unsigned last;
    glibc_release_range(glibc->candidates, &first, &last);
    heap->layout.name = first == last ? cw_arena_printf(heap->memory, "2.%u", first)
                                      : cw_arena_printf(heap->memory, "2.%u-2.%u", first, last);
    const char *mp = glibc->mp.address == 0
                         ? ""
                         : cw_arena_printf(heap->memory, "; mp_ at 0x%" PRIx64, glibc->mp.address);
    const char *caches = glibc->tcaches.count == 0
                             ? ""
                             : cw_arena_printf(heap->memory,
                                               "; %zu thread cache%s of %" PRIu64 " bytes",
                                               glibc->tcaches.count,
                                               glibc->tcaches.count == 1 ? "" : "s",
                                               glibc_tcache_bytes(glibc->space->word_bytes,
                                                                  glibc->layout->tcache_form));
    const char *links = glibc->mangled_votes > glibc->plain_votes   ? "; mangled links"
                        : glibc->plain_votes > glibc->mangled_votes ? "; plain links"
                                                                    : "";
    size_t seen = glibc->arenas.count - (glibc_arena_at(glibc, 0)->orphan_base != 0 ? 1 : 0);
    const char *arenas = seen == 0 ? "chunks from the start of brk memory"
                                   : cw_arena_printf(heap->memory,
                                                     "bins at +%u in %zu arena%s",
                                                     (unsigned)glibc->layout->bins_off,
                                                     seen,
                                                     seen == 1 ? "" : "s");
    struct glibc_claims claims = glibc_read_claims(glibc);
    const char *agreeing = glibc_compare(glibc, &claims);
    heap->layout.evidence = cw_arena_printf(heap->memory,
                                            "%s%s%s%s%s",
                                            arenas == NULL ? "" : arenas,
                                            mp == NULL ? "" : mp,
                                            caches == NULL ? "" : caches,
                                            links,
                                            agreeing == NULL ? "" : agreeing);
}

/* What of an arena's own memory is in no chunk. */
static void sum_gaps(struct cw_heap_builder *builder)
{
    for (size_t i = 0; i < builder->ranges.count; i++) {
        const struct cw_heap_range *range = cw_vector_at(&builder->ranges, i);
        if (range->kind != CW_RANGE_RESERVE && range->arena_index != CW_NONE) {
            struct cw_heap_arena *arena = cw_vector_at(&builder->arenas, range->arena_index);
            arena->gap_bytes += range->size_bytes;
        }
    }
}

static void verify_arena(struct glibc *glibc, size_t index)
{
    struct cw_heap_builder *builder = glibc->builder;
    struct cw_heap_arena *arena = cw_vector_at(&builder->arenas, glibc->first_arena + index);
    uint64_t sum = glibc_found_bytes(arena);
    if (!glibc_arena_at(glibc, index)->has_sums) {
        arena->system_bytes = sum;
    }
    const struct glibc_arena *own = glibc_arena_at(glibc, index);
    bool is_left_out = !own->is_main && own->first_heap == 0; /* told of: heap-info */
    if (sum != arena->system_bytes && !is_left_out) {
        glibc_report(glibc,
                     CW_DAMAGE_ARENA_SUM,
                     arena->address,
                     0,
                     "the arena at 0x%" PRIx64 " has taken %" PRIu64
                     " bytes by its own count, but %" PRIu64 " were found",
                     arena->address,
                     arena->system_bytes,
                     sum);
    }
}

/* What malloc checks of a top's size before it aborts with "corrupted top size", and a bit more. */
static bool is_top_sound(const struct glibc *glibc,
                         const struct glibc_arena *arena,
                         uint64_t size_word)
{
    uint64_t bytes = glibc_chunk_bytes(size_word);
    uint64_t end;
    return (size_word & GLIBC_FLAGS) == GLIBC_PREV_INUSE && bytes >= glibc->min_chunk_bytes &&
           (!arena->has_sums || bytes <= arena->system_bytes) && cw_add(arena->top, bytes, &end) &&
           end % glibc->space->page_bytes == 0;
}

static void report_top(struct glibc *glibc, cw_addr top)
{
    char text[GLIBC_BLOCK_TEXT];
    cw_addr before = glibc_chunk_before(glibc, top);
    glibc_block_text(glibc, before, text);
    glibc_report(glibc,
                 CW_DAMAGE_TOP_SIZE,
                 top,
                 before != 0 ? before + glibc->header_bytes : 0,
                 "the size of the top chunk at 0x%" PRIx64 " is impossible%s%s%s",
                 top,
                 before != 0 ? "; the block before it, at " : "",
                 text,
                 before != 0 ? ", has likely been written beyond its end" : "");
}

/* Tops that the walk has met, so that they lie where their arena's memory does. */
static void verify_tops(struct glibc *glibc)
{
    for (size_t i = 0; i < glibc->spans.count; i++) {
        const struct glibc_span *span = glibc_span_at(glibc, i);
        const struct glibc_arena *arena = glibc_arena_of(glibc, span);
        uint64_t size_word;
        if (span->top == 0 ||
            !cw_space_read_word(glibc->space, span->top + glibc->word_bytes, &size_word)) {
            continue;
        }
        bool ends_heap = span->kind != GLIBC_SPAN_NEWEST_HEAP ||
                         glibc_chunk_bytes(size_word) == span->end - span->top;
        if (!ends_heap || !is_top_sound(glibc, arena, size_word)) {
            report_top(glibc, span->top);
        }
    }
}

/* Says which copies of malloc were walked, where that is not libc's alone. */
static void describe_copies(const struct glibc_copies *copies)
{
    struct cw_heap *heap = copies->items[0].builder->heap;
    for (size_t i = 0; i < copies->count && heap->layout.evidence != NULL; i++) {
        const struct glibc *glibc = &copies->items[i];
        const struct cw_heap_arena *arena =
            cw_vector_at(&glibc->builder->arenas, glibc->first_arena);
        if (i == 0 && !glibc->has_no_caches) {
            continue;
        }
        heap->layout.evidence = cw_arena_printf(heap->memory,
                                                "%s; %s %s, its main arena at 0x%" PRIx64,
                                                heap->layout.evidence,
                                                i == 0 ? "the malloc of" : "another malloc in",
                                                arena->module == NULL ? "memory" : arena->module,
                                                arena->address);
    }
}

static void verify_copy(struct glibc *glibc)
{
    for (size_t i = 0; i < glibc->arenas.count; i++) {
        verify_arena(glibc, i);
    }
    verify_tops(glibc);
    if (glibc->mp.address == 0) {
        cw_note_add(glibc->builder->coverage,
                    CW_WARNING,
                    "no-mp",
                    0,
                    "glibc's parameters (mp_) were not found: whether all mmapped chunks were "
                    "found cannot be checked");
    }
}

static void verify(struct cw_heap_builder *builder, void *state)
{
    struct glibc_copies *copies = state;
    describe_layout(&copies->items[0]);
    describe_copies(copies);
    sum_gaps(builder);
    for (size_t i = 0; i < copies->count; i++) {
        verify_copy(&copies->items[i]);
    }
    for (size_t i = 0; i < copies->count; i++) {
        glibc_check_magic(&copies->items[i]);
    }
    glibc_check_mmapped(&copies->items[0]);
    glibc_report_rest(copies);
    glibc_explain_unfinished(copies);
    glibc_excuse_sums(copies);
    glibc_report_abort(&copies->items[0]);
}

const struct cw_allocator cw_allocator_glibc = {
    .name = "glibc",
    .find = find,
    .walk = walk,
    .mark = mark,
    .verify = verify,
    .release = release,
};
