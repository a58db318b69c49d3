/*
 * A process in memory for the tests of this folder: one module ("server"), and a heap of as many
 * chunks as a test adds. Nothing of it is walked or parsed: the tables are filled directly.
 *
 *   0x10000000     a module that is not position independent (fixture_add_low_module)
 *   0x550000000000 the module: headers, .text, .rodata, .data.rel.ro, .data (a page each)
 *   0x560000000000 the heap: one extent of an arena, then mmapped ones (fixture_mmapped)
 */
#pragma once

#include <stdlib.h>
#include <string.h>

#include "classify/classify.h"
#include "image/module.h"
#include "support/unit.h"

enum {
    FIXTURE_PAGE = 0x1000,
    FIXTURE_MODULE_BYTES = 5 * FIXTURE_PAGE,
    FIXTURE_MAPPED_LIMIT = 8,
    FIXTURE_TOP_BYTES = 16, /* a header behind the last chunk, as every heap has one */
};

#define FIXTURE_LOW    0x10000000ULL
#define FIXTURE_MODULE 0x550000000000ULL
#define FIXTURE_TEXT   (FIXTURE_MODULE + 0x1000)
#define FIXTURE_RODATA (FIXTURE_MODULE + 0x2000)
#define FIXTURE_RELRO  (FIXTURE_MODULE + 0x3000)
#define FIXTURE_DATA   (FIXTURE_MODULE + 0x4000)
#define FIXTURE_HEAP   0x560000000000ULL
#define FIXTURE_MAPPED 0x700000000000ULL

#define FIXTURE_OPS     (FIXTURE_RELRO + 0x100) /* g_ops, 0x40 bytes */
#define FIXTURE_HANDLE  FIXTURE_TEXT            /* handle(), 0x40 bytes */
#define FIXTURE_WIDGET  (FIXTURE_RELRO + 0x210) /* vtable of Widget */
#define FIXTURE_BASE    (FIXTURE_RELRO + 0x290) /* secondary vtable of Widget */
#define FIXTURE_NO_RTTI (FIXTURE_RELRO + 0x310) /* Plain's, known by its symbol only */

struct fixture {
    struct cw_budget budget;
    struct cw_arena arena;
    struct cw_target target;
    struct cw_thread thread;
    struct cw_space space;
    struct cw_segment segments[8 + FIXTURE_MAPPED_LIMIT];
    bool is_open;
    struct cw_image image;
    struct cw_image_private private;
    struct cw_module modules[2];
    struct cw_module_range ranges[2];
    struct cw_section sections[5];
    struct cw_symbol symbols[4];
    uint8_t module_bytes[FIXTURE_MODULE_BYTES];
    struct cw_heap heap;
    struct cw_heap_arena heap_arena;
    struct cw_extent extents[1 + FIXTURE_MAPPED_LIMIT];
    uint8_t *heap_bytes; /* the arena's extent */
    size_t heap_limit;
    size_t heap_used;
    uint32_t chunk_limit;
};

static inline void fixture_write(uint8_t *place, uint64_t word)
{
    memcpy(place, &word, sizeof word);
}

static inline void fixture_put(struct fixture *f, cw_addr address, uint64_t word)
{
    fixture_write(&f->module_bytes[address - FIXTURE_MODULE], word);
}

/* Memory of the process; data NULL: not in the core. */
static inline void fixture_region(
    struct fixture *f, cw_addr start, uint64_t size, uint32_t protection, const uint8_t *data)
{
    f->segments[f->target.segment_count++] = (struct cw_segment){
        .start = start,
        .size_bytes = size,
        .stored_bytes = data != NULL ? size : 0,
        .held_bytes = data != NULL ? size : 0,
        .data = data,
        .protection = protection,
    };
}

/* type_info of Widget, and what the ABI's check of it needs. */
static inline void fixture_add_class(struct fixture *f)
{
    cw_addr info = FIXTURE_RELRO + 0x400;
    cw_addr kind = FIXTURE_RELRO + 0x440;
    cw_addr kind_info = FIXTURE_RELRO + 0x480;
    static const char kind_name[] = "N10__cxxabiv117__class_type_infoE";
    static const char name[] = "6Widget";
    memcpy(&f->module_bytes[0x2000], kind_name, sizeof kind_name);
    memcpy(&f->module_bytes[0x2040], name, sizeof name);
    fixture_put(f, kind - 8, kind_info);
    fixture_put(f, kind, FIXTURE_HANDLE);
    fixture_put(f, kind_info, kind);
    fixture_put(f, kind_info + 8, FIXTURE_RODATA);
    fixture_put(f, info, kind);
    fixture_put(f, info + 8, FIXTURE_RODATA + 0x40);
    fixture_put(f, FIXTURE_WIDGET - 8, info);
    fixture_put(f, FIXTURE_WIDGET, FIXTURE_HANDLE);
    fixture_put(f, FIXTURE_BASE - 16, (uint64_t)-16);
    fixture_put(f, FIXTURE_BASE - 8, info);
    fixture_put(f, FIXTURE_BASE, FIXTURE_HANDLE);
    fixture_put(f, FIXTURE_NO_RTTI, FIXTURE_HANDLE);
}

static inline void fixture_add_module(struct fixture *f)
{
    static const char *const names[] = {"", ".text", ".rodata", ".data.rel.ro", ".data"};
    for (unsigned i = 1; i < 5; i++) {
        f->sections[i - 1] = (struct cw_section){
            FIXTURE_MODULE + (uint64_t)i * FIXTURE_PAGE, FIXTURE_PAGE, names[i]};
    }
    f->symbols[0] =
        (struct cw_symbol){FIXTURE_HANDLE, 0x40, "handle", .is_function = true, .outer = CW_NONE};
    f->symbols[1] = (struct cw_symbol){FIXTURE_OPS, 0x40, "g_ops", .outer = CW_NONE};
    f->symbols[2] = (struct cw_symbol){FIXTURE_NO_RTTI - 16, 0x40, "_ZTV5Plain", .outer = CW_NONE};
    f->modules[0] = (struct cw_module){
        .path = "/usr/bin/server",
        .name = "server",
        .start = FIXTURE_MODULE,
        .size_bytes = FIXTURE_MODULE_BYTES,
        .bias = FIXTURE_MODULE,
        .sections = f->sections,
        .section_count = 4,
        .symbols = f->symbols,
        .symbol_count = 3,
    };
    f->ranges[0] = (struct cw_module_range){FIXTURE_MODULE, FIXTURE_MODULE_BYTES, 0};
    f->private = (struct cw_image_private){.ranges = f->ranges, .range_count = 1};
    f->image = (struct cw_image){
        .space = &f->space,
        .arena = &f->arena,
        .modules = f->modules,
        .module_count = 1,
        .executable = f->modules,
        .private = &f->private,
    };
    cw_classes_init(&f->image);
    fixture_region(f, FIXTURE_MODULE, FIXTURE_PAGE, CW_PROT_READ, f->module_bytes);
    fixture_region(
        f, FIXTURE_TEXT, FIXTURE_PAGE, CW_PROT_READ | CW_PROT_EXEC, f->module_bytes + 0x1000);
    fixture_region(f, FIXTURE_RODATA, 2ULL * FIXTURE_PAGE, CW_PROT_READ, f->module_bytes + 0x2000);
    fixture_region(
        f, FIXTURE_DATA, FIXTURE_PAGE, CW_PROT_READ | CW_PROT_WRITE, f->module_bytes + 0x4000);
    fixture_add_class(f);
}

/* Room for chunk_limit chunks with heap_limit bytes in all. */
static inline struct fixture *fixture_create(uint32_t chunk_limit, size_t heap_limit)
{
    struct fixture *f = calloc(1, sizeof *f);
    cw_budget_init(&f->budget, UINT64_MAX);
    cw_arena_init(&f->arena, &f->budget);
    f->target = (struct cw_target){
        .arch = CW_ARCH_X86_64, .word_bytes = 8, .page_bytes = 4096, .segments = f->segments};
    fixture_add_module(f);
    f->chunk_limit = chunk_limit;
    f->heap_limit = heap_limit;
    f->heap_bytes = calloc(1, heap_limit + FIXTURE_TOP_BYTES);
    f->heap_arena = (struct cw_heap_arena){.address = FIXTURE_DATA + 0x400};
    f->heap = (struct cw_heap){.space = &f->space,
                               .image = &f->image,
                               .memory = &f->arena,
                               .arenas = &f->heap_arena,
                               .arena_count = 1,
                               .mmapped_overhead_bytes = 16};
    struct cw_chunk_table *table = &f->heap.chunks;
    table->granule_shift = 4;
    table->header_bytes = 16;
    table->extents = f->extents;
    table->extent_count = 1;
    cw_column_create(&f->budget, chunk_limit, 4, &table->start_column);
    cw_column_create(&f->budget, chunk_limit, 1, &table->state_column);
    cw_column_create(
        &f->budget, heap_limit / 1024 + 1, sizeof(struct cw_chunk_cell), &table->cell_column);
    f->extents[0] = (struct cw_extent){.start = FIXTURE_HEAP};
    return f;
}

static inline void fixture_destroy(struct fixture *f)
{
    cw_chunk_table_destroy(&f->heap.chunks);
    cw_classes_deinit(&f->image);
    cw_space_destroy(&f->space);
    cw_arena_deinit(&f->arena);
    CU_ASSERT_EQUAL(f->budget.used_bytes, 0);
    free(f->heap_bytes);
    free(f);
}

/* A chunk with that content (the rest of it zero). Returns its index. */
static inline uint32_t fixture_add(struct fixture *f,
                                   enum cw_chunk_state state,
                                   const void *content,
                                   size_t content_bytes,
                                   size_t usable_bytes)
{
    struct cw_chunk_table *table = &f->heap.chunks;
    size_t size = (cw_max(usable_bytes, 24) + 8 + 15) & ~(size_t)15;
    uint32_t index = table->chunk_count;
    if (index >= f->chunk_limit || f->heap_used + size > f->heap_limit) {
        abort();
    }
    uint32_t granule = (uint32_t)(f->heap_used / 16);
    ((uint32_t *)table->start_column.data)[index] = granule;
    ((uint8_t *)table->state_column.data)[index] = (uint8_t)state;
    ((struct cw_chunk_cell *)table->cell_column.data)[granule / 64].starts |= 1ULL
                                                                              << (granule % 64);
    if (content_bytes > 0) {
        memcpy(f->heap_bytes + f->heap_used + 16, content, content_bytes);
    }
    f->heap_used += size;
    f->extents[0].size_bytes = f->heap_used;
    f->extents[0].chunk_count = ++table->chunk_count;
    return index;
}

/* A used chunk of exactly the content, as far as malloc's rounding allows. */
static inline uint32_t fixture_chunk(struct fixture *f, const void *content, size_t bytes)
{
    return fixture_add(f, CW_CHUNK_USED, content, bytes, bytes);
}

/* A used chunk of `usable_bytes` with that first word; the second says nothing either. */
static inline uint32_t fixture_word(struct fixture *f, uint64_t word, size_t usable_bytes)
{
    uint64_t words[] = {word, 0x0000000000000101};
    return fixture_add(f, CW_CHUNK_USED, words, sizeof words, usable_bytes);
}

/* Where the chunk's user memory is, in the target and here. */
static inline cw_addr fixture_user(const struct fixture *f, uint32_t index)
{
    const uint32_t *starts = f->heap.chunks.start_column.data;
    return FIXTURE_HEAP + (uint64_t)starts[index] * 16 + 16;
}

static inline uint8_t *fixture_bytes(const struct fixture *f, uint32_t index)
{
    return f->heap_bytes + (fixture_user(f, index) - FIXTURE_HEAP);
}

/* The heap becomes memory of the process; `held_bytes` of it are in the core. */
static inline void fixture_finish_held(struct fixture *f, size_t held_bytes)
{
    struct cw_chunk_cell *cells = f->heap.chunks.cell_column.data;
    uint32_t rank = 0;
    for (size_t i = 0; i < f->heap_limit / 1024 + 1; i++) {
        cells[i].rank = rank;
        rank += (uint32_t)__builtin_popcountll(cells[i].starts);
    }
    uint32_t protection = CW_PROT_READ | CW_PROT_WRITE;
    fixture_region(f, FIXTURE_HEAP, held_bytes, protection, f->heap_bytes);
    if (held_bytes < f->heap_used) {
        fixture_region(f, FIXTURE_HEAP + held_bytes, f->heap_used - held_bytes, protection, NULL);
    }
}

static inline void fixture_finish(struct fixture *f)
{
    fixture_finish_held(f, f->heap_used + FIXTURE_TOP_BYTES);
}

/* An mmapped chunk behind the (finished) heap; `data` holds size_bytes, or is NULL: missing. */
static inline uint32_t fixture_mmapped(struct fixture *f, const uint8_t *data, uint64_t size_bytes)
{
    struct cw_chunk_table *table = &f->heap.chunks;
    struct cw_extent *extent = &f->extents[table->extent_count];
    cw_addr start = FIXTURE_MAPPED + table->extent_count * 0x1000000000ULL;
    *extent = (struct cw_extent){
        .start = start,
        .size_bytes = size_bytes,
        .arena_index = CW_NONE,
        .first_chunk = table->chunk_count,
        .chunk_count = 1,
    };
    ((uint8_t *)table->state_column.data)[table->chunk_count] = CW_CHUNK_MMAPPED;
    fixture_region(f, start, size_bytes, CW_PROT_READ | CW_PROT_WRITE, data);
    table->extent_count++;
    return table->chunk_count++;
}

static inline int fixture_compare_segments(const void *left, const void *right)
{
    const struct cw_segment *a = left;
    const struct cw_segment *b = right;
    return (a->start > b->start) - (a->start < b->start);
}

/* Makes the space of what was added so far. */
static inline void fixture_open(struct fixture *f)
{
    struct cw_error err = CW_ERROR_INIT;
    if (!f->is_open) {
        qsort(f->segments, f->target.segment_count, sizeof *f->segments, fixture_compare_segments);
        CU_ASSERT_EQUAL_FATAL(cw_space_create(&f->target, &f->arena, &f->space, &err), CW_OK);
        f->is_open = true;
    }
}

static inline enum cw_status fixture_classify_on(struct fixture *f,
                                                 unsigned thread_count,
                                                 const struct cw_progress *progress,
                                                 struct cw_classification *ret_classification)
{
    struct cw_pool *pool;
    struct cw_error err = CW_ERROR_INIT;
    fixture_open(f);
    CU_ASSERT_EQUAL_FATAL(cw_pool_create(thread_count, &pool, &err), CW_OK);
    enum cw_status status =
        cw_classify(&f->heap, pool, progress, &f->arena, ret_classification, &err);
    CU_ASSERT_EQUAL(err.status, status);
    cw_pool_destroy(pool);
    return status;
}

static inline struct cw_classification fixture_classify(struct fixture *f)
{
    struct cw_classification classification = {0};
    CU_ASSERT_EQUAL_FATAL(fixture_classify_on(f, 1, NULL, &classification), CW_OK);
    return classification;
}

static inline const char *fixture_name(const struct cw_classification *classification,
                                       uint32_t index)
{
    const struct cw_population *population = cw_classification_of(classification, index);
    return population != NULL ? population->name : "not held";
}

/* The name that a single chunk of that content gets. The text lives as long as the program. */
static inline const char *fixture_name_of(const void *content, size_t bytes, size_t usable_bytes)
{
    static char name[256];
    struct fixture *f = fixture_create(1, usable_bytes + 64);
    fixture_add(f, CW_CHUNK_USED, content, bytes, usable_bytes);
    fixture_finish(f);
    struct cw_classification classification = fixture_classify(f);
    snprintf(name, sizeof name, "%s", fixture_name(&classification, 0));
    cw_classification_destroy(&classification);
    fixture_destroy(f);
    return name;
}
