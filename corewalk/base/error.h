/*
 * Why we could not go on: a status, and a record that the caller owns.
 *
 * Corruption in the target is data and becomes a note (note.h); a status other than CW_OK means
 * that *we* could not continue. A record is set once, where the fact is known, and says what,
 * where, what was expected and what was found. It holds no heap memory and may be copied.
 */
#pragma once

#include "base/types.h"

enum cw_status {
    CW_OK = 0,
    CW_ERROR_ARGUMENT,    /* the caller asked for something that makes no sense */
    CW_ERROR_IO,          /* the system refused: os_error says why */
    CW_ERROR_FORMAT,      /* the input is not what it should be */
    CW_ERROR_UNSUPPORTED, /* the input is sound, but of a kind we do not read */
    CW_ERROR_NOT_FOUND,   /* what was asked for is not there */
    CW_ERROR_MEMORY,      /* the byte budget (--max-memory) or the system is out of memory */
    CW_ERROR_CANCELLED,   /* the caller's progress hook said stop */
};

struct cw_error {
    enum cw_status status;
    int os_error;    /* errno, or 0 */
    cw_addr address; /* in the target, or 0 where none applies */
    char text[240];  /* one line, no newline, printable ASCII */
};

#define CW_ERROR_INIT ((struct cw_error){.status = CW_OK})

/*
 * Fills `err` (may be NULL) unless it already holds an error, and returns `status`, so that
 * `return cw_error_set(err, CW_ERROR_FORMAT, "…", …);` is the whole idiom. The text is escaped.
 */
enum cw_status cw_error_set(struct cw_error *err, enum cw_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same with an errno, whose text is appended after ": ". */
enum cw_status cw_error_set_os(struct cw_error *err, int os_error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same for a thing at an address of the target. */
enum cw_status cw_error_set_at(struct cw_error *err,
                               enum cw_status status,
                               cw_addr address,
                               const char *format,
                               ...) __attribute__((format(printf, 4, 5)));

/* The one text for a spent budget: what there was no memory for, and what to do about it. */
enum cw_status cw_error_set_memory(struct cw_error *err, const char *what);
