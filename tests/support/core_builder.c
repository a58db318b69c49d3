/*
 * The core builder: collects segments, mappings and threads, and lays them out as the kernel does.
 *
 *     ELF header │ program headers │ notes │ segments, each on a page │ section 0 (PN_XNUM only)
 *                 PT_NOTE, PT_LOAD…
 *
 * The notes come as fs/binfmt_elf.c of Linux writes them: NT_PRSTATUS of the dumping thread,
 * NT_PRPSINFO, NT_SIGINFO, NT_AUXV, NT_FILE, then NT_PRSTATUS of each other thread. A thread
 * pointer that is no register has a note of its own behind those of its thread.
 */
#include "support/core_builder.h"

#include <elf.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PAGE_BYTES = 4096,
    SIGINFO_BYTES = 128,
    NO_REGISTER = -1,
    I386_GS_REGISTER = 10,
    I386_TLS_ENTRY = 12, /* the first one that a 64-bit kernel has for thread pointers */
};

/* Where struct elf_prstatus and elf_prpsinfo of a machine keep what we fill in. */
struct layout {
    enum cw_arch arch;
    uint16_t machine;
    unsigned word_bytes;
    size_t prstatus_bytes;
    size_t pid_off;
    size_t registers_off;
    int pc_register;
    int sp_register;
    int tp_register;
    size_t prpsinfo_bytes;
    size_t prpsinfo_pid_off;
    size_t program_off;
};

static const struct layout layouts[] = {
    {CW_ARCH_X86_64, EM_X86_64, 8, 336, 32, 112, 16, 19, 21, 136, 24, 40},
    {CW_ARCH_I386, EM_386, 4, 144, 24, 72, 12, 15, NO_REGISTER, 124, 12, 28},
    {CW_ARCH_AARCH64, EM_AARCH64, 8, 392, 32, 112, 32, 31, NO_REGISTER, 136, 24, 40},
};

enum { SIGNAL_OFF = 12 /* pr_cursig, on all of them */ };

struct segment {
    cw_addr start;
    uint64_t size;
    size_t stored;
    uint32_t protection;
    uint8_t *content;
    size_t data_off;
};

struct mapping {
    cw_addr start;
    uint64_t size;
    uint64_t file_off;
    char *path;
};

struct thread {
    uint32_t tid;
    cw_addr pc;
    cw_addr sp;
    cw_addr tp;
};

struct auxv_entry {
    uint64_t type;
    uint64_t value;
};

struct array {
    void *items;
    size_t count;
    size_t capacity;
};

struct core_builder {
    const struct layout *layout;
    struct array segments; /* struct segment */
    struct array mappings; /* struct mapping */
    struct array threads;  /* struct thread */
    struct array auxv;     /* struct auxv_entry */
    uint16_t signal;       /* of the first thread */
    bool force_xnum;
    struct array file; /* uint8_t */
};

static void misuse(const char *what)
{
    fprintf(stderr, "core builder: %s\n", what);
    abort();
}

static void *allocate(size_t bytes)
{
    void *memory = calloc(1, bytes == 0 ? 1 : bytes);
    if (memory == NULL) {
        misuse("out of memory");
    }
    return memory;
}

/* `count` zeroed new items at the end. */
static void *extend(struct array *array, size_t item_bytes, size_t count)
{
    size_t needed = array->count + count;
    if (needed > array->capacity) {
        size_t capacity = needed * 2;
        void *items = realloc(array->items, capacity * item_bytes);
        if (items == NULL) {
            misuse("out of memory");
        }
        array->items = items;
        array->capacity = capacity;
    }
    void *place = (char *)array->items + array->count * item_bytes;
    memset(place, 0, count * item_bytes);
    array->count = needed;
    return place;
}

struct core_builder *core_builder_create(enum cw_arch arch)
{
    struct core_builder *builder = allocate(sizeof *builder);
    builder->signal = SIGABRT;
    for (size_t i = 0; i < sizeof layouts / sizeof layouts[0]; i++) {
        if (layouts[i].arch == arch) {
            builder->layout = &layouts[i];
        }
    }
    if (builder->layout == NULL) {
        misuse("unknown machine");
    }
    return builder;
}

void core_builder_destroy(struct core_builder *builder)
{
    struct segment *segments = builder->segments.items;
    for (size_t i = 0; i < builder->segments.count; i++) {
        free(segments[i].content);
    }
    struct mapping *mappings = builder->mappings.items;
    for (size_t i = 0; i < builder->mappings.count; i++) {
        free(mappings[i].path);
    }
    free(builder->segments.items);
    free(builder->mappings.items);
    free(builder->threads.items);
    free(builder->auxv.items);
    free(builder->file.items);
    free(builder);
}

uint8_t *core_builder_partial_segment(
    struct core_builder *builder, cw_addr start, uint64_t size, size_t stored, uint32_t protection)
{
    struct segment *segment = extend(&builder->segments, sizeof *segment, 1);
    *segment = (struct segment){
        .start = start,
        .size = size,
        .stored = stored,
        .protection = protection,
        .content = allocate(stored),
    };
    return segment->content;
}

uint8_t *core_builder_segment(struct core_builder *builder,
                              cw_addr start,
                              size_t size,
                              uint32_t protection)
{
    return core_builder_partial_segment(builder, start, size, size, protection);
}

void core_builder_mapping(
    struct core_builder *builder, cw_addr start, uint64_t size, uint64_t file_off, const char *path)
{
    struct mapping *mapping = extend(&builder->mappings, sizeof *mapping, 1);
    *mapping = (struct mapping){.start = start, .size = size, .file_off = file_off};
    mapping->path = allocate(strlen(path) + 1);
    memcpy(mapping->path, path, strlen(path));
}

void core_builder_thread(
    struct core_builder *builder, uint32_t tid, cw_addr pc, cw_addr sp, cw_addr tp)
{
    struct thread *thread = extend(&builder->threads, sizeof *thread, 1);
    *thread = (struct thread){.tid = tid, .pc = pc, .sp = sp, .tp = tp};
}

void core_builder_auxv(struct core_builder *builder, uint64_t type, uint64_t value)
{
    struct auxv_entry *entry = extend(&builder->auxv, sizeof *entry, 1);
    *entry = (struct auxv_entry){.type = type, .value = value};
}

void core_builder_signal(struct core_builder *builder, uint16_t signal)
{
    builder->signal = signal;
}

void core_builder_force_xnum(struct core_builder *builder)
{
    builder->force_xnum = true;
}

/* ---- content ----------------------------------------------------------------------------- */

static uint8_t *stored_bytes(const struct core_builder *builder, cw_addr address, size_t size)
{
    const struct segment *segments = builder->segments.items;
    for (size_t i = 0; i < builder->segments.count; i++) {
        const struct segment *segment = &segments[i];
        uint64_t offset = address - segment->start;
        if (address >= segment->start && offset <= segment->stored &&
            size <= segment->stored - offset) {
            return segment->content + offset;
        }
    }
    misuse("an address that no segment stores");
    return NULL;
}

void core_builder_bytes(struct core_builder *builder,
                        cw_addr address,
                        const void *bytes,
                        size_t size)
{
    memcpy(stored_bytes(builder, address, size), bytes, size);
}

void core_builder_word(struct core_builder *builder, cw_addr address, uint64_t value)
{
    core_builder_bytes(builder, address, &value, builder->layout->word_bytes);
}

uint64_t core_builder_get_word(const struct core_builder *builder, cw_addr address)
{
    uint64_t value = 0;
    size_t size = builder->layout->word_bytes;
    memcpy(&value, stored_bytes(builder, address, size), size);
    return value;
}

/* ---- the file ---------------------------------------------------------------------------- */

static void put(struct core_builder *builder, uint64_t value, size_t bytes)
{
    memcpy(extend(&builder->file, 1, bytes), &value, bytes);
}

static void put_word(struct core_builder *builder, uint64_t value)
{
    put(builder, value, builder->layout->word_bytes);
}

static void put_bytes(struct core_builder *builder, const void *bytes, size_t size)
{
    void *place = extend(&builder->file, 1, size);
    if (size > 0) {
        memcpy(place, bytes, size);
    }
}

static void pad_to(struct core_builder *builder, size_t alignment)
{
    size_t past = builder->file.count % alignment;
    (void)extend(&builder->file, 1, past == 0 ? 0 : alignment - past);
}

static size_t header_bytes(const struct core_builder *builder)
{
    return builder->layout->word_bytes == 8 ? sizeof(Elf64_Ehdr) : sizeof(Elf32_Ehdr);
}

static size_t program_header_bytes(const struct core_builder *builder)
{
    return builder->layout->word_bytes == 8 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);
}

static size_t section_header_bytes(const struct core_builder *builder)
{
    return builder->layout->word_bytes == 8 ? sizeof(Elf64_Shdr) : sizeof(Elf32_Shdr);
}

static size_t program_header_count(const struct core_builder *builder)
{
    return builder->segments.count + 1;
}

static bool uses_xnum(const struct core_builder *builder)
{
    return builder->force_xnum || program_header_count(builder) >= PN_XNUM;
}

static void put_elf_header(struct core_builder *builder, uint64_t section_off)
{
    bool is_xnum = uses_xnum(builder);
    unsigned char ident[EI_NIDENT] = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3};
    ident[EI_CLASS] = builder->layout->word_bytes == 8 ? ELFCLASS64 : ELFCLASS32;
    ident[EI_DATA] = ELFDATA2LSB;
    ident[EI_VERSION] = EV_CURRENT;
    put_bytes(builder, ident, sizeof ident);
    put(builder, ET_CORE, 2);
    put(builder, builder->layout->machine, 2);
    put(builder, EV_CURRENT, 4);
    put_word(builder, 0);                           /* e_entry */
    put_word(builder, header_bytes(builder));       /* e_phoff */
    put_word(builder, is_xnum ? section_off : 0);   /* e_shoff */
    put(builder, 0, 4);                             /* e_flags */
    put(builder, header_bytes(builder), 2);         /* e_ehsize */
    put(builder, program_header_bytes(builder), 2); /* e_phentsize */
    put(builder, is_xnum ? PN_XNUM : program_header_count(builder), 2);
    put(builder, is_xnum ? section_header_bytes(builder) : 0, 2); /* e_shentsize */
    put(builder, is_xnum ? 1 : 0, 2);                             /* e_shnum */
    put(builder, 0, 2);                                           /* e_shstrndx */
}

struct program_header {
    uint32_t type;
    uint32_t flags;
    uint64_t offset;
    uint64_t address;
    uint64_t file_size;
    uint64_t memory_size;
};

static void put_program_header(struct core_builder *builder, const struct program_header *header)
{
    bool is_wide = builder->layout->word_bytes == 8;
    put(builder, header->type, 4);
    if (is_wide) {
        put(builder, header->flags, 4);
    }
    put_word(builder, header->offset);
    put_word(builder, header->address);
    put_word(builder, 0); /* p_paddr */
    put_word(builder, header->file_size);
    put_word(builder, header->memory_size);
    if (!is_wide) {
        put(builder, header->flags, 4);
    }
    put_word(builder, header->type == PT_NOTE ? 4 : PAGE_BYTES);
}

static uint32_t segment_flags(uint32_t protection)
{
    return ((protection & CW_PROT_READ) != 0 ? PF_R : 0) |
           ((protection & CW_PROT_WRITE) != 0 ? PF_W : 0) |
           ((protection & CW_PROT_EXEC) != 0 ? PF_X : 0);
}

static void put_program_headers(struct core_builder *builder, size_t notes_off, size_t notes_size)
{
    put_program_header(
        builder,
        &(struct program_header){.type = PT_NOTE, .offset = notes_off, .file_size = notes_size});
    const struct segment *segments = builder->segments.items;
    for (size_t i = 0; i < builder->segments.count; i++) {
        put_program_header(builder,
                           &(struct program_header){
                               .type = PT_LOAD,
                               .flags = segment_flags(segments[i].protection),
                               .offset = segments[i].data_off,
                               .address = segments[i].start,
                               .file_size = segments[i].stored,
                               .memory_size = segments[i].size,
                           });
    }
}

static void put_note_of(
    struct core_builder *builder, const char *owner, uint32_t type, const void *data, size_t size)
{
    put(builder, strlen(owner) + 1, 4);
    put(builder, size, 4);
    put(builder, type, 4);
    put_bytes(builder, owner, strlen(owner) + 1);
    pad_to(builder, 4);
    put_bytes(builder, data, size);
    pad_to(builder, 4);
}

static void put_note(struct core_builder *builder, uint32_t type, const void *data, size_t size)
{
    put_note_of(builder, "CORE", type, data, size);
}

static void put_register(const struct layout *layout,
                         uint8_t *prstatus,
                         int register_index,
                         uint64_t value)
{
    if (register_index != NO_REGISTER) {
        size_t offset = layout->registers_off + (size_t)register_index * layout->word_bytes;
        memcpy(prstatus + offset, &value, layout->word_bytes);
    }
}

/* The thread pointer, where it is no register. Another entry comes before i386's. */
static void put_tls(struct core_builder *builder, cw_addr tp)
{
    if (tp == 0) {
        return;
    }
    if (builder->layout->arch == CW_ARCH_I386) {
        const uint32_t entries[2][4] = {
            {I386_TLS_ENTRY + 1, 0x1000, 0xfffff, 0x51},
            {I386_TLS_ENTRY, (uint32_t)tp, 0xfffff, 0x51},
        };
        put_note_of(builder, "LINUX", NT_386_TLS, entries, sizeof entries);
    } else if (builder->layout->arch == CW_ARCH_AARCH64) {
        put_note_of(builder, "LINUX", NT_ARM_TLS, &tp, sizeof tp);
    }
}

static void put_prstatus(struct core_builder *builder, const struct thread *thread, uint16_t signal)
{
    const struct layout *layout = builder->layout;
    uint8_t prstatus[512] = {0};
    memcpy(prstatus + SIGNAL_OFF, &signal, sizeof signal);
    memcpy(prstatus + layout->pid_off, &thread->tid, sizeof thread->tid);
    put_register(layout, prstatus, layout->pc_register, thread->pc);
    put_register(layout, prstatus, layout->sp_register, thread->sp);
    put_register(layout, prstatus, layout->tp_register, thread->tp);
    if (layout->arch == CW_ARCH_I386) {
        put_register(layout, prstatus, I386_GS_REGISTER, I386_TLS_ENTRY << 3 | 3);
    }
    put_note(builder, NT_PRSTATUS, prstatus, layout->prstatus_bytes);
}

static void put_process(struct core_builder *builder, uint32_t pid)
{
    static const char program[] = "sample";
    const struct layout *layout = builder->layout;
    uint8_t prpsinfo[256] = {0};
    memcpy(prpsinfo + layout->prpsinfo_pid_off, &pid, sizeof pid);
    memcpy(prpsinfo + layout->program_off, program, sizeof program);
    put_note(builder, NT_PRPSINFO, prpsinfo, layout->prpsinfo_bytes);

    uint8_t siginfo[SIGINFO_BYTES] = {(uint8_t)builder->signal};
    put_note(builder, NT_SIGINFO, siginfo, sizeof siginfo);
}

static size_t begin_note(struct core_builder *builder, uint32_t type)
{
    put_note(builder, type, NULL, 0);
    return builder->file.count;
}

static void end_note(struct core_builder *builder, size_t data_off)
{
    uint32_t size = (uint32_t)(builder->file.count - data_off);
    memcpy((uint8_t *)builder->file.items + data_off - 16, &size, sizeof size);
    pad_to(builder, 4);
}

static void put_auxv(struct core_builder *builder)
{
    size_t data_off = begin_note(builder, NT_AUXV);
    const struct auxv_entry *entries = builder->auxv.items;
    for (size_t i = 0; i < builder->auxv.count; i++) {
        put_word(builder, entries[i].type);
        put_word(builder, entries[i].value);
    }
    put_word(builder, AT_NULL);
    put_word(builder, 0);
    end_note(builder, data_off);
}

static void put_files(struct core_builder *builder)
{
    size_t data_off = begin_note(builder, NT_FILE);
    const struct mapping *mappings = builder->mappings.items;
    put_word(builder, builder->mappings.count);
    put_word(builder, PAGE_BYTES);
    for (size_t i = 0; i < builder->mappings.count; i++) {
        put_word(builder, mappings[i].start);
        put_word(builder, mappings[i].start + mappings[i].size);
        put_word(builder, mappings[i].file_off / PAGE_BYTES);
    }
    for (size_t i = 0; i < builder->mappings.count; i++) {
        put_bytes(builder, mappings[i].path, strlen(mappings[i].path) + 1);
    }
    end_note(builder, data_off);
}

static void put_notes(struct core_builder *builder)
{
    const struct thread *threads = builder->threads.items;
    if (builder->threads.count > 0) {
        put_prstatus(builder, &threads[0], builder->signal);
        put_process(builder, threads[0].tid);
    }
    if (builder->auxv.count > 0) {
        put_auxv(builder);
    }
    if (builder->mappings.count > 0) {
        put_files(builder);
    }
    if (builder->threads.count > 0) {
        put_tls(builder, threads[0].tp);
    }
    for (size_t i = 1; i < builder->threads.count; i++) {
        put_prstatus(builder, &threads[i], 0);
        put_tls(builder, threads[i].tp);
    }
}

static void put_section_zero(struct core_builder *builder)
{
    bool is_wide = builder->layout->word_bytes == 8;
    uint8_t header[sizeof(Elf64_Shdr)] = {0};
    uint32_t count = (uint32_t)program_header_count(builder);
    size_t count_off = is_wide ? offsetof(Elf64_Shdr, sh_info) : offsetof(Elf32_Shdr, sh_info);
    memcpy(header + count_off, &count, sizeof count);
    put_bytes(builder, header, section_header_bytes(builder));
}

uint8_t *core_builder_finish(struct core_builder *builder, size_t *ret_size)
{
    size_t notes_off =
        header_bytes(builder) + program_header_count(builder) * program_header_bytes(builder);
    builder->file.count = 0;
    (void)extend(&builder->file, 1, notes_off);
    put_notes(builder);
    size_t notes_size = builder->file.count - notes_off;

    struct segment *segments = builder->segments.items;
    for (size_t i = 0; i < builder->segments.count; i++) {
        if (segments[i].stored > 0) {
            pad_to(builder, PAGE_BYTES);
        }
        segments[i].data_off = builder->file.count;
        put_bytes(builder, segments[i].content, segments[i].stored);
    }
    size_t section_off = builder->file.count;
    if (uses_xnum(builder)) {
        put_section_zero(builder);
    }
    size_t size = builder->file.count;

    /* Every offset is known now: the headers go over the room kept for them. */
    builder->file.count = 0;
    put_elf_header(builder, section_off);
    put_program_headers(builder, notes_off, notes_size);
    builder->file.count = size;
    *ret_size = size;
    return builder->file.items;
}

size_t core_builder_header_off(const struct core_builder *builder, size_t segment_index)
{
    if (segment_index >= builder->segments.count) {
        misuse("no such segment");
    }
    return header_bytes(builder) + (segment_index + 1) * program_header_bytes(builder);
}

size_t core_builder_data_off(const struct core_builder *builder, size_t segment_index)
{
    const struct segment *segments = builder->segments.items;
    if (segment_index >= builder->segments.count) {
        misuse("no such segment");
    }
    return segments[segment_index].data_off;
}
