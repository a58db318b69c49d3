/* Compressing. */
#include "support/packer.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdlib.h>

enum { ROOM_BYTES = 1 << 20 };

static int write_raw(struct archive *archive, const uint8_t *bytes, size_t size)
{
    struct archive_entry *entry = archive_entry_new();
    archive_entry_set_filetype(entry, AE_IFREG);
    int outcome = archive_write_header(archive, entry);
    if (outcome == ARCHIVE_OK && archive_write_data(archive, bytes, size) != (la_ssize_t)size) {
        outcome = ARCHIVE_FATAL;
    }
    archive_entry_free(entry);
    return outcome;
}

uint8_t *packer_pack(const char *filter, const uint8_t *bytes, size_t size, size_t *ret_size)
{
    size_t room = ROOM_BYTES + 2 * size;
    uint8_t *packed = malloc(room);
    struct archive *archive = archive_write_new();
    int outcome = packed != NULL && archive != NULL ? ARCHIVE_OK : ARCHIVE_FATAL;
    if (outcome == ARCHIVE_OK) {
        outcome = archive_write_add_filter_by_name(archive, filter);
    }
    if (outcome == ARCHIVE_OK) {
        archive_write_set_format_raw(archive);
        archive_write_set_bytes_per_block(archive, 0);
        outcome = archive_write_open_memory(archive, packed, room, ret_size);
    }
    if (outcome == ARCHIVE_OK) {
        outcome = write_raw(archive, bytes, size);
    }
    if (outcome == ARCHIVE_OK) {
        outcome = archive_write_close(archive);
    }
    archive_write_free(archive);
    if (outcome != ARCHIVE_OK) {
        free(packed);
        return NULL;
    }
    return packed;
}
