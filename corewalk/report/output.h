/*
 * Buffered output for renderers: gathers bytes for a writer, writes numbers without a locale, and
 * never leaves a blank at the end of a line.
 */
#pragma once

#include <string.h>

#include "base/arena.h"
#include "base/error.h"

/* Where rendered bytes go. Returns false when the receiver is gone (EPIPE, disk full). */
struct cw_writer {
    bool (*write)(void *context, const char *bytes, size_t count);
    void *context;
};

struct cw_output {
    struct cw_writer writer;
    char *buffer;
    size_t capacity_bytes;
    size_t used_bytes;
    unsigned blanks; /* asked for, written only when something follows on the line */
    bool failed;     /* the writer said no: everything after that is dropped */
};

/* The buffer comes from `arena`. */
enum cw_status cw_output_init(struct cw_output *output,
                              const struct cw_writer *writer,
                              struct cw_arena *arena,
                              struct cw_error *err);

/* For cw_output_put, when the bytes do not simply fit. */
void cw_output_put_slow(struct cw_output *output, const char *bytes, size_t count);

static inline void cw_output_put(struct cw_output *output, const char *bytes, size_t count)
{
    if (output->blanks == 0 && count <= output->capacity_bytes - output->used_bytes) {
        memcpy(output->buffer + output->used_bytes, bytes, count);
        output->used_bytes += count;
    } else {
        cw_output_put_slow(output, bytes, count);
    }
}

static inline void cw_output_puts(struct cw_output *output, const char *text)
{
    cw_output_put(output, text, strlen(text));
}

static inline void cw_output_putc(struct cw_output *output, char byte)
{
    cw_output_put(output, &byte, 1);
}

void cw_output_repeat(struct cw_output *output, char byte, size_t count);

/* Blanks that are dropped if the line ends here. */
static inline void cw_output_blanks(struct cw_output *output, size_t count)
{
    output->blanks += (unsigned)count;
}

void cw_output_newline(struct cw_output *output);

/* Decimal, without separators. */
void cw_output_number(struct cw_output *output, uint64_t number);

/* "0x…", lower-case, not padded. */
void cw_output_address(struct cw_output *output, cw_addr address);

/* Hands everything over. False when the receiver is gone. */
bool cw_output_flush(struct cw_output *output);

/* The same, as a status. */
enum cw_status cw_output_finish(struct cw_output *output, struct cw_error *err);
