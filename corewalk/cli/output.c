/* Result files: written beside their place and renamed, so that none is ever half there. */
#include "cli/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/progress.h"

static bool fail(const char *path)
{
    fprintf(stderr, "corewalk: cannot write %s: %s\n", path, strerror(errno));
    return false;
}

/* A device, pipe or the like is written in place. */
static bool is_special(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && !S_ISREG(status.st_mode);
}

bool output_is_standard(const char *path)
{
    return path == NULL || strcmp(path, "-") == 0;
}

bool output_overwrites(const char *path, const char *input)
{
    struct stat there;
    struct stat read;
    return !output_is_standard(path) && input != NULL && stat(path, &there) == 0 &&
           stat(input, &read) == 0 && there.st_dev == read.st_dev && there.st_ino == read.st_ino;
}

bool output_open(const char *path, struct output *ret_output)
{
    struct output output = {.fd = STDOUT_FILENO};
    if (output_is_standard(path)) {
        output.is_terminal = isatty(output.fd) == 1;
        *ret_output = output;
        return true;
    }
    output.path = path;
    if (is_special(path)) {
        output.fd = open(path, O_WRONLY | O_CLOEXEC);
    } else {
        if (asprintf(&output.temporary_path, "%s.XXXXXX", path) < 0) {
            return fail(path);
        }
        output.fd = mkostemp(output.temporary_path, O_CLOEXEC);
    }
    if (output.fd < 0) {
        free(output.temporary_path);
        return fail(path);
    }
    *ret_output = output;
    return true;
}

int output_write(void *context, const char *bytes, size_t count)
{
    struct output *output = context;
    if (output->is_terminal) {
        progress_end(); /* it would stand in the middle of the result */
    }
    while (count > 0) {
        ssize_t written = write(output->fd, bytes, count);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written < 0) {
            output->os_error = errno;
            return -1;
        }
        bytes += written;
        count -= (size_t)written;
    }
    return 0;
}

/* What open() would have given the file, had it been made in place. */
static void set_usual_mode(int fd)
{
    mode_t mask = umask(0);
    umask(mask);
    /* A file that stays private is no reason to fail. */
    (void)!fchmod(fd, 0666 & ~mask);
}

bool output_close(struct output *output, bool keep)
{
    bool done = true;
    if (output->temporary_path != NULL) {
        set_usual_mode(output->fd);
        done = close(output->fd) == 0 || !keep;
        if (keep && done) {
            done = rename(output->temporary_path, output->path) == 0;
        }
        if (!done) {
            fail(output->path);
        }
        if (!keep || !done) {
            unlink(output->temporary_path);
        }
        free(output->temporary_path);
        output->temporary_path = NULL;
    } else if (output->path != NULL) {
        close(output->fd);
    }
    return done;
}
