/*
 * Makes synthetic glibc heaps of any layout in a core builder, sound ones, to be damaged by tests
 * and fuzzers. One libc data segment holds the main arena and mp_; brk memory and heaps of thread
 * arenas have segments of their own.
 *
 *     struct glibc_builder *builder = glibc_builder_create(layout);
 *     cw_addr chunk = glibc_builder_chunk(builder, 0, 0x40);
 *     glibc_builder_chunk(builder, 0, 0x40);
 *     glibc_builder_bin(builder, 0, chunk, 1);
 *     …
 *     struct heap_case heap_case;
 *     heap_case_open(&heap_case, builder);
 *
 * After each call the heap is whole: the top follows the last chunk.
 */
#pragma once

#include "heap/glibc_layout.h"
#include "heap/heap.h"
#include "support/core_builder.h"

enum {
    GLIBC_BUILDER_BRK_BYTES = 0x400000,
    GLIBC_BUILDER_HEAP_BYTES = 0x42000,   /* of a thread arena's heap, as far as it is writable */
    GLIBC_BUILDER_RESERVE_BYTES = 0x2000, /* of these, behind heap_info.size */
    GLIBC_BUILDER_ARENA_LIMIT = 8,
    GLIBC_BUILDER_TCACHE_COUNT = 7,
};

#define GLIBC_BUILDER_LIBC UINT64_C(0x70200000)
#define GLIBC_BUILDER_BRK  UINT64_C(0x10000000)

struct glibc_builder;

struct glibc_builder *glibc_builder_create(const struct glibc_layout *layout);
void glibc_builder_destroy(struct glibc_builder *builder);
struct core_builder *glibc_builder_core(struct glibc_builder *builder);

/* The number of the new arena; 0 is the main one. */
unsigned glibc_builder_arena(struct glibc_builder *builder);

/* Ends the newest heap of a thread arena with fenceposts and begins another. */
void glibc_builder_heap(struct glibc_builder *builder, unsigned arena);

/* Ends the main arena's memory with fenceposts, lets `bytes` of foreign sbrk follow, goes on. */
void glibc_builder_foreign(struct glibc_builder *builder, uint64_t bytes);

/* A used chunk of that size, header included; its address. Aborts when the heap is full. */
cw_addr glibc_builder_chunk(struct glibc_builder *builder, unsigned arena, uint64_t bytes);

/* Frees a used chunk: into a bin, a fastbin, a thread's cache. The next chunk must not be free. */
void glibc_builder_bin(struct glibc_builder *builder, unsigned arena, cw_addr chunk, unsigned bin);
void glibc_builder_fast(struct glibc_builder *builder, unsigned arena, cw_addr chunk);
void glibc_builder_cache(struct glibc_builder *builder, unsigned thread, cw_addr chunk);

/* A thread with a TLS segment, and a cache in the arena's memory where the layout has them. */
unsigned glibc_builder_thread(struct glibc_builder *builder, unsigned arena);

/* The address of a thread's cache struct. */
cw_addr glibc_builder_cache_address(const struct glibc_builder *builder, unsigned thread);

/* A mapping for one chunk in a segment that exists; the chunk lies `offset` into it. */
void glibc_builder_mmapped(struct glibc_builder *builder,
                           cw_addr address,
                           uint64_t total,
                           uint64_t offset);

/* Bytes that chunks of the arena may still take, in its newest heap. */
uint64_t glibc_builder_room(const struct glibc_builder *builder, unsigned arena);

/* Where the structs lie. */
cw_addr glibc_builder_arena_address(const struct glibc_builder *builder, unsigned arena);
cw_addr glibc_builder_bin_address(const struct glibc_builder *builder,
                                  unsigned arena,
                                  unsigned bin);
cw_addr glibc_builder_top(const struct glibc_builder *builder, unsigned arena);
cw_addr glibc_builder_mp_address(const struct glibc_builder *builder);

/* Everything from the core's bytes to the heap, for one test. */
struct heap_case {
    struct cw_budget budget;
    struct cw_arena memory;
    struct cw_notes coverage;
    struct cw_notes findings;
    struct cw_target target;
    struct cw_space space;
    struct cw_pool *pool;
    struct cw_heap heap;
    struct cw_error err;
    enum cw_status status;
};

/* The bytes must outlive the case. The status is that of the first step that failed. */
void heap_case_open_bytes(struct heap_case *heap_case, const uint8_t *bytes, size_t size);
void heap_case_open(struct heap_case *heap_case, struct glibc_builder *builder);
/* Of a process with these modules. */
void heap_case_open_image(struct heap_case *heap_case,
                          struct glibc_builder *builder,
                          const struct cw_image *image);
/* Everything must have been given back: false otherwise. */
bool heap_case_close(struct heap_case *heap_case);

/* Of the chunk that starts there exactly; CW_CHUNK_STATE_COUNT when none does. */
enum cw_chunk_state heap_case_state(const struct heap_case *heap_case, cw_addr chunk);

/* Notes with that code. */
unsigned heap_case_count(const struct cw_notes *notes, const char *code);

/*
 * What must hold of any heap, sound or not: extents tile without overlap, look-ups agree with the
 * columns, and sums with the chunks. NULL, or what does not hold.
 */
const char *heap_case_check(const struct heap_case *heap_case);
