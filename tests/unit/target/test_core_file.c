/* target/core_file: whole, cut anywhere, lying, and huge cores; files that are none. */
#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/opened_core.h"
#include "support/unit.h"

enum { RW = CW_PROT_READ | CW_PROT_WRITE };

static struct core_builder *sample(void)
{
    struct core_builder *builder = core_builder_create(CW_ARCH_X86_64);
    core_builder_segment(builder, 0x10000, 0x2000, RW);
    core_builder_partial_segment(builder, 0x400000, 0x3000, 0x1000, CW_PROT_READ | CW_PROT_EXEC);
    core_builder_segment(builder, 0x20000, 0x1000, RW);
    core_builder_mapping(builder, 0x400000, 0x3000, 0, "/bin/sample");
    core_builder_auxv(builder, AT_PAGESZ, 4096);
    core_builder_thread(builder, 1234, 0x400111, 0x11000, 0x10500);
    core_builder_thread(builder, 1235, 0x400222, 0x11800, 0x10600);
    core_builder_word(builder, 0x10008, 42);
    core_builder_word(builder, 0x20ff8, 43);
    return builder;
}

static void set_u64(uint8_t *bytes, size_t offset, uint64_t value)
{
    memcpy(bytes + offset, &value, sizeof value);
}

static void segments_come_sorted_with_their_bytes(void)
{
    struct core_builder *builder = sample();
    struct opened_core opened;
    opened_core_build(&opened, builder);
    CU_ASSERT_EQUAL_FATAL(opened.target.segment_count, 3);
    const struct cw_segment *text = &opened.target.segments[2];
    CU_ASSERT_EQUAL(text->start, 0x400000);
    CU_ASSERT_EQUAL(text->size_bytes, 0x3000);
    CU_ASSERT_EQUAL(text->stored_bytes, 0x1000);
    CU_ASSERT_EQUAL(text->held_bytes, 0x1000);
    CU_ASSERT_EQUAL(text->protection, CW_PROT_READ | CW_PROT_EXEC);
    CU_ASSERT_EQUAL(cw_load_u64(opened.target.segments[0].data + 8), 42);
    CU_ASSERT_EQUAL(cw_load_u64(opened.target.segments[1].data + 0xff8), 43);
    CU_ASSERT_EQUAL(opened.target.arch, CW_ARCH_X86_64);
    CU_ASSERT_EQUAL(opened.target.word_bytes, 8);
    CU_ASSERT_EQUAL(opened.target.kind, CW_TARGET_CORE);
    CU_ASSERT_STRING_EQUAL(opened.target.path, "core.test");
    opened_core_close(&opened);
    core_builder_destroy(builder);
}

/* Touches the first and the last byte of all that is held. */
static uint64_t touch(const struct opened_core *opened)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < opened->target.segment_count; i++) {
        const struct cw_segment *segment = &opened->target.segments[i];
        CU_ASSERT_TRUE(segment->held_bytes <= segment->stored_bytes);
        CU_ASSERT_TRUE(segment->stored_bytes <= segment->size_bytes);
        if (segment->held_bytes > 0) {
            sum += segment->data[0] + segment->data[segment->held_bytes - 1];
        }
    }
    return sum;
}

/* Opens what is left of a core; returns how much is missing, which was at most that much before. */
static uint64_t open_cut(const uint8_t *bytes, size_t cut, uint64_t most_missing)
{
    struct opened_core opened;
    opened_core_open(&opened, bytes, cut);
    CU_ASSERT_EQUAL(opened.status, CW_OK);
    touch(&opened);
    CU_ASSERT_PTR_NOT_NULL(opened_core_note(&opened, "core-truncated"));
    uint64_t missing = opened.target.missing_bytes;
    CU_ASSERT_TRUE(missing <= most_missing);
    opened_core_close(&opened);
    return missing;
}

static void cut_anywhere_it_still_opens(void)
{
    struct core_builder *builder = sample();
    size_t size;
    const uint8_t *bytes = core_builder_finish(builder, &size);
    size_t first_whole = core_builder_header_off(builder, 0);
    size_t all_whole = core_builder_header_off(builder, 2) + 56;
    for (size_t cut = 0; cut < first_whole; cut++) {
        struct opened_core opened;
        opened_core_open(&opened, bytes, cut);
        CU_ASSERT_EQUAL(opened.status, CW_ERROR_FORMAT);
        opened_core_close(&opened);
    }
    for (size_t cut = first_whole; cut < all_whole; cut++) {
        open_cut(bytes, cut, UINT64_MAX);
    }
    uint64_t missing = 0x4000;
    for (size_t cut = all_whole; cut < size; cut += cut < 0x1000 ? 1 : 61) {
        missing = open_cut(bytes, cut, missing);
    }
    core_builder_destroy(builder);
}

/* Opens the core with one field of one program header set to a value. */
static void open_with_lie(struct core_builder *builder,
                          size_t segment,
                          size_t field_off,
                          uint64_t value)
{
    struct opened_core opened;
    size_t size;
    uint8_t *bytes = core_builder_finish(builder, &size);
    set_u64(bytes, core_builder_header_off(builder, segment) + field_off, value);
    opened_core_open(&opened, bytes, size);
    CU_ASSERT_EQUAL(opened.status, CW_OK);
    touch(&opened);
    opened_core_close(&opened);
}

static void sizes_that_lie_are_clamped(void)
{
    static const uint64_t values[] = {
        0, 1, 0xfff, 0x1001, 0x2000, 0x7fffffffffffffff, UINT64_MAX, UINT64_MAX - 0xfff};
    static const size_t fields[] = {8, 16, 32, 40}; /* p_offset, p_vaddr, p_filesz, p_memsz */
    struct core_builder *builder = sample();
    for (size_t segment = 0; segment < 3; segment++) {
        for (size_t i = 0; i < sizeof values / sizeof values[0] * 4; i++) {
            open_with_lie(builder, segment, fields[i % 4], values[i / 4]);
        }
    }
    core_builder_destroy(builder);
}

static void more_stored_than_there_is_memory_is_said(void)
{
    struct core_builder *builder = sample();
    struct opened_core opened;
    size_t size;
    uint8_t *bytes = core_builder_finish(builder, &size);
    set_u64(bytes, core_builder_header_off(builder, 0) + 40, 0x800);
    opened_core_open(&opened, bytes, size);
    CU_ASSERT_EQUAL(opened.target.segments[0].size_bytes, 0x800);
    CU_ASSERT_EQUAL(opened.target.segments[0].held_bytes, 0x800);
    CU_ASSERT_PTR_NOT_NULL(opened_core_note(&opened, "core-segments-damaged"));
    opened_core_close(&opened);
    core_builder_destroy(builder);
}

static void an_offset_beyond_the_file_holds_nothing(void)
{
    struct core_builder *builder = sample();
    struct opened_core opened;
    size_t size;
    uint8_t *bytes = core_builder_finish(builder, &size);
    set_u64(bytes, core_builder_header_off(builder, 0) + 8, size + 1);
    opened_core_open(&opened, bytes, size);
    CU_ASSERT_EQUAL(opened.target.segments[0].held_bytes, 0);
    CU_ASSERT_EQUAL(opened.target.segments[0].stored_bytes, 0x2000);
    CU_ASSERT_PTR_NULL(opened.target.segments[0].data);
    CU_ASSERT_EQUAL(opened.target.missing_bytes, 0x2000);
    opened_core_close(&opened);
    core_builder_destroy(builder);
}

static void no_segments_are_legal(void)
{
    struct core_builder *builder = core_builder_create(CW_ARCH_X86_64);
    struct opened_core opened;
    opened_core_build(&opened, builder);
    CU_ASSERT_EQUAL(opened.status, CW_OK);
    CU_ASSERT_EQUAL(opened.target.segment_count, 0);
    CU_ASSERT_EQUAL(opened.target.thread_count, 0);
    CU_ASSERT_EQUAL(opened.target.pid, 0);
    CU_ASSERT_STRING_EQUAL(opened.target.program, "");
    opened_core_close(&opened);
    core_builder_destroy(builder);
}

static void a_hundred_thousand_segments_are_read(void)
{
    enum { COUNT = 100000 };
    struct core_builder *builder = core_builder_create(CW_ARCH_X86_64);
    struct opened_core opened;
    for (size_t i = 0; i < COUNT; i++) {
        size_t place = i * 7919 % COUNT;
        core_builder_partial_segment(builder, 0x100000 + place * 0x2000, 0x1000, 0, RW);
    }
    opened_core_build(&opened, builder);
    CU_ASSERT_EQUAL(opened.target.segment_count, COUNT);
    bool is_sorted = true;
    for (size_t i = 0; i < opened.target.segment_count; i++) {
        is_sorted = is_sorted && opened.target.segments[i].start == 0x100000 + i * 0x2000;
    }
    CU_ASSERT_TRUE(is_sorted);
    CU_ASSERT_EQUAL(opened.space.region_count, COUNT);
    opened_core_close(&opened);
    core_builder_destroy(builder);
}

static void each_step_can_run_out_of_memory(void)
{
    struct core_builder *builder = sample();
    size_t size;
    const uint8_t *bytes = core_builder_finish(builder, &size);
    unsigned failure_count = 0;
    for (uint64_t limit = 0; limit < 40000; limit += 500) {
        struct cw_budget budget;
        struct cw_arena arena;
        struct cw_notes coverage;
        struct cw_target target = {0};
        struct cw_error err = CW_ERROR_INIT;
        cw_budget_init(&budget, limit);
        cw_arena_init(&arena, &budget);
        cw_notes_init(&coverage, &arena);
        enum cw_status status =
            cw_target_open_core_bytes(bytes, size, "core", &arena, &coverage, &target, &err);
        CU_ASSERT_TRUE(status == CW_OK || status == CW_ERROR_MEMORY);
        CU_ASSERT_EQUAL(err.status, status);
        failure_count += status == CW_OK ? 0 : 1;
        cw_notes_deinit(&coverage);
        cw_arena_deinit(&arena);
        CU_ASSERT_EQUAL(budget.used_bytes, 0);
    }
    CU_ASSERT_TRUE(failure_count > 10);
    CU_ASSERT_TRUE(failure_count < 80);
    core_builder_destroy(builder);
}

CW_TEST_MAIN("target/core_file",
             CW_TEST(segments_come_sorted_with_their_bytes),
             CW_TEST(cut_anywhere_it_still_opens),
             CW_TEST(sizes_that_lie_are_clamped),
             CW_TEST(more_stored_than_there_is_memory_is_said),
             CW_TEST(an_offset_beyond_the_file_holds_nothing),
             CW_TEST(no_segments_are_legal),
             CW_TEST(a_hundred_thousand_segments_are_read),
             CW_TEST(each_step_can_run_out_of_memory))
