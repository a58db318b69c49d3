/*
 * What others say of the C library, against what the probe found in memory: the banner, the name of
 * its file, and the symbols of its malloc. Memory is believed; a contradiction is a finding.
 */
#pragma once

#include "heap/glibc.h"

/* What is said of the C library whose data holds the main arena. */
struct glibc_claims {
    unsigned minor;       /* of release 2.minor; 0: nothing says */
    bool is_by_banner;    /* else by the name of its file (libc-2.31.so, up to 2.33) */
    cw_addr main_arena;   /* by its symbol; 0: none. Likewise mp_ */
    uint64_t arena_bytes; /* the symbol's size: sizeof(struct malloc_state); 0: unknown */
    cw_addr mp;
};

/* Gathers them. All zero where the image does not know the library, or the arena lies elsewhere. */
struct glibc_claims glibc_read_claims(const struct glibc *glibc);

/*
 * Adds a finding "layout-contradiction" for each claim that memory refutes. Returns what agrees, as
 * a continuation of the layout's evidence ("; …", or "").
 */
const char *glibc_compare(const struct glibc *glibc, const struct glibc_claims *claims);
