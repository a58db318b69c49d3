/* A program with an old allocator of its own beside malloc: both take from the same brk. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sample.h"

enum {
    TAKE_EVERY = 200, /* blocks from malloc between two of the other's */
    BLOCK_BYTES = 3000,
};

static void **g_blocks;
static void *g_pools[64];
static size_t g_pool_count;

/* Odd sizes leave the brk unaligned for malloc. */
static void take_pool(struct sample *sample)
{
    static const intptr_t sizes[] = {100, 4096, 8, 70000, 24, 12345, 1 << 20, 16};
    intptr_t size = sizes[g_pool_count % (sizeof sizes / sizeof sizes[0])];
    char *pool = sbrk(size);
    if (pool == (void *)-1) {
        abort();
    }
    if (sample_between(&sample->random, 0, 1) == 0) {
        memset(pool, 'p', (size_t)size);
    }
    g_pools[g_pool_count++ % (sizeof g_pools / sizeof g_pools[0])] = pool;
}

int main(int argc, char **argv)
{
    struct sample sample = sample_start(argc, argv, 4000);
    g_blocks = calloc(sample.count, sizeof *g_blocks);
    if (!g_blocks) {
        abort();
    }
    for (uint64_t i = 0; i < sample.count; i++) {
        size_t size = sample_between(&sample.random, 1, BLOCK_BYTES);
        g_blocks[i] = malloc(size);
        if (!g_blocks[i]) {
            abort();
        }
        memset(g_blocks[i], 'b', size);
        if (i % TAKE_EVERY == TAKE_EVERY - 1) {
            take_pool(&sample);
        }
        if (i % 3 == 2) {
            free(g_blocks[i - 1]);
            g_blocks[i - 1] = NULL;
        }
    }
    sample_ready();
}
