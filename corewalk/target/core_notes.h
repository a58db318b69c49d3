/* What the notes of a core file say about the process (PT_NOTE), gathered while they are read. */
#pragma once

#include "base/vector.h"
#include "target/elf_core.h"

struct cw_core_notes {
    struct cw_vector threads;  /* struct cw_thread, in the dumper's order */
    struct cw_vector mappings; /* struct cw_mapping, as written; paths lie in the file */
    uint32_t pid;
    char program[16];
    uint64_t auxv[64];      /* by type; 0: not there */
    uint64_t damaged_count; /* notes and entries that lie about their size */
    uint64_t cut_bytes;     /* of notes, beyond the end of a truncated file */
    uint64_t read_bytes;    /* never more than the file has, however often it repeats itself */
    bool is_seen;           /* there was a note at all */
    bool has_files;         /* NT_FILE was there */
    bool has_auxv;
};

void cw_core_notes_init(struct cw_core_notes *notes, struct cw_budget *budget);
void cw_core_notes_deinit(struct cw_core_notes *notes);

/* Reads one PT_NOTE. CW_ERROR_MEMORY is the only failure: damage is counted. */
enum cw_status cw_core_notes_read(struct cw_core_notes *notes,
                                  const struct cw_elf_core *core,
                                  const struct cw_program_header *header,
                                  struct cw_error *err);

/* A signal whose default action dumps core (signal(7)). */
bool cw_signal_dumps_core(uint32_t signal);
