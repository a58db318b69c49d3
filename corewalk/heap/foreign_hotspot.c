/*
 * The Java heap and the code cache of HotSpot, by the table that libjvm.so exports for debuggers
 * (src/hotspot/share/runtime/vmStructs.cpp): where each field of its classes lies, and where the
 * static ones are. The table describes its own rows, so that no layout is assumed here.
 *
 *     Universe::_collectedHeap (static) -> CollectedHeap::_reserved, a MemRegion
 *     CodeCache::_low_bound, _high_bound (static)                           [V] JDK 17
 */
#include <string.h>

#include "base/checked.h"
#include "heap/foreign_finder.h"

enum {
    ROW_LIMIT = 1 << 14,
    NAME_BYTES = 64,
};

/* Columns of a row, by the suffix of the symbol that holds their offset. */
enum column {
    COLUMN_TYPE,
    COLUMN_FIELD,
    COLUMN_OFFSET,
    COLUMN_ADDRESS,
    COLUMN_COUNT,
};

struct table {
    const struct foreign_search *search;
    cw_addr start;
    uint64_t row_bytes;
    uint64_t offsets[COLUMN_COUNT];
};

/* The fields that are wanted; `is_seen` where the table has them. */
enum field {
    FIELD_HEAP,
    FIELD_RESERVED,
    FIELD_REGION_START,
    FIELD_REGION_WORDS,
    FIELD_CODE_LOW,
    FIELD_CODE_HIGH,
    FIELD_COUNT,
};

static const struct {
    const char *type;
    const char *name;
    enum column column;
} fields[FIELD_COUNT] = {
    [FIELD_HEAP] = {"Universe", "_collectedHeap", COLUMN_ADDRESS},
    [FIELD_RESERVED] = {"CollectedHeap", "_reserved", COLUMN_OFFSET},
    [FIELD_REGION_START] = {"MemRegion", "_start", COLUMN_OFFSET},
    [FIELD_REGION_WORDS] = {"MemRegion", "_word_size", COLUMN_OFFSET},
    [FIELD_CODE_LOW] = {"CodeCache", "_low_bound", COLUMN_ADDRESS},
    [FIELD_CODE_HIGH] = {"CodeCache", "_high_bound", COLUMN_ADDRESS},
};

struct values {
    bool is_seen[FIELD_COUNT];
    uint64_t value[FIELD_COUNT]; /* an address, or an offset in the class */
};

static bool read_symbol(const struct foreign_search *search, const char *name, uint64_t *ret_value)
{
    const struct cw_symbol *symbol = cw_module_symbol_named(search->module, name);
    return symbol != NULL && cw_space_read_word(search->space, symbol->start, ret_value);
}

static bool find_table(const struct foreign_search *search, struct table *ret_table)
{
    struct table table = {.search = search};
    bool found =
        read_symbol(search, "gHotSpotVMStructs", &table.start) &&
        read_symbol(search, "gHotSpotVMStructEntryArrayStride", &table.row_bytes) &&
        read_symbol(search, "gHotSpotVMStructEntryTypeNameOffset", &table.offsets[COLUMN_TYPE]) &&
        read_symbol(search, "gHotSpotVMStructEntryFieldNameOffset", &table.offsets[COLUMN_FIELD]) &&
        read_symbol(search, "gHotSpotVMStructEntryOffsetOffset", &table.offsets[COLUMN_OFFSET]) &&
        read_symbol(search, "gHotSpotVMStructEntryAddressOffset", &table.offsets[COLUMN_ADDRESS]);
    *ret_table = table;
    return found && table.row_bytes > 0;
}

static bool read_cell(const struct table *table,
                      cw_addr row,
                      enum column column,
                      uint64_t *ret_value)
{
    cw_addr address;
    return cw_add(row, table->offsets[column], &address) &&
           cw_space_read_word(table->search->space, address, ret_value);
}

static bool is_text(const struct table *table, cw_addr address, const char *expected)
{
    char text[NAME_BYTES];
    return cw_space_read_string(table->search->space, address, text, sizeof text) &&
           strcmp(text, expected) == 0;
}

static void read_row(const struct table *table, cw_addr row, cw_addr type, struct values *values)
{
    uint64_t name;
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        if (!values->is_seen[i] && is_text(table, type, fields[i].type) &&
            read_cell(table, row, COLUMN_FIELD, &name) && is_text(table, name, fields[i].name)) {
            values->is_seen[i] = read_cell(table, row, fields[i].column, &values->value[i]);
        }
    }
}

static void read_table(const struct table *table, struct values *values)
{
    cw_addr row = table->start;
    for (unsigned i = 0; i < ROW_LIMIT; i++) {
        uint64_t type;
        if (!read_cell(table, row, COLUMN_TYPE, &type) || type == 0) {
            return; /* the last row is empty */
        }
        read_row(table, row, type, values);
        if (!cw_add(row, table->row_bytes, &row)) {
            return;
        }
    }
}

static void claim_heap(struct foreign_search *search, const struct values *values)
{
    const struct cw_space *space = search->space;
    uint64_t heap;
    uint64_t region;
    uint64_t start;
    uint64_t words;
    uint64_t size;
    for (size_t i = FIELD_HEAP; i <= FIELD_REGION_WORDS; i++) {
        if (!values->is_seen[i]) {
            return;
        }
    }
    if (cw_space_read_word(space, values->value[FIELD_HEAP], &heap) &&
        cw_add(heap, values->value[FIELD_RESERVED], &region) &&
        cw_space_read_word(space, region + values->value[FIELD_REGION_START], &start) &&
        cw_space_read_word(space, region + values->value[FIELD_REGION_WORDS], &words) &&
        cw_mul(words, space->word_bytes, &size) && start % space->page_bytes == 0) {
        foreign_add(search, CW_FOREIGN_JAVA, start, size);
    }
}

static void claim_code(struct foreign_search *search, const struct values *values)
{
    uint64_t low;
    uint64_t high;
    uint64_t size;
    if (values->is_seen[FIELD_CODE_LOW] && values->is_seen[FIELD_CODE_HIGH] &&
        cw_space_read_word(search->space, values->value[FIELD_CODE_LOW], &low) &&
        cw_space_read_word(search->space, values->value[FIELD_CODE_HIGH], &high) &&
        low % search->space->page_bytes == 0 && cw_sub(high, low, &size)) {
        foreign_add(search, CW_FOREIGN_JAVA_CODE, low, size);
    }
}

void foreign_find_hotspot(struct foreign_search *search)
{
    struct table table;
    struct values values = {0};
    if (find_table(search, &table)) {
        read_table(&table, &values);
        claim_heap(search, &values);
        claim_code(search, &values);
    }
}
