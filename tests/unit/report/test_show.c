/* report/show: cells as people read them, cutting, wrapping. */
#include "report/show.h"
#include "sink.h"
#include "support/unit.h"

static const char *show(struct cw_cell cell, unsigned flags)
{
    static char buffer[CW_SHOW_BYTES];
    return cw_show_cell(&cell, flags, buffer, sizeof buffer);
}

static struct cw_cell share(double real)
{
    return (struct cw_cell){.unit = CW_UNIT_SHARE, .real = real};
}

static void shows_numbers_in_human_forms(void)
{
    CU_ASSERT_STRING_EQUAL(show(cw_cell_bytes(1536), 0), "1.5 KiB");
    CU_ASSERT_STRING_EQUAL(show(cw_cell_bytes(1536), CW_COLUMN_EXACT), "1,536");
    CU_ASSERT_STRING_EQUAL(show(cw_cell_bytes(UINT64_MAX), CW_COLUMN_EXACT),
                           "18,446,744,073,709,551,615");
    CU_ASSERT_STRING_EQUAL(show(cw_cell_count(38211404), 0), "38,211,404");
    CU_ASSERT_STRING_EQUAL(show(cw_cell_address(0x7FfABC), 0), "0x7ffabc");
    CU_ASSERT_STRING_EQUAL(show(cw_cell_address(0), 0), "0x0");
    CU_ASSERT_STRING_EQUAL(show(cw_cell_bool(true), 0), "yes");
    CU_ASSERT_STRING_EQUAL(show(cw_cell_bool(false), 0), "no");
    CU_ASSERT_STRING_EQUAL(show(cw_cell_text("plain"), 0), "plain");
    CU_ASSERT_STRING_EQUAL(show(cw_cell_absent(), 0), "");
    CU_ASSERT_STRING_EQUAL(show(cw_cell_text(NULL), 0), "");
}

static void shares_never_lie_at_the_ends(void)
{
    CU_ASSERT_STRING_EQUAL(show(share(0), 0), "0.0 %");
    CU_ASSERT_STRING_EQUAL(show(share(0.0004), 0), "<0.1 %");
    CU_ASSERT_STRING_EQUAL(show(share(1e-15), 0), "<0.1 %");
    CU_ASSERT_STRING_EQUAL(show(share(0.0005), 0), "0.1 %");
    CU_ASSERT_STRING_EQUAL(show(share(0.412), 0), "41.2 %");
    CU_ASSERT_STRING_EQUAL(show(share(0.9994), 0), "99.9 %");
    CU_ASSERT_STRING_EQUAL(show(share(0.99951), 0), ">99.9 %");
    CU_ASSERT_STRING_EQUAL(show(share(1), 0), "100.0 %");
    CU_ASSERT_STRING_EQUAL(show(share(1e300), 0), "100000000.0 %");
    CU_ASSERT_STRING_EQUAL(show(share(-3), 0), "0.0 %");
}

static void shows_times(void)
{
    CU_ASSERT_STRING_EQUAL(show(cw_cell_seconds(0), 0), "0 ms");
    CU_ASSERT_STRING_EQUAL(show(cw_cell_seconds(0.0001), 0), "<1 ms");
    CU_ASSERT_STRING_EQUAL(show(cw_cell_seconds(0.0424), 0), "42 ms");
    CU_ASSERT_STRING_EQUAL(show(cw_cell_seconds(12.34), 0), "12.3 s");
    CU_ASSERT_STRING_EQUAL(show(cw_cell_seconds(1e300), 0), "1000000000000.0 s");
}

static void joins_lists(void)
{
    static const char *const words[] = {
        "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta"};
    static const cw_addr addresses[] = {0x10, 0xabc};
    struct fixture fixture;
    fixture_init(&fixture);
    CU_ASSERT_STRING_EQUAL(show(cw_cell_words(words, 2), 0), "alpha, beta");
    CU_ASSERT_STRING_EQUAL(show(cw_cell_words(words, 0), 0), "");
    CU_ASSERT_STRING_EQUAL(show(cw_cell_addresses(addresses, 2), 0), "0x10, 0xabc");
    CU_ASSERT_STRING_EQUAL(show(cw_cell_words(words, COUNT(words)), 0),
                           "alpha, beta, gamma, delta, epsilon, zeta, ...");
    const struct cw_cell all = cw_cell_words(words, COUNT(words));
    CU_ASSERT_STRING_EQUAL(cw_show_cell_copy(&all, 0, &fixture.arena),
                           "alpha, beta, gamma, delta, epsilon, zeta, eta");
    fixture.budget.limit_bytes = 0;
    cw_arena_deinit(&fixture.arena);
    CU_ASSERT_PTR_NULL(cw_show_cell_copy(&all, 0, &fixture.arena));
    fixture_deinit(&fixture);
}

static void cuts_in_the_middle(void)
{
    char buffer[64];
    const char *name = "std::map<std::string, Session*>::node";
    CU_ASSERT_STRING_EQUAL(cw_show_cut(name, 37, buffer), name);
    CU_ASSERT_STRING_EQUAL(cw_show_cut(name, 36, buffer), "std::map<std::string, Ses...*>::node");
    CU_ASSERT_STRING_EQUAL(cw_show_cut(name, 11, buffer), "std::m...de");
    CU_ASSERT_STRING_EQUAL(cw_show_cut(name, 4, buffer), "s...");
    CU_ASSERT_STRING_EQUAL(cw_show_cut(name, 2, buffer), "..");
    CU_ASSERT_STRING_EQUAL(cw_show_cut(name, 0, buffer), "");
}

/* All lines, joined by '|'. */
static const char *wrap(const char *text, size_t width)
{
    static char joined[256];
    size_t length = 0;
    struct cw_slice line;
    joined[0] = '\0';
    while (cw_show_next_line(&text, width, &line)) {
        CU_ASSERT(line.length > 0 && line.length <= width);
        memcpy(joined + length, line.start, line.length);
        length += line.length;
        joined[length++] = '|';
        joined[length] = '\0';
    }
    return joined;
}

static void wraps_at_blanks(void)
{
    CU_ASSERT_STRING_EQUAL(wrap("one two  three", 8), "one two|three|");
    CU_ASSERT_STRING_EQUAL(wrap("one two  three", 7), "one two|three|");
    CU_ASSERT_STRING_EQUAL(wrap("  one ", 7), "one|");
    CU_ASSERT_STRING_EQUAL(wrap("exactly", 7), "exactly|");
    CU_ASSERT_STRING_EQUAL(wrap("", 7), "");
    CU_ASSERT_STRING_EQUAL(wrap("   ", 7), "");
}

static void keeps_quantities_together(void)
{
    CU_ASSERT_STRING_EQUAL(wrap("holds 9.4 GiB now", 10), "holds|9.4 GiB|now|");
    CU_ASSERT_STRING_EQUAL(wrap("holds 17 B, so", 9), "holds|17 B, so|");
    CU_ASSERT_STRING_EQUAL(wrap("only 41.2 % are", 10), "only|41.2 % are|");
    CU_ASSERT_STRING_EQUAL(wrap("with 16 Bytes", 8), "with 16|Bytes|");
    CU_ASSERT_STRING_EQUAL(wrap("end 16 B", 7), "end|16 B|");
}

static void breaks_long_words_at_joints(void)
{
    CU_ASSERT_STRING_EQUAL(wrap("/usr/lib/x86_64/libc.so", 10), "/usr/lib/|x86_64/|libc.so|");
    CU_ASSERT_STRING_EQUAL(wrap("abcdefghijkl", 5), "abcde|fghij|kl|");
    CU_ASSERT_STRING_EQUAL(wrap("net::Connection", 6), "net::|Connec|tion|");
    CU_ASSERT_STRING_EQUAL(wrap("abc", 1), "a|b|c|");
}

CW_TEST_MAIN("report/show",
             CW_TEST(shows_numbers_in_human_forms),
             CW_TEST(shares_never_lie_at_the_ends),
             CW_TEST(shows_times),
             CW_TEST(joins_lists),
             CW_TEST(cuts_in_the_middle),
             CW_TEST(wraps_at_blanks),
             CW_TEST(keeps_quantities_together),
             CW_TEST(breaks_long_words_at_joints))
