/* One line of progress, redrawn in place at most ten times a second. */
#include "cli/progress.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { SHOWN_AFTER_MS = 500, REDRAWN_AFTER_MS = 100 };

static volatile sig_atomic_t was_interrupted;

static struct {
    bool is_enabled;
    bool is_drawn;
    uint64_t started_ms;
    uint64_t drawn_ms;
} line;

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void note_interrupt(int signal)
{
    (void)signal;
    was_interrupted = 1;
}

void progress_catch_interrupt(void)
{
    /* SA_RESETHAND: the second Ctrl-C has the default effect. */
    struct sigaction action = {.sa_handler = note_interrupt,
                               .sa_flags = (int)(SA_RESTART | SA_RESETHAND)};
    sigaction(SIGINT, &action, NULL);
}

void progress_enable(bool is_shown)
{
    line.is_enabled = is_shown && isatty(STDERR_FILENO) == 1;
    line.started_ms = now_ms();
}

int progress_report(void *context, const char *phase, uint64_t done, uint64_t total)
{
    (void)context;
    uint64_t now = line.is_enabled ? now_ms() : 0;
    if (line.is_enabled && now - line.started_ms >= SHOWN_AFTER_MS &&
        now - line.drawn_ms >= REDRAWN_AFTER_MS) {
        if (total > 0) {
            double share = (double)done / (double)total;
            fprintf(stderr, "\r\033[K%s: %.0f %%", phase, 100 * share);
        } else if (done > 0) {
            fprintf(stderr, "\r\033[K%s: %.1f MiB", phase, (double)done / (1 << 20));
        } else {
            fprintf(stderr, "\r\033[K%s ...", phase);
        }
        line.is_drawn = true;
        line.drawn_ms = now;
    }
    return was_interrupted;
}

void progress_clear(void)
{
    if (line.is_drawn) {
        fputs("\r\033[K", stderr);
        line.is_drawn = false;
    }
}

void progress_end(void)
{
    progress_clear();
    line.is_enabled = false;
}
