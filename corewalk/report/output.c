/* The output buffer. */
#include "report/output.h"

enum {
    BUFFER_BYTES = 64 * 1024,
    LONGEST_NUMBER = 20, /* UINT64_MAX in decimal */
};

enum cw_status cw_output_init(struct cw_output *output,
                              const struct cw_writer *writer,
                              struct cw_arena *arena,
                              struct cw_error *err)
{
    *output = (struct cw_output){.writer = *writer};
    output->buffer = cw_arena_alloc(arena, BUFFER_BYTES);
    if (output->buffer == NULL) {
        return cw_error_set_memory(err, "an output buffer");
    }
    output->capacity_bytes = BUFFER_BYTES;
    return CW_OK;
}

bool cw_output_flush(struct cw_output *output)
{
    if (!output->failed && output->used_bytes > 0) {
        output->failed =
            !output->writer.write(output->writer.context, output->buffer, output->used_bytes);
    }
    output->used_bytes = 0;
    return !output->failed;
}

enum cw_status cw_output_finish(struct cw_output *output, struct cw_error *err)
{
    return cw_output_flush(output)
               ? CW_OK
               : cw_error_set(err, CW_ERROR_IO, "the report could not be written completely");
}

/* Through the buffer, in as many pieces as it takes. */
static void put_pieces(struct cw_output *output, const char *bytes, size_t count)
{
    while (count > 0) {
        size_t room = output->capacity_bytes - output->used_bytes;
        size_t piece = count < room ? count : room;
        memcpy(output->buffer + output->used_bytes, bytes, piece);
        output->used_bytes += piece;
        bytes += piece;
        count -= piece;
        if (output->used_bytes == output->capacity_bytes) {
            cw_output_flush(output);
        }
    }
}

void cw_output_put_slow(struct cw_output *output, const char *bytes, size_t count)
{
    if (count == 0) {
        return;
    }
    for (; output->blanks > 0; output->blanks--) {
        put_pieces(output, " ", 1);
    }
    put_pieces(output, bytes, count);
}

void cw_output_repeat(struct cw_output *output, char byte, size_t count)
{
    char run[64];
    memset(run, byte, sizeof run);
    for (; count > sizeof run; count -= sizeof run) {
        cw_output_put(output, run, sizeof run);
    }
    cw_output_put(output, run, count);
}

void cw_output_newline(struct cw_output *output)
{
    output->blanks = 0;
    cw_output_put(output, "\n", 1);
}

void cw_output_number(struct cw_output *output, uint64_t number)
{
    char digits[LONGEST_NUMBER];
    char *at = digits + sizeof digits;
    do {
        *--at = (char)('0' + number % 10);
        number /= 10;
    } while (number != 0);
    cw_output_put(output, at, (size_t)(digits + sizeof digits - at));
}

void cw_output_address(struct cw_output *output, cw_addr address)
{
    char digits[2 + 2 * sizeof address];
    char *at = digits + sizeof digits;
    do {
        *--at = "0123456789abcdef"[address & 15];
        address >>= 4;
    } while (address != 0);
    *--at = 'x';
    *--at = '0';
    cw_output_put(output, at, (size_t)(digits + sizeof digits - at));
}
