/*
 * ELF files on disk, mapped read-only. The paths come from the target: only regular files are
 * opened, and below a sysroot nothing outside it is reached.
 */
#pragma once

#include <libelf.h>

#include "image/elf_layout.h"

struct cw_elf_file {
    const char *path; /* as opened, inside the root, raw; in the arena */
    const char *root; /* borrowed; NULL: ours */
    uint8_t *data;    /* the whole file, read-only; NULL: not open */
    size_t size;
    struct cw_elf_layout layout;
};

enum cw_elf_opened {
    CW_ELF_ABSENT, /* no regular file there that we can read */
    CW_ELF_OTHER,  /* a file, but not one of ELF with sound program headers */
    CW_ELF_OPEN,
};

/* Opens `path` (absolute when it comes from the target), inside `root` unless that is NULL. */
enum cw_elf_opened cw_elf_file_open(const char *root,
                                    const char *path,
                                    struct cw_arena *arena,
                                    struct cw_elf_file *ret_file);

/* Also legal on a zeroed one. */
void cw_elf_file_close(struct cw_elf_file *file);

/* elfutils' view of it, to be ended with elf_end; NULL when libelf finds it damaged. */
Elf *cw_elf_file_begin(const struct cw_elf_file *file);

struct cw_debug_search {
    const struct cw_elf_file *file; /* whose debug link is followed, or NULL */
    const char *root;               /* of the paths below, or NULL */
    const char *debug_dir;
    const uint8_t *build_id;
    uint32_t build_id_bytes;
};

/*
 * The separate debug file of a module: <debug_dir>/.build-id/xx/rest.debug, else by the file's
 * debug link next to it, in its .debug/ and in debug_dir. Taken only if the build-ids agree;
 * without a build-id, if the link's checksum does. No network is ever asked.
 */
bool cw_elf_file_open_debug(const struct cw_debug_search *search,
                            struct cw_arena *arena,
                            struct cw_elf_file *ret_file);
