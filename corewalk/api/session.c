/* Opening, advancing and closing sessions. */
#include "api/session.h"

#include <stdlib.h>
#include <string.h>

#include "api/error.h"
#include "base/clock.h"
#include "image/recover.h"
#include "space/thread_pointer.h"

static bool relay_progress(void *context, const char *phase, uint64_t done, uint64_t total)
{
    struct corewalk_session *session = context;
    return session->caller_progress == NULL ||
           session->caller_progress(session->caller_context, phase, done, total) == 0;
}

struct corewalk_session *cw_session_allocate(const struct corewalk_options *options,
                                             struct cw_error *err)
{
    struct corewalk_session *session = calloc(1, sizeof *session);
    if (session == NULL) {
        cw_error_set_memory(err, "a session");
        return NULL;
    }
    uint64_t limit = options->max_memory_bytes;
    cw_budget_init(&session->budget, limit != 0 ? limit : UINT64_MAX);
    cw_arena_init(&session->memory, &session->budget);
    cw_arena_init(&session->heap_memory, &session->budget);
    cw_arena_init(&session->classify_memory, &session->budget);
    cw_notes_init(&session->coverage, &session->memory);
    cw_notes_init(&session->findings, &session->heap_memory);
    session->caller_progress = options->progress;
    session->caller_context = options->progress_context;
    session->progress = (struct cw_progress){.report = relay_progress, .context = session};
    return session;
}

/* Everything above the target that each verb needs. */
static enum cw_status prepare(struct corewalk_session *session,
                              const struct corewalk_options *options,
                              struct cw_error *err)
{
    double start = cw_clock_seconds();
    struct cw_image_options image_options = {
        .exe = options->exe, .sysroot = options->sysroot, .debug_dir = options->debug_dir};
    enum cw_status status = cw_pool_create(options->thread_count, &session->pool, err);
    if (status == CW_OK) {
        status = cw_image_recover_mappings(
            &session->target, &image_options, &session->memory, &session->coverage, err);
    }
    if (status == CW_OK) {
        status = cw_space_create(&session->target, &session->memory, &session->space, err);
    }
    if (status == CW_OK && !cw_space_find_thread_pointers(&session->space, &session->target)) {
        status = cw_error_set_memory(err, "the thread pointers");
    }
    if (status == CW_OK) {
        status = cw_image_create(&session->space,
                                 &image_options,
                                 &session->memory,
                                 &session->coverage,
                                 &session->image,
                                 err);
    }
    if (status == CW_OK &&
        !cw_space_stacks(
            &session->space, &session->memory, &session->stacks, &session->stack_count)) {
        status = cw_error_set_memory(err, "the thread stacks");
    }
    session->phase_seconds[CW_PHASE_IMAGE] = cw_clock_seconds() - start;
    return status;
}

/* Bytes that could not be fetched for want of memory would pass for missing ones. */
static enum cw_status check_fetches(const struct corewalk_session *session, struct cw_error *err)
{
    return cw_space_is_out_of_memory(&session->space)
               ? cw_error_set_memory(err, "what was read of the target")
               : CW_OK;
}

static enum cw_status advance(struct corewalk_session *session,
                              enum cw_stage stage,
                              struct cw_error *err)
{
    if (stage >= CW_STAGE_HEAP && !session->has_heap) {
        double start = cw_clock_seconds();
        enum cw_status status = cw_heap_create(&session->space,
                                               &session->image,
                                               session->pool,
                                               &session->progress,
                                               &session->heap_memory,
                                               &session->coverage,
                                               &session->findings,
                                               &session->heap,
                                               err);
        if (status != CW_OK) {
            return status;
        }
        session->has_heap = true;
        session->phase_seconds[CW_PHASE_HEAP] = cw_clock_seconds() - start;
    }
    if (stage >= CW_STAGE_CLASSIFY && !session->has_classification) {
        double start = cw_clock_seconds();
        enum cw_status status = cw_classify(&session->heap,
                                            session->pool,
                                            &session->progress,
                                            &session->classify_memory,
                                            &session->classification,
                                            err);
        if (status != CW_OK) {
            return status;
        }
        session->has_classification = true;
        session->phase_seconds[CW_PHASE_CLASSIFY] = cw_clock_seconds() - start;
    }
    return CW_OK;
}

enum cw_status cw_session_advance(struct corewalk_session *session,
                                  enum cw_stage stage,
                                  struct cw_error *err)
{
    enum cw_status status = advance(session, stage, err);
    return status == CW_OK ? check_fetches(session, err) : status;
}

struct corewalk_options cw_session_options(const struct corewalk_options *options)
{
    struct corewalk_options copy = {.size = sizeof copy};
    if (options != NULL) {
        size_t size = options->size < sizeof copy ? options->size : sizeof copy;
        memcpy(&copy, options, size);
    }
    return copy;
}

int cw_session_finish_open(struct corewalk_session *session,
                           const struct corewalk_options *options,
                           struct cw_error *err,
                           struct corewalk_session **ret_session,
                           struct corewalk_error *error)
{
    if (err->status != CW_OK || prepare(session, options, err) != CW_OK) {
        corewalk_close(session);
        return cw_error_export(err, error);
    }
    *ret_session = session;
    return COREWALK_OK;
}

static int open_core(struct cw_core_input input,
                     const struct corewalk_options *options,
                     struct corewalk_session **ret_session,
                     struct corewalk_error *error)
{
    struct cw_error err = CW_ERROR_INIT;
    struct corewalk_options wanted = cw_session_options(options);
    struct corewalk_session *session = cw_session_allocate(&wanted, &err);
    if (session == NULL) {
        return cw_error_export(&err, error);
    }
    double start = cw_clock_seconds();
    input.scratch_dir = wanted.scratch_dir;
    input.max_scratch_bytes = wanted.max_scratch_bytes;
    input.progress = &session->progress;
    cw_target_open_core(&input, &session->memory, &session->coverage, &session->target, &err);
    session->phase_seconds[CW_PHASE_TARGET] = cw_clock_seconds() - start;
    return cw_session_finish_open(session, &wanted, &err, ret_session, error);
}

int corewalk_open_core(const char *path,
                       const struct corewalk_options *options,
                       struct corewalk_session **ret_session,
                       struct corewalk_error *error)
{
    return open_core((struct cw_core_input){.path = path}, options, ret_session, error);
}

int corewalk_open_descriptor(int descriptor,
                             const char *name,
                             const struct corewalk_options *options,
                             struct corewalk_session **ret_session,
                             struct corewalk_error *error)
{
    struct cw_core_input input = {.path = name, .has_file = true, .file = descriptor};
    return open_core(input, options, ret_session, error);
}

void corewalk_close(struct corewalk_session *session)
{
    if (session == NULL) {
        return;
    }
    if (session->has_classification) {
        cw_classification_destroy(&session->classification);
    }
    if (session->has_heap) {
        cw_heap_destroy(&session->heap);
    }
    cw_image_destroy(&session->image);
    cw_space_destroy(&session->space);
    cw_target_close(&session->target);
    cw_pool_destroy(session->pool);
    cw_notes_deinit(&session->coverage);
    cw_notes_deinit(&session->findings);
    cw_arena_deinit(&session->classify_memory);
    cw_arena_deinit(&session->heap_memory);
    cw_arena_deinit(&session->memory);
    free(session);
}

uint64_t corewalk_peak_memory(const struct corewalk_session *session)
{
    return atomic_load(&session->budget.peak_bytes);
}
