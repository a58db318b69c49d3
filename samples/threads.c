/*
 * A thread pool: each worker fills an arena of its own, two of them over several heaps, and frees
 * what its neighbour allocated. Some workers end before the others.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "oracle.h"
#include "sample.h"

enum {
    WORKER_COUNT = 16,
    ENDING_COUNT = 4,    /* the last ones end */
    BULK_COUNT = 2,      /* the first ones need more than one heap of 64 MiB */
    BULK_BYTES = 100000, /* below the threshold of mmap */
    BULK_TOTAL = 1400,   /* 140 MB: three heaps */
};

struct worker {
    pthread_t thread;
    unsigned index;
    uint64_t random;
    void **blocks;
    void **bulk;
};

static struct worker g_workers[WORKER_COUNT];
static pthread_barrier_t g_all;
static uint64_t g_block_count;

static void *checked(void *pointer)
{
    if (!pointer) {
        abort();
    }
    return pointer;
}

/* Small ones for the thread's cache and the fastbins, some larger ones for the bins. */
static void *allocate_block(struct worker *worker)
{
    size_t largest = sample_between(&worker->random, 0, 9) == 0 ? 8000 : 600;
    size_t size = sample_between(&worker->random, 1, largest);
    return memset(checked(malloc(size)), (int)worker->index, size);
}

static void fill(struct worker *worker)
{
    worker->blocks = checked(calloc(g_block_count, sizeof *worker->blocks));
    for (uint64_t i = 0; i < g_block_count; i++) {
        worker->blocks[i] = allocate_block(worker);
    }
    if (worker->index < BULK_COUNT) {
        worker->bulk = checked(calloc(BULK_TOTAL, sizeof *worker->bulk));
        for (unsigned i = 0; i < BULK_TOTAL; i++) {
            worker->bulk[i] = checked(malloc(BULK_BYTES));
        }
    }
}

static void free_every(void **blocks, uint64_t count, uint64_t step)
{
    for (uint64_t i = 0; i < count; i += step) {
        free(blocks[i]);
        blocks[i] = NULL;
    }
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    struct worker *neighbour = &g_workers[(worker->index + 1) % WORKER_COUNT];
    oracle_enter_thread();
    fill(worker);
    pthread_barrier_wait(&g_all);
    free_every(neighbour->blocks, g_block_count, 3);
    if (neighbour->bulk) {
        free_every(neighbour->bulk, BULK_TOTAL, 5);
    }
    bool ends = worker->index >= WORKER_COUNT - ENDING_COUNT;
    if (ends) {
        oracle_leave_thread();
    }
    pthread_barrier_wait(&g_all);
    while (!ends) {
        pause();
    }
    return NULL;
}

int main(int argc, char **argv)
{
    struct sample sample = sample_start(argc, argv, 1000);
    g_block_count = sample.count;
    pthread_barrier_init(&g_all, NULL, WORKER_COUNT + 1);
    for (unsigned i = 0; i < WORKER_COUNT; i++) {
        g_workers[i].index = i;
        g_workers[i].random = sample_random(&sample.random);
        if (pthread_create(&g_workers[i].thread, NULL, work, &g_workers[i]) != 0) {
            abort();
        }
    }
    pthread_barrier_wait(&g_all);
    pthread_barrier_wait(&g_all);
    for (unsigned i = WORKER_COUNT - ENDING_COUNT; i < WORKER_COUNT; i++) {
        pthread_join(g_workers[i].thread, NULL);
    }
    sample_ready();
}
