/* Notes: a capped list of sentences. */
#include "base/note.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/text.h"

void cw_notes_init(struct cw_notes *notes, struct cw_arena *arena)
{
    *notes = (struct cw_notes){.arena = arena};
    cw_vector_init(&notes->items, arena->budget, sizeof(struct cw_note));
}

void cw_notes_deinit(struct cw_notes *notes)
{
    cw_vector_deinit(&notes->items);
}

void cw_note_add(struct cw_notes *notes,
                 enum cw_severity severity,
                 const char *code,
                 cw_addr address,
                 const char *format,
                 ...)
{
    if (notes->items.count >= CW_NOTE_LIMIT) {
        notes->dropped_count++;
        return;
    }
    char raw[480];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(raw, sizeof raw, format, arguments);
    va_end(arguments);

    struct cw_note note = {.code = code, .severity = severity, .address = address};
    note.text = cw_text_escape_copy(notes->arena, raw);
    if (note.text == NULL || !cw_vector_append(&notes->items, &note)) {
        notes->dropped_count++;
    }
}
