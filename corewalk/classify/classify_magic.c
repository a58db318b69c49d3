/*
 * Known file and stream formats by the bytes they start with. A row of the table is a format;
 * those with short magic numbers also have a check of what follows.
 */
#include <string.h>

#include "classify/classify.h"

enum { MAGIC_LIMIT = 16 };

struct format {
    const char *name;
    const char *evidence;
    uint8_t magic[MAGIC_LIMIT];
    uint8_t magic_bytes;
    enum cw_confidence confidence;
    bool (*check)(const uint8_t *data, uint64_t seen_bytes, uint64_t usable_bytes); /* or NULL */
};

/* At least half of the first 64 bytes differ from each other: compressed data does so. */
static bool is_dense(const uint8_t *data, uint64_t seen_bytes)
{
    enum { SAMPLE_BYTES = 64 };
    uint64_t seen[4] = {0};
    unsigned distinct = 0;
    if (seen_bytes < SAMPLE_BYTES) {
        return false;
    }
    for (size_t i = 0; i < SAMPLE_BYTES; i++) {
        uint64_t bit = 1ULL << (data[i] % 64);
        distinct += (seen[data[i] / 64] & bit) == 0;
        seen[data[i] / 64] |= bit;
    }
    return distinct >= SAMPLE_BYTES / 2;
}

/* RFC 1952: method 8 (deflate), the reserved flags clear. */
static bool is_gzip(const uint8_t *data, uint64_t seen_bytes, uint64_t usable_bytes)
{
    (void)usable_bytes;
    return seen_bytes >= 10 && data[2] == 8 && (data[3] & 0xe0) == 0;
}

/*
 * RFC 1951: the first block's type is 0 to 2, and a stored block's length is followed by its
 * complement. (RFC 1950's header checksum is in the magics: one for each level.)
 */
static bool is_zlib(const uint8_t *data, uint64_t seen_bytes, uint64_t usable_bytes)
{
    (void)usable_bytes;
    if (!is_dense(data, seen_bytes)) {
        return false;
    }
    unsigned type = (data[2] >> 1) & 3;
    return type == 0 ? (cw_load_u16(data + 3) ^ cw_load_u16(data + 5)) == 0xffff : type != 3;
}

/* bzip2: the level, then the digits of pi. */
static bool is_bzip2(const uint8_t *data, uint64_t seen_bytes, uint64_t usable_bytes)
{
    static const uint8_t block[] = {0x31, 0x41, 0x59, 0x26, 0x53, 0x59};
    (void)usable_bytes;
    return seen_bytes >= 10 && data[3] >= '1' && data[3] <= '9' &&
           memcmp(data + 4, block, sizeof block) == 0;
}

/* The marker after SOI is APPn, DQT or a comment. */
static bool is_jpeg(const uint8_t *data, uint64_t seen_bytes, uint64_t usable_bytes)
{
    (void)usable_bytes;
    return seen_bytes >= 32 &&
           ((data[3] >= 0xe0 && data[3] <= 0xef) || data[3] == 0xdb || data[3] == 0xfe);
}

/* Version 20 to 63 is needed to extract it. */
static bool is_zip(const uint8_t *data, uint64_t seen_bytes, uint64_t usable_bytes)
{
    (void)usable_bytes;
    return seen_bytes >= 30 && data[4] >= 10 && data[4] <= 63 && data[5] == 0;
}

/* Class, data encoding and version as the ELF specification has them. */
static bool is_elf(const uint8_t *data, uint64_t seen_bytes, uint64_t usable_bytes)
{
    (void)usable_bytes;
    return seen_bytes >= 52 && data[4] >= 1 && data[4] <= 2 && data[5] >= 1 && data[5] <= 2 &&
           data[6] == 1;
}

/* Protocols 4 and 5 wrap the rest in a frame (opcode 0x95) whose length follows. */
static bool is_pickle(const uint8_t *data, uint64_t seen_bytes, uint64_t usable_bytes)
{
    return seen_bytes >= 16 && cw_load_u64(data + 3) <= usable_bytes;
}

/* The first directory lies behind the header and inside the chunk. */
static bool is_tiff(const uint8_t *data, uint64_t seen_bytes, uint64_t usable_bytes)
{
    if (seen_bytes < 32) {
        return false;
    }
    uint32_t off = cw_load_u32(data + 4);
    off = data[0] == 'I' ? off : __builtin_bswap32(off);
    return off >= 8 && off < usable_bytes;
}

static bool is_webp(const uint8_t *data, uint64_t seen_bytes, uint64_t usable_bytes)
{
    (void)usable_bytes;
    return seen_bytes >= 12 && memcmp(data + 8, "WEBP", 4) == 0;
}

static bool is_wave(const uint8_t *data, uint64_t seen_bytes, uint64_t usable_bytes)
{
    (void)usable_bytes;
    return seen_bytes >= 12 && memcmp(data + 8, "WAVE", 4) == 0;
}

/* The major version of every JDK there is; fat Mach-O files share the magic and have fewer. */
static bool is_java_class(const uint8_t *data, uint64_t seen_bytes, uint64_t usable_bytes)
{
    (void)usable_bytes;
    return seen_bytes >= 32 && data[6] == 0 && data[7] >= 45 && data[7] <= 99;
}

static bool is_wasm(const uint8_t *data, uint64_t seen_bytes, uint64_t usable_bytes)
{
    (void)usable_bytes;
    return seen_bytes >= 8 && cw_load_u32(data + 4) == 1;
}

/* A frame descriptor whose reserved bit is clear (RFC 8878, 3.1.1.1.1). */
static bool is_zstd(const uint8_t *data, uint64_t seen_bytes, uint64_t usable_bytes)
{
    (void)usable_bytes;
    return seen_bytes >= 9 && (data[4] & 0x08) == 0;
}

#define MAGIC(text) .magic = (text), .magic_bytes = sizeof(text) - 1

static const struct format formats[] = {
    {"gzip data", "gzip header", MAGIC("\x1f\x8b"), CW_PROBABLE, is_gzip},
    {"zlib data", "zlib header and deflate block", MAGIC("\x78\x01"), CW_GUESS, is_zlib},
    {"zlib data", "zlib header and deflate block", MAGIC("\x78\x5e"), CW_GUESS, is_zlib},
    {"zlib data", "zlib header and deflate block", MAGIC("\x78\x9c"), CW_GUESS, is_zlib},
    {"zlib data", "zlib header and deflate block", MAGIC("\x78\xda"), CW_GUESS, is_zlib},
    {"Zstandard data", "zstd frame magic", MAGIC("\x28\xb5\x2f\xfd"), CW_PROBABLE, is_zstd},
    {"xz data", "xz stream magic", MAGIC("\xfd\x37zXZ\0"), CW_PROBABLE, NULL},
    {"bzip2 data", "bzip2 block magic", MAGIC("BZh"), CW_PROBABLE, is_bzip2},
    {"LZ4 data", "LZ4 frame magic", MAGIC("\x04\x22\x4d\x18"), CW_PROBABLE, NULL},
    {"PNG image", "PNG signature", MAGIC("\x89PNG\r\n\x1a\n"), CW_PROBABLE, NULL},
    {"JPEG image", "JPEG start and first marker", MAGIC("\xff\xd8\xff"), CW_GUESS, is_jpeg},
    {"GIF image", "GIF signature", MAGIC("GIF87a"), CW_PROBABLE, NULL},
    {"GIF image", "GIF signature", MAGIC("GIF89a"), CW_PROBABLE, NULL},
    {"WebP image", "RIFF form WEBP", MAGIC("RIFF"), CW_PROBABLE, is_webp},
    {"WAVE audio", "RIFF form WAVE", MAGIC("RIFF"), CW_PROBABLE, is_wave},
    {"TIFF image", "TIFF header", MAGIC("II*\0"), CW_PROBABLE, is_tiff},
    {"TIFF image", "TIFF header", MAGIC("MM\0*"), CW_PROBABLE, is_tiff},
    {"Ogg stream", "Ogg page header", MAGIC("OggS\0"), CW_PROBABLE, NULL},
    {"PDF document", "PDF header", MAGIC("%PDF-"), CW_PROBABLE, NULL},
    {"ZIP archive", "ZIP local file header", MAGIC("PK\x03\x04"), CW_PROBABLE, is_zip},
    {"ELF file",
     "ELF identification",
     MAGIC("\x7f"
           "ELF"),
     CW_PROBABLE,
     is_elf},
    {"SQLite database", "SQLite header string", MAGIC("SQLite format 3\0"), CW_PROBABLE, NULL},
    {"Python pickle", "pickle protocol 4 and frame", MAGIC("\x80\x04\x95"), CW_PROBABLE, is_pickle},
    {"Python pickle", "pickle protocol 5 and frame", MAGIC("\x80\x05\x95"), CW_PROBABLE, is_pickle},
    {"Java class file",
     "class file magic and version",
     MAGIC("\xca\xfe\xba\xbe"),
     CW_PROBABLE,
     is_java_class},
    {"WebAssembly module", "wasm magic and version", MAGIC("\0asm"), CW_PROBABLE, is_wasm},
};

enum { FORMAT_COUNT = sizeof formats / sizeof formats[0] };

/* The first word of a format's magic, so that most rows are dismissed in one comparison. */
struct head {
    uint64_t value;
    uint64_t mask;
};

struct state {
    uint64_t starts[1024]; /* bit: some format starts with these two bytes */
    struct head heads[FORMAT_COUNT];
};

static bool prepare(struct cw_classifier_run *run)
{
    struct state *state = cw_arena_alloc(run->context->memory, sizeof *state);
    for (size_t i = 0; state != NULL && i < FORMAT_COUNT; i++) {
        unsigned bytes = formats[i].magic_bytes < 8 ? formats[i].magic_bytes : 8;
        uint16_t start = cw_load_u16(formats[i].magic);
        state->starts[start / 64] |= 1ULL << (start % 64);
        state->heads[i].mask = UINT64_MAX >> (64 - 8 * bytes);
        state->heads[i].value = cw_load_u64(formats[i].magic) & state->heads[i].mask;
    }
    run->state = state;
    return state != NULL;
}

static bool is_format(const struct format *format, const struct cw_chunk_view *view)
{
    return memcmp(view->data, format->magic, format->magic_bytes) == 0 &&
           (format->check == NULL ||
            format->check(view->data, view->seen_bytes, view->usable_bytes));
}

static bool match(const struct cw_classifier_run *run,
                  const struct cw_chunk_view *view,
                  uint64_t *ret_key)
{
    const struct state *state = run->state;
    unsigned start = (unsigned)(view->first_word & 0xffff);
    if ((state->starts[start / 64] >> (start % 64) & 1) == 0 || view->seen_bytes < MAGIC_LIMIT) {
        return false;
    }
    uint64_t head = cw_load_u64(view->data);
    for (size_t i = 0; i < FORMAT_COUNT; i++) {
        if ((head & state->heads[i].mask) == state->heads[i].value &&
            is_format(&formats[i], view)) {
            /* Rows of one name stand together and are one population. */
            while (i > 0 && strcmp(formats[i - 1].name, formats[i].name) == 0) {
                i--;
            }
            *ret_key = i;
            return true;
        }
    }
    return false;
}

static bool describe(const struct cw_classifier_run *run,
                     uint64_t key,
                     struct cw_population *population)
{
    (void)run;
    population->name = formats[key].name;
    population->evidence = formats[key].evidence;
    population->confidence = formats[key].confidence;
    return true;
}

const struct cw_classifier cw_classifier_magic = {
    .name = "magic",
    .kind = CW_POPULATION_CONTENT,
    .heads = 1U << CW_HEAD_SMALL | 1U << CW_HEAD_POINTER | 1U << CW_HEAD_OTHER,
    .prepare = prepare,
    .match = match,
    .describe = describe,
};
