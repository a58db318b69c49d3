/* Input that is read from its start to its end, block by block: a file, a pipe, a device. */
#pragma once

#include <stddef.h>

#include "base/progress.h"

struct cw_source {
    int file;        /* the caller's */
    bool is_regular; /* read by offset: the file's own position does not move */
    bool is_at_end;
    bool is_cancelled;    /* by the progress hook */
    int os_error;         /* of the read that failed, or 0 */
    uint64_t read_bytes;  /* so far */
    uint64_t total_bytes; /* 0: unknown */
    const char *phase;    /* what progress calls it */
    const struct cw_progress *progress;
    uint8_t *block;
    size_t held_bytes; /* in block */
};

/* The file must be open for reading. CW_ERROR_IO · CW_ERROR_MEMORY. */
enum cw_status cw_source_init(struct cw_source *source,
                              int file,
                              const struct cw_progress *progress,
                              struct cw_error *err);
void cw_source_deinit(struct cw_source *source);

/*
 * The input's first bytes, as many as there are up to some tens; the next block begins with them.
 * To be called before any cw_source_next. Valid until that.
 */
const uint8_t *cw_source_peek(struct cw_source *source, size_t *ret_size);

/*
 * The next block, valid until the one after it. *ret_size is 0 at the end, and when reading failed
 * or was cancelled: the source's fields tell which. Waits for what is not there yet, and asks the
 * progress hook meanwhile.
 */
const uint8_t *cw_source_next(struct cw_source *source, size_t *ret_size);
