/* Running verbs: advance the session, let the analysis fill a report, render it. */
#include <stdio.h>
#include <string.h>

#include "analyze/fail_if.h"
#include "analyze/request.h"
#include "analyze/sections.h"
#include "api/error.h"
#include "api/session.h"
#include "base/clock.h"

struct sink {
    corewalk_write *write;
    void *context;
};

static bool relay_write(void *context, const char *bytes, size_t count)
{
    const struct sink *sink = context;
    return sink->write(sink->context, bytes, count) == 0;
}

static struct cw_analysis_input make_input(const struct corewalk_session *session,
                                           const struct corewalk_request *request,
                                           struct cw_arena *memory)
{
    return (struct cw_analysis_input){
        .target = &session->target,
        .space = &session->space,
        .image = &session->image,
        .stacks = session->stacks,
        .stack_count = session->stack_count,
        .heap = session->has_heap ? &session->heap : NULL,
        .classification = session->has_classification ? &session->classification : NULL,
        .coverage = &session->coverage,
        .findings = &session->findings,
        .phase_seconds = session->phase_seconds,
        .request = request,
        .pool = session->pool,
        .memory = memory,
        .progress = &session->progress,
    };
}

static const struct cw_renderer *renderer_of(const struct corewalk_request *request)
{
    return cw_renderer_named(request->format != NULL ? request->format : corewalk_format_name(0));
}

static enum cw_status run_report(struct corewalk_session *session,
                                 const struct cw_analysis *analysis,
                                 const struct cw_analysis_input *input,
                                 const struct cw_style *style,
                                 const struct cw_writer *writer,
                                 struct cw_error *err)
{
    double start = cw_clock_seconds();
    struct cw_report report;
    cw_report_init(&report, input->memory);
    enum cw_status status = analysis->report(input, &report, err);
    session->phase_seconds[CW_PHASE_REPORT] = cw_clock_seconds() - start;
    if (status == CW_OK && input->request->timing != 0) {
        cw_section_timing(input, &report);
    }
    if (status == CW_OK && report.failed) {
        status = cw_error_set_memory(err, "the report");
    }
    if (status == CW_OK) {
        const struct cw_renderer *renderer = renderer_of(input->request);
        status = renderer->render(&report, style, writer, err);
    }
    cw_report_deinit(&report);
    return status;
}

/* Something was missing that the analysis would have looked at. */
static bool is_incomplete(const struct corewalk_session *session)
{
    for (size_t i = 0; i < session->coverage.items.count; i++) {
        if (cw_note_at(&session->coverage, i)->severity >= CW_WARNING) {
            return true;
        }
    }
    return session->has_heap && session->heap.allocator == NULL;
}

/* An interrupted page still shows what the stages before have found. */
static enum cw_status advance_for(struct corewalk_session *session,
                                  const struct cw_analysis *analysis,
                                  struct cw_error *err)
{
    enum cw_status status = cw_session_advance(session, analysis->stage, err);
    if (status == CW_ERROR_CANCELLED && analysis->takes_partial_input) {
        *err = CW_ERROR_INIT;
        cw_note_add(&session->coverage,
                    CW_WARNING,
                    "interrupted",
                    0,
                    "The analysis was interrupted: sections that were not reached are left out.");
        return CW_OK;
    }
    if (status == CW_ERROR_CANCELLED) {
        *err = CW_ERROR_INIT;
        cw_error_set(err, status, "interrupted: nothing to show yet");
    }
    return status;
}

/* The reason for is_incomplete, in the session's line. */
static const char *say_missing(struct corewalk_session *session)
{
    size_t warning_count = 0;
    const char *first = "there is no heap of an allocator that is known";
    for (size_t i = 0; i < session->coverage.items.count; i++) {
        const struct cw_note *note = cw_note_at(&session->coverage, i);
        if (note->severity >= CW_WARNING && warning_count++ == 0) {
            first = note->text;
        }
    }
    if (warning_count > 1) {
        snprintf(session->missing,
                 sizeof session->missing,
                 "%s (and %zu more: see the verb analyze)",
                 first,
                 warning_count - 1);
    } else {
        snprintf(session->missing, sizeof session->missing, "%s", first);
    }
    return session->missing;
}

static struct corewalk_outcome outcome_of(struct corewalk_session *session,
                                          const struct cw_analysis *analysis)
{
    struct corewalk_outcome outcome = {.is_incomplete = is_incomplete(session)};
    if (outcome.is_incomplete && analysis != NULL && analysis->stream != NULL) {
        outcome.missing = say_missing(session);
    }
    return outcome;
}

static enum cw_status answer(struct corewalk_session *session,
                             const struct corewalk_request *request,
                             const struct cw_writer *writer,
                             bool *ret_passed_limit,
                             struct cw_error *err)
{
    const struct cw_analysis *analysis = cw_analysis_named(request->verb);
    struct cw_style style = {.width = request->width, .color = request->color != 0};
    struct cw_arena memory;
    enum cw_status status = advance_for(session, analysis, err);
    if (status != CW_OK) {
        return status;
    }
    cw_arena_init(&memory, &session->budget);
    struct cw_analysis_input input = make_input(session, request, &memory);
    status = analysis->stream != NULL
                 ? analysis->stream(&input, renderer_of(request), &style, writer, err)
                 : run_report(session, analysis, &input, &style, writer, err);
    *ret_passed_limit = status == CW_OK && cw_fail_if_passed(&input);
    cw_arena_deinit(&memory);
    return status;
}

/* A request of an older caller is shorter: what it lacks is zero. */
static struct corewalk_request read_request(const struct corewalk_request *request)
{
    struct corewalk_request copy = {.size = sizeof copy};
    memcpy(&copy, request, request->size < sizeof copy ? request->size : sizeof copy);
    return copy;
}

/* An older caller's record is shorter: it gets what it has room for. */
static void write_outcome(struct corewalk_outcome outcome, struct corewalk_outcome *ret_outcome)
{
    if (ret_outcome != NULL) {
        outcome.size = ret_outcome->size;
        memcpy(
            ret_outcome, &outcome, outcome.size < sizeof outcome ? outcome.size : sizeof outcome);
    }
}

int corewalk_check(const struct corewalk_request *request, struct corewalk_error *error)
{
    struct cw_error err = CW_ERROR_INIT;
    struct corewalk_request wanted = read_request(request);
    cw_request_check(&wanted, &err);
    return cw_error_export(&err, error);
}

int corewalk_run(struct corewalk_session *session,
                 const struct corewalk_request *request,
                 corewalk_write *write,
                 void *context,
                 struct corewalk_outcome *ret_outcome,
                 struct corewalk_error *error)
{
    struct cw_error err = CW_ERROR_INIT;
    struct corewalk_request wanted = read_request(request);
    struct sink sink = {write, context};
    struct cw_writer writer = {relay_write, &sink};
    bool passed_limit = false;
    if (cw_request_check(&wanted, &err) == CW_OK) {
        answer(session, &wanted, &writer, &passed_limit, &err);
    }
    const struct cw_analysis *analysis =
        wanted.verb != NULL ? cw_analysis_named(wanted.verb) : NULL;
    struct corewalk_outcome outcome = outcome_of(session, analysis);
    outcome.exceeded_fail_if = passed_limit;
    write_outcome(outcome, ret_outcome);
    return cw_error_export(&err, error);
}

size_t corewalk_verb_count(void)
{
    size_t count;
    cw_analyses(&count);
    return count;
}

const struct corewalk_verb *corewalk_verb_at(size_t index)
{
    size_t count;
    const struct cw_analysis *const *analyses = cw_analyses(&count);
    return index < count ? &analyses[index]->verb : NULL;
}

size_t corewalk_format_count(void)
{
    size_t count;
    cw_renderers(&count);
    return count;
}

const char *corewalk_format_name(size_t index)
{
    size_t count;
    const struct cw_renderer *const *renderers = cw_renderers(&count);
    return index < count ? renderers[index]->name : NULL;
}

const char *corewalk_format_summary(size_t index)
{
    size_t count;
    const struct cw_renderer *const *renderers = cw_renderers(&count);
    return index < count ? renderers[index]->summary : NULL;
}
