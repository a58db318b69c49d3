/*
 * Size: what nothing else claims. A size that many chunks share is likely one type's, and is named
 * exactly; rare ones beyond 1 KiB are summed up by powers of two.
 */
#include <inttypes.h>

#include "base/text.h"
#include "classify/classify.h"

enum { EXACT_LIMIT_BYTES = 1024, RARE_COUNT = 16 };

/* Keys: the chunk size, or RANGE + the exponent of its power of two; UNSEEN on top. */
#define KEY_RANGE  (1ULL << 32)
#define KEY_UNSEEN (1ULL << 33)

static uint64_t range_key(uint64_t size)
{
    return KEY_RANGE + (63 - (unsigned)__builtin_clzll(size));
}

static bool match(const struct cw_classifier_run *run,
                  const struct cw_chunk_view *view,
                  uint64_t *ret_key)
{
    (void)run;
    uint64_t size = view->chunk.size_bytes;
    uint64_t key = size < KEY_RANGE ? size : range_key(size);
    *ret_key = view->seen_bytes > 0 || view->usable_bytes == 0 ? key : key | KEY_UNSEEN;
    return true;
}

/* "64-128 KiB chunks" */
static const char *range_name(struct cw_arena *memory, unsigned exponent, const char *suffix)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    unsigned unit = exponent / 10;
    unsigned low = 1U << (exponent % 10);
    return low == 512
               ? cw_arena_printf(memory,
                                 "512 %s-1 %s chunks%s",
                                 units[unit],
                                 unit < 6 ? units[unit + 1] : "ZiB",
                                 suffix)
               : cw_arena_printf(memory, "%u-%u %s chunks%s", low, low * 2, units[unit], suffix);
}

static uint64_t coarsen(const struct cw_classifier_run *run, uint64_t key)
{
    (void)run;
    uint64_t size = key & ~KEY_UNSEEN;
    bool stays = (key & KEY_RANGE) != 0 || size <= EXACT_LIMIT_BYTES;
    return stays ? key : range_key(size) | (key & KEY_UNSEEN);
}

/* Which requests glibc serves with chunks of this size. */
static const char *requests(const struct cw_classifier_run *run, uint64_t size)
{
    const struct cw_chunk_table *chunks = &run->context->heap->chunks;
    uint64_t alignment = chunks->header_bytes;
    uint64_t word = chunks->header_bytes / 2;
    uint64_t most = size - word;
    uint64_t least = size <= 2 * alignment ? 0 : most - alignment + 1;
    return cw_arena_printf(run->context->memory, "malloc(%" PRIu64 "-%" PRIu64 ")", least, most);
}

static bool describe(const struct cw_classifier_run *run,
                     uint64_t key,
                     struct cw_population *population)
{
    struct cw_arena *memory = run->context->memory;
    bool is_unseen = (key & KEY_UNSEEN) != 0;
    bool is_range = (key & KEY_RANGE) != 0;
    const char *suffix = is_unseen ? " (content not in the core)" : "";
    uint64_t number = key & ~(KEY_UNSEEN | KEY_RANGE);
    char count[CW_COUNT_TEXT];
    population->confidence = CW_GUESS;
    population->evidence = is_range ? "by size only" : requests(run, number);
    population->name =
        is_range
            ? range_name(memory, (unsigned)number, suffix)
            : cw_arena_printf(memory, "%s-byte chunks%s", cw_text_count(number, count), suffix);
    return population->name != NULL && population->evidence != NULL;
}

const struct cw_classifier cw_classifier_size = {
    .name = "size",
    .kind = CW_POPULATION_SIZE,
    .heads = CW_HEADS_ALL,
    .match = match,
    .describe = describe,
    .coarsen = coarsen,
    .rare_count = RARE_COUNT,
};
