/*
 * Kinds of damage: what findings of a code mean, and what the C library itself says of them.
 * The texts of glibc, and the releases that have them, are those of its malloc.c.
 */
#pragma once

#include "base/note.h"

enum cw_damage {
    CW_DAMAGE_CHUNK_SIZE,
    CW_DAMAGE_TOP_SIZE,
    CW_DAMAGE_FOOTER,
    CW_DAMAGE_PREV_INUSE,
    CW_DAMAGE_FREE_NEIGHBOURS,
    CW_DAMAGE_ARENA_FLAG,
    CW_DAMAGE_DOUBLE_FREE,
    CW_DAMAGE_TCACHE_LINK,
    CW_DAMAGE_TCACHE_KEY,
    CW_DAMAGE_TCACHE_SIZE,
    CW_DAMAGE_TCACHE_COUNT,
    CW_DAMAGE_FASTBIN_LINK,
    CW_DAMAGE_FASTBIN_SIZE,
    CW_DAMAGE_BIN_LINK,
    CW_DAMAGE_NEXTSIZE_LINK,
    CW_DAMAGE_BIN_SIZE,
    CW_DAMAGE_BIN_ORDER,
    CW_DAMAGE_BINMAP,
    CW_DAMAGE_NOT_BINNED,
    CW_DAMAGE_FIRST_CHUNK,
    CW_DAMAGE_MMAPPED_HEADER,
    CW_DAMAGE_HEAP_INFO,
    CW_DAMAGE_HEAP_CHAIN,
    CW_DAMAGE_HEAP_OVERLAP,
    CW_DAMAGE_ARENA_SUM,
    CW_DAMAGE_ARENA_LIST,
    CW_DAMAGE_LIBC_ABORT,
    CW_DAMAGE_TRAILING_MAGIC,
    CW_DAMAGE_KIND_COUNT,
};

/* What glibc would say when it stumbles over the damage. */
struct cw_damage_message {
    const char *text;
    unsigned first_minor; /* of the releases 2.first to 2.last that have it */
    unsigned last_minor;
};

enum { CW_DAMAGE_MESSAGE_LIMIT = 4 };

struct cw_damage_kind {
    const char *code; /* of the findings */
    enum cw_severity severity;
    const char *title;   /* "impossible size" */
    const char *meaning; /* what has happened, in plain words */
    struct cw_damage_message messages[CW_DAMAGE_MESSAGE_LIMIT];
};

const struct cw_damage_kind *cw_damage_kind_of(enum cw_damage damage);

/* NULL: findings of that code have no explanation. */
const struct cw_damage_kind *cw_damage_kind(const char *code);

/* Is it something that the C library says before it ends a process: a check, or an assertion? */
bool cw_damage_is_libc_text(const char *text);

/* Does that text speak of the heap? */
bool cw_damage_is_heap_text(const char *text);
