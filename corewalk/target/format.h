/* Says what a file is that is not a core we read, and what its owner can do about it. */
#pragma once

#include "base/error.h"

/*
 * CW_OK when the bytes begin like an ELF core of a machine that is read. Else the status and text
 * of the refusal.
 */
enum cw_status cw_format_check(const uint8_t *data,
                               size_t size,
                               const char *path,
                               struct cw_error *err);
