/*
 * Content that is as short as a word or shorter, where a report about damage comes upon it: at the
 * end of a block, in a size, in links. Memory is mapped where it would point to.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "sample.h"

static const char secret[4] = {'Q', 'z', '6', '7'};
static void *const pointed_to = (void *)0x37367000; /* by the secret, as a number */

enum { BLOCK_COUNT = 8 };

static void *g_used[BLOCK_COUNT];
static void *g_cached[BLOCK_COUNT];
static void *g_binned[BLOCK_COUNT];

static void fill(void **blocks, size_t size)
{
    for (int i = 0; i < BLOCK_COUNT; i++) {
        blocks[i] = malloc(size);
        memset(blocks[i], 0, size);
    }
}

static void write_to(void *block, size_t offset)
{
    char *volatile start = block; /* after free, or beyond the end: what the sample is for */
    memcpy(start + offset, secret, sizeof secret);
}

static void plant(void)
{
    size_t word_bytes = sizeof(void *);
    size_t used_bytes = 6 * word_bytes + word_bytes; /* of a chunk's 8 words, without its size */
    write_to(g_used[3], used_bytes - word_bytes);
    write_to(g_used[3], used_bytes);
    write_to(g_cached[2], 0);
    write_to(g_cached[1], word_bytes);
    write_to(g_binned[3], 0);
    write_to(g_binned[5], word_bytes);
}

int main(int argc, char **argv)
{
    struct sample sample = sample_start(argc, argv, 1);
    (void)sample;
    mmap(pointed_to, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    fill(g_used, 7 * sizeof(void *));
    fill(g_cached, 100);
    fill(g_binned, 3000);
    for (int i = 0; i < 4; i++) {
        free(g_cached[i]);
    }
    for (int i = 1; i < BLOCK_COUNT; i += 2) {
        free(g_binned[i]);
    }
    sample_ready_after(plant);
}
