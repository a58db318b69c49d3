/*
 * A hash map from 64-bit keys to 64-bit values: open addressing, linear probing, XXH3. Any key is
 * legal. Iteration order is not defined: sort what you take out.
 */
#pragma once

#include "base/budget.h"

struct cw_map_slot {
    uint64_t key;
    uint64_t value;
};

struct cw_map {
    struct cw_budget *budget;
    struct cw_map_slot *slots;
    uint8_t *filled; /* one byte a slot */
    size_t capacity; /* a power of two, or 0 */
    size_t count;
};

void cw_map_init(struct cw_map *map, struct cw_budget *budget);
void cw_map_deinit(struct cw_map *map);

/* A key for a text; two texts share one with a chance of 2^-64. */
uint64_t cw_map_hash_text(const char *text, uint64_t seed);

/* The value's place, or NULL. Valid until the next insertion. */
uint64_t *cw_map_find(const struct cw_map *map, uint64_t key);

/* The value's place, made with 0 where the key is new (*ret_new says so). NULL: out of memory. */
uint64_t *cw_map_insert(struct cw_map *map, uint64_t key, bool *ret_new);
