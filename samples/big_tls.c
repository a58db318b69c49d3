/*
 * Workers with much thread-local data of their own: it lies between the thread pointer and libc's,
 * so that what tells where a thread's cache is, is far off.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "oracle.h"
#include "sample.h"

enum {
    THREAD_COUNT = 3,
    SCRATCH_BYTES = 64 << 10,
    KEPT_BYTES = 100,
};

static __thread char g_scratch[SCRATCH_BYTES];
static pthread_barrier_t g_filled;

/* Half of the blocks stay, the other half ends in the thread's cache, and behind it elsewhere. */
static void fill(const struct sample *sample)
{
    char **blocks = calloc(sample->count, sizeof *blocks);
    if (!blocks) {
        abort();
    }
    for (size_t i = 0; i < sample->count; i++) {
        blocks[i] = malloc(KEPT_BYTES);
        if (!blocks[i]) {
            abort();
        }
        memset(blocks[i], 'k', KEPT_BYTES);
    }
    memset(g_scratch, 's', sizeof g_scratch);
    for (size_t i = 0; i < sample->count; i += 2) {
        free(blocks[i]);
    }
}

static void *work(void *context)
{
    oracle_enter_thread();
    fill(context);
    pthread_barrier_wait(&g_filled);
    while (context) {
        pause();
    }
    return NULL;
}

int main(int argc, char **argv)
{
    struct sample sample = sample_start(argc, argv, 2000);
    pthread_t threads[THREAD_COUNT];
    if (pthread_barrier_init(&g_filled, NULL, THREAD_COUNT + 1)) {
        abort();
    }
    for (size_t i = 0; i < THREAD_COUNT; i++) {
        if (pthread_create(&threads[i], NULL, work, &sample)) {
            abort();
        }
    }
    fill(&sample);
    pthread_barrier_wait(&g_filled);
    sample_ready();
}
