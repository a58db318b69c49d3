/*
 * A program that loads a plug-in with a libc of its own (dlmopen): malloc is there twice. So it is
 * when libc_malloc_debug.so is preloaded; then the other copy is libc's own.
 */
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "oracle.h"
#include "sample.h"

enum {
    LARGEST = 3000,
    LARGE_EVERY = 500, /* blocks between two that get a mapping of their own */
    LARGE_BYTES = 300000,
};

static void **g_own;
static void **g_others;

static size_t next_size(struct sample *sample, uint64_t i)
{
    return i % LARGE_EVERY == 7 ? LARGE_BYTES + i : sample_between(&sample->random, 1, LARGEST);
}

static void *filled(void *block)
{
    if (!block) {
        abort();
    }
    memset(block, 'b', 1);
    return block;
}

/* Each copy frees some of its blocks, all at once and one by one, so that all kinds of lists fill.
 */
static void release_some(uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        if (i % 5 == 2 || (i > count / 2 && i < count / 2 + 40)) {
            free(g_own[i]);
            g_own[i] = NULL;
        }
        if (i % 7 == 3 || (i > count / 3 && i < count / 3 + 40)) {
            oracle_other_free(g_others[i]);
            g_others[i] = NULL;
        }
    }
}

int main(int argc, char **argv)
{
    /* Before the oracle starts: what the new libc needs is allocated by ours. */
    void *library = getenv("LD_PRELOAD") ? dlopen("libc.so.6", RTLD_NOW)
                                         : dlmopen(LM_ID_NEWLM, "libc.so.6", RTLD_NOW);
    struct sample sample = sample_start(argc, argv, 6000);
    if (!library) {
        abort();
    }
    oracle_add_copy(&(struct oracle_copy){
        .malloc = (void *(*)(size_t))dlsym(library, "malloc"),
        .free = (void (*)(void *))dlsym(library, "free"),
        .malloc_usable_size = (size_t(*)(void *))dlsym(library, "malloc_usable_size"),
        .mallinfo2 = (void (*)(void))dlsym(library, "mallinfo2"),
    });
    g_own = calloc(sample.count, sizeof *g_own);
    g_others = calloc(sample.count, sizeof *g_others);
    for (uint64_t i = 0; i < sample.count; i++) {
        g_own[i] = filled(malloc(next_size(&sample, i)));
        g_own[i] = filled(realloc(g_own[i], next_size(&sample, i)));
        g_others[i] = filled(oracle_other_malloc(next_size(&sample, i)));
    }
    release_some(sample.count);
    sample_ready();
}
