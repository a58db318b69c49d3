/*
 * The first word points into a module: in C, a table of operations, a type descriptor, a name, a
 * static object. Chunks that share the exact address are one population; addresses that few
 * chunks share are folded into their section ("starts with a pointer into server (.rodata)").
 *
 * Three things look so and are not:
 *  - what malloc left in a chunk that was in a bin: a pointer into main_arena, which lies in libc;
 *  - a pointer into the middle of a known function: the rest of an old stack or a jump buffer;
 *  - a number that falls into a program that is not position independent (from 0x400000 on):
 *    there a word counts only when a sample of the heap shows it LOW_WORD_COUNT times.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "classify/classify.h"
#include "classify/word_cache.h"

enum {
    RARE_COUNT = 4,
    LOW_WORD_COUNT = 3,
    SAMPLE_CHUNKS = 1 << 16,
    CODE_ALIGNMENT = 16,       /* of functions, where no symbol says where they start */
    ARENA_STRUCT_BYTES = 2304, /* the largest malloc_state, rounded up */
};

#define LOW_LIMIT_LP64  (1ULL << 32)
#define LOW_LIMIT_ILP32 (1ULL << 28)

/* Keys: the address; or KEY_SECTION with the indexes of a module and its section. */
#define KEY_SECTION   (1ULL << 63)
#define SECTION_BITS  6
#define SECTION_LIMIT ((1U << SECTION_BITS) - 1) /* stands for any other, as does the next */
#define MODULE_LIMIT  1023U

enum verdict {
    UNASKED,
    IS_POINTER,
    IS_NONE,
};

struct state {
    uint64_t low_limit;
    uint64_t *low_words; /* sorted: those below the limit that count */
    size_t low_word_count;
};

/* --- low words ----------------------------------------------------------------------------- */

static int compare_words(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left;
    uint64_t b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

/* Counts the low first words of evenly spread chunks. */
static bool sample_low_words(const struct cw_classifier_run *run,
                             const struct state *state,
                             struct cw_map *counts)
{
    const struct cw_heap *heap = run->context->heap;
    uint32_t step = heap->chunks.chunk_count / SAMPLE_CHUNKS + 1;
    for (uint64_t i = 0; i < heap->chunks.chunk_count; i += step) {
        struct cw_chunk chunk = cw_chunk_table_get(&heap->chunks, (uint32_t)i);
        uint64_t word;
        if (!cw_chunk_state_is_held(chunk.state) ||
            !cw_space_read_word(run->context->space, cw_heap_user_address(heap, &chunk), &word) ||
            word >= state->low_limit || !cw_module_filter_has(run->context->modules, word)) {
            continue;
        }
        uint64_t *count = cw_map_insert(counts, word, NULL);
        if (count == NULL) {
            return false;
        }
        ++*count;
    }
    return true;
}

static bool keep_frequent(const struct cw_map *counts, struct cw_arena *memory, struct state *state)
{
    state->low_words = cw_arena_alloc_array(memory, counts->count, sizeof *state->low_words);
    if (state->low_words == NULL) {
        return false;
    }
    for (size_t i = 0; i < counts->capacity; i++) {
        if (counts->filled[i] && counts->slots[i].value >= LOW_WORD_COUNT) {
            state->low_words[state->low_word_count++] = counts->slots[i].key;
        }
    }
    if (state->low_word_count > 0) {
        qsort(state->low_words, state->low_word_count, sizeof *state->low_words, compare_words);
    }
    return true;
}

static bool prepare(struct cw_classifier_run *run)
{
    const struct cw_classifier_context *context = run->context;
    struct state *state = cw_arena_alloc(context->memory, sizeof *state);
    if (state == NULL) {
        return false;
    }
    state->low_limit = context->space->word_bytes == 8 ? LOW_LIMIT_LP64 : LOW_LIMIT_ILP32;
    run->state = state;
    if (context->modules->range_count == 0 ||
        context->modules->ranges[0].start >= state->low_limit) {
        return true;
    }
    struct cw_map counts;
    cw_map_init(&counts, context->memory->budget);
    bool is_done =
        sample_low_words(run, state, &counts) && keep_frequent(&counts, context->memory, state);
    cw_map_deinit(&counts);
    return is_done;
}

static bool is_too_low(const struct state *state, uint64_t word)
{
    return word < state->low_limit &&
           (state->low_word_count == 0 ||
            bsearch(&word, state->low_words, state->low_word_count, sizeof word, compare_words) ==
                NULL);
}

/* --- matching ------------------------------------------------------------------------------ */

/* Into the struct of an arena? Those of threads lie in no module, so only main ones matter. */
static bool is_bin_link(const struct cw_heap *heap, uint64_t word)
{
    for (uint32_t i = 0; i < heap->arena_count; i++) {
        const struct cw_heap_arena *arena = &heap->arenas[i];
        if (arena->kind == CW_ARENA_MAIN &&
            cw_range_has(arena->address, ARENA_STRUCT_BYTES, word)) {
            return true;
        }
    }
    return false;
}

static bool is_code(const struct cw_space *space, uint64_t word)
{
    const struct cw_region *region = cw_space_find(space, word);
    return region != NULL && (region->protection & CW_PROT_EXEC) != 0;
}

static bool is_pointer(const struct cw_classifier_run *run, uint64_t word)
{
    const struct cw_classifier_context *context = run->context;
    if (word >= KEY_SECTION || is_too_low(run->state, word) || is_bin_link(context->heap, word)) {
        return false;
    }
    const struct cw_module *module = cw_image_module_at(context->image, word);
    if (module == NULL ||
        (module->section_count > 0 && cw_module_section_at(module, word) == NULL)) {
        return false;
    }
    if (!is_code(context->space, word)) {
        return true;
    }
    const struct cw_symbol *symbol = cw_module_symbol_at(module, word);
    return symbol != NULL ? symbol->start == word : word % CODE_ALIGNMENT == 0;
}

static bool match(const struct cw_classifier_run *run,
                  const struct cw_chunk_view *view,
                  uint64_t *ret_key)
{
    uint32_t *verdict = cw_word_cache_find(run->scratch, view->first_word);
    cw_addr address = cw_space_pointer(run->context->space, view->first_word);
    if (*verdict == UNASKED) {
        *verdict = is_pointer(run, address) ? IS_POINTER : IS_NONE;
    }
    *ret_key = address;
    return *verdict == IS_POINTER;
}

static uint64_t coarsen(const struct cw_classifier_run *run, uint64_t key)
{
    if ((key & KEY_SECTION) != 0) {
        return key;
    }
    const struct cw_image *image = run->context->image;
    const struct cw_module *module = cw_image_module_at(image, key);
    const struct cw_section *section = cw_module_section_at(module, key);
    uint64_t module_index = cw_min((uint64_t)(module - image->modules), MODULE_LIMIT);
    uint64_t section_index = section != NULL
                                 ? cw_min((uint64_t)(section - module->sections), SECTION_LIMIT)
                                 : SECTION_LIMIT;
    section_index = module_index == MODULE_LIMIT ? SECTION_LIMIT : section_index;
    return KEY_SECTION | module_index << SECTION_BITS | section_index;
}

/* --- describing ---------------------------------------------------------------------------- */

static bool describe_section(const struct cw_classifier_run *run,
                             uint64_t key,
                             struct cw_population *population)
{
    struct cw_arena *memory = run->context->memory;
    uint64_t module_index = (key & ~KEY_SECTION) >> SECTION_BITS;
    uint64_t section_index = key & SECTION_LIMIT;
    const struct cw_module *module = &run->context->image->modules[module_index];
    population->confidence = CW_GUESS;
    population->evidence = "the first words point there, to places that few chunks share";
    if (module_index == MODULE_LIMIT) {
        population->name = "starts with a pointer into a module";
    } else if (section_index == SECTION_LIMIT) {
        population->name = cw_arena_printf(memory, "starts with a pointer into %s", module->name);
    } else {
        population->name = cw_arena_printf(memory,
                                           "starts with a pointer into %s (%s)",
                                           module->name,
                                           module->sections[section_index].name);
    }
    return population->name != NULL;
}

/* A vtable without a type_info (-fno-rtti) is still known by its symbol. */
static bool is_vtable(const struct cw_symbol *symbol, uint64_t off, unsigned word_bytes)
{
    return strncmp(symbol->name, "_ZTV", 4) == 0 && off == 2 * (uint64_t)word_bytes;
}

static bool describe_symbol(const struct cw_classifier_run *run,
                            const struct cw_module *module,
                            const struct cw_symbol *symbol,
                            uint64_t key,
                            struct cw_population *population)
{
    static const char vtable_prefix[] = "vtable for ";
    struct cw_arena *memory = run->context->memory;
    uint64_t off = key - symbol->start;
    char buffer[512];
    const char *name = cw_image_demangle(symbol->name, buffer, sizeof buffer);
    if (is_vtable(symbol, off, run->context->space->word_bytes)) {
        bool has_prefix = strncmp(name, vtable_prefix, sizeof vtable_prefix - 1) == 0;
        population->kind = CW_POPULATION_VTABLE;
        population->confidence = CW_CERTAIN;
        population->name =
            cw_arena_strdup(memory, has_prefix ? name + sizeof vtable_prefix - 1 : name);
        population->evidence = cw_arena_printf(
            memory, "vtable symbol at %s+0x%" PRIx64, module->name, key - module->start);
        return population->name != NULL && population->evidence != NULL;
    }
    char place[32] = "";
    if (off > 0) {
        snprintf(place, sizeof place, "+0x%" PRIx64, off);
    }
    population->confidence = off == 0 ? CW_PROBABLE : CW_GUESS;
    population->name = cw_arena_printf(memory, "starts with &%s%s (%s)", name, place, module->name);
    population->evidence = cw_arena_printf(memory,
                                           "first word points to the %s at %s+0x%" PRIx64,
                                           symbol->is_function ? "function" : "symbol",
                                           module->name,
                                           symbol->start - module->start);
    return population->name != NULL && population->evidence != NULL;
}

static bool describe(const struct cw_classifier_run *run,
                     uint64_t key,
                     struct cw_population *population)
{
    if ((key & KEY_SECTION) != 0) {
        return describe_section(run, key, population);
    }
    const struct cw_module *module = cw_image_module_at(run->context->image, key);
    const struct cw_symbol *symbol = cw_module_symbol_at(module, key);
    if (symbol != NULL) {
        return describe_symbol(run, module, symbol, key, population);
    }
    struct cw_arena *memory = run->context->memory;
    const struct cw_section *section = cw_module_section_at(module, key);
    population->confidence = CW_GUESS;
    population->name =
        cw_arena_printf(memory, "starts with &%s+0x%" PRIx64, module->name, key - module->start);
    population->evidence =
        cw_arena_printf(memory,
                        "first word points there (%s)",
                        section != NULL ? section->name : "the module's file is missing");
    return population->name != NULL && population->evidence != NULL;
}

const struct cw_classifier cw_classifier_symbol = {
    .name = "symbol",
    .kind = CW_POPULATION_CONTENT,
    .heads = 1U << CW_HEAD_MODULE,
    .scratch_bytes = sizeof(struct cw_word_cache),
    .prepare = prepare,
    .match = match,
    .describe = describe,
    .coarsen = coarsen,
    .rare_count = RARE_COUNT,
};
