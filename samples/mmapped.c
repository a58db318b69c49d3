/*
 * An image server: frame buffers large enough for mappings of their own, aligned for the hardware
 * in every way there is, grown in place and moved.
 */
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sample.h"

enum {
    SMALLEST_FRAME = 140000, /* above the threshold of mmap */
    LARGEST_FRAME = 900000,
    LARGEST_ALIGNMENT = 2 << 20,
};

static void **g_frames;
static size_t g_frame_count;

static void keep(void *frame, uint64_t tag)
{
    if (!frame) {
        abort();
    }
    memcpy(frame, &tag, sizeof tag);
    g_frames[g_frame_count++] = frame;
}

static void *aligned(size_t alignment, size_t size)
{
    void *pointer;
    return posix_memalign(&pointer, alignment, size) == 0 ? pointer : NULL;
}

/* Below and above the threshold of mmap, by each of the functions that align. */
static void keep_aligned(struct sample *sample, size_t alignment)
{
    size_t size = sample_between(&sample->random, SMALLEST_FRAME, LARGEST_FRAME);
    keep(memalign(alignment, size), alignment);
    keep(aligned(alignment, size / 3 + 1), alignment);
    keep(aligned_alloc(alignment, alignment * 3), alignment);
    keep(memalign(alignment, sample_between(&sample->random, 8, 3000)), alignment);
}

/* Growing and shrinking a mapping, which the kernel may move. */
static void resize(struct sample *sample, size_t index)
{
    size_t size = sample_between(&sample->random, SMALLEST_FRAME, 4 * (size_t)LARGEST_FRAME);
    void *frame = realloc(g_frames[index], size);
    if (!frame) {
        abort();
    }
    g_frames[index] = frame;
}

int main(int argc, char **argv)
{
    struct sample sample = sample_start(argc, argv, 40);
    g_frames = calloc(sample.count * 3 + 256, sizeof *g_frames);
    if (!g_frames) {
        abort();
    }
    for (uint64_t i = 0; i < sample.count; i++) {
        keep(malloc(sample_between(&sample.random, SMALLEST_FRAME, LARGEST_FRAME)), i);
        keep(calloc(1, sample_between(&sample.random, 1000, 20000)), i);
    }
    for (size_t alignment = 16; alignment <= LARGEST_ALIGNMENT; alignment *= 2) {
        keep_aligned(&sample, alignment);
    }
    for (size_t i = 0; i < g_frame_count; i += 7) {
        resize(&sample, i);
    }
    /* From the first free of a mapping on the threshold rises: later frames are in the heap. */
    for (size_t i = 3; i < g_frame_count; i += 11) {
        free(g_frames[i]);
        g_frames[i] = NULL;
    }
    for (uint64_t i = 0; i < sample.count; i++) {
        keep(malloc(sample_between(&sample.random, SMALLEST_FRAME, LARGEST_FRAME)), i);
    }
    sample_ready();
}
