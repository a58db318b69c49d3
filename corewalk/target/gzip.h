/*
 * Unpacks gzip (RFC 1952) by zlib, all members of it, and compares the checksum and the length at
 * the end of each: libarchive's filter skips them.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "target/source.h"

/* False: no more is wanted. */
typedef bool cw_gzip_take(void *context, const uint8_t *bytes, size_t size);

/*
 * To the end of the source, or until `take` wants no more. Returns NULL, or why the rest is missing
 * or what came is wrong (static). When the source fails or is cancelled, its fields tell.
 */
const char *cw_gzip_unpack(struct cw_source *source, cw_gzip_take *take, void *context);
