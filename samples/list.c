/* A job queue whose worker is gone: jobs are appended, and nobody takes them. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sample.h"

struct job {
    struct job *next;
    uint64_t id;
    char *command;
    uint32_t priority;
    uint32_t attempts;
    unsigned char parameters[40];
};

struct job_queue {
    struct job *first;
    struct job **last_next;
    uint64_t count;
};

static struct job_queue g_jobs = {.last_next = &g_jobs.first};

static char *copy_text(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = malloc(size);
    if (!copy) {
        abort();
    }
    return memcpy(copy, text, size);
}

static void submit(struct sample *sample)
{
    struct job *job = calloc(1, sizeof *job);
    char command[96];
    if (!job) {
        abort();
    }
    job->id = ++g_jobs.count;
    job->priority = (uint32_t)sample_between(&sample->random, 0, 9);
    snprintf(command,
             sizeof command,
             "convert --width %zu upload-%06llu.png",
             sample_between(&sample->random, 64, 4096),
             (unsigned long long)job->id);
    job->command = copy_text(command);
    *g_jobs.last_next = job;
    g_jobs.last_next = &job->next;
}

int main(int argc, char **argv)
{
    struct sample sample = sample_start(argc, argv, 20000);
    for (uint64_t i = 0; i < sample.count; i++) {
        submit(&sample);
    }
    sample_ready();
}
