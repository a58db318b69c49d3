/*
 * Kinds of damage: what findings of a code mean, and what the C library itself says of them.
 * The texts of glibc, and the releases that have them, are those of its malloc.c.
 */
#pragma once

#include "base/types.h"

/* What glibc would say when it stumbles over the damage. */
struct cw_damage_message {
    const char *text;
    unsigned first_minor; /* of the releases 2.first to 2.last that have it */
    unsigned last_minor;
};

enum { CW_DAMAGE_MESSAGE_LIMIT = 4 };

struct cw_damage_kind {
    const char *code;    /* of the findings */
    const char *title;   /* "impossible size" */
    const char *meaning; /* what has happened, in plain words */
    struct cw_damage_message messages[CW_DAMAGE_MESSAGE_LIMIT];
};

/* NULL: findings of that code have no explanation. */
const struct cw_damage_kind *cw_damage_kind(const char *code);

/* Is it something that the C library says before it ends a process: a check, or an assertion? */
bool cw_damage_is_libc_text(const char *text);

/* Does that text speak of the heap? */
bool cw_damage_is_heap_text(const char *text);
