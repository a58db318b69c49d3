/* Zeros: memory that nothing was ever written to, or that was cleared. */
#include <string.h>

#include "classify/classify.h"

static bool match(const struct cw_classifier_run *run,
                  const struct cw_chunk_view *view,
                  uint64_t *ret_key)
{
    (void)run;
    uint64_t size = view->usable_bytes;
    if (view->seen_bytes != size || size < sizeof(uint64_t)) {
        return false;
    }
    /* A buffer whose start is zero and that equals itself one place further is all zero. */
    if (cw_load_u64(view->data) != 0 ||
        memcmp(view->data, view->data + sizeof(uint64_t), size - sizeof(uint64_t)) != 0) {
        return false;
    }
    *ret_key = 0;
    return true;
}

static bool describe(const struct cw_classifier_run *run,
                     uint64_t key,
                     struct cw_population *population)
{
    (void)run;
    (void)key;
    population->name = "all zero";
    population->evidence = "every usable byte is zero";
    population->confidence = CW_CERTAIN;
    return true;
}

const struct cw_classifier cw_classifier_zeros = {
    .name = "zeros",
    .kind = CW_POPULATION_CONTENT,
    .heads = 1U << CW_HEAD_ZERO,
    .match = match,
    .describe = describe,
};
