/*
 * The search: one pass over writable memory for all threads that want a pointer, first where their
 * stacks are. glibc makes stacks with the descriptor at their end; the first thread's lies in a
 * mapping of its own.
 */
#include "space/thread_pointer.h"

#include <stdlib.h>

#include "base/checked.h"

enum {
    STEP_BYTES = 16, /* a descriptor is aligned to at least that */
    STEP_LIMIT = 1 << 28,
    /* sizeof(struct pthread), of which aarch64's thread pointer is the end: 0x6f0 … 0x8c0. */
    LEAST_DESCRIPTOR_BYTES = 0x400,
    MOST_DESCRIPTOR_BYTES = 0x1400,
    DTV_ENTRY_LIMIT = 1024,
    STATIC_TLS_BYTES = 1 << 24, /* more than glibc gives all modules at start */
    FETCHED_REGION_LIMIT = 64 << 20,
};

/*
 * struct pthread begins with a header of 24 words, on x86_64 of 704 bytes for the ABI's sake; the
 * list and the thread's id follow (nptl/descr.h of all releases since 2.4).
 */
struct descriptor {
    enum cw_arch arch;
    unsigned list_off;
    unsigned tid_off;
    bool has_self; /* tp is its start, and it says so; else tp is its end */
};

static const struct descriptor descriptors[] = {
    {CW_ARCH_X86_64, 0x2c0, 0x2d0, true},
    {CW_ARCH_I386, 0x60, 0x68, true},
    {CW_ARCH_AARCH64, 0xc0, 0xd0, false},
};

struct wanted {
    uint32_t tid;
    uint32_t thread_index;
};

struct search {
    const struct cw_space *space;
    struct cw_target *target;
    const struct descriptor *descriptor;
    struct cw_vector wanted; /* struct wanted, by tid */
    size_t left;             /* how many were not found */
    uint64_t steps_left;
};

static int compare_wanted(const void *a, const void *b)
{
    const struct wanted *left = a;
    const struct wanted *right = b;
    if (left->tid != right->tid) {
        return left->tid < right->tid ? -1 : 1;
    }
    return left->thread_index < right->thread_index ? -1 : left->thread_index > right->thread_index;
}

static bool take_step(struct search *search)
{
    search->steps_left -= search->steps_left > 0 ? 1 : 0;
    return search->steps_left > 0;
}

static bool gather_wanted(struct search *search)
{
    const struct cw_target *target = search->target;
    for (uint32_t i = 0; i < target->thread_count; i++) {
        struct wanted item = {.tid = target->threads[i].tid, .thread_index = i};
        if (target->threads[i].tp == 0 && item.tid != 0 &&
            !cw_vector_append(&search->wanted, &item)) {
            return false;
        }
    }
    cw_vector_sort(&search->wanted, compare_wanted);
    search->left = search->wanted.count;
    return true;
}

/* The thread of that id that still wants a pointer, or NULL. */
static struct cw_thread *thread_of(const struct search *search, uint32_t tid)
{
    size_t low = 0;
    size_t high = search->wanted.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct wanted *item = cw_vector_at(&search->wanted, middle);
        if (item->tid < tid) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    const struct wanted *item =
        low < search->wanted.count ? cw_vector_at(&search->wanted, low) : NULL;
    struct cw_thread *thread =
        item != NULL && item->tid == tid ? &search->target->threads[item->thread_index] : NULL;
    return thread != NULL && thread->tp == 0 ? thread : NULL;
}

/* Do both neighbours in the list lead back? */
static bool is_linked(const struct search *search, cw_addr address)
{
    unsigned word = search->space->word_bytes;
    cw_addr list = address + search->descriptor->list_off;
    uint64_t next;
    uint64_t previous;
    uint64_t back;
    uint64_t forth;
    return cw_space_read_word(search->space, list, &next) &&
           cw_space_read_word(search->space, list + word, &previous) &&
           cw_space_read_word(search->space, next + word, &back) && back == list &&
           cw_space_read_word(search->space, previous, &forth) && forth == list;
}

/*
 * Is this the dtv of a thread with that pointer? Its first entry, one before what it points to,
 * counts the others; each is an address and what to free; one at least lies in the static TLS.
 */
static bool is_dtv(struct search *search, cw_addr dtv, cw_addr tp)
{
    const struct cw_space *space = search->space;
    unsigned word = space->word_bytes;
    uint64_t entry_bytes = 2 * (uint64_t)word;
    uint64_t count;
    if (dtv < entry_bytes || !cw_space_read_word(space, dtv - entry_bytes, &count)) {
        return false;
    }
    for (uint64_t i = 1; i <= cw_min(count, DTV_ENTRY_LIMIT) && take_step(search); i++) {
        uint64_t start;
        if (!cw_space_read_word(space, dtv + i * entry_bytes, &start)) {
            return false;
        }
        if (start > tp && start - tp < STATIC_TLS_BYTES) {
            return true;
        }
    }
    return false;
}

/* The thread pointer at the descriptor's end: a dtv, and a word that is not used. 0: none. */
static cw_addr find_end(struct search *search, cw_addr address)
{
    const struct cw_space *space = search->space;
    unsigned word = space->word_bytes;
    for (uint64_t off = LEAST_DESCRIPTOR_BYTES; off <= MOST_DESCRIPTOR_BYTES && take_step(search);
         off += STEP_BYTES) {
        uint64_t dtv;
        uint64_t unused;
        if (cw_space_read_word(space, address + off, &dtv) && dtv != 0 && dtv % word == 0 &&
            cw_space_read_word(space, address + off + word, &unused) && unused == 0 &&
            is_dtv(search, dtv, address + off)) {
            return address + off;
        }
    }
    return 0;
}

static void look_at(struct search *search, cw_addr address, const uint8_t *data)
{
    const struct descriptor *descriptor = search->descriptor;
    unsigned word = search->space->word_bytes;
    if (descriptor->has_self && (cw_load_word(data, word) != address ||
                                 cw_load_word(data + (size_t)2 * word, word) != address)) {
        return;
    }
    uint32_t tid = cw_load_u32(data + descriptor->tid_off);
    struct cw_thread *thread = tid != 0 ? thread_of(search, tid) : NULL;
    if (thread == NULL || !is_linked(search, address)) {
        return;
    }
    thread->tp = descriptor->has_self ? address : find_end(search, address);
    search->left -= thread->tp != 0 ? 1 : 0;
}

static void search_region(struct search *search, const struct cw_region *region)
{
    const uint8_t *data;
    cw_addr start;
    bool is_fetched = search->target->read != NULL;
    if (!cw_region_is_writable(region) || !cw_align_up(region->start, STEP_BYTES, &start) ||
        (is_fetched && region->size_bytes > FETCHED_REGION_LIMIT)) {
        return;
    }
    uint64_t seen = cw_space_run(search->space, start, &data);
    uint64_t least = search->descriptor->tid_off + sizeof(uint32_t);
    for (uint64_t off = 0;
         search->left > 0 && off < seen && seen - off >= least && take_step(search);
         off += STEP_BYTES) {
        look_at(search, start + off, data + off);
    }
}

static void search_all(struct search *search)
{
    const struct cw_space *space = search->space;
    for (size_t i = 0; i < search->wanted.count; i++) {
        const struct wanted *item = cw_vector_at(&search->wanted, i);
        const struct cw_thread *thread = &search->target->threads[item->thread_index];
        const struct cw_region *region =
            thread->tp == 0 && thread->sp != 0 ? cw_space_find(space, thread->sp) : NULL;
        if (region != NULL) {
            search_region(search, region);
        }
    }
    bool is_held = space->target->read == NULL;
    for (size_t i = 0; i < space->region_count && is_held && search->left > 0; i++) {
        search_region(search, &space->regions[i]);
    }
}

bool cw_space_find_thread_pointers(const struct cw_space *space, struct cw_target *target)
{
    struct search search = {.space = space, .target = target, .steps_left = STEP_LIMIT};
    for (size_t i = 0; i < sizeof descriptors / sizeof descriptors[0]; i++) {
        if (descriptors[i].arch == target->arch) {
            search.descriptor = &descriptors[i];
        }
    }
    if (search.descriptor == NULL) {
        return true;
    }
    cw_vector_init(&search.wanted, space->arena->budget, sizeof(struct wanted));
    bool is_done = gather_wanted(&search);
    if (is_done && search.left > 0) {
        search_all(&search);
    }
    cw_vector_deinit(&search.wanted);
    return is_done;
}
