/*
 * A proxy after a busy day: buffers of all sizes came and went in no order. Fills every kind of
 * bin: caches, fastbins, unsorted, small and large bins, and pages given back inside free chunks.
 */
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sample.h"

static void **g_buffers;
static size_t g_buffer_count;

/* Most are small, a few are far above the small bins, all below the threshold of mmap. */
static size_t draw_size(struct sample *sample)
{
    switch (sample_between(&sample->random, 0, 15)) {
    case 0:
        return sample_between(&sample->random, 4000, 120000);
    case 1:
    case 2:
        return sample_between(&sample->random, 1000, 4000);
    case 3:
    case 4:
    case 5:
    case 6:
        return sample_between(&sample->random, 128, 1000);
    default:
        return sample_between(&sample->random, 1, 128);
    }
}

static void put(struct sample *sample, size_t index)
{
    size_t size = draw_size(sample);
    free(g_buffers[index]);
    g_buffers[index] = malloc(size);
    if (!g_buffers[index]) {
        abort();
    }
    memset(g_buffers[index], 0xa5, size);
}

static void take(size_t index)
{
    free(g_buffers[index]);
    g_buffers[index] = NULL;
}

static void churn(struct sample *sample, size_t steps)
{
    for (size_t i = 0; i < steps; i++) {
        size_t index = sample_between(&sample->random, 0, g_buffer_count - 1);
        if (sample_between(&sample->random, 0, 2) == 0) {
            take(index);
        } else {
            put(sample, index);
        }
    }
}

int main(int argc, char **argv)
{
    struct sample sample = sample_start(argc, argv, 4000);
    g_buffer_count = sample.count + 1;
    g_buffers = calloc(g_buffer_count, sizeof *g_buffers);
    if (!g_buffers) {
        abort();
    }
    churn(&sample, 5 * g_buffer_count);
    for (size_t i = 0; i < g_buffer_count; i += 2) {
        take(i);
    }
    malloc_trim(0);
    churn(&sample, g_buffer_count);
    /* No allocation after these: they stay in caches, fastbins and the unsorted bin. */
    for (size_t i = 0; i < g_buffer_count; i += 3) {
        if (malloc_usable_size(g_buffers[i]) < 200) {
            take(i);
        }
    }
    for (size_t i = 1; i < g_buffer_count; i += 50) {
        take(i);
    }
    sample_ready();
}
