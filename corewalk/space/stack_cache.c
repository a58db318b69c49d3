/* Lists of descriptors, from one to the next; all reads are checked, all walks bounded. */
#include "space/stack_cache.h"

#include "base/checked.h"

enum {
    DESCRIPTOR_BYTES = 0x1000,
    HEADS_BYTES = 256, /* around one list's head, where the others' may lie */
    LARGEST_MEMBER_COUNT = 1 << 16,
    THREADS_TRIED = 16,
    STEP_LIMIT = 1 << 22, /* along all lists together */
    THREADS_PER_STEP = 64,
};

struct search {
    const struct cw_space *space;
    uint64_t word_bytes;
    uint64_t link_off; /* of the links in a descriptor */
    struct cw_stack *stacks;
    size_t limit;
    size_t count;
    uint64_t steps_left;
};

static bool take_steps(struct search *search, uint64_t count)
{
    return cw_sub(search->steps_left, count, &search->steps_left);
}

static bool word_at(const struct search *search, cw_addr address, uint64_t *ret_value)
{
    return cw_space_read_word(search->space, address, ret_value);
}

/* Does the node's successor point back to it? */
static bool next_node(const struct search *search, cw_addr node, cw_addr *ret_next)
{
    uint64_t next;
    uint64_t back;
    if (!word_at(search, node, &next) || next == 0 || next % search->word_bytes != 0 ||
        !word_at(search, next + search->word_bytes, &back) || back != node) {
        return false;
    }
    *ret_next = next;
    return true;
}

static bool is_live(const struct search *search, cw_addr descriptor)
{
    const struct cw_target *target = search->space->target;
    for (size_t i = 0; i < target->thread_count; i++) {
        if (target->threads[i].tp == descriptor) {
            return true;
        }
    }
    return false;
}

/* On x86 a descriptor begins with its own address, and has it again two words on. */
static bool is_descriptor(const struct search *search, cw_addr address)
{
    uint64_t first;
    uint64_t third;
    return word_at(search, address, &first) && first == address &&
           word_at(search, address + 2 * search->word_bytes, &third) && third == address;
}

/* The head of the list that the node is on: its only member in no descriptor. 0: none, or more. */
static cw_addr find_head(struct search *search, cw_addr node)
{
    cw_addr head = 0;
    cw_addr at = node;
    for (unsigned steps = 0; steps < LARGEST_MEMBER_COUNT; steps++) {
        if (!take_steps(search, 1) || !next_node(search, at, &at)) {
            return 0;
        }
        if (at == node) {
            return head;
        }
        if (!is_descriptor(search, at - search->link_off)) {
            if (head != 0) {
                return 0;
            }
            head = at;
        }
    }
    return 0;
}

/* Takes the stacks of the list, if all its members are descriptors of no live thread. */
static void take_list(struct search *search, cw_addr head)
{
    size_t count_before = search->count;
    cw_addr node = head;
    uint64_t steps = 1 + search->space->target->thread_count / THREADS_PER_STEP;
    while (next_node(search, node, &node) && node != head) {
        cw_addr descriptor = node - search->link_off;
        struct cw_stack stack = {.thread_index = CW_NONE};
        if (search->count - count_before >= LARGEST_MEMBER_COUNT || !take_steps(search, steps) ||
            !is_descriptor(search, descriptor) || is_live(search, descriptor) ||
            !cw_stack_of_descriptor(search->space, descriptor, &stack)) {
            break;
        }
        if (search->count < search->limit) {
            search->stacks[search->count] = stack;
        }
        search->count++;
    }
    if (node != head) {
        search->count = count_before;
    }
}

static void take_lists_near(struct search *search, cw_addr head)
{
    cw_addr first = head - cw_min(head, HEADS_BYTES);
    for (uint64_t off = 0; off <= (uint64_t)2 * HEADS_BYTES; off += search->word_bytes) {
        if (first + off != head) {
            take_list(search, first + off);
        }
    }
}

size_t cw_stack_cache_find(const struct cw_space *space, struct cw_stack *ret_stacks, size_t limit)
{
    const struct cw_target *target = space->target;
    struct search search = {
        .space = space,
        .word_bytes = space->word_bytes,
        .stacks = ret_stacks,
        .limit = limit,
        .steps_left = STEP_LIMIT,
    };
    if (target->arch != CW_ARCH_X86_64 && target->arch != CW_ARCH_I386) {
        return 0;
    }
    size_t thread_count = cw_min(target->thread_count, THREADS_TRIED);
    for (size_t i = 0; i < thread_count && search.count == 0; i++) {
        cw_addr descriptor = target->threads[i].tp;
        if (descriptor == 0 || !is_descriptor(&search, descriptor)) {
            continue;
        }
        for (uint64_t off = 0; off < DESCRIPTOR_BYTES && search.count == 0;
             off += search.word_bytes) {
            search.link_off = off;
            cw_addr head = find_head(&search, descriptor + off);
            if (head != 0) {
                take_lists_near(&search, head);
            }
        }
    }
    return search.count;
}
