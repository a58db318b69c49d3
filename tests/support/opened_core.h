/* A built core opened as a target and a space, with everything that both need, for tests. */
#pragma once

#include "space/space.h"
#include "support/core_builder.h"

struct opened_core {
    struct cw_budget budget;
    struct cw_arena arena;
    struct cw_notes coverage;
    struct cw_target target;
    struct cw_space space;
    struct cw_error err;
    enum cw_status status; /* of the step that failed, or CW_OK */
    uint8_t *bytes;        /* a copy without a byte to spare, so that sanitizers see over-reads */
};

/* Opens the bytes. Whatever the outcome, opened_core_close must follow. */
void opened_core_open(struct opened_core *opened, const uint8_t *bytes, size_t size);

/* The same for what the builder makes. */
void opened_core_build(struct opened_core *opened, struct core_builder *builder);

/* Closes everything, and checks that the budget got all of it back. */
void opened_core_close(struct opened_core *opened);

/* The coverage note of that code, or NULL. */
const struct cw_note *opened_core_note(const struct opened_core *opened, const char *code);
