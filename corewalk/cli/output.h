/* Where the result goes: standard output, or a file that appears only when it is whole. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct output {
    int fd;
    const char *path;     /* NULL: standard output */
    char *temporary_path; /* beside `path`, renamed at the end; NULL: written in place */
    bool is_terminal;
    int os_error; /* of the first write that failed, or 0 */
};

/* NULL and "-" are standard output. */
bool output_is_standard(const char *path);

/* Whether the result would go over the file that `input` (may be NULL) names, also by a link. */
bool output_overwrites(const char *path, const char *input);

/* False after saying on stderr what is wrong with the path. */
bool output_open(const char *path, struct output *ret_output);

/* For corewalk_run. */
int output_write(void *context, const char *bytes, size_t count);

/* Puts the file in its place when `keep`, else leaves no trace. False after saying what failed. */
bool output_close(struct output *output, bool keep);
