/*
 * The dynamic linker's list of what it has loaded, as debuggers read it. Its beginning is the same
 * in all C libraries and releases (W: word):
 *
 *   dynamic   pairs of words: tag, value; DT_DEBUG's value is r_debug, of the program's only
 *   r_debug   0 version (1, 2)   W first link_map   4W address of the dynamic linker
 *   link_map  0 bias   W name   2W dynamic section   3W next   4W previous
 */
#pragma once

#include "space/space.h"

#define CW_LINK_MAP_LIMIT (1 << 16)

struct cw_link_map {
    cw_addr address;
    uint64_t bias;
    cw_addr name; /* of a string */
    cw_addr dynamic;
    cw_addr next;
};

/* The value of a dynamic section's entry. False: there is none, or it cannot be read. */
bool cw_dynamic_find(const struct cw_space *space,
                     cw_addr dynamic,
                     uint64_t tag,
                     uint64_t *ret_value);

/* The first one of an r_debug. False when there is none that is sound. */
bool cw_link_map_first(const struct cw_space *space, cw_addr debug, struct cw_link_map *ret_map);

/*
 * The one after it. False at the end, and where the list does not lead back as it should: it
 * cannot run in a circle.
 */
bool cw_link_map_next(const struct cw_space *space, struct cw_link_map *map);
