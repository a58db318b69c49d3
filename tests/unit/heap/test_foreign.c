/* heap/foreign: what is claimed for other allocators, and what is not when their structs lie. */
#include <string.h>

#include "heap/foreign_finder.h"
#include "image/module.h"
#include "support/opened_core.h"
#include "support/unit.h"

enum {
    READ_WRITE = CW_PROT_READ | CW_PROT_WRITE,
};

#define MIB UINT64_C(0x100000)

struct scene {
    struct core_builder *builder;
    struct opened_core opened;
    struct cw_module module;
    struct foreign_search search;
};

static void scene_init(struct scene *scene)
{
    *scene = (struct scene){.builder = core_builder_create(CW_ARCH_X86_64)};
}

/* Opens what was built, and asks one finder. */
static void scene_find(struct scene *scene, void (*find)(struct foreign_search *search))
{
    opened_core_build(&scene->opened, scene->builder);
    CU_ASSERT_EQUAL_FATAL(scene->opened.status, CW_OK);
    scene->search = (struct foreign_search){
        .space = &scene->opened.space,
        .module = &scene->module,
        .budget = &scene->opened.budget,
    };
    cw_vector_init(&scene->search.ranges, &scene->opened.budget, sizeof(struct cw_foreign_range));
    find(&scene->search);
    CU_ASSERT_FALSE(scene->search.failed);
}

static void scene_close(struct scene *scene)
{
    cw_vector_deinit(&scene->search.ranges);
    opened_core_close(&scene->opened);
    core_builder_destroy(scene->builder);
}

static uint64_t found_bytes(const struct scene *scene)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < scene->search.ranges.count; i++) {
        const struct cw_foreign_range *range = cw_vector_at(&scene->search.ranges, i);
        bytes += range->size_bytes;
    }
    return bytes;
}

static void put(struct scene *scene, cw_addr start, unsigned index, uint64_t value)
{
    core_builder_word(scene->builder, start + 8 * (uint64_t)index, value);
}

/* ---- Zend ---------------------------------------------------------------------------------- */

enum { FIRST = 0x40000000, SECOND = 0x40200000, CACHED = 0x40400000, HUGE_BLOCK = 0x50000000 };

/* Two chunks, one in the cache, and one huge block of 3 MiB, whose node lies in the first chunk. */
static void make_zend(struct scene *scene)
{
    static const cw_addr chunks[] = {FIRST, SECOND};
    scene_init(scene);
    core_builder_segment(scene->builder, FIRST, 6 * MIB, READ_WRITE);
    core_builder_segment(scene->builder, HUGE_BLOCK, 3 * MIB, READ_WRITE);
    for (unsigned i = 0; i < 2; i++) {
        put(scene, chunks[i], 0, FIRST + 64);
        put(scene, chunks[i], 1, chunks[1 - i]);
        put(scene, chunks[i], 2, chunks[1 - i]);
    }
    put(scene, CACHED, 0, FIRST + 64);
    put(scene, FIRST + 64, 38, FIRST + 0x1000);
    put(scene, FIRST + 64, 39, FIRST);
    put(scene, FIRST + 64, 40, CACHED);
    put(scene, FIRST + 0x1000, 0, HUGE_BLOCK);
    put(scene, FIRST + 0x1000, 1, 3 * MIB);
}

static void zend_chunks_and_huge_blocks_are_found(void)
{
    struct scene scene;
    make_zend(&scene);
    scene_find(&scene, foreign_find_zend);
    CU_ASSERT_EQUAL(scene.search.ranges.count, 4);
    CU_ASSERT_EQUAL(found_bytes(&scene), 9 * MIB);
    scene_close(&scene);
}

static void a_circle_of_chunks_that_does_not_close_is_none(void)
{
    struct scene scene;
    make_zend(&scene);
    put(&scene, SECOND, 2, 0x1234);
    scene_find(&scene, foreign_find_zend);
    CU_ASSERT_EQUAL(scene.search.ranges.count, 0);
    scene_close(&scene);
}

static void a_list_of_huge_blocks_in_a_circle_ends(void)
{
    struct scene scene;
    make_zend(&scene);
    put(&scene, FIRST + 0x1000, 2, FIRST + 0x1000);
    scene_find(&scene, foreign_find_zend);
    CU_ASSERT_FALSE(foreign_step(&scene.search));
    scene_close(&scene);
}

static void a_huge_block_that_is_not_mapped_is_left_out(void)
{
    struct scene scene;
    make_zend(&scene);
    put(&scene, FIRST + 0x1000, 0, 0x70000000);
    scene_find(&scene, foreign_find_zend);
    CU_ASSERT_EQUAL(found_bytes(&scene), 6 * MIB);
    scene_close(&scene);
}

static void a_huge_block_ends_where_its_memory_does(void)
{
    struct scene scene;
    make_zend(&scene);
    core_builder_segment(scene.builder, HUGE_BLOCK + 3 * MIB, MIB, CW_PROT_READ);
    put(&scene, FIRST + 0x1000, 1, UINT64_C(1) << 40);
    scene_find(&scene, foreign_find_zend);
    CU_ASSERT_EQUAL(found_bytes(&scene), 9 * MIB);
    scene_close(&scene);
}

/* ---- Go ------------------------------------------------------------------------------------ */

static void go_arenas_are_found_from_their_hint_on(void)
{
    struct scene scene;
    scene_init(&scene);
    core_builder_segment(scene.builder, 0xc000000000, 2 * MIB, READ_WRITE);
    core_builder_segment(scene.builder, 0xc004000000, MIB, READ_WRITE);
    core_builder_segment(scene.builder, 0xc010000000, MIB, READ_WRITE); /* behind a gap */
    scene_find(&scene, foreign_find_go);
    CU_ASSERT_EQUAL(scene.search.ranges.count, 1);
    CU_ASSERT_EQUAL(found_bytes(&scene), 128 * MIB);
    scene_close(&scene);
}

/* The last hints lie where mmap puts everybody's memory. */
static void a_go_hint_behind_one_that_is_free_is_not_used(void)
{
    struct scene scene;
    scene_init(&scene);
    core_builder_segment(scene.builder, 0xc000000000, MIB, READ_WRITE);
    core_builder_segment(scene.builder, 0x1c000000000, MIB, CW_PROT_EXEC); /* of someone else */
    core_builder_segment(scene.builder, 0x2c000000000, MIB, READ_WRITE);
    core_builder_segment(scene.builder, 0x7fc000000000, MIB, READ_WRITE);
    scene_find(&scene, foreign_find_go);
    CU_ASSERT_EQUAL(scene.search.ranges.count, 2);
    CU_ASSERT_EQUAL(found_bytes(&scene), 128 * MIB);
    scene_close(&scene);
}

static void a_file_in_the_place_of_a_go_arena_is_none(void)
{
    struct scene scene;
    scene_init(&scene);
    core_builder_segment(scene.builder, 0xc000000000, 2 * MIB, READ_WRITE);
    core_builder_mapping(scene.builder, 0xc000000000, 2 * MIB, 0, "/srv/data");
    scene_find(&scene, foreign_find_go);
    CU_ASSERT_EQUAL(scene.search.ranges.count, 0);
    scene_close(&scene);
}

/* ---- V8 ------------------------------------------------------------------------------------ */

static void make_v8(struct scene *scene, unsigned page_count)
{
    scene_init(scene);
    core_builder_segment(scene->builder, 0x10000, 0x1000, READ_WRITE); /* holds the Heap */
    core_builder_segment(scene->builder, FIRST, 2 * MIB, READ_WRITE);
    for (unsigned i = 0; i < page_count; i++) {
        cw_addr page = FIRST + i * MIB / 4;
        put(scene, page, 0, MIB / 4);
        put(scene, page, 2, 0x10240);
        put(scene, page, 3, page + 0x118);
        put(scene, page, 4, page + MIB / 4);
    }
}

static void v8_pages_of_one_heap_are_found(void)
{
    struct scene scene;
    make_v8(&scene, 5);
    scene_find(&scene, foreign_find_v8);
    CU_ASSERT_EQUAL(found_bytes(&scene), 5 * MIB / 4);
    scene_close(&scene);
}

static void few_pages_may_be_chance(void)
{
    struct scene scene;
    make_v8(&scene, 3);
    scene_find(&scene, foreign_find_v8);
    CU_ASSERT_EQUAL(scene.search.ranges.count, 0);
    scene_close(&scene);
}

/* ---- jemalloc ------------------------------------------------------------------------------ */

enum { BSS = 0x20000, LEAF = 0x60000000, EXTENTS = 0x61000000, BLOCKS = 0x62000000 };

/* Ten extents of 64 KiB, each known by its first and its last page; `moved` of them lie elsewhere.
 */
static void make_jemalloc(struct scene *scene, unsigned moved)
{
    scene_init(scene);
    scene->module = (struct cw_module){.start = BSS, .size_bytes = 0x1000};
    core_builder_segment(scene->builder, BSS, 0x1000, READ_WRITE);
    core_builder_segment(scene->builder, LEAF, 2 * MIB, READ_WRITE);
    core_builder_segment(scene->builder, EXTENTS, 0x1000, READ_WRITE);
    core_builder_segment(scene->builder, BLOCKS, MIB, READ_WRITE);
    put(scene, BSS, 7, LEAF);
    for (unsigned i = 0; i < 10; i++) {
        cw_addr extent = EXTENTS + i * UINT64_C(128);
        cw_addr start = BLOCKS + i * UINT64_C(0x10000);
        uint64_t first_page = (start >> 12) & 0x3ffff;
        put(scene, extent, 1, i < moved ? start + 0x80000000 : start);
        put(scene, extent, 2, 0x10000 | i);
        put(scene, LEAF, (unsigned)first_page, UINT64_C(5) << 48 | extent | 1);
        put(scene, LEAF, (unsigned)first_page + 15, UINT64_C(5) << 48 | extent | 1);
    }
}

static void jemalloc_extents_are_found(void)
{
    struct scene scene;
    make_jemalloc(&scene, 0);
    scene_find(&scene, foreign_find_jemalloc);
    CU_ASSERT_EQUAL(scene.search.ranges.count, 10);
    CU_ASSERT_EQUAL(found_bytes(&scene), 10 * 0x10000);
    scene_close(&scene);
}

static void an_extent_ends_where_its_memory_does(void)
{
    struct scene scene;
    make_jemalloc(&scene, 0);
    put(&scene, EXTENTS + 9 * UINT64_C(128), 2, UINT64_C(1) << 40);
    scene_find(&scene, foreign_find_jemalloc);
    CU_ASSERT_EQUAL(found_bytes(&scene), MIB);
    scene_close(&scene);
}

static void a_leaf_is_tried_once(void)
{
    struct scene scene;
    make_jemalloc(&scene, 0);
    for (unsigned i = 8; i < 200; i++) {
        put(&scene, BSS, i, LEAF);
    }
    scene_find(&scene, foreign_find_jemalloc);
    CU_ASSERT_EQUAL(scene.search.ranges.count, 10);
    scene_close(&scene);
}

/* All finders, within a budget. */
static void check_zend_with(struct scene *scene, uint64_t limit_bytes, size_t expected_count)
{
    static const struct cw_runtime zend = {.id = "zend"};
    struct cw_runtime_found found = {.runtime = &zend, .module = &scene->module};
    struct cw_image_private private = {.runtimes = &found, .runtime_count = 1};
    struct cw_image image = {.private = &private};
    struct cw_budget budget;
    struct cw_arena arena;
    struct cw_foreign foreign = {0};
    cw_budget_init(&budget, limit_bytes);
    cw_arena_init(&arena, &budget);
    CU_ASSERT_TRUE(cw_foreign_find(&scene->opened.space, &image, &arena, &foreign));
    CU_ASSERT_EQUAL(foreign.range_count, expected_count);
    cw_arena_deinit(&arena);
}

static void a_finder_without_memory_claims_nothing(void)
{
    struct scene scene;
    make_zend(&scene);
    put(&scene, FIRST + 0x1000, 2, FIRST + 0x1000); /* the huge block again and again */
    scene_find(&scene, foreign_find_none);
    check_zend_with(&scene, UINT64_MAX, 3);
    check_zend_with(&scene, 4096, 0);
    scene_close(&scene);
}

static void a_tree_that_is_mostly_wrong_is_none(void)
{
    struct scene scene;
    make_jemalloc(&scene, 3);
    scene_find(&scene, foreign_find_jemalloc);
    CU_ASSERT_EQUAL(scene.search.ranges.count, 0);
    scene_close(&scene);
}

static void extents_at_the_end_of_all_addresses_are_left_out(void)
{
    struct scene scene;
    make_jemalloc(&scene, 0);
    put(&scene, EXTENTS, 1, UINT64_MAX - 0xffff);
    put(&scene, EXTENTS, 2, UINT64_MAX);
    scene_find(&scene, foreign_find_jemalloc);
    CU_ASSERT_EQUAL(found_bytes(&scene), 9 * 0x10000);
    scene_close(&scene);
}

/* ---- HotSpot ------------------------------------------------------------------------------- */

enum { VM = 0x30000, TEXTS = 0x38000, JAVA_HEAP = 0x70000000 };

/* A table of rows of 5 words, as the symbols in front of it say: type, field, -, offset, address.
 */
static void make_hotspot(struct scene *scene, struct cw_symbol *symbols)
{
    static const struct {
        const char *type;
        const char *field;
        uint64_t off;
        cw_addr address;
    } rows[] = {
        {"Thread", "_next", 8, 0},
        {"Universe", "_collectedHeap", 0, VM + 0x800},
        {"CollectedHeap", "_reserved", 0x10, 0},
        {"MemRegion", "_start", 0, 0},
        {"MemRegion", "_word_size", 8, 0},
        {"CodeCache", "_low_bound", 0, VM + 0x808},
        {"CodeCache", "_high_bound", 0, VM + 0x810},
    };
    static const struct {
        const char *name;
        uint64_t value;
    } variables[] = {
        {"gHotSpotVMStructs", VM + 0x1000},
        {"gHotSpotVMStructEntryArrayStride", 40},
        {"gHotSpotVMStructEntryTypeNameOffset", 0},
        {"gHotSpotVMStructEntryFieldNameOffset", 8},
        {"gHotSpotVMStructEntryOffsetOffset", 24},
        {"gHotSpotVMStructEntryAddressOffset", 32},
    };
    scene_init(scene);
    core_builder_segment(scene->builder, VM, 0x2000, READ_WRITE);
    core_builder_segment(scene->builder, TEXTS, 0x1000, CW_PROT_READ);
    core_builder_segment(scene->builder, JAVA_HEAP, MIB, READ_WRITE);
    for (unsigned i = 0; i < 6; i++) {
        symbols[i] = (struct cw_symbol){.start = VM + 8 * i, .name = variables[i].name};
        put(scene, VM, i, variables[i].value);
    }
    for (unsigned i = 0; i < 7; i++) {
        cw_addr text = TEXTS + 64 * i;
        core_builder_bytes(scene->builder, text, rows[i].type, strlen(rows[i].type));
        core_builder_bytes(scene->builder, text + 32, rows[i].field, strlen(rows[i].field));
        put(scene, VM + 0x1000, 5 * i, text);
        put(scene, VM + 0x1000, 5 * i + 1, text + 32);
        put(scene, VM + 0x1000, 5 * i + 3, rows[i].off);
        put(scene, VM + 0x1000, 5 * i + 4, rows[i].address);
    }
    put(scene, VM + 0x800, 0, VM + 0x900);
    put(scene, VM + 0x800, 1, 0x50000000);
    put(scene, VM + 0x800, 2, 0x50010000);
    put(scene, VM + 0x910, 0, JAVA_HEAP);
    put(scene, VM + 0x910, 1, MIB / 8);
    scene->module = (struct cw_module){.symbols = symbols, .symbol_count = 6};
}

static void the_java_heap_is_where_the_table_says(void)
{
    struct scene scene;
    struct cw_symbol symbols[6];
    make_hotspot(&scene, symbols);
    scene_find(&scene, foreign_find_hotspot);
    CU_ASSERT_EQUAL_FATAL(scene.search.ranges.count, 2);
    const struct cw_foreign_range *ranges = scene.search.ranges.items;
    CU_ASSERT_EQUAL(ranges[0].kind, CW_FOREIGN_JAVA);
    CU_ASSERT_EQUAL(ranges[0].start, JAVA_HEAP);
    CU_ASSERT_EQUAL(ranges[0].size_bytes, MIB);
    CU_ASSERT_EQUAL(ranges[1].kind, CW_FOREIGN_JAVA_CODE);
    CU_ASSERT_EQUAL(ranges[1].size_bytes, 0x10000);
    scene_close(&scene);
}

static void a_table_that_leads_nowhere_claims_nothing(void)
{
    struct scene scene;
    struct cw_symbol symbols[6];
    make_hotspot(&scene, symbols);
    put(&scene, VM, 0, UINT64_MAX - 8);
    scene_find(&scene, foreign_find_hotspot);
    CU_ASSERT_EQUAL(scene.search.ranges.count, 0);
    scene_close(&scene);
}

CW_TEST_MAIN("heap/foreign",
             CW_TEST(zend_chunks_and_huge_blocks_are_found),
             CW_TEST(a_circle_of_chunks_that_does_not_close_is_none),
             CW_TEST(a_list_of_huge_blocks_in_a_circle_ends),
             CW_TEST(a_huge_block_that_is_not_mapped_is_left_out),
             CW_TEST(a_huge_block_ends_where_its_memory_does),
             CW_TEST(go_arenas_are_found_from_their_hint_on),
             CW_TEST(a_go_hint_behind_one_that_is_free_is_not_used),
             CW_TEST(a_file_in_the_place_of_a_go_arena_is_none),
             CW_TEST(v8_pages_of_one_heap_are_found),
             CW_TEST(few_pages_may_be_chance),
             CW_TEST(jemalloc_extents_are_found),
             CW_TEST(an_extent_ends_where_its_memory_does),
             CW_TEST(a_leaf_is_tried_once),
             CW_TEST(a_finder_without_memory_claims_nothing),
             CW_TEST(a_tree_that_is_mostly_wrong_is_none),
             CW_TEST(extents_at_the_end_of_all_addresses_are_left_out),
             CW_TEST(the_java_heap_is_where_the_table_says),
             CW_TEST(a_table_that_leads_nowhere_claims_nothing))
