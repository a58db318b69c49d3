/*
 * A census: populations by (classifier, key), with their tallies. Each worker keeps one of its
 * own during the pass; afterwards they are merged into one.
 */
#pragma once

#include "base/map.h"
#include "base/vector.h"
#include "classify/classify.h"

enum cw_classifier_index {
#define CW_CLASSIFIER(name) CW_CLASSIFIER_##name,
#include "classify/classifiers.def"
#undef CW_CLASSIFIER
    CW_CLASSIFIER_COUNT,
};

struct cw_census_entry {
    uint64_t key;
    uint32_t classifier_index;
    uint32_t link; /* in a worker's: the merged entry; in the merged: where it was folded into */
    struct cw_tally total;
    uint64_t smallest_bytes;
    uint64_t largest_bytes;
    cw_addr samples[CW_POPULATION_SAMPLES]; /* ascending */
    unsigned sample_count;
};

/* Where a key was found last: most chunks need no look into the map. */
struct cw_census_recent {
    uint64_t key;
    uint32_t classifier_index;
    uint32_t entry_plus_one; /* 0: empty */
};

#define CW_CENSUS_RECENT_SHIFT 9

struct cw_census {
    const struct cw_classifier_run *runs; /* CW_CLASSIFIER_COUNT of them */
    struct cw_vector entries;
    struct cw_map maps[CW_CLASSIFIER_COUNT]; /* key to index of entry */
    bool has_too_many[CW_CLASSIFIER_COUNT];  /* keys: new ones are coarsened */
    struct cw_census_recent recent[1 << CW_CENSUS_RECENT_SHIFT];
};

void cw_census_init(struct cw_census *census,
                    const struct cw_classifier_run *runs,
                    struct cw_budget *budget);
void cw_census_deinit(struct cw_census *census);

/* The entry of a key, made when it is new; CW_NONE: out of memory. */
uint32_t cw_census_insert(struct cw_census *census, uint32_t classifier_index, uint64_t key);

static inline struct cw_census_entry *cw_census_at(const struct cw_census *census, uint32_t index)
{
    return (struct cw_census_entry *)census->entries.items + index;
}

/* cw_census_insert with a memory for the last few hundred keys. */
static inline uint32_t cw_census_find(struct cw_census *census,
                                      uint32_t classifier_index,
                                      uint64_t key)
{
    uint64_t hash = (key + classifier_index) * 0x9e3779b97f4a7c15U;
    struct cw_census_recent *recent = &census->recent[hash >> (64 - CW_CENSUS_RECENT_SHIFT)];
    if (recent->key == key && recent->classifier_index == classifier_index &&
        recent->entry_plus_one != 0) {
        return recent->entry_plus_one - 1;
    }
    uint32_t entry = cw_census_insert(census, classifier_index, key);
    *recent = (struct cw_census_recent){key, classifier_index, entry + 1};
    return entry;
}

/* Keeps the lowest addresses. */
void cw_census_add_sample(struct cw_census_entry *entry, cw_addr user);

/* Counts a chunk of `bytes` whose user memory starts at `user`. */
static inline void cw_census_add(struct cw_census_entry *entry, uint64_t bytes, cw_addr user)
{
    cw_tally_add(&entry->total, bytes);
    if (bytes < entry->smallest_bytes) {
        entry->smallest_bytes = bytes;
    }
    if (bytes > entry->largest_bytes) {
        entry->largest_bytes = bytes;
    }
    if (entry->sample_count < CW_POPULATION_SAMPLES ||
        user < entry->samples[CW_POPULATION_SAMPLES - 1]) {
        cw_census_add_sample(entry, user);
    }
}

/* Adds all of a worker's census, and links its entries to the merged ones. */
bool cw_census_merge(struct cw_census *merged, struct cw_census *from);

/* Folds rare keys, and those of classifiers with too many, into their coarse ones. */
bool cw_census_fold(struct cw_census *merged);

/* The merged entry that holds the chunks of an entry of the merged census, after folding. */
uint32_t cw_census_resolve(const struct cw_census *merged, uint32_t index);
