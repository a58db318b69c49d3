/*
 * Mapped files of a core that does not name them: qemu-user writes no NT_FILE, and gdb writes its
 * notes last, where a truncated file has lost them. Two other places know:
 *
 *   ELF headers in memory   where segments start (kernel and gdb keep them): extents, build-ids
 *   the dynamic linker      link_map: paths and biases; found by DT_DEBUG of a header's dynamic
 *                           section, else by AT_BASE, which r_debug repeats
 *
 * A module of the list whose header is not in memory gets its extent from its file, if that has
 * its dynamic section where the target does.
 */
#pragma once

#include "image/image.h"

/*
 * Gives a core without mappings those that can be found (sorted, paths as the target has them, or
 * "/[module at 0x...]"), with segments for what the core left out, and notes in `coverage` how they
 * were found. Where the core has no auxiliary vector, auxv_phdr is set, too. Nothing happens to
 * other targets. Before the space is made. CW_ERROR_MEMORY is the only failure.
 */
enum cw_status cw_image_recover_mappings(struct cw_target *target,
                                         const struct cw_image_options *options,
                                         struct cw_arena *arena,
                                         struct cw_notes *coverage,
                                         struct cw_error *err);
