/*
 * Notes: what we found out and must tell, though it does not stop us. Two lists exist in a
 * session: coverage (what is missing and what that makes unsure) and findings (corruption).
 */
#pragma once

#include <stdarg.h>

#include "base/arena.h"
#include "base/vector.h"

enum cw_severity {
    CW_INFO,
    CW_WARNING,
    CW_SEVERE, /* "error" in reports */
};

struct cw_note {
    const char *code; /* stable, kebab-case: "core-truncated", "bin-link-broken" */
    enum cw_severity severity;
    cw_addr address;     /* 0: none */
    cw_addr culprit;     /* an address in the block that likely did it; 0: none is suspected */
    uint64_t more_count; /* places that it sums up, beyond one */
    const char *text;    /* one sentence, printable ASCII; lives as long as the list's arena */
};

/* At most this many are kept in a list; a hostile core makes no more of them. */
#define CW_NOTE_LIMIT 1000

struct cw_notes {
    struct cw_vector items; /* struct cw_note */
    struct cw_arena *arena;
    uint64_t dropped_count; /* beyond CW_NOTE_LIMIT, or out of memory */
};

void cw_notes_init(struct cw_notes *notes, struct cw_arena *arena);
void cw_notes_deinit(struct cw_notes *notes);

/* `code` must be a literal. The text is escaped. */
void cw_note_add(struct cw_notes *notes,
                 enum cw_severity severity,
                 const char *code,
                 cw_addr address,
                 const char *format,
                 ...) __attribute__((format(printf, 5, 6)));

/* The same for findings that suspect a block. */
void cw_note_add_list(struct cw_notes *notes,
                      const struct cw_note *note, /* whose text is not looked at */
                      const char *format,
                      va_list arguments) __attribute__((format(printf, 3, 0)));

/* Are there notes that say more than CW_INFO? Counts them. */
size_t cw_notes_serious(const struct cw_notes *notes);

static inline struct cw_note *cw_note_at(const struct cw_notes *notes, size_t index)
{
    return cw_vector_at(&notes->items, index);
}
