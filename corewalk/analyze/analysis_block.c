/*
 * Verb `block`: everything about one address. Words that point somewhere are shown with where;
 * other words are memory content, and are shown as what they look like unless --show-content
 * asks for the values.
 */
#include <inttypes.h>
#include <string.h>

#include "analyze/filter.h"
#include "analyze/request.h"
#include "analyze/sections.h"
#include "analyze/where.h"
#include "base/text.h"
#include "heap/foreign.h"

#define COLUMNS(array) array, sizeof(array) / sizeof(array)[0]

enum {
    DEFAULT_WORDS = 16,
    MOST_WORDS = 65536,
};

static const char *provenance_text(const struct cw_region *region)
{
    static const char *const texts[] = {
        [CW_HELD] = "in the core",
        [CW_FROM_FILE] = "taken from the module's file",
        [CW_NOT_DUMPED] = "not dumped: its content is unknown",
        [CW_TRUNCATED] = "cut off the core: its content is unknown",
    };
    return texts[region->provenance];
}

static const char *protection_text(const struct cw_region *region, struct cw_report *report)
{
    return cw_report_printf(report,
                            "%c%c%c",
                            region->protection & CW_PROT_READ ? 'r' : '-',
                            region->protection & CW_PROT_WRITE ? 'w' : '-',
                            region->protection & CW_PROT_EXEC ? 'x' : '-');
}

static void add_chunk(const struct cw_analysis_input *input,
                      cw_addr address,
                      const struct cw_where *where,
                      struct cw_report *report)
{
    static const struct cw_report_column columns[] = {
        {"address", "address", 0},
        {"belongs_to", "belongs to", CW_COLUMN_WRAP},
        {"place", "", CW_COLUMN_DATA},
        {"chunk_start", "chunk starts", 0},
        {"user_address", "malloc gave", 0},
        {"state", "state", 0},
        {"bytes", "size", CW_COLUMN_EXACT},
        {"usable_bytes", "usable", CW_COLUMN_EXACT},
        {"arena", "arena", 0},
        {"name", "name", CW_COLUMN_WRAP},
        {"kind", "", CW_COLUMN_DATA},
        {"confidence", "confidence", 0},
        {"evidence", "evidence", CW_COLUMN_WRAP},
    };
    struct cw_chunk chunk = cw_chunk_table_get(&input->heap->chunks, where->chunk_index);
    const struct cw_population *population =
        cw_classification_of(input->classification, chunk.index);
    const struct cw_extent *extent = &input->heap->chunks.extents[chunk.extent_index];
    char arena[CW_ARENA_TEXT];
    struct cw_cell arena_cell = cw_arena_cell(input->heap, extent->arena_index, arena);
    if (arena_cell.unit == CW_UNIT_TEXT) {
        arena_cell.text = cw_report_printf(report, "%s", arena_cell.text);
    }
    struct cw_cell absent = cw_cell_absent();
    struct cw_report_section *section =
        cw_report_add(report, CW_SECTION_FIELDS, "block", NULL, COLUMNS(columns));
    cw_report_add_row(
        report,
        section,
        (struct cw_cell[]){
            cw_cell_address(address),
            cw_cell_text(cw_report_printf(report, "%s", where->text)),
            cw_cell_text(cw_place_name(where->place)),
            cw_cell_address(chunk.start),
            cw_cell_address(cw_heap_user_address(input->heap, &chunk)),
            cw_cell_text(cw_chunk_state_name(chunk.state)),
            cw_cell_bytes(chunk.size_bytes),
            cw_cell_bytes(cw_heap_usable_bytes(input->heap, &chunk)),
            arena_cell,
            population != NULL ? cw_cell_text(population->name) : absent,
            population != NULL ? cw_cell_text(cw_population_kind_name(population->kind)) : absent,
            population != NULL ? cw_cell_text(cw_confidence_name(population->confidence)) : absent,
            population != NULL ? cw_cell_text(population->evidence) : absent,
        });
}

/* The other allocator whose memory it is, as far as that is proved; NULL: none is known. */
static enum cw_status find_owner(const struct cw_analysis_input *input,
                                 cw_addr address,
                                 const struct cw_where *where,
                                 const struct cw_foreign_range **ret_owner,
                                 struct cw_error *err)
{
    struct cw_foreign foreign;
    *ret_owner = NULL;
    /* Goroutines run on stacks in Go's heap. */
    if (where->place != CW_PLACE_ANONYMOUS && where->place != CW_PLACE_STACK) {
        return CW_OK;
    }
    if (!cw_foreign_find(input->space, input->image, input->memory, &foreign)) {
        return cw_error_set_memory(err, "the memory of other allocators");
    }
    *ret_owner = cw_foreign_at(&foreign, address);
    return CW_OK;
}

static const char *place_text(const struct cw_where *where,
                              const struct cw_foreign_range *owner,
                              struct cw_report *report)
{
    if (where->place == CW_PLACE_UNMAPPED) {
        return "nothing: the process had no memory at this address";
    }
    return owner == NULL ? cw_report_printf(report, "%s", where->text)
                         : cw_report_printf(report,
                                            "%s; its blocks are not looked into",
                                            cw_foreign_label(owner->kind));
}

static void add_place(cw_addr address,
                      const struct cw_where *where,
                      const struct cw_foreign_range *owner,
                      struct cw_report *report)
{
    static const struct cw_report_column columns[] = {
        {"address", "address", 0},
        {"belongs_to", "belongs to", CW_COLUMN_WRAP},
        {"place", "", CW_COLUMN_DATA},
        {"mapping_start", "mapping", 0},
        {"mapping_bytes", "size", CW_COLUMN_EXACT},
        {"protection", "protection", 0},
        {"content", "content", CW_COLUMN_WRAP},
        {"owner", "", CW_COLUMN_DATA},
    };
    const struct cw_region *region = where->region;
    struct cw_cell absent = cw_cell_absent();
    struct cw_report_section *section =
        cw_report_add(report, CW_SECTION_FIELDS, "block", NULL, COLUMNS(columns));
    cw_report_add_row(report,
                      section,
                      (struct cw_cell[]){
                          cw_cell_address(address),
                          cw_cell_text(place_text(where, owner, report)),
                          cw_cell_text(cw_place_name(where->place)),
                          region != NULL ? cw_cell_address(region->start) : absent,
                          region != NULL ? cw_cell_bytes(region->size_bytes) : absent,
                          region != NULL ? cw_cell_text(protection_text(region, report)) : absent,
                          region != NULL ? cw_cell_text(provenance_text(region)) : absent,
                          owner != NULL ? cw_cell_text(cw_foreign_owner(owner->kind)) : absent,
                      });
}

static void add_neighbour(const struct cw_analysis_input *input,
                          struct cw_report *report,
                          struct cw_report_section *section,
                          const char *side,
                          uint32_t index)
{
    struct cw_chunk chunk = cw_chunk_table_get(&input->heap->chunks, index);
    const struct cw_population *population = cw_classification_of(input->classification, index);
    cw_report_add_row(report,
                      section,
                      (struct cw_cell[]){
                          cw_cell_text(side),
                          cw_cell_address(cw_heap_user_address(input->heap, &chunk)),
                          cw_cell_bytes(chunk.size_bytes),
                          cw_cell_text(cw_chunk_state_name(chunk.state)),
                          population != NULL ? cw_cell_text(population->name) : cw_cell_absent(),
                      });
}

static void add_neighbours(const struct cw_analysis_input *input,
                           uint32_t index,
                           struct cw_report *report)
{
    static const struct cw_report_column columns[] = {
        {"side", "", 0},
        {"address", "address", 0},
        {"bytes", "bytes", CW_COLUMN_EXACT},
        {"state", "state", 0},
        {"name", "name", CW_COLUMN_CUT},
    };
    const struct cw_extent *extent = cw_chunk_table_extent_of(&input->heap->chunks, index);
    struct cw_report_section *section =
        cw_report_add(report, CW_SECTION_TABLE, "block.neighbours", "Neighbours", COLUMNS(columns));
    if (index > extent->first_chunk) {
        add_neighbour(input, report, section, "before", index - 1);
    }
    if (index + 1 < extent->first_chunk + extent->chunk_count) {
        add_neighbour(input, report, section, "behind", index + 1);
    }
}

struct word_table {
    struct cw_report_section *section;
    bool shows_content;
    cw_addr origin; /* offsets count from here */
};

static void add_word(const struct cw_analysis_input *input,
                     const struct word_table *table,
                     cw_addr address,
                     struct cw_report *report)
{
    uint64_t word;
    unsigned word_bytes = input->space->word_bytes;
    struct cw_cell value = cw_cell_absent();
    struct cw_cell meaning = cw_cell_text("not in the core");
    if (cw_space_read_word(input->space, address, &word)) {
        struct cw_where where = cw_where_is(input, cw_space_pointer(input->space, word));
        bool is_pointer = where.place != CW_PLACE_UNMAPPED;
        if (is_pointer || table->shows_content) {
            value = cw_cell_address(word);
        }
        meaning = cw_cell_text(is_pointer ? cw_report_printf(report, "%s", where.text)
                                          : cw_word_kind(word, word_bytes));
    }
    const char *offset = address >= table->origin
                             ? cw_report_printf(report, "+0x%" PRIx64, address - table->origin)
                             : cw_report_printf(report, "-0x%" PRIx64, table->origin - address);
    cw_report_add_row(
        report, table->section, (struct cw_cell[]){cw_cell_text(offset), value, meaning});
}

static void add_words(const struct cw_analysis_input *input,
                      cw_addr start,
                      uint64_t bytes,
                      struct cw_report *report)
{
    static const struct cw_report_column columns[] = {
        {"offset", "offset", 0},
        {"value", "value", 0},
        {"meaning", "what it is", CW_COLUMN_CUT},
    };
    uint64_t limit = cw_request_count(input->request, "words", DEFAULT_WORDS);
    uint64_t available = bytes / input->space->word_bytes;
    uint64_t count = cw_min(cw_min(limit, available), MOST_WORDS);
    struct word_table table = {
        .section =
            cw_report_add(report, CW_SECTION_TABLE, "block.words", "Words", COLUMNS(columns)),
        .shows_content = cw_request_setting(input->request, "show-content") != NULL,
        .origin = start,
    };
    for (uint64_t i = 0; i < count; i++) {
        cw_addr address = start + i * input->space->word_bytes;
        add_word(input, &table, address, report);
    }
    if (count < available) {
        char more[CW_COUNT_TEXT];
        table.section->note = cw_report_printf(
            report, "%s more words; --words N shows more.", cw_text_count(available - count, more));
    }
}

static enum cw_status report_block(const struct cw_analysis_input *input,
                                   struct cw_report *report,
                                   struct cw_error *err)
{
    cw_addr address;
    if (!cw_text_parse_address(input->request->argument, &address)) {
        return cw_error_set(err, CW_ERROR_ARGUMENT, "block: not an address");
    }
    address = cw_space_pointer(input->space, address);
    struct cw_where where = cw_where_is(input, address);
    cw_section_identity(input, report);
    if (where.place == CW_PLACE_CHUNK) {
        struct cw_chunk chunk = cw_chunk_table_get(&input->heap->chunks, where.chunk_index);
        add_chunk(input, address, &where, report);
        add_neighbours(input, where.chunk_index, report);
        add_words(input,
                  cw_heap_user_address(input->heap, &chunk),
                  cw_heap_usable_bytes(input->heap, &chunk),
                  report);
        return CW_OK;
    }
    const struct cw_foreign_range *owner;
    enum cw_status status = find_owner(input, address, &where, &owner, err);
    if (status != CW_OK) {
        return status;
    }
    if (owner != NULL) {
        where.place = CW_PLACE_ANONYMOUS;
    }
    add_place(address, &where, owner, report);
    if (where.region != NULL) {
        cw_addr start = cw_align_down(address, input->space->word_bytes);
        uint64_t left = where.region->size_bytes - (start - where.region->start);
        add_words(input, start, left, report);
    }
    return CW_OK;
}

static const struct corewalk_option options[] = {
    {"words", "show at most this many words (default 16)", "N", COREWALK_VALUE_COUNT, NULL},
    {"show-content",
     "also show the values of words that are no pointers (private data!)",
     NULL,
     COREWALK_VALUE_NONE,
     NULL},
};

const struct cw_analysis cw_analysis_block = {
    .verb =
        {
            .name = "block",
            .summary = "what an address belongs to, and what it holds",
            .description =
                "Takes any address, also one inside a block, on a stack or in a module, and says "
                "what it belongs to. For a chunk it shows state, size, name with evidence, the "
                "neighbours, and what each word points to. Values that are no pointers are "
                "memory content and stay hidden unless --show-content asks for them.",
            .argument = "ADDRESS",
            .argument_kind = COREWALK_VALUE_ADDRESS,
            .options = options,
            .option_count = sizeof options / sizeof options[0],
        },
    .stage = CW_STAGE_CLASSIFY,
    .report = report_block,
};
