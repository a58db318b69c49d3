/* Sessions over a target that the caller reads for us. */
#include <string.h>

#include "api/error.h"
#include "api/session.h"
#include "base/clock.h"

/* The public read hook behind the internal one. */
struct relay {
    int (*read)(void *context, uint64_t address, void *buffer, size_t size);
    void *context;
};

static bool relay_read(void *context, cw_addr address, void *buffer, size_t size)
{
    const struct relay *relay = context;
    return relay->read(relay->context, address, buffer, size) == 0;
}

static bool convert_segments(const struct corewalk_callback *callback,
                             struct cw_arena *memory,
                             struct cw_callback_target *target)
{
    size_t count = callback->segment_count;
    struct cw_segment *segments = cw_arena_alloc_array(memory, count, sizeof *segments);
    struct cw_mapping *mappings = cw_arena_alloc_array(memory, count, sizeof *mappings);
    if (segments == NULL || mappings == NULL) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        const struct corewalk_segment *segment = &callback->segments[i];
        segments[i] = (struct cw_segment){
            .start = segment->start,
            .size_bytes = segment->size_bytes,
            .stored_bytes = segment->size_bytes,
            .held_bytes = segment->size_bytes,
            .protection = segment->protection,
        };
        if (segment->path != NULL) {
            mappings[target->mapping_count++] = (struct cw_mapping){
                segment->start, segment->size_bytes, segment->file_off, segment->path};
        }
    }
    target->segments = segments;
    target->segment_count = count;
    target->mappings = mappings;
    return true;
}

static bool convert_threads(const struct corewalk_callback *callback,
                            struct cw_arena *memory,
                            struct cw_callback_target *target)
{
    size_t count = callback->thread_count;
    struct cw_thread *threads = cw_arena_alloc_array(memory, count, sizeof *threads);
    if (threads == NULL) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        const struct corewalk_thread *thread = &callback->threads[i];
        threads[i] = (struct cw_thread){
            .tid = thread->tid, .pc = thread->pc, .sp = thread->sp, .tp = thread->tp};
    }
    target->threads = threads;
    target->thread_count = count;
    return true;
}

static enum cw_status open_callback(struct corewalk_session *session,
                                    const struct corewalk_callback *callback,
                                    struct cw_error *err)
{
    struct relay *relay = cw_arena_alloc(&session->memory, sizeof *relay);
    struct cw_callback_target target = {
        .arch = callback->arch <= COREWALK_ARCH_AARCH64 ? (enum cw_arch)callback->arch
                                                        : CW_ARCH_UNKNOWN,
        .page_bytes = callback->page_bytes,
        .pid = callback->pid,
        .read = relay_read,
        .context = relay,
    };
    if (relay == NULL || !convert_segments(callback, &session->memory, &target) ||
        !convert_threads(callback, &session->memory, &target)) {
        return cw_error_set_memory(err, "the target's memory map");
    }
    *relay = (struct relay){callback->read, callback->context};
    return cw_target_open_callback(&target, &session->memory, &session->target, err);
}

/* A record of an older caller is shorter: what it lacks is zero. */
static struct corewalk_callback read_callback(const struct corewalk_callback *callback)
{
    struct corewalk_callback copy = {.size = sizeof copy};
    memcpy(&copy, callback, callback->size < sizeof copy ? callback->size : sizeof copy);
    return copy;
}

int corewalk_open_callback(const struct corewalk_callback *callback,
                           const struct corewalk_options *options,
                           struct corewalk_session **ret_session,
                           struct corewalk_error *error)
{
    struct cw_error err = CW_ERROR_INIT;
    struct corewalk_callback given = read_callback(callback);
    struct corewalk_options wanted = cw_session_options(options);
    if (given.read == NULL) {
        cw_error_set(&err, CW_ERROR_ARGUMENT, "the callback target lacks its size or read hook");
        return cw_error_export(&err, error);
    }
    struct corewalk_session *session = cw_session_allocate(&wanted, &err);
    if (session == NULL) {
        return cw_error_export(&err, error);
    }
    double start = cw_clock_seconds();
    open_callback(session, &given, &err);
    session->phase_seconds[CW_PHASE_TARGET] = cw_clock_seconds() - start;
    return cw_session_finish_open(session, &wanted, &err, ret_session, error);
}
