/* Verb `histogram`: the heap's chunks by name, size, arena or state. */
#include <stdlib.h>
#include <string.h>

#include "analyze/request.h"
#include "analyze/sections.h"
#include "base/map.h"

#define COLUMNS(array) array, sizeof(array) / sizeof(array)[0]

/* Sizes below this are counted in an array, the rare larger ones in a map. */
#define SMALL_SIZE_LIMIT ((uint64_t)64 << 10)

struct size_row {
    uint64_t chunk_bytes;
    uint64_t count;
};

struct size_counts {
    uint64_t *small; /* by size >> granule_shift */
    struct cw_map large;
};

static bool count_chunk(struct size_counts *counts, unsigned shift, uint64_t bytes)
{
    if (bytes < SMALL_SIZE_LIMIT) {
        counts->small[bytes >> shift]++;
        return true;
    }
    uint64_t *count = cw_map_insert(&counts->large, bytes, NULL);
    if (count == NULL) {
        return false;
    }
    (*count)++;
    return true;
}

static bool count_sizes(const struct cw_chunk_table *table, struct size_counts *counts)
{
    for (uint32_t i = 0; i < table->extent_count; i++) {
        const struct cw_extent *extent = &table->extents[i];
        for (uint32_t k = 0; k < extent->chunk_count; k++) {
            uint32_t index = extent->first_chunk + k;
            if (cw_chunk_state_is_held(cw_chunk_table_state(table, index)) &&
                !count_chunk(
                    counts, table->granule_shift, cw_chunk_table_size(table, extent, index))) {
                return false;
            }
        }
    }
    return true;
}

static int compare_size_rows(const void *left, const void *right)
{
    const struct size_row *a = left;
    const struct size_row *b = right;
    uint64_t a_bytes = a->chunk_bytes * a->count;
    uint64_t b_bytes = b->chunk_bytes * b->count;
    if (a_bytes != b_bytes) {
        return a_bytes > b_bytes ? -1 : 1;
    }
    return a->chunk_bytes < b->chunk_bytes ? -1 : a->chunk_bytes > b->chunk_bytes;
}

static bool gather_rows(const struct size_counts *counts, unsigned shift, struct cw_vector *rows)
{
    bool gathered = true;
    for (uint64_t i = 0; i < SMALL_SIZE_LIMIT >> shift && gathered; i++) {
        struct size_row row = {i << shift, counts->small[i]};
        gathered = row.count == 0 || cw_vector_append(rows, &row);
    }
    for (size_t i = 0; i < counts->large.capacity && gathered; i++) {
        struct size_row row = {counts->large.slots[i].key, counts->large.slots[i].value};
        gathered = !counts->large.filled[i] || cw_vector_append(rows, &row);
    }
    cw_vector_sort(rows, compare_size_rows);
    return gathered;
}

static void add_size_rows(const struct cw_heap *heap,
                          const struct cw_vector *rows,
                          uint64_t held_bytes,
                          size_t row_limit,
                          struct cw_report *report)
{
    static const struct cw_report_column columns[] = {
        {"bytes", "bytes", 0},
        {"", "share", CW_COLUMN_HUMAN | CW_COLUMN_BAR},
        {"count", "count", 0},
        {"chunk_bytes", "chunk size", CW_COLUMN_EXACT},
    };
    struct cw_report_section *section =
        cw_report_add(report, CW_SECTION_TABLE, "sizes", "Held chunks by size", COLUMNS(columns));
    section->empty_text = cw_section_no_chunk(heap);
    section->shown_row_limit = row_limit;
    for (size_t i = 0; i < rows->count; i++) {
        const struct size_row *row = cw_vector_at(rows, i);
        uint64_t bytes = row->chunk_bytes * row->count;
        struct cw_cell share = cw_cell_share(bytes, held_bytes);
        cw_report_add_row(report,
                          section,
                          (struct cw_cell[]){cw_cell_bytes(bytes),
                                             share,
                                             cw_cell_count(row->count),
                                             cw_cell_bytes(row->chunk_bytes)});
    }
}

static bool report_sizes(const struct cw_heap *heap, size_t row_limit, struct cw_report *report)
{
    struct cw_budget *budget = report->arena->budget;
    unsigned shift = heap->chunks.granule_shift;
    struct size_counts counts = {0};
    struct cw_vector rows;
    cw_vector_init(&rows, budget, sizeof(struct size_row));
    cw_map_init(&counts.large, budget);
    counts.small = cw_arena_alloc_array(report->arena, SMALL_SIZE_LIMIT >> shift, sizeof(uint64_t));
    bool done = counts.small != NULL && count_sizes(&heap->chunks, &counts) &&
                gather_rows(&counts, shift, &rows);
    if (done) {
        add_size_rows(heap, &rows, cw_heap_held(heap).bytes, row_limit, report);
    }
    cw_vector_deinit(&rows);
    cw_map_deinit(&counts.large);
    return done;
}

struct state_row {
    enum cw_chunk_state state;
    struct cw_tally total;
};

static int compare_state_rows(const void *left, const void *right)
{
    const struct state_row *a = left;
    const struct state_row *b = right;
    if (a->total.bytes != b->total.bytes) {
        return a->total.bytes > b->total.bytes ? -1 : 1;
    }
    return a->state < b->state ? -1 : a->state > b->state;
}

static void report_states(const struct cw_heap *heap, struct cw_report *report)
{
    static const struct cw_report_column columns[] = {
        {"bytes", "bytes", 0},
        {"", "share", CW_COLUMN_HUMAN | CW_COLUMN_BAR},
        {"count", "count", 0},
        {"state", "state", 0},
        {"", "which are", CW_COLUMN_HUMAN | CW_COLUMN_WRAP},
    };
    static const char *const meanings[CW_CHUNK_STATE_COUNT] = {
        [CW_CHUNK_UNKNOWN] = "damaged or missing",
        [CW_CHUNK_USED] = "held by the program",
        [CW_CHUNK_TCACHE] = "freed, in a thread's cache",
        [CW_CHUNK_FASTBIN] = "freed, in a fastbin",
        [CW_CHUNK_BINNED] = "free",
        [CW_CHUNK_TOP] = "free, ends an arena",
        [CW_CHUNK_MMAPPED] = "held, own mappings",
        [CW_CHUNK_INTERNAL] = "the allocator's own",
    };
    uint64_t total = 0;
    for (size_t state = 0; state < CW_CHUNK_STATE_COUNT; state++) {
        total += heap->by_state[state].bytes;
    }
    struct cw_report_section *section =
        cw_report_add(report, CW_SECTION_TABLE, "states", "Chunks by state", COLUMNS(columns));
    struct state_row rows[CW_CHUNK_STATE_COUNT];
    for (unsigned state = 0; state < CW_CHUNK_STATE_COUNT; state++) {
        rows[state] = (struct state_row){(enum cw_chunk_state)state, heap->by_state[state]};
    }
    qsort(rows, CW_CHUNK_STATE_COUNT, sizeof rows[0], compare_state_rows);
    for (size_t i = 0; i < CW_CHUNK_STATE_COUNT && rows[i].total.count > 0; i++) {
        struct cw_cell share = cw_cell_share(rows[i].total.bytes, total);
        cw_report_add_row(report,
                          section,
                          (struct cw_cell[]){cw_cell_bytes(rows[i].total.bytes),
                                             share,
                                             cw_cell_count(rows[i].total.count),
                                             cw_cell_text(cw_chunk_state_name(rows[i].state)),
                                             cw_cell_text(meanings[rows[i].state])});
    }
}

static enum cw_status report_histogram(const struct cw_analysis_input *input,
                                       struct cw_report *report,
                                       struct cw_error *err)
{
    const char *by = cw_request_setting(input->request, "by");
    size_t row_limit = cw_request_count(input->request, "limit", 0);
    cw_section_identity(input, report);
    cw_section_target(input, report);
    if (by == NULL || strcmp(by, "name") == 0) {
        cw_section_populations(input, row_limit, report);
    } else if (strcmp(by, "size") == 0) {
        if (!report_sizes(input->heap, row_limit, report)) {
            return cw_error_set_memory(err, "the histogram by size");
        }
    } else if (strcmp(by, "arena") == 0) {
        cw_section_arenas(input->heap, row_limit, report);
    } else {
        report_states(input->heap, report);
    }
    return CW_OK;
}

static const char *const by_choices[] = {"name", "size", "arena", "state", NULL};

static const struct corewalk_option options[] = {
    {"by",
     "what to group by: name (default), size, arena, state",
     "WHAT",
     COREWALK_VALUE_CHOICE,
     by_choices},
    {"limit", "show at most this many rows (JSON has all)", "N", COREWALK_VALUE_LIMIT, NULL},
};

const struct cw_analysis cw_analysis_histogram = {
    .verb =
        {
            .name = "histogram",
            .summary = "chunks summed up by name, size, arena or state",
            .description =
                "Sums up chunks, the largest sum first. By name and size it counts what the "
                "program holds; by arena and state, every chunk.",
            .options = options,
            .option_count = sizeof options / sizeof options[0],
        },
    .stage = CW_STAGE_CLASSIFY,
    .report = report_histogram,
};
