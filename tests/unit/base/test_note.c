/* base/note: a capped list of sentences. */
#include <string.h>

#include "base/note.h"
#include "support/unit.h"

struct fixture {
    struct cw_budget budget;
    struct cw_arena arena;
    struct cw_notes notes;
};

static void set_up(struct fixture *fixture)
{
    cw_budget_init(&fixture->budget, UINT64_MAX);
    cw_arena_init(&fixture->arena, &fixture->budget);
    cw_notes_init(&fixture->notes, &fixture->arena);
}

static void tear_down(struct fixture *fixture)
{
    cw_notes_deinit(&fixture->notes);
    cw_arena_deinit(&fixture->arena);
    CU_ASSERT_EQUAL(fixture->budget.used_bytes, 0);
}

static void keeps_what_was_said_escaped(void)
{
    struct fixture fixture;
    set_up(&fixture);
    cw_note_add(&fixture.notes, CW_SEVERE, "some-code", 0x10, "a %s of %d", "\x1b[1m", 7);
    CU_ASSERT_EQUAL_FATAL(fixture.notes.items.count, 1);
    const struct cw_note *note = cw_note_at(&fixture.notes, 0);
    CU_ASSERT_STRING_EQUAL(note->code, "some-code");
    CU_ASSERT_STRING_EQUAL(note->text, "a \\x1b[1m of 7");
    CU_ASSERT_EQUAL(note->severity, CW_SEVERE);
    CU_ASSERT_EQUAL(note->address, 0x10);
    tear_down(&fixture);
}

static void the_limit_drops_and_counts(void)
{
    struct fixture fixture;
    set_up(&fixture);
    for (unsigned i = 0; i < CW_NOTE_LIMIT; i++) {
        cw_note_add(&fixture.notes, CW_INFO, "many", i, "number %u", i);
    }
    for (unsigned i = 0; i < 500; i++) {
        cw_note_add(&fixture.notes, CW_INFO, "many", i, "number %u", i);
    }
    CU_ASSERT_EQUAL(fixture.notes.items.count, CW_NOTE_LIMIT);
    CU_ASSERT_EQUAL(fixture.notes.dropped_count, 500);
    CU_ASSERT_STRING_EQUAL(cw_note_at(&fixture.notes, CW_NOTE_LIMIT - 1)->text, "number 999");
    tear_down(&fixture);
}

static void without_memory_it_counts(void)
{
    struct fixture fixture;
    set_up(&fixture);
    fixture.budget.limit_bytes = 0;
    cw_note_add(&fixture.notes, CW_INFO, "lost", 0, "nothing");
    CU_ASSERT_EQUAL(fixture.notes.items.count, 0);
    CU_ASSERT_EQUAL(fixture.notes.dropped_count, 1);
    tear_down(&fixture);
}

static void a_long_text_is_cut(void)
{
    struct fixture fixture;
    char text[2000];
    set_up(&fixture);
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    cw_note_add(&fixture.notes, CW_WARNING, "long", 0, "%s", text);
    CU_ASSERT_EQUAL_FATAL(fixture.notes.items.count, 1);
    CU_ASSERT_TRUE(strlen(cw_note_at(&fixture.notes, 0)->text) < 500);
    tear_down(&fixture);
}

CW_TEST_MAIN("base/note",
             CW_TEST(keeps_what_was_said_escaped),
             CW_TEST(the_limit_drops_and_counts),
             CW_TEST(without_memory_it_counts),
             CW_TEST(a_long_text_is_cut))
