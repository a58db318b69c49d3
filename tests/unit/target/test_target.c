/* target/target: names, and closing what was never opened. */
#include "support/unit.h"
#include "target/target.h"

static void machines_have_names(void)
{
    CU_ASSERT_STRING_EQUAL(cw_arch_name(CW_ARCH_X86_64), "x86_64");
    CU_ASSERT_STRING_EQUAL(cw_arch_name(CW_ARCH_I386), "i386");
    CU_ASSERT_STRING_EQUAL(cw_arch_name(CW_ARCH_AARCH64), "aarch64");
    CU_ASSERT_STRING_EQUAL(cw_arch_name(CW_ARCH_UNKNOWN), "unknown");
    CU_ASSERT_STRING_EQUAL(cw_arch_name((enum cw_arch)99), "unknown");
}

static void count_close(struct cw_target *target)
{
    ++*(unsigned *)target->context;
}

static void closing_happens_once(void)
{
    unsigned close_count = 0;
    struct cw_target target = {.close = count_close, .context = &close_count};
    cw_target_close(&target);
    cw_target_close(&target);
    CU_ASSERT_EQUAL(close_count, 1);
}

CW_TEST_MAIN("target/target", CW_TEST(machines_have_names), CW_TEST(closing_happens_once))
