/* Thread stacks: from the thread descriptor, else the region around the stack pointer. */
#include "space/stack.h"

#include <stdlib.h>

#include "base/checked.h"
#include "space/stack_cache.h"

enum {
    /* struct pthread is 0x900 bytes on x86-64, 0x740 on aarch64; the words lie well inside. */
    DESCRIPTOR_BYTES = 0x1000,
};

/* Whether or not sp lies in it: the thread may be on a stack of its own making (sigaltstack). */
static bool is_stack_block(const struct cw_space *space,
                           cw_addr descriptor,
                           const uint64_t words[3])
{
    uint64_t mask = space->page_bytes - 1;
    uint64_t block = words[0];
    uint64_t size = words[1];
    uint64_t guard = words[2];
    uint64_t end;
    return block != 0 && ((block | size | guard) & mask) == 0 && guard < size &&
           cw_add(block, size, &end) && cw_range_has(block + guard, size - guard, descriptor);
}

/* What can be seen of the descriptor: aarch64's ends at the thread pointer, others begin there. */
static uint64_t see_descriptor(const struct cw_space *space, cw_addr tp, const uint8_t **ret_data)
{
    if (space->target->arch != CW_ARCH_AARCH64) {
        return cw_min(cw_space_run(space, tp, ret_data), DESCRIPTOR_BYTES);
    }
    const struct cw_region *region = tp != 0 ? cw_space_find(space, tp - 1) : NULL;
    if (region == NULL) {
        return 0;
    }
    uint64_t size = cw_min(cw_align_down(tp - region->start, space->word_bytes), DESCRIPTOR_BYTES);
    *ret_data = cw_space_view(space, tp - size, size);
    return *ret_data != NULL ? size : 0;
}

bool cw_stack_of_descriptor(const struct cw_space *space,
                            cw_addr descriptor,
                            struct cw_stack *stack)
{
    unsigned word = space->word_bytes;
    const uint8_t *data = NULL;
    uint64_t seen = see_descriptor(space, descriptor, &data);
    if (data == NULL) {
        return false;
    }
    for (uint64_t off = 0; off + 3 * (uint64_t)word <= seen; off += word) {
        uint64_t words[3];
        for (unsigned i = 0; i < 3; i++) {
            words[i] = cw_load_word(data + off + (uint64_t)i * word, word);
        }
        if (is_stack_block(space, descriptor, words)) {
            stack->start = words[0] + words[2];
            stack->size_bytes = words[1] - words[2];
            stack->is_exact = true;
            return true;
        }
    }
    return false;
}

/*
 * The main thread's stack is the kernel's: its descriptor names none, but the random bytes of the
 * auxiliary vector lie on it.
 */
static cw_addr address_on_stack(const struct cw_space *space, const struct cw_thread *thread)
{
    const struct cw_target *target = space->target;
    bool is_main = thread->tid == target->pid && target->auxv_random != 0;
    return is_main ? target->auxv_random : thread->sp;
}

static bool find_stack(const struct cw_space *space, uint32_t index, struct cw_stack *stack)
{
    const struct cw_thread *thread = &space->target->threads[index];
    *stack = (struct cw_stack){.thread_index = index};
    if (thread->tp != 0 && cw_stack_of_descriptor(space, thread->tp, stack)) {
        return true;
    }
    cw_addr address = address_on_stack(space, thread);
    const struct cw_region *region = address != 0 ? cw_space_find(space, address) : NULL;
    if (region == NULL || !cw_region_is_writable(region)) {
        return false;
    }
    stack->start = region->start;
    stack->size_bytes = region->size_bytes;
    return true;
}

/* Exact ones come first where two begin at one place, so that they win. */
static int compare_stacks(const void *left, const void *right)
{
    const struct cw_stack *a = left;
    const struct cw_stack *b = right;
    if (a->start != b->start) {
        return a->start < b->start ? -1 : 1;
    }
    if (a->is_exact != b->is_exact) {
        return a->is_exact ? -1 : 1;
    }
    return a->thread_index < b->thread_index ? -1 : 1;
}

bool cw_space_stacks(const struct cw_space *space,
                     struct cw_arena *arena,
                     struct cw_stack **ret_stacks,
                     size_t *ret_count)
{
    size_t thread_count = space->target->thread_count;
    size_t cached_count = cw_stack_cache_find(space, NULL, 0);
    size_t limit = thread_count + cached_count;
    if (limit == 0) {
        *ret_stacks = NULL;
        *ret_count = 0;
        return true;
    }
    struct cw_stack *stacks = cw_arena_alloc_array(arena, limit, sizeof *stacks);
    if (stacks == NULL) {
        return false;
    }
    size_t found = 0;
    for (size_t i = 0; i < thread_count; i++) {
        found += find_stack(space, (uint32_t)i, &stacks[found]);
    }
    if (cached_count > 0) {
        cw_stack_cache_find(space, &stacks[found], cached_count);
        found += cached_count;
    }
    if (found > 1) {
        qsort(stacks, found, sizeof *stacks, compare_stacks);
    }
    size_t kept = 0;
    for (size_t i = 0; i < found; i++) {
        const struct cw_stack *last = kept > 0 ? &stacks[kept - 1] : NULL;
        if (last == NULL || !cw_range_has(last->start, last->size_bytes, stacks[i].start)) {
            stacks[kept++] = stacks[i];
        }
    }
    *ret_stacks = stacks;
    *ret_count = kept;
    return true;
}
