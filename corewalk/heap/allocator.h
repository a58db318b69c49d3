/*
 * An allocator: alloc_<name>.c and a line in allocators.def. Each in turn looks for its own
 * structures, walks the memory behind them, and says in the end what state its chunks are in.
 */
#pragma once

#include "heap/heap_builder.h"

struct cw_allocator {
    const char *name;
    /*
     * Looks for the allocator's structures; adds its arenas and runs. *ret_state stays NULL when
     * there are none, and then nothing else is called.
     */
    enum cw_status (*find)(struct cw_heap_builder *builder, void **ret_state, struct cw_error *err);
    /* Sets the start and live bits of its runs; adds extents, single chunks and ranges. */
    enum cw_status (*walk)(struct cw_heap_builder *builder, void *state, struct cw_error *err);
    /* The table stands: settles the states. */
    enum cw_status (*mark)(struct cw_heap_builder *builder, void *state, struct cw_error *err);
    /* The sums stand: compares them with what the allocator counts. */
    void (*verify)(struct cw_heap_builder *builder, void *state);
    void (*release)(void *state);
};
