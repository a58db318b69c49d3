/*
 * Section "verdict": the answer first. It claims no more than what was examined: where memory is
 * missing, the analysis was interrupted or the heap is damaged, that is the answer.
 */
#include <inttypes.h>
#include <string.h>

#include "analyze/completeness.h"
#include "analyze/sections.h"
#include "base/text.h"
#include "heap/damage.h"
#include "heap/foreign.h"
#include "image/runtime.h"

/* A share from which on one thing explains the process. */
#define DOMINANT_SHARE 0.5

/* With a larger part of the memory missing, nothing can be said of the whole. */
#define MISSING_SHARE 0.1

/* Below these, free memory is not worth a word, and a process is small. */
#define LEAST_HOARD_BYTES (UINT64_C(16) << 20)
#define SMALL_BYTES       (UINT64_C(8) << 20)

/* So many kinds of blocks may share the blame. */
enum { MOST_DOMINANT = 3 };

#define LEAKS_UNKNOWN "Whether any of it is leaked was not examined."

struct verdict {
    const char *kind;  /* of the JSON contract; NULL: none can be given */
    const char *title; /* for people */
    const char *text;
};

/* What the answer rests on. */
struct grounds {
    const struct cw_analysis_input *input;
    const struct cw_ledger *ledger;
    struct cw_report *report;
    uint64_t in_use_bytes; /* of the writable memory, what is there and not all zero */
    uint64_t held_bytes;   /* by the program */
    uint64_t idle_bytes;   /* freed, and kept by the allocator */
};

static double share_of(uint64_t part, uint64_t whole)
{
    return whole == 0 ? 0 : (double)part / (double)whole;
}

static const char *size_text(struct cw_report *report, uint64_t bytes)
{
    char size[CW_SIZE_TEXT];
    return cw_report_printf(report, "%s", cw_text_size(bytes, size));
}

static uint64_t idle_bytes(const struct cw_heap *heap)
{
    return heap->by_state[CW_CHUNK_TCACHE].bytes + heap->by_state[CW_CHUNK_FASTBIN].bytes +
           heap->by_state[CW_CHUNK_BINNED].bytes + heap->by_state[CW_CHUNK_TOP].bytes;
}

static const char *heap_sentence(const struct grounds *grounds)
{
    return cw_report_printf(
        grounds->report,
        "The program holds %s of heap, %.1f %% of the %s of writable memory that %s.",
        size_text(grounds->report, grounds->held_bytes),
        100 * share_of(grounds->held_bytes, grounds->in_use_bytes),
        size_text(grounds->report, grounds->in_use_bytes),
        grounds->ledger->zero_bytes > 0 ? "is not all zero" : "there is");
}

/* ---- nothing can be said ------------------------------------------------------------------- */

static struct verdict judge_interrupted(void)
{
    return (struct verdict){
        .title = "undetermined (interrupted)",
        .text = "The analysis was interrupted before it could tell what fills the memory.",
    };
}

static struct verdict judge_missing(const struct grounds *grounds)
{
    const struct cw_ledger *ledger = grounds->ledger;
    return (struct verdict){
        .title = "undetermined (the core is incomplete)",
        .text = cw_report_printf(grounds->report,
                                 "%s of the %s of writable memory, %.1f %%, is missing from the "
                                 "core. What follows is true of the rest only.",
                                 size_text(grounds->report, ledger->missing_bytes),
                                 size_text(grounds->report, ledger->total_bytes),
                                 100 * share_of(ledger->missing_bytes, ledger->total_bytes)),
    };
}

/* ---- not the heap -------------------------------------------------------------------------- */

static uint64_t row_in_use(const struct cw_ledger_row *row)
{
    return row->total.bytes - cw_min(row->zero_bytes, row->total.bytes);
}

/* The owner outside the heap that has most in use, or NULL. */
static const struct cw_ledger_row *largest_other_row(const struct cw_ledger *ledger)
{
    const struct cw_ledger_row *largest = NULL;
    for (size_t i = 0; i < ledger->row_count; i++) {
        const struct cw_ledger_row *row = &ledger->rows[i];
        bool is_heap = strncmp(row->owner, "heap-", strlen("heap-")) == 0 ||
                       strcmp(row->owner, "mmapped") == 0;
        if (!is_heap && (largest == NULL || row_in_use(row) > row_in_use(largest))) {
            largest = row;
        }
    }
    return largest;
}

/* The runtime whose memory a row is, or NULL. */
static const struct cw_runtime_found *runtime_of_row(const struct grounds *grounds,
                                                     const struct cw_ledger_row *row)
{
    for (size_t i = 0; row != NULL && i < CW_FOREIGN_KIND_COUNT; i++) {
        if (strcmp(row->owner, cw_foreign_owner(i)) == 0) {
            return cw_image_runtime(grounds->input->image, cw_foreign_runtime(i));
        }
    }
    return NULL;
}

/* Was memory of the runtime found by its structures? Then the rest is most likely not its. */
static bool has_row(const struct grounds *grounds, const struct cw_runtime *runtime)
{
    for (size_t i = 0; i < CW_FOREIGN_KIND_COUNT; i++) {
        if (strcmp(cw_foreign_runtime(i), runtime->id) == 0 &&
            cw_ledger_bytes_of(grounds->ledger, cw_foreign_owner(i)) > 0) {
            return true;
        }
    }
    return false;
}

/*
 * The runtime that most likely has the anonymous memory: one in malloc's place, where glibc's holds
 * nothing, else one with a heap of its own. NULL where none is seen.
 */
static const struct cw_runtime_found *likely_runtime(const struct grounds *grounds)
{
    size_t count;
    const struct cw_runtime_found *found = cw_image_runtimes(grounds->input->image, &count);
    bool has_glibc_heap = grounds->input->heap->allocator != NULL;
    for (enum cw_runtime_kind kind = has_glibc_heap ? CW_RUNTIME_HEAP : CW_RUNTIME_MALLOC;
         kind <= CW_RUNTIME_HEAP;
         kind++) {
        for (size_t i = 0; i < count; i++) {
            if (found[i].runtime->kind == kind && !found[i].is_guess &&
                !has_row(grounds, found[i].runtime)) {
                return &found[i];
            }
        }
    }
    return NULL;
}

static const char *absence_sentence(const struct grounds *grounds)
{
    const struct cw_runtime_found *found =
        cw_is_complete(grounds->input) ? cw_image_replacement(grounds->input->image) : NULL;
    return found == NULL
               ? "No glibc heap was found: the program has an allocator of its own, or glibc's "
                 "data cannot be seen."
               : cw_report_printf(grounds->report,
                                  "There is no heap of glibc's malloc: %s serves the program.",
                                  found->runtime->name);
}

/* What has the memory, and what to look at it with. */
static const char *other_sentences(const struct grounds *grounds, const struct cw_ledger_row *row)
{
    if (row == NULL) {
        return "";
    }
    const struct cw_runtime_found *found = runtime_of_row(grounds, row);
    const char *guess = "";
    if (found == NULL && strcmp(row->owner, "anonymous") == 0) {
        found = likely_runtime(grounds);
        guess =
            found == NULL
                ? ""
                : cw_report_printf(grounds->report, ", most likely of %s", found->runtime->name);
    }
    const char *advice =
        found != NULL && found->runtime->advice != NULL
            ? cw_report_printf(grounds->report, " To look inside: %s.", found->runtime->advice)
            : "";
    return cw_report_printf(grounds->report,
                            " %s is %s, %s%s.%s",
                            grounds->input->heap->allocator != NULL
                                ? "Outside of that, the largest part"
                                : "The largest part",
                            row->label,
                            size_text(grounds->report, row_in_use(row)),
                            guess,
                            advice);
}

static struct verdict judge_other(const struct grounds *grounds, const struct cw_ledger_row *row)
{
    const char *heap_text = grounds->input->heap->allocator != NULL ? heap_sentence(grounds)
                                                                    : absence_sentence(grounds);
    const struct cw_runtime_found *found = runtime_of_row(grounds, row);
    return (struct verdict){
        "not-heap",
        found == NULL ? "not the heap"
                      : cw_report_printf(grounds->report, "not glibc's heap, but %s", row->label),
        cw_report_printf(grounds->report, "%s%s", heap_text, other_sentences(grounds, row))};
}

/* ---- the heap ------------------------------------------------------------------------------ */

static struct verdict judge_hoard(const struct grounds *grounds)
{
    return (struct verdict){
        "hoard",
        "hoard",
        cw_report_printf(grounds->report,
                         "%s The allocator keeps another %s that the program has freed.",
                         heap_sentence(grounds),
                         size_text(grounds->report, grounds->idle_bytes))};
}

/* The largest populations, as few as fill DOMINANT_SHARE of what is held, at most the limit. */
static uint32_t dominant_count(const struct cw_classification *classification, uint64_t held_bytes)
{
    uint64_t sum = 0;
    uint32_t most = classification->population_count < MOST_DOMINANT
                        ? classification->population_count
                        : MOST_DOMINANT;
    for (uint32_t i = 0; i < most; i++) {
        sum += classification->populations[i].total.bytes;
        if (share_of(sum, held_bytes) >= DOMINANT_SHARE) {
            return i + 1;
        }
    }
    return 0;
}

static const char *population_phrase(const struct grounds *grounds, uint32_t index)
{
    const struct cw_population *population = &grounds->input->classification->populations[index];
    char count[CW_COUNT_TEXT];
    return cw_report_printf(grounds->report,
                            "%s (%.1f %%, %s block%s)",
                            population->name,
                            100 * share_of(population->total.bytes, grounds->held_bytes),
                            cw_text_count(population->total.count, count),
                            population->total.count == 1 ? "" : "s");
}

/*
 * Where few kinds of blocks fill the heap, what grew is among them; whether they are leaked is
 * not known here, and the text says so.
 */
static struct verdict judge_populations(const struct grounds *grounds)
{
    uint32_t count = dominant_count(grounds->input->classification, grounds->held_bytes);
    const char *kinds = "";
    for (uint32_t i = 0; i < count; i++) {
        const char *link = i == 0 ? "" : i + 1 == count ? " and " : ", ";
        kinds =
            cw_report_printf(grounds->report, "%s%s%s", kinds, link, population_phrase(grounds, i));
    }
    const char *heap_text = heap_sentence(grounds);
    if (grounds->in_use_bytes < SMALL_BYTES) {
        return (struct verdict){
            "healthy",
            "nothing stands out",
            cw_report_printf(
                grounds->report, "%s That is a small process. %s", heap_text, LEAKS_UNKNOWN)};
    }
    if (count == 0) {
        return (struct verdict){"healthy",
                                "nothing stands out",
                                cw_report_printf(grounds->report,
                                                 "%s No few kinds of blocks fill it. %s",
                                                 heap_text,
                                                 LEAKS_UNKNOWN)};
    }
    return (struct verdict){"growth",
                            "growth",
                            cw_report_printf(grounds->report,
                                             "%s If it grew, look at what fills it: %s. %s",
                                             heap_text,
                                             kinds,
                                             LEAKS_UNKNOWN)};
}

static struct verdict judge_whole(const struct grounds *grounds)
{
    const struct cw_ledger_row *other = largest_other_row(grounds->ledger);
    uint64_t heap_bytes = grounds->held_bytes + grounds->idle_bytes;
    if (grounds->input->heap->allocator == NULL ||
        (other != NULL && row_in_use(other) > heap_bytes &&
         share_of(heap_bytes, grounds->in_use_bytes) < DOMINANT_SHARE)) {
        return judge_other(grounds, other);
    }
    if (grounds->idle_bytes >= LEAST_HOARD_BYTES &&
        share_of(grounds->idle_bytes, heap_bytes) >= DOMINANT_SHARE) {
        return judge_hoard(grounds);
    }
    return judge_populations(grounds);
}

/* ---- damage -------------------------------------------------------------------------------- */

static const struct cw_note *first_severe(const struct cw_notes *findings)
{
    for (size_t i = 0; i < findings->items.count; i++) {
        const struct cw_note *note = cw_note_at(findings, i);
        if (note->severity == CW_SEVERE) {
            return note;
        }
    }
    return NULL;
}

static struct verdict judge(const struct grounds *grounds)
{
    const struct cw_ledger *ledger = grounds->ledger;
    if (grounds->input->heap == NULL || grounds->input->classification == NULL) {
        return judge_interrupted();
    }
    if (share_of(ledger->missing_bytes, ledger->total_bytes) > MISSING_SHARE) {
        return judge_missing(grounds);
    }
    struct verdict verdict = judge_whole(grounds);
    const struct cw_note *damage = first_severe(grounds->input->findings);
    if (damage != NULL) {
        const struct cw_damage_kind *kind = cw_damage_kind(damage->code);
        bool is_only_said = strcmp(damage->code, "libc-abort") == 0;
        verdict.kind = is_only_said ? "misused" : "damaged";
        verdict.title = is_only_said ? "misused heap" : "damaged heap";
        verdict.text = cw_report_printf(grounds->report,
                                        "The heap %s: %s (see Findings). %s",
                                        is_only_said ? "was misused" : "is damaged",
                                        kind != NULL ? kind->title : damage->text,
                                        verdict.text);
    }
    return verdict;
}

void cw_section_verdict(const struct cw_analysis_input *input,
                        const struct cw_ledger *ledger,
                        struct cw_report *report)
{
    static const struct cw_report_column columns[] = {
        {"kind", "", CW_COLUMN_DATA},
        {"text", "", CW_COLUMN_WRAP},
    };
    struct grounds grounds = {.input = input, .ledger = ledger, .report = report};
    grounds.in_use_bytes = ledger->total_bytes - ledger->zero_bytes - ledger->missing_bytes;
    if (input->heap != NULL) {
        grounds.held_bytes = cw_heap_held(input->heap).bytes;
        grounds.idle_bytes = idle_bytes(input->heap);
    }
    struct verdict verdict = judge(&grounds);
    /* Without a kind there is no verdict for machines. */
    struct cw_report_section *section = cw_report_add(
        report, CW_SECTION_PROSE, verdict.kind != NULL ? "verdict" : NULL, NULL, columns, 2);
    section->title = cw_report_printf(report, "Verdict: %s", verdict.title);
    cw_report_add_row(
        report,
        section,
        (struct cw_cell[]){verdict.kind != NULL ? cw_cell_text(verdict.kind) : cw_cell_absent(),
                           cw_cell_text(verdict.text)});
}
