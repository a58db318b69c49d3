/*
 * A heap with a damage, or several, planted when all else is done. --text names it; the file
 * "expected" in the current folder says what must be found: the code of the finding, its address,
 * and the block to blame, or 0. Allocates nothing between the oracle and its end but where a damage
 * needs it.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "oracle.h"
#include "sample.h"

/*
 * Blocks in a row, each right behind the one before. Sizes are what malloc is asked for; all are 8
 * modulo 16, and their chunks 8 larger in both word sizes.
 */
enum {
    WORD_BYTES = sizeof(size_t),
    SMALL_BYTES = 0x48,
    VICTIM_BYTES = 0x88,
    PAGE_VICTIM_BYTES = 0xf8, /* chunk size 0x100: a zero byte only clears its flags */
    LONG_VICTIM_BYTES = 0x108,
    BIN_BYTES = 0x238,   /* of a small bin, beyond fastbins */
    LARGE_BYTES = 0x818, /* of a large bin, beyond the thread's cache */
    MAPPED_BYTES = 1 << 20,
    /* More blocks of a size than a thread's cache takes: 7, 16 from 2.43 on. */
    CACHE_FILL = 16,
    OTHERS_LIMIT = 4096,
    STRING_COUNT = 24,
};

struct row {
    char *before;
    char *culprit;
    char *victim;
    char *behind;
};

static struct row g_used;      /* victim in use, VICTIM_BYTES */
static struct row g_page;      /* victim in use, PAGE_VICTIM_BYTES */
static struct row g_long;      /* victim in use, LONG_VICTIM_BYTES */
static struct row g_freed;     /* victim freed into a bin, LARGE_BYTES */
static struct row g_in_thread; /* in a thread arena, victim in use, VICTIM_BYTES */
static char *g_cached[4];      /* freed into the thread's cache, the last one first in its list */
static char *g_fast[CACHE_FILL + 3];
static char *g_small[CACHE_FILL + 3];
static char *g_small_guards[CACHE_FILL + 3];
static char *g_large[3]; /* of a bin, of descending sizes */
static char *g_large_guards[3];
static char *g_unsorted;
static char *g_mapped;
static char *g_strings[STRING_COUNT]; /* 8 bytes into their blocks, behind a header of their own */
static char *g_last;                  /* in front of the top */
static char *g_others[OTHERS_LIMIT];
static const char *g_kind;

/* ---- the heap ------------------------------------------------------------------------------ */

static char *filled(size_t size)
{
    char *block = malloc(size);
    memset(block, 'x', size);
    return block;
}

static void make_row(struct row *row, size_t victim_bytes)
{
    row->before = filled(SMALL_BYTES);
    row->culprit = filled(SMALL_BYTES);
    row->victim = filled(victim_bytes);
    row->behind = filled(SMALL_BYTES);
}

static void fill_bins(void)
{
    for (size_t i = 0; i < CACHE_FILL + 3; i++) {
        g_small[i] = filled(BIN_BYTES);
        g_small_guards[i] = filled(SMALL_BYTES);
    }
    for (size_t i = 0; i < 3; i++) {
        g_large[i] = filled(LARGE_BYTES + 0x10 * (2 - i));
        g_large_guards[i] = filled(SMALL_BYTES);
    }
    g_unsorted = filled(LARGE_BYTES + 0x400);
    filled(SMALL_BYTES);
    for (size_t i = 0; i < CACHE_FILL + 3; i++) {
        g_fast[i] = filled(0x28);
    }
    for (size_t i = 0; i < CACHE_FILL + 3; i++) {
        free(g_small[i]);
    }
    for (size_t i = 0; i < 3; i++) {
        free(g_large[i]);
    }
    free(g_freed.victim);
    g_last = filled(0x3018); /* sorts what was freed so far into bins */
    free(g_unsorted);
    for (size_t i = 0; i < CACHE_FILL + 3; i++) {
        free(g_fast[i]);
    }
}

/*
 * What calls of malloc that are over have left on the stack, return addresses and all, and blocks
 * beside it: that is no thread inside malloc.
 */
static void __attribute__((noinline)) rest_above_old_frames(void)
{
    char old_frames[700];
    const void *volatile blocks[] = {
        g_used.victim, g_used.behind, g_page.behind, g_long.behind, g_in_thread.behind};
    __asm__ volatile("" : : "r"(old_frames), "r"(blocks) : "memory");
    for (;;) {
        pause();
    }
}

static void *live_in_thread(void *unused)
{
    (void)unused;
    oracle_enter_thread();
    make_row(&g_in_thread, VICTIM_BYTES);
    for (size_t i = 0; i < 8; i++) {
        free(malloc(LARGE_BYTES)); /* joined with the top again */
    }
    rest_above_old_frames();
    return NULL;
}

static void make_heap(struct sample *sample)
{
    make_row(&g_used, VICTIM_BYTES);
    make_row(&g_page, PAGE_VICTIM_BYTES);
    make_row(&g_long, LONG_VICTIM_BYTES);
    make_row(&g_freed, LARGE_BYTES + 0x600);
    for (size_t i = 0; i < 4; i++) {
        g_cached[i] = filled(0x58);
    }
    for (size_t i = 0; i < STRING_COUNT; i++) {
        g_strings[i] = filled(0x18) + 8;
    }
    g_mapped = filled(MAPPED_BYTES);
    for (size_t i = 0; i < sample->count && i < OTHERS_LIMIT; i++) {
        g_others[i] = filled(sample_between(&sample->random, 0x61, 0x7f0) | 8);
    }
    pthread_t thread;
    pthread_create(&thread, NULL, live_in_thread, NULL);
    while (!__atomic_load_n(&g_in_thread.behind, __ATOMIC_ACQUIRE)) {
        usleep(1000);
    }
    fill_bins();
    for (size_t i = 0; i < 4; i++) {
        free(g_cached[i]);
    }
}

/* ---- what must be found -------------------------------------------------------------------- */

static void expect(const char *code, const void *address, const void *culprit)
{
    char line[128]; /* dprintf may allocate */
    int fd = open("expected", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    int length =
        snprintf(line, sizeof line, "%s %#zx %#zx\n", code, (size_t)address, (size_t)culprit);
    if (write(fd, line, (size_t)length) != length) {
        _exit(EXIT_FAILURE);
    }
    close(fd);
}

static char *chunk_of(char *block)
{
    return block - 2 * WORD_BYTES;
}

static size_t *words_of(char *block)
{
    return (size_t *)(void *)block;
}

/* What heaps of threads are aligned to. */
#define HEAP_BYTES ((size_t)1 << (WORD_BYTES == 8 ? 26 : 20))

static const size_t garbage = SIZE_MAX / 0xff * 0x41;

/* Fills a block to its end, and so many bytes beyond. */
static void overflow(char *block, size_t beyond, int byte)
{
    size_t usable = (words_of(block)[-1] & ~(size_t)7) - WORD_BYTES;
    memset(block, byte, usable + beyond);
}

/* ---- the damages --------------------------------------------------------------------------- */

static void overflow_used_1(void)
{
    overflow(g_used.culprit, 1, 'A');
    expect("chunk-size", chunk_of(g_used.victim), g_used.culprit);
}

static void overflow_used_8(void)
{
    overflow(g_used.culprit, 8, 'A');
    expect("chunk-size", chunk_of(g_used.victim), g_used.culprit);
}

static void overflow_used_24(void)
{
    overflow(g_used.culprit, 24, 'A');
    expect("chunk-size", chunk_of(g_used.victim), g_used.culprit);
}

/* A string that is one too long: its end clears PREV_INUSE. */
static void overflow_zero_flags(void)
{
    overflow(g_page.culprit, 0, 'A');
    g_page.victim[-WORD_BYTES] = 0;
    expect("prev-inuse", chunk_of(g_page.victim), g_page.culprit);
}

static void overflow_zero_size(void)
{
    overflow(g_long.culprit, 0, 'A');
    g_long.victim[-WORD_BYTES] = 0;
    expect("chunk-size", chunk_of(g_long.victim), g_long.culprit);
}

static void overflow_free_1(void)
{
    overflow(g_freed.culprit, 1, 'A');
    expect("chunk-size", chunk_of(g_freed.victim), g_freed.culprit);
}

static void overflow_free_8(void)
{
    overflow(g_freed.culprit, 8, 'A');
    expect("chunk-size", chunk_of(g_freed.victim), g_freed.culprit);
}

static void overflow_free_24(void)
{
    overflow(g_freed.culprit, 24, 'A');
    expect("chunk-size", chunk_of(g_freed.victim), g_freed.culprit);
}

static char *top(void)
{
    return g_last + (words_of(g_last)[-1] & ~(size_t)7);
}

static void overflow_top_1(void)
{
    overflow(g_last, 1, top()[-WORD_BYTES] == 'A' ? 'Q' : 'A');
    expect("top-size", chunk_of(top()), g_last);
}

static void overflow_top_8(void)
{
    overflow(g_last, 8, 'A');
    expect("top-size", chunk_of(top()), g_last);
}

static void overflow_top_24(void)
{
    overflow(g_last, 24, 'A');
    expect("top-size", chunk_of(top()), g_last);
}

static void top_zero(void)
{
    words_of(top())[-1] = 0;
    expect("top-size", chunk_of(top()), g_last);
}

static void top_huge(void)
{
    words_of(top())[-1] = ((SIZE_MAX >> 5) & ~(size_t)15) | 1;
    expect("top-size", chunk_of(top()), g_last);
}

static void top_misaligned(void)
{
    words_of(top())[-1] += 0x18;
    expect("top-size", chunk_of(top()), g_last);
}

static void underrun(void)
{
    words_of(g_used.victim)[-1] = garbage;
    expect("chunk-size", chunk_of(g_used.victim), g_used.culprit);
}

/* A string that is too long; of all strings around, only the insides are referred to. */
static void overflow_string(void)
{
    char *culprit = g_strings[11] - 8;
    overflow(culprit, 8, 'A');
    expect("chunk-size", chunk_of(g_strings[12] - 8), culprit);
}

/* Every so many blocks of a long row one is written beyond its end, now by a word, now by three. */
static void overflow_many(size_t count, size_t distance)
{
    for (size_t i = 0; i < count; i++) {
        size_t at = 10 + i * distance;
        overflow(g_others[at], i % 2 == 0 ? 8 : 24, 'A');
        expect("chunk-size", chunk_of(g_others[at + 1]), g_others[at]);
    }
}

static void overflow_twice(void)
{
    overflow_many(2, 40);
}

static void overflow_five_times(void)
{
    overflow_many(5, 90);
}

static void overflow_thirty_times(void)
{
    overflow_many(30, 16);
}

static void overflow_thread_8(void)
{
    overflow(g_in_thread.culprit, 8, 'A');
    expect("chunk-size", chunk_of(g_in_thread.victim), g_in_thread.culprit);
}

/* The overflow happens to leave a sound size, but for the flag of thread arenas. */
static void overflow_thread_flag(void)
{
    g_in_thread.victim[-WORD_BYTES] = (char)(VICTIM_BYTES + 8) | 1;
    expect("arena-flag", chunk_of(g_in_thread.victim), g_in_thread.culprit);
}

static void double_free_tcache(void)
{
    words_of(g_cached[3])[1] = 0;
    free(g_cached[3]);
    expect("double-free", g_cached[3], g_cached[3]);
}

static void double_free_fastbin(void)
{
    free(g_fast[CACHE_FILL + 1]);
    expect("double-free", g_fast[CACHE_FILL + 1], g_fast[CACHE_FILL + 1]);
}

static void late_write(char *block, size_t word, const char *code, bool at_chunk)
{
    words_of(block)[word] = garbage;
    expect(code, at_chunk ? chunk_of(block) : block, block);
}

/* The struct in which the thread's freed blocks are found: the first block of the heap. */
static void smashed_cache(void)
{
    char *cache = (char *)((size_t)g_used.before & ~(size_t)0xfff) + 16;
    while (words_of(cache)[-1] != 0x291) {
        cache -= 0x1000;
    }
    memset(cache, 'A', 64);
    expect("tcache-struct", cache, NULL);
}

static void late_tcache_link(void)
{
    late_write(g_cached[2], 0, "tcache-link", false);
}

static void late_tcache_key(void)
{
    late_write(g_cached[2], 1, "tcache-key", false);
}

static void late_fastbin_link(void)
{
    late_write(g_fast[CACHE_FILL + 1], 0, "fastbin-link", true);
}

static void late_small_fd(void)
{
    late_write(g_small[CACHE_FILL + 1], 0, "bin-link", true);
}

static void late_small_bk(void)
{
    late_write(g_small[CACHE_FILL + 1], 1, "bin-link", true);
}

static void late_large_fd(void)
{
    late_write(g_large[1], 0, "bin-link", true);
}

static void late_large_bk(void)
{
    late_write(g_large[1], 1, "bin-link", true);
}

static void late_large_nextsize(void)
{
    late_write(g_large[1], 2, "nextsize-link", true);
}

static void late_large_nextsize_back(void)
{
    late_write(g_large[1], 3, "nextsize-link", true);
}

static void late_unsorted_fd(void)
{
    late_write(g_unsorted, 0, "bin-link", true);
}

static void late_unsorted_bk(void)
{
    late_write(g_unsorted, 1, "bin-link", true);
}

static void late_tail(void)
{
    size_t size = words_of(g_large[1])[-1] & ~(size_t)7;
    words_of(g_large[1] + size)[-2] = garbage;
    expect("footer", chunk_of(g_large[1]), g_large[1]);
}

static void mapped_header(void)
{
    words_of(g_mapped)[-1] = garbage;
    expect("mmapped-header", chunk_of(g_mapped), NULL);
}

/* The only chunk of the unsorted bin links to the bin's head, in the arena. */
static void arena_bin(void)
{
    char *head = (char *)words_of(g_unsorted)[0];
    words_of(head)[2] = garbage;
    words_of(head)[3] = garbage;
    expect("arena-list", head + 2 * WORD_BYTES, NULL);
}

static void heap_info(void)
{
    size_t heap = (size_t)g_in_thread.victim & ~(HEAP_BYTES - 1);
    size_t arena = *(size_t *)heap;
    *(size_t *)heap = garbage;
    expect("heap-info", (void *)arena, NULL);
}

/* ---- found by glibc itself, which ends the process ----------------------------------------- */

/* Past the oracle, which would look at the block first. */
void __real_free(void *block);

static void abort_invalid_pointer(void)
{
    __real_free(g_used.victim + 8);
}

static void abort_fasttop(void)
{
    __real_free(g_fast[CACHE_FILL + 2]);
}

static void abort_prev(void)
{
    __real_free(g_unsorted);
}

static void abort_tcache(void)
{
    __real_free(g_cached[3]);
}

static void abort_top(void)
{
    top_huge();
    __real_free(malloc(0x20000 - 0x100));
}

static void abort_next_size(void)
{
    overflow(g_used.culprit, 8, 'A');
    expect("chunk-size", chunk_of(g_used.victim), g_used.culprit);
    __real_free(g_used.victim);
}

static const struct {
    const char *name;
    void (*plant)(void);
} g_damages[] = {
    {"overflow-used-1", overflow_used_1},
    {"overflow-used-8", overflow_used_8},
    {"overflow-used-24", overflow_used_24},
    {"overflow-zero-flags", overflow_zero_flags},
    {"overflow-zero-size", overflow_zero_size},
    {"overflow-free-1", overflow_free_1},
    {"overflow-free-8", overflow_free_8},
    {"overflow-free-24", overflow_free_24},
    {"overflow-top-1", overflow_top_1},
    {"overflow-top-8", overflow_top_8},
    {"overflow-top-24", overflow_top_24},
    {"top-zero", top_zero},
    {"top-huge", top_huge},
    {"top-misaligned", top_misaligned},
    {"underrun", underrun},
    {"overflow-string", overflow_string},
    {"overflow-twice", overflow_twice},
    {"overflow-five-times", overflow_five_times},
    {"overflow-thirty-times", overflow_thirty_times},
    {"smashed-cache", smashed_cache},
    {"overflow-thread-8", overflow_thread_8},
    {"overflow-thread-flag", overflow_thread_flag},
    {"double-free-tcache", double_free_tcache},
    {"double-free-fastbin", double_free_fastbin},
    {"late-tcache-link", late_tcache_link},
    {"late-tcache-key", late_tcache_key},
    {"late-fastbin-link", late_fastbin_link},
    {"late-small-fd", late_small_fd},
    {"late-small-bk", late_small_bk},
    {"late-large-fd", late_large_fd},
    {"late-large-bk", late_large_bk},
    {"late-large-nextsize", late_large_nextsize},
    {"late-large-nextsize-back", late_large_nextsize_back},
    {"late-unsorted-fd", late_unsorted_fd},
    {"late-unsorted-bk", late_unsorted_bk},
    {"late-tail", late_tail},
    {"mapped-header", mapped_header},
    {"arena-bin", arena_bin},
    {"heap-info", heap_info},
    {"abort-invalid-pointer", abort_invalid_pointer},
    {"abort-fasttop", abort_fasttop},
    {"abort-prev", abort_prev},
    {"abort-tcache", abort_tcache},
    {"abort-top", abort_top},
    {"abort-next-size", abort_next_size},
};

static void plant(void)
{
    for (size_t i = 0; i < sizeof g_damages / sizeof g_damages[0]; i++) {
        if (strcmp(g_damages[i].name, g_kind) == 0) {
            g_damages[i].plant();
        }
    }
}

int main(int argc, char **argv)
{
    struct sample sample = sample_start(argc, argv, 500);
    g_kind = sample.text;
    make_heap(&sample);
    sample_ready_after(plant);
}
