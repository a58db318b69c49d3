/* The few types every layer shares. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An address in the target. Never a pointer of ours; 32-bit targets are zero-extended. */
typedef uint64_t cw_addr;

/* "No such index": what an absent cross-reference holds. */
#define CW_NONE UINT32_MAX

/* A sum over some chunks. */
struct cw_tally {
    uint64_t count;
    uint64_t bytes;
};

static inline void cw_tally_add(struct cw_tally *tally, uint64_t bytes)
{
    tally->count++;
    tally->bytes += bytes;
}

static inline void cw_tally_merge(struct cw_tally *tally, const struct cw_tally *other)
{
    tally->count += other->count;
    tally->bytes += other->bytes;
}
