/*
 * What was found out about the last few hundred distinct words, for one worker: few distinct
 * words start most chunks, and finding out takes a search in the modules.
 */
#pragma once

#include "base/types.h"

#define CW_WORD_CACHE_SHIFT 9

struct cw_word_cache {
    struct {
        uint64_t word;
        uint32_t verdict; /* 0: the slot is empty */
    } slots[1 << CW_WORD_CACHE_SHIFT];
};

/* The place of the word's verdict; 0 in it: not known yet, to be filled. */
static inline uint32_t *cw_word_cache_find(struct cw_word_cache *cache, uint64_t word)
{
    uint64_t slot = (word * 0x9e3779b97f4a7c15U) >> (64 - CW_WORD_CACHE_SHIFT);
    if (cache->slots[slot].word != word) {
        cache->slots[slot].word = word;
        cache->slots[slot].verdict = 0;
    }
    return &cache->slots[slot].verdict;
}
