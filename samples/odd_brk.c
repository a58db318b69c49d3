/*
 * A program whose other allocator takes brk memory and gives some of it back, in odd pieces,
 * while malloc uses it too.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sample.h"

enum { ROUNDS = 12 };

static void **g_blocks;

static void move_brk(intptr_t by)
{
    if (sbrk(by) == (void *)-1) {
        abort();
    }
}

/* Takes some, and gives back all, less, or nothing of it. */
static void disturb(unsigned round)
{
    intptr_t taken = 100 + (intptr_t)round * 3001;
    move_brk(taken);
    switch (round % 4) {
    case 0:
        move_brk(-taken);
        break;
    case 1:
        move_brk(-(taken / 2));
        break;
    case 2:
        memset((char *)sbrk(0) - taken, 0xa5, (size_t)taken);
        break;
    default:
        break;
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
        g_blocks[i] = malloc(sample_between(&sample.random, 1, 2500));
        if (!g_blocks[i]) {
            abort();
        }
        memset(g_blocks[i], 'b', 1);
        if (i % 3 == 2) {
            free(g_blocks[i - 1]);
            g_blocks[i - 1] = NULL;
        }
        if (i % (sample.count / ROUNDS) == 7) {
            disturb((unsigned)(i / (sample.count / ROUNDS)));
        }
    }
    sample_ready();
}
