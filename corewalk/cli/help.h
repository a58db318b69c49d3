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
 * Words for shell completion, one a line: "verbs", "formats", or "options VERB". False when
 * `what` is none of them.
 */
bool help_words(const char *what, const char *verb_name, FILE *stream);
