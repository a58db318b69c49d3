/* Names the owner of an address, the most telling one first. */
#include "analyze/where.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

const char *cw_place_name(enum cw_place place)
{
    static const char *const names[] = {
        [CW_PLACE_UNMAPPED] = "unmapped",
        [CW_PLACE_CHUNK] = "chunk",
        [CW_PLACE_HEAP_RANGE] = "heap",
        [CW_PLACE_STACK] = "stack",
        [CW_PLACE_MODULE] = "module",
        [CW_PLACE_FILE] = "file",
        [CW_PLACE_ANONYMOUS] = "anonymous",
    };
    return names[place];
}

static void describe_chunk(const struct cw_analysis_input *input,
                           cw_addr address,
                           struct cw_where *where)
{
    struct cw_chunk chunk = cw_chunk_table_get(&input->heap->chunks, where->chunk_index);
    const struct cw_population *population =
        input->classification != NULL ? cw_classification_of(input->classification, chunk.index)
                                      : NULL;
    cw_addr user = cw_heap_user_address(input->heap, &chunk);
    char offset[32] = "";
    if (address > user) {
        snprintf(offset, sizeof offset, "+0x%" PRIx64, address - user);
    } else if (address < user) {
        snprintf(offset, sizeof offset, "-0x%" PRIx64, user - address);
    }
    snprintf(where->text,
             sizeof where->text,
             "%s chunk 0x%" PRIx64 "%s%s%.100s",
             cw_chunk_state_name(chunk.state),
             user,
             offset,
             population != NULL ? ", " : "",
             population != NULL ? population->name : "");
}

static const struct cw_heap_range *find_range(const struct cw_heap *heap, cw_addr address)
{
    for (uint32_t i = 0; i < heap->range_count; i++) {
        const struct cw_heap_range *range = &heap->ranges[i];
        if (range->kind != CW_RANGE_FOREIGN &&
            cw_range_has(range->start, range->size_bytes, address)) {
            return range;
        }
    }
    return NULL;
}

static bool in_heap(const struct cw_analysis_input *input, cw_addr address, struct cw_where *where)
{
    if (input->heap == NULL) {
        return false;
    }
    where->chunk_index = cw_chunk_table_find(&input->heap->chunks, address);
    if (where->chunk_index != CW_NONE) {
        where->place = CW_PLACE_CHUNK;
        describe_chunk(input, address, where);
        return true;
    }
    const struct cw_heap_range *range = find_range(input->heap, address);
    if (range == NULL) {
        return false;
    }
    where->place = CW_PLACE_HEAP_RANGE;
    snprintf(where->text,
             sizeof where->text,
             range->kind == CW_RANGE_RESERVE ? "reserved by the heap, not in use"
                                             : "the allocator's own data");
    return true;
}

static bool in_stack(const struct cw_analysis_input *input, cw_addr address, struct cw_where *where)
{
    for (size_t i = 0; i < input->stack_count; i++) {
        const struct cw_stack *stack = &input->stacks[i];
        if (cw_range_has(stack->start, stack->size_bytes, address)) {
            where->place = CW_PLACE_STACK;
            where->thread_index = stack->thread_index;
            if (stack->thread_index == CW_NONE) {
                snprintf(where->text, sizeof where->text, "stack of a thread that has ended");
                return true;
            }
            const struct cw_thread *thread = &input->target->threads[stack->thread_index];
            snprintf(where->text,
                     sizeof where->text,
                     "stack of thread %" PRIu32 "%s",
                     thread->tid,
                     address < thread->sp ? ", below its stack pointer (dead)" : "");
            return true;
        }
    }
    return false;
}

static void in_mapping(const struct cw_analysis_input *input,
                       cw_addr address,
                       struct cw_where *where)
{
    if (cw_image_module_at(input->image, address) != NULL) {
        where->place = CW_PLACE_MODULE;
        cw_image_describe(input->image, address, where->text, sizeof where->text);
        return;
    }
    const char *path = cw_region_path(input->space, where->region);
    if (path != NULL) {
        char name[160];
        cw_text_escape(path, name, sizeof name);
        where->place = CW_PLACE_FILE;
        snprintf(where->text, sizeof where->text, "mapped file %s", name);
        return;
    }
    where->place = CW_PLACE_ANONYMOUS;
    snprintf(where->text,
             sizeof where->text,
             "anonymous mapping 0x%" PRIx64 "+0x%" PRIx64,
             where->region->start,
             address - where->region->start);
}

struct cw_where cw_where_is(const struct cw_analysis_input *input, cw_addr address)
{
    struct cw_where where = {
        .region = cw_space_find(input->space, address),
        .chunk_index = CW_NONE,
        .thread_index = CW_NONE,
        .text = "not mapped",
    };
    if (where.region != NULL && !in_heap(input, address, &where) &&
        !in_stack(input, address, &where)) {
        in_mapping(input, address, &where);
    }
    return where;
}
