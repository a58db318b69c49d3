/* Core files: the bytes of one, whose headers and notes become a target. */
#include <elf.h>
#include <string.h>

#include "base/checked.h"
#include "target/core_coverage.h"
#include "target/segments.h"

enum {
    DEFAULT_PAGE_BYTES = 4096,
    LARGEST_PAGE_BYTES = 1 << 20,
};

static uint32_t protection_of(uint32_t flags)
{
    return ((flags & PF_R) != 0 ? CW_PROT_READ : 0) | ((flags & PF_W) != 0 ? CW_PROT_WRITE : 0) |
           ((flags & PF_X) != 0 ? CW_PROT_EXEC : 0);
}

static struct cw_segment segment_of(const struct cw_elf_core *core,
                                    const struct cw_program_header *header)
{
    struct cw_segment segment = {
        .start = header->address,
        .size_bytes = header->memory_bytes,
        .stored_bytes = cw_min(header->file_bytes, header->memory_bytes),
        .protection = protection_of(header->flags),
    };
    uint64_t left = header->offset < core->size ? core->size - header->offset : 0;
    segment.held_bytes = cw_min(segment.stored_bytes, left);
    if (segment.held_bytes > 0) {
        segment.data = core->data + header->offset;
    }
    return segment;
}

/* Everything that is gathered while the program headers are read. */
struct gathering {
    struct cw_core_notes notes;
    struct cw_vector segments;
    uint64_t odd_count; /* segments that are not what they can be */
    uint64_t alignment; /* that all segments declare, or 0 */
    uint64_t bounds;    /* all starts and sizes, or-ed */
};

static enum cw_status gather(const struct cw_elf_core *core,
                             struct gathering *gathering,
                             struct cw_error *err)
{
    for (uint64_t i = 0; i < core->header_count; i++) {
        struct cw_program_header header = cw_elf_core_header(core, i);
        if (header.type == PT_NOTE) {
            enum cw_status status = cw_core_notes_read(&gathering->notes, core, &header, err);
            if (status != CW_OK) {
                return status;
            }
        } else if (header.type == PT_LOAD) {
            struct cw_segment segment = segment_of(core, &header);
            bool is_first = gathering->segments.count == 0;
            bool is_alike = is_first || gathering->alignment == header.alignment;
            gathering->alignment = is_alike ? header.alignment : 0;
            gathering->bounds |= header.address | header.memory_bytes;
            gathering->odd_count += header.file_bytes > header.memory_bytes ? 1 : 0;
            if (!cw_vector_append(&gathering->segments, &segment)) {
                return cw_error_set_memory(err, "the list of segments");
            }
        }
    }
    return CW_OK;
}

static bool is_page_size(uint64_t bytes)
{
    return cw_is_power_of_two(bytes) && bytes >= DEFAULT_PAGE_BYTES && bytes <= LARGEST_PAGE_BYTES;
}

/*
 * By the auxiliary vector; without one by what the kernel gives as each segment's alignment
 * (ELF_EXEC_PAGESIZE; gdb writes 1), if all segments lie on it. Else the least: what holds for
 * larger pages holds for it.
 */
static uint64_t page_size(const struct gathering *gathering)
{
    uint64_t of_vector = gathering->notes.auxv[AT_PAGESZ];
    if (is_page_size(of_vector)) {
        return of_vector;
    }
    uint64_t declared = gathering->alignment;
    bool is_kept = is_page_size(declared) && (gathering->bounds & (declared - 1)) == 0;
    return of_vector == 0 && is_kept ? declared : DEFAULT_PAGE_BYTES;
}

static void set_auxv(struct cw_target *target, const struct cw_core_notes *notes)
{
    target->auxv_entry = notes->auxv[AT_ENTRY];
    target->auxv_phdr = notes->auxv[AT_PHDR];
    target->auxv_base = notes->auxv[AT_BASE];
    target->auxv_sysinfo_ehdr = notes->auxv[AT_SYSINFO_EHDR];
    target->auxv_random = notes->auxv[AT_RANDOM];
    target->auxv_execfn = notes->auxv[AT_EXECFN];
}

/*
 * The signal that ended the process. A debugger stops a process with SIGTRAP and goes on: in a
 * core of its making that ended nothing.
 */
static uint32_t ending_signal(const struct cw_target *target, const struct cw_elf_core *core)
{
    uint32_t signal = target->thread_count > 0 ? target->threads[0].signal : 0;
    bool is_stop = core->is_from_debugger && signal == 5;
    return cw_signal_dumps_core(signal) && !is_stop ? signal : 0;
}

static enum cw_status set_process(struct cw_target *target,
                                  const struct cw_elf_core *core,
                                  const struct gathering *gathering,
                                  struct cw_arena *arena,
                                  struct cw_error *err)
{
    const struct cw_core_notes *notes = &gathering->notes;
    const struct cw_vector *threads = &notes->threads;
    target->pid = notes->pid;
    target->program = cw_arena_strdup(arena, notes->program);
    target->threads = cw_arena_alloc_array(arena, threads->count, threads->item_bytes);
    if (target->program == NULL || target->threads == NULL) {
        return cw_error_set_memory(err, "the list of threads");
    }
    if (threads->count > 0) {
        memcpy(target->threads, threads->items, threads->count * threads->item_bytes);
    }
    target->thread_count = threads->count;
    target->signal = ending_signal(target, core);
    target->page_bytes = page_size(gathering);
    set_auxv(target, notes);
    return CW_OK;
}

static enum cw_status build_target(struct cw_target *target,
                                   const struct cw_elf_core *core,
                                   struct gathering *gathering,
                                   struct cw_arena *arena,
                                   struct cw_error *err)
{
    uint64_t cut_segments = 0;
    uint64_t cut_mappings = 0;
    enum cw_status status = gather(core, gathering, err);
    if (status == CW_OK) {
        status = set_process(target, core, gathering, arena, err);
    }
    if (status == CW_OK) {
        status =
            cw_mappings_normalise(&gathering->notes.mappings, arena, target, &cut_mappings, err);
    }
    if (status == CW_OK) {
        status = cw_segments_normalise(&gathering->segments, arena, target, &cut_segments, err);
    }
    if (status == CW_OK) {
        status = cw_segments_fill_from_mappings(target, arena, err);
    }
    gathering->odd_count += cut_segments + cut_mappings;
    return status;
}

/* NOLINTNEXTLINE(readability-function-size): input, output and two sinks make seven parameters */
enum cw_status cw_target_open_core_bytes(const uint8_t *data,
                                         size_t size,
                                         const char *path,
                                         struct cw_arena *arena,
                                         struct cw_notes *coverage,
                                         struct cw_target *ret_target,
                                         struct cw_error *err)
{
    struct cw_elf_core core;
    enum cw_status status = cw_elf_core_parse(data, size, path, &core, err);
    if (status != CW_OK) {
        return status;
    }
    struct cw_target target = {
        .kind = CW_TARGET_CORE,
        .arch = core.arch,
        .word_bytes = core.word_bytes,
        .path = cw_arena_strdup(arena, path),
        .file_bytes = size,
    };
    if (target.path == NULL) {
        return cw_error_set_memory(err, "the path of the core");
    }
    struct gathering gathering = {0};
    cw_core_notes_init(&gathering.notes, arena->budget);
    cw_vector_init(&gathering.segments, arena->budget, sizeof(struct cw_segment));
    status = build_target(&target, &core, &gathering, arena, err);
    if (status == CW_OK) {
        cw_core_coverage(&target, &core, &gathering.notes, gathering.odd_count, coverage);
        *ret_target = target;
    }
    cw_core_notes_deinit(&gathering.notes);
    cw_vector_deinit(&gathering.segments);
    return status;
}
