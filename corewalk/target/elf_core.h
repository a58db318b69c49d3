/*
 * The headers of an ELF core file: what kind it is, and its program headers, of both word sizes.
 */
#pragma once

#include "base/error.h"
#include "target/target.h"

struct cw_elf_core {
    const uint8_t *data;
    size_t size;
    enum cw_arch arch;
    unsigned word_bytes;
    uint64_t headers_off;
    uint64_t header_bytes;   /* of one */
    uint64_t declared_count; /* of program headers, as the file says; 0: it is lost */
    uint64_t header_count;   /* that are in the file */
    bool is_from_debugger;   /* it has sections, which the kernel never writes */
};

struct cw_program_header {
    uint32_t type;
    uint32_t flags;
    uint64_t offset;
    uint64_t address;
    uint64_t file_bytes;
    uint64_t memory_bytes;
    uint64_t alignment;
};

/*
 * CW_ERROR_FORMAT: not a core, or cut off before its first program header · CW_ERROR_UNSUPPORTED:
 * compressed, or of another machine. `path` is only for the texts.
 */
enum cw_status cw_elf_core_parse(const uint8_t *data,
                                 size_t size,
                                 const char *path,
                                 struct cw_elf_core *ret_core,
                                 struct cw_error *err);

/* index < header_count. */
struct cw_program_header cw_elf_core_header(const struct cw_elf_core *core, uint64_t index);
