/* The ledger: claims are laid over the writable regions, the stronger ones first. */
#include "analyze/ledger.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "analyze/zero_pages.h"
#include "base/map.h"
#include "base/text.h"
#include "heap/foreign.h"

/* Rows in the order in which they are made; modules and files follow. */
enum owner {
    OWNER_USED,
    OWNER_MMAPPED,
    OWNER_TCACHE,
    OWNER_FASTBIN,
    OWNER_BINNED,
    OWNER_TOP,
    OWNER_OVERHEAD,
    OWNER_UNKNOWN,
    OWNER_RESERVE,
    OWNER_STACK,
    OWNER_CACHED_STACK,
    OWNER_SHARED,
    OWNER_ANONYMOUS,
    OWNER_FOREIGN, /* and the kinds after the first */
    OWNER_COUNT = OWNER_FOREIGN + CW_FOREIGN_KIND_COUNT,
    OWNER_BY_PATH, /* a module's data or a mapped file: found by the path */
};

static const struct {
    const char *owner;
    const char *label;
} owners[OWNER_FOREIGN] = {
    [OWNER_USED] = {"heap-used", "heap: used"},
    [OWNER_MMAPPED] = {"mmapped", "heap: used, mmapped"},
    [OWNER_TCACHE] = {"heap-tcache", "heap: free, in tcache"},
    [OWNER_FASTBIN] = {"heap-fastbin", "heap: free, in fastbins"},
    [OWNER_BINNED] = {"heap-binned", "heap: free, in bins"},
    [OWNER_TOP] = {"heap-top", "heap: free, at the top"},
    [OWNER_OVERHEAD] = {"heap-overhead", "heap: allocator overhead"},
    [OWNER_UNKNOWN] = {"heap-unknown", "heap: damaged or missing"},
    [OWNER_RESERVE] = {"heap-reserve", "heap: reserved by arenas"},
    [OWNER_STACK] = {"stack", "thread stacks"},
    [OWNER_CACHED_STACK] = {"cached-stack", "stacks of ended threads"},
    [OWNER_SHARED] = {"shared", "shared memory"},
    [OWNER_ANONYMOUS] = {"anonymous", "other anonymous memory"},
};

/*
 * A module or file has a row of its own from 1/NAMED_SHARE of all memory on, and at most so many
 * have; the rest of them are summed up in one row.
 */
enum { NAMED_SHARE = 100, MOST_NAMED_ROWS = 6 };

/* A range that is spoken for. */
struct claim {
    cw_addr start;
    uint64_t size_bytes;
    enum owner owner;
    uint32_t extent_index; /* of an extent, whose chunks divide it; else CW_NONE */
};

/* Claims of one strength: sorted and disjoint. */
struct layer {
    struct claim *claims;
    size_t count;
};

enum {
    LAYER_HEAP,
    LAYER_GO, /* goroutines' stacks lie in it */
    LAYER_STACKS,
    LAYER_MODULES,
    LAYER_FOREIGN, /* sizes in other allocators' structs may lie */
    LAYER_COUNT,
};

struct sweep {
    const struct cw_analysis_input *input;
    const struct cw_heap *heap;
    struct cw_arena *memory;
    struct cw_ledger *ledger;
    struct layer layers[LAYER_COUNT]; /* the stronger first */
    struct cw_tally totals[OWNER_COUNT];
    uint64_t zero_bytes[OWNER_COUNT];
    struct cw_vector named; /* struct cw_ledger_row: one for each module or file */
    struct cw_map named_index;
    uint64_t *extent_bytes; /* of each extent, how much is writable memory */
};

static int compare_claims(const void *left, const void *right)
{
    const struct claim *a = left;
    const struct claim *b = right;
    if (a->start != b->start) {
        return a->start < b->start ? -1 : 1;
    }
    return a->size_bytes < b->size_bytes ? 1 : a->size_bytes > b->size_bytes ? -1 : 0;
}

static enum owner owner_of_range(enum cw_heap_range_kind kind)
{
    switch (kind) {
    case CW_RANGE_HEADER:
        return OWNER_OVERHEAD;
    case CW_RANGE_RESERVE:
        return OWNER_RESERVE;
    case CW_RANGE_FOREIGN:
        break;
    }
    return OWNER_ANONYMOUS;
}

/* Sorts the claims and cuts overlaps: the one that begins first keeps its bytes. */
static void make_disjoint(struct layer *layer)
{
    if (layer->count > 1) {
        qsort(layer->claims, layer->count, sizeof *layer->claims, compare_claims);
    }
    size_t kept = 0;
    for (size_t i = 0; i < layer->count; i++) {
        struct claim claim = layer->claims[i];
        if (kept > 0) {
            const struct claim *last = &layer->claims[kept - 1];
            uint64_t inside = claim.start - last->start;
            uint64_t cut = inside < last->size_bytes ? last->size_bytes - inside : 0;
            cut = cw_min(cut, claim.size_bytes);
            claim.start += cut;
            claim.size_bytes -= cut;
        }
        if (claim.size_bytes > 0) {
            layer->claims[kept++] = claim;
        }
    }
    layer->count = kept;
}

static bool layer_create(struct sweep *sweep, size_t index, size_t capacity)
{
    struct layer *layer = &sweep->layers[index];
    layer->claims = cw_arena_alloc_array(sweep->memory, capacity, sizeof *layer->claims);
    return layer->claims != NULL || capacity == 0;
}

static void layer_add(struct layer *layer, struct claim claim)
{
    layer->claims[layer->count++] = claim;
}

static bool claim_heap(struct sweep *sweep)
{
    if (sweep->heap == NULL) {
        return true;
    }
    const struct cw_chunk_table *chunks = &sweep->heap->chunks;
    sweep->extent_bytes =
        cw_arena_alloc_array(sweep->memory, chunks->extent_count, sizeof(uint64_t));
    size_t capacity = (size_t)chunks->extent_count + sweep->heap->range_count;
    if ((sweep->extent_bytes == NULL && chunks->extent_count > 0) ||
        !layer_create(sweep, LAYER_HEAP, capacity)) {
        return false;
    }
    struct layer *layer = &sweep->layers[LAYER_HEAP];
    for (uint32_t i = 0; i < chunks->extent_count; i++) {
        const struct cw_extent *extent = &chunks->extents[i];
        layer_add(layer, (struct claim){extent->start, extent->size_bytes, OWNER_COUNT, i});
    }
    for (uint32_t i = 0; i < sweep->heap->range_count; i++) {
        const struct cw_heap_range *range = &sweep->heap->ranges[i];
        enum owner owner = owner_of_range(range->kind);
        layer_add(layer, (struct claim){range->start, range->size_bytes, owner, CW_NONE});
    }
    make_disjoint(layer);
    return true;
}

static bool claim_foreign(struct sweep *sweep)
{
    const struct cw_analysis_input *input = sweep->input;
    struct cw_foreign foreign;
    if (!cw_foreign_find(input->space, input->image, sweep->memory, &foreign) ||
        !layer_create(sweep, LAYER_FOREIGN, foreign.range_count) ||
        !layer_create(sweep, LAYER_GO, foreign.range_count)) {
        return false;
    }
    for (size_t i = 0; i < foreign.range_count; i++) {
        const struct cw_foreign_range *range = &foreign.ranges[i];
        enum owner owner = OWNER_FOREIGN + range->kind;
        size_t index = range->kind == CW_FOREIGN_GO ? LAYER_GO : LAYER_FOREIGN;
        layer_add(&sweep->layers[index],
                  (struct claim){range->start, range->size_bytes, owner, CW_NONE});
    }
    make_disjoint(&sweep->layers[LAYER_GO]);
    make_disjoint(&sweep->layers[LAYER_FOREIGN]);
    return true;
}

static bool claim_stacks(struct sweep *sweep)
{
    const struct cw_analysis_input *input = sweep->input;
    if (!layer_create(sweep, LAYER_STACKS, input->stack_count)) {
        return false;
    }
    struct layer *layer = &sweep->layers[LAYER_STACKS];
    for (size_t i = 0; i < input->stack_count; i++) {
        const struct cw_stack *stack = &input->stacks[i];
        enum owner owner = stack->thread_index == CW_NONE ? OWNER_CACHED_STACK : OWNER_STACK;
        layer_add(layer, (struct claim){stack->start, stack->size_bytes, owner, CW_NONE});
    }
    make_disjoint(layer);
    return true;
}

/* A .bss ends inside an anonymous region, so modules bound stretches as well. */
static bool claim_modules(struct sweep *sweep)
{
    const struct cw_image *image = sweep->input->image;
    if (!layer_create(sweep, LAYER_MODULES, image->module_count)) {
        return false;
    }
    struct layer *layer = &sweep->layers[LAYER_MODULES];
    for (size_t i = 0; i < image->module_count; i++) {
        const struct cw_module *module = &image->modules[i];
        layer_add(layer, (struct claim){module->start, module->size_bytes, OWNER_BY_PATH, CW_NONE});
    }
    make_disjoint(layer);
    return true;
}

static const char *last_component(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL && slash[1] != '\0' ? slash + 1 : path;
}

static bool is_shared_path(const char *path)
{
    static const char *const prefixes[] = {
        "/dev/shm/", "/SYSV", "/memfd:", "/dev/zero", "/run/shm/", "/[aio]"};
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        if (strncmp(path, prefixes[i], strlen(prefixes[i])) == 0) {
            return true;
        }
    }
    return false;
}

/* Keeps the largest ones, in order. */
static void keep_mapping(struct cw_ledger *ledger, const struct cw_ledger_mapping *mapping)
{
    size_t place = ledger->mapping_count;
    while (place > 0 && ledger->mappings[place - 1].size_bytes < mapping->size_bytes) {
        place--;
    }
    if (place == CW_LEDGER_MAPPINGS) {
        return;
    }
    if (ledger->mapping_count < CW_LEDGER_MAPPINGS) {
        ledger->mapping_count++;
    }
    for (size_t i = ledger->mapping_count - 1; i > place; i--) {
        ledger->mappings[i] = ledger->mappings[i - 1];
    }
    ledger->mappings[place] = *mapping;
}

static void charge_owner(struct sweep *sweep,
                         enum owner owner,
                         const struct cw_ledger_mapping *stretch)
{
    cw_tally_add(&sweep->totals[owner], stretch->size_bytes);
    sweep->zero_bytes[owner] += stretch->zero_bytes;
}

/* Adds to the row of a module's data or of a mapped file, made when it is new. */
static bool charge_named(struct sweep *sweep,
                         const char *owner,
                         const char *name,
                         const struct cw_ledger_mapping *stretch)
{
    bool is_new;
    uint64_t *index =
        cw_map_insert(&sweep->named_index, cw_map_hash_text(name, (uint64_t)owner[0]), &is_new);
    if (index == NULL) {
        return false;
    }
    if (is_new) {
        struct cw_ledger_row row = {.owner = owner, .label = name};
        *index = sweep->named.count;
        if (!cw_vector_append(&sweep->named, &row)) {
            return false;
        }
    }
    struct cw_ledger_row *row = cw_vector_at(&sweep->named, *index);
    cw_tally_add(&row->total, stretch->size_bytes);
    row->zero_bytes += stretch->zero_bytes;
    return true;
}

/* Memory that nobody claimed: the region itself says what it is. */
static bool charge_region(struct sweep *sweep,
                          const struct cw_region *region,
                          const struct cw_ledger_mapping *stretch)
{
    const struct cw_module *module = cw_image_module_at(sweep->input->image, stretch->start);
    if (module != NULL) {
        return charge_named(sweep, "module", module->name, stretch);
    }
    const char *path = cw_region_path(sweep->input->space, region);
    if (path == NULL && region->provenance == CW_HELD) {
        keep_mapping(sweep->ledger, stretch);
    }
    if (path == NULL || is_shared_path(path)) {
        charge_owner(sweep, path == NULL ? OWNER_ANONYMOUS : OWNER_SHARED, stretch);
        return true;
    }
    const char *name = cw_text_escape_copy(sweep->memory, last_component(path));
    return name != NULL && charge_named(sweep, "file", name, stretch);
}

/* The first claim of a layer that ends above the address, or NULL. */
static const struct claim *next_claim(const struct layer *layer, cw_addr at)
{
    size_t low = 0;
    size_t high = layer->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct claim *claim = &layer->claims[middle];
        if (at >= claim->start && at - claim->start >= claim->size_bytes) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < layer->count ? &layer->claims[low] : NULL;
}

/*
 * The strongest claim on the address, or NULL, and in *bytes (the most wanted at call) how far
 * that holds: until the claim ends, or a stronger one begins.
 */
static const struct claim *claim_at(const struct sweep *sweep, cw_addr at, uint64_t *bytes)
{
    for (size_t i = 0; i < LAYER_COUNT; i++) {
        const struct claim *claim = next_claim(&sweep->layers[i], at);
        if (claim != NULL && at >= claim->start) {
            *bytes = cw_min(*bytes, claim->size_bytes - (at - claim->start));
            return claim;
        }
        if (claim != NULL) {
            *bytes = cw_min(*bytes, claim->start - at);
        }
    }
    return NULL;
}

static bool charge_stretch(struct sweep *sweep,
                           const struct cw_region *region,
                           const struct claim *claim,
                           const struct cw_ledger_mapping *stretch)
{
    if (claim == NULL || claim->owner == OWNER_BY_PATH) {
        return charge_region(sweep, region, stretch);
    }
    if (claim->extent_index != CW_NONE) {
        sweep->extent_bytes[claim->extent_index] += stretch->size_bytes;
    } else {
        charge_owner(sweep, claim->owner, stretch);
    }
    return true;
}

static bool sweep_region(struct sweep *sweep, const struct cw_region *region)
{
    const struct cw_analysis_input *input = sweep->input;
    cw_addr at = region->start;
    uint64_t left = region->size_bytes;
    while (left > 0) {
        struct cw_ledger_mapping stretch = {.start = at, .size_bytes = left};
        const struct claim *claim = claim_at(sweep, at, &stretch.size_bytes);
        bool is_heap = claim != NULL && claim->extent_index != CW_NONE;
        if (!is_heap && region->provenance == CW_HELD) {
            stretch.zero_bytes =
                cw_zero_page_bytes(input->space, input->pool, at, stretch.size_bytes);
        }
        if (!charge_stretch(sweep, region, claim, &stretch)) {
            return false;
        }
        at += stretch.size_bytes;
        left -= stretch.size_bytes;
    }
    return true;
}

static const enum owner owner_of_state[CW_CHUNK_STATE_COUNT] = {
    [CW_CHUNK_UNKNOWN] = OWNER_UNKNOWN,
    [CW_CHUNK_USED] = OWNER_USED,
    [CW_CHUNK_TCACHE] = OWNER_TCACHE,
    [CW_CHUNK_FASTBIN] = OWNER_FASTBIN,
    [CW_CHUNK_BINNED] = OWNER_BINNED,
    [CW_CHUNK_TOP] = OWNER_TOP,
    [CW_CHUNK_MMAPPED] = OWNER_MMAPPED,
    [CW_CHUNK_INTERNAL] = OWNER_OVERHEAD,
};

/*
 * Divides the extents by the states of their chunks. An extent of which not all is writable
 * memory (a damaged heap) cannot be divided: what there is of it is unknown.
 */
static void charge_chunks(struct sweep *sweep, const struct cw_heap *heap)
{
    struct cw_tally by_state[CW_CHUNK_STATE_COUNT];
    for (size_t state = 0; state < CW_CHUNK_STATE_COUNT; state++) {
        by_state[state] = heap->by_state[state];
    }
    for (uint32_t i = 0; i < heap->chunks.extent_count; i++) {
        const struct cw_extent *extent = &heap->chunks.extents[i];
        if (sweep->extent_bytes[i] == extent->size_bytes) {
            continue;
        }
        for (uint32_t k = 0; k < extent->chunk_count; k++) {
            uint32_t index = extent->first_chunk + k;
            struct cw_tally *tally = &by_state[cw_chunk_table_state(&heap->chunks, index)];
            tally->count--;
            tally->bytes -= cw_chunk_table_size(&heap->chunks, extent, index);
        }
        cw_tally_add(&sweep->totals[OWNER_UNKNOWN], sweep->extent_bytes[i]);
    }
    for (size_t state = 0; state < CW_CHUNK_STATE_COUNT; state++) {
        cw_tally_merge(&sweep->totals[owner_of_state[state]], &by_state[state]);
    }
}

static int compare_rows(const void *left, const void *right)
{
    const struct cw_ledger_row *a = left;
    const struct cw_ledger_row *b = right;
    if (a->total.bytes != b->total.bytes) {
        return a->total.bytes > b->total.bytes ? -1 : 1;
    }
    int order = strcmp(a->owner, b->owner);
    return order != 0 ? order : strcmp(a->label, b->label);
}

/* Names the biggest modules and files, and sums up the rest of each in one row. */
static bool add_named_rows(struct sweep *sweep,
                           const char *owner,
                           uint64_t least_bytes,
                           struct cw_vector *rows)
{
    struct cw_ledger_row rest = {.owner = owner};
    uint64_t rest_names = 0;
    size_t shown = 0;
    bool is_module = strcmp(owner, "module") == 0;
    for (size_t i = 0; i < sweep->named.count; i++) {
        struct cw_ledger_row row = *(struct cw_ledger_row *)cw_vector_at(&sweep->named, i);
        if (strcmp(row.owner, owner) != 0) {
            continue;
        }
        if (shown >= MOST_NAMED_ROWS || row.total.bytes < least_bytes) {
            cw_tally_merge(&rest.total, &row.total);
            rest.zero_bytes += row.zero_bytes;
            rest_names++;
            continue;
        }
        shown++;
        row.label =
            cw_arena_printf(sweep->memory, is_module ? "data of %s" : "mapped file %s", row.label);
        if (row.label == NULL || !cw_vector_append(rows, &row)) {
            return false;
        }
    }
    if (rest_names == 0) {
        return true;
    }
    rest.label = cw_arena_printf(sweep->memory,
                                 "%s%" PRIu64 " %s%s%s",
                                 is_module ? "data of " : "",
                                 rest_names,
                                 shown > 0 ? "other " : "",
                                 is_module ? "module" : "mapped file",
                                 rest_names == 1 ? "" : "s");
    return rest.label != NULL && cw_vector_append(rows, &rest);
}

static bool make_rows(struct sweep *sweep, struct cw_ledger *ledger)
{
    struct cw_vector rows;
    cw_vector_init(&rows, sweep->memory->budget, sizeof(struct cw_ledger_row));
    bool made = true;
    for (size_t i = 0; i < OWNER_COUNT && made; i++) {
        if (sweep->totals[i].bytes > 0) {
            bool is_foreign = i >= OWNER_FOREIGN;
            struct cw_ledger_row row = {
                is_foreign ? cw_foreign_owner(i - OWNER_FOREIGN) : owners[i].owner,
                is_foreign ? cw_foreign_label(i - OWNER_FOREIGN) : owners[i].label,
                sweep->totals[i],
                sweep->zero_bytes[i]};
            made = cw_vector_append(&rows, &row);
        }
    }
    cw_vector_sort(&sweep->named, compare_rows);
    uint64_t least_bytes = ledger->total_bytes / NAMED_SHARE;
    made = made && add_named_rows(sweep, "module", least_bytes, &rows) &&
           add_named_rows(sweep, "file", least_bytes, &rows);
    cw_vector_sort(&rows, compare_rows);
    for (size_t i = 0; i < rows.count; i++) {
        ledger->zero_bytes += ((const struct cw_ledger_row *)cw_vector_at(&rows, i))->zero_bytes;
    }
    ledger->row_count = rows.count;
    ledger->rows = cw_arena_alloc_array(sweep->memory, rows.count, sizeof(struct cw_ledger_row));
    made = made && (ledger->rows != NULL || rows.count == 0);
    if (made && rows.count > 0) {
        memcpy(ledger->rows, rows.items, rows.count * sizeof(struct cw_ledger_row));
    }
    cw_vector_deinit(&rows);
    return made;
}

static bool sweep_space(struct sweep *sweep, struct cw_ledger *ledger)
{
    for (size_t i = 0; i < sweep->input->space->region_count; i++) {
        const struct cw_region *region = &sweep->input->space->regions[i];
        if (!cw_region_is_writable(region)) {
            continue;
        }
        ledger->total_bytes += region->size_bytes;
        if (region->provenance != CW_HELD) {
            ledger->missing_bytes += region->size_bytes;
        }
        if (!sweep_region(sweep, region)) {
            return false;
        }
    }
    return true;
}

enum cw_status cw_ledger_create(const struct cw_analysis_input *input,
                                struct cw_ledger *ret_ledger,
                                struct cw_error *err)
{
    struct cw_arena *memory = input->memory;
    const struct cw_heap *heap = input->heap;
    struct cw_ledger ledger = {0};
    struct sweep sweep = {.input = input, .heap = heap, .memory = memory, .ledger = &ledger};
    cw_vector_init(&sweep.named, memory->budget, sizeof(struct cw_ledger_row));
    cw_map_init(&sweep.named_index, memory->budget);
    bool made = claim_heap(&sweep) && claim_foreign(&sweep) && claim_stacks(&sweep) &&
                claim_modules(&sweep) && sweep_space(&sweep, &ledger);
    if (made && heap != NULL) {
        charge_chunks(&sweep, heap);
    }
    made = made && make_rows(&sweep, &ledger);
    cw_map_deinit(&sweep.named_index);
    cw_vector_deinit(&sweep.named);
    if (!made) {
        return cw_error_set_memory(err, "the ledger");
    }
    *ret_ledger = ledger;
    return CW_OK;
}

uint64_t cw_ledger_bytes_of(const struct cw_ledger *ledger, const char *owner)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < ledger->row_count; i++) {
        if (strcmp(ledger->rows[i].owner, owner) == 0) {
            bytes += ledger->rows[i].total.bytes;
        }
    }
    return bytes;
}
