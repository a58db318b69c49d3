/*
 * Text that people read: escaping of strings from the target, and sizes.
 *
 * Whatever came from the target or its files goes through an escape before it reaches an error, a
 * note or a report: a hostile core can name a symbol with terminal control sequences in it.
 */
#pragma once

#include "base/arena.h"

/*
 * Copies `text` to `buffer` (always terminated, cut to fit) with every byte outside printable
 * ASCII, and the backslash, as \xNN. Returns the length written.
 */
size_t cw_text_escape(const char *text, char *buffer, size_t buffer_bytes);

/* The same into an arena, whole. NULL when out of memory. */
char *cw_text_escape_copy(struct cw_arena *arena, const char *text);

/*
 * A size for people: "0 B", "17 B", "1.0 KiB", "9.4 GiB"; three or four significant digits,
 * never rounded up to the next unit's 1024. `buffer` takes at least CW_SIZE_TEXT bytes.
 */
#define CW_SIZE_TEXT 24
const char *cw_text_size(uint64_t bytes, char *buffer);

/* A count with thousands separators: "12,345,678". `buffer` takes at least CW_COUNT_TEXT bytes. */
#define CW_COUNT_TEXT 32
const char *cw_text_count(uint64_t count, char *buffer);

/*
 * Reads a size as people type it: "4096", "0x1000", "64k", "1.5G", "2GiB" (1024-based). False
 * when it is none, or does not fit.
 */
bool cw_text_parse_size(const char *text, uint64_t *ret_bytes);

/* Reads an address: "0x7f…", "7f…" (hexadecimal also without the prefix). */
bool cw_text_parse_address(const char *text, cw_addr *ret_address);
