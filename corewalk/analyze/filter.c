/* The chunk filter: parsed once, then a few comparisons a chunk. */
#include "analyze/filter.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "analyze/request.h"
#include "base/text.h"

const char *const cw_filter_states[] = {
    "held", "used", "mmapped", "tcache", "fastbin", "binned", "top", "internal", "unknown", NULL};

static bool parse_state(const char *word, size_t length, uint32_t *states)
{
    char name[16];
    if (length == 0 || length >= sizeof name) {
        return false;
    }
    memcpy(name, word, length);
    name[length] = '\0';
    if (strcmp(name, "held") == 0) {
        *states |= 1U << CW_CHUNK_USED | 1U << CW_CHUNK_MMAPPED;
        return true;
    }
    enum cw_chunk_state state;
    if (!cw_chunk_state_parse(name, &state)) {
        return false;
    }
    *states |= 1U << state;
    return true;
}

static enum cw_status parse_states(const char *text, uint32_t *ret_states, struct cw_error *err)
{
    uint32_t states = 0;
    for (const char *word = text;;) {
        size_t length = strcspn(word, ",");
        if (!parse_state(word, length, &states)) {
            return cw_error_set(err,
                                CW_ERROR_ARGUMENT,
                                "--state: '%.*s' is no state; see corewalk help list",
                                (int)length,
                                word);
        }
        if (word[length] == '\0') {
            break;
        }
        word += length + 1;
    }
    *ret_states = states;
    return CW_OK;
}

static enum cw_status find_arena(const struct cw_heap *heap,
                                 const char *text,
                                 uint32_t *ret_index,
                                 struct cw_error *err)
{
    cw_addr address = 0;
    bool wants_main = strcmp(text, "main") == 0;
    if (!wants_main && !cw_text_parse_address(text, &address)) {
        return cw_error_set(
            err, CW_ERROR_ARGUMENT, "--arena: '%s' is neither main nor an address", text);
    }
    for (uint32_t i = 0; i < heap->arena_count; i++) {
        const struct cw_heap_arena *arena = &heap->arenas[i];
        if (wants_main ? arena->kind == CW_ARENA_MAIN : arena->address == address) {
            *ret_index = i;
            return CW_OK;
        }
    }
    return cw_error_set(err,
                        CW_ERROR_ARGUMENT,
                        "--arena: there is no arena %s; corewalk histogram --by arena lists them",
                        text);
}

enum cw_status cw_filter_create(const struct cw_analysis_input *input,
                                struct cw_filter *ret_filter,
                                struct cw_error *err)
{
    const struct corewalk_request *request = input->request;
    struct cw_filter filter = {
        .states = UINT32_MAX,
        .min_bytes = cw_request_size(request, "min-size", 0),
        .max_bytes = cw_request_size(request, "max-size", UINT64_MAX),
        .name = cw_request_setting(request, "name"),
        .arena_index = CW_NONE,
        .chunk_index = CW_NONE,
        .classification = input->classification,
    };
    const char *states = cw_request_setting(request, "state");
    const char *arena = cw_request_setting(request, "arena");
    enum cw_status status = CW_OK;
    if (states != NULL) {
        status = parse_states(states, &filter.states, err);
    }
    if (status == CW_OK && arena != NULL) {
        status = find_arena(input->heap, arena, &filter.arena_index, err);
    }
    if (status == CW_OK && cw_request_setting(request, "address") != NULL) {
        cw_addr address = cw_request_address(request, "address", 0);
        filter.chunk_index = cw_chunk_table_find(&input->heap->chunks, address);
        if (filter.chunk_index == CW_NONE) {
            status = cw_error_set_at(err,
                                     CW_ERROR_NOT_FOUND,
                                     address,
                                     "--address: 0x%" PRIx64
                                     " lies in no chunk of the heap; the verb block says where "
                                     "it lies",
                                     address);
        }
    }
    if (status == CW_OK) {
        *ret_filter = filter;
    }
    return status;
}

static bool name_passes(const struct cw_filter *filter, uint32_t chunk_index)
{
    const struct cw_population *population =
        cw_classification_of(filter->classification, chunk_index);
    return population != NULL && strcasestr(population->name, filter->name) != NULL;
}

bool cw_filter_passes(const struct cw_filter *filter,
                      const struct cw_chunk *chunk,
                      uint32_t arena_index)
{
    return (filter->states >> chunk->state & 1) != 0 && chunk->size_bytes >= filter->min_bytes &&
           chunk->size_bytes <= filter->max_bytes &&
           (filter->arena_index == CW_NONE || filter->arena_index == arena_index) &&
           (filter->chunk_index == CW_NONE || filter->chunk_index == chunk->index) &&
           (filter->name == NULL || name_passes(filter, chunk->index));
}

struct cw_cell cw_arena_cell(const struct cw_heap *heap, uint32_t arena_index, char *buffer)
{
    if (arena_index == CW_NONE) {
        return cw_cell_absent();
    }
    const struct cw_heap_arena *arena = &heap->arenas[arena_index];
    if (arena->kind == CW_ARENA_MAIN && arena_index == 0) {
        return cw_cell_text("main");
    }
    snprintf(buffer, CW_ARENA_TEXT, "0x%" PRIx64, arena->address);
    return cw_cell_text(buffer);
}
