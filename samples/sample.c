/* Options, random numbers and the end of a sample. Uses no stdio: its buffers are on the heap. */
#include "sample.h"

#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "oracle.h"

enum { STATUS_USAGE = 64 };

static const char *g_oracle_directory;

static void say(int fd, const char *text)
{
    if (write(fd, text, strlen(text)) < 0) {
        _exit(EXIT_FAILURE);
    }
}

static void usage(void)
{
    say(STDERR_FILENO, "usage: SAMPLE [--count N] [--seed N] [--oracle DIR] [--text TEXT]\n");
    _exit(STATUS_USAGE);
}

static uint64_t number(const char *text)
{
    char *end;
    uint64_t value = strtoull(text, &end, 0);
    if (end == text || *end != '\0') {
        usage();
    }
    return value;
}

struct sample sample_start(int argc, char **argv, uint64_t default_count)
{
    struct sample sample = {.count = default_count, .random = 1, .text = "nothing to tell"};
    for (int i = 1; i < argc; i += 2) {
        if (i + 1 == argc) {
            usage();
        } else if (strcmp(argv[i], "--count") == 0) {
            sample.count = number(argv[i + 1]);
        } else if (strcmp(argv[i], "--seed") == 0) {
            sample.random = number(argv[i + 1]);
        } else if (strcmp(argv[i], "--oracle") == 0) {
            g_oracle_directory = argv[i + 1];
        } else if (strcmp(argv[i], "--text") == 0) {
            sample.text = argv[i + 1];
        } else {
            usage();
        }
    }
    if (g_oracle_directory) {
        oracle_start();
    }
    return sample;
}

static void do_nothing(void)
{
}

void sample_ready(void)
{
    sample_ready_after(do_nothing);
}

void sample_ready_after(void (*act)(void))
{
    if (g_oracle_directory) {
        oracle_write(g_oracle_directory);
    }
    act();
    /* Where only relatives may attach (kernel.yama.ptrace_scope), let gdb in all the same. */
    prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
    say(STDOUT_FILENO, "ready\n");
    for (;;) {
        pause();
    }
}

uint64_t sample_random(uint64_t *state)
{
    uint64_t mixed = *state += 0x9e3779b97f4a7c15;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
    return mixed ^ (mixed >> 31);
}

size_t sample_between(uint64_t *state, size_t low, size_t high)
{
    return low + (size_t)(sample_random(state) % (high - low + 1));
}
