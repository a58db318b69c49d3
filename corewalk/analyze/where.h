/* What any address belongs to: chunk, stack, module, mapping, or nothing. */
#pragma once

#include "analyze/analysis.h"

enum cw_place {
    CW_PLACE_UNMAPPED,
    CW_PLACE_CHUNK,
    CW_PLACE_HEAP_RANGE, /* the allocator's, but no chunk */
    CW_PLACE_STACK,
    CW_PLACE_MODULE,
    CW_PLACE_FILE,
    CW_PLACE_ANONYMOUS,
};

struct cw_where {
    enum cw_place place;
    const struct cw_region *region; /* NULL when unmapped */
    uint32_t chunk_index;           /* CW_PLACE_CHUNK; else CW_NONE */
    uint32_t thread_index;          /* CW_PLACE_STACK of a living thread; else CW_NONE */
    char text[200];                 /* for people; printable ASCII */
};

struct cw_where cw_where_is(const struct cw_analysis_input *input, cw_addr address);

/* "chunk", "stack" …: for machines. */
const char *cw_place_name(enum cw_place place);
