/*
 * Stacks of threads that have ended: glibc keeps them for the next thread (up to 40 MiB of them).
 *
 * The descriptor of every thread, dead or alive, is linked into a list: of stacks in use, of those
 * that the program brought, or of the cached ones. The three heads lie side by side in the data of
 * ld.so (from 2.34 on) or libpthread. So from a living thread's links to the head of its list, and
 * from there to a head whose members are all descriptors, with the bounds of a stack around them,
 * of no living thread.
 *
 *   heads   | used |   | user |   | cached |
 *              |                      |
 *   descriptor of a living thread   descriptor … descriptor: their stacks are cached
 */
#pragma once

#include "space/stack.h"

/*
 * The cached stacks, in no order, up to `limit` of them; returns how many there are. Their
 * thread_index is CW_NONE. x86 only: elsewhere descriptors do not name themselves; 0.
 */
size_t cw_stack_cache_find(const struct cw_space *space, struct cw_stack *ret_stacks, size_t limit);
