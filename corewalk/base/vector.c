/* The growing array: doubles, charges the budget for its capacity. */
#include "base/vector.h"

#include <stdlib.h>
#include <string.h>

#include "base/checked.h"

enum { FIRST_CAPACITY = 16 };

void cw_vector_init(struct cw_vector *vector, struct cw_budget *budget, size_t item_bytes)
{
    *vector = (struct cw_vector){.budget = budget, .item_bytes = item_bytes};
}

void cw_vector_deinit(struct cw_vector *vector)
{
    if (vector->items != NULL) {
        cw_budget_give(vector->budget, (uint64_t)vector->capacity * vector->item_bytes);
        free(vector->items);
    }
    vector->items = NULL;
    vector->count = 0;
    vector->capacity = 0;
}

static bool grow(struct cw_vector *vector)
{
    size_t capacity = vector->capacity == 0 ? FIRST_CAPACITY : vector->capacity * 2;
    uint64_t new_bytes;
    if (capacity < vector->capacity || !cw_mul(capacity, vector->item_bytes, &new_bytes)) {
        return false;
    }
    uint64_t old_bytes = (uint64_t)vector->capacity * vector->item_bytes;
    if (!cw_budget_take(vector->budget, new_bytes - old_bytes)) {
        return false;
    }
    void *items = realloc(vector->items, new_bytes);
    if (items == NULL) {
        cw_budget_give(vector->budget, new_bytes - old_bytes);
        return false;
    }
    vector->items = items;
    vector->capacity = capacity;
    return true;
}

void *cw_vector_push(struct cw_vector *vector)
{
    if (vector->count == vector->capacity && !grow(vector)) {
        return NULL;
    }
    void *item = cw_vector_at(vector, vector->count++);
    memset(item, 0, vector->item_bytes);
    return item;
}

bool cw_vector_append(struct cw_vector *vector, const void *item)
{
    void *place = cw_vector_push(vector);
    if (place == NULL) {
        return false;
    }
    memcpy(place, item, vector->item_bytes);
    return true;
}

void cw_vector_sort(struct cw_vector *vector, int (*compare)(const void *, const void *))
{
    if (vector->count > 1) {
        qsort(vector->items, vector->count, vector->item_bytes, compare);
    }
}
