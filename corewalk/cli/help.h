/* Help, made from the library's registry of verbs. */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include <corewalk/corewalk.h>

/* All verbs, the common options, exit statuses. */
void help_overview(FILE *stream);

/* One verb. */
void help_verb(const struct corewalk_verb *verb, FILE *stream);

/*
 * Words for shell completion, one a line, as `--words` asks for them: "verbs", "formats", "options
 * [VERB]" (those that take a value end in "="), or "values VERB OPTION" (nothing for an option
 * that takes anything). False when words[0] is none of them; `words` ends with NULL.
 */
bool help_words(char *const *words, FILE *stream);
