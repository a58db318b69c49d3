/* The bounded reader: every read goes through cw_cursor_bytes. */
#include "base/cursor.h"

#include <string.h>

#include "base/load.h"

struct cw_cursor cw_cursor_make(const void *data, size_t size, unsigned word_bytes)
{
    return (struct cw_cursor){.data = data, .size = size, .word_bytes = word_bytes};
}

const uint8_t *cw_cursor_bytes(struct cw_cursor *cursor, size_t size)
{
    if (cursor->failed || size > cw_cursor_left(cursor)) {
        cursor->failed = true;
        return NULL;
    }
    const uint8_t *bytes = cursor->data + cursor->position;
    cursor->position += size;
    return bytes;
}

uint8_t cw_cursor_u8(struct cw_cursor *cursor)
{
    const uint8_t *bytes = cw_cursor_bytes(cursor, 1);
    return bytes != NULL ? bytes[0] : 0;
}

uint16_t cw_cursor_u16(struct cw_cursor *cursor)
{
    const uint8_t *bytes = cw_cursor_bytes(cursor, 2);
    return bytes != NULL ? cw_load_u16(bytes) : 0;
}

uint32_t cw_cursor_u32(struct cw_cursor *cursor)
{
    const uint8_t *bytes = cw_cursor_bytes(cursor, 4);
    return bytes != NULL ? cw_load_u32(bytes) : 0;
}

uint64_t cw_cursor_u64(struct cw_cursor *cursor)
{
    const uint8_t *bytes = cw_cursor_bytes(cursor, 8);
    return bytes != NULL ? cw_load_u64(bytes) : 0;
}

uint64_t cw_cursor_word(struct cw_cursor *cursor)
{
    return cursor->word_bytes == 8 ? cw_cursor_u64(cursor) : cw_cursor_u32(cursor);
}

const char *cw_cursor_string(struct cw_cursor *cursor)
{
    const uint8_t *start = cursor->data + cursor->position;
    const uint8_t *end = cursor->failed || cw_cursor_left(cursor) == 0
                             ? NULL
                             : memchr(start, 0, cw_cursor_left(cursor));
    if (end == NULL) {
        cursor->failed = true;
        return NULL;
    }
    return (const char *)cw_cursor_bytes(cursor, (size_t)(end - start) + 1);
}

void cw_cursor_skip(struct cw_cursor *cursor, size_t size)
{
    (void)cw_cursor_bytes(cursor, size);
}

void cw_cursor_seek(struct cw_cursor *cursor, size_t position)
{
    if (cursor->failed || position > cursor->size) {
        cursor->failed = true;
        return;
    }
    cursor->position = position;
}

void cw_cursor_align(struct cw_cursor *cursor, size_t alignment)
{
    size_t padding = (alignment - cursor->position % alignment) % alignment;
    size_t left = cw_cursor_left(cursor);
    cw_cursor_skip(cursor, padding < left ? padding : left);
}
