/*
 * What a callback target has delivered: one cache for each of its segments, filled in blocks of
 * 1 MiB as they are asked for, and kept. Looking at what is there takes no lock.
 */
#pragma once

#include "base/budget.h"
#include "base/error.h"
#include "space/space.h"

#define CW_FETCH_BLOCK_BYTES ((uint64_t)1 << 20)

/* Makes the caches of a callback target; nothing is read yet. For other targets there are none. */
enum cw_status cw_fetch_create_all(struct cw_space *space, struct cw_error *err);

/* Also legal on a zeroed space. */
void cw_fetch_destroy_all(struct cw_space *space);

/*
 * How many of the `size` bytes from the address on can be had without a gap, and where (untouched
 * when there are none); reads what is not there yet. The range must lie in the cache's segment.
 */
uint64_t cw_fetch_run(const struct cw_space *space,
                      uint32_t fetch_index,
                      cw_addr address,
                      uint64_t size,
                      const uint8_t **ret_data);
