/* Section "verdict": the answer first. It claims no more than what the stages so far can show. */
#include <string.h>

#include "analyze/sections.h"
#include "base/text.h"

/* A share from which on one thing explains the process. */
#define DOMINANT_SHARE 0.5

/* Below this, free memory is not worth a word. */
#define LEAST_HOARD_BYTES (UINT64_C(16) << 20)

/* So many kinds of blocks may share the blame. */
enum { MOST_DOMINANT = 3 };

#define LEAKS_UNKNOWN "Whether any of it is leaked was not examined."

struct verdict {
    const char *kind;
    const char *text;
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

/* Memory that the allocator keeps though the program has freed it. */
static uint64_t free_bytes(const struct cw_heap *heap)
{
    return heap->by_state[CW_CHUNK_TCACHE].bytes + heap->by_state[CW_CHUNK_FASTBIN].bytes +
           heap->by_state[CW_CHUNK_BINNED].bytes + heap->by_state[CW_CHUNK_TOP].bytes;
}

static const char *heap_sentence(const struct cw_heap *heap,
                                 const struct cw_ledger *ledger,
                                 struct cw_report *report)
{
    struct cw_tally held = cw_heap_held(heap);
    return cw_report_printf(report,
                            "The program holds %s of heap, %.1f %% of its %s writable memory.",
                            size_text(report, held.bytes),
                            100 * share_of(held.bytes, ledger->total_bytes),
                            size_text(report, ledger->total_bytes));
}

/* The largest owner that is not the heap, or NULL. */
static const struct cw_ledger_row *largest_other_row(const struct cw_ledger *ledger)
{
    for (size_t i = 0; i < ledger->row_count; i++) {
        const char *owner = ledger->rows[i].owner;
        if (strncmp(owner, "heap-", strlen("heap-")) != 0 && strcmp(owner, "mmapped") != 0) {
            return &ledger->rows[i];
        }
    }
    return NULL;
}

static struct verdict judge_other(const struct cw_heap *heap,
                                  const struct cw_ledger *ledger,
                                  struct cw_report *report)
{
    const struct cw_ledger_row *row = largest_other_row(ledger);
    const char *where = row == NULL ? "Where the rest is, the ledger says."
                                    : cw_report_printf(report,
                                                       "The largest part is %s: %s.",
                                                       row->label,
                                                       size_text(report, row->total.bytes));
    const char *heap_text = heap->allocator == NULL ? "No glibc heap was found in this process."
                                                    : heap_sentence(heap, ledger, report);
    return (struct verdict){"not-heap", cw_report_printf(report, "%s %s", heap_text, where)};
}

static struct verdict judge_hoard(const struct cw_heap *heap,
                                  const struct cw_ledger *ledger,
                                  struct cw_report *report)
{
    return (struct verdict){
        "hoard",
        cw_report_printf(report,
                         "%s The allocator keeps another %s that the program has freed.",
                         heap_sentence(heap, ledger, report),
                         size_text(report, free_bytes(heap)))};
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

static const char *population_phrase(const struct cw_population *population,
                                     uint64_t held_bytes,
                                     struct cw_report *report)
{
    char count[CW_COUNT_TEXT];
    return cw_report_printf(report,
                            "%s (%.0f %%, %s blocks)",
                            population->name,
                            100 * share_of(population->total.bytes, held_bytes),
                            cw_text_count(population->total.count, count));
}

/*
 * Where few kinds of blocks fill the heap, what grew is among them; whether they are leaked is
 * not known here, and the text says so.
 */
static struct verdict judge_populations(const struct cw_analysis_input *input,
                                        const struct cw_ledger *ledger,
                                        struct cw_report *report)
{
    const struct cw_classification *classification = input->classification;
    uint64_t held_bytes = cw_heap_held(input->heap).bytes;
    uint32_t count = dominant_count(classification, held_bytes);
    const char *kinds = "";
    for (uint32_t i = 0; i < count; i++) {
        const char *link = i == 0 ? "" : i + 1 == count ? " and " : ", ";
        kinds = cw_report_printf(
            report,
            "%s%s%s",
            kinds,
            link,
            population_phrase(&classification->populations[i], held_bytes, report));
    }
    const char *heap_text = heap_sentence(input->heap, ledger, report);
    if (count == 0) {
        return (struct verdict){
            "healthy",
            cw_report_printf(
                report, "%s No few kinds of blocks stand out. %s", heap_text, LEAKS_UNKNOWN)};
    }
    return (struct verdict){"growth",
                            cw_report_printf(report,
                                             "%s If it grew, look at what fills it: %s. %s",
                                             heap_text,
                                             kinds,
                                             LEAKS_UNKNOWN)};
}

static struct verdict judge(const struct cw_analysis_input *input,
                            const struct cw_ledger *ledger,
                            struct cw_report *report)
{
    const struct cw_heap *heap = input->heap;
    uint64_t held = cw_heap_held(heap).bytes;
    uint64_t idle = free_bytes(heap);
    if (heap->allocator == NULL || share_of(held + idle, ledger->total_bytes) < DOMINANT_SHARE) {
        return judge_other(heap, ledger, report);
    }
    if (idle >= LEAST_HOARD_BYTES && share_of(idle, held + idle) >= DOMINANT_SHARE) {
        return judge_hoard(heap, ledger, report);
    }
    if (input->classification != NULL && input->classification->population_count > 0) {
        return judge_populations(input, ledger, report);
    }
    return (struct verdict){"healthy",
                            cw_report_printf(report,
                                             "%s Nothing stands out. %s",
                                             heap_sentence(heap, ledger, report),
                                             LEAKS_UNKNOWN)};
}

/* For people "healthy" would claim more than was examined. */
static const char *title_of(const char *kind)
{
    return strcmp(kind, "healthy") == 0 ? "nothing stands out" : kind;
}

void cw_section_verdict(const struct cw_analysis_input *input,
                        const struct cw_ledger *ledger,
                        struct cw_report *report)
{
    static const struct cw_report_column columns[] = {
        {"kind", "", CW_COLUMN_DATA},
        {"text", "", CW_COLUMN_WRAP},
    };
    if (input->heap == NULL) {
        return;
    }
    struct verdict verdict = judge(input, ledger, report);
    struct cw_report_section *section =
        cw_report_add(report, CW_SECTION_PROSE, "verdict", NULL, columns, 2);
    section->title = cw_report_printf(report, "Verdict: %s", title_of(verdict.kind));
    cw_report_add_row(report,
                      section,
                      (struct cw_cell[]){cw_cell_text(verdict.kind), cw_cell_text(verdict.text)});
}
