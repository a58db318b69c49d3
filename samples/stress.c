/*
 * Threads that do nothing but allocate, free, resize and align blocks of random sizes, some of
 * which live long: wherever the process is stopped, some operation is under way. --count is the
 * number of threads beside the main one, which does the same; with 0 of them malloc takes no lock.
 * Else one more waits for SIGUSR1, and then brings the process down outside malloc.
 */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "oracle.h"
#include "sample.h"

enum {
    SLOT_COUNT = 2000, /* blocks of a thread that come and go */
    LONG_COUNT = 500,  /* and some that change seldom */
    SELDOM = 1000,
};

/* Past the oracle, whose lock would make the threads take turns. */
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_memalign(size_t alignment, size_t size);
void __real_free(void *block);

/* Mostly small, some of large bins, few with mappings of their own. */
static size_t some_size(uint64_t *random)
{
    switch (sample_random(random) % 64) {
    case 0:
        return sample_between(random, 1 << 17, 1 << 18);
    case 1 ... 6:
        return sample_between(random, 1024, 1 << 15);
    default:
        return sample_between(random, 1, 900);
    }
}

static void *some_block(uint64_t *random)
{
    size_t size = some_size(random);
    char *block = NULL;
    switch (sample_random(random) % 8) {
    case 0:
        block = __real_calloc(1, size);
        break;
    case 1:
        block = __real_memalign((size_t)16 << sample_random(random) % 6, size);
        break;
    default:
        block = __real_malloc(size);
        break;
    }
    if (block) {
        memset(block, 'b', size < 64 ? size : 64);
    }
    return block;
}

static void change(void **slot, uint64_t *random)
{
    if (*slot && sample_random(random) % 4 == 0) {
        void *moved = __real_realloc(*slot, some_size(random));
        *slot = moved ? moved : *slot;
    } else if (*slot) {
        __real_free(*slot);
        *slot = NULL;
    } else {
        *slot = some_block(random);
    }
}

static void *work(void *seed)
{
    static _Thread_local void *slots[SLOT_COUNT];
    static _Thread_local void *long_slots[LONG_COUNT];
    uint64_t random = (uint64_t)(size_t)seed;
    for (uint64_t turn = 0;; turn++) {
        change(&slots[sample_random(&random) % SLOT_COUNT], &random);
        if (turn % SELDOM == 0) {
            change(&long_slots[sample_random(&random) % LONG_COUNT], &random);
        }
        if (turn == SELDOM && (size_t)seed == 1 && write(STDOUT_FILENO, "ready\n", 6) != 6) {
            _exit(EXIT_FAILURE);
        }
    }
    return NULL;
}

static void *crash(void *signals)
{
    int signal;
    while (sigwait(signals, &signal) != 0) {
    }
    __builtin_trap();
}

int main(int argc, char **argv)
{
    struct sample sample = sample_start(argc, argv, 4);
    pthread_t crashing;
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGUSR1);
    if (sample.count > 0) {
        pthread_sigmask(SIG_BLOCK, &signals, NULL);
        pthread_create(&crashing, NULL, crash, &signals);
    }
    for (uint64_t i = 0; i < sample.count; i++) {
        pthread_t thread;
        pthread_create(&thread, NULL, work, (void *)(size_t)(i + 2));
    }
    work((void *)1);
}
