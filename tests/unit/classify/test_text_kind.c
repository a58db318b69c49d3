/* classify/text_kind: what each kind takes, and the neighbours that it must leave. */
#include <string.h>

#include "classify/text_kind.h"
#include "support/unit.h"

static void assert_kind(const char *text, enum cw_text_kind kind)
{
    enum cw_text_kind found = cw_text_kind_of(text, strlen(text), true);
    if (found != kind) {
        printf("%s: %s, expected %s\n", text, cw_text_kind_name(found), cw_text_kind_name(kind));
    }
    CU_ASSERT_EQUAL(found, kind);
}

static void json_is_told_from_brackets(void)
{
    assert_kind("{\"a\": 1}", CW_TEXT_JSON);
    assert_kind(" {}", CW_TEXT_PLAIN);
    assert_kind("{   }", CW_TEXT_JSON);
    assert_kind("{ \"key\" : [1, 2] }", CW_TEXT_JSON);
    assert_kind("[1, -2, 3]", CW_TEXT_JSON);
    assert_kind("[-1,2]", CW_TEXT_JSON);
    assert_kind("[\"x\", {}]", CW_TEXT_JSON);
    assert_kind("[{\"x\": 1}]", CW_TEXT_JSON);
    assert_kind("[2024-01-01 12:00] started", CW_TEXT_PLAIN);
    assert_kind("[warning] something", CW_TEXT_PLAIN);
    assert_kind("{ return x; }", CW_TEXT_PLAIN);
    assert_kind("{\"no colon\"}", CW_TEXT_PLAIN);
    assert_kind("[", CW_TEXT_PLAIN);
    CU_ASSERT_EQUAL(cw_text_kind_of("[{\"cut\": [1, 2", 14, false), CW_TEXT_JSON);
    CU_ASSERT_EQUAL(cw_text_kind_of("[1, 2", 5, false), CW_TEXT_PLAIN);
}

static void markup_starts_with_a_tag(void)
{
    assert_kind("<html><body>", CW_TEXT_XML);
    assert_kind("<?xml version=\"1.0\"?>", CW_TEXT_XML);
    assert_kind("<!-- note -->", CW_TEXT_XML);
    assert_kind("</end>", CW_TEXT_XML);
    assert_kind("< 5 and > 3", CW_TEXT_PLAIN);
    assert_kind("<no end", CW_TEXT_PLAIN);
    assert_kind("<", CW_TEXT_PLAIN);
}

static void sql_needs_its_second_word(void)
{
    assert_kind("SELECT a FROM t", CW_TEXT_SQL);
    assert_kind("select a, b\nfrom x where 1 from t", CW_TEXT_SQL);
    assert_kind("insert into t values (1)", CW_TEXT_SQL);
    assert_kind("UPDATE t SET a = 1", CW_TEXT_SQL);
    assert_kind("create table t(a)", CW_TEXT_SQL);
    assert_kind("DROP TABLE t", CW_TEXT_SQL);
    assert_kind("Select a file to open", CW_TEXT_PLAIN);
    assert_kind("update the documentation", CW_TEXT_PLAIN);
    assert_kind("create table", CW_TEXT_PLAIN);
}

static void http_is_a_start_line_or_a_header(void)
{
    assert_kind("GET /index.html HTTP/1.1\r\n", CW_TEXT_HTTP);
    assert_kind("HTTP/1.1 200 OK", CW_TEXT_HTTP);
    assert_kind("Content-Type: text/html\r\nHost: x\r\n", CW_TEXT_HTTP);
    assert_kind("GET out of here", CW_TEXT_PLAIN);
    assert_kind("Note: this is prose", CW_TEXT_PLAIN);
}

static void paths_and_urls_have_no_blanks(void)
{
    assert_kind("/usr/lib/x86_64-linux-gnu/libc.so.6", CW_TEXT_PATH);
    assert_kind("./build/dev", CW_TEXT_PATH);
    assert_kind("../up", CW_TEXT_PATH);
    assert_kind("~/notes", CW_TEXT_PATH);
    assert_kind("src/main.c", CW_TEXT_PATH);
    assert_kind("a/b/c", CW_TEXT_PATH);
    assert_kind("and/or", CW_TEXT_PLAIN);
    assert_kind("// a comment/with.slash", CW_TEXT_PLAIN);
    assert_kind("//comment/x", CW_TEXT_PLAIN);
    assert_kind("/usr/share/my file", CW_TEXT_PLAIN);
    assert_kind("https://example.org/x?y=1", CW_TEXT_URL);
    assert_kind("file:///tmp/x", CW_TEXT_URL);
    assert_kind("see http://x", CW_TEXT_PLAIN);
}

static void small_forms_are_exact(void)
{
    assert_kind("PATH=/usr/bin:/bin", CW_TEXT_VARIABLE);
    assert_kind("_X1=", CW_TEXT_VARIABLE);
    assert_kind("x=1", CW_TEXT_PLAIN);
    assert_kind("1A=2", CW_TEXT_PLAIN);
    assert_kind("123456789", CW_TEXT_NUMBER);
    assert_kind("-3.14159", CW_TEXT_NUMBER);
    assert_kind("1.5e-10", CW_TEXT_NUMBER);
    assert_kind("192.168.1.1", CW_TEXT_PLAIN);
    assert_kind("eee", CW_TEXT_PLAIN);
    assert_kind("d41d8cd98f00b204e9800998ecf8427e", CW_TEXT_HEX);
    assert_kind("deadbeefdeadbeef", CW_TEXT_PLAIN);
    assert_kind("-----BEGIN CERTIFICATE-----", CW_TEXT_PEM);
    assert_kind("hello, world", CW_TEXT_PLAIN);
    CU_ASSERT_EQUAL(cw_text_kind_of("", 0, true), CW_TEXT_PLAIN);
    CU_ASSERT_EQUAL(cw_text_kind_of("123456", 6, false), CW_TEXT_PLAIN);
}

static void base64_is_mixed_and_long(void)
{
    assert_kind("VGhpcyBpcyBhIHRlc3Qgb2YgYmFzZTY0IGVuY29kaW5nIDEyMzQ1Ng==", CW_TEXT_BASE64);
    assert_kind("aVeryLongCamelCaseIdentifierWithoutAnyDigits", CW_TEXT_PLAIN);
    assert_kind("VGhpcyBpcyBhIHRlc3Q=", CW_TEXT_PLAIN);
}

static void every_kind_has_a_name(void)
{
    for (unsigned kind = 0; kind < CW_TEXT_KIND_COUNT; kind++) {
        CU_ASSERT_TRUE(strlen(cw_text_kind_name((enum cw_text_kind)kind)) > 2);
    }
}

CW_TEST_MAIN("classify/text_kind",
             CW_TEST(json_is_told_from_brackets),
             CW_TEST(markup_starts_with_a_tag),
             CW_TEST(sql_needs_its_second_word),
             CW_TEST(http_is_a_start_line_or_a_header),
             CW_TEST(paths_and_urls_have_no_blanks),
             CW_TEST(small_forms_are_exact),
             CW_TEST(base64_is_mixed_and_long),
             CW_TEST(every_kind_has_a_name))
