/*
 * The pass over all held chunks.
 *
 *   1. in parallel, by blocks of chunk indexes: each worker asks the recognisers in order, counts
 *      in a census of its own and writes the census's entry into the population column;
 *   2. in one thread: the censuses are merged, rare keys folded, populations named and sorted;
 *   3. in parallel: each block's entries are replaced by the final populations.
 */
#include "classify/classify.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "classify/census.h"
#include "classify/printable.h"

#define CW_CLASSIFIER(name) extern const struct cw_classifier cw_classifier_##name;
#include "classify/classifiers.def"
#undef CW_CLASSIFIER

static const struct cw_classifier *const classifiers[CW_CLASSIFIER_COUNT] = {
#define CW_CLASSIFIER(name) &cw_classifier_##name,
#include "classify/classifiers.def"
#undef CW_CLASSIFIER
};

enum {
    BLOCK_CHUNKS = 1 << 15,
    PREFETCH_CHUNKS = 12, /* about 1 KiB of small chunks ahead */
};

/* Who is asked about chunks of one head, in order of trust. */
struct line_up {
    uint32_t count;
    uint32_t classifiers[CW_CLASSIFIER_COUNT];
};

struct worker {
    struct line_up line_ups[CW_HEAD_COUNT];
    struct cw_classifier_run runs[CW_CLASSIFIER_COUNT];
    struct cw_census census;
    uint32_t *remap; /* entry of the census to final population */
    bool is_out_of_memory;
    /* The stretch of the target that was seen last. */
    cw_addr window_start;
    uint64_t window_bytes;
    const uint8_t *window_data;
};

struct pass {
    const struct cw_heap *heap;
    const struct cw_progress *progress;
    struct cw_arena temporary;
    struct cw_classifier_context context;
    struct cw_module_filter modules;
    struct cw_classifier_run runs[CW_CLASSIFIER_COUNT];
    struct worker *workers;
    unsigned worker_count;
    size_t block_count;
    uint8_t *block_workers; /* who did a block: a pool has at most 64 workers */
    struct cw_census merged;
    uint32_t *populations; /* column */
    _Atomic uint64_t done_count;
    atomic_bool is_cancelled;
};

const char *cw_population_kind_name(enum cw_population_kind kind)
{
    static const char *const names[] = {
        [CW_POPULATION_ALLOCATOR] = "allocator",
        [CW_POPULATION_PYTHON] = "python",
        [CW_POPULATION_VTABLE] = "vtable",
        [CW_POPULATION_DWARF] = "dwarf",
        [CW_POPULATION_CONTAINER] = "container",
        [CW_POPULATION_LIBRARY] = "library",
        [CW_POPULATION_RULE] = "rule",
        [CW_POPULATION_TEXT] = "text",
        [CW_POPULATION_CONTENT] = "content",
        [CW_POPULATION_SHAPE] = "shape",
        [CW_POPULATION_SIZE] = "size",
    };
    return names[kind];
}

const char *cw_confidence_name(enum cw_confidence confidence)
{
    static const char *const names[] = {
        [CW_CERTAIN] = "certain",
        [CW_PROBABLE] = "probable",
        [CW_GUESS] = "guess",
    };
    return names[confidence];
}

/* --- the pass ------------------------------------------------------------------------------ */

/* Words of the heap's pointers lie between 1 TiB and the end of user space on 64-bit targets. */
static enum cw_head head_of(const struct cw_classifier_context *context, uint64_t word)
{
    bool is_64 = context->space->word_bytes == 8;
    if (word == 0) {
        return CW_HEAD_ZERO;
    }
    if (cw_module_filter_has(context->modules, word)) {
        return CW_HEAD_MODULE;
    }
    if (word >> (is_64 ? 32 : 20) == 0) {
        return CW_HEAD_SMALL;
    }
    bool may_be_pointer = word >> 40 != 0 && word >> 48 == 0;
    return may_be_pointer && !cw_printable_ascii(word, 6) ? CW_HEAD_POINTER : CW_HEAD_OTHER;
}

static void look_at(struct worker *worker, struct cw_chunk_view *view)
{
    const struct cw_classifier_context *context = worker->runs[0].context;
    if (!cw_range_has(worker->window_start, worker->window_bytes, view->user)) {
        worker->window_start = view->user;
        worker->window_bytes = cw_space_run(context->space, view->user, &worker->window_data);
    }
    uint64_t off = view->user - worker->window_start;
    uint64_t left = worker->window_bytes - cw_min(off, worker->window_bytes);
    unsigned word_bytes = context->space->word_bytes;
    view->seen_bytes = cw_min(left, view->usable_bytes);
    if (view->seen_bytes == 0) {
        return;
    }
    view->data = worker->window_data + off;
    if (view->seen_bytes >= word_bytes) {
        view->first_word = cw_load_word(view->data, word_bytes);
        view->head = head_of(context, cw_space_pointer(context->space, view->first_word));
    }
}

static uint32_t classify_chunk(struct worker *worker, const struct cw_chunk_view *view)
{
    const struct line_up *line_up = &worker->line_ups[view->head];
    for (uint32_t i = 0; i < line_up->count; i++) {
        uint32_t classifier_index = line_up->classifiers[i];
        const struct cw_classifier_run *run = &worker->runs[classifier_index];
        uint64_t key;
        if (run->classifier->match(run, view, &key)) {
            uint32_t entry = cw_census_find(&worker->census, classifier_index, key);
            if (entry == CW_NONE) {
                worker->is_out_of_memory = true;
            } else {
                cw_census_add(
                    cw_census_at(&worker->census, entry), view->chunk.size_bytes, view->user);
            }
            return entry;
        }
    }
    return CW_NONE;
}

static void prefetch(const struct worker *worker, cw_addr user)
{
    uint64_t off = user - worker->window_start;
    if (off < worker->window_bytes) {
        __builtin_prefetch(worker->window_data + off);
    }
}

/* The chunks [first, end), all of one extent. */
static void classify_run(
    struct pass *pass, struct worker *worker, uint32_t extent_index, uint32_t first, uint32_t end)
{
    const struct cw_heap *heap = pass->heap;
    const struct cw_chunk_table *table = &heap->chunks;
    const struct cw_extent *extent = &table->extents[extent_index];
    for (uint32_t index = first; index < end && !worker->is_out_of_memory; index++) {
        enum cw_chunk_state state = cw_chunk_table_state(table, index);
        if (!cw_chunk_state_is_held(state)) {
            pass->populations[index] = CW_NONE;
            continue;
        }
        if (end - index > PREFETCH_CHUNKS) {
            prefetch(worker,
                     cw_chunk_table_start(table, extent, index + PREFETCH_CHUNKS) +
                         table->header_bytes);
        }
        struct cw_chunk_view view = {
            .chunk = {.index = index,
                      .extent_index = extent_index,
                      .start = cw_chunk_table_start(table, extent, index),
                      .size_bytes = cw_chunk_table_size(table, extent, index),
                      .state = state},
        };
        view.user = cw_heap_user_address(heap, &view.chunk);
        view.usable_bytes = cw_heap_usable_bytes(heap, &view.chunk);
        look_at(worker, &view);
        pass->populations[index] = classify_chunk(worker, &view);
    }
}

static uint32_t block_end(const struct pass *pass, size_t block)
{
    return (uint32_t)cw_min((block + 1) * (uint64_t)BLOCK_CHUNKS, pass->heap->chunks.chunk_count);
}

static void classify_block(void *context, unsigned worker_index, size_t block)
{
    struct pass *pass = context;
    struct worker *worker = &pass->workers[worker_index];
    const struct cw_chunk_table *table = &pass->heap->chunks;
    if (worker->is_out_of_memory || atomic_load(&pass->is_cancelled)) {
        return;
    }
    uint32_t first = (uint32_t)(block * BLOCK_CHUNKS);
    uint32_t end = block_end(pass, block);
    uint64_t done = atomic_fetch_add(&pass->done_count, end - first) + (end - first);
    uint32_t extent_index = (uint32_t)(cw_chunk_table_extent_of(table, first) - table->extents);
    pass->block_workers[block] = (uint8_t)worker_index;
    while (first < end) {
        const struct cw_extent *extent = &table->extents[extent_index];
        uint32_t stop = (uint32_t)cw_min(end, (uint64_t)extent->first_chunk + extent->chunk_count);
        classify_run(pass, worker, extent_index, first, stop);
        first = stop;
        extent_index++;
    }
    /* One worker reports, so that the hook is never called twice at once. */
    if (worker_index == 0 &&
        !cw_progress_report(pass->progress, "classify", done, table->chunk_count)) {
        atomic_store(&pass->is_cancelled, true);
    }
}

static void remap_block(void *context, unsigned worker_index, size_t block)
{
    (void)worker_index;
    struct pass *pass = context;
    const uint32_t *remap = pass->workers[pass->block_workers[block]].remap;
    uint32_t end = block_end(pass, block);
    for (uint32_t index = (uint32_t)(block * BLOCK_CHUNKS); index < end; index++) {
        if (pass->populations[index] != CW_NONE) {
            pass->populations[index] = remap[pass->populations[index]];
        }
    }
}

/* --- preparing and giving back ------------------------------------------------------------- */

static bool prepare_worker(struct pass *pass, struct worker *worker)
{
    memcpy(worker->runs, pass->runs, sizeof worker->runs);
    for (uint32_t head = 0; head < CW_HEAD_COUNT; head++) {
        struct line_up *line_up = &worker->line_ups[head];
        for (uint32_t i = 0; i < CW_CLASSIFIER_COUNT; i++) {
            if ((classifiers[i]->heads >> head & 1) != 0) {
                line_up->classifiers[line_up->count++] = i;
            }
        }
    }
    for (size_t i = 0; i < CW_CLASSIFIER_COUNT; i++) {
        size_t bytes = classifiers[i]->scratch_bytes;
        worker->runs[i].scratch = bytes > 0 ? cw_arena_alloc(&pass->temporary, bytes) : NULL;
        if (bytes > 0 && worker->runs[i].scratch == NULL) {
            return false;
        }
    }
    return true;
}

static bool prepare_workers(struct pass *pass)
{
    struct cw_arena *temporary = &pass->temporary;
    pass->workers = cw_arena_alloc_array(temporary, pass->worker_count, sizeof *pass->workers);
    pass->block_workers = cw_arena_alloc_array(temporary, pass->block_count, 1);
    if (pass->workers == NULL || pass->block_workers == NULL) {
        pass->worker_count = 0;
        return false;
    }
    for (unsigned i = 0; i < pass->worker_count; i++) {
        cw_census_init(&pass->workers[i].census, pass->runs, temporary->budget);
    }
    for (unsigned i = 0; i < pass->worker_count; i++) {
        if (!prepare_worker(pass, &pass->workers[i])) {
            return false;
        }
    }
    return true;
}

static void init_pass(struct pass *pass,
                      const struct cw_heap *heap,
                      const struct cw_pool *pool,
                      const struct cw_progress *progress,
                      struct cw_arena *memory)
{
    *pass = (struct pass){
        .heap = heap,
        .progress = progress,
        .worker_count = cw_pool_threads(pool),
        .block_count = ((uint64_t)heap->chunks.chunk_count + BLOCK_CHUNKS - 1) / BLOCK_CHUNKS,
        .context = {.heap = heap, .space = heap->space, .image = heap->image, .memory = memory},
    };
    pass->context.modules = &pass->modules;
    cw_arena_init(&pass->temporary, memory->budget);
    for (size_t i = 0; i < CW_CLASSIFIER_COUNT; i++) {
        pass->runs[i] =
            (struct cw_classifier_run){.classifier = classifiers[i], .context = &pass->context};
    }
    cw_census_init(&pass->merged, pass->runs, memory->budget);
}

static bool prepare_pass(struct pass *pass, struct cw_column *ret_column)
{
    if (!cw_module_filter_init(
            &pass->modules, pass->heap->image, pass->heap->space->word_bytes, &pass->temporary) ||
        !cw_column_create(
            pass->temporary.budget, pass->heap->chunks.chunk_count, sizeof(uint32_t), ret_column)) {
        return false;
    }
    pass->populations = ret_column->data;
    for (size_t i = 0; i < CW_CLASSIFIER_COUNT; i++) {
        if (classifiers[i]->prepare != NULL && !classifiers[i]->prepare(&pass->runs[i])) {
            return false;
        }
    }
    return prepare_workers(pass);
}

static void release_pass(struct pass *pass)
{
    for (unsigned i = 0; i < pass->worker_count && pass->workers != NULL; i++) {
        cw_census_deinit(&pass->workers[i].census);
    }
    cw_census_deinit(&pass->merged);
    cw_arena_deinit(&pass->temporary);
}

/* --- from entries to populations ----------------------------------------------------------- */

struct ranked {
    struct cw_population population;
    uint32_t entry;
    uint32_t classifier_index;
    uint64_t key;
};

static int compare_numbers(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

static int compare_ranked(const void *left, const void *right)
{
    const struct ranked *a = left;
    const struct ranked *b = right;
    int order = compare_numbers(b->population.total.bytes, a->population.total.bytes);
    if (order == 0) {
        order = strcmp(a->population.name, b->population.name);
    }
    if (order == 0) {
        order = strcmp(a->population.evidence, b->population.evidence);
    }
    if (order == 0) {
        order = compare_numbers(a->classifier_index, b->classifier_index);
    }
    return order != 0 ? order : compare_numbers(a->key, b->key);
}

static bool describe(const struct pass *pass, uint32_t index, struct ranked *ret_ranked)
{
    const struct cw_census_entry *entry = cw_census_at(&pass->merged, index);
    const struct cw_classifier_run *run = &pass->runs[entry->classifier_index];
    *ret_ranked = (struct ranked){
        .population = {.kind = run->classifier->kind,
                       .total = entry->total,
                       .smallest_bytes = entry->smallest_bytes,
                       .largest_bytes = entry->largest_bytes,
                       .sample_count = entry->sample_count},
        .entry = index,
        .classifier_index = entry->classifier_index,
        .key = entry->key,
    };
    memcpy(ret_ranked->population.samples, entry->samples, sizeof entry->samples);
    return run->classifier->describe(run, entry->key, &ret_ranked->population);
}

/* Describes what is left after folding, sorted. */
static bool rank(struct pass *pass, struct ranked **ret_ranked, uint32_t *ret_count)
{
    size_t entry_count = pass->merged.entries.count;
    struct ranked *ranked = cw_arena_alloc_array(&pass->temporary, entry_count, sizeof *ranked);
    if (ranked == NULL) {
        return false;
    }
    uint32_t count = 0;
    for (uint32_t i = 0; i < entry_count; i++) {
        if (cw_census_resolve(&pass->merged, i) == i) {
            if (!describe(pass, i, &ranked[count])) {
                return false;
            }
            count++;
        }
    }
    qsort(ranked, count, sizeof *ranked, compare_ranked);
    *ret_ranked = ranked;
    *ret_count = count;
    return true;
}

static bool make_remaps(struct pass *pass, const struct ranked *ranked, uint32_t count)
{
    uint32_t *finals =
        cw_arena_alloc_array(&pass->temporary, pass->merged.entries.count, sizeof *finals);
    if (finals == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        finals[ranked[i].entry] = i;
    }
    for (unsigned w = 0; w < pass->worker_count; w++) {
        struct worker *worker = &pass->workers[w];
        size_t entry_count = worker->census.entries.count;
        worker->remap = cw_arena_alloc_array(&pass->temporary, entry_count, sizeof *worker->remap);
        if (worker->remap == NULL) {
            return false;
        }
        for (uint32_t i = 0; i < entry_count; i++) {
            uint32_t merged = cw_census_at(&worker->census, i)->link;
            worker->remap[i] = finals[cw_census_resolve(&pass->merged, merged)];
        }
    }
    return true;
}

static bool conclude(struct pass *pass, struct cw_classification *classification)
{
    struct ranked *ranked;
    uint32_t count;
    for (unsigned i = 0; i < pass->worker_count; i++) {
        if (pass->workers[i].is_out_of_memory ||
            !cw_census_merge(&pass->merged, &pass->workers[i].census)) {
            return false;
        }
    }
    if (!cw_census_fold(&pass->merged) || !rank(pass, &ranked, &count)) {
        return false;
    }
    struct cw_population *populations =
        cw_arena_alloc_array(pass->context.memory, count, sizeof *populations);
    if (populations == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        populations[i] = ranked[i].population;
    }
    classification->populations = populations;
    classification->population_count = count;
    return make_remaps(pass, ranked, count);
}

/* --- the whole ----------------------------------------------------------------------------- */

static enum cw_status run_pass(struct pass *pass,
                               struct cw_pool *pool,
                               struct cw_classification *classification,
                               struct cw_error *err)
{
    uint32_t chunk_count = pass->heap->chunks.chunk_count;
    if (!prepare_pass(pass, &classification->population_column)) {
        return cw_error_set_memory(err, "naming the heap's chunks");
    }
    cw_pool_run(pool, classify_block, pass, pass->block_count);
    if (atomic_load(&pass->is_cancelled) ||
        !cw_progress_report(pass->progress, "classify", chunk_count, chunk_count)) {
        return cw_error_set(
            err, CW_ERROR_CANCELLED, "cancelled while the heap's chunks were named");
    }
    if (!conclude(pass, classification)) {
        return cw_error_set_memory(err, "naming the heap's chunks");
    }
    cw_pool_run(pool, remap_block, pass, pass->block_count);
    return CW_OK;
}

enum cw_status cw_classify(const struct cw_heap *heap,
                           struct cw_pool *pool,
                           const struct cw_progress *progress,
                           struct cw_arena *memory,
                           struct cw_classification *ret_classification,
                           struct cw_error *err)
{
    struct cw_classification classification = {0};
    struct pass pass;
    init_pass(&pass, heap, pool, progress, memory);
    enum cw_status status = run_pass(&pass, pool, &classification, err);
    release_pass(&pass);
    if (status != CW_OK) {
        cw_column_destroy(&classification.population_column);
        return status;
    }
    *ret_classification = classification;
    return CW_OK;
}

void cw_classification_destroy(struct cw_classification *classification)
{
    cw_column_destroy(&classification->population_column);
    *classification = (struct cw_classification){0};
}

const struct cw_population *cw_classification_of(const struct cw_classification *classification,
                                                 uint32_t chunk_index)
{
    const uint32_t *populations = classification->population_column.data;
    uint32_t population = populations[chunk_index];
    return population == CW_NONE ? NULL : &classification->populations[population];
}
