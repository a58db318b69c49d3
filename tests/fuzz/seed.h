/*
 * Recipes of seed corpora: seed_<name>.c beside fuzz_<name>.c is a program that writes inputs
 * worth starting from into the folder that it is given.
 */
#pragma once

#include <stddef.h>

struct core_builder;

/* Writes one seed; exits with a message when that fails. */
void seed_write(const char *folder, const char *name, const void *bytes, size_t size);

/* Writes the builder's core, and that core cut at `cut_count` places. */
void seed_write_core(const char *folder,
                     const char *name,
                     struct core_builder *builder,
                     unsigned cut_count);
