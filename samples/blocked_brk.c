/* A program whose brk cannot grow, since a mapping lies behind it: malloc goes on with mappings. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sample.h"

enum { PAGE = 4096 };

static void **g_blocks;

static void block_brk(void)
{
    uintptr_t end = ((uintptr_t)sbrk(0) + PAGE - 1) & -(uintptr_t)PAGE;
    void *wall = mmap(
        (void *)end, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (wall == MAP_FAILED) {
        abort();
    }
}

int main(int argc, char **argv)
{
    struct sample sample = sample_start(argc, argv, 6000);
    g_blocks = calloc(sample.count, sizeof *g_blocks);
    if (!g_blocks) {
        abort();
    }
    for (uint64_t i = 0; i < sample.count; i++) {
        size_t size = sample_between(&sample.random, 1, 2000);
        g_blocks[i] = malloc(size);
        if (!g_blocks[i]) {
            abort();
        }
        memset(g_blocks[i], 'b', size);
        if (i == sample.count / 8) {
            block_brk();
        }
        if (i % 4 == 3) {
            free(g_blocks[i - 2]);
            g_blocks[i - 2] = NULL;
        }
    }
    sample_ready();
}
