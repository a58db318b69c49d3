/*
 * Cores that were taken while malloc was at work. Between its steps headers and links disagree: a
 * chunk is split, unlinked or merged in several writes. That is no damage when a thread was stopped
 * inside malloc with that very chunk in its registers or on top of its stack, and was not stopped
 * by what malloc itself found.
 *
 * A thread is inside when its pc is in malloc's code, or in a system call that malloc changes the
 * heap by and that has just been called from there. One that waits for an arena's lock changes
 * nothing. Frames that were left keep their return addresses, so that no word further up counts.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "heap/damage.h"
#include "heap/glibc_check.h"

enum {
    HAND_WORDS = 64,    /* above the stack pointer: the frames of malloc and what it calls */
    CALLER_WORDS = 12,  /* those of a system call's wrapper, sbrk() and what they save */
    LINK_REGISTER = 30, /* of aarch64 */
    LARGEST_COUNT = CW_REGISTER_LIMIT + HAND_WORDS,
};

struct code_range {
    cw_addr start;
    cw_addr end; /* 0: not known */
};

/* What a thread that was stopped inside malloc had at hand. */
struct hand {
    const struct cw_thread *thread;
    unsigned count;
    uint64_t words[LARGEST_COUNT];
};

/* ---- where malloc's code lies -------------------------------------------------------------- */

/* The functions of malloc.c that are exported, wherever the compiler puts them. */
static const char *const entry_points[] = {
    "malloc",
    "free",
    "calloc",
    "realloc",
    "__libc_memalign",
    "aligned_alloc",
    "valloc",
    "pvalloc",
    "mallinfo2",
    "malloc_trim",
    "posix_memalign",
    "malloc_info",
    "malloc_stats",
    "mallopt",
    "malloc_usable_size",
    "__libc_malloc",
    "__libc_free",
    "mallinfo",
    "__default_morecore",
};

/*
 * Static functions have no symbol in a stripped libc: they lie behind the last exported one of the
 * file before.
 */
static cw_addr end_before(const struct cw_module *libc, const struct cw_symbol *first)
{
    cw_addr end = 0;
    for (const struct cw_symbol *at = libc->symbols; at < first; at++) {
        if (at->is_function && at->is_global && at->start < first->start) {
            end = cw_max(end, at->start + at->size_bytes);
        }
    }
    return end != 0 && end < first->start ? end : first->start;
}

static struct code_range find_code(const struct cw_image *image)
{
    struct code_range code = {0};
    const struct cw_module *libc = image != NULL ? cw_image_libc(image) : NULL;
    const struct cw_symbol *first = NULL;
    for (size_t i = 0; libc != NULL && i < sizeof entry_points / sizeof entry_points[0]; i++) {
        const struct cw_symbol *symbol = cw_module_symbol_named(libc, entry_points[i]);
        if (symbol == NULL) {
            continue;
        }
        first = first == NULL || symbol->start < first->start ? symbol : first;
        code.end = cw_max(code.end, symbol->start + symbol->size_bytes);
    }
    if (first != NULL) {
        code.start = end_before(libc, first);
    }
    return code;
}

static bool is_in(const struct code_range *code, cw_addr address)
{
    return address >= code->start && address < code->end;
}

/* ---- threads inside it --------------------------------------------------------------------- */

/* Is the pc in a function of libc that malloc gets and returns memory by? */
static bool is_in_system_call(const struct cw_image *image, cw_addr pc)
{
    static const char *const names[] = {
        "brk", "sbrk", "mmap", "munmap", "mremap", "mprotect", "madvise"};
    const struct cw_module *libc = cw_image_libc(image);
    const struct cw_symbol *symbol = libc != NULL ? cw_module_symbol_at(libc, pc) : NULL;
    for (size_t i = 0; symbol != NULL && i < sizeof names / sizeof names[0]; i++) {
        /* Of several names of a function any may be kept. */
        const struct cw_symbol *named = cw_module_symbol_named(libc, names[i]);
        if (named != NULL && named->start == symbol->start) {
            return true;
        }
    }
    return false;
}

/* Was it called from malloc's code: by the link register, or a return address next to the top? */
static bool has_malloc_called(const struct glibc *glibc,
                              const struct cw_thread *thread,
                              const struct code_range *code)
{
    struct glibc_window window = {.space = glibc->space};
    cw_addr stack = cw_align_down(thread->sp, glibc->word_bytes);
    uint64_t word;
    for (unsigned i = 0; i < CALLER_WORDS && thread->sp != 0; i++) {
        if (glibc_peek(&window, stack + i * glibc->word_bytes, &word) && is_in(code, word)) {
            return true;
        }
    }
    bool has_link_register = glibc->space->target->arch == CW_ARCH_AARCH64;
    return has_link_register && thread->register_count > LINK_REGISTER &&
           is_in(code, thread->registers[LINK_REGISTER]);
}

static bool is_inside(const struct glibc *glibc,
                      const struct cw_thread *thread,
                      const struct code_range *code)
{
    return is_in(code, thread->pc) || (is_in_system_call(glibc->builder->image, thread->pc) &&
                                       has_malloc_called(glibc, thread, code));
}

static bool is_fault(uint32_t signal)
{
    return signal == SIGSEGV || signal == SIGBUS || signal == SIGILL || signal == SIGFPE ||
           signal == SIGTRAP;
}

/*
 * Is it the thread that the process died of? The kernel dumps that one first, and gives its signal
 * to all. A thread that is inside when it gets SIGABRT was not ended by malloc: abort() raises it
 * from elsewhere.
 */
static bool has_crashed(const struct cw_target *target, const struct cw_thread *thread)
{
    return thread == target->threads && is_fault(target->signal);
}

static void read_hand(const struct glibc *glibc, const struct cw_thread *thread, struct hand *hand)
{
    struct glibc_window window = {.space = glibc->space};
    *hand = (struct hand){.thread = thread};
    for (uint32_t i = 0; i < thread->register_count && i < CW_REGISTER_LIMIT; i++) {
        hand->words[hand->count++] = thread->registers[i];
    }
    cw_addr stack = cw_align_down(thread->sp, glibc->word_bytes);
    for (unsigned i = 0; i < HAND_WORDS && thread->sp != 0; i++) {
        uint64_t word;
        if (!glibc_peek(&window, stack + i * glibc->word_bytes, &word)) {
            break;
        }
        hand->words[hand->count++] = word;
    }
}

/* ---- findings ------------------------------------------------------------------------------ */

/* Is the word the start of the chunk that holds the address, of its content, or of a neighbour? */
static bool is_near(const struct glibc *glibc, uint64_t word, cw_addr address)
{
    const struct cw_chunk_table *table = &glibc->builder->heap->chunks;
    uint32_t wanted = cw_chunk_table_find(table, address);
    uint32_t index = cw_chunk_table_find(table, word);
    if (word == address) {
        return true;
    }
    if (wanted == CW_NONE || index == CW_NONE || index + 1 < wanted || index > wanted + 1) {
        return false;
    }
    cw_addr start = cw_chunk_table_get(table, index).start;
    return word == start || word == start + glibc->header_bytes ||
           (index == wanted && word == address + glibc->header_bytes);
}

static bool has_near(const struct glibc *glibc, const struct hand *hand, cw_addr address)
{
    for (unsigned i = 0; i < hand->count; i++) {
        if (is_near(glibc, hand->words[i], address)) {
            return true;
        }
    }
    return false;
}

static bool has_word(const struct hand *hand, uint64_t wanted)
{
    for (unsigned i = 0; i < hand->count; i++) {
        if (hand->words[i] == wanted) {
            return true;
        }
    }
    return false;
}

static bool has_word_in(const struct hand *hand, cw_addr start, uint64_t size_bytes)
{
    for (unsigned i = 0; i < hand->count; i++) {
        if (cw_range_has(start, size_bytes, hand->words[i])) {
            return true;
        }
    }
    return false;
}

static bool is_code(const struct cw_note *note, enum cw_damage damage)
{
    return strcmp(note->code, cw_damage_kind_of(damage)->code) == 0;
}

/* The arena in whose struct the address lies, or NULL. */
static const struct glibc_arena *arena_at(const struct glibc *glibc, cw_addr address)
{
    for (size_t i = 0; glibc->layout != NULL && i < glibc->arenas.count; i++) {
        const struct glibc_arena *arena = glibc_arena_at(glibc, i);
        if (cw_range_has(arena->address, glibc_arena_bytes(glibc->layout), address)) {
            return arena;
        }
    }
    return NULL;
}

/* The thread had the arena at hand and its lock was held, or not needed. */
static bool is_at_work_on(const struct glibc *glibc,
                          const struct hand *hand,
                          const struct glibc_arena *arena)
{
    return (arena->was_busy || glibc->space->target->thread_count == 1) &&
           has_word_in(hand, arena->address, glibc_arena_bytes(glibc->layout));
}

/*
 * The cache's own thread changes one of its lists at a time. NULL: the address is that of no
 * cache.
 */
static const struct glibc_tcache *tcache_at(const struct glibc *glibc, cw_addr address)
{
    for (size_t i = 0; i < glibc->tcaches.count; i++) {
        const struct glibc_tcache *cache = cw_vector_at(&glibc->tcaches, i);
        if (cache->address == address) {
            return cache;
        }
    }
    return NULL;
}

/* Memory that was just taken or returned: no more than a heap, and brk grows by little more. */
static bool is_sum_in_flight(const struct glibc *glibc, const struct glibc_arena *arena)
{
    size_t index = (size_t)(arena - glibc_arena_at(glibc, 0));
    const struct cw_heap_arena *counted =
        cw_vector_at(&glibc->builder->arenas, glibc->first_arena + index);
    uint64_t found = glibc_found_bytes(counted);
    uint64_t off = found > counted->system_bytes ? found - counted->system_bytes
                                                 : counted->system_bytes - found;
    return off <= glibc->heap_max_bytes;
}

static bool is_only_one_of(const struct glibc *glibc, const struct cw_note *note)
{
    const struct cw_notes *findings = glibc->builder->findings;
    size_t count = 0;
    for (size_t i = 0; i < findings->items.count; i++) {
        count += cw_note_at(findings, i)->address == note->address ? 1 : 0;
    }
    return count == 1;
}

/*
 * A split writes the new sizes before the footer, and the top of an arena before its size. So the
 * rest, whose header is old content yet, still counts with the chunk before it at its end; or its
 * size is in a register, to be written; or one of the two is the top.
 */
static bool is_half_split(const struct glibc *glibc, const struct hand *hand, cw_addr rest)
{
    const struct cw_chunk_table *table = &glibc->builder->heap->chunks;
    uint32_t index = cw_chunk_table_find(table, rest);
    const struct cw_extent *extent = cw_chunk_table_extent_at(table, rest);
    if (index == CW_NONE || extent == NULL || index == extent->first_chunk) {
        return false;
    }
    struct cw_chunk chunk = cw_chunk_table_get(table, index);
    cw_addr before = cw_chunk_table_get(table, index - 1).start;
    cw_addr end = chunk.start + chunk.size_bytes;
    struct glibc_window window = {.space = glibc->space};
    uint64_t footer = 0;
    uint64_t size_word = GLIBC_PREV_INUSE;
    if (chunk.start != rest || !(has_word(hand, rest) || has_word(hand, before))) {
        return false;
    }
    for (size_t i = 0; i < glibc->arenas.count; i++) {
        cw_addr top = glibc_arena_at(glibc, i)->top;
        if (top == rest || top == before) {
            return true;
        }
    }
    bool has_end = glibc_peek(&window, end, &footer) &&
                   glibc_peek(&window, end + glibc->word_bytes, &size_word);
    bool has_size = false;
    for (unsigned flags = 0; flags <= GLIBC_FLAGS; flags++) {
        has_size |= has_word(hand, chunk.size_bytes | flags);
    }
    return has_size || (has_end && (size_word & GLIBC_PREV_INUSE) == 0 && footer == end - before);
}

static bool explains(const struct glibc *glibc, const struct hand *hand, const struct cw_note *note)
{
    const struct glibc_arena *arena = arena_at(glibc, note->address);
    const struct glibc_tcache *cache = tcache_at(glibc, note->address);
    if (note->address == 0) {
        return false;
    }
    if (arena != NULL) {
        return is_at_work_on(glibc, hand, arena) &&
               (!is_code(note, CW_DAMAGE_ARENA_SUM) || is_sum_in_flight(glibc, arena));
    }
    if (cache != NULL) {
        return cache->tid == hand->thread->tid && is_only_one_of(glibc, note);
    }
    return is_code(note, CW_DAMAGE_CHUNK_SIZE) ? is_half_split(glibc, hand, note->address)
                                               : has_near(glibc, hand, note->address);
}

static void lower(struct cw_notes *findings, struct cw_note *note, const char *reason)
{
    const char *text =
        cw_arena_printf(findings->arena, "no damage, most likely: %s: %s", reason, note->text);
    note->text = text != NULL ? text : note->text;
    note->severity = CW_INFO;
    note->culprit = 0;
}

static void explain(const struct glibc *glibc, const struct hand *hand)
{
    struct cw_notes *findings = glibc->builder->findings;
    char reason[80];
    snprintf(reason,
             sizeof reason,
             "thread %" PRIu32 " was stopped inside malloc, at work on this",
             hand->thread->tid);
    for (size_t i = 0; i < findings->items.count; i++) {
        struct cw_note *note = cw_note_at(findings, i);
        if (note->severity != CW_INFO && cw_damage_kind(note->code) != NULL &&
            explains(glibc, hand, note)) {
            lower(findings, note, reason);
        }
    }
}

/* Does the address lie in the memory of an arena, or its struct, whose lock was held? */
static bool is_locked(const struct glibc *glibc, cw_addr address)
{
    const struct cw_chunk_table *table = &glibc->builder->heap->chunks;
    const struct cw_extent *extent = cw_chunk_table_extent_at(table, address);
    for (uint32_t i = 0; i < glibc->arenas.count; i++) {
        const struct glibc_arena *arena = glibc_arena_at(glibc, i);
        bool is_in_struct = glibc->layout != NULL && address >= arena->address &&
                            address - arena->address < glibc_arena_bytes(glibc->layout);
        bool is_in_memory = extent != NULL && extent->arena_index == glibc->first_arena + i;
        if (arena->was_busy && (is_in_struct || is_in_memory)) {
            return true;
        }
    }
    return false;
}

static bool is_of_lists(const struct cw_note *note)
{
    static const char *const codes[] = {
        "bin-link", "nextsize-link", "arena-list", "top-size", "free-not-binned"};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        if (strcmp(note->code, codes[i]) == 0) {
            return true;
        }
    }
    return false;
}

/*
 * Where malloc's code lies is not known: an arena's lock must do, for what it relinks. malloc holds
 * it too when it ends the process over what it found.
 */
static void explain_locked(const struct glibc_copies *copies)
{
    if (copies->items[0].space->target->signal == SIGABRT) {
        return;
    }
    struct cw_notes *findings = copies->items[0].builder->findings;
    for (size_t i = 0; i < findings->items.count; i++) {
        struct cw_note *note = cw_note_at(findings, i);
        bool has_lock = false;
        for (size_t k = 0; k < copies->count; k++) {
            has_lock |= is_locked(&copies->items[k], note->address);
        }
        if (note->severity != CW_INFO && is_of_lists(note) && has_lock) {
            lower(findings, note, "the arena's lock was held, so that it was being changed");
        }
    }
}

/* Has the process died inside libc? Then the lock may be that of the thread that found damage. */
static bool has_died_in_libc(const struct glibc *glibc)
{
    const struct cw_target *target = glibc->space->target;
    const struct cw_image *image = glibc->builder->image;
    const struct cw_module *libc = image != NULL ? cw_image_libc(image) : NULL;
    return (is_fault(target->signal) || target->signal == SIGABRT) && target->thread_count > 0 &&
           (libc == NULL || cw_range_has(libc->start, libc->size_bytes, target->threads[0].pc));
}

void glibc_explain_unfinished(const struct glibc_copies *copies)
{
    const struct glibc *glibc = &copies->items[0];
    const struct cw_target *target = glibc->space->target;
    struct code_range code = find_code(glibc->builder->image);
    if (code.end == 0) {
        if (!has_died_in_libc(glibc)) {
            explain_locked(copies);
        }
        return;
    }
    for (size_t i = 0; i < target->thread_count; i++) {
        const struct cw_thread *thread = &target->threads[i];
        if (!is_inside(glibc, thread, &code)) {
            continue;
        }
        glibc->builder->heap->checks.unfinished_count++;
        struct hand hand;
        read_hand(glibc, thread, &hand);
        for (size_t k = 0; k < copies->count && !has_crashed(target, thread); k++) {
            explain(&copies->items[k], &hand);
        }
    }
}
