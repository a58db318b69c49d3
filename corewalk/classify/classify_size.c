/*
 * Size: what nothing else claims. Up to 1 KiB the exact chunk size (glibc hands out few of them,
 * and objects of one type share it), above that powers of two.
 */
#include <inttypes.h>

#include "base/text.h"
#include "classify/classify.h"

enum { EXACT_LIMIT_BYTES = 1024 };

/* Keys: the chunk size, or RANGE + the exponent of its power of two; UNSEEN on top. */
#define KEY_RANGE  (1ULL << 32)
#define KEY_UNSEEN (1ULL << 33)

static bool match(const struct cw_classifier_run *run,
                  const struct cw_chunk_view *view,
                  uint64_t *ret_key)
{
    (void)run;
    uint64_t size = view->chunk.size_bytes;
    uint64_t key =
        size <= EXACT_LIMIT_BYTES ? size : KEY_RANGE + (63 - (unsigned)__builtin_clzll(size));
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

static bool describe(const struct cw_classifier_run *run,
                     uint64_t key,
                     struct cw_population *population)
{
    struct cw_arena *memory = run->context->memory;
    bool is_unseen = (key & KEY_UNSEEN) != 0;
    const char *suffix = is_unseen ? " (content not in the core)" : "";
    uint64_t number = key & ~(KEY_UNSEEN | KEY_RANGE);
    population->confidence = CW_GUESS;
    population->evidence =
        is_unseen ? "by size only: the core does not hold their content" : "by size only";
    population->name = (key & KEY_RANGE) != 0
                           ? range_name(memory, (unsigned)number, suffix)
                           : cw_arena_printf(memory, "%" PRIu64 "-byte chunks%s", number, suffix);
    return population->name != NULL;
}

const struct cw_classifier cw_classifier_size = {
    .name = "size",
    .kind = CW_POPULATION_SIZE,
    .heads = CW_HEADS_ALL,
    .match = match,
    .describe = describe,
};
