/*
 * What the tests of this layer share: a session's objects around a core or the own process, a
 * folder that goes away, and a small ELF file made by hand.
 *
 *   file                                  memory at `base`
 *   0x0000  header, program headers       +0x0000  R X   .text (from 0x1000), .rodata
 *   0x0200  build-id note
 *   0x1000  code and constants
 *   0x2000  data                          +0x3000  RW    .data
 *   0x2800  symbols, strings, sections    +0x4000  RW    .bss, anonymous
 */
#pragma once

#include <elf.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image/image.h"
#include "support/core_builder.h"
#include "support/unit.h"

struct session {
    struct cw_budget budget;
    struct cw_arena arena;
    struct cw_notes notes;
    struct cw_error error;
    struct cw_target target;
    struct cw_space space;
    struct cw_image image;
};

static inline void session_init(struct session *session)
{
    *session = (struct session){.error = CW_ERROR_INIT};
    cw_budget_init(&session->budget, UINT64_MAX);
    cw_arena_init(&session->arena, &session->budget);
    cw_notes_init(&session->notes, &session->arena);
}

/* Everything from the builder's core; the builder must live on. */
static inline enum cw_status session_open(struct session *session,
                                          struct core_builder *builder,
                                          const struct cw_image_options *options)
{
    size_t size;
    const uint8_t *core = core_builder_finish(builder, &size);
    session_init(session);
    enum cw_status status = cw_target_open_core_bytes(core,
                                                      size,
                                                      "test core",
                                                      &session->arena,
                                                      &session->notes,
                                                      &session->target,
                                                      &session->error);
    if (status == CW_OK) {
        status =
            cw_space_create(&session->target, &session->arena, &session->space, &session->error);
    }
    if (status == CW_OK) {
        status = cw_image_create(&session->space,
                                 options,
                                 &session->arena,
                                 &session->notes,
                                 &session->image,
                                 &session->error);
    }
    return status;
}

/* Also says whether every byte of the budget came back. */
static inline void session_close(struct session *session)
{
    cw_image_destroy(&session->image);
    cw_space_destroy(&session->space);
    cw_target_close(&session->target);
    cw_notes_deinit(&session->notes);
    cw_arena_deinit(&session->arena);
    CU_ASSERT_EQUAL(session->budget.used_bytes, 0);
}

static inline const struct cw_note *note_of(const struct session *session, const char *code)
{
    for (size_t i = 0; i < session->notes.items.count; i++) {
        const struct cw_note *note = cw_note_at(&session->notes, i);
        if (strcmp(note->code, code) == 0) {
            return note;
        }
    }
    return NULL;
}

/* Is there such a note, with these words in it? */
static inline bool note_says(const struct cw_note *note, const char *words)
{
    return note != NULL && strstr(note->text, words) != NULL;
}

/* A folder for the files of one test. */
struct folder {
    char path[64];
};

static inline struct folder folder_make(void)
{
    struct folder folder = {.path = "/tmp/corewalk-test-XXXXXX"};
    if (mkdtemp(folder.path) == NULL) {
        abort();
    }
    return folder;
}

static inline int folder_remove_entry(const char *path,
                                      const struct stat *status,
                                      int kind,
                                      struct FTW *place)
{
    (void)status;
    (void)kind;
    (void)place;
    return remove(path);
}

static inline void folder_remove(struct folder *folder)
{
    nftw(folder->path, folder_remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

/* "<folder>/<name>"; the caller frees it. */
static inline char *folder_join(const struct folder *folder, const char *name)
{
    char *path;
    if (asprintf(&path, "%s/%s", folder->path, name) < 0) {
        abort();
    }
    return path;
}

/* Writes a file, its folders too, and returns its path, which the caller frees. */
static inline char *folder_write(const struct folder *folder,
                                 const char *name,
                                 const void *data,
                                 size_t size)
{
    char *path = folder_join(folder, name);
    for (char *slash = path + strlen(folder->path) + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        mkdir(path, 0700);
        *slash = '/';
    }
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(data, 1, size, file) != size || fclose(file) != 0) {
        abort();
    }
    return path;
}

enum {
    ELF_BYTES = 0x3400,
    ELF_NOTE_OFF = 0x200,
    ELF_TEXT_OFF = 0x1000,
    ELF_DATA_OFF = 0x2000,
    ELF_SYMBOLS_OFF = 0x2800,
    ELF_STRINGS_OFF = 0x2c00,
    ELF_SECTIONS_OFF = 0x3000,
    ELF_DATA_VADDR = 0x3000,
    ELF_BSS_VADDR = 0x4000,
    ELF_END_VADDR = 0x6000,
    ELF_LOAD_COUNT = 2,
};

struct elf {
    uint8_t bytes[ELF_BYTES];
    size_t symbol_count;
    size_t string_bytes;
};

static inline Elf64_Ehdr *elf_header(struct elf *elf)
{
    return (Elf64_Ehdr *)(void *)elf->bytes;
}

/* 0: text · 1: data · 2: notes · 3: interpreter */
static inline Elf64_Phdr *elf_program_header(struct elf *elf, size_t index)
{
    return (Elf64_Phdr *)(void *)(elf->bytes + sizeof(Elf64_Ehdr)) + index;
}

/* 1: .text · 2: .rodata · 3: .data · 4: .bss · 5: .symtab · 6: .strtab · 7: .shstrtab · 8: .tbss
   · 9: .note.gnu.build-id · 10: .gnu_debuglink */
static inline Elf64_Shdr *elf_section(struct elf *elf, size_t index)
{
    return (Elf64_Shdr *)(void *)(elf->bytes + ELF_SECTIONS_OFF) + index;
}

static inline void elf_add_symbol(struct elf *elf, const char *name, Elf64_Sym symbol)
{
    Elf64_Sym *symbols = (Elf64_Sym *)(void *)(elf->bytes + ELF_SYMBOLS_OFF);
    symbol.st_name = (Elf64_Word)elf->string_bytes;
    symbols[elf->symbol_count++] = symbol;
    char *end = stpcpy((char *)elf->bytes + ELF_STRINGS_OFF + elf->string_bytes, name);
    elf->string_bytes = (size_t)((uint8_t *)end + 1 - (elf->bytes + ELF_STRINGS_OFF));
    elf_section(elf, 5)->sh_size = elf->symbol_count * sizeof(Elf64_Sym);
    elf_section(elf, 6)->sh_size = elf->string_bytes;
}

static inline void elf_set_build_id(struct elf *elf, uint8_t fill)
{
    memset(elf->bytes + ELF_NOTE_OFF + 16, fill, 20);
}

static inline void elf_make_headers(struct elf *elf)
{
    *elf_header(elf) =
        (Elf64_Ehdr){.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
                     .e_type = ET_DYN,
                     .e_machine = EM_X86_64,
                     .e_version = EV_CURRENT,
                     .e_phoff = sizeof(Elf64_Ehdr),
                     .e_shoff = ELF_SECTIONS_OFF,
                     .e_ehsize = sizeof(Elf64_Ehdr),
                     .e_phentsize = sizeof(Elf64_Phdr),
                     .e_phnum = 4,
                     .e_shentsize = sizeof(Elf64_Shdr),
                     .e_shnum = 11,
                     .e_shstrndx = 7};
    *elf_program_header(elf, 0) = (Elf64_Phdr){.p_type = PT_LOAD,
                                               .p_flags = PF_R | PF_X,
                                               .p_filesz = 0x2000,
                                               .p_memsz = 0x2000,
                                               .p_align = 0x1000};
    *elf_program_header(elf, 1) = (Elf64_Phdr){.p_type = PT_LOAD,
                                               .p_flags = PF_R | PF_W,
                                               .p_offset = ELF_DATA_OFF,
                                               .p_vaddr = ELF_DATA_VADDR,
                                               .p_filesz = 0x800,
                                               .p_memsz = 0x2400,
                                               .p_align = 0x1000};
    *elf_program_header(elf, 2) = (Elf64_Phdr){.p_type = PT_NOTE,
                                               .p_flags = PF_R,
                                               .p_offset = ELF_NOTE_OFF,
                                               .p_vaddr = ELF_NOTE_OFF,
                                               .p_filesz = 36,
                                               .p_memsz = 36,
                                               .p_align = 4};
    *elf_program_header(elf, 3) = (Elf64_Phdr){.p_type = PT_INTERP};
}

static inline void elf_make_sections(struct elf *elf)
{
    static const char names[] = "\0.text\0.rodata\0.data\0.bss\0.symtab\0.strtab\0.shstrtab\0"
                                ".tbss\0.note.gnu.build-id\0.gnu_debuglink";
    static const Elf64_Shdr sections[] = {
        {.sh_type = SHT_NULL},
        {1, SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR, 0x1000, 0x1000, 0x800, 0, 0, 16, 0},
        {7, SHT_PROGBITS, SHF_ALLOC, 0x1800, 0x1800, 0x800, 0, 0, 16, 0},
        {15, SHT_PROGBITS, SHF_ALLOC | SHF_WRITE, 0x3000, 0x2000, 0x800, 0, 0, 16, 0},
        {21, SHT_NOBITS, SHF_ALLOC | SHF_WRITE, 0x3800, 0x2800, 0x1c00, 0, 0, 16, 0},
        {26, SHT_SYMTAB, 0, 0, ELF_SYMBOLS_OFF, 0, 6, 1, 8, sizeof(Elf64_Sym)},
        {34, SHT_STRTAB, 0, 0, ELF_STRINGS_OFF, 0, 0, 0, 1, 0},
        {42, SHT_STRTAB, 0, 0, 0x2f00, sizeof names, 0, 0, 1, 0},
        {52, SHT_NOBITS, SHF_ALLOC | SHF_WRITE | SHF_TLS, 0x3400, 0x2400, 0x100, 0, 0, 8, 0},
        {58, SHT_NOTE, SHF_ALLOC, ELF_NOTE_OFF, ELF_NOTE_OFF, 36, 0, 0, 4, 0},
        {77, SHT_PROGBITS, 0, 0, 0x2fa0, 0, 0, 0, 4, 0},
    };
    memcpy(elf->bytes + 0x2f00, names, sizeof names);
    memcpy(elf->bytes + ELF_SECTIONS_OFF, sections, sizeof sections);
}

/* With a build-id of bytes 0xab, and no symbols. */
static inline struct elf *elf_make(void)
{
    struct elf *elf = calloc(1, sizeof *elf);
    if (elf == NULL) {
        abort();
    }
    elf_make_headers(elf);
    elf_make_sections(elf);
    static const uint8_t note[16] = {
        4, 0, 0, 0, 20, 0, 0, 0, NT_GNU_BUILD_ID, 0, 0, 0, 'G', 'N', 'U'};
    memcpy(elf->bytes + ELF_NOTE_OFF, note, sizeof note);
    elf_set_build_id(elf, 0xab);
    memset(elf->bytes + ELF_TEXT_OFF, 0xc3, 0x800);
    memset(elf->bytes + ELF_TEXT_OFF + 0x800, 'r', 0x800);
    memset(elf->bytes + ELF_DATA_OFF, 'd', 0x800);
    elf_add_symbol(elf, "", (Elf64_Sym){0});
    return elf;
}

/* How much of the text segment the core holds. */
enum shown { SHOWN_NOTHING = 0, SHOWN_PAGE = 0x1000, SHOWN_ALL = 0x2000 };

/* Puts the file into a core as if it had been loaded; adds three segments. */
static inline void elf_load(const struct elf *elf,
                            struct core_builder *builder,
                            cw_addr base,
                            enum shown shown,
                            const char *path)
{
    uint8_t *text = core_builder_partial_segment(
        builder, base, 0x2000, (size_t)shown, CW_PROT_READ | CW_PROT_EXEC);
    if (shown != SHOWN_NOTHING) {
        memcpy(text, elf->bytes, (size_t)shown);
    }
    uint32_t protection = CW_PROT_READ | CW_PROT_WRITE;
    uint8_t *data = core_builder_segment(builder, base + ELF_DATA_VADDR, 0x1000, protection);
    memcpy(data, elf->bytes + ELF_DATA_OFF, 0x800);
    core_builder_segment(builder, base + ELF_BSS_VADDR, 0x2000, protection);
    core_builder_mapping(builder, base, 0x2000, 0, path);
    core_builder_mapping(builder, base + ELF_DATA_VADDR, 0x1000, ELF_DATA_OFF, path);
}
