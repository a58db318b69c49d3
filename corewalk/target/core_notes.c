/*
 * Notes of a core file. Each is
 *
 *     namesz descsz type │ name, padded to 4 │ desc, padded to 4
 *
 * with 32-bit numbers on every machine. The structs inside follow <sys/procfs.h> of the target's
 * machine (fs/binfmt_elf.c of Linux fills them, gdb's linux-tdep.c imitates it).
 */
#include "target/core_notes.h"

#include <elf.h>
#include <string.h>

#include "base/checked.h"
#include "base/cursor.h"

enum {
    NOTE_ALIGNMENT = 4,
    NO_REGISTER = CW_REGISTER_LIMIT,
    USER_DESC_BYTES = 16,
};

/*
 * struct elf_prstatus and struct elf_prpsinfo:
 *
 *     x86_64   0 pr_info  12 pr_cursig  32 pr_pid  112 pr_reg (27 words)         336 bytes
 *              0 pr_state …             24 pr_pid   40 pr_fname (16)  56 pr_psargs   136 bytes
 *     aarch64  the same, with pr_reg of 34 words: x0 … x30, sp, pc, pstate       392 bytes
 *     i386     0 pr_info  12 pr_cursig  24 pr_pid   72 pr_reg (17 words)         144 bytes
 *              0 pr_state …             12 pr_pid   28 pr_fname (16)  44 pr_psargs   124 bytes
 *
 * The order of pr_reg is struct user_regs_struct's (arch/x86/include/asm/user_64.h, user_32.h). A
 * 64-bit kernel writes a 32-bit process as a 32-bit one would (fs/compat_binfmt_elf.c), and gdb
 * the same, but with no note of the thread pointer.
 */
struct layout {
    enum cw_arch arch;
    size_t prstatus_bytes;
    size_t signal_off;
    size_t tid_off;
    size_t registers_off;
    unsigned register_count;
    unsigned pc_register;
    unsigned sp_register;
    unsigned tp_register;
    size_t prpsinfo_bytes;
    size_t pid_off;
    size_t program_off;
};

static const struct layout layouts[] = {
    {CW_ARCH_X86_64, 336, 12, 32, 112, 27, 16, 19, 21, 136, 24, 40},
    {CW_ARCH_I386, 144, 12, 24, 72, 17, 12, 15, NO_REGISTER, 124, 12, 28},
    {CW_ARCH_AARCH64, 392, 12, 32, 112, 34, 32, 31, NO_REGISTER, 136, 24, 40},
};

enum { I386_GS_REGISTER = 10 };

/* Has a row for each machine that cw_elf_core_parse lets through. */
static const struct layout *layout_of(enum cw_arch arch)
{
    const struct layout *layout = layouts;
    while (layout->arch != arch) {
        layout++;
    }
    return layout;
}

enum note_owner {
    OWNER_OTHER,
    OWNER_CORE,  /* what every Unix has */
    OWNER_LINUX, /* registers of one machine */
};

struct note {
    enum note_owner owner;
    uint32_t type;
    const uint8_t *data;
    size_t size;
};

void cw_core_notes_init(struct cw_core_notes *notes, struct cw_budget *budget)
{
    *notes = (struct cw_core_notes){0};
    cw_vector_init(&notes->threads, budget, sizeof(struct cw_thread));
    cw_vector_init(&notes->mappings, budget, sizeof(struct cw_mapping));
}

void cw_core_notes_deinit(struct cw_core_notes *notes)
{
    cw_vector_deinit(&notes->threads);
    cw_vector_deinit(&notes->mappings);
}

bool cw_signal_dumps_core(uint32_t signal)
{
    static const uint8_t signals[] = {3, 4, 5, 6, 7, 8, 11, 24, 25, 31};
    for (size_t i = 0; i < sizeof signals; i++) {
        if (signals[i] == signal) {
            return true;
        }
    }
    return false;
}

static enum cw_status read_prstatus(struct cw_core_notes *notes,
                                    const struct cw_elf_core *core,
                                    const struct note *note,
                                    struct cw_error *err)
{
    const struct layout *layout = layout_of(core->arch);
    if (note->size < layout->prstatus_bytes) {
        notes->damaged_count++;
        return CW_OK;
    }
    struct cw_thread *thread = cw_vector_push(&notes->threads);
    if (thread == NULL) {
        return cw_error_set_memory(err, "the list of threads");
    }
    struct cw_cursor cursor = cw_cursor_make(note->data, note->size, core->word_bytes);
    cw_cursor_seek(&cursor, layout->signal_off);
    thread->signal = cw_cursor_u16(&cursor);
    cw_cursor_seek(&cursor, layout->tid_off);
    thread->tid = cw_cursor_u32(&cursor);
    cw_cursor_seek(&cursor, layout->registers_off);
    thread->register_count = layout->register_count;
    for (unsigned i = 0; i < layout->register_count; i++) {
        thread->registers[i] = cw_cursor_word(&cursor);
    }
    thread->has_registers = true;
    thread->pc = thread->registers[layout->pc_register];
    thread->sp = thread->registers[layout->sp_register];
    if (layout->tp_register != NO_REGISTER) {
        thread->tp = thread->registers[layout->tp_register];
    }
    return CW_OK;
}

/* The thread that the notes between two NT_PRSTATUS belong to, or NULL. */
static struct cw_thread *last_thread(struct cw_core_notes *notes)
{
    size_t count = notes->threads.count;
    return count > 0 ? cw_vector_at(&notes->threads, count - 1) : NULL;
}

/*
 * NT_386_TLS: the thread's entries of the descriptor table (struct user_desc: index, base, limit,
 * flags). The selector in gs names the one that the thread pointer goes through.
 */
static void read_i386_tls(struct cw_core_notes *notes, const struct note *note)
{
    struct cw_thread *thread = last_thread(notes);
    if (thread == NULL) {
        return;
    }
    uint64_t wanted = thread->registers[I386_GS_REGISTER] >> 3;
    struct cw_cursor cursor = cw_cursor_make(note->data, note->size, 4);
    while (cw_cursor_left(&cursor) >= USER_DESC_BYTES) {
        uint32_t index = cw_cursor_u32(&cursor);
        uint32_t base = cw_cursor_u32(&cursor);
        cw_cursor_skip(&cursor, USER_DESC_BYTES - 8);
        if (index == wanted) {
            thread->tp = base;
        }
    }
}

/* NT_ARM_TLS: TPIDR_EL0, and TPIDR2_EL0 behind it where the machine has one. */
static void read_arm_tls(struct cw_core_notes *notes, const struct note *note)
{
    struct cw_thread *thread = last_thread(notes);
    struct cw_cursor cursor = cw_cursor_make(note->data, note->size, 8);
    if (thread != NULL) {
        thread->tp = cw_cursor_u64(&cursor);
    }
}

static void read_prpsinfo(struct cw_core_notes *notes,
                          const struct cw_elf_core *core,
                          const struct note *note)
{
    const struct layout *layout = layout_of(core->arch);
    if (note->size < layout->prpsinfo_bytes) {
        notes->damaged_count++;
        return;
    }
    struct cw_cursor cursor = cw_cursor_make(note->data, note->size, core->word_bytes);
    cw_cursor_seek(&cursor, layout->pid_off);
    notes->pid = cw_cursor_u32(&cursor);
    cw_cursor_seek(&cursor, layout->program_off);
    memcpy(notes->program,
           cw_cursor_bytes(&cursor, sizeof notes->program - 1),
           sizeof notes->program - 1);
}

/*
 * gdb leaves pr_cursig 0 and writes a siginfo behind each thread, with the SIGSTOP of its own
 * attaching in it: only a signal that can have ended the process counts.
 */
static void read_siginfo(struct cw_core_notes *notes, const struct note *note)
{
    struct cw_cursor cursor = cw_cursor_make(note->data, note->size, 4);
    uint32_t signal = cw_cursor_u32(&cursor);
    struct cw_thread *thread = last_thread(notes);
    if (thread != NULL && cw_signal_dumps_core(signal) && thread->signal == 0) {
        thread->signal = signal;
    }
}

static void read_auxv(struct cw_core_notes *notes,
                      const struct cw_elf_core *core,
                      const struct note *note)
{
    struct cw_cursor cursor = cw_cursor_make(note->data, note->size, core->word_bytes);
    if (notes->has_auxv) {
        return;
    }
    notes->has_auxv = true;
    for (;;) {
        uint64_t type = cw_cursor_word(&cursor);
        uint64_t value = cw_cursor_word(&cursor);
        if (cursor.failed || type == AT_NULL) {
            break;
        }
        if (type < sizeof notes->auxv / sizeof notes->auxv[0]) {
            notes->auxv[type] = value;
        }
    }
}

/* One line of NT_FILE. False: it makes no sense. */
static bool read_mapping(struct cw_cursor *numbers,
                         struct cw_cursor *names,
                         uint64_t unit_bytes,
                         struct cw_mapping *ret_mapping)
{
    struct cw_mapping mapping = {.start = cw_cursor_word(numbers)};
    uint64_t end = cw_cursor_word(numbers);
    uint64_t offset = cw_cursor_word(numbers);
    mapping.path = cw_cursor_string(names);
    /* An end of 0 behind something is the top of the address space. */
    if (numbers->failed || names->failed || end - 1 < mapping.start ||
        (mapping.start == 0 && end == 0) || !cw_mul(offset, unit_bytes, &mapping.file_off)) {
        return false;
    }
    mapping.size_bytes = end - mapping.start;
    if (end == 0 && numbers->word_bytes == 4) {
        mapping.size_bytes &= UINT32_MAX;
    }
    *ret_mapping = mapping;
    return true;
}

/*
 * NT_FILE: count, unit of the offsets (the kernel: its page size, gdb: 1), then `count` times
 * start, end, offset, then `count` names, each with its NUL.
 */
static enum cw_status read_files(struct cw_core_notes *notes,
                                 const struct cw_elf_core *core,
                                 const struct note *note,
                                 struct cw_error *err)
{
    if (notes->has_files) {
        return CW_OK;
    }
    notes->has_files = true;
    struct cw_cursor numbers = cw_cursor_make(note->data, note->size, core->word_bytes);
    uint64_t count = cw_cursor_word(&numbers);
    uint64_t unit_bytes = cw_cursor_word(&numbers);
    uint64_t line_bytes = (uint64_t)3 * core->word_bytes;
    if (numbers.failed || count > cw_cursor_left(&numbers) / (line_bytes + 1)) {
        /* Where the names begin is only known by the count: without it nothing here is. */
        notes->damaged_count++;
        return CW_OK;
    }
    struct cw_cursor names = numbers;
    cw_cursor_skip(&names, count * line_bytes);
    for (uint64_t i = 0; i < count; i++) {
        struct cw_mapping mapping;
        if (!read_mapping(&numbers, &names, unit_bytes, &mapping)) {
            notes->damaged_count++;
        } else if (!cw_vector_append(&notes->mappings, &mapping)) {
            return cw_error_set_memory(err, "the list of mapped files");
        }
    }
    return CW_OK;
}

static void read_linux_note(struct cw_core_notes *notes,
                            const struct cw_elf_core *core,
                            const struct note *note)
{
    if (note->type == NT_386_TLS && core->arch == CW_ARCH_I386) {
        read_i386_tls(notes, note);
    } else if (note->type == NT_ARM_TLS && core->arch == CW_ARCH_AARCH64) {
        read_arm_tls(notes, note);
    }
}

static enum cw_status read_core_note(struct cw_core_notes *notes,
                                     const struct cw_elf_core *core,
                                     const struct note *note,
                                     struct cw_error *err)
{
    switch (note->type) {
    case NT_PRSTATUS:
        return read_prstatus(notes, core, note, err);
    case NT_PRPSINFO:
        read_prpsinfo(notes, core, note);
        break;
    case NT_SIGINFO:
        read_siginfo(notes, note);
        break;
    case NT_AUXV:
        read_auxv(notes, core, note);
        break;
    case NT_FILE:
        return read_files(notes, core, note, err);
    default:
        break;
    }
    return CW_OK;
}

static bool is_name(const uint8_t *name, uint32_t name_bytes, const char *expected)
{
    size_t expected_bytes = strlen(expected) + 1;
    return name_bytes == expected_bytes && memcmp(name, expected, expected_bytes) == 0;
}

/* The next note that is whole. False at the end. */
static bool next_note(struct cw_cursor *cursor, struct note *ret_note)
{
    uint32_t name_bytes = cw_cursor_u32(cursor);
    uint32_t data_bytes = cw_cursor_u32(cursor);
    ret_note->type = cw_cursor_u32(cursor);
    const uint8_t *name = cw_cursor_bytes(cursor, name_bytes);
    cw_cursor_align(cursor, NOTE_ALIGNMENT);
    ret_note->data = cw_cursor_bytes(cursor, data_bytes);
    ret_note->size = data_bytes;
    cw_cursor_align(cursor, NOTE_ALIGNMENT);
    if (cursor->failed) {
        return false;
    }
    ret_note->owner = is_name(name, name_bytes, "CORE")    ? OWNER_CORE
                      : is_name(name, name_bytes, "LINUX") ? OWNER_LINUX
                                                           : OWNER_OTHER;
    return true;
}

enum cw_status cw_core_notes_read(struct cw_core_notes *notes,
                                  const struct cw_elf_core *core,
                                  const struct cw_program_header *header,
                                  struct cw_error *err)
{
    uint64_t left = header->offset < core->size ? core->size - header->offset : 0;
    uint64_t held = cw_min(header->file_bytes, left);
    uint64_t cut = header->file_bytes - held;
    notes->cut_bytes += cw_min(cut, UINT64_MAX - notes->cut_bytes);
    if (held == 0) {
        return CW_OK;
    }
    if (held > core->size - notes->read_bytes) {
        notes->damaged_count++;
        return CW_OK;
    }
    notes->read_bytes += held;
    struct cw_cursor cursor = cw_cursor_make(core->data + header->offset, held, core->word_bytes);
    while (cw_cursor_left(&cursor) > 0) {
        struct note note;
        if (!next_note(&cursor, &note)) {
            notes->damaged_count += cut == 0 ? 1 : 0;
            break;
        }
        notes->is_seen = true;
        if (note.owner == OWNER_LINUX) {
            read_linux_note(notes, core, &note);
        }
        enum cw_status status =
            note.owner == OWNER_CORE ? read_core_note(notes, core, &note, err) : CW_OK;
        if (status != CW_OK) {
            return status;
        }
    }
    return CW_OK;
}
