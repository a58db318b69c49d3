/* Writing seeds. */
#include "fuzz/seed.h"

#include <stdio.h>
#include <stdlib.h>

#include "support/core_builder.h"

void seed_write(const char *folder, const char *name, const void *bytes, size_t size)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(bytes, 1, size, file) != size || fclose(file) != 0) {
        perror(path);
        exit(EXIT_FAILURE);
    }
}

void seed_write_core(const char *folder,
                     const char *name,
                     struct core_builder *builder,
                     unsigned cut_count)
{
    size_t size;
    const uint8_t *bytes = core_builder_finish(builder, &size);
    seed_write(folder, name, bytes, size);
    for (unsigned i = 0; i < cut_count; i++) {
        char cut_name[256];
        snprintf(cut_name, sizeof cut_name, "%s-cut-%u", name, i);
        seed_write(folder, cut_name, bytes, size * (i + 1) / (cut_count + 1));
    }
}
