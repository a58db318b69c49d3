/*
 * Modules: the executable and the libraries, by what the target says of them (NT_FILE), with
 * their files on disk where the build-id agrees. The only layer that sees elfutils; what comes
 * out is plain data. Loading happens once, in one thread; look-ups may then run in all.
 */
#pragma once

#include "image/elf_layout.h"
#include "space/space.h"

/* In ascending order of trust. */
enum cw_module_file {
    CW_MODULE_FILE_MISSING,    /* no file found */
    CW_MODULE_FILE_MISMATCH,   /* found, but another build: not used */
    CW_MODULE_FILE_UNVERIFIED, /* found; the target does not show its build-id: used, and said */
    CW_MODULE_FILE_VERIFIED,   /* found, same build-id */
};

/* A section of a module as it lies in memory; only the ones that occupy memory. */
struct cw_section {
    cw_addr start;
    uint64_t size_bytes;
    const char *name; /* escaped */
};

struct cw_symbol {
    cw_addr start;
    uint64_t size_bytes; /* 0: unknown */
    const char *name;    /* mangled, as in the file (maybe with "@version"); raw */
    uint32_t outer;      /* index of the nearest symbol before that reaches past start; CW_NONE */
    bool is_function;
    bool is_global; /* or weak */
};

struct cw_module {
    const char *path;      /* in the target; escaped */
    const char *name;      /* last component of it; escaped */
    const char *file_path; /* what was opened on disk, or NULL; escaped */
    cw_addr start;         /* lowest mapped address */
    uint64_t size_bytes;   /* to the end of the highest mapping, .bss included */
    uint64_t bias;         /* address in memory minus address in the file */
    enum cw_module_file file;
    uint8_t build_id[CW_BUILD_ID_LIMIT]; /* as the target shows it, else the file's */
    uint32_t build_id_bytes;             /* 0: none */
    bool is_executable;                  /* the program itself */
    struct cw_section *sections;         /* sorted by start */
    size_t section_count;
    /* Sorted by start, then the better name first: sized, global, larger, shorter. */
    struct cw_symbol *symbols;
    size_t symbol_count;
};

struct cw_image_options {
    const char *exe; /* --exe: the file to take for the program, or NULL */
    /*
     * --sysroot: where the target's root directory lies, or NULL. Links inside it stay inside. A
     * file that it lacks is taken from our own root only with the same build-id.
     */
    const char *sysroot;
    /* --debug-dir: where .build-id/ lies; NULL: /usr/lib/debug (first the sysroot's, then ours). */
    const char *debug_dir;
};

struct cw_image {
    struct cw_space *space;
    struct cw_arena *arena;
    struct cw_module *modules; /* sorted by start */
    size_t module_count;
    const struct cw_module *executable; /* or NULL */
    struct cw_image_private *private;
};

/*
 * Builds the module list, opens and verifies the files, loads symbols and overlays read-only
 * memory that the target lacks. Missing and mismatching files are coverage notes, not errors.
 */
enum cw_status cw_image_create(struct cw_space *space,
                               const struct cw_image_options *options,
                               struct cw_arena *arena,
                               struct cw_notes *coverage,
                               struct cw_image *ret_image,
                               struct cw_error *err);
void cw_image_destroy(struct cw_image *image);

/* The module one of whose mappings, or whose .bss, holds the address, or NULL. */
const struct cw_module *cw_image_module_at(const struct cw_image *image, cw_addr address);

/*
 * Is it code: by the memory's protection, or, where that is not known (gdb's cores leave code
 * out), by the program headers of the module?
 */
bool cw_image_is_code(const struct cw_image *image, cw_addr address);

/* All look-ups below are binary searches without allocation, safe from several threads. */

/* The section that holds the address, or NULL. */
const struct cw_section *cw_module_section_at(const struct cw_module *module, cw_addr address);

/*
 * The symbol whose extent holds the address (a symbol without a size holds its first byte only),
 * or NULL.
 */
const struct cw_symbol *cw_module_symbol_at(const struct cw_module *module, cw_addr address);

/* By exact (mangled) name, a symbol version ("@…") aside, or NULL. Linear in the symbols: for the
 * few well-known ones. */
const struct cw_symbol *cw_module_symbol_named(const struct cw_module *module, const char *name);

/* The C library: by file name, else by the executable being static; NULL when there is none. */
const struct cw_module *cw_image_libc(const struct cw_image *image);

/*
 * The "release version" of the GNU C Library's banner, from memory or the verified file:
 * "2.36"; NULL when it cannot be seen.
 */
const char *cw_image_glibc_version(const struct cw_image *image);

/* Is the program a static one of Go, which needs no C library? */
bool cw_image_is_without_libc(const struct cw_image *image);

/* The build-id in lower-case hex; "" when there is none. */
#define CW_BUILD_ID_TEXT (2 * CW_BUILD_ID_LIMIT + 1)
const char *cw_module_build_id_text(const struct cw_module *module, char *buffer);

/*
 * A name for people, demangled (C++ and Rust), without its symbol version, and escaped, into
 * `buffer`, which is returned; the input's own escaped text when it is not mangled. Input longer
 * than 4 KiB, and what would come out longer than 16 KiB, is not demangled.
 */
const char *cw_image_demangle(const char *mangled, char *buffer, size_t buffer_bytes);

/*
 * Where an address is, for people, into `buffer`, which is returned: "server: g_registry+0x10",
 * "server+0x4060 (.bss)" (from the module's start), or "" when it lies in no module. Escaped. A
 * long name is cut, the offset never.
 */
const char *cw_image_describe(const struct cw_image *image,
                              cw_addr address,
                              char *buffer,
                              size_t buffer_bytes);
