/*
 * The census. What it holds after merge and fold depends on the chunks alone, not on who counted
 * which: a classifier has too many keys when any worker, or all of them together, saw more than
 * the limit, and then all of its keys are folded, whichever were met first.
 */
#include "classify/census.h"

#include <assert.h>
#include <string.h>

void cw_census_init(struct cw_census *census,
                    const struct cw_classifier_run *runs,
                    struct cw_budget *budget)
{
    memset(census, 0, sizeof *census);
    census->runs = runs;
    cw_vector_init(&census->entries, budget, sizeof(struct cw_census_entry));
    for (size_t i = 0; i < CW_CLASSIFIER_COUNT; i++) {
        cw_map_init(&census->maps[i], budget);
    }
}

void cw_census_deinit(struct cw_census *census)
{
    cw_vector_deinit(&census->entries);
    for (size_t i = 0; i < CW_CLASSIFIER_COUNT; i++) {
        cw_map_deinit(&census->maps[i]);
    }
}

static uint32_t insert_exact(struct cw_census *census, uint32_t classifier_index, uint64_t key)
{
    bool is_new;
    uint64_t *place = cw_map_insert(&census->maps[classifier_index], key, &is_new);
    if (place == NULL) {
        return CW_NONE;
    }
    if (is_new) {
        struct cw_census_entry *entry = cw_vector_push(&census->entries);
        if (entry == NULL) {
            return CW_NONE;
        }
        entry->key = key;
        entry->classifier_index = classifier_index;
        entry->smallest_bytes = UINT64_MAX;
        entry->link = (uint32_t)(census->entries.count - 1);
        *place = entry->link;
    }
    return (uint32_t)*place;
}

uint32_t cw_census_insert(struct cw_census *census, uint32_t classifier_index, uint64_t key)
{
    const struct cw_map *map = &census->maps[classifier_index];
    const struct cw_classifier_run *run = &census->runs[classifier_index];
    if (map->count >= CW_CLASSIFIER_KEY_LIMIT && cw_map_find(map, key) == NULL) {
        assert(run->classifier->coarsen != NULL);
        census->has_too_many[classifier_index] = true;
        key = run->classifier->coarsen(run, key);
    }
    return insert_exact(census, classifier_index, key);
}

void cw_census_add_sample(struct cw_census_entry *entry, cw_addr user)
{
    unsigned place = entry->sample_count;
    if (place == CW_POPULATION_SAMPLES) {
        place--;
    } else {
        entry->sample_count++;
    }
    for (; place > 0 && entry->samples[place - 1] > user; place--) {
        entry->samples[place] = entry->samples[place - 1];
    }
    entry->samples[place] = user;
}

static void absorb(struct cw_census_entry *into, const struct cw_census_entry *from)
{
    cw_tally_merge(&into->total, &from->total);
    into->smallest_bytes = cw_min(into->smallest_bytes, from->smallest_bytes);
    into->largest_bytes = cw_max(into->largest_bytes, from->largest_bytes);
    for (unsigned i = 0; i < from->sample_count; i++) {
        if (into->sample_count < CW_POPULATION_SAMPLES ||
            from->samples[i] < into->samples[CW_POPULATION_SAMPLES - 1]) {
            cw_census_add_sample(into, from->samples[i]);
        }
    }
}

bool cw_census_merge(struct cw_census *merged, struct cw_census *from)
{
    for (size_t i = 0; i < CW_CLASSIFIER_COUNT; i++) {
        merged->has_too_many[i] |= from->has_too_many[i];
    }
    for (uint32_t i = 0; i < from->entries.count; i++) {
        struct cw_census_entry *entry = cw_census_at(from, i);
        entry->link = cw_census_insert(merged, entry->classifier_index, entry->key);
        if (entry->link == CW_NONE) {
            return false;
        }
        absorb(cw_census_at(merged, entry->link), entry);
    }
    return true;
}

static bool must_fold(const struct cw_census *merged, const struct cw_census_entry *entry)
{
    const struct cw_classifier *classifier = merged->runs[entry->classifier_index].classifier;
    return classifier->coarsen != NULL && (merged->has_too_many[entry->classifier_index] ||
                                           entry->total.count < classifier->rare_count);
}

bool cw_census_fold(struct cw_census *merged)
{
    /* Coarse entries that this makes come last, and need no folding. */
    uint32_t count = (uint32_t)merged->entries.count;
    for (uint32_t i = 0; i < count; i++) {
        struct cw_census_entry entry = *cw_census_at(merged, i);
        if (!must_fold(merged, &entry)) {
            continue;
        }
        const struct cw_classifier_run *run = &merged->runs[entry.classifier_index];
        uint64_t coarse = run->classifier->coarsen(run, entry.key);
        if (coarse == entry.key) {
            continue;
        }
        uint32_t into = insert_exact(merged, entry.classifier_index, coarse);
        if (into == CW_NONE) {
            return false;
        }
        absorb(cw_census_at(merged, into), &entry);
        struct cw_census_entry *folded = cw_census_at(merged, i);
        folded->link = into;
        folded->total = (struct cw_tally){0};
    }
    return true;
}

uint32_t cw_census_resolve(const struct cw_census *merged, uint32_t index)
{
    return cw_census_at(merged, index)->link;
}
