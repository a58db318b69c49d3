/*
 * Runtimes: allocators other than glibc's malloc, and languages with a heap of their own, found by
 * the names that they cannot do without: modules, symbols, sections, messages. What their memory
 * looks like is the heap layer's business (heap/foreign.h). One row of runtimes.def each.
 */
#pragma once

#include "image/image.h"

enum cw_runtime_kind {
    CW_RUNTIME_MALLOC, /* serves malloc itself */
    CW_RUNTIME_HEAP,   /* has memory of its own, beside malloc's */
    CW_RUNTIME_INSIDE, /* divides blocks that it gets from malloc */
};

struct cw_runtime {
    const char *id;   /* stable, for machines: "jemalloc" */
    const char *name; /* for people */
    enum cw_runtime_kind kind;
    const char *const *modules;  /* what file names begin with */
    const char *const *symbols;  /* mangled; a '*' at the end stands for any rest */
    const char *const *sections; /* names of sections that occupy memory */
    const char *message;         /* text in the program's constants, or NULL */
    const char *advice;          /* what to look with: follows "To look inside: "; or NULL */
};

struct cw_runtime_found {
    const struct cw_runtime *runtime;
    const struct cw_module *module;
    const char *evidence; /* "module libjemalloc.so.2", "symbol mallctl of server"; escaped */
    /* Only by its messages: they may be there for another reason (a program that looks for them) */
    bool is_guess;
};

/* All that were found, in the order of runtimes.def. */
const struct cw_runtime_found *cw_image_runtimes(const struct cw_image *image, size_t *ret_count);

/* The one with that id, or NULL. */
const struct cw_runtime_found *cw_image_runtime(const struct cw_image *image, const char *id);

/*
 * What serves the program if glibc's malloc does not: the first in malloc's place, or Go in a
 * program without a C library; NULL where neither is seen.
 */
const struct cw_runtime_found *cw_image_replacement(const struct cw_image *image);
