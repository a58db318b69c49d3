/* Printable ASCII, eight bytes at a time. */
#pragma once

#include "base/types.h"

/* The byte b in each byte of a word. */
#define CW_EACH_BYTE(b) ((b)*0x0101010101010101U)

/* How many bytes, from the lowest, are one of 0x20 to 0x7e: 0 to 8. */
static inline unsigned cw_printable_count(uint64_t word)
{
    /*
     * A byte below n borrows into its high bit when n is taken from it. That may also mark bytes
     * above it, but never one below: the lowest mark is right.
     */
    uint64_t flipped = word ^ CW_EACH_BYTE(0x7f);
    uint64_t is_below = (word - CW_EACH_BYTE(0x20)) & ~word;
    uint64_t is_delete = (flipped - CW_EACH_BYTE(0x01)) & ~flipped;
    uint64_t marks = (is_below | is_delete | word) & CW_EACH_BYTE(0x80);
    return marks == 0 ? 8 : (unsigned)__builtin_ctzll(marks) / 8;
}

/* Is each of the word's first `count` bytes (1 to 8) so? */
static inline bool cw_printable_ascii(uint64_t word, unsigned count)
{
    return cw_printable_count(word) >= count;
}
