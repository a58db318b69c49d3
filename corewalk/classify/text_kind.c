/*
 * Kinds of text: one small test each, the sharpest first. Nearly all texts are dismissed by their
 * first characters, so that is what every test looks at first; characters are only counted for
 * kinds that consist of few different ones, and only until one shows up that is in none.
 */
#include "classify/text_kind.h"

#include <string.h>
#include <strings.h>

/* What a character may be part of. Locale-free, unlike <ctype.h>. */
enum {
    IS_UPPER = 1,
    IS_LOWER = 2,
    IS_DIGIT = 4,
    IS_HEX = 8,
    IN_NUMBER = 16,
    IN_PATH = 32,
    IN_BASE64 = 64,
};

#define ALPHANUMERIC (IN_PATH | IN_BASE64)

static const uint8_t properties[256] = {
    ['0' ... '9'] = IS_DIGIT | IS_HEX | IN_NUMBER | ALPHANUMERIC,
    ['a' ... 'd'] = IS_LOWER | IS_HEX | ALPHANUMERIC,
    ['e'] = IS_LOWER | IS_HEX | IN_NUMBER | ALPHANUMERIC,
    ['f'] = IS_LOWER | IS_HEX | ALPHANUMERIC,
    ['g' ... 'z'] = IS_LOWER | ALPHANUMERIC,
    ['A' ... 'D'] = IS_UPPER | IS_HEX | ALPHANUMERIC,
    ['E'] = IS_UPPER | IS_HEX | IN_NUMBER | ALPHANUMERIC,
    ['F'] = IS_UPPER | IS_HEX | ALPHANUMERIC,
    ['G' ... 'Z'] = IS_UPPER | ALPHANUMERIC,
    ['.'] = IN_NUMBER | IN_PATH,
    ['+'] = IN_NUMBER | IN_PATH | IN_BASE64,
    ['-'] = IN_NUMBER | IN_PATH | IN_BASE64,
    ['/'] = IN_PATH | IN_BASE64,
    ['_'] = IN_PATH | IN_BASE64,
    ['='] = IN_PATH | IN_BASE64,
    ['@'] = IN_PATH,
    ['%'] = IN_PATH,
    [':'] = IN_PATH,
    ['~'] = IN_PATH,
    [','] = IN_PATH,
    ['#'] = IN_PATH,
    ['\n'] = IN_BASE64,
    ['\r'] = IN_BASE64,
};

struct text {
    const char *bytes;
    size_t length;
    bool is_whole;
    uint8_t common; /* properties of all its characters; the counts are complete where it has any */
    size_t upper_count;
    size_t lower_count;
    size_t digit_count;
    size_t slash_count;
    size_t dot_count;
};

static bool has(char c, unsigned any_of)
{
    return (properties[(uint8_t)c] & any_of) != 0;
}

static bool is_letter(char c)
{
    return has(c, IS_UPPER | IS_LOWER);
}

static void count_characters(struct text *text)
{
    text->common = 0xff;
    for (size_t i = 0; i < text->length && text->common != 0; i++) {
        char c = text->bytes[i];
        uint8_t of_this = properties[(uint8_t)c];
        text->common &= of_this;
        text->upper_count += (of_this & IS_UPPER) != 0;
        text->lower_count += (of_this & IS_LOWER) != 0;
        text->digit_count += (of_this & IS_DIGIT) != 0;
        text->slash_count += c == '/';
        text->dot_count += c == '.';
    }
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* The first byte is compared by itself: it dismisses nearly all. The text is not empty. */
static bool starts_with(const struct text *text, const char *head)
{
    if (text->bytes[0] != head[0]) {
        return false;
    }
    size_t length = strlen(head);
    return text->length >= length && memcmp(text->bytes, head, length) == 0;
}

/* `head` is in capitals. */
static bool starts_with_any_case(const struct text *text, const char *head)
{
    if ((text->bytes[0] & ~0x20) != head[0]) {
        return false;
    }
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
    if (!has(text->bytes[0], IS_UPPER)) {
        return is_http_header(text);
    }
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
    while (i < text->length && i < 16 && has(text->bytes[i], IS_LOWER)) {
        i++;
    }
    return i >= 2 && i + 3 < text->length && memcmp(text->bytes + i, "://", 3) == 0;
}

static bool is_json(const struct text *text)
{
    if (text->bytes[0] != '{' && text->bytes[0] != '[') {
        return false;
    }
    char second = next_solid(text, 1);
    if (text->bytes[0] == '{') {
        return second == '"' ? contains(text, "\":") || contains(text, "\" :")
                             : second == '}' && text->is_whole && last_solid(text) == '}';
    }
    if (second == 0 || (text->is_whole && last_solid(text) != ']')) {
        return false;
    }
    return strchr("{[\"", second) != NULL ||
           (text->is_whole && contains(text, ",") && (has(second, IS_DIGIT) || second == '-'));
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

#define LETTER_BIT(letter) (1U << ((letter)&31))

/* May the two letters start a statement? Of either case. */
static bool starts_statement(char first, char second)
{
    static const uint32_t seconds[32] = {
        ['A' & 31] = LETTER_BIT('L'),
        ['C' & 31] = LETTER_BIT('R'),
        ['D' & 31] = LETTER_BIT('E') | LETTER_BIT('R'),
        ['I' & 31] = LETTER_BIT('N'),
        ['R' & 31] = LETTER_BIT('E'),
        ['S' & 31] = LETTER_BIT('E'),
        ['U' & 31] = LETTER_BIT('P'),
    };
    return (seconds[first & 31] & LETTER_BIT(second)) != 0 && is_letter(first) && is_letter(second);
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
    if (text->length < 2 || !starts_statement(text->bytes[0], text->bytes[1])) {
        return false;
    }
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
    if ((text->common & IN_PATH) == 0 || text->slash_count == 0 || starts_with(text, "//")) {
        return false;
    }
    bool is_rooted = starts_with(text, "/") || starts_with(text, "./") ||
                     starts_with(text, "../") || starts_with(text, "~/");
    return is_rooted || text->slash_count >= 2 ||
           (text->dot_count > 0 && is_letter(text->bytes[0]));
}

/* "NAME=value", as in an environment. */
static bool is_variable(const struct text *text)
{
    size_t i = 0;
    while (i < text->length &&
           (has(text->bytes[i], i > 0 ? IS_UPPER | IS_DIGIT : IS_UPPER) || text->bytes[i] == '_')) {
        i++;
    }
    return i >= 2 && i < text->length && text->bytes[i] == '=';
}

static bool is_number(const struct text *text)
{
    return (text->common & IN_NUMBER) != 0 && text->is_whole && text->dot_count <= 1 &&
           text->digit_count + 4 >= text->length && !is_letter(text->bytes[0]);
}

static bool is_hexadecimal(const struct text *text)
{
    return (text->common & IS_HEX) != 0 && text->length >= 16 && text->digit_count > 0 &&
           text->digit_count < text->length;
}

/* Of random base64 upper and lower case have more than a third each; of identifiers, rarely. */
static bool is_base64(const struct text *text)
{
    return (text->common & IN_BASE64) != 0 && text->length >= 32 &&
           text->upper_count * 6 > text->length && text->lower_count * 6 > text->length &&
           text->digit_count * 16 > text->length;
}

/* Kinds that are known by how they start; CW_TEXT_PLAIN: none of them. */
static enum cw_text_kind kind_by_start(const struct text *text)
{
    if (is_http(text)) {
        return CW_TEXT_HTTP;
    }
    if (is_url(text)) {
        return CW_TEXT_URL;
    }
    if (is_json(text)) {
        return CW_TEXT_JSON;
    }
    if (is_xml(text)) {
        return CW_TEXT_XML;
    }
    if (is_sql(text)) {
        return CW_TEXT_SQL;
    }
    if (is_pem(text)) {
        return CW_TEXT_PEM;
    }
    if (is_variable(text)) {
        return CW_TEXT_VARIABLE;
    }
    return CW_TEXT_PLAIN;
}

/* Those that are known by the characters they are made of. */
static enum cw_text_kind kind_by_characters(const struct text *text)
{
    if (is_number(text)) {
        return CW_TEXT_NUMBER;
    }
    if (is_hexadecimal(text)) {
        return CW_TEXT_HEX;
    }
    if (is_base64(text)) {
        return CW_TEXT_BASE64;
    }
    if (is_path(text)) {
        return CW_TEXT_PATH;
    }
    return CW_TEXT_PLAIN;
}

enum cw_text_kind cw_text_kind_of(const char *bytes, size_t length, bool is_whole)
{
    struct text text = {.bytes = bytes, .length = length, .is_whole = is_whole};
    if (length == 0) {
        return CW_TEXT_PLAIN;
    }
    enum cw_text_kind kind = kind_by_start(&text);
    if (kind == CW_TEXT_PLAIN) {
        count_characters(&text);
        kind = kind_by_characters(&text);
    }
    return kind;
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
