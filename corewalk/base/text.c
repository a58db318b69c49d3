/* Escaping, human sizes, and their parsers. No locale is ever consulted. */
#include "base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"

static bool is_plain(unsigned char byte)
{
    return byte >= 0x20 && byte < 0x7f && byte != '\\';
}

size_t cw_text_escape(const char *text, char *buffer, size_t buffer_bytes)
{
    static const char digits[] = "0123456789abcdef";
    size_t length = 0;
    for (; *text != '\0'; text++) {
        unsigned char byte = (unsigned char)*text;
        size_t needed = is_plain(byte) ? 1 : 4;
        if (length + needed >= buffer_bytes) {
            break;
        }
        if (needed == 1) {
            buffer[length] = (char)byte;
        } else {
            memcpy(buffer + length, "\\x", 2);
            buffer[length + 2] = digits[byte >> 4];
            buffer[length + 3] = digits[byte & 15];
        }
        length += needed;
    }
    if (buffer_bytes > 0) {
        buffer[length] = '\0';
    }
    return length;
}

char *cw_text_escape_copy(struct cw_arena *arena, const char *text)
{
    size_t bytes = 1;
    for (const char *at = text; *at != '\0'; at++) {
        bytes += is_plain((unsigned char)*at) ? 1 : 4;
    }
    char *copy = cw_arena_alloc(arena, bytes);
    if (copy != NULL) {
        cw_text_escape(text, copy, bytes);
    }
    return copy;
}

const char *cw_text_size(uint64_t bytes, char *buffer)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    unsigned unit = 0;
    uint64_t whole = bytes;
    uint64_t rest = 0;
    while (whole >= 1024) {
        rest = whole % 1024;
        whole /= 1024;
        unit++;
    }
    if (unit == 0) {
        snprintf(buffer, CW_SIZE_TEXT, "%" PRIu64 " B", whole);
    } else {
        /* Truncated, not rounded: 1023.96 KiB must not become 1024.0 KiB. */
        snprintf(buffer,
                 CW_SIZE_TEXT,
                 "%" PRIu64 ".%" PRIu64 " %s",
                 whole,
                 rest * 10 / 1024,
                 units[unit]);
    }
    return buffer;
}

const char *cw_text_count(uint64_t count, char *buffer)
{
    char digits[CW_COUNT_TEXT];
    int length = snprintf(digits, sizeof digits, "%" PRIu64, count);
    char *out = buffer;
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0) {
            *out++ = ',';
        }
        *out++ = digits[i];
    }
    *out = '\0';
    return buffer;
}

static int digit_value(char digit, unsigned base)
{
    int value = -1;
    if (digit >= '0' && digit <= '9') {
        value = digit - '0';
    } else if (digit >= 'a' && digit <= 'f') {
        value = digit - 'a' + 10;
    } else if (digit >= 'A' && digit <= 'F') {
        value = digit - 'A' + 10;
    }
    return value < (int)base ? value : -1;
}

/* Digits at *text, which it moves past them. False: none, or too large. */
static bool parse_digits(const char **text, unsigned base, uint64_t *ret_value)
{
    const char *start = *text;
    uint64_t value = 0;
    for (int digit; (digit = digit_value(**text, base)) >= 0; (*text)++) {
        if (!cw_mul(value, base, &value) || !cw_add(value, (uint64_t)digit, &value)) {
            return false;
        }
    }
    *ret_value = value;
    return *text != start;
}

static bool has_hex_prefix(const char *text)
{
    return text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
}

/* "k", "K", "KiB", "kb", …: the power of 1024, or -1. */
static int unit_power(const char *text)
{
    static const char letters[] = "kmgtpe";
    if (text[0] == '\0' || ((text[0] == 'B' || text[0] == 'b') && text[1] == '\0')) {
        return 0;
    }
    char lower = (char)(text[0] | 0x20);
    const char *letter = strchr(letters, lower);
    const char *tail = text + 1;
    if (letter == NULL) {
        return -1;
    }
    if (tail[0] == 'i') {
        tail++;
    }
    if (tail[0] == 'B' || tail[0] == 'b') {
        tail++;
    }
    return *tail == '\0' ? (int)(letter - letters) + 1 : -1;
}

bool cw_text_parse_size(const char *text, uint64_t *ret_bytes)
{
    uint64_t whole;
    uint64_t thousandths = 0;
    if (has_hex_prefix(text)) {
        text += 2;
        if (!parse_digits(&text, 16, &whole) || *text != '\0') {
            return false;
        }
        *ret_bytes = whole;
        return true;
    }
    if (!parse_digits(&text, 10, &whole)) {
        return false;
    }
    if (*text == '.') {
        uint64_t weight = 100;
        for (text++; *text >= '0' && *text <= '9'; text++, weight /= 10) {
            thousandths += (uint64_t)(*text - '0') * weight;
        }
    }
    int power = unit_power(text);
    if (power < 0) {
        return false;
    }
    uint64_t unit = (uint64_t)1 << (10 * power);
    uint64_t fraction = unit / 1000 * thousandths + unit % 1000 * thousandths / 1000;
    uint64_t bytes;
    if (!cw_mul(whole, unit, &bytes) || !cw_add(bytes, fraction, &bytes)) {
        return false;
    }
    *ret_bytes = bytes;
    return true;
}

bool cw_text_parse_address(const char *text, cw_addr *ret_address)
{
    uint64_t value;
    if (has_hex_prefix(text)) {
        text += 2;
    }
    if (!parse_digits(&text, 16, &value) || *text != '\0') {
        return false;
    }
    *ret_address = value;
    return true;
}
