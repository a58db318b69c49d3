/* Unpacking by libarchive's filters, and gzip by zlib. */
#include "target/unpack.h"

#include <archive.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "base/checked.h"
#include "base/text.h"
#include "target/elf_core.h"
#include "target/format.h"
#include "target/gzip.h"

enum {
    LEAST_CORE_BYTES = 64,   /* to tell what it is */
    HEADERS_BYTES = 8 << 20, /* have come: all program headers are among them, or are too many */
    BEHIND_CORE_BYTES = 16 << 20, /* room for the section headers, which we do not look for */
};

struct packing {
    const char *name;
    const char *magic;
    size_t magic_bytes;
    enum cw_packing packing;
    int filter; /* libarchive's */
    int (*enable)(struct archive *archive);
};

/* RFC 8878, lz4_Frame_format.md (two magics), xz-file-format.txt, RFC 1952. */
static const struct packing packings[] = {
    {"zstd",
     "\x28\xb5\x2f\xfd",
     4,
     CW_PACKING_ZSTD,
     ARCHIVE_FILTER_ZSTD,
     archive_read_support_filter_zstd},
    {"lz4",
     "\x04\x22\x4d\x18",
     4,
     CW_PACKING_LZ4,
     ARCHIVE_FILTER_LZ4,
     archive_read_support_filter_lz4},
    {"lz4",
     "\x02\x21\x4c\x18",
     4,
     CW_PACKING_LZ4,
     ARCHIVE_FILTER_LZ4,
     archive_read_support_filter_lz4},
    {"xz", "\xfd\x37zXZ\0", 6, CW_PACKING_XZ, ARCHIVE_FILTER_XZ, archive_read_support_filter_xz},
    {"gzip", "\x1f\x8b", 2, CW_PACKING_GZIP, ARCHIVE_FILTER_NONE, NULL},
};

static const struct packing *find_packing(const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < sizeof packings / sizeof packings[0]; i++) {
        const struct packing *packing = &packings[i];
        if (size >= packing->magic_bytes &&
            memcmp(bytes, packing->magic, packing->magic_bytes) == 0) {
            return packing;
        }
    }
    return NULL;
}

enum cw_packing cw_packing_of(const uint8_t *bytes, size_t size)
{
    const struct packing *packing = find_packing(bytes, size);
    return packing != NULL ? packing->packing : CW_PACKING_NONE;
}

const char *cw_packing_name(enum cw_packing packing)
{
    for (size_t i = 0; i < sizeof packings / sizeof packings[0]; i++) {
        if (packings[i].packing == packing) {
            return packings[i].name;
        }
    }
    return NULL;
}

struct unpacking {
    struct cw_source *source;
    const char *path;
    struct cw_scratch *scratch;
    struct cw_unpacked unpacked;
    uint8_t first[LEAST_CORE_BYTES];
    size_t first_bytes;
    bool is_core;          /* the first bytes are right */
    bool knows_end;        /* or cannot know it */
    uint64_t end_bytes;    /* behind which nothing of the core lies */
    enum cw_status status; /* of what ends it all */
};

static void set_trouble(struct unpacking *unpacking, const char *text)
{
    if (unpacking->unpacked.trouble[0] == '\0') {
        cw_text_escape(text, unpacking->unpacked.trouble, sizeof unpacking->unpacked.trouble);
    }
}

/* ---- where the core ends ----------------------------------------------------------------- */

static uint64_t end_of(const struct cw_elf_core *core)
{
    uint64_t end = 0;
    if (core->declared_count == 0 || core->declared_count > core->header_count) {
        return UINT64_MAX;
    }
    for (uint64_t i = 0; i < core->header_count; i++) {
        struct cw_program_header header = cw_elf_core_header(core, i);
        uint64_t header_end = UINT64_MAX;
        (void)cw_add(header.offset, header.file_bytes, &header_end);
        end = cw_max(end, header.file_bytes > 0 ? header_end : 0);
    }
    return cw_add(end, BEHIND_CORE_BYTES, &end) ? end : UINT64_MAX;
}

/* A stream may go on for ever behind a small core. */
static void learn_end(struct unpacking *unpacking)
{
    void *data = NULL;
    struct cw_elf_core core;
    unpacking->end_bytes = UINT64_MAX;
    unpacking->knows_end = true;
    if (cw_scratch_map(unpacking->scratch, &data, NULL) != CW_OK) {
        return;
    }
    size_t size = unpacking->scratch->size_bytes;
    if (cw_elf_core_parse(data, size, unpacking->path, &core, NULL) == CW_OK) {
        unpacking->end_bytes = end_of(&core);
    }
    munmap(data, size);
}

/* ---- what comes out ---------------------------------------------------------------------- */

/* Before much is unpacked: is it a core at all? */
static bool check_first(struct unpacking *unpacking, bool is_last, struct cw_error *err)
{
    if (unpacking->is_core || (unpacking->first_bytes < LEAST_CORE_BYTES && !is_last)) {
        return true;
    }
    unpacking->status =
        cw_format_check(unpacking->first, unpacking->first_bytes, unpacking->path, err);
    unpacking->is_core = unpacking->status == CW_OK;
    return unpacking->is_core;
}

/* False when no more is wanted. */
static bool take(struct unpacking *unpacking,
                 const uint8_t *bytes,
                 size_t size,
                 struct cw_error *err)
{
    struct cw_scratch *scratch = unpacking->scratch;
    size_t missing = cw_min(LEAST_CORE_BYTES - unpacking->first_bytes, size);
    memcpy(unpacking->first + unpacking->first_bytes, bytes, missing);
    unpacking->first_bytes += missing;
    if (size == 0) {
        return true;
    }
    if (!check_first(unpacking, false, err)) {
        return false;
    }
    if (!cw_scratch_append(scratch, bytes, size)) {
        unpacking->unpacked.is_full = true;
        set_trouble(unpacking,
                    scratch->os_error != 0 ? strerrordesc_np(scratch->os_error)
                                           : "the limit for scratch files is reached");
        return false;
    }
    if (!unpacking->knows_end && scratch->size_bytes >= HEADERS_BYTES) {
        learn_end(unpacking);
    }
    return !unpacking->knows_end || scratch->size_bytes < unpacking->end_bytes;
}

/* ---- where it comes from ----------------------------------------------------------------- */

static void copy_plain(struct unpacking *unpacking, struct cw_error *err)
{
    size_t size;
    const uint8_t *bytes;
    do {
        bytes = cw_source_next(unpacking->source, &size);
    } while (size > 0 && take(unpacking, bytes, size, err));
}

static la_ssize_t read_packed(struct archive *archive, void *context, const void **ret_buffer)
{
    struct cw_source *source = context;
    size_t size;
    *ret_buffer = cw_source_next(source, &size);
    if (source->is_cancelled || source->os_error != 0) {
        archive_set_error(archive, source->os_error, "the input cannot be read");
        return -1;
    }
    return (la_ssize_t)size;
}

/* ARCHIVE_WARN from `enable` means that libarchive would start a program to decompress. */
static struct archive *open_archive(const struct packing *packing,
                                    struct cw_source *source,
                                    struct unpacking *unpacking)
{
    struct archive *archive = archive_read_new();
    struct archive_entry *entry;
    if (archive == NULL) {
        set_trouble(unpacking, "out of memory");
        return NULL;
    }
    if (packing->enable(archive) != ARCHIVE_OK) {
        set_trouble(unpacking, "this libarchive was built without it");
    } else if (archive_read_support_format_raw(archive) != ARCHIVE_OK ||
               archive_read_open(archive, source, NULL, read_packed, NULL) != ARCHIVE_OK ||
               archive_read_next_header(archive, &entry) != ARCHIVE_OK) {
        const char *text = archive_error_string(archive);
        set_trouble(unpacking, text != NULL ? text : "there is nothing in it");
    } else if (archive_filter_code(archive, 0) != packing->filter) {
        set_trouble(unpacking, "its header is damaged");
    } else {
        return archive;
    }
    archive_read_free(archive);
    return NULL;
}

static void unpack_archive(const struct packing *packing,
                           struct unpacking *unpacking,
                           struct cw_error *err)
{
    struct archive *archive = open_archive(packing, unpacking->source, unpacking);
    int outcome = archive != NULL ? ARCHIVE_OK : ARCHIVE_FATAL;
    while (outcome == ARCHIVE_OK) {
        const void *bytes;
        size_t size;
        la_int64_t offset;
        outcome = archive_read_data_block(archive, &bytes, &size, &offset);
        if (outcome == ARCHIVE_OK && !take(unpacking, bytes, size, err)) {
            break;
        }
    }
    if (archive != NULL) {
        if (outcome != ARCHIVE_OK && outcome != ARCHIVE_EOF) {
            const char *text = archive_error_string(archive);
            set_trouble(unpacking, text != NULL ? text : "cannot be decompressed");
        }
        archive_read_free(archive);
    }
}

struct gzip_taker {
    struct unpacking *unpacking;
    struct cw_error *err;
};

static bool take_gzip(void *context, const uint8_t *bytes, size_t size)
{
    const struct gzip_taker *taker = context;
    return take(taker->unpacking, bytes, size, taker->err);
}

static void unpack_gzip(struct unpacking *unpacking, struct cw_error *err)
{
    struct gzip_taker taker = {.unpacking = unpacking, .err = err};
    const char *trouble = cw_gzip_unpack(unpacking->source, take_gzip, &taker);
    if (trouble != NULL) {
        set_trouble(unpacking, trouble);
    }
}

/* For less than a whole ELF header. */
static enum cw_status check_little(struct unpacking *unpacking, struct cw_error *err)
{
    if (unpacking->first_bytes == 0 && unpacking->unpacked.trouble[0] != '\0') {
        const char *name = cw_packing_name(unpacking->unpacked.packing);
        return cw_error_set(err,
                            CW_ERROR_FORMAT,
                            "nothing of it can be read (%s%s%.80s): %.100s",
                            name != NULL ? name : "",
                            name != NULL ? ": " : "",
                            unpacking->unpacked.trouble,
                            unpacking->path);
    }
    (void)check_first(unpacking, true, err);
    return unpacking->status;
}

enum cw_status cw_unpack(struct cw_source *source,
                         const char *path,
                         struct cw_scratch *scratch,
                         struct cw_unpacked *ret_unpacked,
                         struct cw_error *err)
{
    struct unpacking unpacking = {.source = source, .path = path, .scratch = scratch};
    size_t size;
    const uint8_t *first = cw_source_peek(source, &size);
    const struct packing *packing = find_packing(first, size);
    if (packing != NULL) {
        unpacking.unpacked.packing = packing->packing;
        source->phase = "unpacking";
        if (packing->packing == CW_PACKING_GZIP) {
            unpack_gzip(&unpacking, err);
        } else {
            unpack_archive(packing, &unpacking, err);
        }
    } else {
        copy_plain(&unpacking, err);
    }
    if (source->is_cancelled) {
        return cw_error_set(err, CW_ERROR_CANCELLED, "interrupted: nothing to show yet");
    }
    if (source->os_error != 0) {
        set_trouble(&unpacking, strerrordesc_np(source->os_error));
    }
    if (!unpacking.is_core && unpacking.status == CW_OK) {
        unpacking.status = check_little(&unpacking, err);
    }
    if (unpacking.status == CW_OK) {
        unpacking.unpacked.packed_bytes = source->read_bytes;
        *ret_unpacked = unpacking.unpacked;
    }
    return unpacking.status;
}
