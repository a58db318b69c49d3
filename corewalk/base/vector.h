/*
 * A growing array under the byte budget. Items may move when it grows: keep indexes, not pointers.
 */
#pragma once

#include "base/budget.h"

struct cw_vector {
    void *items;
    size_t count;
    size_t capacity;
    size_t item_bytes;
    struct cw_budget *budget;
};

void cw_vector_init(struct cw_vector *vector, struct cw_budget *budget, size_t item_bytes);
void cw_vector_deinit(struct cw_vector *vector);

/* A zeroed new last item, or NULL when out of memory. */
void *cw_vector_push(struct cw_vector *vector);

/* Appends a copy of one item. */
bool cw_vector_append(struct cw_vector *vector, const void *item);

static inline void *cw_vector_at(const struct cw_vector *vector, size_t index)
{
    return (char *)vector->items + index * vector->item_bytes;
}

/* qsort with the comparator's order; deterministic only if that order is total. */
void cw_vector_sort(struct cw_vector *vector, int (*compare)(const void *, const void *));
