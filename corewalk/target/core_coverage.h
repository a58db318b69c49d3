/* What a core file does not hold, as notes for the report. */
#pragma once

#include "target/core_notes.h"
#include "target/elf_core.h"

/* Sums up target->missing_bytes and writes every coverage note about the file. */
void cw_core_coverage(struct cw_target *target,
                      const struct cw_elf_core *core,
                      const struct cw_core_notes *notes,
                      uint64_t odd_count,
                      struct cw_notes *coverage);
