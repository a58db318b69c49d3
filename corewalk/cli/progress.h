/* Progress on a terminal's standard error, and Ctrl-C. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Ctrl-C from here on asks the analysis to stop; a second one ends the program. */
void progress_catch_interrupt(void);

/* For corewalk_options.progress: shows one line once the work takes long; non-zero: stop. */
int progress_report(void *context, const char *phase, uint64_t done, uint64_t total);

/* Clears the line, if one was shown. */
void progress_clear(void);

/* Clears the line, and shows none from here on. */
void progress_end(void);

/* Whether the line is shown at all (a terminal, and not --quiet). */
void progress_enable(bool is_shown);
