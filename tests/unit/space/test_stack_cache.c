/* space/stack_cache: the stacks of ended threads, by the lists that glibc keeps of them. */
#include "space/stack_cache.h"
#include "support/opened_core.h"
#include "support/unit.h"

enum {
    HEADS = 0x600000, /* in_use, by_user, cached: two words each */
    IN_USE = HEADS + 0x40,
    BY_USER = IN_USE + 0x10,
    CACHED = BY_USER + 0x10,
    STACKS = 0x100000,
    STACK_BYTES = 0x9000, /* with a guard of 0x1000 */
    DESCRIPTOR_OFF = 0x8700,
    LINK_OFF = 0x2c0,
    STACK_COUNT = 4, /* 0 and 1 live, 2 and 3 cached */
    PID = 100,
    RW = CW_PROT_READ | CW_PROT_WRITE,
};

static cw_addr descriptor_of(unsigned index)
{
    return STACKS + (cw_addr)index * STACK_BYTES + DESCRIPTOR_OFF;
}

static void link_nodes(struct core_builder *builder, const cw_addr *nodes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        core_builder_word(builder, nodes[i], nodes[(i + 1) % count]);
        core_builder_word(builder, nodes[(i + 1) % count] + 8, nodes[i]);
    }
}

static struct core_builder *make_core(void)
{
    struct core_builder *builder = core_builder_create(CW_ARCH_X86_64);
    core_builder_segment(builder, STACKS, (size_t)STACK_COUNT * STACK_BYTES, RW);
    core_builder_segment(builder, HEADS, 0x1000, RW);
    cw_addr nodes[STACK_COUNT];
    for (unsigned i = 0; i < STACK_COUNT; i++) {
        cw_addr descriptor = descriptor_of(i);
        core_builder_word(builder, descriptor, descriptor);
        core_builder_word(builder, descriptor + 0x10, descriptor);
        core_builder_word(builder, descriptor + 0x690, STACKS + (cw_addr)i * STACK_BYTES);
        core_builder_word(builder, descriptor + 0x698, STACK_BYTES);
        core_builder_word(builder, descriptor + 0x6a0, 0x1000);
        nodes[i] = descriptor + LINK_OFF;
    }
    link_nodes(builder, (cw_addr[]){IN_USE, nodes[0], nodes[1]}, 3);
    link_nodes(builder, (cw_addr[]){BY_USER}, 1);
    link_nodes(builder, (cw_addr[]){CACHED, nodes[2], nodes[3]}, 3);
    for (unsigned i = 0; i < 2; i++) {
        core_builder_thread(builder, PID + i, 0, descriptor_of(i) - 0x1000, descriptor_of(i));
    }
    return builder;
}

static size_t find(struct core_builder *builder, struct cw_stack stacks[STACK_COUNT])
{
    struct opened_core opened;
    opened_core_build(&opened, builder);
    CU_ASSERT_EQUAL_FATAL(opened.status, CW_OK);
    size_t count = cw_stack_cache_find(&opened.space, stacks, STACK_COUNT);
    opened_core_close(&opened);
    core_builder_destroy(builder);
    return count;
}

static void stacks_of_ended_threads_are_found(void)
{
    struct cw_stack stacks[STACK_COUNT];
    CU_ASSERT_EQUAL_FATAL(find(make_core(), stacks), 2);
    for (unsigned i = 0; i < 2; i++) {
        CU_ASSERT_EQUAL(stacks[i].start, STACKS + (cw_addr)(i + 2) * STACK_BYTES + 0x1000);
        CU_ASSERT_EQUAL(stacks[i].size_bytes, STACK_BYTES - 0x1000);
        CU_ASSERT_EQUAL(stacks[i].thread_index, CW_NONE);
        CU_ASSERT_TRUE(stacks[i].is_exact);
    }
}

static void a_list_with_a_living_thread_is_no_cache(void)
{
    struct cw_stack stacks[STACK_COUNT];
    struct core_builder *builder = make_core();
    core_builder_thread(builder, PID + 2, 0, descriptor_of(3) - 0x1000, descriptor_of(3));
    CU_ASSERT_EQUAL(find(builder, stacks), 0);
}

static void a_member_that_is_no_descriptor_spoils_the_list(void)
{
    struct cw_stack stacks[STACK_COUNT];
    struct core_builder *builder = make_core();
    core_builder_word(builder, descriptor_of(3) + 0x10, 0);
    CU_ASSERT_EQUAL(find(builder, stacks), 0);
    builder = make_core();
    core_builder_word(builder, descriptor_of(2) + 0x698, STACK_BYTES + 1);
    CU_ASSERT_EQUAL(find(builder, stacks), 0);
}

static void broken_links_are_not_followed(void)
{
    struct cw_stack stacks[STACK_COUNT];
    struct core_builder *builder = make_core();
    core_builder_word(builder, descriptor_of(3) + LINK_OFF + 8, CACHED);
    CU_ASSERT_EQUAL(find(builder, stacks), 0);
    builder = make_core();
    core_builder_word(builder, descriptor_of(3) + LINK_OFF, descriptor_of(2) + LINK_OFF);
    CU_ASSERT_EQUAL(find(builder, stacks), 0);
}

CW_TEST_MAIN("space/stack_cache",
             CW_TEST(stacks_of_ended_threads_are_found),
             CW_TEST(a_list_with_a_living_thread_is_no_cache),
             CW_TEST(a_member_that_is_no_descriptor_spoils_the_list),
             CW_TEST(broken_links_are_not_followed))
