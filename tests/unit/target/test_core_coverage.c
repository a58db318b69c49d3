/* target/core_coverage: one sentence for each kind of thing that is not there. */
#include <string.h>

#include "support/opened_core.h"
#include "support/unit.h"
#include "target/core_coverage.h"

enum { RW = CW_PROT_READ | CW_PROT_WRITE };

static struct core_builder *sample(void)
{
    struct core_builder *builder = core_builder_create(CW_ARCH_X86_64);
    core_builder_mapping(builder, 0x400000, 0x1000, 0, "/bin/sample");
    core_builder_thread(builder, 7, 1, 2, 3);
    return builder;
}

static bool says(const struct opened_core *opened, const char *code, const char *text)
{
    const struct cw_note *note = opened_core_note(opened, code);
    return note != NULL && strstr(note->text, text) != NULL;
}

static void a_whole_core_needs_no_words(void)
{
    struct core_builder *builder = sample();
    struct opened_core opened;
    core_builder_segment(builder, 0x10000, 0x4000, RW);
    core_builder_partial_segment(builder, 0x400000, 0x1000, 0, CW_PROT_READ);
    core_builder_partial_segment(builder, 0x500000, 0x1000, 0, 0);
    opened_core_build(&opened, builder);
    CU_ASSERT_EQUAL(opened.coverage.items.count, 0);
    CU_ASSERT_EQUAL(opened.target.missing_bytes, 0);
    opened_core_close(&opened);
    core_builder_destroy(builder);
}

static void a_cut_says_how_much_is_gone(void)
{
    struct core_builder *builder = sample();
    struct opened_core opened;
    size_t size;
    core_builder_segment(builder, 0x10000, 0x4000, RW);
    core_builder_segment(builder, 0x20000, 0x4000, RW);
    const uint8_t *bytes = core_builder_finish(builder, &size);
    opened_core_open(&opened, bytes, size - 0x2000);
    CU_ASSERT_EQUAL(opened.target.missing_bytes, 0x2000);
    CU_ASSERT_EQUAL(opened.coverage.items.count, 1);
    CU_ASSERT_TRUE(says(&opened, "core-truncated", "Missing: 8.0 KiB of the 32.0 KiB of memory"));
    CU_ASSERT_TRUE(says(&opened, "core-truncated", "(25.0 %)"));
    opened_core_close(&opened);

    opened_core_open(&opened, bytes, size - 1);
    CU_ASSERT_EQUAL(opened.target.missing_bytes, 1);
    CU_ASSERT_TRUE(says(&opened, "core-truncated", "(less than 0.1 %)"));
    opened_core_close(&opened);
    core_builder_destroy(builder);
}

static void a_cut_through_the_headers_counts_them(void)
{
    struct core_builder *builder = sample();
    struct opened_core opened;
    size_t size;
    core_builder_segment(builder, 0x10000, 0x1000, RW);
    core_builder_segment(builder, 0x20000, 0x1000, RW);
    const uint8_t *bytes = core_builder_finish(builder, &size);
    opened_core_open(&opened, bytes, core_builder_header_off(builder, 1));
    CU_ASSERT_TRUE(says(&opened, "core-truncated", "1 of 3 segment headers"));
    CU_ASSERT_TRUE(says(&opened, "core-truncated", "; notes on threads and mapped files."));
    CU_ASSERT_TRUE(says(&opened, "core-threads-missing", "NT_PRSTATUS"));
    opened_core_close(&opened);
    core_builder_destroy(builder);
}

static void a_lost_count_is_said(void)
{
    struct core_builder *builder = sample();
    struct opened_core opened;
    size_t size;
    core_builder_segment(builder, 0x10000, 0x1000, RW);
    core_builder_force_xnum(builder);
    const uint8_t *bytes = core_builder_finish(builder, &size);
    opened_core_open(&opened, bytes, size - 64);
    CU_ASSERT_EQUAL(opened.target.missing_bytes, 0);
    CU_ASSERT_TRUE(
        says(&opened, "core-truncated", "Missing: the number of segment headers (2 were found)."));
    opened_core_close(&opened);
    core_builder_destroy(builder);
}

static void what_the_filter_took_is_said_of_anonymous_memory_only(void)
{
    struct core_builder *builder = sample();
    struct opened_core opened;
    core_builder_segment(builder, 0x10000, 0x1000, RW);
    core_builder_partial_segment(builder, 0x20000, 0x3000, 0x1000, RW);
    core_builder_partial_segment(builder, 0x400000, 0x1000, 0, RW); /* of /bin/sample */
    core_builder_partial_segment(builder, 0x500000, 0x1000, 0, RW);
    core_builder_partial_segment(builder, 0x600000, 0x1000, 0, CW_PROT_READ);
    opened_core_build(&opened, builder);
    CU_ASSERT_EQUAL(opened.coverage.items.count, 1);
    CU_ASSERT_TRUE(says(&opened, "core-filtered", "12.0 KiB of writable anonymous memory"));
    opened_core_close(&opened);
    core_builder_destroy(builder);
}

static void sums_of_lies_do_not_wrap(void)
{
    struct core_builder *builder = sample();
    struct opened_core opened;
    size_t size;
    core_builder_partial_segment(builder, 0x10000, (uint64_t)1 << 62, 0, RW);
    core_builder_partial_segment(builder, (uint64_t)5 << 60, (uint64_t)11 << 60, 0, RW);
    uint8_t *bytes = core_builder_finish(builder, &size);
    uint64_t huge = UINT64_MAX;
    for (size_t i = 0; i < 2; i++) {
        memcpy(bytes + core_builder_header_off(builder, i) + 32, &huge, sizeof huge);
    }
    opened_core_open(&opened, bytes, size);
    CU_ASSERT_EQUAL(opened.status, CW_OK);
    CU_ASSERT_EQUAL(opened.target.missing_bytes, (uint64_t)15 << 60);
    CU_ASSERT_TRUE(says(&opened, "core-truncated", "(100.0 %)"));
    CU_ASSERT_TRUE(says(&opened, "core-segments-damaged", "2 segments"));
    opened_core_close(&opened);
    core_builder_destroy(builder);
}

CW_TEST_MAIN("target/core_coverage",
             CW_TEST(a_whole_core_needs_no_words),
             CW_TEST(a_cut_says_how_much_is_gone),
             CW_TEST(a_cut_through_the_headers_counts_them),
             CW_TEST(a_lost_count_is_said),
             CW_TEST(what_the_filter_took_is_said_of_anonymous_memory_only),
             CW_TEST(sums_of_lies_do_not_wrap))
