/*
 * Walks over structures of glibc whose layout is part of its ABI, the same in all releases from
 * 2.17 on (W: word):
 *
 *   FILE      0 flags (0xfbad in the upper half)   7W buffer base   8W buffer end
 *             13W next in the list of all          0xd8 (LP64), 0x94 (ILP32) vtable
 *   tcb       x86: W dtv, 2W self · aarch64: 0 dtv
 *   dtv       -2W number of entries · entry i at i * 2W: value, and what to free (2.26 on)
 *   libstdc++'s pool (5 and later)   first free entry, W arena, 2W its size in bytes
 *
 * Every chunk that is claimed is one that such a structure points to the very start of.
 */
#include "classify/libc_facts.h"

#include <string.h>

#include "base/cursor.h"
#include "image/link_map.h"

enum {
    STREAM_LIMIT = 1 << 16,
    DTV_ENTRY_LIMIT = 1 << 22, /* of all threads together */
    PHDR_LIMIT = 64,
    DYNAMIC_DEBUG = 21, /* DT_DEBUG */
    MODULE_DATA_LIMIT = 4 << 20,
    LEAST_POOL_BYTES = 4096,
};

/* --- shared -------------------------------------------------------------------------------- */

static bool read_slot(const struct cw_libc_facts *facts,
                      cw_addr address,
                      uint64_t off,
                      uint64_t *ret_word)
{
    cw_addr place;
    return cw_add(address, off, &place) &&
           cw_space_read_word(facts->context->space, place, ret_word);
}

/* Claims the chunk whose user memory starts at the address, if there is one that is held. */
static void claim(struct cw_libc_facts *facts, cw_addr address, enum cw_libc_fact_kind kind)
{
    const struct cw_heap *heap = facts->context->heap;
    uint32_t index = cw_chunk_table_find(&heap->chunks, address);
    if (index == CW_NONE) {
        return;
    }
    struct cw_chunk chunk = cw_chunk_table_get(&heap->chunks, index);
    struct cw_libc_fact fact = {.chunk_index = index, .kind = kind};
    if (cw_chunk_state_is_held(chunk.state) && cw_heap_user_address(heap, &chunk) == address &&
        !cw_vector_append(&facts->items, &fact)) {
        facts->is_out_of_memory = true;
    }
}

/* --- stdio --------------------------------------------------------------------------------- */

static bool has_stream_flags(uint64_t word)
{
    return (word & 0xffff0000U) == 0xfbad0000U;
}

bool cw_libc_is_stream(const struct cw_classifier_context *context, cw_addr address)
{
    const struct cw_space *space = context->space;
    unsigned word_bytes = space->word_bytes;
    uint64_t vtable_off = word_bytes == 8 ? 0xd8 : 0x94;
    const uint8_t *bytes = cw_space_view(space, address, vtable_off + word_bytes);
    if (bytes == NULL || !has_stream_flags(cw_load_u32(bytes))) {
        return false;
    }
    uint64_t buffer_base = cw_load_word(bytes + 7 * (size_t)word_bytes, word_bytes);
    uint64_t buffer_end = cw_load_word(bytes + 8 * (size_t)word_bytes, word_bytes);
    uint64_t vtable = cw_load_word(bytes + vtable_off, word_bytes);
    return buffer_base <= buffer_end && cw_module_filter_has(context->modules, vtable);
}

/* Follows the list of all streams from one of them on. */
static void walk_streams(struct cw_libc_facts *facts, cw_addr address)
{
    unsigned word_bytes = facts->context->space->word_bytes;
    while (facts->streams.count < STREAM_LIMIT && cw_libc_is_stream(facts->context, address)) {
        bool is_new;
        if (cw_map_insert(&facts->streams, address, &is_new) == NULL) {
            facts->is_out_of_memory = true;
            return;
        }
        uint64_t buffer;
        uint64_t next;
        if (!is_new || !read_slot(facts, address, 7 * (uint64_t)word_bytes, &buffer) ||
            !read_slot(facts, address, 13 * (uint64_t)word_bytes, &next)) {
            return;
        }
        claim(facts, address, CW_LIBC_FILE);
        claim(facts, buffer, CW_LIBC_STDIO_BUFFER);
        address = next;
    }
}

/* Looks at a word of a module's writable memory, with what is behind it. */
typedef void visit_word(struct cw_libc_facts *facts, cw_addr address, struct cw_cursor *behind);

/* Visits the words of what a library has of .data and .bss. */
static void visit_data(struct cw_libc_facts *facts,
                       const struct cw_module *module,
                       visit_word *visit)
{
    const struct cw_space *space = facts->context->space;
    uint64_t left = MODULE_DATA_LIMIT;
    for (size_t i = cw_space_first_above(space, module->start); i < space->region_count; i++) {
        const struct cw_region *region = &space->regions[i];
        const uint8_t *data;
        if (!cw_range_has(module->start, module->size_bytes, region->start)) {
            break;
        }
        if (!cw_region_is_writable(region)) {
            continue;
        }
        uint64_t size = cw_min(left, cw_space_run(space, region->start, &data));
        for (uint64_t off = 0; off < size; off += space->word_bytes) {
            struct cw_cursor words = cw_cursor_make(data + off, size - off, space->word_bytes);
            visit(facts, region->start + off, &words);
        }
        left -= size;
    }
}

/* A stream (stdin, …), or a pointer to one (the head of the list). */
static void visit_stream(struct cw_libc_facts *facts, cw_addr address, struct cw_cursor *behind)
{
    uint64_t word = cw_cursor_word(behind);
    uint32_t flags;
    if (has_stream_flags(word)) {
        walk_streams(facts, address);
    } else if (word != 0 && word % behind->word_bytes == 0 &&
               cw_space_read_u32(facts->context->space, word, &flags) && has_stream_flags(flags)) {
        walk_streams(facts, word);
    }
}

static void find_streams(struct cw_libc_facts *facts)
{
    const struct cw_module *libc = cw_image_libc(facts->context->image);
    if (libc != NULL) {
        visit_data(facts, libc, visit_stream);
    }
}

/* --- libstdc++ ----------------------------------------------------------------------------- */

/* The address of a held chunk, followed by the size that was asked for when it was allocated. */
static void visit_pool(struct cw_libc_facts *facts, cw_addr address, struct cw_cursor *behind)
{
    const struct cw_heap *heap = facts->context->heap;
    uint64_t arena = cw_cursor_word(behind);
    uint64_t size = cw_cursor_word(behind);
    uint32_t index = arena != 0 && size >= LEAST_POOL_BYTES
                         ? cw_chunk_table_find(&heap->chunks, arena)
                         : CW_NONE;
    (void)address;
    if (index == CW_NONE) {
        return;
    }
    struct cw_chunk chunk = cw_chunk_table_get(&heap->chunks, index);
    uint64_t usable = cw_heap_usable_bytes(heap, &chunk);
    if (size <= usable && usable - size < heap->chunks.header_bytes) {
        claim(facts, arena, CW_LIBC_EXCEPTION_POOL);
    }
}

static void find_exception_pool(struct cw_libc_facts *facts)
{
    const struct cw_image *image = facts->context->image;
    for (size_t i = 0; i < image->module_count; i++) {
        if (strncmp(image->modules[i].name, "libstdc++.so", 12) == 0) {
            visit_data(facts, &image->modules[i], visit_pool);
            return;
        }
    }
}

/* --- thread-local storage ------------------------------------------------------------------ */

static void walk_dtv(struct cw_libc_facts *facts, cw_addr dtv)
{
    uint64_t entry_bytes = 2 * (uint64_t)facts->context->space->word_bytes;
    cw_addr start;
    uint64_t count;
    if (!cw_sub(dtv, entry_bytes, &start) || !read_slot(facts, start, 0, &count)) {
        return;
    }
    claim(facts, start, CW_LIBC_DTV);
    for (uint64_t i = 1; i <= count && facts->dtv_entry_count < DTV_ENTRY_LIMIT; i++) {
        uint64_t to_free;
        facts->dtv_entry_count++;
        if (!read_slot(facts, dtv, i * entry_bytes + entry_bytes / 2, &to_free)) {
            return;
        }
        if (to_free != 0) {
            claim(facts, to_free, CW_LIBC_TLS_BLOCK);
        }
    }
}

static void find_thread_storage(struct cw_libc_facts *facts)
{
    const struct cw_target *target = facts->context->space->target;
    bool is_x86 = target->arch == CW_ARCH_X86_64 || target->arch == CW_ARCH_I386;
    uint64_t dtv_off = is_x86 ? target->word_bytes : 0;
    for (size_t i = 0; i < target->thread_count; i++) {
        cw_addr tcb = target->threads[i].tp;
        uint64_t dtv;
        uint64_t self = 0;
        if (tcb == 0 || !read_slot(facts, tcb, dtv_off, &dtv)) {
            continue;
        }
        if (!is_x86 || (read_slot(facts, tcb, 2 * dtv_off, &self) && self == tcb)) {
            walk_dtv(facts, dtv);
        }
    }
}

/* --- loaded objects ------------------------------------------------------------------------ */

/* The address of the program's dynamic section, from its program headers in memory. */
static bool find_dynamic(const struct cw_libc_facts *facts, cw_addr *ret_dynamic)
{
    enum { TYPE_DYNAMIC = 2, TYPE_PHDR = 6 }; /* p_type */
    const struct cw_space *space = facts->context->space;
    bool is_64 = space->word_bytes == 8;
    uint64_t entry_bytes = is_64 ? 56 : 32;
    uint64_t vaddr_off = is_64 ? 16 : 8;
    uint64_t bias = 0;
    bool has_bias = false;
    for (uint64_t i = 0; i < PHDR_LIMIT; i++) {
        cw_addr entry;
        uint32_t type;
        uint64_t vaddr;
        if (!cw_add(space->target->auxv_phdr, i * entry_bytes, &entry) ||
            !cw_space_read_u32(space, entry, &type) ||
            !read_slot(facts, entry, vaddr_off, &vaddr)) {
            return false;
        }
        if (type == TYPE_PHDR) {
            bias = space->target->auxv_phdr - vaddr;
            has_bias = true;
        } else if (type == TYPE_DYNAMIC && has_bias) {
            *ret_dynamic = bias + vaddr;
            return true;
        }
    }
    return false;
}

static void find_loaded_objects(struct cw_libc_facts *facts)
{
    const struct cw_space *space = facts->context->space;
    struct cw_link_map map;
    cw_addr dynamic;
    cw_addr debug;
    bool is_found = space->target->auxv_phdr != 0 && find_dynamic(facts, &dynamic) &&
                    cw_dynamic_find(space, dynamic, DYNAMIC_DEBUG, &debug) &&
                    cw_link_map_first(space, debug, &map);
    for (unsigned step = 0; is_found && step < CW_LINK_MAP_LIMIT; step++) {
        claim(facts, map.address, CW_LIBC_LINK_MAP);
        claim(facts, map.name, CW_LIBC_OBJECT_NAME);
        is_found = cw_link_map_next(space, &map);
    }
}

/* --- the whole ----------------------------------------------------------------------------- */

static int compare_facts(const void *left, const void *right)
{
    const struct cw_libc_fact *a = left;
    const struct cw_libc_fact *b = right;
    int order = (a->chunk_index > b->chunk_index) - (a->chunk_index < b->chunk_index);
    return order != 0 ? order : (int)a->kind - (int)b->kind;
}

static void keep_one_per_chunk(struct cw_vector *items)
{
    struct cw_libc_fact *facts = items->items;
    size_t kept = 0;
    for (size_t i = 0; i < items->count; i++) {
        if (kept == 0 || facts[kept - 1].chunk_index != facts[i].chunk_index) {
            facts[kept++] = facts[i];
        }
    }
    items->count = kept;
}

bool cw_libc_facts_find(struct cw_libc_facts *facts, const struct cw_classifier_context *context)
{
    *facts = (struct cw_libc_facts){.context = context};
    cw_vector_init(&facts->items, context->memory->budget, sizeof(struct cw_libc_fact));
    cw_map_init(&facts->streams, context->memory->budget);
    find_streams(facts);
    find_exception_pool(facts);
    find_thread_storage(facts);
    find_loaded_objects(facts);
    if (facts->items.count > 0) {
        cw_vector_sort(&facts->items, compare_facts);
        keep_one_per_chunk(&facts->items);
    }
    return !facts->is_out_of_memory;
}

void cw_libc_facts_deinit(struct cw_libc_facts *facts)
{
    cw_vector_deinit(&facts->items);
    cw_map_deinit(&facts->streams);
}
