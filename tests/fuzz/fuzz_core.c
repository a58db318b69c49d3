/* A core file of any bytes: opened, made a space, and looked at wherever something may go wrong. */
#include <string.h>

#include "fuzz/fuzz.h"
#include "image/recover.h"
#include "space/thread_pointer.h"

enum {
    BUDGET_BYTES = 256 << 20,
    OVERLAY_BYTES = 64,
    LARGEST_TOUCH_COUNT = 20000,
};

static uint64_t touch_address(const struct cw_space *space, cw_addr address)
{
    uint64_t word = 0;
    uint32_t number = 0;
    char text[32];
    const uint8_t *data = NULL;
    bool is_word = cw_space_read_word(space, address, &word);
    bool is_number = cw_space_read_u32(space, address, &number);
    FUZZ_CHECK(!is_word || (is_number && (uint32_t)word == number));
    if (cw_space_read_string(space, address, text, sizeof text)) {
        FUZZ_CHECK(strlen(text) < sizeof text);
    }
    uint64_t run = cw_space_run(space, address, &data);
    FUZZ_CHECK(run == 0 || cw_space_view(space, address, run) == data);
    return run == 0 ? 0 : (uint64_t)data[0] + data[run - 1];
}

/* The first and the last byte of each region, and what lies just outside. */
static uint64_t touch_space(const struct cw_space *space)
{
    uint64_t sum = 0;
    size_t count = space->region_count;
    count = count < LARGEST_TOUCH_COUNT ? count : LARGEST_TOUCH_COUNT;
    for (size_t i = 0; i < count; i++) {
        const struct cw_region *region = &space->regions[i];
        cw_addr last = region->start + (region->size_bytes - 1);
        FUZZ_CHECK(region->size_bytes > 0 && last >= region->start);
        FUZZ_CHECK(cw_space_find(space, region->start) == region);
        FUZZ_CHECK(cw_space_find(space, last) == region);
        FUZZ_CHECK(cw_space_first_above(space, last) == i);
        FUZZ_CHECK(i == 0 || region[-1].start + (region[-1].size_bytes - 1) < region->start);
        const char *path = cw_region_path(space, region);
        sum += path == NULL ? 0 : strlen(path);
        sum += touch_address(space, region->start) + touch_address(space, last);
        sum += touch_address(space, region->start - 1) + touch_address(space, last - 6);
        sum += touch_address(space, last + 1);
    }
    return sum;
}

static void overlay_space(struct cw_space *space)
{
    static const uint8_t data[OVERLAY_BYTES];
    for (size_t i = 0; i < space->region_count && i < 50; i++) {
        cw_addr address = space->regions[i].start - OVERLAY_BYTES / 2;
        if (address < UINT64_MAX - OVERLAY_BYTES) {
            (void)cw_space_overlay(space, address, OVERLAY_BYTES, data, NULL);
        }
    }
}

static void check_target(const struct cw_target *target)
{
    for (size_t i = 0; i < target->segment_count; i++) {
        const struct cw_segment *segment = &target->segments[i];
        FUZZ_CHECK(segment->held_bytes <= segment->stored_bytes);
        FUZZ_CHECK(segment->stored_bytes <= segment->size_bytes);
    }
    for (size_t i = 0; i < target->thread_count; i++) {
        FUZZ_CHECK(target->threads[i].register_count <= CW_REGISTER_LIMIT);
    }
    FUZZ_CHECK(strlen(target->program) < 16);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct cw_budget budget;
    struct cw_arena arena;
    struct cw_notes coverage;
    struct cw_target target = {0};
    struct cw_space space = {0};
    struct cw_error err = CW_ERROR_INIT;
    cw_budget_init(&budget, BUDGET_BYTES);
    cw_arena_init(&arena, &budget);
    cw_notes_init(&coverage, &arena);
    enum cw_status status =
        cw_target_open_core_bytes(bytes, size, "core", &arena, &coverage, &target, &err);
    if (status == CW_OK) {
        static const struct cw_image_options options;
        check_target(&target);
        status = cw_image_recover_mappings(&target, &options, &arena, &coverage, &err);
    }
    if (status == CW_OK) {
        check_target(&target);
        status = cw_space_create(&target, &arena, &space, &err);
    }
    FUZZ_CHECK(status == err.status && (status == CW_OK || err.text[0] != '\0'));
    if (status == CW_OK) {
        (void)touch_space(&space);
        (void)cw_space_find_thread_pointers(&space, &target);
        overlay_space(&space);
        (void)touch_space(&space);
        cw_space_destroy(&space);
    }
    cw_target_close(&target);
    cw_notes_deinit(&coverage);
    cw_arena_deinit(&arena);
    FUZZ_CHECK(budget.used_bytes == 0);
    return 0;
}
