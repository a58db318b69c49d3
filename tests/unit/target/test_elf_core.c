/* target/elf_core: headers, and how many of them there are. */
#include <elf.h>
#include <string.h>

#include "support/opened_core.h"
#include "support/unit.h"
#include "target/elf_core.h"

enum {
    RW = CW_PROT_READ | CW_PROT_WRITE,
    PHOFF_OFF = 32,
    SHOFF_OFF = 40,
    PHENTSIZE_OFF = 54,
    PHNUM_OFF = 56,
};

static struct core_builder *three_segments(void)
{
    struct core_builder *builder = core_builder_create(CW_ARCH_X86_64);
    core_builder_segment(builder, 0x10000, 0x1000, RW);
    core_builder_segment(builder, 0x20000, 0x1000, CW_PROT_READ);
    core_builder_segment(builder, 0x30000, 0x1000, CW_PROT_READ | CW_PROT_EXEC);
    core_builder_thread(builder, 7, 1, 2, 3);
    return builder;
}

static void set(uint8_t *bytes, size_t offset, uint64_t value, size_t size)
{
    memcpy(bytes + offset, &value, size);
}

static void reads_headers_in_order(void)
{
    struct core_builder *builder = three_segments();
    struct cw_elf_core core;
    size_t size;
    const uint8_t *bytes = core_builder_finish(builder, &size);
    CU_ASSERT_EQUAL_FATAL(cw_elf_core_parse(bytes, size, "core", &core, NULL), CW_OK);
    CU_ASSERT_EQUAL(core.header_count, 4);
    CU_ASSERT_EQUAL(core.declared_count, 4);
    CU_ASSERT_EQUAL(core.word_bytes, 8);
    CU_ASSERT_FALSE(core.is_from_debugger);
    CU_ASSERT_EQUAL(cw_elf_core_header(&core, 0).type, PT_NOTE);
    struct cw_program_header header = cw_elf_core_header(&core, 2);
    CU_ASSERT_EQUAL(header.type, PT_LOAD);
    CU_ASSERT_EQUAL(header.flags, PF_R);
    CU_ASSERT_EQUAL(header.address, 0x20000);
    CU_ASSERT_EQUAL(header.memory_bytes, 0x1000);
    CU_ASSERT_EQUAL(header.file_bytes, 0x1000);
    CU_ASSERT_EQUAL(header.offset, core_builder_data_off(builder, 1));
    core_builder_destroy(builder);
}

static void the_narrow_layout_is_known(void)
{
    struct core_builder *builder = core_builder_create(CW_ARCH_I386);
    core_builder_segment(builder, 0x10000, 0x1000, RW);
    core_builder_thread(builder, 7, 1, 2, 3);
    size_t size;
    const uint8_t *bytes = core_builder_finish(builder, &size);
    struct cw_elf_core core;
    CU_ASSERT_EQUAL_FATAL(cw_elf_core_parse(bytes, size, "core", &core, NULL), CW_OK);
    CU_ASSERT_EQUAL(core.arch, CW_ARCH_I386);
    CU_ASSERT_EQUAL(core.word_bytes, 4);
    CU_ASSERT_EQUAL(core.header_count, 2);
    struct cw_program_header header = cw_elf_core_header(&core, 1);
    CU_ASSERT_EQUAL(header.type, PT_LOAD);
    CU_ASSERT_EQUAL(header.flags, PF_R | PF_W);
    CU_ASSERT_EQUAL(header.address, 0x10000);
    CU_ASSERT_EQUAL(header.memory_bytes, 0x1000);
    core_builder_destroy(builder);
}

static void check_extended_count(struct core_builder *builder, uint64_t count)
{
    struct cw_elf_core core;
    size_t size;
    core_builder_force_xnum(builder);
    const uint8_t *bytes = core_builder_finish(builder, &size);
    CU_ASSERT_EQUAL_FATAL(cw_elf_core_parse(bytes, size, "core", &core, NULL), CW_OK);
    CU_ASSERT_EQUAL(core.header_count, count);
    CU_ASSERT_EQUAL(core.declared_count, count);
    CU_ASSERT_FALSE(core.is_from_debugger);
    core_builder_destroy(builder);
}

static void the_extended_count_comes_from_section_zero(void)
{
    check_extended_count(three_segments(), 4);
    struct core_builder *builder = core_builder_create(CW_ARCH_I386);
    for (cw_addr i = 0; i < 70000; i++) {
        core_builder_partial_segment(builder, i * 0x2000, 0x1000, 0, CW_PROT_READ);
    }
    check_extended_count(builder, 70001);
}

static void a_lost_section_zero_is_made_good_by_the_contents(void)
{
    struct core_builder *builder = three_segments();
    struct cw_elf_core core;
    size_t size;
    core_builder_force_xnum(builder);
    uint8_t *bytes = core_builder_finish(builder, &size);
    CU_ASSERT_EQUAL_FATAL(cw_elf_core_parse(bytes, size - 17, "core", &core, NULL), CW_OK);
    CU_ASSERT_EQUAL(core.declared_count, 0);
    CU_ASSERT_EQUAL(core.header_count, 4);
    CU_ASSERT_EQUAL_FATAL(cw_elf_core_parse(bytes, size - 64, "core", &core, NULL), CW_OK);
    CU_ASSERT_EQUAL(core.header_count, 4);
    set(bytes, SHOFF_OFF, 0, 8);
    CU_ASSERT_EQUAL_FATAL(cw_elf_core_parse(bytes, size, "core", &core, NULL), CW_OK);
    CU_ASSERT_EQUAL(core.header_count, 4);
    set(bytes, SHOFF_OFF, UINT64_MAX, 8);
    CU_ASSERT_EQUAL_FATAL(cw_elf_core_parse(bytes, size, "core", &core, NULL), CW_OK);
    CU_ASSERT_EQUAL(core.header_count, 4);
    core_builder_destroy(builder);
}

static void a_lying_count_is_clamped_by_the_file(void)
{
    struct core_builder *builder = three_segments();
    struct cw_elf_core core;
    size_t size;
    uint8_t *bytes = core_builder_finish(builder, &size);
    set(bytes, PHNUM_OFF, 0xfffe, 2);
    CU_ASSERT_EQUAL_FATAL(cw_elf_core_parse(bytes, size, "core", &core, NULL), CW_OK);
    CU_ASSERT_EQUAL(core.declared_count, 0xfffe);
    CU_ASSERT_EQUAL(core.header_count, (size - 64) / 56);
    set(bytes, PHOFF_OFF, UINT64_MAX - 3, 8);
    CU_ASSERT_EQUAL(cw_elf_core_parse(bytes, size, "core", &core, NULL), CW_ERROR_FORMAT);
    core_builder_destroy(builder);
}

static void damaged_headers_are_refused(void)
{
    struct core_builder *builder = three_segments();
    struct cw_elf_core core;
    struct cw_error err = CW_ERROR_INIT;
    size_t size;
    uint8_t *bytes = core_builder_finish(builder, &size);
    set(bytes, PHENTSIZE_OFF, 32, 2);
    CU_ASSERT_EQUAL(cw_elf_core_parse(bytes, size, "core", &core, &err), CW_ERROR_FORMAT);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "4 program headers of 32 bytes"));
    bytes = core_builder_finish(builder, &size);
    set(bytes, PHNUM_OFF, 0, 2);
    CU_ASSERT_EQUAL(cw_elf_core_parse(bytes, size, "core", &core, NULL), CW_ERROR_FORMAT);
    core_builder_destroy(builder);
}

static void too_little_of_a_core_is_refused(void)
{
    struct core_builder *builder = three_segments();
    struct cw_elf_core core;
    size_t size;
    const uint8_t *bytes = core_builder_finish(builder, &size);
    for (size_t cut = 0; cut < 64 + 56; cut++) {
        struct cw_error err = CW_ERROR_INIT;
        CU_ASSERT_EQUAL(cw_elf_core_parse(bytes, cut, "core", &core, &err), CW_ERROR_FORMAT);
        CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "core"));
    }
    CU_ASSERT_EQUAL(cw_elf_core_parse(bytes, 64 + 56, "core", &core, NULL), CW_OK);
    CU_ASSERT_EQUAL(core.header_count, 1);
    core_builder_destroy(builder);
}

static void a_debugger_writes_sections(void)
{
    struct core_builder *builder = three_segments();
    struct cw_elf_core core;
    size_t size;
    uint8_t *bytes = core_builder_finish(builder, &size);
    set(bytes, 60, 5, 2); /* e_shnum */
    CU_ASSERT_EQUAL_FATAL(cw_elf_core_parse(bytes, size, "core", &core, NULL), CW_OK);
    CU_ASSERT_TRUE(core.is_from_debugger);
    core_builder_destroy(builder);
}

CW_TEST_MAIN("target/elf_core",
             CW_TEST(reads_headers_in_order),
             CW_TEST(the_narrow_layout_is_known),
             CW_TEST(the_extended_count_comes_from_section_zero),
             CW_TEST(a_lost_section_zero_is_made_good_by_the_contents),
             CW_TEST(a_lying_count_is_clamped_by_the_file),
             CW_TEST(damaged_headers_are_refused),
             CW_TEST(too_little_of_a_core_is_refused),
             CW_TEST(a_debugger_writes_sections))
