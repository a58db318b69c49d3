/* The thread pool: workers sleep on a condition; a run is a generation number and a counter. */
#include "base/pool.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

enum { LARGEST_THREAD_COUNT = 64 };

struct worker {
    struct cw_pool *pool;
    pthread_t thread;
    unsigned index;
};

struct cw_pool {
    pthread_mutex_t mutex;
    pthread_cond_t start;
    pthread_cond_t done;
    uint64_t generation;
    bool stopping;
    unsigned busy_count;
    unsigned helper_count;
    struct worker *helpers;
    cw_pool_task *task;
    void *context;
    size_t task_count;
    _Atomic size_t next_task;
};

static void take_tasks(struct cw_pool *pool, unsigned worker)
{
    size_t task;
    while ((task = atomic_fetch_add(&pool->next_task, 1)) < pool->task_count) {
        pool->task(pool->context, worker, task);
    }
}

static void *help(void *argument)
{
    struct worker *worker = argument;
    struct cw_pool *pool = worker->pool;
    uint64_t seen = 0;
    pthread_mutex_lock(&pool->mutex);
    for (;;) {
        while (pool->generation == seen && !pool->stopping) {
            pthread_cond_wait(&pool->start, &pool->mutex);
        }
        if (pool->stopping) {
            break;
        }
        seen = pool->generation;
        pthread_mutex_unlock(&pool->mutex);
        take_tasks(pool, worker->index);
        pthread_mutex_lock(&pool->mutex);
        if (--pool->busy_count == 0) {
            pthread_cond_signal(&pool->done);
        }
    }
    pthread_mutex_unlock(&pool->mutex);
    return NULL;
}

static unsigned core_count(void)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return cores < 1 ? 1 : (unsigned)cores;
}

enum cw_status cw_pool_create(unsigned thread_count,
                              struct cw_pool **ret_pool,
                              struct cw_error *err)
{
    unsigned wanted = thread_count == 0 ? core_count() : thread_count;
    wanted = wanted > LARGEST_THREAD_COUNT ? LARGEST_THREAD_COUNT : wanted;
    struct cw_pool *pool = calloc(1, sizeof *pool);
    struct worker *helpers = calloc(wanted, sizeof *helpers);
    if (pool == NULL || helpers == NULL) {
        free(pool);
        free(helpers);
        return cw_error_set(err, CW_ERROR_MEMORY, "no memory for %u threads", wanted);
    }
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->start, NULL);
    pthread_cond_init(&pool->done, NULL);
    pool->helpers = helpers;
    for (unsigned i = 1; i < wanted; i++) {
        struct worker *worker = &helpers[pool->helper_count];
        *worker = (struct worker){.pool = pool, .index = i};
        /* Fewer threads than wanted only makes it slower. */
        if (pthread_create(&worker->thread, NULL, help, worker) != 0) {
            break;
        }
        pool->helper_count++;
    }
    *ret_pool = pool;
    return CW_OK;
}

void cw_pool_destroy(struct cw_pool *pool)
{
    if (pool == NULL) {
        return;
    }
    pthread_mutex_lock(&pool->mutex);
    pool->stopping = true;
    pthread_cond_broadcast(&pool->start);
    pthread_mutex_unlock(&pool->mutex);
    for (unsigned i = 0; i < pool->helper_count; i++) {
        pthread_join(pool->helpers[i].thread, NULL);
    }
    pthread_cond_destroy(&pool->start);
    pthread_cond_destroy(&pool->done);
    pthread_mutex_destroy(&pool->mutex);
    free(pool->helpers);
    free(pool);
}

unsigned cw_pool_threads(const struct cw_pool *pool)
{
    return pool->helper_count + 1;
}

void cw_pool_run(struct cw_pool *pool, cw_pool_task *task, void *context, size_t task_count)
{
    pthread_mutex_lock(&pool->mutex);
    pool->task = task;
    pool->context = context;
    pool->task_count = task_count;
    atomic_store(&pool->next_task, 0);
    pool->busy_count = pool->helper_count;
    pool->generation++;
    pthread_cond_broadcast(&pool->start);
    pthread_mutex_unlock(&pool->mutex);

    take_tasks(pool, 0);

    pthread_mutex_lock(&pool->mutex);
    while (pool->busy_count > 0) {
        pthread_cond_wait(&pool->done, &pool->mutex);
    }
    pthread_mutex_unlock(&pool->mutex);
}
