/* What the finders of other allocators' memory share; nothing outside this folder includes it. */
#pragma once

#include "heap/foreign.h"
#include "image/runtime.h"

struct foreign_search {
    const struct cw_space *space;
    const struct cw_image *image;
    const struct cw_module *module; /* where the runtime was seen */
    struct cw_vector ranges;        /* struct cw_foreign_range */
    struct cw_budget *budget;
    uint64_t step_count;
    bool failed; /* out of memory */
};

/* Another step along a list; false when there were too many of all lists together. */
bool foreign_step(struct foreign_search *search);

/* Adds a range; an empty one, or one that wraps, is left out. */
void foreign_add(struct foreign_search *search,
                 enum cw_foreign_kind kind,
                 cw_addr start,
                 uint64_t size_bytes);

/* The same, but no further than anonymous memory goes on with all bits of the protection. */
void foreign_add_mapped(struct foreign_search *search,
                        enum cw_foreign_kind kind,
                        cw_addr start,
                        uint64_t size_bytes,
                        uint32_t protection);

/* The anonymous writable region that holds the address, or NULL. */
const struct cw_region *foreign_region(const struct foreign_search *search, cw_addr address);

#define CW_FOREIGN(kind, owner, label, runtime, find) \
    void foreign_find_##find(struct foreign_search *search);
#include "heap/foreign.def"
#undef CW_FOREIGN
