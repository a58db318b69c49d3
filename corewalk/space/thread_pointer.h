/*
 * Thread pointers that the notes do not give (gdb writes none for i386, qemu-user none at all): by
 * the thread's descriptor, which the C library keeps where the thread pointer leads.
 *
 *     x86        tp │ tp of itself │ dtv │ tp of itself │ … │ list: next, prev │ tid │ …
 *     aarch64    descriptor: … │ list: next, prev │ tid │ …  up to tp │ dtv │ 0 │ static TLS
 *
 * The kernel's id of the thread makes it certain, and the list through all living threads' own
 * descriptors, which is sound both ways in each that is alive.
 */
#pragma once

#include "space/space.h"

/*
 * Sets tp of those of the target's threads (the space's) that have none and whose descriptor is in
 * memory. What a callback would have to fetch is looked at only near the stack pointers. False:
 * out of memory.
 */
bool cw_space_find_thread_pointers(const struct cw_space *space, struct cw_target *target);
