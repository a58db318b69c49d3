/* space/space: regions, looking them up, overlays. */
#include <string.h>

#include "space/space.h"
#include "support/opened_core.h"
#include "support/unit.h"

enum { RW = CW_PROT_READ | CW_PROT_WRITE, RX = CW_PROT_READ | CW_PROT_EXEC };

struct expected {
    cw_addr start;
    uint64_t size_bytes;
    enum cw_provenance provenance;
    const char *path;
};

static void check_regions(const struct cw_space *space,
                          const struct expected *expected,
                          size_t count)
{
    CU_ASSERT_EQUAL(space->region_count, count);
    for (size_t i = 0; i < count && i < space->region_count; i++) {
        const struct cw_region *region = &space->regions[i];
        const char *path = cw_region_path(space, region);
        CU_ASSERT_EQUAL(region->start, expected[i].start);
        CU_ASSERT_EQUAL(region->size_bytes, expected[i].size_bytes);
        CU_ASSERT_EQUAL(region->provenance, expected[i].provenance);
        CU_ASSERT_STRING_EQUAL(path == NULL ? "" : path,
                               expected[i].path == NULL ? "" : expected[i].path);
        bool has_data = region->provenance == CW_HELD || region->provenance == CW_FROM_FILE;
        CU_ASSERT_EQUAL(region->data != NULL, has_data);
    }
}

#define CHECK_REGIONS(space, ...)                         \
    check_regions(space,                                  \
                  (const struct expected[]){__VA_ARGS__}, \
                  sizeof((const struct expected[]){__VA_ARGS__}) / sizeof(struct expected))

static void segments_are_cut_by_provenance_and_mapping(void)
{
    struct core_builder *builder = core_builder_create(CW_ARCH_X86_64);
    struct opened_core opened;
    core_builder_segment(builder, 0x1000, 0x4000, RW);
    core_builder_partial_segment(builder, 0x400000, 0x4000, 0x1000, RX);
    core_builder_mapping(builder, 0x2000, 0x1000, 0, "/a");
    core_builder_mapping(builder, 0x400000, 0x3000, 0, "/b");
    opened_core_build(&opened, builder);
    CHECK_REGIONS(&opened.space,
                  {0x1000, 0x1000, CW_HELD, NULL},
                  {0x2000, 0x1000, CW_HELD, "/a"},
                  {0x3000, 0x2000, CW_HELD, NULL},
                  {0x400000, 0x1000, CW_HELD, "/b"},
                  {0x401000, 0x2000, CW_NOT_DUMPED, "/b"},
                  {0x403000, 0x1000, CW_NOT_DUMPED, NULL});
    CU_ASSERT_TRUE(cw_region_is_writable(&opened.space.regions[0]));
    CU_ASSERT_FALSE(cw_region_is_writable(&opened.space.regions[3]));
    CU_ASSERT_TRUE(cw_region_is_anonymous(&opened.space.regions[0]));
    CU_ASSERT_FALSE(cw_region_is_anonymous(&opened.space.regions[1]));
    opened_core_close(&opened);
    core_builder_destroy(builder);
}

static void a_truncated_segment_has_three_parts(void)
{
    struct core_builder *builder = core_builder_create(CW_ARCH_X86_64);
    struct opened_core opened;
    size_t size;
    core_builder_partial_segment(builder, 0x1000, 0x5000, 0x3000, RW);
    const uint8_t *bytes = core_builder_finish(builder, &size);
    opened_core_open(&opened, bytes, size - 0x1800);
    CHECK_REGIONS(&opened.space,
                  {0x1000, 0x1800, CW_HELD, NULL},
                  {0x2800, 0x1800, CW_TRUNCATED, NULL},
                  {0x4000, 0x2000, CW_NOT_DUMPED, NULL});
    opened_core_close(&opened);
    core_builder_destroy(builder);
}

static void neighbours_that_agree_become_one(void)
{
    struct core_builder *builder = core_builder_create(CW_ARCH_X86_64);
    struct opened_core opened;
    core_builder_segment(builder, 0x1000, 0x1000, RW);
    core_builder_segment(builder, 0x2000, 0x1000, RW);
    core_builder_segment(builder, 0x3000, 0x1000, CW_PROT_READ); /* another protection */
    core_builder_segment(builder, 0x5000, 0x1000, CW_PROT_READ); /* not adjacent */
    core_builder_partial_segment(builder, 0x6000, 0x1000, 0, CW_PROT_READ);
    core_builder_partial_segment(builder, 0x7000, 0x1000, 0, CW_PROT_READ);
    opened_core_build(&opened, builder);
    CHECK_REGIONS(&opened.space,
                  {0x1000, 0x2000, CW_HELD, NULL},
                  {0x3000, 0x1000, CW_HELD, NULL},
                  {0x5000, 0x1000, CW_HELD, NULL},
                  {0x6000, 0x2000, CW_NOT_DUMPED, NULL});
    CU_ASSERT_PTR_NOT_NULL(cw_space_view(&opened.space, 0x1800, 0x1000));
    opened_core_close(&opened);
    core_builder_destroy(builder);
}

static void bytes_that_do_not_follow_each_other_stay_apart(void)
{
    struct core_builder *builder = core_builder_create(CW_ARCH_X86_64);
    struct opened_core opened;
    core_builder_segment(builder, 0x2000, 0x1000, RW);
    core_builder_segment(builder, 0x1000, 0x1000, RW);
    opened_core_build(&opened, builder);
    CHECK_REGIONS(&opened.space, {0x1000, 0x1000, CW_HELD, NULL}, {0x2000, 0x1000, CW_HELD, NULL});
    opened_core_close(&opened);
    core_builder_destroy(builder);
}

static void mappings_join_only_where_the_file_goes_on(void)
{
    struct core_builder *builder = core_builder_create(CW_ARCH_X86_64);
    struct opened_core opened;
    core_builder_segment(builder, 0x1000, 0x5000, RW);
    core_builder_mapping(builder, 0x1000, 0x1000, 0x3000, "/a");
    core_builder_mapping(builder, 0x2000, 0x1000, 0x4000, "/a");
    core_builder_mapping(builder, 0x3000, 0x1000, 0x9000, "/a");
    core_builder_mapping(builder, 0x4000, 0x1000, 0xa000, "/b");
    opened_core_build(&opened, builder);
    CHECK_REGIONS(&opened.space,
                  {0x1000, 0x2000, CW_HELD, "/a"},
                  {0x3000, 0x1000, CW_HELD, "/a"},
                  {0x4000, 0x1000, CW_HELD, "/b"},
                  {0x5000, 0x1000, CW_HELD, NULL});
    opened_core_close(&opened);
    core_builder_destroy(builder);
}

static void huge_pages_are_anonymous_memory(void)
{
    struct core_builder *builder = core_builder_create(CW_ARCH_X86_64);
    struct opened_core opened;
    core_builder_segment(builder, 0x200000, 0x400000, RW);
    core_builder_mapping(builder, 0x200000, 0x200000, 0x600000, "/anon_hugepage (deleted)");
    core_builder_mapping(builder, 0x400000, 0x200000, 0, "/anon_hugepage (deleted)");
    opened_core_build(&opened, builder);
    CHECK_REGIONS(&opened.space, {0x200000, 0x400000, CW_HELD, NULL});
    opened_core_close(&opened);
    core_builder_destroy(builder);
}

static void file_pages_that_gdb_left_out_are_not_dumped(void)
{
    struct core_builder *builder = core_builder_create(CW_ARCH_X86_64);
    struct opened_core opened;
    core_builder_segment(builder, 0x400000, 0x1000, CW_PROT_READ);
    core_builder_mapping(builder, 0x400000, 0x1000, 0, "/a");
    core_builder_mapping(builder, 0x401000, 0x3000, 0x1000, "/a");
    opened_core_build(&opened, builder);
    CHECK_REGIONS(
        &opened.space, {0x400000, 0x1000, CW_HELD, "/a"}, {0x401000, 0x3000, CW_NOT_DUMPED, "/a"});
    opened_core_close(&opened);
    core_builder_destroy(builder);
}

static const struct cw_region *find_by_hand(const struct cw_space *space, cw_addr address)
{
    for (size_t i = 0; i < space->region_count; i++) {
        if (address - space->regions[i].start < space->regions[i].size_bytes) {
            return &space->regions[i];
        }
    }
    return NULL;
}

static void look_ups_agree_with_a_search_by_hand(void)
{
    for (size_t count = 0; count < 40; count++) {
        struct core_builder *builder = core_builder_create(CW_ARCH_X86_64);
        struct opened_core opened;
        for (size_t i = 0; i < count; i++) {
            core_builder_partial_segment(
                builder, 0x1000 + i * 0x3000, i % 2 == 0 ? 0x1000 : 0x3000, 0, 1 + i % 2 * 2);
        }
        opened_core_build(&opened, builder);
        const struct cw_space *space = &opened.space;
        for (cw_addr address = 0; address < (count + 2) * 0x3000; address += 0x7ff) {
            const struct cw_region *region = find_by_hand(space, address);
            CU_ASSERT_PTR_EQUAL(cw_space_find(space, address), region);
            size_t above = cw_space_first_above(space, address);
            CU_ASSERT_TRUE(above == space->region_count ||
                           space->regions[above].start + space->regions[above].size_bytes >
                               address);
            CU_ASSERT_TRUE(above == 0 ||
                           space->regions[above - 1].start + space->regions[above - 1].size_bytes <=
                               address);
        }
        opened_core_close(&opened);
        core_builder_destroy(builder);
    }
}

static void the_top_of_the_address_space_is_found(void)
{
    struct core_builder *builder = core_builder_create(CW_ARCH_X86_64);
    struct opened_core opened;
    core_builder_segment(builder, UINT64_MAX - 0xfff, 0x1000, CW_PROT_READ);
    core_builder_segment(builder, 0, 0x1000, CW_PROT_READ);
    opened_core_build(&opened, builder);
    const struct cw_space *space = &opened.space;
    uint64_t word;
    CU_ASSERT_EQUAL(space->region_count, 2);
    CU_ASSERT_PTR_EQUAL(cw_space_find(space, UINT64_MAX), &space->regions[1]);
    CU_ASSERT_PTR_EQUAL(cw_space_find(space, 0), &space->regions[0]);
    CU_ASSERT_PTR_NULL(cw_space_find(space, 0x1000));
    CU_ASSERT_EQUAL(cw_space_first_above(space, UINT64_MAX), 1);
    CU_ASSERT_TRUE(cw_space_read_word(space, UINT64_MAX - 7, &word));
    CU_ASSERT_FALSE(cw_space_read_word(space, UINT64_MAX - 6, &word));
    opened_core_close(&opened);
    core_builder_destroy(builder);
}

/* Found by fuzz_core. */
static void the_whole_address_space_is_no_empty_region(void)
{
    struct core_builder *builder = core_builder_create(CW_ARCH_X86_64);
    struct opened_core opened;
    core_builder_partial_segment(builder, 0, UINT64_MAX, 0, CW_PROT_READ);
    core_builder_partial_segment(builder, UINT64_MAX, 1, 0, CW_PROT_READ);
    opened_core_build(&opened, builder);
    CU_ASSERT_PTR_NOT_NULL(cw_space_find(&opened.space, 0));
    CU_ASSERT_PTR_NOT_NULL(cw_space_find(&opened.space, UINT64_MAX));
    CU_ASSERT_EQUAL(cw_space_first_above(&opened.space, UINT64_MAX), 1);
    opened_core_close(&opened);
    core_builder_destroy(builder);
}

/* ---- overlays ---------------------------------------------------------------------------- */

static void overlay(struct cw_space *space, cw_addr address, uint64_t size, const uint8_t *data)
{
    CU_ASSERT_EQUAL(cw_space_overlay(space, address, size, data, NULL), CW_OK);
}

static void an_overlay_fills_what_is_missing_only(void)
{
    static uint8_t data[0x4000];
    struct core_builder *builder = core_builder_create(CW_ARCH_X86_64);
    struct opened_core opened;
    core_builder_partial_segment(builder, 0x1000, 0x3000, 0x1000, RX);
    core_builder_word(builder, 0x1ff8, 1);
    core_builder_partial_segment(builder, 0x6000, 0x1000, 0, RX);
    for (size_t i = 0; i < sizeof data; i++) {
        data[i] = (uint8_t)(i >> 8);
    }
    opened_core_build(&opened, builder);
    overlay(&opened.space, 0x1000, 0x2800, data);
    CHECK_REGIONS(&opened.space,
                  {0x1000, 0x1000, CW_HELD, NULL},
                  {0x2000, 0x1800, CW_FROM_FILE, NULL},
                  {0x3800, 0x0800, CW_NOT_DUMPED, NULL},
                  {0x6000, 0x1000, CW_NOT_DUMPED, NULL});
    uint64_t word = 0;
    CU_ASSERT_TRUE(cw_space_read_word(&opened.space, 0x1ff8, &word));
    CU_ASSERT_EQUAL(word, 1);
    CU_ASSERT_TRUE(cw_space_read_word(&opened.space, 0x2100, &word));
    CU_ASSERT_EQUAL(word, 0x1111111111111111);

    /* The rest, up to the middle of the next one; what lies between has no memory. */
    overlay(&opened.space, 0x3800, 0x3000, data + 0x2800 - 0x1000);
    CU_ASSERT_EQUAL(opened.space.region_count, 5);
    CU_ASSERT_EQUAL(cw_space_find(&opened.space, 0x6000)->provenance, CW_FROM_FILE);
    CU_ASSERT_EQUAL(cw_space_find(&opened.space, 0x6800)->provenance, CW_NOT_DUMPED);
    CU_ASSERT_PTR_NULL(cw_space_find(&opened.space, 0x4000));
    opened_core_close(&opened);
    core_builder_destroy(builder);
}

static void overlays_that_continue_each_other_become_one(void)
{
    static const uint8_t data[0x3000];
    struct core_builder *builder = core_builder_create(CW_ARCH_X86_64);
    struct opened_core opened;
    core_builder_partial_segment(builder, 0x1000, 0x3000, 0, RX);
    opened_core_build(&opened, builder);
    overlay(&opened.space, 0x1000, 0x1000, data);
    overlay(&opened.space, 0x3000, 0x1000, data + 0x2000);
    CU_ASSERT_EQUAL(opened.space.region_count, 3);
    overlay(&opened.space, 0x2000, 0x1000, data + 0x1000);
    CHECK_REGIONS(&opened.space, {0x1000, 0x3000, CW_FROM_FILE, NULL});
    CU_ASSERT_PTR_EQUAL(cw_space_view(&opened.space, 0x1000, 0x3000), data);
    opened_core_close(&opened);
    core_builder_destroy(builder);
}

static void an_overlay_over_nothing_changes_nothing(void)
{
    static const uint8_t data[0x1000];
    struct core_builder *builder = core_builder_create(CW_ARCH_X86_64);
    struct opened_core opened;
    core_builder_partial_segment(builder, 0x10000, 0x1000, 0, RX);
    opened_core_build(&opened, builder);
    overlay(&opened.space, 0x10000, 0, data);
    overlay(&opened.space, 0x1000, 0x1000, data);
    overlay(&opened.space, 0x20000, 0x1000, data);
    CHECK_REGIONS(&opened.space, {0x10000, 0x1000, CW_NOT_DUMPED, NULL});
    CU_ASSERT_EQUAL(cw_space_overlay(&opened.space, UINT64_MAX, 2, data, NULL), CW_ERROR_ARGUMENT);
    opened_core_close(&opened);
    core_builder_destroy(builder);
}

static void many_overlays_keep_the_look_up_right(void)
{
    static const uint8_t data[16];
    struct core_builder *builder = core_builder_create(CW_ARCH_X86_64);
    struct opened_core opened;
    core_builder_partial_segment(builder, 0x1000, 0x8000, 0, RX);
    opened_core_build(&opened, builder);
    for (cw_addr address = 0x8ff0; address >= 0x1000; address -= 32) {
        overlay(&opened.space, address, sizeof data, data);
    }
    for (cw_addr address = 0x1000; address < 0x9000; address += 8) {
        const struct cw_region *region = cw_space_find(&opened.space, address);
        CU_ASSERT_PTR_EQUAL(region, find_by_hand(&opened.space, address));
        bool is_laid = region != NULL && region->provenance == CW_FROM_FILE;
        CU_ASSERT_EQUAL(is_laid, address % 32 >= 16);
    }
    opened_core_close(&opened);
    core_builder_destroy(builder);
}

static void running_out_of_memory_leaves_a_sound_space(void)
{
    static const uint8_t data[16];
    struct core_builder *builder = core_builder_create(CW_ARCH_X86_64);
    struct opened_core opened;
    core_builder_partial_segment(builder, 0x1000, 0x8000, 0, RX);
    opened_core_build(&opened, builder);
    opened.budget.limit_bytes = opened.budget.used_bytes + 2000;
    enum cw_status status = CW_OK;
    for (cw_addr address = 0x1000; status == CW_OK && address < 0x9000; address += 32) {
        status = cw_space_overlay(&opened.space, address, sizeof data, data, NULL);
    }
    CU_ASSERT_EQUAL(status, CW_ERROR_MEMORY);
    for (cw_addr address = 0; address < 0x9000; address += 16) {
        const struct cw_region *region = cw_space_find(&opened.space, address);
        CU_ASSERT_PTR_EQUAL(region, find_by_hand(&opened.space, address));
    }
    opened.budget.limit_bytes = UINT64_MAX;
    opened_core_close(&opened);
    core_builder_destroy(builder);
}

static void a_spent_budget_makes_no_space(void)
{
    struct core_builder *builder = core_builder_create(CW_ARCH_X86_64);
    struct opened_core opened;
    struct cw_space space = {0};
    for (cw_addr i = 0; i < 1000; i++) {
        core_builder_partial_segment(builder, 0x1000 + i * 0x2000, 0x1000, 0, RX);
    }
    opened_core_build(&opened, builder);
    for (uint64_t more = 0; more < 50000; more += 10000) {
        opened.budget.limit_bytes = opened.budget.used_bytes + more;
        CU_ASSERT_EQUAL(cw_space_create(&opened.target, &opened.arena, &space, NULL),
                        CW_ERROR_MEMORY);
    }
    opened.budget.limit_bytes = UINT64_MAX;
    opened_core_close(&opened);
    core_builder_destroy(builder);
}

static void only_aarch64_ignores_the_top_byte(void)
{
    static const struct {
        enum cw_arch arch;
        uint64_t word;
        cw_addr address;
    } cases[] = {
        {CW_ARCH_AARCH64, UINT64_C(0x2a00ffff12345678), UINT64_C(0x0000ffff12345678)},
        {CW_ARCH_X86_64, UINT64_C(0x2a00ffff12345678), UINT64_C(0x2a00ffff12345678)},
        {CW_ARCH_I386, 0xfff12345, 0xfff12345},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct core_builder *builder = core_builder_create(cases[i].arch);
        struct opened_core opened;
        core_builder_segment(builder, 0x10000, 0x1000, CW_PROT_READ);
        opened_core_build(&opened, builder);
        CU_ASSERT_EQUAL(cw_space_pointer(&opened.space, cases[i].word), cases[i].address);
        opened_core_close(&opened);
        core_builder_destroy(builder);
    }
}

CW_TEST_MAIN("space/space",
             CW_TEST(only_aarch64_ignores_the_top_byte),
             CW_TEST(segments_are_cut_by_provenance_and_mapping),
             CW_TEST(a_truncated_segment_has_three_parts),
             CW_TEST(neighbours_that_agree_become_one),
             CW_TEST(bytes_that_do_not_follow_each_other_stay_apart),
             CW_TEST(mappings_join_only_where_the_file_goes_on),
             CW_TEST(huge_pages_are_anonymous_memory),
             CW_TEST(file_pages_that_gdb_left_out_are_not_dumped),
             CW_TEST(look_ups_agree_with_a_search_by_hand),
             CW_TEST(the_top_of_the_address_space_is_found),
             CW_TEST(the_whole_address_space_is_no_empty_region),
             CW_TEST(an_overlay_fills_what_is_missing_only),
             CW_TEST(overlays_that_continue_each_other_become_one),
             CW_TEST(an_overlay_over_nothing_changes_nothing),
             CW_TEST(many_overlays_keep_the_look_up_right),
             CW_TEST(running_out_of_memory_leaves_a_sound_space),
             CW_TEST(a_spent_budget_makes_no_space))
