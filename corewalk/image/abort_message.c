/*
 * What the C library said before it ended the process: __abort_msg of glibc, a pointer to
 *
 *   unsigned size | char text[]
 *
 * in a mapping of its own. Seen in 2.31, 2.36, 2.41 and 2.43.
 */
#include <string.h>

#include "base/load.h"
#include "base/text.h"
#include "image/image.h"

enum { LONGEST_TEXT = 400 };

static bool read_text(const struct cw_space *space, cw_addr record, char *raw, size_t raw_bytes)
{
    uint32_t size;
    size_t length = 0;
    if (!cw_space_read_u32(space, record, &size) || size <= sizeof size) {
        return false;
    }
    size -= sizeof size;
    while (length + 1 < raw_bytes && length < size &&
           cw_space_read(space, record + sizeof size + length, raw + length, 1) &&
           raw[length] != '\0') {
        length++;
    }
    while (length > 0 && raw[length - 1] == '\n') {
        length--;
    }
    raw[length] = '\0';
    return length > 0;
}

bool cw_image_abort_message(const struct cw_image *image, char *buffer, size_t buffer_bytes)
{
    const struct cw_module *libc = cw_image_libc(image);
    const struct cw_symbol *symbol =
        libc != NULL ? cw_module_symbol_named(libc, "__abort_msg") : NULL;
    uint64_t record;
    char raw[LONGEST_TEXT];
    if (symbol == NULL || !cw_space_read_word(image->space, symbol->start, &record) ||
        record == 0 || !read_text(image->space, record, raw, sizeof raw)) {
        return false;
    }
    cw_text_escape(raw, buffer, buffer_bytes);
    return true;
}
