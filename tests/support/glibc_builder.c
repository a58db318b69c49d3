/* The glibc builder: plays the allocator, writing what it would have written. */
#include "support/glibc_builder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ARENA_OFF = 0xc60,
    MP_OFF = 0x340,
    LIBC_BYTES = 0x3000,
    THREAD_LIMIT = 8,
    TLS_BYTES = 0x4000,
    TP_OFF = 0x3000,
    CACHE_OFF = 0x48, /* below the thread pointer, as in 2.36 */
    RW = CW_PROT_READ | CW_PROT_WRITE,
};

struct arena {
    cw_addr address;
    cw_addr heap; /* the newest heap_info; 0: main */
    cw_addr top;
    cw_addr end;
    uint64_t system_bytes;
};

struct glibc_builder {
    struct core_builder *core;
    const struct glibc_layout *layout;
    uint64_t word;
    struct arena arenas[GLIBC_BUILDER_ARENA_LIMIT];
    unsigned arena_count;
    unsigned heap_count;
    cw_addr caches[THREAD_LIMIT];
    unsigned thread_count;
    uint64_t mmap_count;
    uint64_t mmap_bytes;
};

static void misuse(const char *what)
{
    fprintf(stderr, "glibc builder: %s\n", what);
    abort();
}

static void put(struct glibc_builder *builder, cw_addr address, uint64_t value)
{
    core_builder_word(builder->core, address, value);
}

static uint64_t get(const struct glibc_builder *builder, cw_addr address)
{
    return core_builder_get_word(builder->core, address);
}

static void put_u32(struct glibc_builder *builder, cw_addr address, uint32_t value)
{
    core_builder_bytes(builder->core, address, &value, sizeof value);
}

static cw_addr first_chunk(const struct glibc_builder *builder, cw_addr address)
{
    uint64_t alignment = builder->layout->alignment;
    uint64_t header = (uint64_t)2 * builder->word;
    return ((address + header + alignment - 1) & ~(alignment - 1)) - header;
}

/* ---- arenas -------------------------------------------------------------------------------- */

static cw_addr bins_of(const struct glibc_builder *builder, unsigned arena)
{
    return builder->arenas[arena].address + builder->layout->bins_off;
}

static cw_addr next_field(const struct glibc_builder *builder, unsigned arena)
{
    return bins_of(builder, arena) + (uint64_t)GLIBC_BIN_WORDS * builder->word + GLIBC_BINMAP_BYTES;
}

static void write_sums(struct glibc_builder *builder, unsigned arena)
{
    cw_addr field = next_field(builder, arena) + (uint64_t)2 * builder->word;
    if (builder->layout->has_attached_threads) {
        put(builder, field, 1);
        field += builder->word;
    }
    put(builder, field, builder->arenas[arena].system_bytes);
    put(builder, field + builder->word, builder->arenas[arena].system_bytes);
}

static void write_top(struct glibc_builder *builder, unsigned arena)
{
    struct arena *of = &builder->arenas[arena];
    put(builder, bins_of(builder, arena) - 2 * builder->word, of->top);
    put(builder, of->top + builder->word, (of->end - of->top) | 1);
    write_sums(builder, arena);
}

static void init_arena(struct glibc_builder *builder, unsigned arena)
{
    for (unsigned bin = 1; bin <= GLIBC_BIN_COUNT; bin++) {
        cw_addr head = glibc_builder_bin_address(builder, arena, bin);
        put(builder, head + 2 * builder->word, head);
        put(builder, head + 3 * builder->word, head);
    }
    /* The new one goes behind the main one in the circle. */
    cw_addr next = arena == 0 ? builder->arenas[0].address : get(builder, next_field(builder, 0));
    put(builder, next_field(builder, arena), next);
    put(builder, next_field(builder, 0), builder->arenas[arena].address);
}

static void write_mp(struct glibc_builder *builder)
{
    uint64_t word = builder->word;
    const struct glibc_mp_offsets *offsets =
        glibc_mp_offsets(builder->layout->word_bytes, builder->layout->mp_form);
    cw_addr mp = glibc_builder_mp_address(builder);
    const uint64_t head[] = {0x20000, 0x20000, 0x20000, word == 8 ? 8 : 2, 0};
    for (unsigned i = 0; i < 5; i++) {
        put(builder, mp + (uint64_t)i * word, head[i]);
    }
    put_u32(builder, mp + offsets->n_mmaps, (uint32_t)builder->mmap_count);
    put_u32(builder, mp + offsets->n_mmaps + 4, 65536);
    put_u32(builder, mp + offsets->n_mmaps + 8, (uint32_t)builder->mmap_count);
    put(builder, mp + offsets->mmapped_mem, builder->mmap_bytes);
    put(builder, mp + offsets->mmapped_mem + word, builder->mmap_bytes);
    put(builder, mp + offsets->sbrk_base, GLIBC_BUILDER_BRK);
    if (offsets->tcache_bins != 0) {
        put(builder, mp + offsets->tcache_bins, 64);
        put(builder, mp + offsets->tcache_bins + word, 1032);
        put(builder, mp + offsets->tcache_bins + 2 * word, GLIBC_BUILDER_TCACHE_COUNT);
    }
}

struct glibc_builder *glibc_builder_create(const struct glibc_layout *layout)
{
    struct glibc_builder *builder = calloc(1, sizeof *builder);
    if (builder == NULL) {
        misuse("out of memory");
    }
    builder->layout = layout;
    builder->word = layout->word_bytes;
    builder->core = core_builder_create(layout->word_bytes == 8 ? CW_ARCH_X86_64 : CW_ARCH_I386);
    core_builder_mapping(builder->core, GLIBC_BUILDER_LIBC, LIBC_BYTES, 0x1000, "/lib/libc.so.6");
    core_builder_segment(builder->core, GLIBC_BUILDER_LIBC, LIBC_BYTES, RW);
    core_builder_segment(builder->core, GLIBC_BUILDER_BRK, GLIBC_BUILDER_BRK_BYTES, RW);
    struct arena *main = &builder->arenas[0];
    main->address = GLIBC_BUILDER_LIBC + ARENA_OFF;
    main->top = first_chunk(builder, GLIBC_BUILDER_BRK);
    main->end = GLIBC_BUILDER_BRK + GLIBC_BUILDER_BRK_BYTES;
    main->system_bytes = GLIBC_BUILDER_BRK_BYTES;
    builder->arena_count = 1;
    init_arena(builder, 0);
    write_top(builder, 0);
    write_mp(builder);
    return builder;
}

void glibc_builder_destroy(struct glibc_builder *builder)
{
    core_builder_destroy(builder->core);
    free(builder);
}

struct core_builder *glibc_builder_core(struct glibc_builder *builder)
{
    return builder->core;
}

/* A segment for a heap, with its heap_info. */
static cw_addr make_heap(struct glibc_builder *builder, cw_addr owner, cw_addr previous)
{
    uint64_t span = builder->word == 8 ? UINT64_C(64) << 20 : UINT64_C(1) << 20;
    cw_addr heap = UINT64_C(0x20000000) + builder->heap_count++ * span;
    core_builder_segment(builder->core, heap, GLIBC_BUILDER_HEAP_BYTES, RW);
    put(builder, heap, owner);
    put(builder, heap + builder->word, previous);
    put(builder, heap + 2 * builder->word, GLIBC_BUILDER_HEAP_BYTES - GLIBC_BUILDER_RESERVE_BYTES);
    put(builder, heap + 3 * builder->word, GLIBC_BUILDER_HEAP_BYTES);
    return heap;
}

static void use_heap(struct glibc_builder *builder, unsigned arena, cw_addr heap, cw_addr first)
{
    struct arena *of = &builder->arenas[arena];
    of->heap = heap;
    of->top = first_chunk(builder, first);
    of->end = heap + GLIBC_BUILDER_HEAP_BYTES - GLIBC_BUILDER_RESERVE_BYTES;
    of->system_bytes += GLIBC_BUILDER_HEAP_BYTES - GLIBC_BUILDER_RESERVE_BYTES;
}

unsigned glibc_builder_arena(struct glibc_builder *builder)
{
    unsigned arena = builder->arena_count++;
    if (arena >= GLIBC_BUILDER_ARENA_LIMIT) {
        misuse("too many arenas");
    }
    cw_addr heap = make_heap(builder, 0, 0);
    cw_addr address = heap + builder->layout->heap_info_bytes;
    put(builder, heap, address);
    builder->arenas[arena].address = address;
    use_heap(builder, arena, heap, address + glibc_arena_bytes(builder->layout));
    init_arena(builder, arena);
    put_u32(builder, address + 4, 2); /* not contiguous */
    write_top(builder, arena);
    return arena;
}

void glibc_builder_heap(struct glibc_builder *builder, unsigned arena)
{
    struct arena *of = &builder->arenas[arena];
    uint64_t word = builder->word;
    uint64_t header = (uint64_t)2 * word;
    uint64_t old = of->end - of->top;
    /* sysmalloc: a chunk of what is left, then fenceposts of 2W and 0. */
    uint64_t rest = (old - 2 * header) & ~(uint64_t)(builder->layout->alignment - 1);
    put(builder, of->top + word, rest | 1 | 4);
    put(builder, of->top + rest + word, header | 1);
    put(builder, of->top + rest + header + word, 1);
    cw_addr heap = make_heap(builder, of->address, of->heap);
    use_heap(builder, arena, heap, heap + builder->layout->heap_info_bytes);
    write_top(builder, arena);
}

void glibc_builder_foreign(struct glibc_builder *builder, uint64_t bytes)
{
    struct arena *of = &builder->arenas[0];
    uint64_t header = (uint64_t)2 * builder->word;
    put(builder, of->top + builder->word, header | 1);
    put(builder, of->top + header + builder->word, header | 1);
    of->top = first_chunk(builder, of->top + 2 * header + bytes);
    write_top(builder, 0);
}

/* ---- chunks -------------------------------------------------------------------------------- */

uint64_t glibc_builder_room(const struct glibc_builder *builder, unsigned arena)
{
    const struct arena *of = &builder->arenas[arena];
    uint64_t least = (uint64_t)8 * builder->word;
    uint64_t left = of->end > of->top ? of->end - of->top : 0;
    return left > least ? left - least : 0;
}

cw_addr glibc_builder_chunk(struct glibc_builder *builder, unsigned arena, uint64_t bytes)
{
    struct arena *of = &builder->arenas[arena];
    cw_addr chunk = of->top;
    if (bytes + 4 * (uint64_t)builder->word > of->end - of->top) {
        misuse("the heap is full");
    }
    put(builder, chunk + builder->word, bytes | 1 | (arena == 0 ? 0 : 4));
    of->top += bytes;
    write_top(builder, arena);
    return chunk;
}

static uint64_t chunk_bytes(const struct glibc_builder *builder, cw_addr chunk)
{
    return get(builder, chunk + builder->word) & ~UINT64_C(7);
}

void glibc_builder_bin(struct glibc_builder *builder, unsigned arena, cw_addr chunk, unsigned bin)
{
    uint64_t word = builder->word;
    uint64_t bytes = chunk_bytes(builder, chunk);
    cw_addr next = chunk + bytes;
    put(builder, chunk + word, get(builder, chunk + word) & ~UINT64_C(4));
    put(builder, next, bytes);
    put(builder, next + word, get(builder, next + word) & ~UINT64_C(1));
    cw_addr head = glibc_builder_bin_address(builder, arena, bin);
    cw_addr first = get(builder, head + 2 * word);
    put(builder, chunk + 2 * word, first);
    put(builder, chunk + 3 * word, head);
    put(builder, first + 3 * word, chunk);
    put(builder, head + 2 * word, chunk);
    cw_addr map = glibc_builder_bin_address(builder, arena, 2) + (uint64_t)GLIBC_BIN_WORDS * word;
    cw_addr bits = map + (uint64_t)(bin / 8);
    uint8_t byte = (uint8_t)(get(builder, bits) | UINT64_C(1) << bin % 8);
    core_builder_bytes(builder->core, bits, &byte, sizeof byte);
}

static uint64_t protect(const struct glibc_builder *builder, cw_addr field, uint64_t pointer)
{
    return builder->layout->linking == GLIBC_LINKS_MANGLED ? (field >> 12) ^ pointer : pointer;
}

void glibc_builder_fast(struct glibc_builder *builder, unsigned arena, cw_addr chunk)
{
    uint64_t word = builder->word;
    unsigned index = (unsigned)(chunk_bytes(builder, chunk) >> (word == 8 ? 4 : 3)) - 2;
    if (index >= builder->layout->fastbin_count) {
        misuse("no such fastbin");
    }
    cw_addr head =
        builder->arenas[arena].address + builder->layout->fastbins_off + (uint64_t)index * word;
    cw_addr field = chunk + 2 * word;
    put(builder, field, protect(builder, field, get(builder, head)));
    put(builder, head, chunk);
}

/* ---- threads ------------------------------------------------------------------------------- */

unsigned glibc_builder_thread(struct glibc_builder *builder, unsigned arena)
{
    unsigned thread = builder->thread_count++;
    if (thread >= THREAD_LIMIT) {
        misuse("too many threads");
    }
    cw_addr tls = UINT64_C(0x71000000) + (uint64_t)thread * 0x100000;
    core_builder_segment(builder->core, tls, TLS_BYTES, RW);
    core_builder_thread(builder->core, 1000 + thread, 0x400000, tls + 0x100, tls + TP_OFF);
    put(builder, tls + TP_OFF, tls + TP_OFF); /* a thread block begins with its own address */
    enum glibc_tcache_form form = builder->layout->tcache_form;
    const struct glibc_tcache_layout *tcache = glibc_tcache_layout(form);
    if (form == GLIBC_TCACHE_NONE) {
        return thread;
    }
    uint64_t bytes = glibc_tcache_bytes(builder->layout->word_bytes, form) + builder->word;
    cw_addr chunk = glibc_builder_chunk(builder, arena, (bytes + 15) & ~UINT64_C(15));
    builder->caches[thread] = chunk + 2 * builder->word;
    put(builder, tls + TP_OFF - CACHE_OFF, builder->caches[thread]);
    uint16_t slots = GLIBC_BUILDER_TCACHE_COUNT;
    for (unsigned bin = 0; bin < tcache->bin_count && form == GLIBC_TCACHE_SLOTS; bin++) {
        core_builder_bytes(
            builder->core, builder->caches[thread] + (uint64_t)2 * bin, &slots, sizeof slots);
    }
    return thread;
}

cw_addr glibc_builder_cache_address(const struct glibc_builder *builder, unsigned thread)
{
    return builder->caches[thread];
}

/* Of small chunks one for each size; of large ones, from 2.42 on, one for each power of two. */
static unsigned cache_bin(const struct glibc_builder *builder, uint64_t bytes)
{
    const struct glibc_tcache_layout *layout = glibc_tcache_layout(builder->layout->tcache_form);
    uint64_t bin = (bytes - (uint64_t)4 * builder->word) / 16;
    if (bin >= layout->small_bin_count) {
        bin = layout->small_bin_count + (63 - (unsigned)__builtin_clzll(bytes)) - 10;
    }
    if (bin >= layout->bin_count) {
        misuse("too large for a cache");
    }
    return (unsigned)bin;
}

void glibc_builder_cache(struct glibc_builder *builder, unsigned thread, cw_addr chunk)
{
    uint64_t word = builder->word;
    enum glibc_tcache_form form = builder->layout->tcache_form;
    const struct glibc_tcache_layout *layout = glibc_tcache_layout(form);
    cw_addr cache = builder->caches[thread];
    unsigned bin = cache_bin(builder, chunk_bytes(builder, chunk));
    cw_addr counter = cache + (uint64_t)bin * layout->count_bytes;
    cw_addr head = cache + (uint64_t)layout->bin_count * layout->count_bytes + (uint64_t)bin * word;
    cw_addr user = chunk + 2 * word;
    put(builder, user, protect(builder, user, get(builder, head)));
    put(builder, user + word, 0x5eed5eed);
    put(builder, head, user);
    uint64_t old = get(builder, counter);
    uint16_t count = (uint16_t)(old + (form == GLIBC_TCACHE_SLOTS ? UINT64_MAX : 1));
    uint8_t small_count = (uint8_t)count;
    if (layout->count_bytes == 1) {
        core_builder_bytes(builder->core, counter, &small_count, 1);
    } else {
        core_builder_bytes(builder->core, counter, &count, 2);
    }
}

void glibc_builder_mmapped(struct glibc_builder *builder,
                           cw_addr address,
                           uint64_t total,
                           uint64_t offset)
{
    uint64_t extra = builder->layout->mmapped_excludes_header ? (uint64_t)2 * builder->word : 0;
    uint64_t plain = first_chunk(builder, address) - address;
    put(builder, address + plain, plain);
    put(builder, address + plain + builder->word, (total - plain - extra) | 2);
    if (offset != 0) {
        put(builder, address + offset, offset);
        put(builder, address + offset + builder->word, (total - offset - extra) | 2);
    }
    builder->mmap_count++;
    builder->mmap_bytes += total;
    write_mp(builder);
}

cw_addr glibc_builder_arena_address(const struct glibc_builder *builder, unsigned arena)
{
    return builder->arenas[arena].address;
}

cw_addr glibc_builder_bin_address(const struct glibc_builder *builder, unsigned arena, unsigned bin)
{
    return bins_of(builder, arena) + ((uint64_t)bin - 2) * 2 * builder->word;
}

cw_addr glibc_builder_top(const struct glibc_builder *builder, unsigned arena)
{
    return builder->arenas[arena].top;
}

cw_addr glibc_builder_mp_address(const struct glibc_builder *builder)
{
    (void)builder;
    return GLIBC_BUILDER_LIBC + MP_OFF;
}

/* ---- cases --------------------------------------------------------------------------------- */

static void open_case(struct heap_case *heap_case,
                      const uint8_t *bytes,
                      size_t size,
                      const struct cw_image *image)
{
    struct heap_case *c = heap_case;
    *c = (struct heap_case){0};
    cw_budget_init(&c->budget, UINT64_C(256) << 20);
    cw_arena_init(&c->memory, &c->budget);
    cw_notes_init(&c->coverage, &c->memory);
    cw_notes_init(&c->findings, &c->memory);
    c->status = cw_pool_create(2, &c->pool, &c->err);
    if (c->status == CW_OK) {
        c->status = cw_target_open_core_bytes(
            bytes, size, "core", &c->memory, &c->coverage, &c->target, &c->err);
    }
    if (c->status == CW_OK) {
        c->status = cw_space_create(&c->target, &c->memory, &c->space, &c->err);
    }
    if (c->status == CW_OK) {
        c->status = cw_heap_create(&c->space,
                                   image,
                                   c->pool,
                                   NULL,
                                   &c->memory,
                                   &c->coverage,
                                   &c->findings,
                                   &c->heap,
                                   &c->err);
    }
}

void heap_case_open_bytes(struct heap_case *heap_case, const uint8_t *bytes, size_t size)
{
    open_case(heap_case, bytes, size, NULL);
}

void heap_case_open_image(struct heap_case *heap_case,
                          struct glibc_builder *builder,
                          const struct cw_image *image)
{
    size_t size;
    const uint8_t *bytes = core_builder_finish(builder->core, &size);
    open_case(heap_case, bytes, size, image);
}

void heap_case_open(struct heap_case *heap_case, struct glibc_builder *builder)
{
    size_t size;
    const uint8_t *bytes = core_builder_finish(builder->core, &size);
    heap_case_open_bytes(heap_case, bytes, size);
}

bool heap_case_close(struct heap_case *heap_case)
{
    cw_heap_destroy(&heap_case->heap);
    cw_space_destroy(&heap_case->space);
    cw_target_close(&heap_case->target);
    cw_pool_destroy(heap_case->pool);
    cw_notes_deinit(&heap_case->findings);
    cw_notes_deinit(&heap_case->coverage);
    cw_arena_deinit(&heap_case->memory);
    return heap_case->budget.used_bytes == 0;
}

enum cw_chunk_state heap_case_state(const struct heap_case *heap_case, cw_addr chunk)
{
    const struct cw_chunk_table *table = &heap_case->heap.chunks;
    uint32_t index = cw_chunk_table_find(table, chunk);
    if (index == CW_NONE || cw_chunk_table_get(table, index).start != chunk) {
        return CW_CHUNK_STATE_COUNT;
    }
    return cw_chunk_table_state(table, index);
}

unsigned heap_case_count(const struct cw_notes *notes, const char *code)
{
    unsigned count = 0;
    for (size_t i = 0; i < notes->items.count; i++) {
        count += strcmp(cw_note_at(notes, i)->code, code) == 0 ? 1 : 0;
    }
    return count;
}

static const char *check_extent(const struct cw_heap *heap, uint32_t number)
{
    const struct cw_chunk_table *table = &heap->chunks;
    const struct cw_extent *extent = &table->extents[number];
    if (extent->chunk_count == 0 || extent->size_bytes == 0) {
        return "an extent is empty";
    }
    if (number > 0 && (extent[-1].start + (extent[-1].size_bytes - 1) >= extent->start ||
                       extent[-1].first_chunk + extent[-1].chunk_count != extent->first_chunk)) {
        return "extents overlap, or do not number their chunks in order";
    }
    if (extent->arena_index != CW_NONE && extent->arena_index >= heap->arena_count) {
        return "an extent names no arena";
    }
    cw_addr start = extent->start;
    for (uint32_t i = 0; i < extent->chunk_count; i++) {
        struct cw_chunk chunk = cw_chunk_table_get(table, extent->first_chunk + i);
        if (chunk.start != start || chunk.size_bytes == 0 || chunk.extent_index != number) {
            return "chunks do not tile their extent";
        }
        start += chunk.size_bytes;
        if (cw_chunk_table_find(table, chunk.start) != chunk.index ||
            cw_chunk_table_find(table, start - 1) != chunk.index) {
            return "a look-up does not find its chunk";
        }
    }
    return start == extent->start + extent->size_bytes ? NULL : "chunks do not end their extent";
}

static const char *check_sums(const struct cw_heap *heap)
{
    struct cw_tally sums[CW_CHUNK_STATE_COUNT] = {{0}};
    uint64_t total = 0;
    for (uint32_t i = 0; i < heap->chunks.chunk_count; i++) {
        struct cw_chunk chunk = cw_chunk_table_get(&heap->chunks, i);
        if ((unsigned)chunk.state >= CW_CHUNK_STATE_COUNT) {
            return "a state is none";
        }
        cw_tally_add(&sums[chunk.state], chunk.size_bytes);
        if (cw_heap_usable_bytes(heap, &chunk) > chunk.size_bytes) {
            return "more is usable than there is";
        }
    }
    for (unsigned state = 0; state < CW_CHUNK_STATE_COUNT; state++) {
        if (sums[state].count != heap->by_state[state].count ||
            sums[state].bytes != heap->by_state[state].bytes) {
            return "the heap's sums do not agree with its chunks";
        }
        total += sums[state].count;
    }
    return total == heap->chunks.chunk_count ? NULL : "chunks are counted twice";
}

const char *heap_case_check(const struct heap_case *heap_case)
{
    const struct cw_heap *heap = &heap_case->heap;
    uint32_t chunk_count = 0;
    for (uint32_t i = 0; i < heap->chunks.extent_count; i++) {
        const char *wrong = check_extent(heap, i);
        if (wrong != NULL) {
            return wrong;
        }
        chunk_count += heap->chunks.extents[i].chunk_count;
    }
    return chunk_count == heap->chunks.chunk_count ? check_sums(heap) : "extents lack chunks";
}
