/* Telling file kinds apart by their first bytes, for refusals that help. */
#include "target/format.h"

#include <elf.h>
#include <string.h>

#include "base/load.h"

/* As much of a path as leaves room for the sentence in struct cw_error. */
#define PATH_FORMAT "%.100s"

struct magic {
    const char *bytes;
    size_t size;
    const char *name;
    const char *command; /* that makes a core of it */
};

/* The filters of systemd-coredump, ABRT and of people. */
static const struct magic compressions[] = {
    {"\x28\xb5\x2f\xfd", 4, "zstd", "zstd -d"},
    {"\xfd\x37zXZ", 5, "xz", "xz -dk"},
    {"\x04\x22\x4d\x18", 4, "lz4", "lz4 -d"},
    {"\x1f\x8b", 2, "gzip", "gzip -dk"},
    {"BZh", 3, "bzip2", "bzip2 -dk"},
};

enum {
    TYPE_OFF = 16,
    MACHINE_OFF = 18,
    COMMON_HEADER_BYTES = 20, /* e_ident, e_type and e_machine: alike in all ELF files */
};

static enum cw_status check_magic(const uint8_t *data,
                                  size_t size,
                                  const char *path,
                                  struct cw_error *err)
{
    if (size == 0) {
        return cw_error_set(err, CW_ERROR_FORMAT, "the file is empty: " PATH_FORMAT, path);
    }
    for (size_t i = 0; i < sizeof compressions / sizeof compressions[0]; i++) {
        const struct magic *magic = &compressions[i];
        if (size >= magic->size && memcmp(data, magic->bytes, magic->size) == 0) {
            return cw_error_set(err,
                                CW_ERROR_UNSUPPORTED,
                                "compressed with %s, decompress it first (%s): " PATH_FORMAT,
                                magic->name,
                                magic->command,
                                path);
        }
    }
    if (size >= 4 && memcmp(data, "MDMP", 4) == 0) {
        return cw_error_set(err,
                            CW_ERROR_UNSUPPORTED,
                            "a minidump holds no heap, take a core with gcore: " PATH_FORMAT,
                            path);
    }
    if (size < SELFMAG || memcmp(data, ELFMAG, SELFMAG) != 0) {
        return cw_error_set(
            err, CW_ERROR_FORMAT, "not a core file (no ELF header): " PATH_FORMAT, path);
    }
    return CW_OK;
}

static const char *type_name(uint16_t type)
{
    switch (type) {
    case ET_EXEC:
        return "a program";
    case ET_DYN:
        return "a program or a shared library";
    case ET_REL:
        return "an object file";
    default:
        return "an ELF file of another kind";
    }
}

static uint16_t swap_u16(uint16_t value)
{
    return (uint16_t)(value << 8 | value >> 8);
}

static const char *machine_name(uint16_t machine)
{
    switch (machine) {
    case EM_386:
        return "i386";
    case EM_X86_64:
        return "x86_64";
    case EM_ARM:
        return "arm";
    case EM_AARCH64:
        return "aarch64";
    case EM_RISCV:
        return "riscv";
    case EM_PPC64:
        return "ppc64";
    case EM_S390:
        return "s390";
    default:
        return NULL;
    }
}

struct machine {
    uint16_t machine;
    uint8_t elf_class;
    enum cw_arch arch;
};

/* Not among them: x32, the 32-bit words of x86_64, for which no distribution has a glibc. */
static const struct machine machines[] = {
    {EM_X86_64, ELFCLASS64, CW_ARCH_X86_64},
    {EM_386, ELFCLASS32, CW_ARCH_I386},
    {EM_AARCH64, ELFCLASS64, CW_ARCH_AARCH64},
};
#define MACHINES_READ "x86_64, i386 and aarch64"

enum cw_arch cw_format_arch(const uint8_t *data, size_t size)
{
    if (size < COMMON_HEADER_BYTES || data[EI_DATA] == ELFDATA2MSB) {
        return CW_ARCH_UNKNOWN;
    }
    for (size_t i = 0; i < sizeof machines / sizeof machines[0]; i++) {
        if (machines[i].elf_class == data[EI_CLASS] &&
            machines[i].machine == cw_load_u16(data + MACHINE_OFF)) {
            return machines[i].arch;
        }
    }
    return CW_ARCH_UNKNOWN;
}

static enum cw_status refuse_machine(const uint8_t *data,
                                     uint16_t machine,
                                     const char *path,
                                     struct cw_error *err)
{
    const char *bits = data[EI_CLASS] == ELFCLASS32 ? "32-bit" : "64-bit";
    const char *order = data[EI_DATA] == ELFDATA2MSB ? "big-endian " : "";
    const char *name = machine_name(machine);
    if (name == NULL) {
        return cw_error_set(err,
                            CW_ERROR_UNSUPPORTED,
                            "a %s %score of ELF machine %u, only " MACHINES_READ
                            " are read: " PATH_FORMAT,
                            bits,
                            order,
                            machine,
                            path);
    }
    return cw_error_set(err,
                        CW_ERROR_UNSUPPORTED,
                        "a %s %score of %s, only " MACHINES_READ " are read: " PATH_FORMAT,
                        bits,
                        order,
                        name,
                        path);
}

enum cw_status cw_format_check(const uint8_t *data,
                               size_t size,
                               const char *path,
                               struct cw_error *err)
{
    enum cw_status status = check_magic(data, size, path, err);
    if (status != CW_OK) {
        return status;
    }
    if (size < COMMON_HEADER_BYTES) {
        return cw_error_set(err,
                            CW_ERROR_FORMAT,
                            "cut off within its ELF header (%zu bytes): " PATH_FORMAT,
                            size,
                            path);
    }
    bool is_big_endian = data[EI_DATA] == ELFDATA2MSB;
    uint16_t type = cw_load_u16(data + TYPE_OFF);
    uint16_t machine = cw_load_u16(data + MACHINE_OFF);
    if (is_big_endian) {
        type = swap_u16(type);
        machine = swap_u16(machine);
    }
    if (type != ET_CORE) {
        return cw_error_set(
            err,
            CW_ERROR_FORMAT,
            "%s, not a core file; give the core, and the program with --exe: " PATH_FORMAT,
            type_name(type),
            path);
    }
    if (cw_format_arch(data, size) == CW_ARCH_UNKNOWN) {
        return refuse_machine(data, machine, path, err);
    }
    return CW_OK;
}
