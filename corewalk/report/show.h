/*
 * Cells as people read them, and fitting their texts into columns. Everything is ASCII, so a byte
 * is a column.
 */
#pragma once

#include "report/model.h"

/* Enough for every cell that is not a text or a list. */
#define CW_SHOW_BYTES 48

/* Bytes, counts, shares, times: aligned to the right. */
bool cw_show_is_number(const struct cw_cell *cell);

/*
 * The cell as text: the cell's own, "" when it is absent, or written to `buffer` (at least
 * CW_SHOW_BYTES). Lists are joined by ", "; one that does not fit ends in "...".
 */
const char *cw_show_cell(const struct cw_cell *cell,
                         unsigned flags,
                         char *buffer,
                         size_t buffer_bytes);

/* The same, whole, in an arena. NULL when out of memory. */
const char *cw_show_cell_copy(const struct cw_cell *cell, unsigned flags, struct cw_arena *arena);

/*
 * Cuts `text` to `width` columns by taking out of its middle: "std::map<std::string, Sess...r>".
 * Returns `text` itself where it fits, else `buffer` (width + 1 bytes).
 */
const char *cw_show_cut(const char *text, size_t width, char *buffer);

/* A part of a text. */
struct cw_slice {
    const char *start;
    size_t length;
};

/*
 * Takes the next line of at most `width` (not 0) columns off *rest: broken at a blank, but not
 * between a number and its unit; a word that is longer than the line is broken at a joint. False at
 * the end.
 */
bool cw_show_next_line(const char **rest, size_t width, struct cw_slice *ret_line);
