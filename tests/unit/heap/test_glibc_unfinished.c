/* heap/glibc_unfinished: what a thread that is inside malloc excuses, and what it does not. */
#include <signal.h>
#include <string.h>

#include "heap/glibc_check.h"
#include "image/module.h"
#include "support/glibc_builder.h"
#include "support/unit.h"

enum {
    CODE = 0x60001000, /* of malloc */
    MMAP = 0x60002000,
    OTHER = 0x60003000, /* of libc's other functions */
    STACK = 0x7ff00000,
    STACK_BYTES = 0x1000,
    CHUNK_COUNT = 12,
};

struct stopped {
    struct glibc_builder *builder;
    struct core_builder *core;
    cw_addr chunks[CHUNK_COUNT];
    struct heap_case c;
};

static struct stopped make(cw_addr pc, uint16_t signal)
{
    struct stopped stopped = {.builder = glibc_builder_create(glibc_pick(
                                  glibc_with_word_bytes(8) & glibc_with_mp_form(GLIBC_MP_2_35) &
                                  glibc_with_tcache_form(GLIBC_TCACHE_SHORT)))};
    stopped.core = glibc_builder_core(stopped.builder);
    core_builder_segment(stopped.core, STACK, STACK_BYTES, CW_PROT_READ | CW_PROT_WRITE);
    core_builder_thread(stopped.core, 1, pc, STACK, 0);
    core_builder_signal(stopped.core, signal);
    for (unsigned i = 0; i < CHUNK_COUNT; i++) {
        stopped.chunks[i] = glibc_builder_chunk(stopped.builder, 0, 0x100);
    }
    return stopped;
}

/* The serious findings there are, in a process whose libc has these functions. */
static size_t serious(struct stopped *stopped)
{
    struct cw_symbol symbols[] = {
        {.start = CODE, .size_bytes = 0x800, .name = "malloc", .is_function = true},
        {.start = MMAP, .size_bytes = 0x100, .name = "mmap", .is_function = true},
        {.start = OTHER, .size_bytes = 0x100, .name = "pause", .is_function = true},
    };
    struct cw_module libc = {.start = CODE,
                             .size_bytes = 0x10000,
                             .path = "libc.so.6",
                             .name = "libc.so.6",
                             .symbols = symbols,
                             .symbol_count = sizeof symbols / sizeof symbols[0]};
    for (size_t i = 0; i < libc.symbol_count; i++) {
        symbols[i].outer = CW_NONE;
        symbols[i].is_global = true;
    }
    struct cw_image_private private = {.libc = &libc};
    struct cw_image image = {.private = &private};
    heap_case_open_image(&stopped->c, stopped->builder, &image);
    CU_ASSERT_EQUAL_FATAL(stopped->c.status, CW_OK);
    size_t count = cw_notes_serious(&stopped->c.findings);
    CU_ASSERT(heap_case_close(&stopped->c));
    glibc_builder_destroy(stopped->builder);
    return count;
}

static void hold(struct stopped *stopped, unsigned word, uint64_t value)
{
    core_builder_word(stopped->core, STACK + word * 8, value);
}

/* A size that is not yet written at the chunk: the footer behind it is still that of both. */
static void lose_size(struct stopped *stopped, unsigned index, bool is_split)
{
    core_builder_word(stopped->core, stopped->chunks[index] + 8, UINT64_C(0x4141414141414141));
    if (is_split) {
        core_builder_word(stopped->core, stopped->chunks[index + 1], 0x200);
        core_builder_word(stopped->core, stopped->chunks[index + 1] + 8, 0x100);
    }
}

static void a_split_under_way(void)
{
    struct stopped stopped = make(CODE + 0x10, 0);
    hold(&stopped, 3, stopped.chunks[6]);
    lose_size(&stopped, 6, true);
    CU_ASSERT_EQUAL(serious(&stopped), 0);
}

static void a_smashed_size_is_no_split(void)
{
    struct stopped stopped = make(CODE + 0x10, 0);
    hold(&stopped, 3, stopped.chunks[6]);
    lose_size(&stopped, 6, false);
    CU_ASSERT_EQUAL(serious(&stopped), 1);
}

static void a_split_of_another_chunk(void)
{
    struct stopped stopped = make(CODE + 0x10, 0);
    hold(&stopped, 3, stopped.chunks[2]);
    lose_size(&stopped, 6, true);
    CU_ASSERT(serious(&stopped) > 0);
}

/* Frames of calls that are over say nothing. */
static void old_frames(void)
{
    struct stopped stopped = make(OTHER + 0x10, 0);
    hold(&stopped, 1, CODE + 0x20);
    hold(&stopped, 3, stopped.chunks[6]);
    lose_size(&stopped, 6, true);
    CU_ASSERT(serious(&stopped) > 0);
}

static void a_system_call_of_malloc(void)
{
    struct stopped stopped = make(MMAP + 0x10, 0);
    hold(&stopped, 0, CODE + 0x20);
    hold(&stopped, 3, stopped.chunks[6]);
    lose_size(&stopped, 6, true);
    CU_ASSERT_EQUAL(serious(&stopped), 0);
}

static void a_system_call_of_the_program(void)
{
    struct stopped stopped = make(MMAP + 0x10, 0);
    hold(&stopped, 0, 0x400000);
    hold(&stopped, 3, stopped.chunks[6]);
    hold(&stopped, 30, CODE + 0x20);
    lose_size(&stopped, 6, true);
    CU_ASSERT(serious(&stopped) > 0);
}

/* The thread that crashed inside malloc has met the damage; one that was told to abort has not. */
static void a_crash(void)
{
    struct stopped crashed = make(CODE + 0x10, SIGSEGV);
    hold(&crashed, 3, crashed.chunks[6]);
    lose_size(&crashed, 6, true);
    CU_ASSERT(serious(&crashed) > 0);
    struct stopped told = make(CODE + 0x10, SIGABRT);
    hold(&told, 3, told.chunks[6]);
    lose_size(&told, 6, true);
    CU_ASSERT_EQUAL(serious(&told), 0);
}

/* Of a whole arena only what a thread was at work on. */
static void an_arena_at_hand(void)
{
    for (unsigned i = 0; i < 2; i++) {
        struct stopped stopped = make(CODE + 0x10, 0);
        glibc_builder_bin(stopped.builder, 0, stopped.chunks[7], 16);
        cw_addr map = glibc_builder_bin_address(stopped.builder, 0, 2) + GLIBC_BIN_WORDS * 8;
        core_builder_word(stopped.core, map, 0);
        hold(&stopped, 5, i == 0 ? 0 : glibc_builder_arena_address(stopped.builder, 0));
        CU_ASSERT_EQUAL(serious(&stopped), i == 0 ? 1 : 0);
    }
}

CW_TEST_MAIN("heap/glibc_unfinished",
             CW_TEST(a_split_under_way),
             CW_TEST(a_smashed_size_is_no_split),
             CW_TEST(a_split_of_another_chunk),
             CW_TEST(old_frames),
             CW_TEST(a_system_call_of_malloc),
             CW_TEST(a_system_call_of_the_program),
             CW_TEST(a_crash),
             CW_TEST(an_arena_at_hand))
