/* The heap: asks every allocator of allocators.def, and makes one table of what they find. */
#include "heap/heap.h"

#include "heap/allocator.h"

#define CW_ALLOCATOR(name) extern const struct cw_allocator cw_allocator_##name;
#include "heap/allocators.def"
#undef CW_ALLOCATOR

static const struct cw_allocator *const allocators[] = {
#define CW_ALLOCATOR(name) &cw_allocator_##name,
#include "heap/allocators.def"
#undef CW_ALLOCATOR
};

enum { ALLOCATOR_COUNT = sizeof allocators / sizeof allocators[0] };

static enum cw_status find_all(struct cw_heap_builder *builder, void **states, struct cw_error *err)
{
    for (size_t i = 0; i < ALLOCATOR_COUNT; i++) {
        enum cw_status status = allocators[i]->find(builder, &states[i], err);
        if (status != CW_OK) {
            return status;
        }
        if (states[i] != NULL && builder->heap->allocator == NULL) {
            builder->heap->allocator = allocators[i]->name;
        }
    }
    return CW_OK;
}

static enum cw_status walk_all(struct cw_heap_builder *builder, void **states, struct cw_error *err)
{
    enum cw_status status = cw_heap_builder_make_cells(builder, err);
    for (size_t i = 0; i < ALLOCATOR_COUNT && status == CW_OK; i++) {
        status = states[i] == NULL ? CW_OK : allocators[i]->walk(builder, states[i], err);
    }
    return status == CW_OK ? cw_heap_builder_build(builder, err) : status;
}

static enum cw_status settle_all(struct cw_heap_builder *builder,
                                 void **states,
                                 struct cw_error *err)
{
    enum cw_status status = CW_OK;
    for (size_t i = 0; i < ALLOCATOR_COUNT && status == CW_OK; i++) {
        status = states[i] == NULL ? CW_OK : allocators[i]->mark(builder, states[i], err);
    }
    status = status == CW_OK ? cw_heap_builder_sum(builder, err) : status;
    for (size_t i = 0; i < ALLOCATOR_COUNT && status == CW_OK; i++) {
        if (states[i] != NULL) {
            allocators[i]->verify(builder, states[i]);
        }
    }
    return status == CW_OK ? cw_heap_builder_finish(builder, err) : status;
}

static enum cw_status make_heap(struct cw_heap_builder *builder, struct cw_error *err)
{
    void *states[ALLOCATOR_COUNT] = {NULL};
    enum cw_status status = find_all(builder, states, err);
    if (status == CW_OK) {
        status = walk_all(builder, states, err);
    }
    if (status == CW_OK) {
        status = settle_all(builder, states, err);
    }
    for (size_t i = 0; i < ALLOCATOR_COUNT; i++) {
        if (states[i] != NULL) {
            allocators[i]->release(states[i]);
        }
    }
    return status;
}

/* NOLINTNEXTLINE(readability-function-size): everything below this layer, by the contract. */
enum cw_status cw_heap_create(struct cw_space *space,
                              const struct cw_image *image,
                              struct cw_pool *pool,
                              const struct cw_progress *progress,
                              struct cw_arena *memory,
                              struct cw_notes *coverage,
                              struct cw_notes *findings,
                              struct cw_heap *ret_heap,
                              struct cw_error *err)
{
    struct cw_heap heap = {.space = space, .image = image, .memory = memory};
    heap.chunks.granule_shift = space->word_bytes == 8 ? 4 : 3;
    heap.chunks.header_bytes = 2 * space->word_bytes;
    heap.mmapped_overhead_bytes = heap.chunks.header_bytes;
    struct cw_heap_builder builder = {
        .space = space,
        .image = image,
        .pool = pool,
        .progress = progress,
        .coverage = coverage,
        .findings = findings,
        .heap = &heap,
    };
    cw_heap_builder_init(&builder, memory->budget);
    enum cw_status status = make_heap(&builder, err);
    cw_heap_builder_deinit(&builder);
    if (status == CW_OK) {
        *ret_heap = heap;
    } else {
        cw_heap_destroy(&heap);
    }
    return status;
}

void cw_heap_destroy(struct cw_heap *heap)
{
    cw_chunk_table_destroy(&heap->chunks);
}
