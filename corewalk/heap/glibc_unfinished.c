/*
 * Cores that were taken while malloc was at work. Between its steps headers and links disagree: a
 * chunk is split, unlinked or merged in several writes. That is no damage when a thread was stopped
 * inside malloc with that very chunk in its registers or on top of its stack, and was not stopped
 * by what malloc itself found.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "heap/damage.h"
#include "heap/glibc_check.h"

enum {
    STACK_WORDS = 128, /* above the stack pointer: the frames of malloc and what it calls */
    LARGEST_COUNT = CW_REGISTER_LIMIT + STACK_WORDS,
};

struct code_range {
    cw_addr start;
    cw_addr end; /* 0: not known */
};

/* What a stopped thread had at hand. */
struct hand {
    uint32_t tid;
    unsigned count;
    uint64_t words[LARGEST_COUNT];
};

/* ---- where malloc's code lies -------------------------------------------------------------- */

static const char *const entry_points[] = {
    "malloc",         "free",        "calloc",       "realloc",      "__libc_memalign",
    "aligned_alloc",  "valloc",      "pvalloc",      "mallinfo2",    "malloc_trim",
    "posix_memalign", "malloc_info", "malloc_stats", "mallopt",      "malloc_usable_size",
    "_int_malloc",    "_int_free",   "sysmalloc",    "_int_realloc", "malloc_consolidate",
};

/* Static functions have no symbol in a stripped libc: they lie behind the symbol before. */
static cw_addr end_before(const struct cw_module *libc, const struct cw_symbol *first)
{
    cw_addr end = 0;
    for (const struct cw_symbol *at = libc->symbols; at < first; at++) {
        if (at->is_function && at->start < first->start) {
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

/* ---- threads inside it --------------------------------------------------------------------- */

static bool is_fatal(uint32_t signal)
{
    return signal == SIGABRT || signal == SIGSEGV || signal == SIGBUS || signal == SIGILL ||
           signal == SIGFPE || signal == SIGTRAP;
}

/* Is it the thread that the process died of? */
static bool has_crashed(const struct cw_target *target, const struct cw_thread *thread)
{
    return is_fatal(target->signal) && (thread == target->threads || is_fatal(thread->signal));
}

static void read_hand(const struct glibc *glibc, const struct cw_thread *thread, struct hand *hand)
{
    struct glibc_window window = {.space = glibc->space};
    *hand = (struct hand){.tid = thread->tid};
    for (uint32_t i = 0; i < thread->register_count && i < CW_REGISTER_LIMIT; i++) {
        hand->words[hand->count++] = thread->registers[i];
    }
    cw_addr stack = cw_align_down(thread->sp, glibc->word_bytes);
    for (unsigned i = 0; i < STACK_WORDS && thread->sp != 0; i++) {
        uint64_t word;
        if (!glibc_peek(&window, stack + i * glibc->word_bytes, &word)) {
            break;
        }
        hand->words[hand->count++] = word;
    }
}

static bool is_inside(const struct cw_thread *thread,
                      const struct hand *hand,
                      const struct code_range *code)
{
    bool is_inside = thread->pc >= code->start && thread->pc < code->end;
    for (unsigned i = 0; i < hand->count; i++) {
        is_inside |= hand->words[i] >= code->start && hand->words[i] < code->end;
    }
    return is_inside;
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

/* Findings about a whole arena or cache say no chunk that a thread could have at hand. */
static bool is_of_whole(const struct cw_note *note)
{
    return strcmp(note->code, "arena-sum") == 0 || strcmp(note->code, "tcache-count") == 0 ||
           strcmp(note->code, "binmap") == 0 || strcmp(note->code, "arena-list") == 0;
}

static bool explains(const struct glibc *glibc, const struct hand *hand, const struct cw_note *note)
{
    bool is_whole = is_of_whole(note);
    if (note->address == 0) {
        return false;
    }
    for (unsigned i = 0; i < hand->count && !is_whole; i++) {
        is_whole = is_near(glibc, hand->words[i], note->address);
    }
    return is_whole;
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
             hand->tid);
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

void glibc_explain_unfinished(const struct glibc_copies *copies)
{
    const struct glibc *glibc = &copies->items[0];
    const struct cw_target *target = glibc->space->target;
    struct code_range code = find_code(glibc->builder->image);
    if (code.end == 0) {
        explain_locked(copies);
        return;
    }
    for (size_t i = 0; i < target->thread_count; i++) {
        const struct cw_thread *thread = &target->threads[i];
        struct hand hand;
        read_hand(glibc, thread, &hand);
        if (is_inside(thread, &hand, &code)) {
            glibc->builder->heap->checks.unfinished_count++;
            if (!has_crashed(target, thread)) {
                explain(glibc, &hand);
            }
        }
    }
}
