/*
 * What a chunk is: recognisers in order of trust put every chunk that the program holds into a
 * population, with a name, a confidence and the evidence.
 *
 * A recogniser is classify_<name>.c and a line in classifiers.def, whose order is the order of
 * trust. `match` looks at one chunk and either claims it under a key or passes; `describe` then
 * names each distinct key once. Matching runs in all workers and must only read; describing runs
 * in one thread.
 */
#pragma once

#include "heap/heap.h"

enum cw_population_kind {
    CW_POPULATION_ALLOCATOR,
    CW_POPULATION_PYTHON,
    CW_POPULATION_VTABLE,
    CW_POPULATION_DWARF,
    CW_POPULATION_CONTAINER,
    CW_POPULATION_LIBRARY,
    CW_POPULATION_RULE,
    CW_POPULATION_TEXT,
    CW_POPULATION_CONTENT,
    CW_POPULATION_SHAPE,
    CW_POPULATION_SIZE,
};

enum cw_confidence {
    CW_CERTAIN,
    CW_PROBABLE,
    CW_GUESS,
};

/* "allocator" … "size"; "certain", "probable", "guess": the words of the JSON report. */
const char *cw_population_kind_name(enum cw_population_kind kind);
const char *cw_confidence_name(enum cw_confidence confidence);

#define CW_POPULATION_SAMPLES 4

struct cw_population {
    const char *name;     /* escaped */
    const char *evidence; /* one clause: "vtable at server+0x4d20"; escaped */
    enum cw_population_kind kind;
    enum cw_confidence confidence;
    struct cw_tally total; /* chunk sizes, headers included */
    uint64_t smallest_bytes;
    uint64_t largest_bytes;
    /* The lowest user addresses of the population. */
    cw_addr samples[CW_POPULATION_SAMPLES];
    unsigned sample_count;
};

/* What `match` is shown of a chunk. */
struct cw_chunk_view {
    struct cw_chunk chunk;
    cw_addr user;          /* what malloc returned */
    uint64_t usable_bytes; /* in the target */
    const uint8_t *data;   /* of the user memory; NULL when seen_bytes is 0 */
    uint64_t seen_bytes;   /* how much of usable_bytes can be read from `data` on */
};

struct cw_classifier_context {
    const struct cw_space *space;
    const struct cw_image *image;
    const struct cw_heap *heap;
    struct cw_arena *memory; /* for describe only */
};

struct cw_classifier {
    const char *name;
    enum cw_population_kind kind;
    /* May be NULL. Called once before the pass, in one thread; false: out of memory. */
    bool (*prepare)(const struct cw_classifier_context *context, void **ret_state);
    /* True: the chunk is ours, under *ret_key (any number that describe understands). */
    bool (*match)(const struct cw_classifier_context *context,
                  void *state,
                  const struct cw_chunk_view *view,
                  uint64_t *ret_key);
    /* Fills name, evidence and confidence. False: out of memory. */
    bool (*describe)(const struct cw_classifier_context *context,
                     void *state,
                     uint64_t key,
                     struct cw_population *population);
    /* May be NULL. */
    void (*release)(void *state);
};

struct cw_classification {
    struct cw_population *populations; /* by bytes descending, then name */
    uint32_t population_count;
    struct cw_column population_column; /* uint32_t for each chunk; CW_NONE: not held */
};

enum cw_status cw_classify(const struct cw_space *space,
                           const struct cw_image *image,
                           const struct cw_heap *heap,
                           struct cw_pool *pool,
                           const struct cw_progress *progress,
                           struct cw_arena *memory,
                           struct cw_classification *ret_classification,
                           struct cw_error *err);
void cw_classification_destroy(struct cw_classification *classification);

/* The population of a chunk, or NULL when the program does not hold it. */
const struct cw_population *cw_classification_of(const struct cw_classification *classification,
                                                 uint32_t chunk_index);
