/*
 * Unaligned little-endian loads from bytes of the target. The caller has checked the bounds; on
 * untrusted layouts use the cursor (cursor.h) instead. Hosts are little endian (see
 * CMakeLists.txt).
 */
#pragma once

#include <string.h>

#include "base/types.h"

static inline uint16_t cw_load_u16(const uint8_t *bytes)
{
    uint16_t value;
    memcpy(&value, bytes, sizeof value);
    return value;
}

static inline uint32_t cw_load_u32(const uint8_t *bytes)
{
    uint32_t value;
    memcpy(&value, bytes, sizeof value);
    return value;
}

static inline uint64_t cw_load_u64(const uint8_t *bytes)
{
    uint64_t value;
    memcpy(&value, bytes, sizeof value);
    return value;
}

/* A word of the target: 4 or 8 bytes, zero-extended. */
static inline uint64_t cw_load_word(const uint8_t *bytes, unsigned word_bytes)
{
    return word_bytes == 8 ? cw_load_u64(bytes) : cw_load_u32(bytes);
}
