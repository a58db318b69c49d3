/*
 * libcorewalk: what fills a bloated process, read from its memory after the fact.
 *
 *     struct corewalk_error error = COREWALK_ERROR_INIT;
 *     struct corewalk_session *session;
 *     if (corewalk_open_core("core.1234", NULL, &session, &error) != 0) {
 *         errx(2, "%s", error.text);
 *     }
 *     struct corewalk_request request = {.size = sizeof request, .verb = "analyze"};
 *     corewalk_run(session, &request, write_to_stdout, NULL, NULL, &error);
 *     corewalk_close(session);
 *
 * A session is one target, analysed step by step as verbs need it; a second verb reuses what the
 * first has found. Sessions share nothing: two of them may run in two threads, but one session
 * belongs to one thread at a time. The library never prints, exits, aborts or forks.
 *
 * Functions return 0 or an enum corewalk_status; the error record, which may be NULL, then says
 * why in one line of printable ASCII.
 */
#ifndef COREWALK_COREWALK_H
#define COREWALK_COREWALK_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Raised when something here changes so that older callers break. Until then structs with a `size`
 * (options, callback, request, outcome) may grow at their end: the library reads and writes only as
 * much of them as the caller's `size` says, and takes the rest as zero. struct corewalk_verb, which
 * only the library makes, may grow, too. All others are frozen: error, segment, thread, option and
 * setting.
 */
#define COREWALK_ABI 1

#if defined(__GNUC__)
#define COREWALK_EXPORT __attribute__((visibility("default")))
#else
#define COREWALK_EXPORT
#endif

enum corewalk_status {
    COREWALK_OK = 0,
    COREWALK_ERROR_ARGUMENT = 1,    /* a wrong verb, option or value: a usage error */
    COREWALK_ERROR_IO = 2,          /* the system refused; os_error is the errno */
    COREWALK_ERROR_FORMAT = 3,      /* the input is not what it should be */
    COREWALK_ERROR_UNSUPPORTED = 4, /* the input is sound, but of a kind that is not read */
    COREWALK_ERROR_NOT_FOUND = 5,   /* what was asked for is not there */
    COREWALK_ERROR_MEMORY = 6,      /* max_memory_bytes, or the system's memory, is used up */
    COREWALK_ERROR_CANCELLED = 7,   /* the progress hook said stop */
};

struct corewalk_error {
    int status;
    int os_error;
    uint64_t address; /* in the target, or 0 */
    char text[240];
};

#define COREWALK_ERROR_INIT \
    {                       \
        0, 0, 0,            \
        {                   \
            0               \
        }                   \
    }

/* COREWALK_ABI of the library that was loaded. */
COREWALK_EXPORT uint32_t corewalk_abi(void);

/* "0.1.0". Static. */
COREWALK_EXPORT const char *corewalk_version(void);

/* Reads a size as people type it: "4096", "0x1000", "64k", "1.5G" (1024-based). */
COREWALK_EXPORT int corewalk_parse_size(const char *text, uint64_t *ret_bytes);

/* ---- sessions ---------------------------------------------------------------------------- */

struct corewalk_session;

/* Set `size` to sizeof and leave what you do not need zero. NULL pointers mean "default". */
struct corewalk_options {
    size_t size;
    const char *exe;           /* the program's file, when it is not where the target says */
    const char *sysroot;       /* prefix for the target's paths (containers, other machines) */
    const char *debug_dir;     /* root of separate debug files; default /usr/lib/debug */
    uint64_t max_memory_bytes; /* beyond the mapped input; 0: no limit */
    unsigned thread_count;     /* 0: as many as there are cores */
    /*
     * Called now and then during long work, `total` may be 0 (unknown; `done` then counts bytes
     * of input). Return non-zero to cancel. May be called from worker threads, never from two at
     * once.
     */
    int (*progress)(void *context, const char *phase, uint64_t done, uint64_t total);
    void *progress_context;
    /*
     * Compressed and piped cores are brought into a file without a name: in this folder (default:
     * $TMPDIR, else /var/tmp, else /tmp), and of at most so many bytes on disk, holes not counted
     * (0: what is free there, less a reserve). Of a larger one the beginning is analysed.
     */
    const char *scratch_dir;
    uint64_t max_scratch_bytes;
};

/*
 * Opens a core file, also one that is compressed with zstd, lz4, xz or gzip (whatever its name), or
 * a FIFO or the like. The file must not change while the session lives, if it is a regular one.
 */
COREWALK_EXPORT int corewalk_open_core(const char *path,
                                       const struct corewalk_options *options,
                                       struct corewalk_session **ret_session,
                                       struct corewalk_error *error);

/*
 * The same over a descriptor that is open for reading: a regular file, read from its start wherever
 * its position is, or a pipe, read to its end. It stays the caller's, and may be closed after this.
 * `name` is what reports call it.
 */
COREWALK_EXPORT int corewalk_open_descriptor(int descriptor,
                                             const char *name,
                                             const struct corewalk_options *options,
                                             struct corewalk_session **ret_session,
                                             struct corewalk_error *error);

enum corewalk_arch {
    COREWALK_ARCH_UNKNOWN = 0,
    COREWALK_ARCH_X86_64 = 1,
    COREWALK_ARCH_I386 = 2,
    COREWALK_ARCH_AARCH64 = 3,
};

enum corewalk_protection {
    COREWALK_READ = 1,
    COREWALK_WRITE = 2,
    COREWALK_EXEC = 4,
};

struct corewalk_segment {
    uint64_t start;
    uint64_t size_bytes;
    uint32_t protection;
    uint64_t file_off; /* meaningful with a path */
    const char *path;  /* of the mapped file; NULL: anonymous */
};

struct corewalk_thread {
    uint32_t tid;
    uint64_t pc;
    uint64_t sp;
    /* fs_base on x86-64, the base of gs on i386, TPIDR_EL0 on aarch64; 0: unknown, looked for */
    uint64_t tp;
};

/* A target that the caller reads for us: a debugger, a test. Everything is copied. */
struct corewalk_callback {
    size_t size;
    uint32_t arch;       /* enum corewalk_arch */
    uint64_t page_bytes; /* 0: 4096 */
    uint32_t pid;
    const struct corewalk_segment *segments;
    size_t segment_count;
    const struct corewalk_thread *threads;
    size_t thread_count;
    /* Copies exactly `size` bytes and returns 0, else non-zero. Never called twice at once. */
    int (*read)(void *context, uint64_t address, void *buffer, size_t size);
    void *context;
};

COREWALK_EXPORT int corewalk_open_callback(const struct corewalk_callback *callback,
                                           const struct corewalk_options *options,
                                           struct corewalk_session **ret_session,
                                           struct corewalk_error *error);

/* Also legal on NULL. Everything borrowed from the session ends with it. */
COREWALK_EXPORT void corewalk_close(struct corewalk_session *session);

/*
 * Bytes that the session holds at most so far, beyond the mapped input. This and max_memory_bytes
 * count what grows with the target's memory; what libelf takes for the symbols of modules, the
 * demangler for a name at a time, and libarchive to decompress a core, is not in it.
 */
COREWALK_EXPORT uint64_t corewalk_peak_memory(const struct corewalk_session *session);

/* ---- verbs ------------------------------------------------------------------------------- */

enum corewalk_value_kind {
    COREWALK_VALUE_NONE = 0,    /* a flag */
    COREWALK_VALUE_TEXT = 1,    /* any text */
    COREWALK_VALUE_CHOICE = 2,  /* one of `choices` */
    COREWALK_VALUE_SIZE = 3,    /* "4096", "0x1000", "64k", "1.5G" */
    COREWALK_VALUE_COUNT = 4,   /* a decimal number */
    COREWALK_VALUE_ADDRESS = 5, /* hexadecimal, with or without 0x */
    COREWALK_VALUE_LIMIT = 6,   /* a decimal number, not 0 */
};

struct corewalk_option {
    const char *name;    /* without the dashes: "min-size" */
    const char *summary; /* one line */
    const char *value;   /* placeholder for help: "SIZE"; NULL for a flag */
    int kind;            /* enum corewalk_value_kind */
    /* NULL-terminated: all values, with COREWALK_VALUE_CHOICE; else words to offer, or NULL */
    const char *const *choices;
};

struct corewalk_verb {
    const char *name;
    const char *summary;     /* one line */
    const char *description; /* a paragraph or two for help, wrapped by the reader */
    const char *argument;    /* the positional argument's placeholder ("ADDRESS"), or NULL */
    int argument_kind;       /* enum corewalk_value_kind */
    const struct corewalk_option *options;
    size_t option_count;
};

/* Every verb that the library knows; a command line or debugger plugin offers just these. */
COREWALK_EXPORT size_t corewalk_verb_count(void);
COREWALK_EXPORT const struct corewalk_verb *corewalk_verb_at(size_t index);

/* The output formats, the default first: "text", "json", "markdown"; a name and one line each. */
COREWALK_EXPORT size_t corewalk_format_count(void);
COREWALK_EXPORT const char *corewalk_format_name(size_t index);
COREWALK_EXPORT const char *corewalk_format_summary(size_t index);

struct corewalk_setting {
    const char *option; /* a name of the verb's options */
    const char *value;  /* as typed; NULL for a flag */
};

struct corewalk_request {
    size_t size;
    const char *verb;
    const char *argument; /* the positional one, as typed, or NULL */
    const struct corewalk_setting *settings;
    size_t setting_count;
    const char *format; /* NULL: "text" */
    unsigned width;     /* of text; 0: 80 */
    int color;          /* non-zero: ANSI styling in text */
    int timing;         /* non-zero: reports (not lists) end with where the time went */
};

/* Takes rendered bytes; returns 0, or non-zero to stop (the run then ends with an I/O error). */
typedef int corewalk_write(void *context, const char *bytes, size_t count);

/* What can be asked of a result besides its text. */
struct corewalk_outcome {
    size_t size;
    int is_incomplete;    /* printed, but something was missing; the output says what */
    int exceeded_fail_if; /* a --fail-if threshold was passed (no verb has one yet) */
    /*
     * Why is_incomplete, in one line, where the output has no room to say it (the rows of `list`);
     * else NULL. Lives until the session's next run, or its end.
     */
    const char *missing;
};

/*
 * Answers one request. What a verb needs of the analysis is done now and kept. `ret_outcome`, with
 * `size` set by the caller, may be NULL.
 */
COREWALK_EXPORT int corewalk_run(struct corewalk_session *session,
                                 const struct corewalk_request *request,
                                 corewalk_write *write,
                                 void *context,
                                 struct corewalk_outcome *ret_outcome,
                                 struct corewalk_error *error);

/* Checks a request without running it: COREWALK_OK, or COREWALK_ERROR_ARGUMENT and why. */
COREWALK_EXPORT int corewalk_check(const struct corewalk_request *request,
                                   struct corewalk_error *error);

#ifdef __cplusplus
}
#endif

#endif
