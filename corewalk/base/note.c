/* Notes: a capped list of sentences. */
#include "base/note.h"

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

void cw_note_add_list(struct cw_notes *notes,
                      const struct cw_note *note,
                      const char *format,
                      va_list arguments)
{
    if (notes->items.count >= CW_NOTE_LIMIT) {
        notes->dropped_count++;
        return;
    }
    char raw[480];
    vsnprintf(raw, sizeof raw, format, arguments);
    struct cw_note added = *note;
    added.text = cw_text_escape_copy(notes->arena, raw);
    if (added.text == NULL || !cw_vector_append(&notes->items, &added)) {
        notes->dropped_count++;
    }
}

void cw_note_add(struct cw_notes *notes,
                 enum cw_severity severity,
                 const char *code,
                 cw_addr address,
                 const char *format,
                 ...)
{
    struct cw_note note = {.code = code, .severity = severity, .address = address};
    va_list arguments;
    va_start(arguments, format);
    cw_note_add_list(notes, &note, format, arguments);
    va_end(arguments);
}

size_t cw_notes_serious(const struct cw_notes *notes)
{
    size_t count = 0;
    for (size_t i = 0; i < notes->items.count; i++) {
        count += cw_note_at(notes, i)->severity > CW_INFO ? 1 : 0;
    }
    return count;
}
