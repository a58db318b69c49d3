/* Compressed input of any bytes: unpacked, and what comes out opened as a core. */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz/fuzz.h"
#include "target/target.h"
#include "target/unpack.h"

enum { BUDGET_BYTES = 256 << 20, SCRATCH_BYTES = 16 << 20 };

static bool go_on(void *context, const char *phase, uint64_t done, uint64_t total)
{
    (void)context;
    FUZZ_CHECK(phase[0] != '\0' && done <= total);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct cw_budget budget;
    struct cw_arena arena;
    struct cw_notes coverage;
    struct cw_target target = {0};
    struct cw_error err = CW_ERROR_INIT;
    struct cw_progress progress = {.report = go_on};
    int file = memfd_create("core", MFD_CLOEXEC);
    FUZZ_CHECK(file >= 0 && write(file, bytes, size) == (ssize_t)size);
    struct cw_core_input input = {
        .path = "core",
        .has_file = true,
        .file = file,
        .scratch_dir = "/dev/shm",
        .max_scratch_bytes = SCRATCH_BYTES,
        .progress = &progress,
    };
    cw_budget_init(&budget, BUDGET_BYTES);
    cw_arena_init(&arena, &budget);
    cw_notes_init(&coverage, &arena);
    enum cw_status status = cw_target_open_core(&input, &arena, &coverage, &target, &err);
    FUZZ_CHECK(status == err.status && (status == CW_OK || err.text[0] != '\0'));
    if (status == CW_OK && target.packing != NULL) {
        FUZZ_CHECK(target.packed_bytes <= size);
        FUZZ_CHECK(target.packing == cw_packing_name(cw_packing_of(bytes, size)));
    }
    for (size_t i = 0; i < target.segment_count; i++) {
        const struct cw_segment *segment = &target.segments[i];
        FUZZ_CHECK(segment->held_bytes <= target.file_bytes);
    }
    cw_target_close(&target);
    cw_notes_deinit(&coverage);
    cw_arena_deinit(&arena);
    FUZZ_CHECK(budget.used_bytes == 0);
    close(file);
    return 0;
}
