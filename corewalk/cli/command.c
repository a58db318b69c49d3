/* Parses command lines with getopt_long over the options that the library's verbs declare. */
#include "cli/command.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The order is that of `enum common`. */
const struct corewalk_option common_options[] = {
    {"format", "how to print: text (default), json, markdown", "FORMAT", COREWALK_VALUE_TEXT, NULL},
    {"output",
     "write to FILE instead of standard output (-o); - is standard output",
     "FILE",
     COREWALK_VALUE_TEXT,
     NULL},
    {"exe",
     "the program's file, when it is not where the core says",
     "FILE",
     COREWALK_VALUE_TEXT,
     NULL},
    {"sysroot",
     "prefix of all paths in the core: another machine's root",
     "DIR",
     COREWALK_VALUE_TEXT,
     NULL},
    {"debug-dir",
     "where separate debug files lie (default /usr/lib/debug)",
     "DIR",
     COREWALK_VALUE_TEXT,
     NULL},
    {"max-memory",
     "use at most this much memory beside the core and the symbols of modules (default: no limit)",
     "SIZE",
     COREWALK_VALUE_SIZE,
     NULL},
    {"max-scratch",
     "unpack at most this much of a compressed core (default: what is free there)",
     "SIZE",
     COREWALK_VALUE_SIZE,
     NULL},
    {"scratch-dir",
     "where compressed and piped cores are unpacked (default: TMPDIR, else /var/tmp)",
     "DIR",
     COREWALK_VALUE_TEXT,
     NULL},
    {"threads", "use this many threads (default: all cores)", "N", COREWALK_VALUE_COUNT, NULL},
    {"width", "width of the page in columns (default 80)", "N", COREWALK_VALUE_COUNT, NULL},
    {"no-color",
     "no styling, even on a terminal (also: NO_COLOR is set)",
     NULL,
     COREWALK_VALUE_NONE,
     NULL},
    {"timing",
     "end the report with the time of each phase and the memory used",
     NULL,
     COREWALK_VALUE_NONE,
     NULL},
    {"quiet", "no progress on standard error (-q)", NULL, COREWALK_VALUE_NONE, NULL},
    {"help", "help for this verb (-h)", NULL, COREWALK_VALUE_NONE, NULL},
};

enum common {
    COMMON_FORMAT,
    COMMON_OUTPUT,
    COMMON_EXE,
    COMMON_SYSROOT,
    COMMON_DEBUG_DIR,
    COMMON_MAX_MEMORY,
    COMMON_MAX_SCRATCH,
    COMMON_SCRATCH_DIR,
    COMMON_THREADS,
    COMMON_WIDTH,
    COMMON_NO_COLOR,
    COMMON_TIMING,
    COMMON_QUIET,
    COMMON_HELP,
    COMMON_COUNT,
};

const size_t common_option_count = COMMON_COUNT;

_Static_assert(sizeof common_options / sizeof common_options[0] == COMMON_COUNT, "one each");

/* getopt's value of long option i; short options have their letters. */
enum { LONG_OPTION_BASE = 1000, OPTION_LIMIT = COMMON_COUNT + SETTING_LIMIT };

enum { LEAST_WIDTH = 40, MOST_WIDTH = 1000, MOST_THREADS = 64 };

const struct corewalk_verb *verb_named(const char *name)
{
    for (size_t i = 0; i < corewalk_verb_count(); i++) {
        if (strcmp(corewalk_verb_at(i)->name, name) == 0) {
            return corewalk_verb_at(i);
        }
    }
    return NULL;
}

/* Edit distance, by rows. Names are short: longer input is not near anything. */
static size_t distance(const char *a, const char *b)
{
    enum { LONGEST = 32 };
    size_t row[LONGEST + 1];
    size_t a_length = strlen(a);
    size_t b_length = strlen(b);
    if (a_length > LONGEST || b_length > LONGEST) {
        return LONGEST;
    }
    for (size_t j = 0; j <= b_length; j++) {
        row[j] = j;
    }
    for (size_t i = 1; i <= a_length; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_length; j++) {
            size_t best = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            best = row[j] + 1 < best ? row[j] + 1 : best;
            row[j] = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
        }
    }
    return row[b_length];
}

const struct corewalk_verb *verb_near(const char *name)
{
    const struct corewalk_verb *nearest = NULL;
    size_t nearest_distance = 3;
    for (size_t i = 0; i < corewalk_verb_count(); i++) {
        size_t edits = distance(name, corewalk_verb_at(i)->name);
        if (edits < nearest_distance) {
            nearest = corewalk_verb_at(i);
            nearest_distance = edits;
        }
    }
    return nearest;
}

static bool usage_error(const struct corewalk_verb *verb, const char *text, const char *what)
{
    fprintf(
        stderr, "corewalk %s: %s%s; see corewalk help %s\n", verb->name, text, what, verb->name);
    return false;
}

static bool parse_number(const char *text, unsigned long most, unsigned long *ret_number)
{
    char *end;
    if (text[0] < '0' || text[0] > '9') {
        return false;
    }
    unsigned long number = strtoul(text, &end, 10);
    if (*end != '\0' || number > most) {
        return false;
    }
    *ret_number = number;
    return true;
}

static bool set_width(struct command *command, const char *value)
{
    unsigned long number;
    if (!parse_number(value, MOST_WIDTH, &number) || number < LEAST_WIDTH) {
        return usage_error(command->verb, "--width takes 40 to 1000, not ", value);
    }
    command->request.width = (unsigned)number;
    return true;
}

static bool set_threads(struct command *command, const char *value)
{
    unsigned long number;
    if (!parse_number(value, MOST_THREADS, &number) || number == 0) {
        return usage_error(command->verb, "--threads takes 1 to 64, not ", value);
    }
    command->options.thread_count = (unsigned)number;
    return true;
}

static bool set_size(const struct command *command,
                     const char *name,
                     const char *value,
                     uint64_t *ret_bytes)
{
    uint64_t bytes;
    if (corewalk_parse_size(value, &bytes) != COREWALK_OK || bytes == 0) {
        char text[80];
        snprintf(text, sizeof text, "--%s takes a size like 4096, 64k or 1.5G, not ", name);
        return usage_error(command->verb, text, value);
    }
    *ret_bytes = bytes;
    return true;
}

static bool set_common(struct command *command, enum common option, const char *value)
{
    switch (option) {
    case COMMON_FORMAT:
        command->request.format = value;
        return true;
    case COMMON_OUTPUT:
        command->output_path = value;
        return true;
    case COMMON_EXE:
        command->options.exe = value;
        return true;
    case COMMON_SYSROOT:
        command->options.sysroot = value;
        return true;
    case COMMON_DEBUG_DIR:
        command->options.debug_dir = value;
        return true;
    case COMMON_MAX_MEMORY:
        return set_size(command, "max-memory", value, &command->options.max_memory_bytes);
    case COMMON_MAX_SCRATCH:
        return set_size(command, "max-scratch", value, &command->options.max_scratch_bytes);
    case COMMON_SCRATCH_DIR:
        command->options.scratch_dir = value;
        return true;
    case COMMON_THREADS:
        return set_threads(command, value);
    case COMMON_WIDTH:
        return set_width(command, value);
    case COMMON_NO_COLOR:
        command->wants_color = false;
        return true;
    case COMMON_TIMING:
        command->request.timing = 1;
        return true;
    case COMMON_QUIET:
        command->is_quiet = true;
        return true;
    case COMMON_HELP:
        command->wants_help = true;
        return true;
    case COMMON_COUNT:
        break;
    }
    return false;
}

static bool set_verb_option(struct command *command, size_t index, const char *value)
{
    if (command->request.setting_count == SETTING_LIMIT) {
        return usage_error(command->verb, "too many options", "");
    }
    command->settings[command->request.setting_count++] =
        (struct corewalk_setting){command->verb->options[index].name, value};
    return true;
}

static void fill_long_options(const struct corewalk_verb *verb, struct option *options)
{
    size_t count = 0;
    for (size_t i = 0; i < COMMON_COUNT; i++) {
        options[count++] = (struct option){.name = common_options[i].name,
                                           .has_arg = common_options[i].value != NULL,
                                           .val = LONG_OPTION_BASE + (int)i};
    }
    for (size_t i = 0; i < verb->option_count; i++) {
        options[count++] = (struct option){.name = verb->options[i].name,
                                           .has_arg = verb->options[i].value != NULL,
                                           .val = LONG_OPTION_BASE + COMMON_COUNT + (int)i};
    }
    options[count] = (struct option){0};
}

static bool set_option(struct command *command, int value)
{
    switch (value) {
    case 'o':
        return set_common(command, COMMON_OUTPUT, optarg);
    case 'q':
        return set_common(command, COMMON_QUIET, NULL);
    case 'h':
        return set_common(command, COMMON_HELP, NULL);
    default:
        break;
    }
    int index = value - LONG_OPTION_BASE;
    return index < COMMON_COUNT ? set_common(command, (enum common)index, optarg)
                                : set_verb_option(command, (size_t)(index - COMMON_COUNT), optarg);
}

/* The core, then the verb's own argument where it has one. */
static bool set_operands(struct command *command, int count, char **operands)
{
    const struct corewalk_verb *verb = command->verb;
    int most = verb->argument != NULL ? 2 : 1;
    if (count == 0) {
        return usage_error(verb, "no core file was given", "");
    }
    if (count > most && verb_named(operands[0]) != NULL) {
        return usage_error(verb, "the verb comes before all options: ", operands[0]);
    }
    if (count > most) {
        return usage_error(verb, "does not know what to do with ", operands[most]);
    }
    command->core_path = operands[0];
    command->request.argument = count > 1 ? operands[1] : NULL;
    return true;
}

bool command_parse(const struct corewalk_verb *verb,
                   int argc,
                   char **argv,
                   struct command *ret_command)
{
    struct option long_options[OPTION_LIMIT + 1];
    struct command *command = ret_command;
    *command = (struct command){
        .verb = verb,
        .options = {.size = sizeof command->options},
        .request = {.size = sizeof command->request, .verb = verb->name},
        .wants_color = true,
    };
    command->request.settings = command->settings;
    fill_long_options(verb, long_options);

    optind = 1;
    opterr = 0;
    for (int value; (value = getopt_long(argc, argv, ":ho:q", long_options, NULL)) != -1;) {
        if (value == ':') {
            return usage_error(verb, "a value is missing behind ", argv[optind - 1]);
        }
        if (value == '?') {
            return usage_error(verb, "does not know the option ", argv[optind - 1]);
        }
        if (!set_option(command, value)) {
            return false;
        }
    }
    if (command->wants_help) {
        return true;
    }
    struct corewalk_error error = COREWALK_ERROR_INIT;
    if (!set_operands(command, argc - optind, argv + optind)) {
        return false;
    }
    if (corewalk_check(&command->request, &error) != COREWALK_OK) {
        fprintf(stderr, "corewalk: %s\n", error.text);
        return false;
    }
    return true;
}
