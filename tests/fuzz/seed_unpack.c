/* Seeds for fuzz_unpack: small cores by each compressor, whole, cut off, twice, and with zeros. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/seed.h"
#include "support/core_builder.h"
#include "support/packer.h"

enum { ZERO_BYTES = 32 << 20 };

static const char *const filters[] = {"zstd", "lz4", "xz", "gzip"};

/* A libarchive that lacks one of them makes fewer seeds. */
static void write_packed(
    const char *folder, const char *filter, const char *what, const uint8_t *bytes, size_t size)
{
    char name[64];
    size_t packed_size;
    uint8_t *packed = packer_pack(filter, bytes, size, &packed_size);
    if (packed != NULL) {
        snprintf(name, sizeof name, "%s-%s", filter, what);
        seed_write(folder, name, packed, packed_size);
        snprintf(name, sizeof name, "%s-%s-cut", filter, what);
        seed_write(folder, name, packed, packed_size * 2 / 3);
        free(packed);
    }
}

int main(int argument_count, char **arguments)
{
    if (argument_count != 2) {
        return 64;
    }
    const char *folder = arguments[1];
    struct core_builder *builder = core_builder_create(CW_ARCH_X86_64);
    core_builder_segment(builder, 0x10000, 0x100, CW_PROT_READ | CW_PROT_WRITE);
    core_builder_thread(builder, 1234, 0x400111, 0x10080, 0x10040);
    size_t size;
    const uint8_t *core = core_builder_finish(builder, &size);
    uint8_t *zeros = calloc(1, ZERO_BYTES);
    if (zeros == NULL) {
        return EXIT_FAILURE;
    }
    memcpy(zeros, core, size);
    seed_write(folder, "plain", core, size);
    for (size_t i = 0; i < sizeof filters / sizeof filters[0]; i++) {
        write_packed(folder, filters[i], "core", core, size);
        write_packed(folder, filters[i], "text", (const uint8_t *)"no core", 7);
        write_packed(folder, filters[i], "zeros", zeros, ZERO_BYTES);
    }
    free(zeros);
    core_builder_destroy(builder);
    return 0;
}
