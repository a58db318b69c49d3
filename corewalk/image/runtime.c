/* Looks for the rows of runtimes.def: one pass over all symbols, then modules, sections, texts. */
#include "image/runtime.h"

#include <string.h>

#include "base/checked.h"
#include "image/module.h"

#define NAMES(...) ((const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})
static const struct cw_runtime runtimes[] = {
#define CW_RUNTIME(id, name, kind, modules, symbols, sections, message, advice) \
    {#id, name, CW_RUNTIME_##kind, modules, symbols, sections, message, advice},
#include "image/runtimes.def"
#undef CW_RUNTIME
};
#undef NAMES

enum {
    RUNTIME_COUNT = sizeof runtimes / sizeof runtimes[0],
    MARKER_LIMIT = 128,
    MESSAGE_SEARCH_LIMIT = 32 << 20, /* of what the program cannot write */
    BUILD_INFO_SEARCH_BYTES = 64 << 10,
    BUILD_INFO_ALIGNMENT = 16,
};

/* debug/buildinfo: the data segment of a Go program begins with it. */
static const char build_info[] = "\xff Go buildinf:";

/* A symbol to look for; those with the same first byte are chained. */
struct marker {
    const char *name;
    size_t length;
    bool is_prefix;
    size_t runtime_index;
    size_t next; /* index plus 1; 0: the last */
};

struct search {
    const struct cw_image *image;
    struct marker markers[MARKER_LIMIT];
    size_t marker_count;
    size_t first_of[256]; /* by first byte, index plus 1 */
    struct cw_runtime_found found[RUNTIME_COUNT];
};

static void add_markers(struct search *search)
{
    for (size_t i = 0; i < RUNTIME_COUNT; i++) {
        const char *const *symbols = runtimes[i].symbols;
        for (; *symbols != NULL && search->marker_count < MARKER_LIMIT; symbols++) {
            size_t length = strlen(*symbols);
            size_t *first = &search->first_of[(unsigned char)(*symbols)[0]];
            bool is_prefix = (*symbols)[length - 1] == '*';
            search->markers[search->marker_count++] =
                (struct marker){*symbols, length - is_prefix, is_prefix, i, *first};
            *first = search->marker_count;
        }
    }
}

static void note(struct search *search,
                 size_t runtime_index,
                 const struct cw_module *module,
                 const char *evidence,
                 bool is_guess)
{
    struct cw_runtime_found *found = &search->found[runtime_index];
    if (found->runtime == NULL && evidence != NULL) {
        *found = (struct cw_runtime_found){&runtimes[runtime_index], module, evidence, is_guess};
    }
}

static void note_symbol(struct search *search,
                        const struct marker *marker,
                        const struct cw_module *module,
                        const char *symbol)
{
    char name[128];
    note(search,
         marker->runtime_index,
         module,
         cw_arena_printf(search->image->arena,
                         "symbol %s of %s",
                         cw_image_demangle(symbol, name, sizeof name),
                         module->name),
         false);
}

static bool is_marker(const struct marker *marker, const char *symbol)
{
    if (strncmp(symbol, marker->name, marker->length) != 0) {
        return false;
    }
    char next = symbol[marker->length];
    return marker->is_prefix || next == '\0' || next == '@';
}

static void search_symbols(struct search *search, const struct cw_module *module)
{
    for (size_t i = 0; i < module->symbol_count; i++) {
        const char *symbol = module->symbols[i].name;
        size_t next = search->first_of[(unsigned char)symbol[0]];
        while (next != 0) {
            const struct marker *marker = &search->markers[next - 1];
            if (search->found[marker->runtime_index].runtime == NULL && is_marker(marker, symbol)) {
                note_symbol(search, marker, module, symbol);
            }
            next = marker->next;
        }
    }
}

static void search_module_name(struct search *search, const struct cw_module *module)
{
    for (size_t i = 0; i < RUNTIME_COUNT; i++) {
        for (const char *const *name = runtimes[i].modules; *name != NULL; name++) {
            if (strncmp(module->name, *name, strlen(*name)) == 0) {
                note(search,
                     i,
                     module,
                     cw_arena_printf(search->image->arena, "module %s", module->name),
                     false);
            }
        }
    }
}

static bool has_section(const struct cw_module *module, const char *name)
{
    for (size_t i = 0; i < module->section_count; i++) {
        if (strcmp(module->sections[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

static void search_sections(struct search *search, const struct cw_module *module)
{
    for (size_t i = 0; i < RUNTIME_COUNT; i++) {
        for (const char *const *name = runtimes[i].sections; *name != NULL; name++) {
            if (has_section(module, *name)) {
                const char *evidence =
                    cw_arena_printf(search->image->arena, "section %s of %s", *name, module->name);
                note(search, i, module, evidence, false);
            }
        }
    }
}

/* ---- texts in memory ----------------------------------------------------------------------- */

static bool has_build_info(const uint8_t *data, uint64_t size)
{
    uint64_t left = cw_min(size, BUILD_INFO_SEARCH_BYTES);
    for (uint64_t off = 0; off + sizeof build_info <= left; off += BUILD_INFO_ALIGNMENT) {
        if (memcmp(data + off, build_info, sizeof build_info - 1) == 0) {
            return true;
        }
    }
    return false;
}

static void search_build_info(struct search *search,
                              const struct cw_module *module,
                              const uint8_t *data,
                              uint64_t size)
{
    for (size_t i = 0; i < RUNTIME_COUNT; i++) {
        if (strcmp(runtimes[i].id, "go") == 0 && has_build_info(data, size)) {
            const char *evidence =
                cw_arena_printf(search->image->arena, "Go build info of %s", module->name);
            note(search, i, module, evidence, false);
        }
    }
}

static void search_messages(struct search *search,
                            const struct cw_module *module,
                            const uint8_t *data,
                            uint64_t size)
{
    for (size_t i = 0; i < RUNTIME_COUNT; i++) {
        const char *message = runtimes[i].message;
        if (message != NULL && search->found[i].runtime == NULL &&
            memmem(data, (size_t)size, message, strlen(message)) != NULL) {
            const char *evidence =
                cw_arena_printf(search->image->arena, "its messages in %s", module->name);
            note(search, i, module, evidence, true);
        }
    }
}

/* The program only: a stripped one is all that shows what was linked into it. */
static void search_memory(struct search *search, const struct cw_module *module)
{
    const struct cw_image *image = search->image;
    const struct cw_module_detail *detail = cw_module_detail(image, module);
    uint64_t left = MESSAGE_SEARCH_LIMIT;
    for (size_t i = 0; i < detail->mapping_count; i++) {
        const struct cw_mapping *mapping = cw_module_mapping(image, detail, i);
        const struct cw_region *region = cw_space_find(image->space, mapping->start);
        const uint8_t *data;
        if (region == NULL) {
            continue;
        }
        uint64_t size =
            cw_min(cw_space_run(image->space, mapping->start, &data), mapping->size_bytes);
        if (size > 0 && cw_region_is_writable(region)) {
            search_build_info(search, module, data, size);
        } else if (size > 0) {
            size = cw_min(size, left);
            left -= size;
            search_messages(search, module, data, size);
        }
    }
}

static void search_all(struct search *search)
{
    const struct cw_image *image = search->image;
    add_markers(search);
    for (size_t i = 0; i < image->module_count; i++) {
        search_module_name(search, &image->modules[i]);
    }
    if (image->executable != NULL) {
        search_symbols(search, image->executable);
        search_sections(search, image->executable);
        search_memory(search, image->executable);
    }
    for (size_t i = 0; i < image->module_count; i++) {
        if (&image->modules[i] != image->executable) {
            search_symbols(search, &image->modules[i]);
            search_sections(search, &image->modules[i]);
        }
    }
}

bool cw_image_find_runtimes(struct cw_image *image)
{
    struct search search = {.image = image};
    search_all(&search);
    struct cw_image_private *private = image->private;
    private->runtimes =
        cw_arena_alloc_array(image->arena, RUNTIME_COUNT, sizeof *private->runtimes);
    if (private->runtimes == NULL) {
        return false;
    }
    for (size_t i = 0; i < RUNTIME_COUNT; i++) {
        if (search.found[i].runtime != NULL) {
            private->runtimes[private->runtime_count++] = search.found[i];
        }
    }
    return true;
}

const struct cw_runtime_found *cw_image_runtimes(const struct cw_image *image, size_t *ret_count)
{
    *ret_count = image->private != NULL ? image->private->runtime_count : 0;
    return image->private != NULL ? image->private->runtimes : NULL;
}

const struct cw_runtime_found *cw_image_runtime(const struct cw_image *image, const char *id)
{
    size_t count;
    const struct cw_runtime_found *found = cw_image_runtimes(image, &count);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(found[i].runtime->id, id) == 0) {
            return &found[i];
        }
    }
    return NULL;
}

/* The first in malloc's place, messages not counted, or NULL. */
static const struct cw_runtime_found *find_malloc(const struct cw_image *image)
{
    size_t count;
    const struct cw_runtime_found *found = cw_image_runtimes(image, &count);
    for (size_t i = 0; i < count; i++) {
        if (found[i].runtime->kind == CW_RUNTIME_MALLOC && !found[i].is_guess) {
            return &found[i];
        }
    }
    return NULL;
}

const struct cw_runtime_found *cw_image_replacement(const struct cw_image *image)
{
    const struct cw_runtime_found *found = find_malloc(image);
    return found == NULL && cw_image_is_without_libc(image) ? cw_image_runtime(image, "go") : found;
}
