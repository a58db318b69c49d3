/* Targets that the caller reads for us: everything that was said is copied and put in order. */
#include <string.h>

#include "base/checked.h"
#include "target/segments.h"

enum {
    DEFAULT_PAGE_BYTES = 4096,
    SMALLEST_PAGE_BYTES = 512,
    LARGEST_PAGE_BYTES = 1 << 20,
};

static enum cw_status check(const struct cw_callback_target *callback, struct cw_error *err)
{
    uint64_t page_bytes = callback->page_bytes;
    if (callback->read == NULL) {
        return cw_error_set(err, CW_ERROR_ARGUMENT, "a callback target needs a read function");
    }
    if (callback->arch == CW_ARCH_UNKNOWN || callback->arch > CW_ARCH_AARCH64) {
        return cw_error_set(err, CW_ERROR_ARGUMENT, "a callback target needs a machine (arch)");
    }
    if (page_bytes != 0 && (!cw_is_power_of_two(page_bytes) || page_bytes < SMALLEST_PAGE_BYTES ||
                            page_bytes > LARGEST_PAGE_BYTES)) {
        return cw_error_set(err,
                            CW_ERROR_ARGUMENT,
                            "page_bytes is %llu, expected a power of two from %d to %d",
                            (unsigned long long)page_bytes,
                            SMALLEST_PAGE_BYTES,
                            LARGEST_PAGE_BYTES);
    }
    return CW_OK;
}

static enum cw_status copy_segments(const struct cw_callback_target *callback,
                                    struct cw_arena *arena,
                                    struct cw_target *target,
                                    struct cw_error *err)
{
    struct cw_vector raw;
    cw_vector_init(&raw, arena->budget, sizeof(struct cw_segment));
    enum cw_status status = CW_OK;
    for (size_t i = 0; status == CW_OK && i < callback->segment_count; i++) {
        struct cw_segment segment = callback->segments[i];
        segment.stored_bytes = segment.size_bytes;
        segment.held_bytes = segment.size_bytes;
        segment.data = NULL;
        if (!cw_vector_append(&raw, &segment)) {
            status = cw_error_set_memory(err, "the list of segments");
        }
    }
    if (status == CW_OK) {
        uint64_t cut_count;
        status = cw_segments_normalise(&raw, arena, target, &cut_count, err);
    }
    cw_vector_deinit(&raw);
    return status;
}

static enum cw_status copy_mappings(const struct cw_callback_target *callback,
                                    struct cw_arena *arena,
                                    struct cw_target *target,
                                    struct cw_error *err)
{
    struct cw_vector raw;
    cw_vector_init(&raw, arena->budget, sizeof(struct cw_mapping));
    enum cw_status status = CW_OK;
    for (size_t i = 0; status == CW_OK && i < callback->mapping_count; i++) {
        struct cw_mapping mapping = callback->mappings[i];
        mapping.path = cw_arena_strdup(arena, mapping.path);
        if (mapping.path == NULL || !cw_vector_append(&raw, &mapping)) {
            status = cw_error_set_memory(err, "the list of mapped files");
        }
    }
    if (status == CW_OK) {
        uint64_t cut_count;
        status = cw_mappings_normalise(&raw, arena, target, &cut_count, err);
    }
    cw_vector_deinit(&raw);
    return status;
}

static enum cw_status copy_threads(const struct cw_callback_target *callback,
                                   struct cw_arena *arena,
                                   struct cw_target *target,
                                   struct cw_error *err)
{
    size_t count = callback->thread_count;
    target->threads = cw_arena_alloc_array(arena, count, sizeof *target->threads);
    if (target->threads == NULL) {
        return cw_error_set_memory(err, "the list of threads");
    }
    if (count > 0) {
        memcpy(target->threads, callback->threads, count * sizeof *target->threads);
    }
    for (size_t i = 0; i < count; i++) {
        struct cw_thread *thread = &target->threads[i];
        thread->register_count = (uint32_t)cw_min(thread->register_count, CW_REGISTER_LIMIT);
    }
    target->thread_count = count;
    return CW_OK;
}

enum cw_status cw_target_open_callback(const struct cw_callback_target *callback,
                                       struct cw_arena *arena,
                                       struct cw_target *ret_target,
                                       struct cw_error *err)
{
    enum cw_status status = check(callback, err);
    struct cw_target target = {
        .kind = CW_TARGET_CALLBACK,
        .arch = callback->arch,
        .word_bytes = callback->arch == CW_ARCH_I386 ? 4 : 8,
        .page_bytes = callback->page_bytes != 0 ? callback->page_bytes : DEFAULT_PAGE_BYTES,
        .pid = callback->pid,
        .program = "",
        .read = callback->read,
        .context = callback->context,
    };
    if (status == CW_OK) {
        status = copy_segments(callback, arena, &target, err);
    }
    if (status == CW_OK) {
        status = copy_mappings(callback, arena, &target, err);
    }
    if (status == CW_OK) {
        status = copy_threads(callback, arena, &target, err);
    }
    if (status == CW_OK) {
        *ret_target = target;
    }
    return status;
}
