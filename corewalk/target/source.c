/* Reading block by block. */
#include "target/source.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    BLOCK_BYTES = 256 << 10,
    PEEK_BYTES = 64,
    ASK_AFTER_MS = 200, /* while nothing comes */
};

enum cw_status cw_source_init(struct cw_source *source,
                              int file,
                              const struct cw_progress *progress,
                              struct cw_error *err)
{
    struct stat status;
    if (fstat(file, &status) != 0) {
        return cw_error_set_os(err, errno, "cannot read the input");
    }
    uint8_t *block = malloc(BLOCK_BYTES);
    if (block == NULL) {
        return cw_error_set_memory(err, "a block of the input");
    }
    bool is_regular = S_ISREG(status.st_mode);
    *source = (struct cw_source){
        .file = file,
        .is_regular = is_regular,
        .total_bytes = is_regular ? (uint64_t)status.st_size : 0,
        .phase = "reading",
        .progress = progress,
        .block = block,
    };
    return CW_OK;
}

void cw_source_deinit(struct cw_source *source)
{
    free(source->block);
    source->block = NULL;
}

static bool ask(struct cw_source *source)
{
    source->is_cancelled = !cw_progress_report(
        source->progress, source->phase, source->read_bytes, source->total_bytes);
    return !source->is_cancelled;
}

/* False when cancelled. A FIFO that nobody has opened for writing yet is waited for, too. */
static bool wait_for_input(struct cw_source *source)
{
    struct pollfd poll_file = {.fd = source->file, .events = POLLIN};
    while (!source->is_regular) {
        int count = poll(&poll_file, 1, ASK_AFTER_MS);
        if (count > 0 || (count < 0 && errno != EINTR)) {
            break; /* an error is told by read */
        }
        if (!ask(source)) {
            return false;
        }
    }
    return true;
}

/* Appends to the block; false at the end, on failure and when cancelled. */
static bool read_some(struct cw_source *source)
{
    while (!source->is_at_end && source->os_error == 0 && wait_for_input(source)) {
        uint8_t *at = source->block + source->held_bytes;
        size_t room = BLOCK_BYTES - source->held_bytes;
        ssize_t count = source->is_regular
                            ? pread(source->file, at, room, (off_t)source->read_bytes)
                            : read(source->file, at, room);
        if (count > 0) {
            source->held_bytes += (size_t)count;
            source->read_bytes += (size_t)count;
            return ask(source);
        }
        source->is_at_end = count == 0;
        if (count < 0 && errno != EINTR && errno != EAGAIN) {
            source->os_error = errno;
        }
    }
    return false;
}

const uint8_t *cw_source_peek(struct cw_source *source, size_t *ret_size)
{
    while (source->held_bytes < PEEK_BYTES && read_some(source)) {
    }
    *ret_size = source->held_bytes;
    return source->block;
}

const uint8_t *cw_source_next(struct cw_source *source, size_t *ret_size)
{
    if (source->held_bytes == 0) {
        (void)read_some(source);
    }
    *ret_size = source->is_cancelled ? 0 : source->held_bytes;
    source->held_bytes = 0;
    return source->block;
}
