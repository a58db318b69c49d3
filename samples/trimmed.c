/*
 * A server after its rush hour: most was freed and given back to the system, from the main heap by
 * malloc_trim and from the threads' by the last blocks of their newest heaps; some threads have
 * ended and left their arenas and stacks behind.
 */
#include <malloc.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "oracle.h"
#include "sample.h"

enum {
    WORKER_COUNT = 6,
    ENDING_COUNT = 3,
    WORKER_BYTES = 2500,
    WORKER_BLOCKS = 50000, /* more than a heap of 64 MiB holds */
    GROUP = 500,           /* blocks freed in a row */
};

static void *g_blocks[WORKER_COUNT][WORKER_BLOCKS];
static void **g_main;
static pthread_barrier_t g_all;

static void *checked(void *pointer)
{
    if (!pointer) {
        abort();
    }
    memset(pointer, 'b', 1);
    return pointer;
}

/* From the last block on, so that the newest heap empties and is given back; a seventh stays. */
static void *work(void *argument)
{
    unsigned index = (unsigned)(uintptr_t)argument;
    void **blocks = g_blocks[index];
    unsigned count = index % 2 ? WORKER_BLOCKS : WORKER_BLOCKS / 16;
    oracle_enter_thread();
    for (unsigned i = 0; i < count; i++) {
        blocks[i] = checked(malloc(WORKER_BYTES));
    }
    for (unsigned i = count; i-- > count / 7;) {
        free(blocks[i]);
        blocks[i] = NULL;
    }
    bool ends = index >= WORKER_COUNT - ENDING_COUNT;
    if (ends) {
        oracle_leave_thread();
    }
    pthread_barrier_wait(&g_all);
    while (!ends) {
        pause();
    }
    return NULL;
}

/* Free pages in the middle go back by MADV_DONTNEED, those at the end by a lower brk. */
static void trim_main(struct sample *sample)
{
    for (uint64_t i = 0; i < sample->count; i++) {
        g_main[i] = checked(malloc(sample_between(&sample->random, 1, 3000)));
    }
    for (uint64_t i = 0; i < sample->count; i++) {
        if (i / GROUP % 2 == 1) {
            free(g_main[i]);
            g_main[i] = NULL;
        }
    }
    malloc_trim(0);
    for (uint64_t i = sample->count - sample->count / 8; i < sample->count; i++) {
        free(g_main[i]);
        g_main[i] = NULL;
    }
    malloc_trim(4096);
}

int main(int argc, char **argv)
{
    struct sample sample = sample_start(argc, argv, 20000);
    pthread_t threads[WORKER_COUNT];
    g_main = checked(calloc(sample.count, sizeof *g_main));
    pthread_barrier_init(&g_all, NULL, WORKER_COUNT + 1);
    for (unsigned i = 0; i < WORKER_COUNT; i++) {
        if (pthread_create(&threads[i], NULL, work, (void *)(uintptr_t)i) != 0) {
            abort();
        }
    }
    trim_main(&sample);
    pthread_barrier_wait(&g_all);
    for (unsigned i = WORKER_COUNT - ENDING_COUNT; i < WORKER_COUNT; i++) {
        pthread_join(threads[i], NULL);
    }
    sample_ready();
}
