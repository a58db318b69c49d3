/*
 * vtables to classes. A candidate passes every check or is none:
 *
 *      vtable ─ -1W ─► type_info ─ 0 ─► vtable of its kind ─ -1W ─► type_info of the kind
 *        │                │                                            │
 *        │ 0              │ +W                                         │ +W
 *        ▼                ▼                                            ▼
 *      code, or 0       "6Widget"                     "N10__cxxabiv117__class_type_infoE"
 *
 * Where the last name cannot be seen (libstdc++'s constants not dumped, its file not here), the
 * shape of the ABI's own classes decides: the type_info of each kind is itself of the kind
 * __si_class_type_info, whose type_info is of its own kind.
 */
#include "image/typeinfo.h"

#include <string.h>

#include "base/checked.h"
#include "image/module.h"

enum {
    NAME_BYTES = 4096,          /* of a mangled type's name, and of what is made of it */
    REMEMBERED_LIMIT = 1 << 20, /* addresses that are not worked out again */
    TALL_NAME = 1000,           /* libiberty refuses about here for want of recursion */
};

/* Further from the top of its object lies no base class. */
#define OFFSET_LIMIT ((int64_t)1 << 24)

/* The three kinds of class type_info (Itanium C++ ABI, 2.9.5): none, one, many bases. */
static const char *const kind_names[] = {
    "N10__cxxabiv117__class_type_infoE",
    "N10__cxxabiv120__si_class_type_infoE",
    "N10__cxxabiv121__vmi_class_type_infoE",
};

enum { KIND_COUNT = sizeof kind_names / sizeof kind_names[0] };

void cw_classes_init(struct cw_image *image)
{
    struct cw_image_private *private = image->private;
    pthread_mutex_init(&private->class_mutex, NULL);
    cw_arena_init(&private->class_arena, image->arena->budget);
    cw_map_init(&private->class_by_address, image->arena->budget);
    cw_vector_init(&private->classes, image->arena->budget, sizeof(struct cw_cxx_class));
}

void cw_classes_deinit(struct cw_image *image)
{
    struct cw_image_private *private = image->private;
    cw_vector_deinit(&private->classes);
    cw_map_deinit(&private->class_by_address);
    cw_arena_deinit(&private->class_arena);
    pthread_mutex_destroy(&private->class_mutex);
}

/* The word `words` words from the address, which may be negative. */
static bool read_slot(const struct cw_space *space, cw_addr address, int words, uint64_t *ret_word)
{
    uint64_t distance = (uint64_t)(words < 0 ? -words : words) * space->word_bytes;
    cw_addr place;
    bool is_sound =
        words < 0 ? cw_sub(address, distance, &place) : cw_add(address, distance, &place);
    return is_sound && cw_space_read_word(space, place, ret_word);
}

static bool in_module(const struct cw_image *image, cw_addr address)
{
    return address % image->space->word_bytes == 0 && cw_image_module_at(image, address) != NULL;
}

static bool is_kind_name(const char *name)
{
    for (size_t i = 0; i < KIND_COUNT; i++) {
        if (strcmp(name, kind_names[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* Is there a symbol _ZTV<kind> around the address point? */
static bool is_kind_by_symbol(const struct cw_image *image, cw_addr vtable)
{
    static const char prefix[] = "_ZTV";
    const struct cw_module *module = cw_image_module_at(image, vtable);
    const struct cw_symbol *symbol = module != NULL ? cw_module_symbol_at(module, vtable) : NULL;
    if (symbol == NULL || strncmp(symbol->name, prefix, sizeof prefix - 1) != 0) {
        return false;
    }
    char name[64];
    size_t length = strcspn(symbol->name + sizeof prefix - 1, "@");
    if (length >= sizeof name) {
        return false;
    }
    memcpy(name, symbol->name + sizeof prefix - 1, length);
    name[length] = '\0';
    return is_kind_name(name);
}

/* The type_info of a kind is of kind `single`, and so is the type_info of `single` itself. */
static bool is_kind_by_shape(const struct cw_space *space, cw_addr kind_info)
{
    uint64_t single;
    uint64_t single_info;
    uint64_t again;
    return read_slot(space, kind_info, 0, &single) && single != 0 &&
           read_slot(space, single, -1, &single_info) && read_slot(space, single_info, 0, &again) &&
           again == single;
}

/* Is it the address point of the vtable of one of the kinds? */
static bool is_kind(const struct cw_image *image, cw_addr vtable)
{
    const struct cw_space *space = image->space;
    uint64_t info;
    uint64_t name_address;
    char name[64];
    if (!in_module(image, vtable)) {
        return false;
    }
    if (read_slot(space, vtable, -1, &info) && in_module(image, info) &&
        read_slot(space, info, 1, &name_address)) {
        if (cw_space_read_string(space, name_address, name, sizeof name)) {
            return is_kind_name(name);
        }
        if (cw_image_module_at(image, name_address) != NULL &&
            cw_space_view(space, name_address, 1) == NULL && is_kind_by_shape(space, info)) {
            return true;
        }
    }
    return is_kind_by_symbol(image, vtable);
}

/* Class types begin with a length, N…E, St…, a local Z…, or U…; builtin types do not. */
static bool may_be_class_name(const char *name)
{
    size_t length = strlen(name);
    return strchr("0123456789NSZU", name[0]) != NULL && name[0] != '\0' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.$") ==
               length;
}

/* The raw name, or, where its bytes are missing, what the symbol "_ZTS<name>" there says. */
static bool read_raw_name(const struct cw_image *image, cw_addr address, char *buffer)
{
    static const char prefix[] = "_ZTS";
    size_t skip = sizeof prefix - 1;
    if (cw_space_read_string(image->space, address, buffer, NAME_BYTES)) {
        return true;
    }
    const struct cw_module *module = cw_image_module_at(image, address);
    const struct cw_symbol *symbol = module != NULL ? cw_module_symbol_at(module, address) : NULL;
    if (symbol == NULL || symbol->start != address || strncmp(symbol->name, prefix, skip) != 0) {
        return false;
    }
    size_t length = strcspn(symbol->name + skip, "@");
    if (length >= NAME_BYTES) {
        return false;
    }
    memcpy(buffer, symbol->name + skip, length);
    buffer[length] = '\0';
    return true;
}

/* Reads and demangles; GCC puts '*' before names that are unique to one file. */
static bool read_name(const struct cw_image *image, cw_addr type_info, char *buffer)
{
    uint64_t address;
    char raw[NAME_BYTES];
    if (!read_slot(image->space, type_info, 1, &address) || !read_raw_name(image, address, raw)) {
        return false;
    }
    const char *name = raw[0] == '*' ? raw + 1 : raw;
    if (!may_be_class_name(name)) {
        return false;
    }
    if (cw_image_demangle_type(name, buffer, NAME_BYTES)) {
        return true;
    }
    size_t length = strlen(name);
    memcpy(buffer, name, length + 1);
    return length >= TALL_NAME;
}

static int64_t sign_extend(const struct cw_space *space, uint64_t word)
{
    return space->word_bytes == 8 ? (int64_t)word : (int32_t)(uint32_t)word;
}

/* All but the name's copy. `name` takes NAME_BYTES. */
static bool examine(const struct cw_image *image,
                    cw_addr vtable,
                    char *name,
                    struct cw_cxx_class *ret_class)
{
    const struct cw_space *space = image->space;
    uint64_t type_info;
    uint64_t offset;
    uint64_t slot;
    uint64_t kind;
    if (!read_slot(space, vtable, -1, &type_info) || !in_module(image, type_info) ||
        !read_slot(space, vtable, -2, &offset) || !read_slot(space, vtable, 0, &slot) ||
        (slot != 0 && !cw_image_is_code(image, slot))) {
        return false;
    }
    int64_t offset_to_top = sign_extend(space, offset);
    if (offset_to_top > OFFSET_LIMIT || offset_to_top < -OFFSET_LIMIT ||
        !read_slot(space, type_info, 0, &kind) || !is_kind(image, kind) ||
        !read_name(image, type_info, name)) {
        return false;
    }
    *ret_class = (struct cw_cxx_class){.vtable = vtable,
                                       .type_info = type_info,
                                       .offset_to_top = offset_to_top,
                                       .name = name,
                                       .module = cw_image_module_at(image, vtable)->name};
    return true;
}

/* True when the address was looked at before; *ret_class is NULL when it is no vtable. */
static bool recall(const struct cw_image_private *private,
                   cw_addr address,
                   const struct cw_cxx_class **ret_class)
{
    const uint64_t *known = cw_map_find(&private->class_by_address, address);
    if (known == NULL) {
        return false;
    }
    *ret_class = *known != 0 ? cw_vector_at(&private->classes, *known - 1) : NULL;
    return true;
}

/* Keeps a class, or that there is none (NULL). False: no room, so that the name cannot live. */
static bool remember(struct cw_image_private *private, cw_addr address, struct cw_cxx_class *class)
{
    const struct cw_cxx_class *known;
    if (recall(private, address, &known)) {
        /* Another thread was faster. */
        if (class != NULL && known != NULL) {
            *class = *known;
        }
        return true;
    }
    if (private->class_by_address.count >= REMEMBERED_LIMIT) {
        return false;
    }
    if (class != NULL) {
        class->name = cw_arena_strdup(&private->class_arena, class->name);
        if (class->name == NULL || !cw_vector_append(&private->classes, class)) {
            return false;
        }
    }
    uint64_t *place = cw_map_insert(&private->class_by_address, address, NULL);
    if (place == NULL) {
        return false;
    }
    *place = class != NULL ? private->classes.count : 0;
    return true;
}

bool cw_cxx_class_at(const struct cw_image *image, cw_addr address, struct cw_cxx_class *ret_class)
{
    struct cw_image_private *private = image->private;
    if (!in_module(image, address)) {
        return false;
    }
    struct cw_cxx_class class;
    const struct cw_cxx_class *known = NULL;
    pthread_mutex_lock(&private->class_mutex);
    bool is_known = recall(private, address, &known);
    if (known != NULL) {
        class = *known;
    }
    pthread_mutex_unlock(&private->class_mutex);

    bool is_class = known != NULL;
    if (!is_known) {
        char name[NAME_BYTES];
        is_class = examine(image, address, name, &class);
        pthread_mutex_lock(&private->class_mutex);
        bool is_kept = remember(private, address, is_class ? &class : NULL);
        pthread_mutex_unlock(&private->class_mutex);
        is_class = is_class && is_kept;
    }
    if (is_class) {
        *ret_class = class;
    }
    return is_class;
}
