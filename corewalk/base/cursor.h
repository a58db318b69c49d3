/*
 * A bounded reader over bytes of unknown quality.
 *
 * Reads are total: past the end they return zero (or NULL), do not move, and set `failed`, so a
 * parser reads a whole struct and asks once. Little endian; `word_bytes` is the target's.
 */
#pragma once

#include "base/types.h"

struct cw_cursor {
    const uint8_t *data;
    size_t size;
    size_t position;
    unsigned word_bytes;
    bool failed;
};

struct cw_cursor cw_cursor_make(const void *data, size_t size, unsigned word_bytes);

uint8_t cw_cursor_u8(struct cw_cursor *cursor);
uint16_t cw_cursor_u16(struct cw_cursor *cursor);
uint32_t cw_cursor_u32(struct cw_cursor *cursor);
uint64_t cw_cursor_u64(struct cw_cursor *cursor);
uint64_t cw_cursor_word(struct cw_cursor *cursor);

/* `size` bytes in place, or NULL. */
const uint8_t *cw_cursor_bytes(struct cw_cursor *cursor, size_t size);

/* A NUL-terminated string in place, or NULL when no NUL comes before the end. */
const char *cw_cursor_string(struct cw_cursor *cursor);

void cw_cursor_skip(struct cw_cursor *cursor, size_t size);

/* To an absolute position, which may be the end. */
void cw_cursor_seek(struct cw_cursor *cursor, size_t position);

/* Skips to the next multiple of `alignment` (a power of two), clamped to the end. */
void cw_cursor_align(struct cw_cursor *cursor, size_t alignment);

static inline size_t cw_cursor_left(const struct cw_cursor *cursor)
{
    return cursor->size - cursor->position;
}
