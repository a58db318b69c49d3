/* Which chunks a verb talks about: the filter options that `list` and later verbs share. */
#pragma once

#include "analyze/analysis.h"

/* The words that --state takes. */
extern const char *const cw_filter_states[];

/* The first entries of such a verb's options. */
#define CW_FILTER_OPTIONS                                                                       \
    {"state",                                                                                   \
     "only these states: used, tcache, fastbin, binned, top, mmapped, internal, unknown; "      \
     "'held' is used,mmapped",                                                                  \
     "STATE,...",                                                                               \
     COREWALK_VALUE_TEXT,                                                                       \
     cw_filter_states},                                                                         \
        {"min-size", "only chunks of at least this size", "SIZE", COREWALK_VALUE_SIZE, NULL},   \
        {"max-size", "only chunks of at most this size", "SIZE", COREWALK_VALUE_SIZE, NULL},    \
        {"name",                                                                                \
         "only names that hold this text, case ignored",                                        \
         "TEXT",                                                                                \
         COREWALK_VALUE_TEXT,                                                                   \
         NULL},                                                                                 \
        {"arena",                                                                               \
         "only this arena: main, or its address as histogram --by arena shows it",              \
         "ARENA",                                                                               \
         COREWALK_VALUE_TEXT,                                                                   \
         NULL},                                                                                 \
    {                                                                                           \
        "address", "only the chunk that holds this address", "ADDRESS", COREWALK_VALUE_ADDRESS, \
            NULL                                                                                \
    }

struct cw_filter {
    uint32_t states; /* bit of each enum cw_chunk_state that passes */
    uint64_t min_bytes;
    uint64_t max_bytes;
    const char *name;     /* part of the population's name, case ignored; NULL: any */
    uint32_t arena_index; /* CW_NONE: any */
    uint32_t chunk_index; /* CW_NONE: any */
    const struct cw_classification *classification;
};

/* CW_ERROR_ARGUMENT for a state or arena that does not exist, or an address in no chunk. */
enum cw_status cw_filter_create(const struct cw_analysis_input *input,
                                struct cw_filter *ret_filter,
                                struct cw_error *err);

/* Does the chunk pass? `arena_index` is its extent's. */
bool cw_filter_passes(const struct cw_filter *filter,
                      const struct cw_chunk *chunk,
                      uint32_t arena_index);

/*
 * "main" or "0x7f…", in a buffer of CW_ARENA_TEXT bytes that must outlive the cell; absent for
 * mmapped chunks, which are in none.
 */
#define CW_ARENA_TEXT 24
struct cw_cell cw_arena_cell(const struct cw_heap *heap, uint32_t arena_index, char *buffer);
