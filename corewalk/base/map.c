/* The hash map: at most 3/4 full, doubles, never shrinks. */
#include "base/map.h"

#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

enum { FIRST_CAPACITY = 64 };

#define BYTES_PER_SLOT (sizeof(struct cw_map_slot) + 1)

void cw_map_init(struct cw_map *map, struct cw_budget *budget)
{
    *map = (struct cw_map){.budget = budget};
}

void cw_map_deinit(struct cw_map *map)
{
    cw_budget_give(map->budget, (uint64_t)map->capacity * BYTES_PER_SLOT);
    free(map->slots);
    free(map->filled);
    cw_map_init(map, map->budget);
}

/* The slot that holds the key, or the free one where it belongs. The map is never full. */
static size_t find_slot(const struct cw_map *map, uint64_t key)
{
    size_t slot = XXH3_64bits(&key, sizeof key) & (map->capacity - 1);
    while (map->filled[slot] && map->slots[slot].key != key) {
        slot = (slot + 1) & (map->capacity - 1);
    }
    return slot;
}

uint64_t *cw_map_find(const struct cw_map *map, uint64_t key)
{
    if (map->capacity == 0) {
        return NULL;
    }
    size_t slot = find_slot(map, key);
    return map->filled[slot] ? &map->slots[slot].value : NULL;
}

static bool grow(struct cw_map *map)
{
    size_t capacity = map->capacity == 0 ? FIRST_CAPACITY : map->capacity * 2;
    if (!cw_budget_take(map->budget, (uint64_t)capacity * BYTES_PER_SLOT)) {
        return false;
    }
    struct cw_map larger = {.budget = map->budget, .capacity = capacity, .count = map->count};
    larger.slots = calloc(capacity, sizeof *larger.slots);
    larger.filled = calloc(capacity, 1);
    if (larger.slots == NULL || larger.filled == NULL) {
        cw_map_deinit(&larger);
        return false;
    }
    for (size_t i = 0; i < map->capacity; i++) {
        if (map->filled[i]) {
            size_t slot = find_slot(&larger, map->slots[i].key);
            larger.slots[slot] = map->slots[i];
            larger.filled[slot] = 1;
        }
    }
    struct cw_map old = *map;
    *map = larger;
    cw_map_deinit(&old);
    return true;
}

uint64_t *cw_map_insert(struct cw_map *map, uint64_t key, bool *ret_new)
{
    if ((map->count + 1) * 4 > map->capacity * 3 && !grow(map)) {
        return NULL;
    }
    size_t slot = find_slot(map, key);
    bool is_new = map->filled[slot] == 0;
    if (is_new) {
        map->filled[slot] = 1;
        map->slots[slot] = (struct cw_map_slot){.key = key};
        map->count++;
    }
    if (ret_new != NULL) {
        *ret_new = is_new;
    }
    return &map->slots[slot].value;
}

uint64_t cw_map_hash_text(const char *text, uint64_t seed)
{
    return XXH3_64bits_withSeed(text, strlen(text), seed);
}
