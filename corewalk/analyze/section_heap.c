/* Sections "heap" and "heap.arenas". */
#include <stdlib.h>
#include <string.h>

#include "analyze/sections.h"
#include "base/text.h"

enum { PAGE_ARENAS = 6 };

#define COLUMNS(array) array, sizeof(array) / sizeof(array)[0]

struct cw_tally cw_heap_held(const struct cw_heap *heap)
{
    struct cw_tally held = heap->by_state[CW_CHUNK_USED];
    cw_tally_merge(&held, &heap->by_state[CW_CHUNK_MMAPPED]);
    return held;
}

const char *cw_section_no_chunk(const struct cw_heap *heap)
{
    return heap->allocator != NULL
               ? "The program holds no chunk."
               : "No heap of glibc's malloc was found; other allocators' blocks "
                 "are not looked into.";
}

/* Sum over all arenas of what lies in no chunk, and of what glibc calls system_mem. */
static void sum_arenas(const struct cw_heap *heap, uint64_t *gap_bytes, uint64_t *system_bytes)
{
    *gap_bytes = 0;
    *system_bytes = 0;
    for (uint32_t i = 0; i < heap->arena_count; i++) {
        *gap_bytes += heap->arenas[i].gap_bytes;
        *system_bytes += heap->arenas[i].system_bytes;
    }
}

/* Mapped chunks that were freed into a thread's cache (from 2.43 on): in a list, but in no arena.
 */
static struct cw_tally cached_mappings(const struct cw_heap *heap)
{
    struct cw_tally cached = heap->by_state[CW_CHUNK_TCACHE];
    for (uint32_t i = 0; i < heap->arena_count; i++) {
        cached.count -= heap->arenas[i].by_state[CW_CHUNK_TCACHE].count;
        cached.bytes -= heap->arenas[i].by_state[CW_CHUNK_TCACHE].bytes;
    }
    return cached;
}

/* As the contract divides them: all mappings stand beside the arenas, the cached ones too. */
static struct cw_tally tally_of(const struct cw_heap *heap,
                                enum cw_chunk_state state,
                                const struct cw_tally *cached)
{
    struct cw_tally tally = heap->by_state[state];
    if (state == CW_CHUNK_TCACHE) {
        tally.count -= cached->count;
        tally.bytes -= cached->bytes;
    } else if (state == CW_CHUNK_MMAPPED) {
        cw_tally_merge(&tally, cached);
    }
    return tally;
}

static void add_heap_sums(const struct cw_heap *heap, struct cw_report *report)
{
    static const struct cw_report_column columns[] = {
        {"allocator", "", CW_COLUMN_DATA},
        {"used.count", "", CW_COLUMN_DATA},
        {"used.bytes", "", CW_COLUMN_DATA},
        {"tcache.count", "", CW_COLUMN_DATA},
        {"tcache.bytes", "", CW_COLUMN_DATA},
        {"fastbin.count", "", CW_COLUMN_DATA},
        {"fastbin.bytes", "", CW_COLUMN_DATA},
        {"binned.count", "", CW_COLUMN_DATA},
        {"binned.bytes", "", CW_COLUMN_DATA},
        {"top.count", "", CW_COLUMN_DATA},
        {"top.bytes", "", CW_COLUMN_DATA},
        {"mmapped.count", "", CW_COLUMN_DATA},
        {"mmapped.bytes", "", CW_COLUMN_DATA},
        {"unknown.count", "", CW_COLUMN_DATA},
        {"unknown.bytes", "", CW_COLUMN_DATA},
        {"overhead_bytes", "", CW_COLUMN_DATA},
        {"system_bytes", "", CW_COLUMN_DATA},
        {"mmapped_cached.count", "", CW_COLUMN_DATA},
        {"mmapped_cached.bytes", "", CW_COLUMN_DATA},
    };
    static const enum cw_chunk_state states[] = {CW_CHUNK_USED,
                                                 CW_CHUNK_TCACHE,
                                                 CW_CHUNK_FASTBIN,
                                                 CW_CHUNK_BINNED,
                                                 CW_CHUNK_TOP,
                                                 CW_CHUNK_MMAPPED,
                                                 CW_CHUNK_UNKNOWN};
    struct cw_cell cells[sizeof columns / sizeof columns[0]];
    size_t cell = 0;
    cells[cell++] = cw_cell_text(heap->allocator);
    const struct cw_tally cached = cached_mappings(heap);
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        struct cw_tally tally = tally_of(heap, states[i], &cached);
        bool is_absent = states[i] == CW_CHUNK_UNKNOWN && tally.count == 0;
        cells[cell++] = is_absent ? cw_cell_absent() : cw_cell_count(tally.count);
        cells[cell++] = is_absent ? cw_cell_absent() : cw_cell_bytes(tally.bytes);
    }
    uint64_t gap_bytes;
    uint64_t system_bytes;
    sum_arenas(heap, &gap_bytes, &system_bytes);
    cells[cell++] = cw_cell_bytes(heap->by_state[CW_CHUNK_INTERNAL].bytes + gap_bytes);
    cells[cell++] = cw_cell_bytes(system_bytes);
    cells[cell++] = cached.count == 0 ? cw_cell_absent() : cw_cell_count(cached.count);
    cells[cell++] = cached.count == 0 ? cw_cell_absent() : cw_cell_bytes(cached.bytes);
    struct cw_report_section *section =
        cw_report_add(report, CW_SECTION_FIELDS, "heap", NULL, COLUMNS(columns));
    cw_report_add_row(report, section, cells);
}

/* Says what the rows that people do not see amount to. */
static const char *rest_of_arenas(const struct cw_heap_arena *arenas,
                                  size_t count,
                                  struct cw_report *report)
{
    char size[CW_SIZE_TEXT];
    uint64_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        bytes += arenas[i].system_bytes;
    }
    return cw_report_printf(
        report, "%zu more arena%s: %s.", count, count == 1 ? "" : "s", cw_text_size(bytes, size));
}

/* What the program holds, or has freed, that no arena's sums contain. */
static const char *beside_arenas(const struct cw_heap *heap, struct cw_report *report)
{
    char size[CW_SIZE_TEXT];
    char count[CW_COUNT_TEXT];
    const struct cw_tally cached = cached_mappings(heap);
    const struct cw_tally mapped = tally_of(heap, CW_CHUNK_MMAPPED, &cached);
    if (mapped.count == 0) {
        return "";
    }
    const char *text = cw_report_printf(report,
                                        "Beside the arenas: %s in %s mapping%s of %s own",
                                        cw_text_size(mapped.bytes, size),
                                        cw_text_count(mapped.count, count),
                                        mapped.count == 1 ? "" : "s",
                                        mapped.count == 1 ? "its" : "their");
    return cached.count == 0
               ? cw_report_printf(report, "%s.", text)
               : cw_report_printf(report,
                                  "%s, of which %s in %s are freed, in thread caches.",
                                  text,
                                  cw_text_size(cached.bytes, size),
                                  cw_text_count(cached.count, count));
}

static int compare_arenas(const void *left, const void *right)
{
    const struct cw_heap_arena *a = left;
    const struct cw_heap_arena *b = right;
    if (a->system_bytes != b->system_bytes) {
        return a->system_bytes > b->system_bytes ? -1 : 1;
    }
    return a->address < b->address ? -1 : a->address > b->address;
}

/* With one copy of malloc in the process everybody knows whose the main arena is. */
static bool has_several_mains(const struct cw_heap *heap)
{
    unsigned count = 0;
    for (size_t i = 0; i < heap->arena_count; i++) {
        count += heap->arenas[i].kind == CW_ARENA_MAIN ? 1 : 0;
    }
    return count > 1;
}

static void add_arena(struct cw_report *report,
                      struct cw_report_section *section,
                      const struct cw_heap_arena *arena,
                      bool names_module)
{
    const struct cw_tally *tallies = arena->by_state;
    struct cw_cell module = arena->module == NULL ? cw_cell_absent() : cw_cell_text(arena->module);
    cw_report_add_row(
        report,
        section,
        (struct cw_cell[]){
            cw_cell_bytes(arena->system_bytes),
            cw_cell_bytes(tallies[CW_CHUNK_USED].bytes),
            cw_cell_count(tallies[CW_CHUNK_USED].count),
            cw_cell_bytes(tallies[CW_CHUNK_TCACHE].bytes + tallies[CW_CHUNK_FASTBIN].bytes +
                          tallies[CW_CHUNK_BINNED].bytes + tallies[CW_CHUNK_TOP].bytes),
            cw_cell_bytes(tallies[CW_CHUNK_TCACHE].bytes),
            cw_cell_count(tallies[CW_CHUNK_TCACHE].count),
            cw_cell_bytes(tallies[CW_CHUNK_FASTBIN].bytes),
            cw_cell_count(tallies[CW_CHUNK_FASTBIN].count),
            cw_cell_bytes(tallies[CW_CHUNK_BINNED].bytes),
            cw_cell_count(tallies[CW_CHUNK_BINNED].count),
            cw_cell_bytes(tallies[CW_CHUNK_TOP].bytes),
            cw_cell_count(arena->heap_count),
            cw_cell_text(arena->kind == CW_ARENA_MAIN ? "main" : "thread"),
            cw_cell_address(arena->address),
            module,
            names_module ? module : cw_cell_absent(),
        });
}

struct cw_report_section *cw_section_arenas(const struct cw_heap *heap,
                                            size_t row_limit,
                                            struct cw_report *report)
{
    static const struct cw_report_column columns[] = {
        {"system_bytes", "system", 0},
        {"used.bytes", "used", 0},
        {"used.count", "chunks", 0},
        {"", "free", CW_COLUMN_HUMAN},
        {"tcache.bytes", "", CW_COLUMN_DATA},
        {"tcache.count", "", CW_COLUMN_DATA},
        {"fastbin.bytes", "", CW_COLUMN_DATA},
        {"fastbin.count", "", CW_COLUMN_DATA},
        {"binned.bytes", "", CW_COLUMN_DATA},
        {"binned.count", "", CW_COLUMN_DATA},
        {"top_bytes", "", CW_COLUMN_DATA},
        {"heap_count", "heaps", 0},
        {"kind", "arena", 0},
        {"address", "at", 0},
        {"module", "", CW_COLUMN_DATA},
        {"", "in", CW_COLUMN_HUMAN | CW_COLUMN_CUT},
    };
    struct cw_report_section *section =
        cw_report_add(report, CW_SECTION_TABLE, "heap.arenas", "Arenas", COLUMNS(columns));
    section->empty_text = "No arena was found.";
    section->shown_row_limit = row_limit;
    struct cw_heap_arena *arenas =
        cw_arena_alloc_array(report->arena, heap->arena_count, sizeof *arenas);
    if (arenas == NULL || heap->arena_count == 0) {
        report->failed |= arenas == NULL;
        return section;
    }
    memcpy(arenas, heap->arenas, heap->arena_count * sizeof *arenas);
    qsort(arenas, heap->arena_count, sizeof *arenas, compare_arenas);
    bool names_module = has_several_mains(heap);
    for (uint32_t i = 0; i < heap->arena_count; i++) {
        add_arena(report, section, &arenas[i], names_module);
    }
    size_t shown = cw_report_shown_row_count(section);
    const char *beside = beside_arenas(heap, report);
    if (shown < heap->arena_count) {
        const char *rest = rest_of_arenas(arenas + shown, heap->arena_count - shown, report);
        section->note =
            cw_report_printf(report, "%s%s%s", rest, *beside != '\0' ? " " : "", beside);
    } else if (*beside != '\0') {
        section->note = beside;
    }
    return section;
}

void cw_section_heap(const struct cw_analysis_input *input, struct cw_report *report)
{
    if (input->heap != NULL && input->heap->allocator != NULL) {
        add_heap_sums(input->heap, report);
        cw_section_arenas(input->heap, PAGE_ARENAS, report)->hidden = input->heap->arena_count < 2;
    }
}
