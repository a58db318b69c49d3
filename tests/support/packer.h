/* Compresses bytes in memory, by libarchive's writer, for tests and seeds. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/*
 * `filter`: "zstd", "lz4", "xz", "gzip". The result is malloc's; NULL when this libarchive cannot.
 */
uint8_t *packer_pack(const char *filter, const uint8_t *bytes, size_t size, size_t *ret_size);
