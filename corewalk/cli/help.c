/* Help texts: wrapped to 80 columns, options in two columns. */
#include "cli/help.h"

#include <string.h>

#include "cli/command.h"

enum { PAGE_WIDTH = 79, OPTION_COLUMN = 26 };

/* Prints words from `text` with line breaks; the first line starts at column `at`. */
static void print_wrapped(FILE *stream, const char *text, size_t indent, size_t at)
{
    size_t column = at;
    bool is_first_word = true;
    while (*text != '\0') {
        size_t length = strcspn(text, " ");
        if (!is_first_word && column + 1 + length > PAGE_WIDTH) {
            fprintf(stream, "\n%*s", (int)indent, "");
            column = indent;
        } else if (!is_first_word) {
            fputc(' ', stream);
            column++;
        }
        fprintf(stream, "%.*s", (int)length, text);
        column += length;
        text += length;
        text += strspn(text, " ");
        is_first_word = false;
    }
    fputc('\n', stream);
}

static void print_entry(FILE *stream, const char *left, const char *right)
{
    size_t length = (size_t)fprintf(stream, "  %s", left);
    if (length + 2 > OPTION_COLUMN) {
        fputc('\n', stream);
        length = 0;
    }
    fprintf(stream, "%*s", (int)(OPTION_COLUMN - length), "");
    print_wrapped(stream, right, OPTION_COLUMN, OPTION_COLUMN);
}

static void print_options(FILE *stream, const struct corewalk_option *options, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char left[64];
        snprintf(left,
                 sizeof left,
                 "--%s%s%s",
                 options[i].name,
                 options[i].value != NULL ? " " : "",
                 options[i].value != NULL ? options[i].value : "");
        print_entry(stream, left, options[i].summary);
    }
}

void help_overview(FILE *stream)
{
    fputs("corewalk tells what fills a bloated process, from its memory alone.\n\n"
          "Usage: corewalk VERB [OPTION]... CORE [ARGUMENT]\n"
          "       corewalk [OPTION]... CORE  the same as: corewalk analyze ...\n"
          "       corewalk help [VERB]\n\n"
          "To take a core of a running process: gcore PID (gdb's; it goes on afterwards).\n"
          "CORE may be compressed (zstd, lz4, xz, gzip); - is standard input.\n\n"
          "Verbs:\n",
          stream);
    for (size_t i = 0; i < corewalk_verb_count(); i++) {
        const struct corewalk_verb *verb = corewalk_verb_at(i);
        print_entry(stream, verb->name, verb->summary);
    }
    print_entry(stream, "help", "this page, or the page of one verb");
    fputs("\nOptions of every verb:\n", stream);
    print_options(stream, common_options, common_option_count);
    print_entry(stream, "--version", "version of the program");
    fputs("\nExit status: 0 done; 1 done, but something was missing (the output says what);\n"
          "2 no analysis (standard error says why); 64 usage.\n",
          stream);
}

void help_verb(const struct corewalk_verb *verb, FILE *stream)
{
    fprintf(stream,
            "Usage: corewalk %s [OPTION]... CORE%s%s\n\n",
            verb->name,
            verb->argument != NULL ? " " : "",
            verb->argument != NULL ? verb->argument : "");
    print_wrapped(stream, verb->description, 0, 0);
    if (verb->option_count > 0) {
        fprintf(stream, "\nOptions of %s:\n", verb->name);
        print_options(stream, verb->options, verb->option_count);
    }
    fputs("\nOptions of every verb:\n", stream);
    print_options(stream, common_options, common_option_count);
}

static void print_option_words(FILE *stream, const struct corewalk_option *options, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        fprintf(stream, "--%s%s\n", options[i].name, options[i].value != NULL ? "=" : "");
    }
}

static void print_verbs(FILE *stream)
{
    for (size_t i = 0; i < corewalk_verb_count(); i++) {
        fprintf(stream, "%s\n", corewalk_verb_at(i)->name);
    }
    fputs("help\n", stream);
}

static void print_formats(FILE *stream)
{
    for (size_t i = 0; i < corewalk_format_count(); i++) {
        fprintf(stream, "%s\n", corewalk_format_name(i));
    }
}

static void print_options_of(const struct corewalk_verb *verb, FILE *stream)
{
    print_option_words(stream, common_options, common_option_count);
    if (verb != NULL) {
        print_option_words(stream, verb->options, verb->option_count);
    } else {
        fputs("--version\n", stream);
    }
}

static void print_values(const struct corewalk_verb *verb, const char *name, FILE *stream)
{
    name += strspn(name, "-");
    if (strcmp(name, "format") == 0) {
        print_formats(stream);
        return;
    }
    for (size_t i = 0; verb != NULL && i < verb->option_count; i++) {
        const char *const *choice = verb->options[i].choices;
        if (choice != NULL && strcmp(verb->options[i].name, name) == 0) {
            for (; *choice != NULL; choice++) {
                fprintf(stream, "%s\n", *choice);
            }
        }
    }
}

bool help_words(char *const *words, FILE *stream)
{
    const char *what = words[0];
    const struct corewalk_verb *verb = words[1] != NULL ? verb_named(words[1]) : NULL;
    if (strcmp(what, "verbs") == 0) {
        print_verbs(stream);
    } else if (strcmp(what, "formats") == 0) {
        print_formats(stream);
    } else if (strcmp(what, "options") == 0) {
        print_options_of(verb, stream);
    } else if (strcmp(what, "values") == 0 && words[1] != NULL && words[2] != NULL) {
        print_values(verb, words[2], stream);
    } else {
        return false;
    }
    return true;
}
