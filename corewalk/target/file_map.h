/*
 * Files as memory. A hole of a sparse file reads as zeros, but through the file's mapping each of
 * its pages costs a page of the system's cache, which is cleared first: a small compressed core may
 * unpack to hundreds of GiB of them. Large holes are mapped as memory without a file instead, where
 * all pages are the same one.
 */
#pragma once

#include <stddef.h>

#include "base/error.h"

/*
 * The file's first `size` bytes, read-only; munmap releases them. `size` is not 0 and not beyond
 * the file's end. The position of the file stays. False: errno tells.
 */
bool cw_file_map(int file, size_t size, void **ret_data);
