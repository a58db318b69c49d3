/*
 * Brings input that cannot be mapped as it is (compressed, or from a pipe) into a scratch file.
 * gzip is read by zlib, the others by libarchive, of which nothing but its filters for these three
 * and its "raw" format are used; what they decompress with is not in the session's byte budget.
 * Checksums that the stream has are compared.
 */
#pragma once

#include "target/scratch.h"
#include "target/source.h"

enum cw_packing {
    CW_PACKING_NONE,
    CW_PACKING_ZSTD,
    CW_PACKING_LZ4, /* its frames, and the legacy ones */
    CW_PACKING_XZ,
    CW_PACKING_GZIP,
};

/* By the first bytes, whatever the file is called. */
enum cw_packing cw_packing_of(const uint8_t *bytes, size_t size);

/* "zstd", …; NULL for none. */
const char *cw_packing_name(enum cw_packing packing);

struct cw_unpacked {
    enum cw_packing packing;
    uint64_t packed_bytes; /* that were read of the input */
    bool is_full;          /* the scratch file has no room for more */
    char trouble[200];     /* why the rest is missing, printable ASCII; "": nothing is */
};

/*
 * All of the source goes to the scratch file. A stream that is damaged or cut off, and a scratch
 * file that is full, are no failure: what came before is there, and *ret_unpacked tells. What the
 * core's own headers do not reach is not unpacked.
 *
 * CW_ERROR_FORMAT, CW_ERROR_UNSUPPORTED: the first bytes are those of no core that is read (`path`
 * is for the text), or there are none · CW_ERROR_CANCELLED · CW_ERROR_MEMORY.
 */
enum cw_status cw_unpack(struct cw_source *source,
                         const char *path,
                         struct cw_scratch *scratch,
                         struct cw_unpacked *ret_unpacked,
                         struct cw_error *err);
