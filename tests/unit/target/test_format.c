/* target/format: refusals that say what the file is and what to do. */
#include <elf.h>
#include <string.h>

#include "support/unit.h"
#include "target/format.h"

enum { HEADER_BYTES = 64 };

static void check(
    const void *bytes, size_t size, enum cw_status status, const char *first, const char *second)
{
    struct cw_error err = CW_ERROR_INIT;
    CU_ASSERT_EQUAL(cw_format_check(bytes, size, "core.1", &err), status);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, first));
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, second));
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "core.1"));
}

static void set_u16(uint8_t *at, uint16_t value)
{
    memcpy(at, &value, sizeof value);
}

static void make_header(uint8_t *header, uint16_t type, uint16_t machine)
{
    static const uint8_t magic[] = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3};
    memset(header, 0, HEADER_BYTES);
    memcpy(header, magic, sizeof magic);
    header[EI_CLASS] = ELFCLASS64;
    header[EI_DATA] = ELFDATA2LSB;
    set_u16(header + 16, type);
    set_u16(header + 18, machine);
}

static void compressed_files_name_their_tool(void)
{
    check("\x28\xb5\x2f\xfd----", 8, CW_ERROR_UNSUPPORTED, "compressed with zstd", "zstd -d");
    check("\xfd\x37zXZ\0--", 8, CW_ERROR_UNSUPPORTED, "compressed with xz", "xz -d");
    check("\x04\x22\x4d\x18----", 8, CW_ERROR_UNSUPPORTED, "compressed with lz4", "lz4 -d");
    check("\x1f\x8b------", 8, CW_ERROR_UNSUPPORTED, "compressed with gzip", "gzip -d");
    check("BZh9----", 8, CW_ERROR_UNSUPPORTED, "compressed with bzip2", "bzip2 -d");
    check("MDMP----", 8, CW_ERROR_UNSUPPORTED, "minidump", "gcore");
}

static void what_is_no_elf_file_is_no_core(void)
{
    check("", 0, CW_ERROR_FORMAT, "empty", "file");
    check("\x7f", 1, CW_ERROR_FORMAT, "not a core file", "");
    check("#!/bin/sh\n", 10, CW_ERROR_FORMAT, "not a core file", "no ELF header");
}

static void programs_are_told_from_cores(void)
{
    uint8_t header[HEADER_BYTES];
    make_header(header, ET_EXEC, EM_X86_64);
    check(header, sizeof header, CW_ERROR_FORMAT, "a program", "--exe");
    make_header(header, ET_DYN, EM_X86_64);
    check(header, sizeof header, CW_ERROR_FORMAT, "shared library", "--exe");
    make_header(header, ET_REL, EM_X86_64);
    check(header, sizeof header, CW_ERROR_FORMAT, "object file", "not a core file");
    make_header(header, 77, EM_X86_64);
    check(header, sizeof header, CW_ERROR_FORMAT, "another kind", "not a core file");
}

static void a_header_cut_off_is_said(void)
{
    uint8_t header[HEADER_BYTES];
    make_header(header, ET_CORE, EM_X86_64);
    for (size_t size = SELFMAG; size < 20; size++) {
        check(header, size, CW_ERROR_FORMAT, "cut off within its ELF header", "bytes");
    }
    struct cw_error err = CW_ERROR_INIT;
    CU_ASSERT_EQUAL(cw_format_check(header, 20, "core.1", &err), CW_OK);
    CU_ASSERT_EQUAL(err.status, CW_OK);
}

static void other_machines_are_named(void)
{
    static const struct {
        uint16_t machine;
        const char *name;
    } machines[] = {{EM_RISCV, "riscv"},
                    {EM_PPC64, "ppc64"},
                    {EM_S390, "s390"},
                    {EM_ARM, "arm"},
                    {9999, "ELF machine 9999"}};
    uint8_t header[HEADER_BYTES];
    for (size_t i = 0; i < sizeof machines / sizeof machines[0]; i++) {
        make_header(header, ET_CORE, machines[i].machine);
        check(header, sizeof header, CW_ERROR_UNSUPPORTED, machines[i].name, "x86_64");
    }
}

static void other_word_sizes_and_byte_orders_are_named(void)
{
    uint8_t header[HEADER_BYTES];
    make_header(header, ET_CORE, EM_386);
    check(header, sizeof header, CW_ERROR_UNSUPPORTED, "64-bit core of i386", "aarch64 are read");
    make_header(header, ET_CORE, EM_AARCH64);
    header[EI_CLASS] = ELFCLASS32;
    check(header, sizeof header, CW_ERROR_UNSUPPORTED, "32-bit core of aarch64", "are read");
    make_header(header, ET_CORE, EM_X86_64);
    header[EI_CLASS] = ELFCLASS32;
    check(header, sizeof header, CW_ERROR_UNSUPPORTED, "32-bit core of x86_64", "only x86_64");
    make_header(header, (uint16_t)(ET_CORE << 8), (uint16_t)(EM_S390 << 8));
    header[EI_DATA] = ELFDATA2MSB;
    check(header, sizeof header, CW_ERROR_UNSUPPORTED, "big-endian core of s390", "x86_64");
}

static void the_machines_that_are_read_are_told_apart(void)
{
    static const struct {
        uint16_t machine;
        uint8_t elf_class;
        enum cw_arch arch;
    } machines[] = {{EM_X86_64, ELFCLASS64, CW_ARCH_X86_64},
                    {EM_386, ELFCLASS32, CW_ARCH_I386},
                    {EM_AARCH64, ELFCLASS64, CW_ARCH_AARCH64},
                    {EM_X86_64, ELFCLASS32, CW_ARCH_UNKNOWN}};
    uint8_t header[HEADER_BYTES];
    for (size_t i = 0; i < sizeof machines / sizeof machines[0]; i++) {
        make_header(header, ET_CORE, machines[i].machine);
        header[EI_CLASS] = machines[i].elf_class;
        CU_ASSERT_EQUAL(cw_format_arch(header, sizeof header), machines[i].arch);
        enum cw_status status = machines[i].arch != CW_ARCH_UNKNOWN ? CW_OK : CW_ERROR_UNSUPPORTED;
        CU_ASSERT_EQUAL(cw_format_check(header, sizeof header, "core.1", NULL), status);
    }
    CU_ASSERT_EQUAL(cw_format_arch(header, 19), CW_ARCH_UNKNOWN);
}

static void a_long_path_leaves_room_for_the_sentence(void)
{
    char path[4000];
    struct cw_error err = CW_ERROR_INIT;
    memset(path, 'p', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    cw_format_check((const uint8_t *)"\x28\xb5\x2f\xfd", 4, path, &err);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "(zstd -d): ppp"));
    CU_ASSERT_TRUE(strlen(err.text) < sizeof err.text - 1);
}

CW_TEST_MAIN("target/format",
             CW_TEST(compressed_files_name_their_tool),
             CW_TEST(what_is_no_elf_file_is_no_core),
             CW_TEST(programs_are_told_from_cores),
             CW_TEST(a_header_cut_off_is_said),
             CW_TEST(other_machines_are_named),
             CW_TEST(other_word_sizes_and_byte_orders_are_named),
             CW_TEST(the_machines_that_are_read_are_told_apart),
             CW_TEST(a_long_path_leaves_room_for_the_sentence))
