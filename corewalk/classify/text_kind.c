/* Kinds of text: one small test each, the sharpest first. */
#include "classify/text_kind.h"

#include <string.h>
#include <strings.h>

struct text {
    const char *bytes;
    size_t length;
    bool is_whole;
};

typedef bool kind_test(const struct text *text);

/* Locale-free, unlike those of <ctype.h>. */
static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_letter(char c)
{
    return is_upper(c) || is_lower(c);
}

static bool is_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool starts_with(const struct text *text, const char *head)
{
    size_t length = strlen(head);
    return text->length >= length && memcmp(text->bytes, head, length) == 0;
}

static bool starts_with_any_case(const struct text *text, const char *head)
{
    size_t length = strlen(head);
    return text->length >= length && strncasecmp(text->bytes, head, length) == 0;
}

static bool contains(const struct text *text, const char *part)
{
    return memmem(text->bytes, text->length, part, strlen(part)) != NULL;
}

static bool contains_any_case(const struct text *text, const char *part)
{
    size_t length = strlen(part);
    for (size_t i = 0; i + length <= text->length; i++) {
        if (strncasecmp(text->bytes + i, part, length) == 0) {
            return true;
        }
    }
    return false;
}

/* The first byte from `from` on that is no space; 0 when there is none. */
static char next_solid(const struct text *text, size_t from)
{
    for (size_t i = from; i < text->length; i++) {
        if (!is_space(text->bytes[i])) {
            return text->bytes[i];
        }
    }
    return 0;
}

static char last_solid(const struct text *text)
{
    for (size_t i = text->length; i > 0; i--) {
        if (!is_space(text->bytes[i - 1])) {
            return text->bytes[i - 1];
        }
    }
    return 0;
}

/* "Name: value\r\n" */
static bool is_http_header(const struct text *text)
{
    size_t i = 0;
    while (i < text->length && (is_letter(text->bytes[i]) || text->bytes[i] == '-')) {
        i++;
    }
    return i > 0 && i + 1 < text->length && text->bytes[i] == ':' && text->bytes[i + 1] == ' ' &&
           contains(text, "\r\n");
}

static bool is_http(const struct text *text)
{
    static const char *const methods[] = {
        "GET ", "POST ", "PUT ", "HEAD ", "DELETE ", "PATCH ", "OPTIONS ", "CONNECT "};
    if (starts_with(text, "HTTP/")) {
        return true;
    }
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        if (starts_with(text, methods[i])) {
            return contains(text, " HTTP/");
        }
    }
    return is_http_header(text);
}

static bool is_url(const struct text *text)
{
    size_t i = 0;
    while (i < text->length && i < 16 && is_lower(text->bytes[i])) {
        i++;
    }
    return i >= 2 && i + 3 < text->length && memcmp(text->bytes + i, "://", 3) == 0;
}

static bool is_json(const struct text *text)
{
    char second = next_solid(text, 1);
    if (text->bytes[0] == '{') {
        return second == '"' ? contains(text, "\":") || contains(text, "\" :")
                             : second == '}' && text->is_whole && last_solid(text) == '}';
    }
    if (text->bytes[0] != '[' || second == 0) {
        return false;
    }
    if (text->is_whole && last_solid(text) != ']') {
        return false;
    }
    return strchr("{[\"", second) != NULL ||
           (text->is_whole && contains(text, ",") && (is_digit(second) || second == '-'));
}

static bool is_xml(const struct text *text)
{
    char second = '\0';
    if (text->length > 1) {
        second = text->bytes[1];
    }
    return text->bytes[0] == '<' &&
           (is_letter(second) || second == '!' || second == '?' || second == '/') &&
           contains(text, ">");
}

static bool is_sql(const struct text *text)
{
    /* English starts sentences with some of these words: what makes them SQL must follow. */
    static const struct {
        const char *head;
        const char *follows;
    } statements[] = {
        {"SELECT ", " FROM "},
        {"INSERT INTO ", ""},
        {"INSERT OR ", " INTO "},
        {"REPLACE INTO ", ""},
        {"UPDATE ", " SET "},
        {"DELETE FROM ", ""},
        {"CREATE TABLE ", "("},
        {"CREATE TEMP TABLE ", "("},
        {"CREATE INDEX ", " ON "},
        {"CREATE UNIQUE INDEX ", " ON "},
        {"CREATE VIEW ", " AS "},
        {"CREATE TRIGGER ", " ON "},
        {"DROP TABLE ", ""},
        {"ALTER TABLE ", ""},
    };
    for (size_t i = 0; i < sizeof statements / sizeof statements[0]; i++) {
        if (starts_with_any_case(text, statements[i].head)) {
            return contains_any_case(text, statements[i].follows);
        }
    }
    return false;
}

static bool is_pem(const struct text *text)
{
    return starts_with(text, "-----BEGIN ");
}

/* "/usr/lib", "./x", "src/main.c"; no spaces, so that prose with a slash is none. */
static bool is_path(const struct text *text)
{
    size_t slashes = 0;
    size_t dots = 0;
    for (size_t i = 0; i < text->length; i++) {
        char c = text->bytes[i];
        if (!is_letter(c) && !is_digit(c) && (c == 0 || strchr("._/+@%=:~,-#", c) == NULL)) {
            return false;
        }
        slashes += c == '/';
        dots += c == '.';
    }
    if (starts_with(text, "//")) {
        return false;
    }
    bool is_rooted = starts_with(text, "/") || starts_with(text, "./") ||
                     starts_with(text, "../") || starts_with(text, "~/");
    return is_rooted || slashes >= 2 || (slashes == 1 && dots > 0 && is_letter(text->bytes[0]));
}

/* "NAME=value", as in an environment. */
static bool is_variable(const struct text *text)
{
    size_t i = 0;
    while (i < text->length && (is_upper(text->bytes[i]) || text->bytes[i] == '_' ||
                                (i > 0 && is_digit(text->bytes[i])))) {
        i++;
    }
    return i >= 2 && i < text->length && text->bytes[i] == '=';
}

static bool is_number(const struct text *text)
{
    size_t digits = 0;
    size_t points = 0;
    for (size_t i = 0; i < text->length; i++) {
        char c = text->bytes[i];
        bool may_be_sign = i == 0 || text->bytes[i - 1] == 'e' || text->bytes[i - 1] == 'E';
        if (is_digit(c)) {
            digits++;
        } else if (c == '.') {
            points++;
        } else if (!((c == '-' || c == '+') && may_be_sign) &&
                   !((c == 'e' || c == 'E') && digits > 0)) {
            return false;
        }
    }
    return text->is_whole && points <= 1 && digits * 2 > text->length;
}

static bool is_hexadecimal(const struct text *text)
{
    size_t letters = 0;
    for (size_t i = 0; i < text->length; i++) {
        if (!is_hex(text->bytes[i])) {
            return false;
        }
        letters += !is_digit(text->bytes[i]);
    }
    return text->length >= 16 && letters > 0 && letters < text->length;
}

static bool is_base64(const struct text *text)
{
    size_t uppers = 0;
    size_t lowers = 0;
    size_t digits = 0;
    size_t length = text->length;
    while (length > 0 && (text->bytes[length - 1] == '=' || text->bytes[length - 1] == '\n')) {
        length--;
    }
    for (size_t i = 0; i < length; i++) {
        char c = text->bytes[i];
        uppers += is_upper(c);
        lowers += is_lower(c);
        digits += is_digit(c);
        if (!is_letter(c) && !is_digit(c) && strchr("+/-_\r\n", c) == NULL) {
            return false;
        }
    }
    /* Of random base64 each of them has at least a sixth; of identifiers, rarely. */
    return length >= 32 && uppers * 6 > length && lowers * 6 > length && digits * 16 > length;
}

static const struct {
    kind_test *test;
    enum cw_text_kind kind;
} kind_tests[] = {
    {is_http, CW_TEXT_HTTP},
    {is_url, CW_TEXT_URL},
    {is_json, CW_TEXT_JSON},
    {is_xml, CW_TEXT_XML},
    {is_sql, CW_TEXT_SQL},
    {is_pem, CW_TEXT_PEM},
    {is_variable, CW_TEXT_VARIABLE},
    {is_number, CW_TEXT_NUMBER},
    {is_hexadecimal, CW_TEXT_HEX},
    {is_base64, CW_TEXT_BASE64},
    {is_path, CW_TEXT_PATH},
};

enum cw_text_kind cw_text_kind_of(const char *text, size_t length, bool is_whole)
{
    struct text shown = {text, length, is_whole};
    for (size_t i = 0; length > 0 && i < sizeof kind_tests / sizeof kind_tests[0]; i++) {
        if (kind_tests[i].test(&shown)) {
            return kind_tests[i].kind;
        }
    }
    return CW_TEXT_PLAIN;
}

const char *cw_text_kind_name(enum cw_text_kind kind)
{
    static const char *const names[CW_TEXT_KIND_COUNT] = {
        [CW_TEXT_PLAIN] = "plain",
        [CW_TEXT_HTTP] = "HTTP",
        [CW_TEXT_URL] = "URL",
        [CW_TEXT_JSON] = "JSON",
        [CW_TEXT_XML] = "XML or HTML",
        [CW_TEXT_SQL] = "SQL",
        [CW_TEXT_PEM] = "PEM",
        [CW_TEXT_PATH] = "path",
        [CW_TEXT_VARIABLE] = "NAME=value",
        [CW_TEXT_NUMBER] = "number",
        [CW_TEXT_HEX] = "hexadecimal",
        [CW_TEXT_BASE64] = "base64",
    };
    return names[kind];
}
