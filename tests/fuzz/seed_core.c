/* Seeds for fuzz_core: small sound cores, and ones that lie in the ways we know. */
#include <elf.h>
#include <string.h>

#include "fuzz/seed.h"
#include "support/core_builder.h"

enum { RW = CW_PROT_READ | CW_PROT_WRITE };

static struct core_builder *sample(void)
{
    struct core_builder *builder = core_builder_create(CW_ARCH_X86_64);
    core_builder_segment(builder, 0x10000, 0x100, RW);
    core_builder_partial_segment(builder, 0x400000, 0x3000, 0x40, CW_PROT_READ | CW_PROT_EXEC);
    core_builder_segment(builder, UINT64_MAX - 0xff, 0x100, CW_PROT_READ);
    core_builder_mapping(builder, 0x400000, 0x3000, 0, "/bin/sample");
    core_builder_mapping(builder, 0x500000, 0x1000, 0x1000, "/lib/lib.so");
    core_builder_auxv(builder, AT_PAGESZ, 4096);
    core_builder_auxv(builder, AT_ENTRY, 0x400100);
    core_builder_thread(builder, 1234, 0x400111, 0x10080, 0x10040);
    core_builder_thread(builder, 1235, 0x400222, 0x10090, 0x10060);
    return builder;
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

    write_empty_top(folder);
    write_lie(folder, "lie-offset", 0, 8);
    write_lie(folder, "lie-address", 0, 16);
    write_lie(folder, "lie-file-size", 0, 32);
    write_lie(folder, "lie-memory-size", 1, 40);
    return 0;
}
