/* The command line: `corewalk VERB [OPTION]... CORE [ARGUMENT]`. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/help.h"
#include "cli/output.h"
#include "cli/progress.h"

enum { LEAST_TERMINAL_WIDTH = 40, PAGE_WIDTH = 80 };

static bool is_set(const char *variable)
{
    const char *value = getenv(variable);
    return value != NULL && value[0] != '\0';
}

/* Styling only for a terminal that wants it; a page narrower than 80 where the terminal is. */
static void fit_terminal(struct command *command)
{
    struct winsize size;
    if (!output_is_standard(command->output_path) || isatty(STDOUT_FILENO) != 1) {
        return;
    }
    const char *terminal = getenv("TERM");
    command->request.color = command->wants_color && !is_set("NO_COLOR") && terminal != NULL &&
                             strcmp(terminal, "dumb") != 0;
    if (command->request.width == 0 && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 &&
        size.ws_col >= LEAST_TERMINAL_WIDTH && size.ws_col < PAGE_WIDTH) {
        command->request.width = size.ws_col;
    }
}

static int exit_status_of(int status, const struct corewalk_outcome *outcome)
{
    if (status == COREWALK_ERROR_ARGUMENT) {
        return EXIT_USAGE;
    }
    if (status != COREWALK_OK) {
        return EXIT_CANNOT;
    }
    if (outcome->exceeded_fail_if) {
        return EXIT_EXCEEDED;
    }
    return outcome->is_incomplete ? EXIT_INCOMPLETE : EXIT_DONE;
}

/* A reader that has seen enough (`| head`) is no failure worth a word. */
static int run(struct corewalk_session *session, struct command *command, struct output *output)
{
    struct corewalk_error error = COREWALK_ERROR_INIT;
    struct corewalk_outcome outcome = {.size = sizeof outcome};
    int status = corewalk_run(session, &command->request, output_write, output, &outcome, &error);
    progress_clear();
    if (output->os_error == EPIPE) {
        return EXIT_DONE;
    }
    if (output->os_error != 0) {
        fprintf(stderr,
                "corewalk: cannot write %s: %s\n",
                output->path != NULL ? output->path : "to standard output",
                strerror(output->os_error));
        return EXIT_CANNOT;
    }
    if (status != COREWALK_OK) {
        fprintf(stderr, "corewalk: %s\n", error.text);
    }
    if (status == COREWALK_OK && outcome.missing != NULL) {
        fprintf(stderr, "corewalk: incomplete: %s\n", outcome.missing);
    }
    return exit_status_of(status, &outcome);
}

static bool is_standard_input(const struct command *command)
{
    return strcmp(command->core_path, "-") == 0;
}

/* The input is never the place of the result: neither the core nor the program's file. */
static bool spares_input(const struct command *command)
{
    const char *core = is_standard_input(command) ? "/dev/stdin" : command->core_path;
    const char *inputs[] = {core, command->options.exe};
    for (size_t i = 0; i < sizeof inputs / sizeof inputs[0]; i++) {
        if (output_overwrites(command->output_path, inputs[i])) {
            fprintf(stderr,
                    "corewalk: --output %s would overwrite the input %s\n",
                    command->output_path,
                    inputs[i]);
            return false;
        }
    }
    return true;
}

static int open_session(const struct command *command,
                        struct corewalk_session **ret_session,
                        struct corewalk_error *error)
{
    return is_standard_input(command)
               ? corewalk_open_descriptor(
                     STDIN_FILENO, "standard input", &command->options, ret_session, error)
               : corewalk_open_core(command->core_path, &command->options, ret_session, error);
}

static int open_and_run(struct command *command)
{
    struct corewalk_error error = COREWALK_ERROR_INIT;
    struct corewalk_session *session;
    struct output output;
    if (!spares_input(command)) {
        return EXIT_USAGE;
    }
    if (!output_open(command->output_path, &output)) {
        return EXIT_CANNOT;
    }
    progress_enable(!command->is_quiet);
    progress_catch_interrupt();
    command->options.progress = progress_report;
    int status = open_session(command, &session, &error);
    if (status != COREWALK_OK) {
        progress_clear();
        fprintf(stderr, "corewalk: %s\n", error.text);
        output_close(&output, false);
        return EXIT_CANNOT;
    }
    int result = run(session, command, &output);
    bool is_whole = result != EXIT_CANNOT && result != EXIT_USAGE;
    if (!output_close(&output, is_whole)) {
        result = EXIT_CANNOT;
    }
    corewalk_close(session);
    return result;
}

static int run_verb(const struct corewalk_verb *verb, int argc, char **argv)
{
    struct command command;
    if (!command_parse(verb, argc, argv, &command)) {
        return EXIT_USAGE;
    }
    if (command.wants_help) {
        help_verb(verb, stdout);
        return EXIT_DONE;
    }
    fit_terminal(&command);
    return open_and_run(&command);
}

static int unknown_verb(const char *name)
{
    const struct corewalk_verb *near = verb_near(name);
    fprintf(stderr, "corewalk: there is no verb or file '%s'", name);
    if (near != NULL) {
        fprintf(stderr, "; did you mean '%s'?", near->name);
    }
    fputs("\nTry 'corewalk help'.\n", stderr);
    return EXIT_USAGE;
}

static int run_help(const char *name)
{
    if (name == NULL || strcmp(name, "help") == 0 || name[0] == '-') {
        help_overview(stdout);
        return EXIT_DONE;
    }
    const struct corewalk_verb *verb = verb_named(name);
    if (verb == NULL) {
        return unknown_verb(name);
    }
    help_verb(verb, stdout);
    return EXIT_DONE;
}

/*
 * `corewalk [OPTION]... CORE` is `corewalk analyze …`: an option, a name that no verb can have, or
 * that of an existing file, is no mistyped verb.
 */
static int run_core(int argc, char **argv)
{
    const char *first = argv[1];
    bool is_core = first[0] == '-' || strpbrk(first, "/.") != NULL || access(first, F_OK) == 0;
    return is_core ? run_verb(verb_named("analyze"), argc, argv) : unknown_verb(first);
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    if (argc < 2) {
        help_overview(stderr);
        return EXIT_USAGE;
    }
    const char *first = argv[1];
    const char *second = argc > 2 ? argv[2] : NULL;
    if (strcmp(first, "help") == 0 || strcmp(first, "--help") == 0 || strcmp(first, "-h") == 0) {
        return run_help(second);
    }
    if (strcmp(first, "--version") == 0) {
        printf("corewalk %s\n", corewalk_version());
        return EXIT_DONE;
    }
    if (strcmp(first, "--words") == 0 && second != NULL) {
        return help_words(argv + 2, stdout) ? EXIT_DONE : EXIT_USAGE;
    }
    const struct corewalk_verb *verb = verb_named(first);
    return verb != NULL ? run_verb(verb, argc - 1, argv + 1) : run_core(argc, argv);
}
