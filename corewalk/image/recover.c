/* The search for modules without NT_FILE, and the mappings that they must have had. */
#include "image/recover.h"

#include <elf.h>
#include <inttypes.h>
#include <string.h>

#include "base/checked.h"
#include "image/elf_file.h"
#include "image/link_map.h"
#include "target/segments.h"

enum {
    OBJECT_LIMIT = 8192,
    PATH_BYTES = 4096,
    FRONT_BYTES = 65536,    /* of a file, as much as is looked at for headers */
    LINKER_BYTES = 4 << 20, /* more than any dynamic linker spans */
    CANDIDATE_LIMIT = 3,    /* places to look for a file */
    SEGMENTS_OF_MODULE = 6, /* at most, where no layout says more */
};

struct object {
    uint64_t bias;
    const char *path;
    struct cw_elf_layout layout;
    bool has_layout;
    cw_addr dynamic; /* 0: unknown */
};

struct recovery {
    struct cw_target *target;
    struct cw_space space; /* without mappings */
    const struct cw_image_options *options;
    struct cw_arena *arena;
    struct cw_vector objects;  /* struct object */
    struct cw_vector mappings; /* struct cw_mapping */
    size_t header_count;       /* of objects, that were found by their headers */
    size_t listed_count;       /* that the dynamic linker lists */
    bool is_out_of_memory;
};

/* ---- headers in memory --------------------------------------------------------------------- */

static bool is_writable_at(const struct cw_space *space, cw_addr start, uint64_t size)
{
    for (size_t i = cw_space_first_above(space, start); i < space->region_count; i++) {
        const struct cw_region *region = &space->regions[i];
        if (region->start >= start && region->start - start >= size) {
            return false;
        }
        if (cw_region_is_writable(region)) {
            return true;
        }
    }
    return false;
}

/*
 * Is it loaded, and no file that someone reads? What must be writable then is. The vDSO alone has
 * nothing of that kind.
 */
static bool is_loaded(const struct recovery *recovery, const struct object *object)
{
    bool has_writable = false;
    for (size_t i = 0; i < object->layout.load_count; i++) {
        const struct cw_elf_load *load = &object->layout.loads[i];
        cw_addr start = cw_elf_layout_address(&object->layout, object->bias, load->vaddr);
        if (load->is_writable && !is_writable_at(&recovery->space, start, load->memory_bytes)) {
            return false;
        }
        has_writable |= load->is_writable;
    }
    return has_writable;
}

static void find_header(struct recovery *recovery, const struct cw_region *region)
{
    const struct cw_target *target = recovery->target;
    const uint8_t *data;
    uint64_t size = cw_min(cw_space_run(&recovery->space, region->start, &data), FRONT_BYTES);
    struct object object = {0};
    if (region->start == target->auxv_sysinfo_ehdr || size < sizeof(Elf32_Ehdr) ||
        !cw_elf_is_magic(data, size)) {
        return;
    }
    uint16_t type = cw_load_u16(data + offsetof(Elf64_Ehdr, e_type));
    if ((type != ET_EXEC && type != ET_DYN) ||
        !cw_elf_layout_read(data, size, recovery->arena, &object.layout) ||
        !cw_elf_layout_fits(&object.layout, target) ||
        !cw_elf_layout_bias(&object.layout, target->page_bytes, region->start, 0, &object.bias)) {
        return;
    }
    object.has_layout = true;
    if (object.layout.has_dynamic) {
        object.dynamic =
            cw_elf_layout_address(&object.layout, object.bias, object.layout.dynamic_vaddr);
    }
    object.path = cw_arena_printf(recovery->arena, "/[module at 0x%" PRIx64 "]", region->start);
    if (is_loaded(recovery, &object)) {
        recovery->header_count++;
        recovery->is_out_of_memory |=
            object.path == NULL || !cw_vector_append(&recovery->objects, &object);
    }
}

/* ---- the dynamic linker's list --------------------------------------------------------------- */

/* Where linkers put the program headers: behind the ELF header. */
static cw_addr headers_of(const struct object *object)
{
    const struct cw_elf_load *first = &object->layout.loads[0];
    cw_addr start = cw_elf_layout_address(&object->layout, object->bias, first->vaddr);
    return start + (object->layout.word_bytes == 8 ? sizeof(Elf64_Ehdr) : sizeof(Elf32_Ehdr));
}

/* Only a program has that entry: also says where it lies, if the auxiliary vector was lost. */
static bool find_debug_by_headers(const struct recovery *recovery, struct cw_link_map *ret_map)
{
    for (size_t i = 0; i < recovery->header_count; i++) {
        const struct object *object = cw_vector_at(&recovery->objects, i);
        uint64_t debug;
        if (object->dynamic == 0 ||
            !cw_dynamic_find(&recovery->space, object->dynamic, DT_DEBUG, &debug)) {
            continue;
        }
        if (recovery->target->auxv_phdr == 0) {
            recovery->target->auxv_phdr = headers_of(object);
        }
        if (cw_link_map_first(&recovery->space, debug, ret_map)) {
            return true;
        }
    }
    return false;
}

/* r_debug lies in the dynamic linker's own data, and ends with the linker's address. */
static bool find_debug_by_base(const struct recovery *recovery, struct cw_link_map *ret_map)
{
    const struct cw_space *space = &recovery->space;
    cw_addr base = recovery->target->auxv_base;
    unsigned word = space->word_bytes;
    if (base == 0) {
        return false;
    }
    for (size_t i = cw_space_first_above(space, base); i < space->region_count; i++) {
        const struct cw_region *region = &space->regions[i];
        const uint8_t *data = NULL;
        if (region->start - base >= LINKER_BYTES) {
            return false;
        }
        uint64_t seen = cw_region_is_writable(region)
                            ? cw_min(cw_space_run(space, region->start, &data), LINKER_BYTES)
                            : 0;
        for (uint64_t off = (uint64_t)4 * word; data != NULL && off + word <= seen; off += word) {
            cw_addr debug = region->start + off - (uint64_t)4 * word;
            if (cw_load_word(data + off, word) == base &&
                cw_link_map_first(space, debug, ret_map)) {
                return true;
            }
        }
    }
    return false;
}

/* The program's own path, as it was started; else its name, which then is no path to be opened. */
static const char *program_path(const struct recovery *recovery)
{
    const struct cw_target *target = recovery->target;
    char path[PATH_BYTES];
    if (target->auxv_execfn == 0 ||
        !cw_space_read_string(&recovery->space, target->auxv_execfn, path, sizeof path) ||
        path[0] == '\0') {
        if (target->program[0] == '\0') {
            return NULL;
        }
        return cw_arena_printf(recovery->arena, "./%s", target->program);
    }
    const char *prefix = path[0] == '/' || strncmp(path, "./", 2) == 0 ? "" : "./";
    return cw_arena_printf(recovery->arena, "%s%s", prefix, path);
}

static struct object *object_of(const struct recovery *recovery, const struct cw_link_map *map)
{
    for (size_t i = 0; i < recovery->header_count; i++) {
        struct object *object = cw_vector_at(&recovery->objects, i);
        if (object->bias == map->bias && object->dynamic == map->dynamic) {
            return object;
        }
    }
    return NULL;
}

/* Where the file has its build-id, does memory have another one? */
static bool has_other_build_id(const struct recovery *recovery,
                               const struct cw_elf_file *file,
                               uint64_t bias)
{
    const struct cw_elf_layout *layout = &file->layout;
    uint8_t held[CW_BUILD_ID_LIMIT];
    size_t size = layout->build_id_bytes;
    const uint8_t *id =
        size > 0 ? memmem(file->data, cw_min(file->size, FRONT_BYTES), layout->build_id, size)
                 : NULL;
    for (size_t i = 0; id != NULL && i < layout->load_count; i++) {
        const struct cw_elf_load *load = &layout->loads[i];
        uint64_t off = (uint64_t)(id - file->data);
        if (cw_range_holds(load->file_off, load->file_bytes, off, size)) {
            cw_addr at = cw_elf_layout_address(layout, bias, load->vaddr + (off - load->file_off));
            return cw_space_read(&recovery->space, at, held, size) && memcmp(held, id, size) != 0;
        }
    }
    return false;
}

/* A layout from the file on disk, if that has its dynamic section where the target does, and no
 * other build-id. */
static void find_layout_of_file(const struct recovery *recovery,
                                struct object *object,
                                bool is_program)
{
    const struct cw_image_options *options = recovery->options;
    const struct {
        const char *root;
        const char *path;
    } candidates[CANDIDATE_LIMIT] = {
        {NULL, is_program ? options->exe : NULL},
        {options->sysroot, options->sysroot != NULL ? object->path : NULL},
        {NULL, object->path[0] == '/' ? object->path : NULL},
    };
    for (size_t i = 0; i < CANDIDATE_LIMIT && !object->has_layout; i++) {
        struct cw_elf_file file;
        if (candidates[i].path == NULL ||
            cw_elf_file_open(candidates[i].root, candidates[i].path, recovery->arena, &file) !=
                CW_ELF_OPEN) {
            continue;
        }
        const struct cw_elf_layout *layout = &file.layout;
        cw_addr dynamic = cw_elf_layout_address(layout, object->bias, layout->dynamic_vaddr);
        if (cw_elf_layout_fits(layout, recovery->target) && layout->has_dynamic &&
            dynamic == object->dynamic && !has_other_build_id(recovery, &file, object->bias)) {
            object->layout = *layout;
            object->has_layout = true;
        }
        cw_elf_file_close(&file);
    }
}

/* The vDSO is in the list, but is no file. */
static bool is_vdso(const struct recovery *recovery, const char *path, cw_addr bias)
{
    cw_addr vdso = recovery->target->auxv_sysinfo_ehdr;
    return (vdso != 0 && bias == vdso) || (strncmp(path, "linux-", 6) == 0);
}

static void take_listed(struct recovery *recovery, const struct cw_link_map *map, bool is_first)
{
    char name[PATH_BYTES];
    if (!cw_space_read_string(&recovery->space, map->name, name, sizeof name)) {
        name[0] = '\0';
    }
    bool is_program = is_first && name[0] == '\0';
    if (!is_program && (strchr(name, '/') == NULL || is_vdso(recovery, name, map->bias))) {
        return;
    }
    const char *path = is_program ? program_path(recovery) : cw_arena_strdup(recovery->arena, name);
    if (path == NULL || strchr(path, '/') == NULL) {
        return;
    }
    recovery->listed_count++;
    struct object *known = object_of(recovery, map);
    if (known != NULL) {
        known->path = path;
        return;
    }
    struct object object = {.bias = map->bias, .path = path, .dynamic = map->dynamic};
    find_layout_of_file(recovery, &object, is_program);
    recovery->is_out_of_memory |= !cw_vector_append(&recovery->objects, &object);
}

static void find_listed(struct recovery *recovery)
{
    struct cw_link_map map;
    bool is_found = find_debug_by_headers(recovery, &map) || find_debug_by_base(recovery, &map);
    for (unsigned i = 0;
         i < CW_LINK_MAP_LIMIT && is_found && recovery->objects.count < OBJECT_LIMIT &&
         recovery->listed_count < OBJECT_LIMIT;
         i++) {
        take_listed(recovery, &map, i == 0);
        is_found = cw_link_map_next(&recovery->space, &map);
    }
}

/* A static program has no list, but a vector that points into it. */
static void name_program(struct recovery *recovery)
{
    const struct cw_target *target = recovery->target;
    const char *path = program_path(recovery);
    for (size_t i = 0; path != NULL && i < recovery->header_count; i++) {
        struct object *object = cw_vector_at(&recovery->objects, i);
        const struct cw_elf_load *first = &object->layout.loads[0];
        cw_addr start = cw_elf_layout_address(&object->layout, object->bias, first->vaddr);
        bool is_named = strncmp(object->path, "/[", 2) != 0;
        if (!is_named && target->auxv_phdr != 0 &&
            cw_range_has(start, first->memory_bytes, target->auxv_phdr)) {
            object->path = path;
        }
    }
}

/* ---- mappings ------------------------------------------------------------------------------ */

static void add_mapping(struct recovery *recovery,
                        const struct object *object,
                        cw_addr start,
                        uint64_t size,
                        uint64_t file_off)
{
    struct cw_mapping mapping = {
        .start = start, .size_bytes = size, .file_off = file_off, .path = object->path};
    recovery->is_out_of_memory |= !cw_vector_append(&recovery->mappings, &mapping);
}

/* The pages that hold what a PT_LOAD has of the file. */
static void map_load(struct recovery *recovery,
                     const struct object *object,
                     const struct cw_elf_load *load)
{
    uint64_t page_bytes = recovery->target->page_bytes;
    cw_addr address = cw_elf_layout_address(&object->layout, object->bias, load->vaddr);
    cw_addr start = cw_align_down(address, page_bytes);
    uint64_t lead = address - start;
    uint64_t size;
    if (load->file_bytes > 0 && load->file_off >= lead && cw_add(lead, load->file_bytes, &size) &&
        cw_align_up(size, page_bytes, &size)) {
        add_mapping(recovery, object, start, size, load->file_off - lead);
    }
}

/*
 * Nothing but the bias and the dynamic section is known: what lies from one to the other without a
 * gap, and the data right behind.
 */
static void map_between(struct recovery *recovery, const struct object *object)
{
    const struct cw_space *space = &recovery->space;
    size_t first = cw_space_first_above(space, object->bias);
    size_t end = first;
    cw_addr next = object->bias;
    bool is_whole = false;
    for (; end < space->region_count && !is_whole && end - first < SEGMENTS_OF_MODULE; end++) {
        const struct cw_region *region = &space->regions[end];
        if (object->bias == 0 || region->start != next) {
            return;
        }
        next = region->start + region->size_bytes;
        is_whole = cw_range_has(region->start, region->size_bytes, object->dynamic);
    }
    if (is_whole && end < space->region_count && space->regions[end].start == next &&
        cw_region_is_writable(&space->regions[end])) {
        end++;
    }
    for (size_t i = first; i < end && is_whole; i++) {
        const struct cw_region *region = &space->regions[i];
        uint64_t file_off = region->start - object->bias;
        add_mapping(recovery, object, region->start, region->size_bytes, file_off);
    }
}

static void map_object(struct recovery *recovery, const struct object *object)
{
    if (!object->has_layout) {
        map_between(recovery, object);
    }
    for (size_t i = 0; object->has_layout && i < object->layout.load_count; i++) {
        map_load(recovery, object, &object->layout.loads[i]);
    }
}

static void note_recovery(const struct recovery *recovery, struct cw_notes *coverage)
{
    if (recovery->target->mapping_count == 0) {
        cw_note_add(coverage,
                    CW_WARNING,
                    "core-files-missing",
                    0,
                    "The core names no mapped files (NT_FILE): programs and libraries are known "
                    "by their content only.");
    } else if (recovery->listed_count > 0) {
        cw_note_add(coverage,
                    CW_INFO,
                    "core-files-listed",
                    0,
                    "The core names no mapped files (NT_FILE): %zu were found in the dynamic "
                    "linker's list.",
                    recovery->listed_count);
    } else {
        cw_note_add(coverage,
                    CW_WARNING,
                    "core-files-missing",
                    0,
                    "The core names no mapped files (NT_FILE): %zu of them were found by their "
                    "ELF headers in memory, without their names.",
                    recovery->header_count);
    }
}

static enum cw_status recover(struct recovery *recovery, struct cw_error *err)
{
    for (size_t i = 0; i < recovery->space.region_count && recovery->objects.count < OBJECT_LIMIT;
         i++) {
        find_header(recovery, &recovery->space.regions[i]);
    }
    find_listed(recovery);
    name_program(recovery);
    for (size_t i = 0; i < recovery->objects.count; i++) {
        map_object(recovery, cw_vector_at(&recovery->objects, i));
    }
    if (recovery->is_out_of_memory) {
        return cw_error_set_memory(err, "the list of mapped files");
    }
    uint64_t cut_count;
    enum cw_status status = cw_mappings_normalise(
        &recovery->mappings, recovery->arena, recovery->target, &cut_count, err);
    if (status == CW_OK) {
        status = cw_segments_fill_from_mappings(recovery->target, recovery->arena, err);
    }
    return status;
}

enum cw_status cw_image_recover_mappings(struct cw_target *target,
                                         const struct cw_image_options *options,
                                         struct cw_arena *arena,
                                         struct cw_notes *coverage,
                                         struct cw_error *err)
{
    struct recovery recovery = {.target = target, .options = options, .arena = arena};
    if (target->kind != CW_TARGET_CORE || target->mapping_count > 0) {
        return CW_OK;
    }
    enum cw_status status = cw_space_create(target, arena, &recovery.space, err);
    if (status != CW_OK) {
        return status;
    }
    cw_vector_init(&recovery.objects, arena->budget, sizeof(struct object));
    cw_vector_init(&recovery.mappings, arena->budget, sizeof(struct cw_mapping));
    status = recover(&recovery, err);
    if (status == CW_OK) {
        note_recovery(&recovery, coverage);
    }
    cw_vector_deinit(&recovery.objects);
    cw_vector_deinit(&recovery.mappings);
    cw_space_destroy(&recovery.space);
    return status;
}
