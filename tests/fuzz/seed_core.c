/* Seeds for fuzz_core: small sound cores, and ones that lie in the ways we know. */
#include <elf.h>
#include <string.h>

#include "fuzz/seed.h"
#include "support/core_builder.h"

enum { RW = CW_PROT_READ | CW_PROT_WRITE };

static struct core_builder *sample_of(enum cw_arch arch)
{
    struct core_builder *builder = core_builder_create(arch);
    cw_addr top = arch == CW_ARCH_I386 ? UINT32_MAX : UINT64_MAX;
    core_builder_segment(builder, 0x10000, 0x100, RW);
    core_builder_partial_segment(builder, 0x400000, 0x3000, 0x40, CW_PROT_READ | CW_PROT_EXEC);
    core_builder_segment(builder, top - 0xff, 0x100, CW_PROT_READ);
    core_builder_mapping(builder, 0x400000, 0x3000, 0, "/bin/sample");
    core_builder_mapping(builder, 0x500000, 0x1000, 0x1000, "/lib/lib.so");
    core_builder_auxv(builder, AT_PAGESZ, 4096);
    core_builder_auxv(builder, AT_ENTRY, 0x400100);
    core_builder_thread(builder, 1234, 0x400111, 0x10080, 0x10040);
    core_builder_thread(builder, 1235, 0x400222, 0x10090, 0x10060);
    return builder;
}

static struct core_builder *sample(void)
{
    return sample_of(CW_ARCH_X86_64);
}

static void write_machine(const char *folder, const char *name, enum cw_arch arch)
{
    struct core_builder *builder = sample_of(arch);
    seed_write_core(folder, name, builder, 2);
    core_builder_destroy(builder);
}

/* No files are named: a header where a segment starts, and a program's dynamic section. */
static void write_unnamed(const char *folder)
{
    static const cw_addr base = 0x400000;
    static const cw_addr data = base + 0x1000;
    struct core_builder *builder = core_builder_create(CW_ARCH_X86_64);
    core_builder_segment(builder, base, 0x200, CW_PROT_READ | CW_PROT_EXEC);
    core_builder_segment(builder, data, 0x200, RW);
    const Elf64_Ehdr header = {
        .e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
        .e_type = ET_DYN,
        .e_machine = EM_X86_64,
        .e_phoff = sizeof(Elf64_Ehdr),
        .e_phentsize = sizeof(Elf64_Phdr),
        .e_phnum = 3};
    const Elf64_Phdr loads[] = {
        {.p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_filesz = 0x200, .p_memsz = 0x200},
        {.p_type = PT_LOAD,
         .p_flags = PF_R | PF_W,
         .p_offset = 0x1000,
         .p_vaddr = 0x1000,
         .p_filesz = 0x200,
         .p_memsz = 0x200},
        {.p_type = PT_DYNAMIC, .p_vaddr = 0x1000, .p_filesz = 32, .p_memsz = 32}};
    core_builder_bytes(builder, base, &header, sizeof header);
    core_builder_bytes(builder, base + sizeof header, loads, sizeof loads);
    core_builder_word(builder, data, DT_DEBUG);
    core_builder_word(builder, data + 8, data + 0x40);
    core_builder_word(builder, data + 0x40, 1);
    core_builder_word(builder, data + 0x48, data + 0x80);
    core_builder_word(builder, data + 0x80, base);
    core_builder_word(builder, data + 0x88, data + 0xc0);
    core_builder_word(builder, data + 0x90, data);
    core_builder_thread(builder, 7, base + 0x180, data + 0x100, 0);
    seed_write_core(folder, "unnamed", builder, 2);
    core_builder_destroy(builder);
}

static void write_lie(const char *folder, const char *name, size_t segment, size_t field_off)
{
    struct core_builder *builder = sample();
    uint64_t lie = UINT64_MAX - 0xfff;
    size_t size;
    uint8_t *bytes = core_builder_finish(builder, &size);
    memcpy(bytes + core_builder_header_off(builder, segment) + field_off, &lie, sizeof lie);
    seed_write(folder, name, bytes, size);
    core_builder_destroy(builder);
}

/* An arena alone whose top has no size: once a piece of no bytes was found there for ever. */
static void write_empty_top(const char *folder)
{
    static const cw_addr libc = 0x200000;
    static const cw_addr piece = 0x300000;
    static const cw_addr arena = libc + 0x100;
    static const cw_addr bins = arena + 112;
    struct core_builder *builder = core_builder_create(CW_ARCH_X86_64);
    core_builder_mapping(builder, libc, 0x1000, 0, "/lib/libc.so.6");
    core_builder_segment(builder, libc, 0x1000, RW);
    core_builder_segment(builder, piece, 0x1000, RW);
    core_builder_word(builder, bins - 16, piece);
    for (uint64_t off = 0; off < (uint64_t)127 * 16; off += 16) {
        core_builder_word(builder, bins + off, bins + off - 16);
        core_builder_word(builder, bins + off + 8, bins + off - 16);
    }
    cw_addr next = bins + (uint64_t)254 * 8 + 16;
    core_builder_word(builder, next, arena);
    core_builder_word(builder, next + 24, 0x100000);
    core_builder_word(builder, next + 32, 0x100000);
    seed_write_core(folder, "empty-top", builder, 0);
    core_builder_destroy(builder);
}

int main(int argument_count, char **arguments)
{
    if (argument_count != 2) {
        return 64;
    }
    const char *folder = arguments[1];
    struct core_builder *builder = sample();
    seed_write_core(folder, "sample", builder, 8);
    core_builder_force_xnum(builder);
    seed_write_core(folder, "xnum", builder, 2);
    core_builder_destroy(builder);

    builder = core_builder_create(CW_ARCH_X86_64);
    seed_write_core(folder, "empty", builder, 0);
    core_builder_segment(builder, 0x1000, 0x20, RW);
    core_builder_segment(builder, 0x1010, 0x20, RW);
    core_builder_segment(builder, 0x1000, 0x40, RW);
    seed_write_core(folder, "overlap", builder, 0);
    core_builder_destroy(builder);

    /* Once made one region of 2^64 bytes, whose size was 0. */
    builder = core_builder_create(CW_ARCH_X86_64);
    core_builder_partial_segment(builder, 0, UINT64_MAX, 0, CW_PROT_READ);
    core_builder_partial_segment(builder, UINT64_MAX, 1, 0, CW_PROT_READ);
    seed_write_core(folder, "whole-space", builder, 0);
    core_builder_destroy(builder);

    builder = core_builder_create(CW_ARCH_I386);
    core_builder_segment(builder, 0x1000, 0x20, RW);
    core_builder_thread(builder, 1, 2, 3, 4);
    seed_write_core(folder, "narrow", builder, 0);
    core_builder_destroy(builder);

    write_machine(folder, "i386", CW_ARCH_I386);
    write_machine(folder, "aarch64", CW_ARCH_AARCH64);
    write_unnamed(folder);
    write_empty_top(folder);
    write_lie(folder, "lie-offset", 0, 8);
    write_lie(folder, "lie-address", 0, 16);
    write_lie(folder, "lie-file-size", 0, 32);
    write_lie(folder, "lie-memory-size", 1, 40);
    return 0;
}
