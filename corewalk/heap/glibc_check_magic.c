/*
 * Blocks of libc_malloc_debug.so (from 2.34 on) under MALLOC_CHECK_: behind what was asked for lies
 * a magic byte, which follows from the chunk's address; the chunk's last byte says how far it is
 * back to there, or, where that is more than a byte can say, to another such byte:
 *
 *   | … content … | magic | 0 … 0 | n |
 *                   <----- n ----->
 *
 * A block whose bytes do not lead to the magic was written beyond its end. The library may be there
 * without the checks, so that nearly all blocks must have it.
 */
#include "heap/glibc_check.h"

enum {
    FEWEST_BLOCKS = 4,
    MOST_STEPS = 64, /* back to the magic */
};

struct magic {
    struct glibc *glibc;
    uint64_t sound_count;
    uint64_t lost_count;
    bool does_report;
};

static uint8_t magic_of(cw_addr chunk)
{
    uint8_t magic = (uint8_t)(chunk >> 3 ^ chunk >> 11);
    return magic == 1 ? 2 : magic;
}

enum trail {
    TRAIL_SOUND,
    TRAIL_LOST,
    TRAIL_MISSING,
};

static enum trail follow_trail(const struct glibc *glibc, cw_addr chunk, uint64_t chunk_bytes)
{
    uint8_t magic = magic_of(chunk);
    uint64_t off = chunk_bytes + glibc->word_bytes - 1;
    for (unsigned i = 0; i < MOST_STEPS; i++) {
        uint8_t step;
        if (!cw_space_read(glibc->space, chunk + off, &step, 1)) {
            return TRAIL_MISSING;
        }
        if (step == magic) {
            return TRAIL_SOUND;
        }
        if (step == 0 || off < step + glibc->header_bytes) {
            return TRAIL_LOST;
        }
        off -= step;
    }
    return TRAIL_LOST;
}

static void report(struct glibc *glibc, cw_addr chunk)
{
    cw_addr user = chunk + glibc->header_bytes;
    char text[GLIBC_BLOCK_TEXT];
    glibc_report(glibc,
                 CW_DAMAGE_TRAILING_MAGIC,
                 user,
                 user,
                 "the block at %s has lost the magic byte behind its end: it was written beyond "
                 "its end, by one byte at least",
                 glibc_block_text(glibc, chunk, text));
}

static void look_at_extent(struct magic *magic, const struct cw_extent *extent)
{
    struct glibc *glibc = magic->glibc;
    const struct cw_chunk_table *table = &glibc->builder->heap->chunks;
    for (uint32_t i = 0; i < extent->chunk_count; i++) {
        uint32_t index = extent->first_chunk + i;
        cw_addr chunk = cw_chunk_table_start(table, extent, index);
        if (cw_chunk_table_state(table, index) != CW_CHUNK_USED || glibc_is_damaged(glibc, chunk)) {
            continue;
        }
        enum trail trail = follow_trail(glibc, chunk, cw_chunk_table_size(table, extent, index));
        magic->sound_count += trail == TRAIL_SOUND ? 1 : 0;
        magic->lost_count += trail == TRAIL_LOST ? 1 : 0;
        if (magic->does_report && trail == TRAIL_LOST) {
            report(glibc, chunk);
        }
    }
}

static void look_at_all(struct magic *magic)
{
    const struct cw_chunk_table *table = &magic->glibc->builder->heap->chunks;
    for (uint32_t i = 0; i < table->extent_count; i++) {
        if (glibc_has_arena(magic->glibc, table->extents[i].arena_index)) {
            look_at_extent(magic, &table->extents[i]);
        }
    }
}

void glibc_check_magic(struct glibc *glibc)
{
    struct magic magic = {.glibc = glibc};
    if (!glibc->has_no_caches) {
        return;
    }
    look_at_all(&magic);
    if (magic.lost_count > 0 && magic.sound_count >= FEWEST_BLOCKS &&
        magic.lost_count <= magic.sound_count / 4) {
        magic.does_report = true;
        look_at_all(&magic);
    }
}
