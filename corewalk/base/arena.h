/*
 * A bump arena: many small things of one lifetime, freed together. One arena per phase; the
 * session owns them. Memory comes in growing blocks from the session's budget and is zeroed.
 */
#pragma once

#include <stdarg.h>

#include "base/budget.h"

struct cw_arena_block;

struct cw_arena {
    struct cw_budget *budget;
    struct cw_arena_block *newest;
    size_t next_block_bytes;
};

void cw_arena_init(struct cw_arena *arena, struct cw_budget *budget);

/* Gives everything back. The arena may be used again. */
void cw_arena_deinit(struct cw_arena *arena);

/* Zeroed and aligned to 16 bytes, or NULL when the budget or the system is out. */
void *cw_arena_alloc(struct cw_arena *arena, size_t bytes);

/* The same for an array; also NULL when count * item_bytes does not fit. */
void *cw_arena_alloc_array(struct cw_arena *arena, size_t count, size_t item_bytes);

/* A copy with a NUL behind it. */
char *cw_arena_strdup(struct cw_arena *arena, const char *text);
char *cw_arena_strndup(struct cw_arena *arena, const char *text, size_t length);

char *cw_arena_printf(struct cw_arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
char *cw_arena_vprintf(struct cw_arena *arena, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));
