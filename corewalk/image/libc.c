/* Which module is the C library, and what glibc's banner says of its release. */
#include <ctype.h>
#include <string.h>

#include "base/checked.h"
#include "image/module.h"

enum {
    SEARCH_LIMIT = 64 << 20,
    BANNER_BYTES = 256,
    VERSION_BYTES = 16,
};

/* "GNU C Library (Debian GLIBC 2.36-9+deb12u4) stable release version 2.36." */
static const char banner[] = "GNU C Library ";
static const char before_version[] = "release version ";

/* Names of the C library's file, in the order in which they are believed. */
static const char *const libc_prefixes[] = {
    "libc.so.6",  /* glibc */
    "libc-2.",    /* glibc up to 2.33 */
    "libc.musl-", /* musl, as Alpine names it */
    "ld-musl-",   /* musl: loader and library in one */
    "libc.so",
};

/* Digits and dots behind the words, without the sentence's full stop. */
static const char *version_in(struct cw_arena *arena, const uint8_t *text, size_t size)
{
    const uint8_t *words = memmem(text, size, before_version, sizeof before_version - 1);
    if (words == NULL) {
        return NULL;
    }
    const char *version = (const char *)words + sizeof before_version - 1;
    size_t left = size - (size_t)(version - (const char *)text);
    size_t length = 0;
    while (length < left && length < VERSION_BYTES &&
           (isdigit((unsigned char)version[length]) || version[length] == '.')) {
        length++;
    }
    while (length > 0 && version[length - 1] == '.') {
        length--;
    }
    return length > 0 ? cw_arena_strndup(arena, version, length) : NULL;
}

static const char *search(struct cw_arena *arena, const uint8_t *data, uint64_t size)
{
    const uint8_t *at = data;
    uint64_t left = cw_min(size, SEARCH_LIMIT);
    const uint8_t *end = data + left;
    while ((at = memmem(at, (size_t)(end - at), banner, sizeof banner - 1)) != NULL) {
        const char *version =
            version_in(arena, at, (size_t)cw_min((uint64_t)(end - at), BANNER_BYTES));
        if (version != NULL) {
            return version;
        }
        at += sizeof banner - 1;
    }
    return NULL;
}

/* In the module's read-only memory, as far as the target or its file shows it. */
static const char *search_memory(const struct cw_image *image, const struct cw_module *module)
{
    const struct cw_module_detail *detail = cw_module_detail(image, module);
    uint64_t left = SEARCH_LIMIT;
    for (size_t i = 0; i < detail->mapping_count; i++) {
        const struct cw_mapping *mapping = cw_module_mapping(image, detail, i);
        const struct cw_region *region = cw_space_find(image->space, mapping->start);
        if (region == NULL || cw_region_is_writable(region)) {
            continue;
        }
        const uint8_t *data;
        uint64_t size = cw_space_run(image->space, mapping->start, &data);
        size = cw_min(cw_min(size, mapping->size_bytes), left);
        const char *version = size > 0 ? search(image->arena, data, size) : NULL;
        if (version != NULL) {
            return version;
        }
        left -= size;
    }
    return NULL;
}

static bool is_static(const struct cw_image *image, const struct cw_module *module)
{
    const struct cw_module_detail *detail = cw_module_detail(image, module);
    return detail->has_layout && !detail->layout.has_interpreter;
}

static const struct cw_module *find_libc(const struct cw_image *image)
{
    for (size_t i = 0; i < sizeof libc_prefixes / sizeof libc_prefixes[0]; i++) {
        for (size_t j = 0; j < image->module_count; j++) {
            const char *name = image->modules[j].name;
            if (strncmp(name, libc_prefixes[i], strlen(libc_prefixes[i])) == 0) {
                return &image->modules[j];
            }
        }
    }
    return image->executable != NULL && is_static(image, image->executable) ? image->executable
                                                                            : NULL;
}

void cw_image_find_libc(struct cw_image *image)
{
    struct cw_image_private *private = image->private;
    private->libc = find_libc(image);
    if (private->libc == NULL) {
        return;
    }
    const struct cw_module_detail *detail = cw_module_detail(image, private->libc);
    if (private->libc->file == CW_MODULE_FILE_VERIFIED) {
        private->glibc_version = search(image->arena, detail->file.data, detail->file.size);
    }
    if (private->glibc_version == NULL) {
        private->glibc_version = search_memory(image, private->libc);
    }
}

const struct cw_module *cw_image_libc(const struct cw_image *image)
{
    return image->private->libc;
}

const char *cw_image_glibc_version(const struct cw_image *image)
{
    return image->private->glibc_version;
}

bool cw_image_is_without_libc(const struct cw_image *image)
{
    return image->executable != NULL && image->private->libc == image->executable &&
           image->private->glibc_version == NULL && cw_image_runtime(image, "go") != NULL &&
           cw_image_runtime(image, "musl") == NULL;
}
