/* Time that passes, for measuring. */
#pragma once

#include <time.h>

/* Seconds since some fixed moment. */
static inline double cw_clock_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}
