/* Opening built cores. */
#include "support/opened_core.h"

#include <stdlib.h>
#include <string.h>

#include "support/unit.h"

void opened_core_open(struct opened_core *opened, const uint8_t *bytes, size_t size)
{
    *opened = (struct opened_core){.bytes = malloc(size == 0 ? 1 : size)};
    cw_budget_init(&opened->budget, UINT64_MAX);
    cw_arena_init(&opened->arena, &opened->budget);
    cw_notes_init(&opened->coverage, &opened->arena);
    if (opened->bytes == NULL) {
        abort();
    }
    if (size > 0) {
        memcpy(opened->bytes, bytes, size);
    }
    opened->status = cw_target_open_core_bytes(opened->bytes,
                                               size,
                                               "core.test",
                                               &opened->arena,
                                               &opened->coverage,
                                               &opened->target,
                                               &opened->err);
    if (opened->status == CW_OK) {
        opened->status =
            cw_space_create(&opened->target, &opened->arena, &opened->space, &opened->err);
    }
}

void opened_core_build(struct opened_core *opened, struct core_builder *builder)
{
    size_t size;
    const uint8_t *bytes = core_builder_finish(builder, &size);
    opened_core_open(opened, bytes, size);
}

void opened_core_close(struct opened_core *opened)
{
    if (opened->status == CW_OK) {
        cw_space_destroy(&opened->space);
    }
    cw_target_close(&opened->target);
    cw_notes_deinit(&opened->coverage);
    cw_arena_deinit(&opened->arena);
    CU_ASSERT_EQUAL(opened->budget.used_bytes, 0);
    free(opened->bytes);
}

const struct cw_note *opened_core_note(const struct opened_core *opened, const char *code)
{
    for (size_t i = 0; i < opened->coverage.items.count; i++) {
        const struct cw_note *note = cw_note_at(&opened->coverage, i);
        if (strcmp(note->code, code) == 0) {
            return note;
        }
    }
    return NULL;
}
