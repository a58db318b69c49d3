/*
 * The inside of an image: what its source files share about modules while they are collected,
 * matched with files and given symbols. Nothing outside this folder includes it.
 */
#pragma once

#include <pthread.h>

#include "base/column.h"
#include "base/map.h"
#include "image/elf_file.h"
#include "image/image.h"
#include "image/runtime.h"

/* More than this are not looked at: a hostile core names no more files to us. */
#define CW_MODULE_LIMIT      8192
#define CW_MODULE_COPY_LIMIT 16

/* A module's mappings are order[first_mapping …], ascending. */
struct cw_module_detail {
    const char *raw_path; /* without " (deleted)" */
    bool is_deleted;
    bool needs_file; /* a module only if its file is an ELF file */
    size_t first_mapping;
    size_t mapping_count;
    bool has_memory_layout;
    struct cw_elf_layout memory_layout; /* as the target's first mapping shows it */
    bool has_layout;
    struct cw_elf_layout layout; /* the one in use: the target's, else the file's */
    struct cw_elf_file file;     /* held while symbols and overlays point into it */
    struct cw_elf_file debug_file;
    const char *mismatch_path; /* raw; the first file that was of another build, or NULL */
    char mismatch_build_id[CW_BUILD_ID_TEXT];
    bool is_mismatch_exe; /* that file was --exe */
    struct cw_column symbol_column;
};

/* An address range of one module. */
struct cw_module_range {
    cw_addr start;
    uint64_t size_bytes;
    uint32_t module_index;
};

struct cw_image_private {
    uint32_t *order;                  /* mapping indexes, by path, then by start */
    struct cw_module_detail *details; /* one for each module, in the same order */
    struct cw_module_range *ranges;   /* sorted, without overlap */
    size_t range_count;
    const struct cw_module *libc;
    const char *glibc_version;
    struct cw_runtime_found *runtimes; /* in the order of runtimes.def */
    size_t runtime_count;

    /* What is remembered of vtables (typeinfo.c). */
    pthread_mutex_t class_mutex;
    struct cw_arena class_arena;
    struct cw_map class_by_address; /* index into classes, plus 1; 0: no vtable */
    struct cw_vector classes;       /* struct cw_cxx_class */
};

static inline struct cw_module_detail *cw_module_detail(const struct cw_image *image,
                                                        const struct cw_module *module)
{
    return &image->private->details[module - image->modules];
}

static inline const struct cw_mapping *cw_module_mapping(const struct cw_image *image,
                                                         const struct cw_module_detail *detail,
                                                         size_t index)
{
    return &image->space->target->mappings[image->private->order[detail->first_mapping + index]];
}

/* modules.c: groups the target's mappings into modules; sets paths, layouts and the executable. */
enum cw_status cw_modules_collect(struct cw_image *image,
                                  struct cw_notes *coverage,
                                  struct cw_error *err);

/* extent.c: bias, extent and the range table. */
enum cw_status cw_modules_place(struct cw_image *image, struct cw_error *err);

/* module_files.c: finds and compares the files on disk; drops what turns out to be no module. */
void cw_modules_find_files(struct cw_image *image,
                           const struct cw_image_options *options,
                           struct cw_notes *coverage);

/* module_notes.c: what is missing, of another build, or unverified. */
void cw_modules_note_files(const struct cw_image *image, struct cw_notes *coverage);

/* overlay.c: lays read-only bytes of the files where the target lacks them. */
enum cw_status cw_modules_overlay(struct cw_image *image, struct cw_error *err);

/* symbols.c: sections and symbols from the files and their separate debug files. */
void cw_modules_load_symbols(struct cw_image *image,
                             const struct cw_image_options *options,
                             struct cw_notes *coverage);

/* demangle.c: the same for a bare type ("6Widget"); false when it is none that is well formed. */
bool cw_image_demangle_type(const char *mangled, char *buffer, size_t buffer_bytes);

/* libc.c: the C library and its banner. */
void cw_image_find_libc(struct cw_image *image);

/* runtime.c: other allocators. False: out of memory. */
bool cw_image_find_runtimes(struct cw_image *image);

/* typeinfo.c */
void cw_classes_init(struct cw_image *image);
void cw_classes_deinit(struct cw_image *image);
