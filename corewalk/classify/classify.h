/*
 * What a chunk is: recognisers in order of trust put every chunk that the program holds into a
 * population, with a name, a confidence and the evidence.
 *
 * A recogniser is classify_<name>.c and a line in classifiers.def, whose order is the order of
 * trust. `match` looks at one chunk and either claims it under a key or passes; `describe` then
 * names each distinct key once. Matching runs in all workers and must only read, but for the
 * worker's own scratch; everything else runs in one thread.
 */
#pragma once

#include "classify/module_filter.h"
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

/* What a chunk's first word looks like at a glance, so that few recognisers need to look at all. */
enum cw_head {
    CW_HEAD_UNSEEN, /* it is not in the core */
    CW_HEAD_ZERO,
    CW_HEAD_MODULE,  /* an aligned address in a module's range */
    CW_HEAD_SMALL,   /* below 2^32 (2^20 where words have 4 bytes) */
    CW_HEAD_POINTER, /* may be a pointer to anything else, and not text */
    CW_HEAD_OTHER,
    CW_HEAD_COUNT,
};

#define CW_HEADS_ALL 0xffU

/* What `match` is shown of a chunk. */
struct cw_chunk_view {
    struct cw_chunk chunk;
    cw_addr user;          /* what malloc returned */
    uint64_t usable_bytes; /* in the target */
    const uint8_t *data;   /* of the user memory; NULL when seen_bytes is 0 */
    uint64_t seen_bytes;   /* how much of usable_bytes can be read from `data` on */
    uint64_t first_word;   /* zero-extended; 0 when it cannot be seen */
    enum cw_head head;
};

struct cw_classifier_context {
    const struct cw_heap *heap;
    const struct cw_space *space;
    const struct cw_image *image;
    const struct cw_module_filter *modules;
    struct cw_arena *memory; /* not for match */
};

/* A classifier at work on one heap, as one worker sees it. */
struct cw_classifier_run {
    const struct cw_classifier *classifier;
    const struct cw_classifier_context *context;
    void *state;   /* what prepare made; the same for all workers */
    void *scratch; /* classifier->scratch_bytes of this worker's own, zeroed; NULL outside match */
};

/* No classifier gets more keys than this: from there on each is coarsened. */
#define CW_CLASSIFIER_KEY_LIMIT 65536

struct cw_classifier {
    const char *name;
    enum cw_population_kind kind; /* describe may say otherwise for a key */
    unsigned heads;               /* the chunks that it wants to see: bits 1 << enum cw_head */
    size_t scratch_bytes;
    /* May be NULL. Called once before the pass, sets run->state; false: out of memory. */
    bool (*prepare)(struct cw_classifier_run *run);
    /* True: the chunk is ours, under *ret_key (any number that describe understands). */
    bool (*match)(const struct cw_classifier_run *run,
                  const struct cw_chunk_view *view,
                  uint64_t *ret_key);
    /* Fills name, evidence and confidence. False: out of memory. */
    bool (*describe)(const struct cw_classifier_run *run,
                     uint64_t key,
                     struct cw_population *population);
    /*
     * NULL where there are few keys by nature. Otherwise the key of the larger population into
     * which this one goes when it has fewer than `rare_count` chunks, or when the keys are too
     * many. Coarse keys must differ from all others, be few, and stay what they are.
     */
    uint64_t (*coarsen)(const struct cw_classifier_run *run, uint64_t key);
    uint64_t rare_count;
};

struct cw_classification {
    struct cw_population *populations; /* by bytes descending, then name, then evidence */
    uint32_t population_count;
    struct cw_column population_column; /* uint32_t for each chunk; CW_NONE: not held */
};

/*
 * The result does not depend on the number of workers. The populations live in `memory`.
 * CW_ERROR_MEMORY and CW_ERROR_CANCELLED are the only ways to fail; the phase is "classify".
 */
enum cw_status cw_classify(const struct cw_heap *heap,
                           struct cw_pool *pool,
                           const struct cw_progress *progress,
                           struct cw_arena *memory,
                           struct cw_classification *ret_classification,
                           struct cw_error *err);
void cw_classification_destroy(struct cw_classification *classification);

/* The population of a chunk, or NULL when the program does not hold it. */
const struct cw_population *cw_classification_of(const struct cw_classification *classification,
                                                 uint32_t chunk_index);
