/*
 * Pages that hold nothing but zeros. Memory that was mapped but never written looks so, and takes
 * no room in the machine: a thread's stack of 8 MiB may be one of 16 KiB. A core does not tell
 * the two apart, so this is said as what it is: all zero.
 */
#pragma once

#include "base/pool.h"
#include "space/space.h"

/*
 * Bytes of all-zero pages in [start, start + size), which lies in one region; missing memory
 * counts nothing. Runs on the pool's workers.
 */
uint64_t cw_zero_page_bytes(const struct cw_space *space,
                            struct cw_pool *pool,
                            cw_addr start,
                            uint64_t size);
