/*
 * Opening cores: one read-only mapping of the whole file, or of the scratch file into which it was
 * unpacked. A page of the mapping beyond the end of the file would raise SIGBUS: held_bytes never
 * reaches there, since every segment is clamped by the size that the file had when it was opened.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "target/file_map.h"
#include "target/target.h"
#include "target/unpack.h"

struct mapped {
    void *data; /* NULL: empty */
    size_t size;
    struct cw_unpacked unpacked;
};

/* "/dev/stdin" is nothing to show; the descriptors of a shell's <(...) have only a number. */
static const char *name_of(const char *path, char *buffer, size_t buffer_bytes)
{
    static const char *const folders[] = {"/dev/fd/", "/proc/self/fd/"};
    const char *number = NULL;
    if (strcmp(path, "/dev/stdin") == 0) {
        return "standard input";
    }
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        size_t length = strlen(folders[i]);
        number = strncmp(path, folders[i], length) == 0 ? path + length : number;
    }
    if (number == NULL || number[0] == '\0' || strspn(number, "0123456789") != strlen(number)) {
        return path;
    }
    if (strcmp(number, "0") == 0) {
        return "standard input";
    }
    snprintf(buffer, buffer_bytes, "file descriptor %.10s", number);
    return buffer;
}

static enum cw_status map_file(
    int file, size_t size, const char *path, void **ret_data, struct cw_error *err)
{
    if (size == 0) {
        return CW_OK; /* mmap would refuse it; the reader says that it is empty */
    }
    if (!cw_file_map(file, size, ret_data)) {
        return cw_error_set_os(err, errno, "cannot map %.100s", path);
    }
    return CW_OK;
}

static enum cw_status map_unpacked(const struct cw_core_input *input,
                                   const char *path,
                                   struct cw_source *source,
                                   struct mapped *mapped,
                                   struct cw_error *err)
{
    struct cw_scratch scratch;
    enum cw_status status =
        cw_scratch_open(input->scratch_dir, input->max_scratch_bytes, &scratch, err);
    if (status != CW_OK) {
        return status;
    }
    status = cw_unpack(source, path, &scratch, &mapped->unpacked, err);
    if (status == CW_OK) {
        status = cw_scratch_map(&scratch, &mapped->data, err);
        mapped->size = scratch.size_bytes;
    }
    cw_scratch_close(&scratch);
    return status;
}

static enum cw_status map_source(const struct cw_core_input *input,
                                 const char *path,
                                 struct cw_source *source,
                                 struct mapped *mapped,
                                 struct cw_error *err)
{
    size_t size;
    const uint8_t *first = cw_source_peek(source, &size);
    if (source->is_cancelled) {
        return cw_error_set(err, CW_ERROR_CANCELLED, "interrupted: nothing to show yet");
    }
    if (source->os_error != 0) {
        return cw_error_set_os(err, source->os_error, "cannot read %.100s", path);
    }
    if (source->is_regular && cw_packing_of(first, size) == CW_PACKING_NONE) {
        mapped->size = source->total_bytes;
        return map_file(source->file, mapped->size, path, &mapped->data, err);
    }
    return map_unpacked(input, path, source, mapped, err);
}

static enum cw_status map_input(const struct cw_core_input *input,
                                int file,
                                const char *path,
                                struct mapped *mapped,
                                struct cw_error *err)
{
    struct stat status;
    struct cw_source source;
    if (fstat(file, &status) != 0) {
        return cw_error_set_os(err, errno, "cannot read %.100s", path);
    }
    if (S_ISDIR(status.st_mode)) {
        return cw_error_set(err, CW_ERROR_FORMAT, "is a directory, not a core: %.100s", path);
    }
    if (isatty(file) == 1) {
        return cw_error_set(err,
                            CW_ERROR_FORMAT,
                            "is a terminal, give a file or pipe a core into it: %.100s",
                            path);
    }
    enum cw_status result = cw_source_init(&source, file, input->progress, err);
    if (result == CW_OK) {
        result = map_source(input, path, &source, mapped, err);
        cw_source_deinit(&source);
    }
    return result;
}

static void note_trouble(const struct mapped *mapped, struct cw_notes *coverage)
{
    const struct cw_unpacked *unpacked = &mapped->unpacked;
    const char *name = cw_packing_name(unpacked->packing);
    char size[CW_SIZE_TEXT];
    cw_text_size(mapped->size, size);
    if (unpacked->is_full) {
        cw_note_add(coverage,
                    CW_WARNING,
                    "core-scratch-full",
                    0,
                    "Only the first %s of the core could be read into a scratch file: %s "
                    "(see --scratch-dir and --max-scratch).",
                    size,
                    unpacked->trouble);
    } else if (unpacked->trouble[0] != '\0' && name != NULL) {
        cw_note_add(coverage,
                    CW_WARNING,
                    "core-packing-damaged",
                    0,
                    "The compressed core is damaged or cut off (%s: %s): its first %s could be "
                    "unpacked, and no checksum vouches for all of them.",
                    name,
                    unpacked->trouble,
                    size);
    } else if (unpacked->trouble[0] != '\0') {
        cw_note_add(coverage,
                    CW_WARNING,
                    "core-input-failed",
                    0,
                    "Reading the core failed after %s: %s.",
                    size,
                    unpacked->trouble);
    }
}

/* What came before the trouble may be too little for a core, which is then not the core's fault. */
static enum cw_status explain(const struct mapped *mapped,
                              const char *path,
                              enum cw_status status,
                              struct cw_error *err)
{
    char size[CW_SIZE_TEXT];
    if (status == CW_OK || mapped->unpacked.trouble[0] == '\0') {
        return status;
    }
    struct cw_error better = CW_ERROR_INIT;
    cw_error_set(&better,
                 status,
                 "too little of it can be read (%s, then: %.80s): %.100s",
                 cw_text_size(mapped->size, size),
                 mapped->unpacked.trouble,
                 path);
    if (err != NULL) {
        *err = better;
    }
    return status;
}

static void unmap_file(struct cw_target *target)
{
    munmap(target->file_data, target->file_data_bytes);
}

static enum cw_status open_mapped(const struct mapped *mapped,
                                  const char *path,
                                  struct cw_arena *arena,
                                  struct cw_notes *coverage,
                                  struct cw_target *ret_target,
                                  struct cw_error *err)
{
    struct cw_target target;
    note_trouble(mapped, coverage);
    enum cw_status status =
        cw_target_open_core_bytes(mapped->data, mapped->size, path, arena, coverage, &target, err);
    if (status != CW_OK) {
        return explain(mapped, path, status, err);
    }
    target.packing = cw_packing_name(mapped->unpacked.packing);
    target.packed_bytes = target.packing != NULL ? mapped->unpacked.packed_bytes : 0;
    target.close = mapped->data != NULL ? unmap_file : NULL;
    target.file_data = mapped->data;
    target.file_data_bytes = mapped->size;
    *ret_target = target;
    return CW_OK;
}

enum cw_status cw_target_open_core(const struct cw_core_input *input,
                                   struct cw_arena *arena,
                                   struct cw_notes *coverage,
                                   struct cw_target *ret_target,
                                   struct cw_error *err)
{
    char buffer[64];
    const char *path = name_of(input->path, buffer, sizeof buffer);
    int file = input->file;
    if (!input->has_file) {
        /* O_NONBLOCK: opening a FIFO or a device must not hang us; reading waits. */
        file = open(input->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    }
    if (file < 0) {
        return cw_error_set_os(err, input->has_file ? EBADF : errno, "cannot open %.100s", path);
    }
    struct mapped mapped = {0};
    enum cw_status status = map_input(input, file, path, &mapped, err);
    if (!input->has_file) {
        close(file);
    }
    if (status == CW_OK) {
        status = open_mapped(&mapped, path, arena, coverage, ret_target, err);
    }
    if (status == CW_OK) {
        ret_target->has_no_path = input->has_file || path != input->path;
    }
    if (status != CW_OK && mapped.data != NULL) {
        munmap(mapped.data, mapped.size);
    }
    return status;
}
