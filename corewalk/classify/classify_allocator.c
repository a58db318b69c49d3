/* What the C library and the dynamic linker hold for themselves (libc_facts.h). */
#include <string.h>

#include "classify/classify.h"
#include "classify/libc_facts.h"

struct state {
    struct cw_libc_fact *facts; /* by chunk index */
    size_t count;
};

/* Chunk indexes [start, end) without a fact: chunks come in ascending order. */
struct scratch {
    uint32_t start;
    uint32_t end;
};

static bool prepare(struct cw_classifier_run *run)
{
    struct cw_arena *memory = run->context->memory;
    struct state *state = cw_arena_alloc(memory, sizeof *state);
    struct cw_libc_facts facts;
    bool is_done = cw_libc_facts_find(&facts, run->context) && state != NULL;
    if (is_done && facts.items.count > 0) {
        state->count = facts.items.count;
        state->facts = cw_arena_alloc_array(memory, state->count, sizeof *state->facts);
        is_done = state->facts != NULL;
        if (is_done) {
            memcpy(state->facts, facts.items.items, state->count * sizeof *state->facts);
        }
    }
    cw_libc_facts_deinit(&facts);
    run->state = state;
    return is_done;
}

/* The first fact whose chunk is not before `index`. */
static size_t lower_bound(const struct state *state, uint32_t index)
{
    size_t low = 0;
    size_t high = state->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (state->facts[middle].chunk_index < index) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static bool match(const struct cw_classifier_run *run,
                  const struct cw_chunk_view *view,
                  uint64_t *ret_key)
{
    const struct state *state = run->state;
    struct scratch *scratch = run->scratch;
    uint32_t index = view->chunk.index;
    if (index < scratch->start || index >= scratch->end) {
        size_t next = lower_bound(state, index);
        if (next < state->count && state->facts[next].chunk_index == index) {
            *ret_key = state->facts[next].kind;
            return true;
        }
        scratch->start = next > 0 ? state->facts[next - 1].chunk_index + 1 : 0;
        scratch->end = next < state->count ? state->facts[next].chunk_index : UINT32_MAX;
    }
    /* A stream that is in no list, or whose list could not be found. */
    *ret_key = CW_LIBC_FILE;
    return (view->first_word & 0xffff0000U) == 0xfbad0000U &&
           cw_libc_is_stream(run->context, view->user);
}

static bool describe(const struct cw_classifier_run *run,
                     uint64_t key,
                     struct cw_population *population)
{
    static const struct {
        const char *name;
        const char *evidence;
    } texts[CW_LIBC_FACT_KIND_COUNT] = {
        [CW_LIBC_FILE] = {"stdio stream (FILE)", "stream flags 0xfbad and a vtable in a module"},
        [CW_LIBC_STDIO_BUFFER] = {"stdio buffer", "a stream's buffer pointer points to it"},
        [CW_LIBC_DTV] = {"thread-local storage table (dtv)",
                         "a thread's control block points to it"},
        [CW_LIBC_TLS_BLOCK] = {"thread-local storage of a library", "a thread's dtv points to it"},
        [CW_LIBC_LINK_MAP] = {"loaded object (link_map)", "in the dynamic linker's list"},
        [CW_LIBC_OBJECT_NAME] = {"path of a loaded object", "a link_map points to it"},
        [CW_LIBC_EXCEPTION_POOL] = {"exception pool of libstdc++",
                                    "libstdc++ holds its address and its size"},
    };
    (void)run;
    population->name = texts[key].name;
    population->evidence = texts[key].evidence;
    population->confidence = CW_CERTAIN;
    return true;
}

const struct cw_classifier cw_classifier_allocator = {
    .name = "allocator",
    .kind = CW_POPULATION_ALLOCATOR,
    .heads = CW_HEADS_ALL,
    .scratch_bytes = sizeof(struct scratch),
    .prepare = prepare,
    .match = match,
    .describe = describe,
};
