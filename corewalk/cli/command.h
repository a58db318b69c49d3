/* A parsed command line. */
#pragma once

#include <stdbool.h>

#include <corewalk/corewalk.h>

/* Exit statuses: the contract of the manual page. */
enum exit_status {
    EXIT_DONE = 0,
    EXIT_INCOMPLETE = 1, /* printed, but something was missing */
    EXIT_CANNOT = 2,     /* no analysis; one line on stderr says why */
    EXIT_EXCEEDED = 3,   /* a --fail-if threshold */
    EXIT_USAGE = 64,
};

enum { SETTING_LIMIT = 64 };

struct command {
    const struct corewalk_verb *verb;
    const char *core_path;
    struct corewalk_options options;
    struct corewalk_request request;
    struct corewalk_setting settings[SETTING_LIMIT];
    const char *output_path; /* NULL: standard output */
    bool wants_help;
    bool wants_color; /* when the output is a terminal */
    bool is_quiet;    /* no progress */
};

/* The options that every verb takes, for help and completion. */
extern const struct corewalk_option common_options[];
extern const size_t common_option_count;

/* The library's verb of this name, or NULL. */
const struct corewalk_verb *verb_named(const char *name);

/* The verb that a mistyped name was probably meant to be, or NULL. */
const struct corewalk_verb *verb_near(const char *name);

/*
 * Parses what follows the verb. argv[0] is the verb. False after a usage error, which has been
 * said on stderr.
 */
bool command_parse(const struct corewalk_verb *verb,
                   int argc,
                   char **argv,
                   struct command *ret_command);
