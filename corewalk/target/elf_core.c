/*
 * ELF headers by cursor. The two word sizes differ in the width of words and in the place of
 * p_flags only:
 *
 *     64: type flags offset vaddr paddr filesz memsz align
 *     32: type       offset vaddr paddr filesz memsz flags align
 */
#include "target/elf_core.h"

#include <elf.h>

#include "base/checked.h"
#include "base/cursor.h"
#include "target/format.h"

struct elf_header {
    uint64_t headers_off;
    uint64_t sections_off;
    uint16_t header_bytes;
    uint16_t header_count;
    uint16_t section_count;
};

static struct elf_header read_elf_header(struct cw_cursor *cursor)
{
    struct elf_header header;
    cw_cursor_seek(cursor, EI_NIDENT);
    cw_cursor_skip(cursor, 2 + 2 + 4); /* e_type, e_machine, e_version */
    (void)cw_cursor_word(cursor);      /* e_entry */
    header.headers_off = cw_cursor_word(cursor);
    header.sections_off = cw_cursor_word(cursor);
    cw_cursor_skip(cursor, 4 + 2); /* e_flags, e_ehsize */
    header.header_bytes = cw_cursor_u16(cursor);
    header.header_count = cw_cursor_u16(cursor);
    cw_cursor_skip(cursor, 2); /* e_shentsize */
    header.section_count = cw_cursor_u16(cursor);
    return header;
}

struct cw_program_header cw_elf_core_header(const struct cw_elf_core *core, uint64_t index)
{
    struct cw_cursor cursor = cw_cursor_make(core->data, core->size, core->word_bytes);
    struct cw_program_header header = {0};
    cw_cursor_seek(&cursor, core->headers_off + index * core->header_bytes);
    header.type = cw_cursor_u32(&cursor);
    if (core->word_bytes == 8) {
        header.flags = cw_cursor_u32(&cursor);
    }
    header.offset = cw_cursor_word(&cursor);
    header.address = cw_cursor_word(&cursor);
    (void)cw_cursor_word(&cursor); /* p_paddr */
    header.file_bytes = cw_cursor_word(&cursor);
    header.memory_bytes = cw_cursor_word(&cursor);
    if (core->word_bytes == 4) {
        header.flags = cw_cursor_u32(&cursor);
    }
    header.alignment = cw_cursor_word(&cursor);
    return header;
}

/* sh_info of section 0 holds the count when e_phnum says PN_XNUM. 0: the section is not there. */
static uint64_t count_in_section_zero(const struct cw_elf_core *core, uint64_t sections_off)
{
    struct cw_cursor cursor = cw_cursor_make(core->data, core->size, core->word_bytes);
    if (sections_off == 0 || sections_off >= core->size) {
        return 0;
    }
    cw_cursor_seek(&cursor, sections_off);
    cw_cursor_skip(&cursor, 4 + 4);                        /* sh_name, sh_type */
    cw_cursor_skip(&cursor, (size_t)4 * core->word_bytes); /* sh_flags … sh_size */
    (void)cw_cursor_u32(&cursor);                          /* sh_link */
    return cw_cursor_u32(&cursor);
}

/*
 * How many program headers there are before the first byte that one of them calls its content:
 * kernel and gdb both write contents right behind the table. The kernel puts section 0 at the
 * very end, where a truncated file has lost it.
 */
static uint64_t count_before_content(const struct cw_elf_core *core, uint64_t fitting_count)
{
    uint64_t count = fitting_count;
    for (uint64_t i = 0; i < count; i++) {
        struct cw_program_header header = cw_elf_core_header(core, i);
        if (header.file_bytes > 0 && header.offset > core->headers_off) {
            count = cw_min(count, (header.offset - core->headers_off) / core->header_bytes);
        }
    }
    return count;
}

static enum cw_status find_headers(struct cw_elf_core *core,
                                   const struct elf_header *header,
                                   const char *path,
                                   struct cw_error *err)
{
    uint64_t wanted_bytes = core->word_bytes == 8 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);
    if (header->header_count == 0 || header->header_bytes != wanted_bytes) {
        return cw_error_set(err,
                            CW_ERROR_FORMAT,
                            "damaged ELF header, it declares %u program headers of %u bytes: "
                            "%.100s",
                            header->header_count,
                            header->header_bytes,
                            path);
    }
    core->headers_off = header->headers_off;
    core->header_bytes = wanted_bytes;
    uint64_t left = header->headers_off < core->size ? core->size - header->headers_off : 0;
    uint64_t fitting_count = left / wanted_bytes;
    if (fitting_count == 0) {
        return cw_error_set(err,
                            CW_ERROR_FORMAT,
                            "cut off before its first program header (%zu bytes): %.100s",
                            core->size,
                            path);
    }
    core->declared_count = header->header_count;
    if (header->header_count == PN_XNUM) {
        core->declared_count = count_in_section_zero(core, header->sections_off);
    }
    core->header_count = core->declared_count != 0 ? cw_min(core->declared_count, fitting_count)
                                                   : count_before_content(core, fitting_count);
    return CW_OK;
}

enum cw_status cw_elf_core_parse(const uint8_t *data,
                                 size_t size,
                                 const char *path,
                                 struct cw_elf_core *ret_core,
                                 struct cw_error *err)
{
    enum cw_status status = cw_format_check(data, size, path, err);
    if (status != CW_OK) {
        return status;
    }
    struct cw_elf_core core = {
        .data = data,
        .size = size,
        .arch = cw_format_arch(data, size),
        .word_bytes = data[EI_CLASS] == ELFCLASS64 ? 8 : 4,
    };
    struct cw_cursor cursor = cw_cursor_make(data, size, core.word_bytes);
    struct elf_header header = read_elf_header(&cursor);
    if (cursor.failed) {
        return cw_error_set(
            err, CW_ERROR_FORMAT, "cut off within its ELF header (%zu bytes): %.100s", size, path);
    }
    core.is_from_debugger = header.section_count > 0 && header.header_count != PN_XNUM;
    status = find_headers(&core, &header, path, err);
    if (status == CW_OK) {
        *ret_core = core;
    }
    return status;
}
