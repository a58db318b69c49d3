/* Reading the dynamic linker's list, a node at a time. */
#include "image/link_map.h"

#include <elf.h>

#include "base/checked.h"

enum { DYNAMIC_LIMIT = 256 };

static bool read_slot(const struct cw_space *space,
                      cw_addr start,
                      uint64_t slot,
                      uint64_t *ret_word)
{
    cw_addr place;
    return cw_add(start, slot * space->word_bytes, &place) &&
           cw_space_read_word(space, place, ret_word);
}

bool cw_dynamic_find(const struct cw_space *space,
                     cw_addr dynamic,
                     uint64_t tag,
                     uint64_t *ret_value)
{
    for (uint64_t i = 0; i < DYNAMIC_LIMIT; i++) {
        uint64_t found;
        if (!read_slot(space, dynamic, 2 * i, &found) || found == DT_NULL) {
            return false;
        }
        if (found == tag) {
            return read_slot(space, dynamic, 2 * i + 1, ret_value);
        }
    }
    return false;
}

static bool read_map(const struct cw_space *space,
                     cw_addr address,
                     cw_addr previous,
                     struct cw_link_map *ret_map)
{
    struct cw_link_map map = {.address = address};
    uint64_t back;
    if (address == 0 || !read_slot(space, address, 0, &map.bias) ||
        !read_slot(space, address, 1, &map.name) || !read_slot(space, address, 2, &map.dynamic) ||
        !read_slot(space, address, 3, &map.next) || !read_slot(space, address, 4, &back) ||
        back != previous) {
        return false;
    }
    *ret_map = map;
    return true;
}

bool cw_link_map_first(const struct cw_space *space, cw_addr debug, struct cw_link_map *ret_map)
{
    uint32_t version;
    uint64_t first;
    return cw_space_read_u32(space, debug, &version) && version >= 1 && version <= 2 &&
           read_slot(space, debug, 1, &first) && read_map(space, first, 0, ret_map);
}

bool cw_link_map_next(const struct cw_space *space, struct cw_link_map *map)
{
    return read_map(space, map->next, map->address, map);
}
