/*
 * What the front of an ELF file says of how it lies in memory. One parser for both places where
 * these bytes are found, so that they can be compared: the file on disk, and the first mapping of
 * a module in the target (often only its first page: coredump_filter, bit 4).
 */
#pragma once

#include "base/arena.h"
#include "base/cursor.h"
#include "target/target.h"

#define CW_BUILD_ID_LIMIT 32

/* More program headers than any linker makes. */
#define CW_ELF_HEADER_LIMIT 256

struct cw_elf_load {
    uint64_t vaddr;
    uint64_t file_off;
    uint64_t file_bytes;
    uint64_t memory_bytes;
    bool is_writable;
    bool is_executable;
};

struct cw_elf_layout {
    unsigned word_bytes;
    uint16_t machine;          /* EM_* */
    bool has_interpreter;      /* PT_INTERP: dynamically linked */
    bool has_dynamic;          /* PT_DYNAMIC */
    uint64_t dynamic_vaddr;    /* of it */
    bool notes_seen;           /* the bytes of every PT_NOTE were there to be read */
    struct cw_elf_load *loads; /* PT_LOADs by vaddr; their ranges do not wrap */
    size_t load_count;         /* at least 1 */
    const uint8_t *headers;    /* the program header table as it lies in the input */
    size_t headers_bytes;
    uint8_t build_id[CW_BUILD_ID_LIMIT];
    uint32_t build_id_bytes; /* 0: none, or not seen */
};

/* Is this the start of an ELF file? */
bool cw_elf_is_magic(const uint8_t *data, uint64_t size);

/*
 * Reads the layout from the first `size` bytes of a file. False when they are no little-endian ELF
 * file with program headers, the table is not within them, or no PT_LOAD makes sense.
 */
bool cw_elf_layout_read(const uint8_t *data,
                        size_t size,
                        struct cw_arena *arena,
                        struct cw_elf_layout *ret_layout);

/* Does the file fit the target's machine and word size? Unknown machines fit all. */
bool cw_elf_layout_fits(const struct cw_elf_layout *layout, const struct cw_target *target);

/*
 * The bias (address minus vaddr) that a mapping of `file_off` at `start` means: by the first
 * PT_LOAD whose pages hold that offset. False when none does.
 */
bool cw_elf_layout_bias(const struct cw_elf_layout *layout,
                        uint64_t page_bytes,
                        cw_addr start,
                        uint64_t file_off,
                        uint64_t *ret_bias);

/* The PT_LOAD that at this bias maps `file_off` at `start`, or NULL. */
const struct cw_elf_load *cw_elf_layout_load_at(const struct cw_elf_layout *layout,
                                                uint64_t page_bytes,
                                                uint64_t bias,
                                                cw_addr start,
                                                uint64_t file_off);

/* Addresses wrap in the target's word: a 32-bit bias may be "negative". */
cw_addr cw_elf_layout_address(const struct cw_elf_layout *layout, uint64_t bias, uint64_t vaddr);
