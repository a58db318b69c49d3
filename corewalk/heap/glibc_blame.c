/*
 * Which header is damaged? A chain of chunks stops where no chunk can be; that place is a chunk
 * whose header was overwritten, or the inside of one, to which an overwritten size has led:
 *
 *   K | P: size impossible | … | R      P is damaged, K was written beyond its end
 *   K | L: wrong size |  stop  | R      L is damaged, of which the stop is content
 *   K | L: wrong size | R |  stop       likewise; the chunks go on before the stop
 *
 * A block is usually referred to from somewhere: a stop whose block is, is a chunk, and one whose
 * inside is, likely. If it is not, the size of the chunk before is compared with the distance to
 * where chunks go on: an overflow by one byte leaves the upper bytes alone, and is alike to what
 * was written before it. So is ordinary text in front of a size, so that this alone blames no one.
 */
#include <string.h>

#include "heap/glibc_walk.h"

enum {
    MOST_STEPS_BACK = 8,    /* chunks before the stop that may be phantoms */
    REMEMBERED_COUNT = 256, /* references into the last chunk */
    LONGEST_LEAD = 1 << 20, /* of a size that has led too far */
};

/* ---- references ---------------------------------------------------------------------------- */

/* What refers to a chunk. */
struct place {
    cw_addr chunk;
    bool is_block;  /* what malloc gave out for it */
    bool is_inside; /* some of its content */
};

/* What memory says of the stop and the chunks before it. */
struct evidence {
    struct place places[MOST_STEPS_BACK + 1]; /* by address; the last is the stop */
    unsigned count;
    cw_addr low; /* references to [low, low + span_bytes) count */
    uint64_t span_bytes;
    cw_addr inner[REMEMBERED_COUNT]; /* references into the last chunk */
    unsigned inner_count;
    bool is_complete; /* all memory was searched */
};

static void note_reference(const struct glibc *glibc, struct evidence *evidence, uint64_t value)
{
    unsigned at = evidence->count - 1;
    cw_addr chunk = value - glibc->header_bytes;
    while (at > 0 && evidence->places[at].chunk > chunk) {
        at--;
    }
    struct place *place = &evidence->places[at];
    place->is_block |= place->chunk == chunk;
    place->is_inside |= place->chunk != chunk;
    if (at + 2 == evidence->count && place->chunk != chunk &&
        evidence->inner_count < REMEMBERED_COUNT) {
        evidence->inner[evidence->inner_count++] = chunk;
    }
}

static void search_bytes(const struct glibc *glibc,
                         struct evidence *evidence,
                         const uint8_t *data,
                         uint64_t size)
{
    uint64_t word_bytes = glibc->word_bytes;
    if (word_bytes == sizeof(uint64_t)) {
        for (uint64_t off = 0; off + sizeof(uint64_t) <= size; off += sizeof(uint64_t)) {
            uint64_t value = cw_load_u64(data + off);
            if (value - evidence->low < evidence->span_bytes) {
                note_reference(glibc, evidence, value);
            }
        }
        return;
    }
    for (uint64_t off = 0; off + word_bytes <= size; off += word_bytes) {
        uint64_t value = cw_load_word(data + off, word_bytes);
        if (value - evidence->low < evidence->span_bytes) {
            note_reference(glibc, evidence, value);
        }
    }
}

static void search_region(struct glibc *glibc,
                          struct evidence *evidence,
                          const struct cw_region *region)
{
    uint64_t word = glibc->word_bytes;
    cw_addr address = region->start;
    uint64_t left = region->size_bytes;
    while (left > 0) {
        const uint8_t *data;
        uint64_t seen = cw_min(cw_space_run(glibc->space, address, &data), left);
        if (seen == 0) {
            evidence->is_complete = false;
            return;
        }
        uint64_t lead = (word - address % word) % word;
        if (seen > lead) {
            search_bytes(glibc, evidence, data + lead, seen - lead);
        }
        address += seen;
        left -= seen;
    }
}

static bool is_searched(const struct cw_region *region)
{
    return cw_region_is_writable(region) && region->provenance == CW_HELD;
}

uint64_t glibc_searchable_bytes(const struct glibc *glibc)
{
    const struct cw_space *space = glibc->space;
    uint64_t bytes = 0;
    for (size_t i = 0; i < space->region_count; i++) {
        bytes += is_searched(&space->regions[i]) ? space->regions[i].size_bytes : 0;
    }
    return bytes;
}

/* Looks for references to the places, and to what is behind them up to `end`. */
static void search(struct glibc *glibc, struct evidence *evidence, cw_addr end)
{
    const struct cw_space *space = glibc->space;
    uint64_t bytes = glibc_searchable_bytes(glibc);
    if (bytes > glibc->search_bytes_left) {
        return;
    }
    glibc->search_bytes_left -= bytes;
    evidence->is_complete = true;
    evidence->low = evidence->places[0].chunk + glibc->header_bytes;
    evidence->span_bytes = end - evidence->places[0].chunk;
    for (size_t i = 0; i < space->region_count; i++) {
        if (is_searched(&space->regions[i])) {
            search_region(glibc, evidence, &space->regions[i]);
        }
    }
}

/* Does something refer to what is inside the last chunk, as to a block of its own? */
static bool refers_inside(const struct evidence *evidence, cw_addr chunk)
{
    for (unsigned i = 0; i < evidence->inner_count; i++) {
        if (evidence->inner[i] == chunk) {
            return true;
        }
    }
    return false;
}

/* ---- sizes --------------------------------------------------------------------------------- */

static bool is_printable(uint8_t byte)
{
    return byte >= 0x20 && byte < 0x7f;
}

enum overwrite {
    OVERWRITE_NONE,
    OVERWRITE_OTHER, /* it is like nothing; sound sizes of small chunks differ in it as well */
    OVERWRITE_TEXT,  /* it is a letter behind others: so are many sound sizes */
    OVERWRITE_LIKE,  /* it repeats the byte before it, or ends a string */
};

/*
 * Was the lowest byte of the chunk's size written together with the bytes in front of it, and is it
 * all that keeps the size from being `true_bytes`?
 */
static enum overwrite overwrite_of(struct glibc *glibc, cw_addr chunk, uint64_t true_bytes)
{
    uint8_t header[2 * sizeof(uint64_t)];
    uint64_t word = glibc->word_bytes;
    if (!cw_space_read(glibc->space, chunk, header, 2 * word)) {
        return OVERWRITE_NONE;
    }
    uint64_t size_word = cw_load_word(header + word, word);
    uint8_t lowest = header[word];
    uint8_t front = header[word - 1];
    if ((size_word ^ true_bytes) >> 8 != 0) {
        return OVERWRITE_NONE;
    }
    if (lowest == 0 ? front != 0 : lowest == front) {
        return OVERWRITE_LIKE;
    }
    bool is_text = is_printable(lowest);
    for (uint64_t i = 0; i < word; i++) {
        is_text &= is_printable(header[i]);
    }
    return is_text ? OVERWRITE_TEXT : OVERWRITE_OTHER;
}

/* ---- blame --------------------------------------------------------------------------------- */

static bool resync(struct glibc *glibc,
                   const struct glibc_blame *blame,
                   cw_addr from,
                   cw_addr *ret_resume)
{
    const struct cw_heap_run *run = cw_heap_builder_run(glibc->builder, blame->run_index);
    return glibc_resync(glibc, blame->span, run, from, blame->known, ret_resume);
}

static cw_addr step_back(const struct glibc *glibc, const struct glibc_blame *blame, cw_addr chunk)
{
    cw_addr before = glibc_start_before(glibc, blame->run_index, chunk);
    return before >= blame->chain_start ? before : 0;
}

static void settle(const struct glibc *glibc,
                   struct glibc_blame *blame,
                   cw_addr damaged,
                   enum glibc_doubt doubt)
{
    blame->damaged = damaged;
    blame->before = damaged == blame->stop ? blame->last : step_back(glibc, blame, damaged);
    blame->doubt = doubt;
}

/* The stop, and the chunks before it. */
static void add_places(const struct glibc *glibc,
                       const struct glibc_blame *blame,
                       struct evidence *evidence)
{
    cw_addr chunks[MOST_STEPS_BACK + 1] = {blame->stop};
    unsigned count = 1;
    for (cw_addr chunk = blame->last; chunk != 0 && count <= MOST_STEPS_BACK;
         chunk = step_back(glibc, blame, chunk)) {
        chunks[count++] = chunk;
    }
    for (unsigned i = 0; i < count; i++) {
        evidence->places[i].chunk = chunks[count - 1 - i];
    }
    evidence->count = count;
}

/* The chunks go on inside the last chunk: its size has led too far. */
static bool led_too_far(struct glibc *glibc,
                        struct glibc_blame *blame,
                        const struct evidence *evidence)
{
    cw_addr resume;
    uint64_t lead = blame->stop - blame->last;
    if (lead <= 2 * glibc->min_chunk_bytes || lead > LONGEST_LEAD || evidence->inner_count == 0 ||
        !resync(glibc, blame, blame->last + glibc->min_chunk_bytes, &resume) ||
        resume >= blame->stop || !refers_inside(evidence, resume)) {
        return false;
    }
    settle(glibc, blame, blame->last, GLIBC_LIKELY);
    blame->resume = resume;
    return true;
}

static bool is_known(const struct place *place)
{
    return place->is_block || place->is_inside;
}

/* The stop is a chunk, whose header is damaged. False when there is nowhere to go on. */
static bool settle_stop(struct glibc *glibc,
                        struct glibc_blame *blame,
                        bool goes_on,
                        enum glibc_doubt doubt)
{
    cw_addr least = blame->stop + glibc->min_chunk_bytes;
    settle(glibc, blame, blame->stop, doubt);
    return goes_on && (blame->resume >= least || resync(glibc, blame, least, &blame->resume));
}

/*
 * The stop is no known block: does it lie inside one of the last chunks, whose size was
 * overwritten? *ret_doubt: else, whether the chunk before the stop is to blame.
 */
static bool led_astray(struct glibc *glibc,
                       struct glibc_blame *blame,
                       const struct evidence *evidence,
                       enum glibc_doubt *ret_doubt)
{
    const struct place *stop = &evidence->places[evidence->count - 1];
    bool is_behind_known = is_known(stop);
    *ret_doubt = is_behind_known ? GLIBC_LIKELY : GLIBC_MAY_BE;
    for (unsigned i = evidence->count - 1; i-- > 0;) {
        const struct place *place = &evidence->places[i];
        enum overwrite overwrite = overwrite_of(glibc, place->chunk, blame->resume - place->chunk);
        bool is_alike = overwrite == OVERWRITE_LIKE || overwrite == OVERWRITE_TEXT;
        bool is_only_known = place->is_block && evidence->is_complete && !is_behind_known;
        if (is_alike && is_only_known) {
            settle(glibc, blame, place->chunk, GLIBC_LIKELY);
            return true;
        }
        if (overwrite == OVERWRITE_OTHER && is_only_known) {
            *ret_doubt = GLIBC_UNCERTAIN;
        } else if (is_alike) {
            bool is_faint = overwrite == OVERWRITE_TEXT && is_behind_known && !place->is_block;
            *ret_doubt = is_faint ? GLIBC_MAY_BE : GLIBC_UNCERTAIN;
        }
        is_behind_known |= is_known(place);
        if (*ret_doubt == GLIBC_UNCERTAIN || is_behind_known) {
            return false;
        }
    }
    return false;
}

static bool is_anchor(const struct glibc *glibc, cw_addr chunk)
{
    return glibc_anchor_behind(glibc, chunk) == chunk;
}

bool glibc_find_blame(struct glibc *glibc, struct glibc_blame *blame)
{
    cw_addr behind = blame->stop + glibc->alignment;
    bool goes_on = resync(glibc, blame, behind, &blame->resume);
    if (blame->last == 0 || is_anchor(glibc, blame->stop)) {
        return settle_stop(glibc, blame, goes_on, GLIBC_LIKELY);
    }
    struct evidence evidence = {0};
    add_places(glibc, blame, &evidence);
    search(glibc, &evidence, goes_on ? blame->resume : behind);
    const struct place *stop = &evidence.places[evidence.count - 1];
    if (stop->is_block) {
        return settle_stop(glibc, blame, goes_on, GLIBC_LIKELY);
    }
    if (!stop->is_inside && led_too_far(glibc, blame, &evidence)) {
        return true;
    }
    enum glibc_doubt doubt = GLIBC_MAY_BE;
    if (goes_on && led_astray(glibc, blame, &evidence, &doubt)) {
        return true;
    }
    return settle_stop(glibc, blame, goes_on, doubt);
}
