/*
 * Reports of damage, and the checks of chunks.
 *
 *   chunk                              next
 *   |prev_size|size|  … content …      |prev_size|size & PREV_INUSE|
 *                                       footer of a free chunk
 */
#include "heap/glibc_check.h"

#include <stdio.h>

enum { MOST_OF_A_KIND = 20 };

/* ---- reports ------------------------------------------------------------------------------- */

static uint64_t count_damage(const struct glibc_copies *copies, enum cw_damage damage)
{
    uint64_t count = 0;
    for (size_t i = 0; i < copies->count; i++) {
        count += copies->items[i].damage_counts[damage];
    }
    return count;
}

void glibc_report(struct glibc *glibc,
                  enum cw_damage damage,
                  cw_addr address,
                  cw_addr culprit,
                  const char *format,
                  ...)
{
    glibc->damage_counts[damage]++;
    if (count_damage(glibc->copies, damage) > MOST_OF_A_KIND) {
        return;
    }
    const struct cw_damage_kind *kind = cw_damage_kind_of(damage);
    struct cw_note note = {
        .code = kind->code, .severity = kind->severity, .address = address, .culprit = culprit};
    va_list arguments;
    va_start(arguments, format);
    cw_note_add_list(glibc->builder->findings, &note, format, arguments);
    va_end(arguments);
}

void glibc_report_rest(const struct glibc_copies *copies)
{
    for (unsigned damage = 0; damage < CW_DAMAGE_KIND_COUNT; damage++) {
        uint64_t count = count_damage(copies, damage);
        if (count > MOST_OF_A_KIND) {
            const struct cw_damage_kind *kind = cw_damage_kind_of((enum cw_damage)damage);
            cw_note_add(copies->items[0].builder->findings,
                        kind->severity,
                        kind->code,
                        0,
                        "and %" PRIu64 " more of this kind: %s",
                        count - MOST_OF_A_KIND,
                        kind->title);
        }
    }
}

void glibc_excuse_sums(const struct glibc_copies *copies)
{
    const struct cw_heap_builder *builder = copies->items[0].builder;
    struct cw_notes *findings = builder->findings;
    if (cw_notes_serious(findings) != count_damage(copies, CW_DAMAGE_ARENA_SUM)) {
        return;
    }
    for (size_t i = 0; i < findings->items.count; i++) {
        struct cw_note *note = cw_note_at(findings, i);
        for (size_t k = 0; k < builder->arenas.count; k++) {
            const struct cw_heap_arena *arena = cw_vector_at(&builder->arenas, k);
            uint64_t found = arena->gap_bytes;
            for (unsigned state = 0; state < CW_CHUNK_STATE_COUNT; state++) {
                found += arena->by_state[state].bytes;
            }
            if (note->address == arena->address && found < arena->system_bytes) {
                note->severity = CW_INFO;
            }
        }
    }
}

void glibc_report_abort(struct glibc *glibc)
{
    const struct cw_image *image = glibc->builder->image;
    char text[400];
    if (image != NULL && cw_image_abort_message(image, text, sizeof text) &&
        cw_damage_is_heap_text(text)) {
        glibc_report(glibc,
                     CW_DAMAGE_LIBC_ABORT,
                     0,
                     0,
                     "a check of malloc has ended the process: \"%.300s\"",
                     text);
    }
}

const char *glibc_block_text(const struct glibc *glibc, cw_addr address, char *buffer)
{
    const struct cw_chunk_table *table = &glibc->builder->heap->chunks;
    uint32_t index = cw_chunk_table_find(table, address);
    buffer[0] = '\0';
    if (index != CW_NONE) {
        struct cw_chunk chunk = cw_chunk_table_get(table, index);
        snprintf(buffer,
                 GLIBC_BLOCK_TEXT,
                 "0x%" PRIx64 " (%" PRIu64 " bytes)",
                 cw_heap_user_address(glibc->builder->heap, &chunk),
                 chunk.size_bytes);
    }
    return buffer;
}

void glibc_report_twice(struct glibc *glibc, cw_addr chunk, const char *where)
{
    cw_addr user = chunk + glibc->header_bytes;
    char text[GLIBC_BLOCK_TEXT];
    glibc_report(glibc,
                 CW_DAMAGE_DOUBLE_FREE,
                 user,
                 user,
                 "the block at %s is %s: it was freed twice",
                 glibc_block_text(glibc, chunk, text),
                 where);
}

const char *glibc_link_text(const struct glibc *glibc, uint64_t link, char *buffer)
{
    if (cw_space_find(glibc->space, link) != NULL) {
        snprintf(buffer, GLIBC_LINK_TEXT, "0x%" PRIx64, link);
    } else {
        snprintf(buffer, GLIBC_LINK_TEXT, "no address of the process");
    }
    return buffer;
}

bool glibc_is_damaged(const struct glibc *glibc, cw_addr chunk)
{
    for (size_t i = 0; i < glibc->breaks.count; i++) {
        const struct glibc_break *damage = cw_vector_at(&glibc->breaks, i);
        if (damage->chunk == chunk) {
            return true;
        }
    }
    return false;
}

static void report_break(struct glibc *glibc, const struct glibc_break *damage)
{
    const struct cw_chunk_table *table = &glibc->builder->heap->chunks;
    uint32_t index = cw_chunk_table_find(table, damage->chunk);
    uint64_t unknown_bytes = index != CW_NONE ? cw_chunk_table_get(table, index).size_bytes : 0;
    char text[GLIBC_BLOCK_TEXT];
    cw_addr user = damage->before != 0 ? damage->before + glibc->header_bytes : 0;
    const char *before = damage->before != 0 ? glibc_block_text(glibc, damage->before, text) : "";
    glibc_report(glibc,
                 CW_DAMAGE_CHUNK_SIZE,
                 damage->chunk,
                 user,
                 "the size of the chunk at 0x%" PRIx64 " is %s; what the %" PRIu64
                 " bytes from there on hold is unknown%s%s%s",
                 damage->chunk,
                 damage->is_plausible ? "wrong" : "impossible",
                 unknown_bytes,
                 before[0] != '\0' ? "; the block before it, at " : "",
                 before,
                 before[0] != '\0' ? ", has likely been written beyond its end" : "");
}

void glibc_report_breaks(struct glibc *glibc)
{
    for (size_t i = 0; i < glibc->breaks.count; i++) {
        report_break(glibc, cw_vector_at(&glibc->breaks, i));
    }
}

/* As glibc's bin_index() does; the three variants differ in how many bins are 64 bytes apart. */
unsigned glibc_bin_of(const struct glibc *glibc, uint64_t chunk_bytes)
{
    bool is_narrow = glibc->alignment == 8;
    bool is_shifted = glibc->word_bytes == 4 && !is_narrow; /* i386 from 2.26 on */
    uint64_t width = is_narrow ? 8 : 16;
    uint64_t small_limit = (is_shifted ? 63 : 64) * width;
    if (chunk_bytes < small_limit) {
        return (unsigned)(chunk_bytes / width) + (is_shifted ? 1 : 0);
    }
    uint64_t base = is_narrow ? 56 : is_shifted ? 49 : 48;
    uint64_t most = is_narrow ? 38 : is_shifted ? 45 : 48;
    if (chunk_bytes >> 6 <= most) {
        return (unsigned)(base + (chunk_bytes >> 6));
    }
    static const struct {
        uint8_t shift;
        uint8_t most;
        uint8_t base;
    } steps[] = {{9, 20, 91}, {12, 10, 110}, {15, 4, 119}, {18, 2, 124}};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        if (chunk_bytes >> steps[i].shift <= steps[i].most) {
            return steps[i].base + (unsigned)(chunk_bytes >> steps[i].shift);
        }
    }
    return 126;
}

/* ---- chunks -------------------------------------------------------------------------------- */

struct checker {
    struct glibc *glibc;
    const struct cw_chunk_table *table;
    struct glibc_window window;
    uint8_t *states;
};

/* The chunk is free to its successor, but repeats another size at its end. */
static void report_footer(struct checker *checker, const struct cw_chunk *chunk)
{
    struct glibc *glibc = checker->glibc;
    cw_addr next = chunk->start + chunk->size_bytes;
    cw_addr user = chunk->start + glibc->header_bytes;
    if (chunk->state == CW_CHUNK_UNKNOWN) {
        checker->states[chunk->index] = CW_CHUNK_USED;
        if (checker->states[chunk->index + 1] == CW_CHUNK_TOP) {
            return; /* a top that says so is damaged itself, and told of elsewhere */
        }
        glibc_report(glibc,
                     CW_DAMAGE_PREV_INUSE,
                     next,
                     user,
                     "the header at 0x%" PRIx64 " says that the block before it, at 0x%" PRIx64
                     " (%" PRIu64 " bytes), is free, which it is not: that block has likely been "
                     "written one byte beyond its end",
                     next,
                     user,
                     chunk->size_bytes);
        return;
    }
    glibc_report(glibc,
                 CW_DAMAGE_FOOTER,
                 chunk->start,
                 user,
                 "the free chunk at 0x%" PRIx64 " has %" PRIu64
                 " bytes, but a different size at its end: the block at 0x%" PRIx64
                 " has likely been written to after it was freed",
                 chunk->start,
                 chunk->size_bytes,
                 user);
}

static void check_flag(struct checker *checker, const struct cw_chunk *chunk, uint64_t size_word)
{
    struct glibc *glibc = checker->glibc;
    const struct cw_extent *extent = &checker->table->extents[chunk->extent_index];
    bool is_held = chunk->state == CW_CHUNK_USED || chunk->state == CW_CHUNK_TCACHE ||
                   chunk->state == CW_CHUNK_FASTBIN;
    if (!is_held || !glibc_has_arena(glibc, extent->arena_index) ||
        glibc_arena_at(glibc, extent->arena_index - glibc->first_arena)->is_main ||
        (size_word & GLIBC_NON_MAIN) != 0) {
        return;
    }
    char before[GLIBC_BLOCK_TEXT];
    cw_addr culprit = glibc_chunk_before(glibc, chunk->start);
    glibc_block_text(glibc, culprit, before);
    glibc_report(glibc,
                 CW_DAMAGE_ARENA_FLAG,
                 chunk->start,
                 culprit != 0 ? culprit + glibc->header_bytes : 0,
                 "the chunk at 0x%" PRIx64
                 " lies in a thread arena, but its header claims the main one%s%s%s",
                 chunk->start,
                 before[0] != '\0' ? "; the block before it, at " : "",
                 before,
                 before[0] != '\0' ? ", has likely been written beyond its end" : "");
}

static void check_chunk(struct checker *checker, const struct cw_chunk *chunk)
{
    struct glibc *glibc = checker->glibc;
    cw_addr next = chunk->start + chunk->size_bytes;
    uint64_t size_word;
    uint64_t next_word;
    uint64_t footer;
    if (!glibc_peek(&checker->window, chunk->start + glibc->word_bytes, &size_word) ||
        !glibc_peek(&checker->window, next + glibc->word_bytes, &next_word) ||
        !glibc_peek(&checker->window, next, &footer) ||
        glibc_chunk_bytes(size_word) != chunk->size_bytes) {
        return; /* already told, or missing */
    }
    if (glibc_is_damaged(glibc, chunk->start) || glibc_is_damaged(glibc, next)) {
        return;
    }
    check_flag(checker, chunk, size_word);
    bool is_free = chunk->state == CW_CHUNK_BINNED || chunk->state == CW_CHUNK_UNKNOWN;
    if (!is_free || (next_word & GLIBC_PREV_INUSE) != 0) {
        return;
    }
    if (footer != chunk->size_bytes) {
        report_footer(checker, chunk);
    } else if ((size_word & GLIBC_PREV_INUSE) == 0) {
        glibc_report(glibc,
                     CW_DAMAGE_FREE_NEIGHBOURS,
                     chunk->start,
                     0,
                     "the chunk at 0x%" PRIx64 " (%" PRIu64
                     " bytes) and the one before it are both free, but were not joined",
                     chunk->start,
                     chunk->size_bytes);
    }
}

static void check_range(struct checker *checker, const struct glibc_suspect *suspect)
{
    const struct cw_chunk_table *table = checker->table;
    uint32_t index = cw_chunk_table_find(table, suspect->start);
    for (; index != CW_NONE && index < table->chunk_count; index++) {
        struct cw_chunk chunk = cw_chunk_table_get(table, index);
        const struct cw_extent *extent = &table->extents[chunk.extent_index];
        if (chunk.start >= suspect->end) {
            return;
        }
        if (index + 1 < extent->first_chunk + extent->chunk_count) {
            check_chunk(checker, &chunk);
        }
    }
}

/* Of each arena's oldest memory: what lies before its first chunk is not free. */
static void check_first(struct checker *checker, const struct glibc_span *span)
{
    struct glibc *glibc = checker->glibc;
    uint64_t size_word;
    if (glibc_chunk_at(glibc, span->start) == CW_NONE ||
        !glibc_peek(&checker->window, span->start + glibc->word_bytes, &size_word) ||
        (size_word & GLIBC_PREV_INUSE) != 0) {
        return;
    }
    glibc_report(glibc,
                 CW_DAMAGE_FIRST_CHUNK,
                 span->start,
                 0,
                 "the first chunk of a heap, at 0x%" PRIx64
                 ", says that a free chunk lies before it: its size was overwritten",
                 span->start);
}

void glibc_check_chunks(struct glibc *glibc)
{
    struct checker checker = {
        .glibc = glibc,
        .table = &glibc->builder->heap->chunks,
        .window = {.space = glibc->space},
        .states = glibc_states(glibc),
    };
    for (size_t i = 0; i < glibc->suspects.count; i++) {
        check_range(&checker, cw_vector_at(&glibc->suspects, i));
    }
    for (size_t i = 0; i < glibc->spans.count; i++) {
        check_first(&checker, glibc_span_at(glibc, i));
    }
}
