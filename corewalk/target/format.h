/* Says what a file is that is not a core we read, and what its owner can do about it. */
#pragma once

#include "target/target.h"

/*
 * CW_OK when the bytes begin like an ELF core of a machine that is read. Else the status and text
 * of the refusal.
 */
enum cw_status cw_format_check(const uint8_t *data,
                               size_t size,
                               const char *path,
                               struct cw_error *err);

/* The machine that the header names, CW_ARCH_UNKNOWN for one that is not read. */
enum cw_arch cw_format_arch(const uint8_t *data, size_t size);
