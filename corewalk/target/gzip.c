/* gzip by zlib. */
#include "target/gzip.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum {
    OUT_BYTES = 256 << 10,
    GZIP_FIRST_BYTE = 0x1f,
    GZIP_WINDOW_BITS = 15 + 16, /* zlib.h: the largest window, and gzip's header and trailer */
};

struct gunzip {
    struct cw_source *source;
    z_stream stream;
    uint8_t *out;
    cw_gzip_take *take;
    void *context;
};

/* False at the end of the input. */
static bool fill(struct gunzip *gunzip)
{
    z_stream *stream = &gunzip->stream;
    if (stream->avail_in == 0) {
        size_t size;
        stream->next_in = (Bytef *)cw_source_next(gunzip->source, &size);
        stream->avail_in = (uInt)size;
    }
    return stream->avail_in > 0;
}

static const char *text_of(const z_stream *stream)
{
    if (stream->msg == NULL) {
        return "out of memory";
    }
    return strcmp(stream->msg, "incorrect data check") == 0 ||
                   strcmp(stream->msg, "incorrect length check") == 0
               ? "its checksum differs: some of it is wrong"
               : stream->msg;
}

/* One member. False when there is nothing more to do; then *ret_trouble may be set. */
static bool unpack_member(struct gunzip *gunzip, const char **ret_trouble)
{
    z_stream *stream = &gunzip->stream;
    int outcome = Z_OK;
    while (outcome != Z_STREAM_END) {
        if (!fill(gunzip)) {
            *ret_trouble = "its end is missing";
            return false;
        }
        stream->next_out = gunzip->out;
        stream->avail_out = OUT_BYTES;
        outcome = inflate(stream, Z_NO_FLUSH);
        size_t size = OUT_BYTES - stream->avail_out;
        if (size > 0 && !gunzip->take(gunzip->context, gunzip->out, size)) {
            return false;
        }
        if (outcome != Z_OK && outcome != Z_STREAM_END && outcome != Z_BUF_ERROR) {
            *ret_trouble = text_of(stream);
            return false;
        }
    }
    return true;
}

/* gzip, too, takes no account of what follows the last member: padding of tapes, garbage. */
static const char *unpack_members(struct gunzip *gunzip)
{
    const char *trouble = NULL;
    while (unpack_member(gunzip, &trouble) && fill(gunzip) &&
           *gunzip->stream.next_in == GZIP_FIRST_BYTE) {
        inflateReset(&gunzip->stream);
    }
    return trouble;
}

const char *cw_gzip_unpack(struct cw_source *source, cw_gzip_take *take, void *context)
{
    struct gunzip gunzip = {.source = source, .take = take, .context = context};
    const char *trouble = "out of memory";
    gunzip.out = malloc(OUT_BYTES);
    if (gunzip.out != NULL && inflateInit2(&gunzip.stream, GZIP_WINDOW_BITS) == Z_OK) {
        trouble = unpack_members(&gunzip);
        inflateEnd(&gunzip.stream);
    }
    free(gunzip.out);
    return trouble;
}
