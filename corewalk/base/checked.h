/*
 * Arithmetic on numbers that came from the input: every sum, product and range goes through here.
 * All return false (and leave the result untouched) instead of wrapping.
 */
#pragma once

#include "base/types.h"

static inline bool cw_add(uint64_t a, uint64_t b, uint64_t *ret_sum)
{
    uint64_t sum;
    if (__builtin_add_overflow(a, b, &sum)) {
        return false;
    }
    *ret_sum = sum;
    return true;
}

static inline bool cw_sub(uint64_t a, uint64_t b, uint64_t *ret_difference)
{
    if (b > a) {
        return false;
    }
    *ret_difference = a - b;
    return true;
}

static inline bool cw_mul(uint64_t a, uint64_t b, uint64_t *ret_product)
{
    uint64_t product;
    if (__builtin_mul_overflow(a, b, &product)) {
        return false;
    }
    *ret_product = product;
    return true;
}

/* Rounds up to a power of two. */
static inline bool cw_align_up(uint64_t value, uint64_t alignment, uint64_t *ret_value)
{
    uint64_t sum;
    if (!cw_add(value, alignment - 1, &sum)) {
        return false;
    }
    *ret_value = sum & ~(alignment - 1);
    return true;
}

static inline uint64_t cw_align_down(uint64_t value, uint64_t alignment)
{
    return value & ~(alignment - 1);
}

static inline bool cw_is_power_of_two(uint64_t value)
{
    return value != 0 && (value & (value - 1)) == 0;
}

/*
 * Does [start, start + size) hold [inner, inner + inner_size)? Ranges are (start, size), so that
 * one may end at the very top of the address space. An empty inner range lies inside where its
 * start does.
 */
static inline bool cw_range_holds(uint64_t start,
                                  uint64_t size,
                                  uint64_t inner,
                                  uint64_t inner_size)
{
    return inner >= start && inner - start <= size && inner_size <= size - (inner - start);
}

/* Does [start, start + size) hold the one address? */
static inline bool cw_range_has(uint64_t start, uint64_t size, uint64_t address)
{
    return address >= start && address - start < size;
}

static inline uint64_t cw_min(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline uint64_t cw_max(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}
