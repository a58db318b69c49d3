/*
 * A glibc heap that the input describes, damaged as it says. The input is a script: the layout,
 * then operations of a byte and their operands. The heap is built whole first; damage comes last.
 */
#include "fuzz/fuzz.h"
#include "support/glibc_builder.h"

enum {
    LARGEST_CHUNK_COUNT = 4096,
    LARGEST_DAMAGE_COUNT = 64,
    LARGEST_HEAP_COUNT = 12,
    MAPPING_BYTES = 0x200000,
    ARENA_BYTES = 2208,
    WORDS_OF_INTEREST = 16,
};

#define MAPPINGS UINT64_C(0x60000000)

struct made_chunk {
    cw_addr start;
    uint64_t bytes;
    unsigned arena;
    bool is_used;
};

struct damage {
    uint8_t place;
    uint16_t which;
    uint16_t value;
};

struct script {
    const uint8_t *bytes;
    size_t left;
    struct glibc_builder *builder;
    const struct glibc_layout *layout;
    struct made_chunk chunks[LARGEST_CHUNK_COUNT];
    unsigned chunk_count;
    unsigned arena_count;
    unsigned thread_count;
    unsigned heap_count;
    uint64_t mapped_bytes;
    struct damage damages[LARGEST_DAMAGE_COUNT];
    unsigned damage_count;
};

static uint8_t next_u8(struct script *script)
{
    if (script->left == 0) {
        return 0;
    }
    script->left--;
    return *script->bytes++;
}

static uint16_t next_u16(struct script *script)
{
    uint16_t low = next_u8(script);
    return (uint16_t)(low | next_u8(script) << 8);
}

static void add_chunk(struct script *script)
{
    unsigned arena = next_u8(script) % script->arena_count;
    uint64_t bytes = 0x20 + ((uint64_t)next_u16(script) % 0x1000 & ~UINT64_C(15));
    if (script->chunk_count == LARGEST_CHUNK_COUNT ||
        bytes >= glibc_builder_room(script->builder, arena)) {
        return;
    }
    script->chunks[script->chunk_count++] = (struct made_chunk){
        .start = glibc_builder_chunk(script->builder, arena, bytes),
        .bytes = bytes,
        .arena = arena,
        .is_used = true,
    };
}

static void free_chunk(struct script *script, unsigned kind)
{
    if (script->chunk_count == 0) {
        return;
    }
    struct made_chunk *chunk = &script->chunks[next_u16(script) % script->chunk_count];
    if (!chunk->is_used) {
        return;
    }
    if (kind == 0) {
        glibc_builder_bin(script->builder, chunk->arena, chunk->start, 1 + next_u8(script) % 127);
    } else if (kind == 1 && script->layout->fastbin_count > 0 && chunk->bytes <= 0x80) {
        glibc_builder_fast(script->builder, chunk->arena, chunk->start);
    } else if (kind == 2 && script->layout->tcache_form != GLIBC_TCACHE_NONE &&
               script->thread_count > 0 && chunk->bytes <= 0x400) {
        glibc_builder_cache(script->builder, next_u8(script) % script->thread_count, chunk->start);
    } else {
        return;
    }
    chunk->is_used = false;
}

static void extend(struct script *script, unsigned kind)
{
    unsigned arena = next_u8(script) % script->arena_count;
    if (kind == 0 && script->arena_count < 4) {
        glibc_builder_arena(script->builder);
        script->arena_count++;
        script->heap_count++;
    } else if (kind == 1 && arena > 0 && script->heap_count < LARGEST_HEAP_COUNT) {
        glibc_builder_heap(script->builder, arena);
        script->heap_count++;
    } else if (kind == 2 && script->thread_count < 4 &&
               glibc_builder_room(script->builder, arena) > 0x400) {
        glibc_builder_thread(script->builder, arena);
        script->thread_count++;
    } else if (kind == 3) {
        uint64_t bytes = next_u16(script);
        if (glibc_builder_room(script->builder, 0) > bytes + 0x100) {
            glibc_builder_foreign(script->builder, bytes);
        }
    }
}

static void map(struct script *script)
{
    uint64_t total = (1 + (uint64_t)next_u8(script) % 64) * 0x1000;
    uint8_t shift = next_u8(script) % 12;
    if (total <= MAPPING_BYTES - script->mapped_bytes) {
        uint64_t offset = shift > 6 ? (UINT64_C(1) << shift) - 16 : 0;
        glibc_builder_mmapped(script->builder, MAPPINGS + script->mapped_bytes, total, offset);
        script->mapped_bytes += total;
    }
}

static void note_damage(struct script *script)
{
    if (script->damage_count < LARGEST_DAMAGE_COUNT) {
        struct damage *damage = &script->damages[script->damage_count++];
        damage->place = next_u8(script);
        damage->which = next_u16(script);
        damage->value = next_u16(script);
    }
}

static void run_script(struct script *script)
{
    while (script->left > 0) {
        uint8_t operation = next_u8(script) % 16;
        if (operation < 6) {
            add_chunk(script);
        } else if (operation < 9) {
            free_chunk(script, operation - 6U);
        } else if (operation < 13) {
            extend(script, operation - 9U);
        } else if (operation == 13) {
            map(script);
        } else {
            note_damage(script);
        }
    }
}

/* Where the damage strikes. Chunks end where their heap does at the latest: so all is mapped. */
static cw_addr place_of(const struct script *script, const struct damage *damage)
{
    unsigned arena = damage->which % script->arena_count;
    uint64_t word = (uint64_t)(damage->which >> 4) % WORDS_OF_INTEREST * 8;
    switch (damage->place % 6) {
    case 0:
        return glibc_builder_mp_address(script->builder) + word;
    case 1:
        return glibc_builder_arena_address(script->builder, arena) +
               (uint64_t)damage->which % (ARENA_BYTES / 8) * 8;
    case 2:
        return arena == 0 ? GLIBC_BUILDER_BRK + word
                          : glibc_builder_arena_address(script->builder, arena) - 0x20 + word % 32;
    case 3:
        return glibc_builder_top(script->builder, arena) + word % 16;
    default:
        break;
    }
    if (script->chunk_count == 0) {
        return GLIBC_BUILDER_BRK + 8;
    }
    return script->chunks[damage->which % script->chunk_count].start +
           (uint64_t)(damage->place / 6 % 4) * 8;
}

/* Small numbers, flips of what was there, addresses of things, and all ones. */
static uint64_t value_of(const struct script *script, const struct damage *damage, uint64_t old)
{
    switch (damage->value % 6) {
    case 0:
        return damage->value / 6;
    case 1:
        return old ^ UINT64_C(1) << damage->value / 6 % 64;
    case 2:
        return old + (uint64_t)(int64_t)(int16_t)damage->value / 6 * 16;
    case 3:
        return script->chunk_count == 0
                   ? 0
                   : script->chunks[damage->value / 6 % script->chunk_count].start;
    case 4:
        return place_of(script, damage);
    default:
        return UINT64_MAX << damage->value / 6 % 64;
    }
}

static void apply_damage(struct script *script)
{
    struct core_builder *core = glibc_builder_core(script->builder);
    for (unsigned i = 0; i < script->damage_count; i++) {
        cw_addr place = place_of(script, &script->damages[i]);
        uint64_t old = core_builder_get_word(core, place);
        core_builder_word(core, place, value_of(script, &script->damages[i], old));
    }
}

static void check(const struct script *script, size_t cut)
{
    size_t size;
    const uint8_t *bytes = core_builder_finish(glibc_builder_core(script->builder), &size);
    struct heap_case heap_case;
    heap_case_open_bytes(&heap_case, bytes, size - (cut == 0 ? 0 : size / 256 * cut));
    FUZZ_CHECK(heap_case.status == CW_OK);
    FUZZ_CHECK(heap_case_check(&heap_case) == NULL);
    if (script->damage_count == 0 && cut == 0) {
        FUZZ_CHECK(heap_case.heap.allocator != NULL);
        FUZZ_CHECK(heap_case.heap.by_state[CW_CHUNK_UNKNOWN].count == 0);
    }
    FUZZ_CHECK(heap_case_close(&heap_case));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static const unsigned row_count = 10; /* the rows of 64-bit words come first */
    struct script *script = calloc(1, sizeof *script);
    FUZZ_CHECK(script != NULL);
    script->bytes = bytes;
    script->left = size < 20000 ? size : 20000;
    size_t count;
    script->layout = &glibc_layouts(&count)[next_u8(script) % row_count];
    size_t cut = next_u8(script);
    cut = cut < 192 ? 0 : (cut - 191) * 4 - 1;
    script->builder = glibc_builder_create(script->layout);
    script->arena_count = 1;
    core_builder_segment(
        glibc_builder_core(script->builder), MAPPINGS, MAPPING_BYTES, CW_PROT_READ | CW_PROT_WRITE);
    run_script(script);
    apply_damage(script);
    check(script, cut);
    glibc_builder_destroy(script->builder);
    free(script);
    return 0;
}
