/*
 * The ELF parser over bytes of unknown quality: header, program headers, build-id note.
 *
 *              ELF64  ELF32                    program header   ELF64      ELF32
 *   e_machine   18     18                        p_type          0          0
 *   e_phoff     32     28                        p_flags         4          24
 *   e_phentsize 54     42                        p_offset …      8 16 32 40 4 8 16 20
 *   e_phnum     56     44                        (offset, vaddr, filesz, memsz)
 */
#include "image/elf_layout.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/load.h"

struct program_header {
    uint32_t type;
    uint32_t flags;
    uint64_t file_off;
    uint64_t vaddr;
    uint64_t file_bytes;
    uint64_t memory_bytes;
    uint64_t alignment;
};

bool cw_elf_is_magic(const uint8_t *data, uint64_t size)
{
    return size >= SELFMAG && memcmp(data, ELFMAG, SELFMAG) == 0;
}

static struct program_header read_header(struct cw_cursor *cursor)
{
    struct program_header header = {.type = cw_cursor_u32(cursor)};
    if (cursor->word_bytes == 8) {
        header.flags = cw_cursor_u32(cursor);
    }
    header.file_off = cw_cursor_word(cursor);
    header.vaddr = cw_cursor_word(cursor);
    cw_cursor_skip(cursor, cursor->word_bytes); /* p_paddr */
    header.file_bytes = cw_cursor_word(cursor);
    header.memory_bytes = cw_cursor_word(cursor);
    if (cursor->word_bytes == 4) {
        header.flags = cw_cursor_u32(cursor);
    }
    header.alignment = cw_cursor_word(cursor);
    return header;
}

/* One note's build-id, if it is that. The cursor moves past the note. */
static void read_note(struct cw_cursor *cursor, size_t alignment, struct cw_elf_layout *layout)
{
    uint32_t name_bytes = cw_cursor_u32(cursor);
    uint32_t content_bytes = cw_cursor_u32(cursor);
    uint32_t type = cw_cursor_u32(cursor);
    const uint8_t *name = cw_cursor_bytes(cursor, name_bytes);
    cw_cursor_align(cursor, alignment);
    const uint8_t *content = cw_cursor_bytes(cursor, content_bytes);
    cw_cursor_align(cursor, alignment);
    if (content == NULL || type != NT_GNU_BUILD_ID || name_bytes != sizeof ELF_NOTE_GNU ||
        memcmp(name, ELF_NOTE_GNU, sizeof ELF_NOTE_GNU) != 0 || content_bytes == 0 ||
        content_bytes > CW_BUILD_ID_LIMIT) {
        return;
    }
    memcpy(layout->build_id, content, content_bytes);
    layout->build_id_bytes = content_bytes;
}

static void read_notes(const uint8_t *data,
                       size_t size,
                       const struct program_header *header,
                       struct cw_elf_layout *layout)
{
    if (!cw_range_holds(0, size, header->file_off, header->file_bytes)) {
        layout->notes_seen = false;
        return;
    }
    struct cw_cursor cursor =
        cw_cursor_make(data + header->file_off, header->file_bytes, layout->word_bytes);
    size_t alignment = header->alignment == 8 ? 8 : 4;
    while (layout->build_id_bytes == 0 && !cursor.failed && cw_cursor_left(&cursor) > 0) {
        read_note(&cursor, alignment, layout);
    }
}

/* Ranges of a 32-bit file stay below 4 GiB; no range wraps. */
static bool is_sound_load(const struct program_header *header, unsigned word_bytes)
{
    uint64_t limit = word_bytes == 8 ? UINT64_MAX : UINT32_MAX;
    return header->type == PT_LOAD && header->memory_bytes >= header->file_bytes &&
           cw_range_holds(0, limit, header->vaddr, header->memory_bytes) &&
           cw_range_holds(0, INT64_MAX, header->file_off, header->file_bytes);
}

static int compare_loads(const void *a, const void *b)
{
    const struct cw_elf_load *left = a;
    const struct cw_elf_load *right = b;
    if (left->vaddr != right->vaddr) {
        return left->vaddr < right->vaddr ? -1 : 1;
    }
    return left->file_off < right->file_off ? -1 : left->file_off > right->file_off;
}

static bool read_headers(const uint8_t *data,
                         size_t size,
                         struct cw_arena *arena,
                         struct cw_elf_layout *layout)
{
    size_t entry_bytes = layout->word_bytes == 8 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);
    size_t count = layout->headers_bytes / entry_bytes;
    struct cw_cursor cursor =
        cw_cursor_make(layout->headers, layout->headers_bytes, layout->word_bytes);
    layout->loads = cw_arena_alloc_array(arena, count, sizeof *layout->loads);
    if (layout->loads == NULL) {
        return false;
    }
    layout->notes_seen = true;
    for (size_t i = 0; i < count; i++) {
        struct program_header header = read_header(&cursor);
        if (is_sound_load(&header, layout->word_bytes)) {
            layout->loads[layout->load_count++] =
                (struct cw_elf_load){.vaddr = header.vaddr,
                                     .file_off = header.file_off,
                                     .file_bytes = header.file_bytes,
                                     .memory_bytes = header.memory_bytes,
                                     .is_writable = (header.flags & PF_W) != 0,
                                     .is_executable = (header.flags & PF_X) != 0};
        } else if (header.type == PT_INTERP) {
            layout->has_interpreter = true;
        } else if (header.type == PT_DYNAMIC) {
            layout->has_dynamic = true;
            layout->dynamic_vaddr = header.vaddr;
        } else if (header.type == PT_NOTE) {
            read_notes(data, size, &header, layout);
        }
    }
    if (layout->load_count == 0) {
        return false;
    }
    qsort(layout->loads, layout->load_count, sizeof *layout->loads, compare_loads);
    return true;
}

bool cw_elf_layout_read(const uint8_t *data,
                        size_t size,
                        struct cw_arena *arena,
                        struct cw_elf_layout *ret_layout)
{
    if (!cw_elf_is_magic(data, size) || size < sizeof(Elf32_Ehdr) || data[EI_DATA] != ELFDATA2LSB ||
        (data[EI_CLASS] != ELFCLASS64 && data[EI_CLASS] != ELFCLASS32)) {
        return false;
    }
    struct cw_elf_layout layout = {.word_bytes = data[EI_CLASS] == ELFCLASS64 ? 8 : 4};
    bool is_wide = layout.word_bytes == 8;
    struct cw_cursor cursor = cw_cursor_make(data, size, layout.word_bytes);
    cw_cursor_seek(&cursor, offsetof(Elf64_Ehdr, e_machine));
    layout.machine = cw_cursor_u16(&cursor);
    cw_cursor_seek(&cursor,
                   is_wide ? offsetof(Elf64_Ehdr, e_phoff) : offsetof(Elf32_Ehdr, e_phoff));
    uint64_t table_off = cw_cursor_word(&cursor);
    cw_cursor_seek(&cursor,
                   is_wide ? offsetof(Elf64_Ehdr, e_phentsize) : offsetof(Elf32_Ehdr, e_phentsize));
    uint16_t entry_bytes = cw_cursor_u16(&cursor);
    uint16_t count = cw_cursor_u16(&cursor);
    layout.headers_bytes = (size_t)entry_bytes * count;
    if (cursor.failed || entry_bytes != (is_wide ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr)) ||
        count == 0 || count > CW_ELF_HEADER_LIMIT ||
        !cw_range_holds(0, size, table_off, layout.headers_bytes)) {
        return false;
    }
    layout.headers = data + table_off;
    if (!read_headers(data, size, arena, &layout)) {
        return false;
    }
    *ret_layout = layout;
    return true;
}

bool cw_elf_layout_fits(const struct cw_elf_layout *layout, const struct cw_target *target)
{
    static const uint16_t machines[] = {[CW_ARCH_UNKNOWN] = EM_NONE,
                                        [CW_ARCH_X86_64] = EM_X86_64,
                                        [CW_ARCH_I386] = EM_386,
                                        [CW_ARCH_AARCH64] = EM_AARCH64};
    uint16_t machine = machines[target->arch];
    return layout->word_bytes == target->word_bytes &&
           (machine == EM_NONE || machine == layout->machine);
}

/* The pages of a load in the file. The ranges were checked to stay below INT64_MAX. */
static bool load_has_offset(const struct cw_elf_load *load, uint64_t page_bytes, uint64_t file_off)
{
    uint64_t start = cw_align_down(load->file_off, page_bytes);
    uint64_t end = cw_align_down(load->file_off + load->file_bytes + page_bytes - 1, page_bytes);
    return file_off >= start && file_off < end;
}

/* Unsigned wrap is meant here: biases are differences modulo the word. */
static uint64_t bias_of(const struct cw_elf_layout *layout,
                        const struct cw_elf_load *load,
                        cw_addr start,
                        uint64_t file_off)
{
    uint64_t bias = start - file_off + load->file_off - load->vaddr;
    return layout->word_bytes == 8 ? bias : bias & UINT32_MAX;
}

bool cw_elf_layout_bias(const struct cw_elf_layout *layout,
                        uint64_t page_bytes,
                        cw_addr start,
                        uint64_t file_off,
                        uint64_t *ret_bias)
{
    for (size_t i = 0; i < layout->load_count; i++) {
        if (load_has_offset(&layout->loads[i], page_bytes, file_off)) {
            *ret_bias = bias_of(layout, &layout->loads[i], start, file_off);
            return true;
        }
    }
    return false;
}

const struct cw_elf_load *cw_elf_layout_load_at(const struct cw_elf_layout *layout,
                                                uint64_t page_bytes,
                                                uint64_t bias,
                                                cw_addr start,
                                                uint64_t file_off)
{
    for (size_t i = 0; i < layout->load_count; i++) {
        if (load_has_offset(&layout->loads[i], page_bytes, file_off) &&
            bias_of(layout, &layout->loads[i], start, file_off) == bias) {
            return &layout->loads[i];
        }
    }
    return NULL;
}

cw_addr cw_elf_layout_address(const struct cw_elf_layout *layout, uint64_t bias, uint64_t vaddr)
{
    uint64_t address = bias + vaddr;
    return layout->word_bytes == 8 ? address : address & UINT32_MAX;
}
