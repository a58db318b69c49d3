/* Unlinked sparse files. */
#include "target/scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/checked.h"
#include "target/file_map.h"

enum {
    BLOCK_BYTES = 4096,
    HOLES_SHARE = 4,    /* with its holes a file may be so many times as large as without */
    RESERVE_SHARE = 20, /* a twentieth of the file system stays free, */
};

#define RESERVE_BYTES ((uint64_t)1 << 30) /* but not more than this */
#define ALLOWED_BYTES ((uint64_t)1 << 36) /* of a file with its holes, always */
#define LARGEST_BYTES ((uint64_t)1 << 44) /* of a file: ext4's limit */

/* Where O_TMPFILE is unknown (EISDIR) or refused (EOPNOTSUPP), a name lives for a moment. */
static int make_file(const char *folder)
{
    char path[4096];
    int file = open(folder, O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
    if (file >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)) {
        return file;
    }
    if (snprintf(path, sizeof path, "%s/corewalk-XXXXXX", folder) >= (int)sizeof path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    file = mkostemp(path, O_CLOEXEC);
    if (file >= 0) {
        unlink(path);
    }
    return file;
}

static const char *default_folder(void)
{
    const char *folder = secure_getenv("TMPDIR");
    if (folder != NULL && folder[0] != '\0') {
        return folder;
    }
    return access("/var/tmp", W_OK | X_OK) == 0 ? "/var/tmp" : "/tmp";
}

static uint64_t free_bytes(int file)
{
    struct statvfs system;
    uint64_t unit;
    if (fstatvfs(file, &system) != 0) {
        return UINT64_MAX;
    }
    unit = system.f_frsize;
    uint64_t available = 0;
    uint64_t total = 0;
    if (!cw_mul(system.f_bavail, unit, &available) || !cw_mul(system.f_blocks, unit, &total)) {
        return UINT64_MAX;
    }
    uint64_t reserve = cw_min(total / RESERVE_SHARE, RESERVE_BYTES);
    return available > reserve ? available - reserve : 0;
}

/*
 * Holes take no room, but time: they are unpacked and searched like all else. A write beyond
 * RLIMIT_FSIZE would end the process by SIGXFSZ.
 */
static uint64_t largest_file(uint64_t limit_bytes)
{
    struct rlimit limit;
    uint64_t largest = LARGEST_BYTES;
    (void)cw_mul(limit_bytes, HOLES_SHARE, &largest);
    largest = cw_min(cw_max(largest, ALLOWED_BYTES), LARGEST_BYTES);
    return getrlimit(RLIMIT_FSIZE, &limit) == 0 ? cw_min(limit.rlim_cur, largest) : largest;
}

enum cw_status cw_scratch_open(const char *folder,
                               uint64_t limit_bytes,
                               struct cw_scratch *ret_scratch,
                               struct cw_error *err)
{
    folder = folder != NULL ? folder : default_folder();
    int file = make_file(folder);
    if (file < 0) {
        return cw_error_set_os(
            err, errno, "cannot make a scratch file in %.100s (see --scratch-dir)", folder);
    }
    struct cw_scratch scratch = {
        .file = file,
        .limit_bytes = limit_bytes != 0 ? limit_bytes : free_bytes(file),
    };
    scratch.largest_bytes = largest_file(scratch.limit_bytes);
    if (scratch.limit_bytes == 0) {
        close(file);
        return cw_error_set_os(
            err, ENOSPC, "no room for a scratch file in %.100s (see --scratch-dir)", folder);
    }
    *ret_scratch = scratch;
    return CW_OK;
}

/* Equal to itself moved by one byte, and begins with zero. */
static bool is_zero(const uint8_t *bytes, size_t size)
{
    return bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0;
}

/* Up to the end of the block of the file that holds its start. */
static size_t block_size(uint64_t offset, size_t size)
{
    return cw_min(size, BLOCK_BYTES - offset % BLOCK_BYTES);
}

/* Of [bytes, bytes + size), which comes to lie at `offset`: how much from its start is alike. */
static size_t run_size(const uint8_t *bytes, size_t size, uint64_t offset, bool *ret_is_zero)
{
    size_t run = block_size(offset, size);
    bool first_is_zero = is_zero(bytes, run);
    while (run < size) {
        size_t next = block_size(offset + run, size - run);
        if (is_zero(bytes + run, next) != first_is_zero) {
            break;
        }
        run += next;
    }
    *ret_is_zero = first_is_zero;
    return run;
}

static bool write_run(struct cw_scratch *scratch, const uint8_t *bytes, size_t size)
{
    while (size > 0) {
        size_t wanted = cw_min(size, scratch->limit_bytes - scratch->stored_bytes);
        if (wanted == 0) {
            return false;
        }
        ssize_t count = pwrite(scratch->file, bytes, wanted, (off_t)scratch->size_bytes);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count <= 0) {
            scratch->os_error = count < 0 ? errno : ENOSPC;
            return false;
        }
        scratch->size_bytes += (size_t)count;
        scratch->stored_bytes += (size_t)count;
        bytes += count;
        size -= (size_t)count;
    }
    return true;
}

bool cw_scratch_append(struct cw_scratch *scratch, const uint8_t *bytes, size_t size)
{
    size_t fitting = cw_min(size, scratch->largest_bytes - scratch->size_bytes);
    for (size_t done = 0; done < fitting;) {
        bool is_hole;
        size_t run = run_size(bytes + done, fitting - done, scratch->size_bytes, &is_hole);
        if (is_hole) {
            scratch->size_bytes += run;
        } else if (!write_run(scratch, bytes + done, run)) {
            return false;
        }
        done += run;
    }
    return fitting == size;
}

enum cw_status cw_scratch_map(const struct cw_scratch *scratch,
                              void **ret_data,
                              struct cw_error *err)
{
    void *data = NULL;
    size_t size = scratch->size_bytes;
    if (ftruncate(scratch->file, (off_t)size) != 0) {
        return cw_error_set_os(err, errno, "cannot size the scratch file to %zu bytes", size);
    }
    if (size > 0) {
        if (!cw_file_map(scratch->file, size, &data)) {
            return cw_error_set_os(err, errno, "cannot map the scratch file (%zu bytes)", size);
        }
    }
    *ret_data = data;
    return CW_OK;
}

void cw_scratch_close(struct cw_scratch *scratch)
{
    if (scratch->file >= 0) {
        close(scratch->file);
        scratch->file = -1;
    }
}
