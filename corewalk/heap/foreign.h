/*
 * Memory of other allocators, as far as their own structures prove it: what is claimed here was
 * reached from a header that agrees with itself. The rest of their memory stays unknown. Nothing
 * is parsed below the level of what they take from the system.
 *
 * A finder is foreign_<name>.c and lines in foreign.def; it runs when the image has seen its
 * runtime (image/runtime.h).
 */
#pragma once

#include "image/image.h"

enum cw_foreign_kind {
#define CW_FOREIGN(kind, owner, label, runtime, find) CW_FOREIGN_##kind,
#include "heap/foreign.def"
#undef CW_FOREIGN
    CW_FOREIGN_KIND_COUNT,
};

/* Owners of the ledger. */
const char *cw_foreign_owner(enum cw_foreign_kind kind);   /* stable: "zend-heap" */
const char *cw_foreign_label(enum cw_foreign_kind kind);   /* for people */
const char *cw_foreign_runtime(enum cw_foreign_kind kind); /* the id in runtimes.def */

/* May overlap others, and may reach beyond what is mapped. */
struct cw_foreign_range {
    cw_addr start;
    uint64_t size_bytes;
    enum cw_foreign_kind kind;
};

struct cw_foreign {
    struct cw_foreign_range *ranges; /* sorted by start, then size, then kind */
    size_t range_count;
};

/* The range that holds the address, the one that begins last; NULL: none is known to. */
const struct cw_foreign_range *cw_foreign_at(const struct cw_foreign *foreign, cw_addr address);

/*
 * The result lives in `memory`. A finder that runs out of it claims nothing; false: what the
 * others found has no room either.
 */
bool cw_foreign_find(const struct cw_space *space,
                     const struct cw_image *image,
                     struct cw_arena *memory,
                     struct cw_foreign *ret_foreign);
