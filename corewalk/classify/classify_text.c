/*
 * Text: a run of printable UTF-8 from the chunk's start, with its NUL or up to the chunk's end;
 * also UTF-16 and UTF-32 (wchar_t). Kinds of it come from text_kind.h.
 *
 * What is no text but may look so: a pointer whose six used bytes happen to be printable (one in
 * 150 of a PIE's heap), so a first word that could be one and points to memory is not text.
 */
#include <string.h>

#include "classify/classify.h"
#include "classify/printable.h"
#include "classify/text_kind.h"

enum {
    LEAST_BYTES = 6,
    LEAST_WIDE_UNITS = 8,
    LEAST_PROBABLE_BYTES = 16,
    LEAST_BEFORE_DATA_BYTES = 12, /* of text in front of something else */
    LEAST_UNTERMINATED_BYTES = 32,
    SLACK_BYTES = 24, /* malloc's rounding, and what a string's owner may hold in reserve */
    SHOWN_BYTES = 4096,
};

/* Keys: enum cw_text_kind, and these. */
enum {
    KEY_SHORT = CW_TEXT_KIND_COUNT,
    KEY_THEN_DATA,
    KEY_UTF16,
    KEY_UTF32,
};

static bool is_continuation(uint8_t byte)
{
    return (byte & 0xc0) == 0x80;
}

/* Bytes of the well-formed, printable sequence of two or more at the start, or 0 (RFC 3629). */
static size_t multibyte_length(const uint8_t *bytes, size_t left)
{
    uint8_t lead = bytes[0];
    size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead < 0xc2 || lead > 0xf4 || length > left) {
        return 0;
    }
    for (size_t i = 1; i < length; i++) {
        if (!is_continuation(bytes[i])) {
            return 0;
        }
    }
    uint8_t second = bytes[1];
    bool is_bad = (lead == 0xc2 && second < 0xa0) /* C1 control */ ||
                  (lead == 0xe0 && second < 0xa0) ||
                  (lead == 0xf0 && second < 0x90) /* overlong */ ||
                  (lead == 0xed && second >= 0xa0) /* surrogate */ ||
                  (lead == 0xf4 && second >= 0x90) /* beyond U+10FFFF */;
    return is_bad ? 0 : length;
}

static bool is_blank(uint8_t byte)
{
    return byte == '\t' || byte == '\n' || byte == '\r';
}

static size_t character_length(const uint8_t *bytes, size_t left)
{
    uint8_t byte = bytes[0];
    if (byte >= 0x80) {
        return multibyte_length(bytes, left);
    }
    return (byte >= 0x20 && byte != 0x7f) || is_blank(byte) ? 1 : 0;
}

/* Bytes of printable text from the start on. */
static size_t text_length(const uint8_t *bytes, size_t size)
{
    size_t at = 0;
    while (at < size) {
        if (size - at >= sizeof(uint64_t)) {
            unsigned plain = cw_printable_count(cw_load_u64(bytes + at));
            at += plain;
            if (plain == sizeof(uint64_t)) {
                continue;
            }
        }
        size_t length = character_length(bytes + at, size - at);
        if (length == 0) {
            break;
        }
        at += length;
    }
    return at;
}

/* Can the first six bytes be text? A word that could be a pointer must be so in plain ASCII. */
static bool may_be_text(uint64_t head)
{
    if (cw_printable_ascii(head, LEAST_BYTES)) {
        return true;
    }
    if (head >> 48 == 0) {
        return false;
    }
    for (unsigned i = 0; i < LEAST_BYTES; i++) {
        uint8_t byte = (uint8_t)(head >> (8 * i));
        if (byte < 0x20 ? !is_blank(byte) : byte == 0x7f) {
            return false;
        }
    }
    return true;
}

static bool is_mapped_pointer(const struct cw_classifier_run *run, uint64_t word)
{
    return cw_space_find(run->context->space, word) != NULL;
}

/* At least half of the first bytes are letters, digits or not ASCII at all. */
static bool is_wordy(const uint8_t *bytes, size_t length)
{
    size_t shown = length < LEAST_PROBABLE_BYTES ? length : LEAST_PROBABLE_BYTES;
    size_t count = 0;
    for (size_t i = 0; i < shown && count * 2 < shown; i++) {
        uint8_t lower = bytes[i] | 0x20;
        count += (lower >= 'a' && lower <= 'z') || (bytes[i] >= '0' && bytes[i] <= '9') ||
                 bytes[i] >= 0x80;
    }
    return count * 2 >= shown;
}

/* Does what is seen of [from, usable) look cleared, as the unused part of a buffer? */
static bool is_cleared(const struct cw_chunk_view *view, size_t from)
{
    size_t end = cw_min(view->seen_bytes, (uint64_t)from + SHOWN_BYTES);
    for (size_t i = from; i < end; i++) {
        if (view->data[i] != 0) {
            return false;
        }
    }
    return true;
}

static bool match_bytes(const struct cw_classifier_run *run,
                        const struct cw_chunk_view *view,
                        uint64_t *ret_key)
{
    size_t shown = cw_min(view->seen_bytes, SHOWN_BYTES);
    size_t length = text_length(view->data, shown);
    bool is_terminated = length < shown && view->data[length] == 0;
    /* A character cut by the end of what is shown does not end the text. */
    bool is_cut = length + 3 >= shown && !is_terminated && shown < view->usable_bytes;
    bool fills =
        length + (length < LEAST_UNTERMINATED_BYTES ? 0 : SLACK_BYTES) >= view->usable_bytes;
    if (length < LEAST_BYTES || (!is_terminated && !is_cut && !fills) ||
        !is_wordy(view->data, length) ||
        (length < sizeof(uint64_t) && is_mapped_pointer(run, view->first_word))) {
        return false;
    }
    bool is_followed = is_terminated && length + SLACK_BYTES < view->usable_bytes &&
                       length < view->usable_bytes / 2 && !is_cleared(view, length);
    if (is_followed) {
        *ret_key = KEY_THEN_DATA;
        return length >= LEAST_BEFORE_DATA_BYTES;
    }
    *ret_key = cw_text_kind_of((const char *)view->data, length, is_terminated || fills);
    if (*ret_key == CW_TEXT_PLAIN && length < LEAST_PROBABLE_BYTES) {
        *ret_key = KEY_SHORT;
    }
    return true;
}

/* Text in units of 2 or 4 bytes, nearly all of it ASCII as far as it is looked at. */
static bool match_wide(const struct cw_chunk_view *view, unsigned unit_bytes)
{
    size_t shown = cw_min(view->seen_bytes, SHOWN_BYTES) / unit_bytes;
    size_t letters = 0;
    size_t count = 0;
    while (count < shown) {
        const uint8_t *bytes = view->data + count * unit_bytes;
        uint32_t unit = unit_bytes == 2 ? cw_load_u16(bytes) : cw_load_u32(bytes);
        if (unit >= 0x80 || character_length(bytes, 1) == 0) {
            break;
        }
        letters += ((unit | 0x20) >= 'a' && (unit | 0x20) <= 'z') || unit == ' ';
        count++;
    }
    size_t off = count * unit_bytes;
    bool is_terminated = count < shown && view->data[off] == 0 && view->data[off + 1] == 0;
    /* Small numbers of a narrow range exist: letters and blanks must prevail. */
    return count >= LEAST_WIDE_UNITS && letters * 4 >= count * 3 &&
           (is_terminated || count == shown);
}

static bool match(const struct cw_classifier_run *run,
                  const struct cw_chunk_view *view,
                  uint64_t *ret_key)
{
    if (view->seen_bytes < sizeof(uint64_t)) {
        return false;
    }
    uint64_t head = cw_load_u64(view->data);
    if (may_be_text(head)) {
        return match_bytes(run, view, ret_key);
    }
    if ((head & 0xffffff00ffffff00U) == 0 && (head & 0xff000000ffU) != 0 && head >> 32 != 0) {
        *ret_key = KEY_UTF32;
        return match_wide(view, 4);
    }
    if ((head & 0xff00ff00ff00ff00U) == 0 && head >> 48 != 0) {
        *ret_key = KEY_UTF16;
        return match_wide(view, 2);
    }
    return false;
}

static bool describe(const struct cw_classifier_run *run,
                     uint64_t key,
                     struct cw_population *population)
{
    static const struct {
        const char *name;
        const char *evidence;
        enum cw_confidence confidence;
    } others[] = {
        {"short text", "6 to 15 printable bytes", CW_GUESS},
        {"text, then other data", "starts with a printable string", CW_GUESS},
        {"text: UTF-16", "printable 16-bit characters", CW_PROBABLE},
        {"text: UTF-32", "printable 32-bit characters (wchar_t)", CW_GUESS},
    };
    if (key >= KEY_SHORT) {
        population->name = others[key - KEY_SHORT].name;
        population->evidence = others[key - KEY_SHORT].evidence;
        population->confidence = others[key - KEY_SHORT].confidence;
        return true;
    }
    population->name = cw_arena_printf(
        run->context->memory, "text: %s", cw_text_kind_name((enum cw_text_kind)key));
    population->evidence = key == CW_TEXT_PLAIN ? "printable from its start to its end"
                                                : "printable, and of that form";
    population->confidence = key == CW_TEXT_BASE64 ? CW_GUESS : CW_PROBABLE;
    return population->name != NULL;
}

const struct cw_classifier cw_classifier_text = {
    .name = "text",
    .kind = CW_POPULATION_TEXT,
    .heads = 1U << CW_HEAD_OTHER,
    .match = match,
    .describe = describe,
};
