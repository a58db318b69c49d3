/*
 * Thread stacks: which memory is the stack of which thread.
 *
 * A stack made by pthread_create lies in a mapping of its own kind, which the kernel may merge
 * with its neighbours, so the mapping is not the stack. glibc keeps the bounds in the thread's
 * descriptor, at the thread pointer, as three words in a row (struct pthread, all releases
 * since 2.4; the offset differs, so they are looked for):
 *
 *   stackblock         page-aligned start, guard included
 *   stackblock_size    to the end; the descriptor itself lies near that end
 *   guardsize          at the start, without access
 *
 *   stackblock |guard|            stack  <- sp            | TLS | tp: descriptor |
 *   aarch64    |guard|            stack  <- sp            | descriptor | tp: TLS |
 */
#pragma once

#include "space/space.h"

struct cw_stack {
    cw_addr start; /* of the writable part */
    uint64_t size_bytes;
    uint32_t thread_index; /* into target->threads; CW_NONE: of a thread that has ended */
    bool is_exact;         /* from the descriptor; otherwise the whole region around sp */
};

/*
 * The stacks of all threads whose stack pointer is known, and those of ended threads that are kept
 * for the next ones (stack_cache.h), sorted by start, without overlap (of two threads in one region
 * that has no descriptor, the first counts). False: out of memory.
 */
bool cw_space_stacks(const struct cw_space *space,
                     struct cw_arena *arena,
                     struct cw_stack **ret_stacks,
                     size_t *ret_count);

/* The exact bounds, as a thread's descriptor says; the thread_index is left alone. */
bool cw_stack_of_descriptor(const struct cw_space *space,
                            cw_addr descriptor,
                            struct cw_stack *stack);
