/* Bringing lists of segments and mappings in order: sorted, and without overlap. */
#pragma once

#include "base/error.h"
#include "base/vector.h"
#include "target/target.h"

/*
 * Copies the vector's segments (mappings) into the arena, sorted by address. Empty ones are left
 * out; what passes the top of the target's address space (its word_bytes are read), or reaches into
 * one that starts before, is cut away. *ret_cut_count says how many had to be cut or dropped for
 * that.
 */
enum cw_status cw_segments_normalise(const struct cw_vector *raw,
                                     struct cw_arena *arena,
                                     struct cw_target *target,
                                     uint64_t *ret_cut_count,
                                     struct cw_error *err);
enum cw_status cw_mappings_normalise(const struct cw_vector *raw,
                                     struct cw_arena *arena,
                                     struct cw_target *target,
                                     uint64_t *ret_cut_count,
                                     struct cw_error *err);

/*
 * Gives each part of a mapping that no segment covers a segment with nothing stored: gdb writes
 * none for file pages that it leaves out, while the kernel does. Both lists are in order.
 */
enum cw_status cw_segments_fill_from_mappings(struct cw_target *target,
                                              struct cw_arena *arena,
                                              struct cw_error *err);
