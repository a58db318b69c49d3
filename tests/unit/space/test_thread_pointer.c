/* space/thread_pointer: pointers that no note gives, found by the threads' descriptors. */
#include "space/thread_pointer.h"
#include "support/opened_core.h"
#include "support/unit.h"

enum {
    RW = CW_PROT_READ | CW_PROT_WRITE,
    STACK = 0x200000,
    STACK_BYTES = 0x8000,
    FIRST = 0x300000, /* the first thread's mapping */
    LIBC = 0x400000,  /* holds the head of the list */
    AARCH64_BYTES = 0x740,
    MAIN_TID = 100,
    OTHER_TID = 101,
};

/* Where the list and the id lie in struct pthread. */
struct offsets {
    enum cw_arch arch;
    unsigned list;
    unsigned tid;
};

static const struct offsets i386 = {CW_ARCH_I386, 0x60, 0x68};
static const struct offsets x86_64 = {CW_ARCH_X86_64, 0x2c0, 0x2d0};
static const struct offsets aarch64 = {CW_ARCH_AARCH64, 0xc0, 0xd0};

static unsigned word_of(const struct offsets *offsets)
{
    return offsets->arch == CW_ARCH_I386 ? 4 : 8;
}

static struct core_builder *memory(const struct offsets *offsets)
{
    struct core_builder *builder = core_builder_create(offsets->arch);
    core_builder_segment(builder, STACK, STACK_BYTES, RW);
    core_builder_segment(builder, FIRST, 0x2000, RW);
    core_builder_segment(builder, LIBC, 0x1000, RW);
    core_builder_thread(builder, MAIN_TID, 1, 0, 0);
    core_builder_thread(builder, OTHER_TID, 1, STACK + 0x100, 0);
    return builder;
}

/* A list of one item, whose head is in the C library. */
static void link_descriptor(struct core_builder *builder,
                            const struct offsets *offsets,
                            cw_addr address,
                            cw_addr head)
{
    unsigned word = word_of(offsets);
    cw_addr list = address + offsets->list;
    core_builder_word(builder, list, head);
    core_builder_word(builder, list + word, head);
    core_builder_word(builder, head, list);
    core_builder_word(builder, head + word, list);
}

/* Returns the thread pointer that it means. */
static cw_addr put_descriptor(struct core_builder *builder,
                              const struct offsets *offsets,
                              cw_addr address,
                              uint32_t tid,
                              cw_addr head)
{
    unsigned word = word_of(offsets);
    link_descriptor(builder, offsets, address, head);
    core_builder_bytes(builder, address + offsets->tid, &tid, sizeof tid);
    if (offsets->arch != CW_ARCH_AARCH64) {
        core_builder_word(builder, address, address);
        core_builder_word(builder, address + 2 * (cw_addr)word, address);
        return address;
    }
    cw_addr tp = address + AARCH64_BYTES;
    cw_addr dtv = head + 0x100;
    core_builder_word(builder, tp, dtv);
    core_builder_word(builder, dtv - 16, 3); /* entries */
    core_builder_word(builder, dtv + 16, UINT64_MAX);
    core_builder_word(builder, dtv + 32, tp + 0x40);
    return tp;
}

static void open_and_find(struct opened_core *opened, struct core_builder *builder)
{
    opened_core_build(opened, builder);
    CU_ASSERT_EQUAL_FATAL(opened->status, CW_OK);
    CU_ASSERT_TRUE(cw_space_find_thread_pointers(&opened->space, &opened->target));
}

static void both_kinds_of_threads_are_found(void)
{
    static const struct offsets *const machines[] = {&i386, &x86_64, &aarch64};
    for (size_t i = 0; i < sizeof machines / sizeof machines[0]; i++) {
        struct core_builder *builder = memory(machines[i]);
        struct opened_core opened;
        cw_addr main_tp = put_descriptor(builder, machines[i], FIRST + 0x800, MAIN_TID, LIBC);
        cw_addr other_tp =
            put_descriptor(builder, machines[i], STACK + 0x7000, OTHER_TID, LIBC + 0x400);
        open_and_find(&opened, builder);
        CU_ASSERT_EQUAL(opened.target.threads[0].tp, main_tp);
        CU_ASSERT_EQUAL(opened.target.threads[1].tp, other_tp);
        opened_core_close(&opened);
        core_builder_destroy(builder);
    }
}

static void what_is_no_living_thread_is_not_taken(void)
{
    struct core_builder *builder = memory(&i386);
    struct opened_core opened;
    put_descriptor(builder, &i386, FIRST + 0x800, 999, LIBC); /* another's id */
    cw_addr stale = put_descriptor(builder, &i386, STACK + 0x7000, OTHER_TID, LIBC + 0x400);
    core_builder_word(builder, LIBC + 0x400, 0); /* no longer in the list */
    open_and_find(&opened, builder);
    CU_ASSERT_EQUAL(opened.target.threads[0].tp, 0);
    CU_ASSERT_EQUAL(opened.target.threads[1].tp, 0);
    opened_core_close(&opened);
    core_builder_word(builder, LIBC + 0x400, stale + i386.list);
    core_builder_word(builder, stale + 8, stale + 4); /* not itself */
    open_and_find(&opened, builder);
    CU_ASSERT_EQUAL(opened.target.threads[1].tp, 0);
    opened_core_close(&opened);
    core_builder_destroy(builder);
}

static void a_dtv_must_lead_to_the_threads_own_memory(void)
{
    struct core_builder *builder = memory(&aarch64);
    struct opened_core opened;
    put_descriptor(builder, &aarch64, FIRST + 0x800, MAIN_TID, LIBC);
    core_builder_word(builder, LIBC + 0x100 + 32, FIRST); /* before it */
    open_and_find(&opened, builder);
    CU_ASSERT_EQUAL(opened.target.threads[0].tp, 0);
    opened_core_close(&opened);
    core_builder_destroy(builder);
}

static void what_the_notes_say_stays(void)
{
    struct core_builder *builder = core_builder_create(CW_ARCH_I386);
    struct opened_core opened;
    core_builder_segment(builder, FIRST, 0x2000, RW);
    core_builder_segment(builder, LIBC, 0x1000, RW);
    core_builder_thread(builder, MAIN_TID, 1, 0, 0x1234);
    put_descriptor(builder, &i386, FIRST + 0x800, MAIN_TID, LIBC);
    open_and_find(&opened, builder);
    CU_ASSERT_EQUAL(opened.target.threads[0].tp, 0x1234);
    opened_core_close(&opened);
    core_builder_destroy(builder);
}

/* Each place looks like a descriptor whose end is not to be found: the steps must be counted. */
static void a_hostile_memory_ends_in_time(void)
{
    struct core_builder *builder = core_builder_create(CW_ARCH_AARCH64);
    struct opened_core opened;
    core_builder_segment(builder, FIRST, 0x40000, RW);
    core_builder_thread(builder, MAIN_TID, 1, FIRST, 0);
    for (cw_addr at = FIRST; at < FIRST + 0x40000; at += 16) {
        core_builder_word(builder, at, (at & 0x1f) == 0 ? at : MAIN_TID);
        core_builder_word(builder, at + 8, (at & 0x1f) == 0 ? at : 0);
    }
    open_and_find(&opened, builder);
    CU_ASSERT_EQUAL(opened.target.threads[0].tp, 0);
    opened_core_close(&opened);
    core_builder_destroy(builder);
}

CW_TEST_MAIN("space/thread_pointer",
             CW_TEST(both_kinds_of_threads_are_found),
             CW_TEST(what_is_no_living_thread_is_not_taken),
             CW_TEST(a_dtv_must_lead_to_the_threads_own_memory),
             CW_TEST(what_the_notes_say_stays),
             CW_TEST(a_hostile_memory_ends_in_time))
