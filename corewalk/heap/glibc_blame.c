/*
 * Which header is damaged? A chain of chunks stops where no chunk can be; that place is a chunk
 * whose header was overwritten, or the inside of one, to which an overwritten size has led:
 *
 *   K | P: size impossible | … | R      P is damaged, K was written beyond its end
 *   K | L: wrong size |  stop  | R      L is damaged, of which the stop is content
 *   K | L: wrong size | R |  stop       likewise; the chunks go on before the stop
 *
 * A block is usually referred to from somewhere: a stop whose block is, is a chunk. If it is not,
 * the size of the chunk before is compared with the distance to where chunks go on: an overflow by
 * one byte leaves the upper bytes alone, and is alike to what was written before it.
 */
#include <string.h>

#include "heap/glibc_walk.h"

enum {
    MOST_STEPS_BACK = 8, /* chunks before the stop that may be phantoms */
};

/* ---- references ---------------------------------------------------------------------------- */

/* Is the value in the bytes, as an aligned word? */
static bool holds_word(const uint8_t *data, uint64_t size, uint64_t word_bytes, uint64_t value)
{
    if (word_bytes == sizeof(uint64_t)) {
        for (uint64_t off = 0; off + sizeof value <= size; off += sizeof value) {
            if (cw_load_u64(data + off) == value) {
                return true;
            }
        }
        return false;
    }
    for (uint64_t off = 0; off + word_bytes <= size; off += word_bytes) {
        if (cw_load_word(data + off, word_bytes) == value) {
            return true;
        }
    }
    return false;
}

static bool region_holds(struct glibc *glibc, const struct cw_region *region, uint64_t value)
{
    uint64_t word = glibc->word_bytes;
    cw_addr address = region->start;
    uint64_t left = region->size_bytes;
    while (left > 0 && glibc->search_bytes_left > 0) {
        const uint8_t *data;
        uint64_t seen = cw_min(cw_space_run(glibc->space, address, &data), left);
        if (seen == 0) {
            return false;
        }
        glibc->search_bytes_left -= cw_min(seen, glibc->search_bytes_left);
        uint64_t lead = (word - address % word) % word;
        if (seen > lead && holds_word(data + lead, seen - lead, word, value)) {
            return true;
        }
        address += seen;
        left -= seen;
    }
    return false;
}

bool glibc_is_referenced(struct glibc *glibc, cw_addr chunk)
{
    const struct cw_space *space = glibc->space;
    for (size_t i = 0; i < space->region_count; i++) {
        const struct cw_region *region = &space->regions[i];
        if (cw_region_is_writable(region) && region->provenance == CW_HELD &&
            region_holds(glibc, region, chunk + glibc->header_bytes)) {
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

/*
 * Was the lowest byte of the chunk's size written together with the bytes in front of it, and is it
 * all that keeps the size from being `true_bytes`?
 */
static bool is_lowest_byte_damaged(struct glibc *glibc, cw_addr chunk, uint64_t true_bytes)
{
    uint8_t header[2 * sizeof(uint64_t)];
    uint64_t word = glibc->word_bytes;
    if (!cw_space_read(glibc->space, chunk, header, 2 * word)) {
        return false;
    }
    uint64_t size_word = cw_load_word(header + word, word);
    if ((size_word ^ true_bytes) >> 8 != 0) {
        return false;
    }
    uint8_t lowest = header[word];
    uint8_t front = header[word - 1];
    bool is_text = is_printable(lowest);
    for (uint64_t i = 0; i < word; i++) {
        is_text &= is_printable(header[i]);
    }
    return lowest == 0 ? front != 0 : lowest == front || is_text;
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
    return before >= blame->extent_start ? before : 0;
}

static void settle(const struct glibc *glibc, struct glibc_blame *blame, cw_addr damaged)
{
    blame->damaged = damaged;
    blame->before = damaged == blame->stop ? blame->last : step_back(glibc, blame, damaged);
}

/* The chunks go on inside the last chunk: its size has led too far. */
static bool led_too_far(struct glibc *glibc, struct glibc_blame *blame)
{
    cw_addr resume;
    if (blame->last == 0 || blame->stop - blame->last <= 2 * glibc->min_chunk_bytes ||
        !resync(glibc, blame, blame->last + glibc->min_chunk_bytes, &resume) ||
        resume >= blame->stop || !glibc_is_referenced(glibc, resume)) {
        return false;
    }
    settle(glibc, blame, blame->last);
    blame->resume = resume;
    return true;
}

/* The stop lies inside one of the last chunks. */
static bool led_astray(struct glibc *glibc, struct glibc_blame *blame)
{
    cw_addr chunk = blame->last;
    for (unsigned i = 0; i < MOST_STEPS_BACK && chunk != 0; i++) {
        if (is_lowest_byte_damaged(glibc, chunk, blame->resume - chunk)) {
            settle(glibc, blame, chunk);
            return true;
        }
        if (glibc_is_referenced(glibc, chunk)) {
            return false;
        }
        chunk = step_back(glibc, blame, chunk);
    }
    return false;
}

bool glibc_find_blame(struct glibc *glibc, struct glibc_blame *blame)
{
    bool is_chunk = blame->last == 0 || glibc_is_referenced(glibc, blame->stop);
    if (!is_chunk && led_too_far(glibc, blame)) {
        return true;
    }
    if (!resync(glibc, blame, blame->stop + glibc->min_chunk_bytes, &blame->resume)) {
        return false;
    }
    if (is_chunk || !led_astray(glibc, blame)) {
        settle(glibc, blame, blame->stop);
    }
    return true;
}
