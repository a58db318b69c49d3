/* The bump arena: a chain of blocks, each twice as large as the one before, up to 1 MiB. */
#include "base/arena.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"

enum {
    FIRST_BLOCK_BYTES = 4096,
    LARGEST_BLOCK_BYTES = 1 << 20,
    ALIGNMENT = 16,
};

struct cw_arena_block {
    struct cw_arena_block *older;
    size_t size_bytes; /* with this header */
    size_t used_bytes;
    size_t padding;
};

void cw_arena_init(struct cw_arena *arena, struct cw_budget *budget)
{
    *arena = (struct cw_arena){.budget = budget, .next_block_bytes = FIRST_BLOCK_BYTES};
}

void cw_arena_deinit(struct cw_arena *arena)
{
    while (arena->newest != NULL) {
        struct cw_arena_block *block = arena->newest;
        arena->newest = block->older;
        cw_budget_give(arena->budget, block->size_bytes);
        free(block);
    }
    arena->next_block_bytes = FIRST_BLOCK_BYTES;
}

static struct cw_arena_block *add_block(struct cw_arena *arena, size_t payload_bytes)
{
    size_t size = arena->next_block_bytes;
    if (payload_bytes > size - sizeof(struct cw_arena_block)) {
        size = payload_bytes + sizeof(struct cw_arena_block);
    }
    if (!cw_budget_take(arena->budget, size)) {
        return NULL;
    }
    struct cw_arena_block *block = calloc(1, size);
    if (block == NULL) {
        cw_budget_give(arena->budget, size);
        return NULL;
    }
    block->older = arena->newest;
    block->size_bytes = size;
    block->used_bytes = sizeof *block;
    arena->newest = block;
    if (arena->next_block_bytes < LARGEST_BLOCK_BYTES) {
        arena->next_block_bytes *= 2;
    }
    return block;
}

void *cw_arena_alloc(struct cw_arena *arena, size_t bytes)
{
    uint64_t rounded;
    if (!cw_align_up(bytes, ALIGNMENT, &rounded) || rounded > SIZE_MAX / 2) {
        return NULL;
    }
    struct cw_arena_block *block = arena->newest;
    if (block == NULL || rounded > block->size_bytes - block->used_bytes) {
        block = add_block(arena, rounded);
        if (block == NULL) {
            return NULL;
        }
    }
    void *place = (char *)block + block->used_bytes;
    block->used_bytes += rounded;
    return place;
}

void *cw_arena_alloc_array(struct cw_arena *arena, size_t count, size_t item_bytes)
{
    uint64_t bytes;
    return cw_mul(count, item_bytes, &bytes) ? cw_arena_alloc(arena, bytes) : NULL;
}

char *cw_arena_strndup(struct cw_arena *arena, const char *text, size_t length)
{
    char *copy = length < SIZE_MAX ? cw_arena_alloc(arena, length + 1) : NULL;
    if (copy != NULL) {
        memcpy(copy, text, length);
    }
    return copy;
}

char *cw_arena_strdup(struct cw_arena *arena, const char *text)
{
    return cw_arena_strndup(arena, text, strlen(text));
}

char *cw_arena_vprintf(struct cw_arena *arena, const char *format, va_list arguments)
{
    va_list again;
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, again);
    va_end(again);
    char *text = length >= 0 ? cw_arena_alloc(arena, (size_t)length + 1) : NULL;
    if (text != NULL) {
        vsnprintf(text, (size_t)length + 1, format, arguments);
    }
    return text;
}

char *cw_arena_printf(struct cw_arena *arena, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *text = cw_arena_vprintf(arena, format, arguments);
    va_end(arguments);
    return text;
}
