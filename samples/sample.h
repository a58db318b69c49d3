/*
 * What every sample shares: its options, a seeded source of numbers, and its end.
 *
 *     int main(int argc, char **argv)
 *     {
 *         struct sample sample = sample_start(argc, argv, 50000);
 *         … fill the heap with about sample.count things …
 *         sample_ready();
 *     }
 *
 * Options: --count N (how much there is to be of everything), --seed N, --oracle DIR (see
 * oracle.h), --text TEXT (what to keep in memory, for samples that keep some).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sample {
    uint64_t count;
    uint64_t random; /* state of sample_random */
    const char *text;
};

/* Reads the options; ends the process with status 64 when they are wrong. Allocates nothing. */
struct sample sample_start(int argc, char **argv, uint64_t default_count);

/*
 * Writes the oracle if it was asked for, says "ready" on stdout, and waits for ever. From the
 * oracle on nothing is allocated or freed any more.
 */
void sample_ready(void) __attribute__((noreturn));

/* The same, with an act between the oracle and the word: what the heap may not survive. */
void sample_ready_after(void (*act)(void)) __attribute__((noreturn));

/* The next number of a generator of its own (splitmix64). */
uint64_t sample_random(uint64_t *state);

/* low … high, both included. */
size_t sample_between(uint64_t *state, size_t low, size_t high);

#ifdef __cplusplus
}
#endif
