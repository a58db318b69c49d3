/*
 * target: program headers that lie, each kind in a whole core, and what is then said and held: an
 * offset beyond the file, more stored than there is memory, sizes of 2^63 and 0, starts that wrap,
 * segments that repeat and overlap.
 */
#include <elf.h>
#include <string.h>

#include "base/load.h"
#include "support/opened_core.h"
#include "support/unit.h"

enum {
    RW = CW_PROT_READ | CW_PROT_WRITE,
    OFFSET = offsetof(Elf64_Phdr, p_offset),
    ADDRESS = offsetof(Elf64_Phdr, p_vaddr),
    FILE_SIZE = offsetof(Elf64_Phdr, p_filesz),
    MEMORY_SIZE = offsetof(Elf64_Phdr, p_memsz),
};

struct fixture {
    struct core_builder *builder;
    uint8_t *bytes;
    size_t size;
    struct opened_core opened;
};

/* Three segments of a page each, with a word of their own at their start and at their end. */
static void set_up(struct fixture *fixture)
{
    fixture->builder = core_builder_create(CW_ARCH_X86_64);
    for (cw_addr i = 1; i <= 3; i++) {
        core_builder_segment(fixture->builder, i * 0x10000, 0x1000, RW);
        core_builder_word(fixture->builder, i * 0x10000, i);
        core_builder_word(fixture->builder, i * 0x10000 + 0xff8, i + 100);
    }
    core_builder_mapping(fixture->builder, 0x400000, 0x1000, 0, "/bin/sample");
    core_builder_thread(fixture->builder, 7, 1, 2, 3);
    fixture->bytes = core_builder_finish(fixture->builder, &fixture->size);
}

static void lie(struct fixture *fixture, size_t segment, size_t field, uint64_t value)
{
    size_t offset = core_builder_header_off(fixture->builder, segment) + field;
    memcpy(fixture->bytes + offset, &value, sizeof value);
}

/* Opens it, and reads the first and the last byte of all that it claims to hold. */
static uint64_t open_core(struct fixture *fixture)
{
    uint64_t sum = 0;
    struct opened_core *opened = &fixture->opened;
    opened_core_open(opened, fixture->bytes, fixture->size);
    CU_ASSERT_EQUAL_FATAL(opened->status, CW_OK);
    cw_addr end = 0;
    for (size_t i = 0; i < opened->target.segment_count; i++) {
        const struct cw_segment *segment = &opened->target.segments[i];
        CU_ASSERT_TRUE(segment->size_bytes > 0);
        CU_ASSERT_TRUE(i == 0 || segment->start >= end);
        CU_ASSERT_TRUE(segment->held_bytes <= segment->stored_bytes);
        CU_ASSERT_TRUE(segment->stored_bytes <= segment->size_bytes);
        CU_ASSERT_TRUE(segment->held_bytes <= fixture->size);
        if (segment->held_bytes > 0) {
            sum += segment->data[0] + segment->data[segment->held_bytes - 1];
        }
        end = segment->start + (segment->size_bytes - 1);
    }
    return sum;
}

static void tear_down(struct fixture *fixture)
{
    opened_core_close(&fixture->opened);
    core_builder_destroy(fixture->builder);
}

static bool notes(const struct fixture *fixture, const char *code)
{
    return opened_core_note(&fixture->opened, code) != NULL;
}

/* The word at an address, or ~0 where it is not held. */
static uint64_t word(const struct fixture *fixture, cw_addr address)
{
    uint64_t value;
    return cw_space_read_word(&fixture->opened.space, address, &value) ? value : UINT64_MAX;
}

static void the_others_stay(const struct fixture *fixture)
{
    CU_ASSERT_EQUAL(word(fixture, 0x10000), 1);
    CU_ASSERT_EQUAL(word(fixture, 0x30ff8), 103);
}

static void an_offset_beyond_the_file_is_missing_memory(void)
{
    const uint64_t offsets[] = {1 << 30, INT64_MAX, (uint64_t)1 << 63, UINT64_MAX};
    for (size_t i = 0; i < sizeof offsets / sizeof offsets[0]; i++) {
        struct fixture fixture;
        set_up(&fixture);
        lie(&fixture, 1, OFFSET, offsets[i]);
        open_core(&fixture);
        the_others_stay(&fixture);
        CU_ASSERT_EQUAL(word(&fixture, 0x20000), UINT64_MAX);
        CU_ASSERT_EQUAL(fixture.opened.target.missing_bytes, 0x1000);
        CU_ASSERT_TRUE(notes(&fixture, "core-truncated"));
        tear_down(&fixture);
    }
}

static void more_stored_than_there_is_memory_is_cut(void)
{
    const uint64_t sizes[] = {0x1001, 1 << 20, (uint64_t)1 << 63, UINT64_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct fixture fixture;
        set_up(&fixture);
        lie(&fixture, 1, FILE_SIZE, sizes[i]);
        open_core(&fixture);
        the_others_stay(&fixture);
        CU_ASSERT_EQUAL(word(&fixture, 0x20ff8), 102);
        CU_ASSERT_EQUAL(word(&fixture, 0x21000), UINT64_MAX);
        CU_ASSERT_TRUE(notes(&fixture, "core-segments-damaged"));
        tear_down(&fixture);
    }
}

static void memory_of_half_the_address_space_is_cut_at_its_neighbour(void)
{
    struct fixture fixture;
    set_up(&fixture);
    lie(&fixture, 1, MEMORY_SIZE, (uint64_t)1 << 63);
    open_core(&fixture);
    the_others_stay(&fixture);
    CU_ASSERT_EQUAL(word(&fixture, 0x20ff8), 102);
    CU_ASSERT_EQUAL(word(&fixture, 0x21000), UINT64_MAX);
    CU_ASSERT_TRUE(notes(&fixture, "core-segments-damaged"));
    tear_down(&fixture);
}

static void one_without_memory_is_left_out(void)
{
    struct fixture fixture;
    set_up(&fixture);
    lie(&fixture, 1, MEMORY_SIZE, 0);
    open_core(&fixture);
    the_others_stay(&fixture);
    CU_ASSERT_EQUAL(word(&fixture, 0x20000), UINT64_MAX);
    CU_ASSERT_TRUE(notes(&fixture, "core-segments-damaged"));
    tear_down(&fixture);
}

static void one_that_stores_nothing_is_unknown_not_zero(void)
{
    struct fixture fixture;
    set_up(&fixture);
    lie(&fixture, 1, FILE_SIZE, 0);
    open_core(&fixture);
    the_others_stay(&fixture);
    CU_ASSERT_EQUAL(word(&fixture, 0x20000), UINT64_MAX);
    CU_ASSERT_TRUE(notes(&fixture, "core-filtered"));
    CU_ASSERT_FALSE(notes(&fixture, "core-truncated"));
    tear_down(&fixture);
}

static void one_that_wraps_ends_at_the_top(void)
{
    struct fixture fixture;
    set_up(&fixture);
    lie(&fixture, 1, ADDRESS, UINT64_MAX - 0x7ff);
    open_core(&fixture);
    the_others_stay(&fixture);
    CU_ASSERT_EQUAL(word(&fixture, UINT64_MAX - 0x7ff), 2);
    CU_ASSERT_EQUAL(word(&fixture, 0), UINT64_MAX);
    CU_ASSERT_TRUE(notes(&fixture, "core-segments-damaged"));
    tear_down(&fixture);
}

static void of_those_that_repeat_the_first_counts(void)
{
    struct fixture fixture;
    set_up(&fixture);
    lie(&fixture, 1, ADDRESS, 0x10000);
    open_core(&fixture);
    CU_ASSERT_EQUAL(word(&fixture, 0x10000), 1);
    CU_ASSERT_EQUAL(word(&fixture, 0x10ff8), 101);
    CU_ASSERT_EQUAL(word(&fixture, 0x20000), UINT64_MAX);
    CU_ASSERT_TRUE(notes(&fixture, "core-segments-damaged"));
    tear_down(&fixture);
}

static void two_may_share_their_bytes_in_the_file(void)
{
    struct fixture fixture;
    set_up(&fixture);
    lie(&fixture, 1, OFFSET, core_builder_data_off(fixture.builder, 0));
    open_core(&fixture);
    the_others_stay(&fixture);
    CU_ASSERT_EQUAL(word(&fixture, 0x20000), 1);
    tear_down(&fixture);
}

/* All pairs of extreme values in each pair of fields: nothing beyond the file is ever touched. */
static void any_two_lies_are_survived(void)
{
    static const size_t fields[] = {OFFSET, ADDRESS, FILE_SIZE, MEMORY_SIZE};
    static const uint64_t values[] = {
        0, 1, 0xfff, 0x1001, INT64_MAX, (uint64_t)1 << 63, UINT64_MAX - 0xfff, UINT64_MAX};
    enum { FIELDS = 4, VALUES = 8 };
    for (size_t i = 0; i < (size_t)FIELDS * FIELDS * VALUES * VALUES; i++) {
        struct fixture fixture;
        set_up(&fixture);
        lie(&fixture, 0, fields[i % FIELDS], values[i / FIELDS / FIELDS % VALUES]);
        lie(&fixture, 1, fields[i / FIELDS % FIELDS], values[i / FIELDS / FIELDS / VALUES]);
        open_core(&fixture);
        tear_down(&fixture);
    }
}

CW_TEST_MAIN("target/core_lies",
             CW_TEST(an_offset_beyond_the_file_is_missing_memory),
             CW_TEST(more_stored_than_there_is_memory_is_cut),
             CW_TEST(memory_of_half_the_address_space_is_cut_at_its_neighbour),
             CW_TEST(one_without_memory_is_left_out),
             CW_TEST(one_that_stores_nothing_is_unknown_not_zero),
             CW_TEST(one_that_wraps_ends_at_the_top),
             CW_TEST(of_those_that_repeat_the_first_counts),
             CW_TEST(two_may_share_their_bytes_in_the_file),
             CW_TEST(any_two_lies_are_survived))
