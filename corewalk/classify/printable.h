/* Printable ASCII, eight bytes at a time. */
#pragma once

#include "base/types.h"

/* The byte b in each byte of a word. */
#define CW_EACH_BYTE(b) ((b)*0x0101010101010101U)

/* Is each of the word's first `count` bytes (1 to 8) one of 0x20 to 0x7e? */
static inline bool cw_printable_ascii(uint64_t word, unsigned count)
{
    /* A byte below n borrows into its high bit when n is taken from it. */
    uint64_t shown = UINT64_MAX >> (64 - 8 * count);
    uint64_t text = (word & shown) | (CW_EACH_BYTE(0x20) & ~shown);
    uint64_t flipped = text ^ CW_EACH_BYTE(0x7f);
    uint64_t is_below = (text - CW_EACH_BYTE(0x20)) & ~text;
    uint64_t is_delete = (flipped - CW_EACH_BYTE(0x01)) & ~flipped;
    return ((is_below | is_delete | text) & CW_EACH_BYTE(0x80)) == 0;
}
