/* Reading through the regions: in place where the bytes are, by copy where they are spread. */
#include <string.h>

#include "base/checked.h"
#include "space/fetch.h"

/* How many of `size` bytes can be seen from the address on, within its region. */
static uint64_t visible(const struct cw_space *space,
                        const struct cw_region *region,
                        cw_addr address,
                        uint64_t size,
                        const uint8_t **ret_data)
{
    uint64_t offset = address - region->start;
    uint64_t wanted = cw_min(size, region->size_bytes - offset);
    if (region->data != NULL) {
        *ret_data = region->data + offset;
        return wanted;
    }
    if (region->fetch_index != CW_NONE) {
        return cw_fetch_run(space, region->fetch_index, address, wanted, ret_data);
    }
    return 0;
}

const uint8_t *cw_space_view(const struct cw_space *space, cw_addr address, uint64_t size)
{
    const struct cw_region *region = cw_space_find(space, address);
    const uint8_t *data = NULL;
    if (region == NULL || size > region->size_bytes - (address - region->start)) {
        return NULL;
    }
    uint64_t seen = visible(space, region, address, cw_max(size, 1), &data);
    return seen >= cw_max(size, 1) ? data : NULL;
}

uint64_t cw_space_run(const struct cw_space *space, cw_addr address, const uint8_t **ret_data)
{
    const struct cw_region *region = cw_space_find(space, address);
    return region == NULL ? 0 : visible(space, region, address, UINT64_MAX, ret_data);
}

bool cw_space_read(const struct cw_space *space, cw_addr address, void *buffer, size_t size)
{
    char *out = buffer;
    while (size > 0) {
        const struct cw_region *region = cw_space_find(space, address);
        const uint8_t *data = NULL;
        uint64_t seen = region == NULL ? 0 : visible(space, region, address, size, &data);
        if (seen == 0) {
            return false;
        }
        memcpy(out, data, seen);
        out += seen;
        size -= seen;
        address += seen;
        if (address == 0 && size > 0) {
            return false; /* past the top of the address space */
        }
    }
    return true;
}

bool cw_space_read_word(const struct cw_space *space, cw_addr address, uint64_t *ret_word)
{
    uint8_t bytes[8];
    const uint8_t *data = cw_space_view(space, address, space->word_bytes);
    if (data == NULL) {
        if (!cw_space_read(space, address, bytes, space->word_bytes)) {
            return false;
        }
        data = bytes;
    }
    *ret_word = cw_load_word(data, space->word_bytes);
    return true;
}

bool cw_space_read_u32(const struct cw_space *space, cw_addr address, uint32_t *ret_value)
{
    uint8_t bytes[4];
    if (!cw_space_read(space, address, bytes, sizeof bytes)) {
        return false;
    }
    *ret_value = cw_load_u32(bytes);
    return true;
}

bool cw_space_read_string(const struct cw_space *space,
                          cw_addr address,
                          char *buffer,
                          size_t buffer_bytes)
{
    size_t length = 0;
    while (length < buffer_bytes) {
        const struct cw_region *region = cw_space_find(space, address);
        const uint8_t *data = NULL;
        uint64_t seen =
            region == NULL ? 0 : visible(space, region, address, buffer_bytes - length, &data);
        if (seen == 0) {
            return false;
        }
        const uint8_t *end = memchr(data, 0, seen);
        uint64_t taken = end != NULL ? (uint64_t)(end - data) + 1 : seen;
        memcpy(buffer + length, data, taken);
        if (end != NULL) {
            return true;
        }
        length += taken;
        address += taken;
        if (address == 0) {
            return false; /* past the top of the address space */
        }
    }
    return false;
}
