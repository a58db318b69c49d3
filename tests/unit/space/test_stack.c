/* space/stack: stacks by their descriptors, and by what else tells. */
#include <elf.h>

#include "space/stack.h"
#include "support/opened_core.h"
#include "support/unit.h"

enum {
    MAIN_STACK = 0x700000, /* 0x4000 */
    BLOCK = 0x100000,      /* guard 0x1000, then 0x8000; neighbours in the same mapping */
    BLOCK_BYTES = 0x9000,
    TP = BLOCK + 0x8400,
    OTHER = 0x300000, /* 0x2000 */
    RW = CW_PROT_READ | CW_PROT_WRITE,
    PID = 100,
};

static struct core_builder *make_core(void)
{
    struct core_builder *builder = core_builder_create(CW_ARCH_X86_64);
    core_builder_segment(builder, MAIN_STACK, 0x4000, RW);
    core_builder_segment(builder, BLOCK + 0x1000, 0x10000, RW);
    core_builder_segment(builder, OTHER, 0x2000, RW);
    core_builder_auxv(builder, AT_RANDOM, MAIN_STACK + 0x3f00);
    core_builder_word(builder, TP + 0x690, BLOCK);
    core_builder_word(builder, TP + 0x698, BLOCK_BYTES);
    core_builder_word(builder, TP + 0x6a0, 0x1000);
    return builder;
}

struct found {
    struct opened_core opened;
    struct core_builder *builder;
    struct cw_stack *stacks;
    size_t count;
};

static void find(struct found *found, struct core_builder *builder)
{
    *found = (struct found){.builder = builder};
    opened_core_build(&found->opened, builder);
    CU_ASSERT_EQUAL_FATAL(found->opened.status, CW_OK);
    CU_ASSERT_TRUE(
        cw_space_stacks(&found->opened.space, &found->opened.arena, &found->stacks, &found->count));
}

static void release(struct found *found)
{
    opened_core_close(&found->opened);
    core_builder_destroy(found->builder);
}

/* On aarch64 the descriptor ends where the thread pointer points. */
static void a_descriptor_below_the_thread_pointer_is_read(void)
{
    struct core_builder *builder = core_builder_create(CW_ARCH_AARCH64);
    core_builder_segment(builder, BLOCK + 0x1000, 0x10000, RW);
    core_builder_word(builder, TP - 0xb0, BLOCK);
    core_builder_word(builder, TP - 0xa8, BLOCK_BYTES);
    core_builder_word(builder, TP - 0xa0, 0x1000);
    core_builder_thread(builder, PID + 1, 0, BLOCK + 0x5000, TP);
    struct found found;
    find(&found, builder);
    CU_ASSERT_EQUAL_FATAL(found.count, 1);
    CU_ASSERT_EQUAL(found.stacks[0].start, BLOCK + 0x1000);
    CU_ASSERT_EQUAL(found.stacks[0].size_bytes, BLOCK_BYTES - 0x1000);
    CU_ASSERT_TRUE(found.stacks[0].is_exact);
    release(&found);
}

static void words_of_four_bytes_are_read(void)
{
    struct core_builder *builder = core_builder_create(CW_ARCH_I386);
    core_builder_segment(builder, BLOCK + 0x1000, 0x10000, RW);
    core_builder_word(builder, TP + 0x23c, BLOCK);
    core_builder_word(builder, TP + 0x240, BLOCK_BYTES);
    core_builder_word(builder, TP + 0x244, 0x1000);
    core_builder_thread(builder, PID + 1, 0, BLOCK + 0x5000, TP);
    struct found found;
    find(&found, builder);
    CU_ASSERT_EQUAL_FATAL(found.count, 1);
    CU_ASSERT_EQUAL(found.stacks[0].start, BLOCK + 0x1000);
    CU_ASSERT_TRUE(found.stacks[0].is_exact);
    release(&found);
}

static void the_descriptor_tells_the_stack_inside_a_larger_mapping(void)
{
    struct core_builder *builder = make_core();
    core_builder_thread(builder, PID, 0, MAIN_STACK + 0x2000, 0);
    core_builder_thread(builder, PID + 1, 0, BLOCK + 0x5000, TP);
    struct found found;
    find(&found, builder);
    CU_ASSERT_EQUAL_FATAL(found.count, 2);
    CU_ASSERT_EQUAL(found.stacks[0].start, BLOCK + 0x1000);
    CU_ASSERT_EQUAL(found.stacks[0].size_bytes, 0x8000);
    CU_ASSERT_TRUE(found.stacks[0].is_exact);
    CU_ASSERT_EQUAL(found.stacks[0].thread_index, 1);
    CU_ASSERT_EQUAL(found.stacks[1].start, MAIN_STACK);
    CU_ASSERT_EQUAL(found.stacks[1].size_bytes, 0x4000);
    CU_ASSERT_FALSE(found.stacks[1].is_exact);
    release(&found);
}

static void a_thread_on_another_stack_keeps_its_own(void)
{
    struct core_builder *builder = make_core();
    core_builder_thread(builder, PID, 0, OTHER + 0x1000, 0);
    core_builder_thread(builder, PID + 1, 0, OTHER + 0x800, TP);
    struct found found;
    find(&found, builder);
    CU_ASSERT_EQUAL_FATAL(found.count, 2);
    CU_ASSERT_EQUAL(found.stacks[0].start, BLOCK + 0x1000);
    CU_ASSERT_EQUAL(found.stacks[1].start, MAIN_STACK);
    release(&found);
}

static void without_a_descriptor_the_region_counts_once(void)
{
    struct core_builder *builder = make_core();
    core_builder_word(builder, TP + 0x698, BLOCK_BYTES + 1);
    core_builder_thread(builder, PID, 0, MAIN_STACK + 0x2000, 0);
    core_builder_thread(builder, PID + 1, 0, BLOCK + 0x5000, TP);
    core_builder_thread(builder, PID + 2, 0, BLOCK + 0x6000, 0);
    core_builder_thread(builder, PID + 3, 0, 0xdead0000, 0xdead0000);
    struct found found;
    find(&found, builder);
    CU_ASSERT_EQUAL_FATAL(found.count, 2);
    CU_ASSERT_EQUAL(found.stacks[0].start, BLOCK + 0x1000);
    CU_ASSERT_EQUAL(found.stacks[0].size_bytes, 0x10000);
    CU_ASSERT_EQUAL(found.stacks[0].thread_index, 1);
    release(&found);
}

CW_TEST_MAIN("space/stack",
             CW_TEST(a_descriptor_below_the_thread_pointer_is_read),
             CW_TEST(words_of_four_bytes_are_read),
             CW_TEST(the_descriptor_tells_the_stack_inside_a_larger_mapping),
             CW_TEST(a_thread_on_another_stack_keeps_its_own),
             CW_TEST(without_a_descriptor_the_region_counts_once))
