/*
 * Sections and symbols. The tables are read through libelf, once; names stay where they are, in
 * the mapped file. debuginfod is never asked, since nothing here goes through libdwfl.
 */
#include <gelf.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/text.h"
#include "image/module.h"

/* Symbols that enclose each other are few: more steps than this is damage. */
enum { NESTING_LIMIT = 64 };

/* One symbol table, and the strings it names, in a mapped file. */
struct table {
    Elf_Data *data;
    size_t entry_count;
    const char *names;
    size_t names_bytes; /* up to and with the last NUL */
};

struct loader {
    const struct cw_image *image;
    struct cw_module *module;
    const struct cw_elf_file *file;
    Elf *elf;
};

static cw_addr address_of(const struct loader *loader, uint64_t vaddr)
{
    return cw_elf_layout_address(&loader->file->layout, loader->module->bias, vaddr);
}

static bool in_module(const struct cw_module *module, cw_addr start, uint64_t size)
{
    return cw_range_holds(module->start, module->size_bytes, start, size);
}

/* Does it lie in memory? .tbss has an address, but no memory there. */
static bool is_placed(const struct loader *loader, const GElf_Shdr *header)
{
    bool is_thread_zero = (header->sh_flags & SHF_TLS) != 0 && header->sh_type == SHT_NOBITS;
    return (header->sh_flags & SHF_ALLOC) != 0 && !is_thread_zero && header->sh_size > 0 &&
           in_module(loader->module, address_of(loader, header->sh_addr), header->sh_size);
}

static int compare_sections(const void *a, const void *b)
{
    const struct cw_section *left = a;
    const struct cw_section *right = b;
    if (left->start != right->start) {
        return left->start < right->start ? -1 : 1;
    }
    if (left->size_bytes != right->size_bytes) {
        return left->size_bytes < right->size_bytes ? -1 : 1;
    }
    return strcmp(left->name, right->name);
}

static void load_sections(const struct loader *loader)
{
    size_t count;
    size_t names_index;
    struct cw_module *module = loader->module;
    if (elf_getshdrnum(loader->elf, &count) != 0 ||
        elf_getshdrstrndx(loader->elf, &names_index) != 0) {
        return;
    }
    struct cw_section *sections =
        cw_arena_alloc_array(loader->image->arena, count, sizeof *sections);
    size_t kept = 0;
    Elf_Scn *section = NULL;
    while (sections != NULL && (section = elf_nextscn(loader->elf, section)) != NULL) {
        GElf_Shdr header;
        if (gelf_getshdr(section, &header) == NULL || !is_placed(loader, &header) ||
            kept >= count) {
            continue;
        }
        const char *name = elf_strptr(loader->elf, names_index, header.sh_name);
        char *copy = cw_text_escape_copy(loader->image->arena, name != NULL ? name : "");
        if (copy != NULL) {
            sections[kept++] = (struct cw_section){.start = address_of(loader, header.sh_addr),
                                                   .size_bytes = header.sh_size,
                                                   .name = copy};
        }
    }
    if (kept > 0) {
        qsort(sections, kept, sizeof *sections, compare_sections);
    }
    module->sections = sections;
    module->section_count = kept;
}

static Elf_Scn *section_of_type(Elf *elf, GElf_Word type, GElf_Shdr *ret_header)
{
    Elf_Scn *section = NULL;
    while ((section = elf_nextscn(elf, section)) != NULL) {
        if (gelf_getshdr(section, ret_header) != NULL && ret_header->sh_type == type) {
            return section;
        }
    }
    return NULL;
}

/* The strings in place: their section checked against the file, and cut behind its last NUL. */
static bool find_names(const struct loader *loader, size_t section_index, struct table *table)
{
    GElf_Shdr header;
    Elf_Scn *section = elf_getscn(loader->elf, section_index);
    if (section == NULL || gelf_getshdr(section, &header) == NULL || header.sh_type != SHT_STRTAB ||
        header.sh_size == 0 ||
        !cw_range_holds(0, loader->file->size, header.sh_offset, header.sh_size)) {
        return false;
    }
    const uint8_t *names = loader->file->data + header.sh_offset;
    const uint8_t *last = memrchr(names, '\0', header.sh_size);
    if (last == NULL) {
        return false;
    }
    table->names = (const char *)names;
    table->names_bytes = (size_t)(last - names) + 1;
    return true;
}

static bool find_table(const struct loader *loader, GElf_Word type, struct table *ret_table)
{
    GElf_Shdr header;
    Elf_Scn *section = section_of_type(loader->elf, type, &header);
    size_t entry_bytes = gelf_fsize(loader->elf, ELF_T_SYM, 1, EV_CURRENT);
    if (section == NULL || entry_bytes == 0 || header.sh_size / entry_bytes > INT32_MAX) {
        return false;
    }
    struct table table = {.data = elf_getdata(section, NULL)};
    if (table.data == NULL || table.data->d_buf == NULL || table.data->d_type != ELF_T_SYM ||
        !find_names(loader, header.sh_link, &table)) {
        return false;
    }
    table.entry_count = table.data->d_size / entry_bytes;
    *ret_table = table;
    return true;
}

/* A function or an object with a place in memory; labels, files, TLS offsets are none. */
static bool read_symbol(const struct loader *loader,
                        const struct table *table,
                        size_t index,
                        struct cw_symbol *ret_symbol)
{
    GElf_Sym entry;
    if (gelf_getsym(table->data, (int)index, &entry) == NULL ||
        entry.st_name >= table->names_bytes || entry.st_shndx == SHN_UNDEF ||
        (entry.st_shndx >= SHN_LORESERVE && entry.st_shndx != SHN_XINDEX)) {
        return false;
    }
    unsigned type = GELF_ST_TYPE(entry.st_info);
    bool is_function = type == STT_FUNC || type == STT_GNU_IFUNC;
    struct cw_symbol symbol = {.start = address_of(loader, entry.st_value),
                               .size_bytes = entry.st_size,
                               .name = table->names + entry.st_name,
                               .outer = CW_NONE,
                               .is_function = is_function,
                               .is_global = GELF_ST_BIND(entry.st_info) != STB_LOCAL};
    if ((!is_function && type != STT_OBJECT) || symbol.name[0] == '\0' ||
        !in_module(loader->module, symbol.start, cw_max(symbol.size_bytes, 1))) {
        return false;
    }
    *ret_symbol = symbol;
    return true;
}

static int compare_symbols(const void *a, const void *b)
{
    const struct cw_symbol *left = a;
    const struct cw_symbol *right = b;
    if (left->start != right->start) {
        return left->start < right->start ? -1 : 1;
    }
    if ((left->size_bytes > 0) != (right->size_bytes > 0)) {
        return left->size_bytes > 0 ? -1 : 1;
    }
    if (left->is_global != right->is_global) {
        return left->is_global ? -1 : 1;
    }
    if (left->size_bytes != right->size_bytes) {
        return left->size_bytes > right->size_bytes ? -1 : 1;
    }
    size_t left_length = strlen(left->name);
    size_t right_length = strlen(right->name);
    if (left_length != right_length) {
        return left_length < right_length ? -1 : 1;
    }
    return strcmp(left->name, right->name);
}

static bool reaches(const struct cw_symbol *symbol, cw_addr address)
{
    return cw_range_has(symbol->start, cw_max(symbol->size_bytes, 1), address);
}

/*
 * Links each first symbol of an address to the nearest one before it that reaches over it, so that
 * a look-up behind an inner symbol still finds the outer one. Whoever is left behind here ends
 * before this start and reaches nothing that follows: each is passed once.
 */
static void link_outer(struct cw_symbol *symbols, size_t count)
{
    uint32_t open = CW_NONE;
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0 && symbols[i - 1].start == symbols[i].start) {
            continue;
        }
        while (open != CW_NONE && !reaches(&symbols[open], symbols[i].start)) {
            open = symbols[open].outer;
        }
        symbols[i].outer = open;
        open = i;
    }
}

static size_t count_symbols(const struct loader *loader, const struct table *table)
{
    struct cw_symbol symbol;
    size_t count = 0;
    for (size_t i = 1; i < table->entry_count; i++) {
        count += read_symbol(loader, table, i, &symbol);
    }
    return count;
}

/* False: no memory. */
static bool load_table(const struct loader *loader, const struct table *table)
{
    struct cw_module *module = loader->module;
    struct cw_module_detail *detail = cw_module_detail(loader->image, module);
    size_t count = count_symbols(loader, table);
    if (!cw_column_create(loader->image->arena->budget,
                          count,
                          sizeof(struct cw_symbol),
                          &detail->symbol_column)) {
        return false;
    }
    module->symbols = detail->symbol_column.data;
    for (size_t i = 1; i < table->entry_count && module->symbol_count < count; i++) {
        module->symbol_count +=
            read_symbol(loader, table, i, &module->symbols[module->symbol_count]);
    }
    if (module->symbol_count > 0) {
        qsort(module->symbols, module->symbol_count, sizeof *module->symbols, compare_symbols);
        link_outer(module->symbols, module->symbol_count);
    }
    return true;
}

/* From the first file that has a .symtab, else from the first that has a .dynsym. */
static bool load_best_table(const struct loader *loaders, size_t loader_count)
{
    static const GElf_Word types[] = {SHT_SYMTAB, SHT_DYNSYM};
    for (size_t type = 0; type < sizeof types / sizeof types[0]; type++) {
        for (size_t i = 0; i < loader_count; i++) {
            struct table table;
            if (find_table(&loaders[i], types[type], &table)) {
                return load_table(&loaders[i], &table);
            }
        }
    }
    return true;
}

static bool has_symtab(const struct loader *loader)
{
    struct table table;
    return loader->elf != NULL && find_table(loader, SHT_SYMTAB, &table);
}

/* The places where debug files lie, in order; the file's own root first. */
static void open_debug_file(const struct cw_image *image,
                            const struct cw_image_options *options,
                            const struct cw_module *module,
                            struct cw_module_detail *detail)
{
    static const char standard[] = "/usr/lib/debug";
    const struct {
        const char *root;
        const char *debug_dir;
    } places[] = {
        {NULL, options->debug_dir},
        {options->sysroot, options->sysroot != NULL ? standard : NULL},
        {NULL, options->debug_dir == NULL ? standard : NULL},
    };
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        bool is_same_root = detail->file.data != NULL && detail->file.root == places[i].root;
        struct cw_debug_search search = {
            .file = is_same_root ? &detail->file : NULL,
            .root = places[i].root,
            .debug_dir = places[i].debug_dir,
            .build_id = module->build_id,
            .build_id_bytes = module->build_id_bytes,
        };
        if (search.debug_dir != NULL &&
            cw_elf_file_open_debug(&search, image->arena, &detail->debug_file)) {
            return;
        }
    }
}

/* False: no memory for the symbols. */
static bool load_module(const struct cw_image *image,
                        const struct cw_image_options *options,
                        struct cw_module *module)
{
    struct cw_module_detail *detail = cw_module_detail(image, module);
    struct loader loaders[2];
    size_t count = 0;
    if (!detail->has_layout) {
        return true;
    }
    struct loader own = {.image = image, .module = module, .file = &detail->file};
    own.elf = detail->file.data != NULL ? cw_elf_file_begin(&detail->file) : NULL;
    if (own.elf != NULL) {
        loaders[count++] = own;
    }
    if (!has_symtab(&own)) {
        open_debug_file(image, options, module, detail);
    }
    struct loader debug = {.image = image, .module = module, .file = &detail->debug_file};
    debug.elf = detail->debug_file.data != NULL ? cw_elf_file_begin(&detail->debug_file) : NULL;
    if (debug.elf != NULL) {
        loaders[count++] = debug;
    }
    if (count > 0) {
        load_sections(&loaders[0]);
    }
    bool is_done = load_best_table(loaders, count);
    elf_end(own.elf);
    elf_end(debug.elf);
    return is_done;
}

void cw_modules_load_symbols(struct cw_image *image,
                             const struct cw_image_options *options,
                             struct cw_notes *coverage)
{
    size_t skipped_count = 0;
    const struct cw_module *skipped = NULL;
    for (size_t i = 0; i < image->module_count; i++) {
        if (!load_module(image, options, &image->modules[i])) {
            skipped = skipped_count++ == 0 ? &image->modules[i] : skipped;
        }
    }
    if (skipped != NULL) {
        cw_note_add(coverage,
                    CW_WARNING,
                    "symbols-skipped",
                    skipped->start,
                    "the symbols of %zu modules, %.60s first, do not fit into the memory limit",
                    skipped_count,
                    skipped->name);
    }
}

/* The first symbol of the greatest start that is not above the address; CW_NONE: all are above. */
static uint32_t first_below(const struct cw_module *module, cw_addr address)
{
    size_t low = 0;
    size_t high = module->symbol_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (module->symbols[middle].start <= address) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == 0) {
        return CW_NONE;
    }
    cw_addr start = module->symbols[low - 1].start;
    high = low;
    low = 0;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (module->symbols[middle].start < start) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return (uint32_t)low;
}

const struct cw_symbol *cw_module_symbol_at(const struct cw_module *module, cw_addr address)
{
    uint32_t index = first_below(module, address);
    for (int step = 0; index != CW_NONE && step < NESTING_LIMIT; step++) {
        if (reaches(&module->symbols[index], address)) {
            return &module->symbols[index];
        }
        index = module->symbols[index].outer;
    }
    return NULL;
}

const struct cw_section *cw_module_section_at(const struct cw_module *module, cw_addr address)
{
    size_t low = 0;
    size_t high = module->section_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (module->sections[middle].start <= address) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    const struct cw_section *section = low > 0 ? &module->sections[low - 1] : NULL;
    return section != NULL && cw_range_has(section->start, section->size_bytes, address) ? section
                                                                                         : NULL;
}

const struct cw_symbol *cw_module_symbol_named(const struct cw_module *module, const char *name)
{
    size_t length = strlen(name);
    for (size_t i = 0; i < module->symbol_count; i++) {
        const char *found = module->symbols[i].name;
        if (strncmp(found, name, length) == 0 && (found[length] == '\0' || found[length] == '@')) {
            return &module->symbols[i];
        }
    }
    return NULL;
}
