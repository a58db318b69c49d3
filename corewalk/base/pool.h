/*
 * A thread pool for passes over large data: cw_pool_run hands out task numbers until none is
 * left. With one thread everything runs in the caller, in order.
 */
#pragma once

#include "base/error.h"

struct cw_pool;

/* worker: 0 … cw_pool_threads - 1, never twice at once; task: 0 … task_count - 1, each once. */
typedef void cw_pool_task(void *context, unsigned worker, size_t task);

/* thread_count 0: as many as there are cores (at most 64). */
enum cw_status cw_pool_create(unsigned thread_count,
                              struct cw_pool **ret_pool,
                              struct cw_error *err);

/* Also legal on NULL. */
void cw_pool_destroy(struct cw_pool *pool);

/* Workers in all, the caller among them. */
unsigned cw_pool_threads(const struct cw_pool *pool);

/* Returns when every task is done. Not to be called from within a task. */
void cw_pool_run(struct cw_pool *pool, cw_pool_task *task, void *context, size_t task_count);
