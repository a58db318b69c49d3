/*
 * A file without a name, in which unpacked or piped input is gathered until it can be mapped. It
 * is gone with its descriptor, however the process ends. Blocks of zeros become holes, which take
 * no room.
 */
#pragma once

#include "base/error.h"

struct cw_scratch {
    int file;               /* -1: none */
    uint64_t size_bytes;    /* appended so far */
    uint64_t stored_bytes;  /* of these, not in holes */
    uint64_t limit_bytes;   /* of stored_bytes */
    uint64_t largest_bytes; /* of size_bytes: 4 * limit_bytes or 64 GiB, if the system lets it be */
    int os_error;           /* why the last append failed; 0: a limit was reached */
};

/*
 * `folder` NULL: $TMPDIR, else /var/tmp, else /tmp. `limit_bytes` 0: what is free in the file
 * system, less a reserve for others. CW_ERROR_IO: no file can be made there, or there is no room.
 */
enum cw_status cw_scratch_open(const char *folder,
                               uint64_t limit_bytes,
                               struct cw_scratch *ret_scratch,
                               struct cw_error *err);

/* False when not all of it has room; what has is kept. */
bool cw_scratch_append(struct cw_scratch *scratch, const uint8_t *bytes, size_t size);

/* Maps what was appended, read-only; *ret_data is NULL when that is nothing. */
enum cw_status cw_scratch_map(const struct cw_scratch *scratch,
                              void **ret_data,
                              struct cw_error *err);

/* Mappings stay. Also legal on one that is closed. */
void cw_scratch_close(struct cw_scratch *scratch);
