/* Human forms of cells; cutting and wrapping. No locale is ever consulted. */
#include "report/show.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

static const char ellipsis[] = "...";
enum { ELLIPSIS_LENGTH = sizeof ellipsis - 1 };

/* Beyond these a double is no longer a share or a time that anyone meant. */
static const double largest_share = 1e6;
static const double largest_seconds = 1e12;

bool cw_show_is_number(const struct cw_cell *cell)
{
    return cell->unit == CW_UNIT_BYTES || cell->unit == CW_UNIT_COUNT ||
           cell->unit == CW_UNIT_SHARE || cell->unit == CW_UNIT_SECONDS;
}

/* "41.2 %"; what is not nothing and not everything never reads "0.0 %" or "100.0 %". */
static void show_share(double share, char *buffer, size_t buffer_bytes)
{
    double clamped = share < 0 ? 0 : share > largest_share ? largest_share : share;
    uint64_t tenths = (uint64_t)(clamped * 1000 + 0.5);
    if (tenths == 0 && clamped > 0) {
        snprintf(buffer, buffer_bytes, "<0.1 %%");
    } else if (tenths >= 1000 && clamped < 1) {
        snprintf(buffer, buffer_bytes, ">99.9 %%");
    } else {
        snprintf(buffer, buffer_bytes, "%" PRIu64 ".%" PRIu64 " %%", tenths / 10, tenths % 10);
    }
}

static void show_seconds(double seconds, char *buffer, size_t buffer_bytes)
{
    double clamped = seconds < 0 ? 0 : seconds > largest_seconds ? largest_seconds : seconds;
    uint64_t milliseconds = (uint64_t)(clamped * 1000 + 0.5);
    if (milliseconds == 0 && clamped > 0) {
        snprintf(buffer, buffer_bytes, "<1 ms");
    } else if (milliseconds < 1000) {
        snprintf(buffer, buffer_bytes, "%" PRIu64 " ms", milliseconds);
    } else {
        uint64_t tenths = (milliseconds + 50) / 100;
        snprintf(buffer, buffer_bytes, "%" PRIu64 ".%" PRIu64 " s", tenths / 10, tenths % 10);
    }
}

static size_t list_count(const struct cw_cell *cell)
{
    return cell->unit == CW_UNIT_WORDS ? cell->words.count : cell->addresses.count;
}

/* Item `index` of a list; `buffer` takes CW_SHOW_BYTES. */
static const char *list_item(const struct cw_cell *cell, size_t index, char *buffer)
{
    if (cell->unit == CW_UNIT_WORDS) {
        return cell->words.items[index];
    }
    snprintf(buffer, CW_SHOW_BYTES, "0x%" PRIx64, cell->addresses.items[index]);
    return buffer;
}

static size_t list_bytes(const struct cw_cell *cell)
{
    char item[CW_SHOW_BYTES];
    size_t bytes = CW_SHOW_BYTES;
    for (size_t i = 0; i < list_count(cell); i++) {
        bytes += strlen(list_item(cell, i, item)) + 2;
    }
    return bytes;
}

static void show_list(const struct cw_cell *cell, char *buffer, size_t buffer_bytes)
{
    char scratch[CW_SHOW_BYTES];
    size_t length = 0;
    buffer[0] = '\0';
    for (size_t i = 0; i < list_count(cell); i++) {
        const char *item = list_item(cell, i, scratch);
        const char *comma = i == 0 ? "" : ", ";
        if (length + strlen(comma) + strlen(item) + 2 + ELLIPSIS_LENGTH >= buffer_bytes) {
            snprintf(buffer + length, buffer_bytes - length, "%s%s", comma, ellipsis);
            break;
        }
        length += (size_t)snprintf(buffer + length, buffer_bytes - length, "%s%s", comma, item);
    }
}

const char *cw_show_cell(const struct cw_cell *cell,
                         unsigned flags,
                         char *buffer,
                         size_t buffer_bytes)
{
    buffer[0] = '\0';
    if (cw_cell_is_absent(cell)) {
        return buffer;
    }
    switch (cell->unit) {
    case CW_UNIT_ABSENT:
        break;
    case CW_UNIT_TEXT:
        return cell->text;
    case CW_UNIT_BYTES:
        return (flags & CW_COLUMN_EXACT) != 0 ? cw_text_count(cell->number, buffer)
                                              : cw_text_size(cell->number, buffer);
    case CW_UNIT_COUNT:
        return cw_text_count(cell->number, buffer);
    case CW_UNIT_SHARE:
        show_share(cell->real, buffer, buffer_bytes);
        break;
    case CW_UNIT_SECONDS:
        show_seconds(cell->real, buffer, buffer_bytes);
        break;
    case CW_UNIT_ADDRESS:
        snprintf(buffer, buffer_bytes, "0x%" PRIx64, cell->number);
        break;
    case CW_UNIT_BOOL:
        return cell->boolean ? "yes" : "no";
    case CW_UNIT_WORDS:
    case CW_UNIT_ADDRESSES:
        show_list(cell, buffer, buffer_bytes);
        break;
    }
    return buffer;
}

const char *cw_show_cell_copy(const struct cw_cell *cell, unsigned flags, struct cw_arena *arena)
{
    char fixed[CW_SHOW_BYTES];
    if (cell->unit == CW_UNIT_WORDS || cell->unit == CW_UNIT_ADDRESSES) {
        size_t bytes = list_bytes(cell);
        char *buffer = cw_arena_alloc(arena, bytes);
        return buffer == NULL ? NULL : cw_show_cell(cell, flags, buffer, bytes);
    }
    const char *text = cw_show_cell(cell, flags, fixed, sizeof fixed);
    return text == fixed ? cw_arena_strdup(arena, fixed) : text;
}

const char *cw_show_cut(const char *text, size_t width, char *buffer)
{
    size_t length = strlen(text);
    if (length <= width) {
        return text;
    }
    /* Names differ at their start first, so it gets three quarters. */
    size_t kept = width > ELLIPSIS_LENGTH ? width - ELLIPSIS_LENGTH : 0;
    size_t tail = kept / 4;
    size_t head = kept - tail;
    memcpy(buffer, text, head);
    size_t dots = width - kept;
    memcpy(buffer + head, ellipsis, dots);
    memcpy(buffer + head + dots, text + length - tail, tail);
    buffer[width] = '\0';
    return buffer;
}

/* Is the blank at `blank` the one inside "9.4 GiB", "17 B" or "41.2 %"? */
static bool is_inside_quantity(const char *text, const char *blank)
{
    if (blank == text || blank[-1] < '0' || blank[-1] > '9') {
        return false;
    }
    const char *unit = blank + 1;
    return *unit == '%' || (*unit == 'B' && (unit[1] == '\0' || strchr(" ,.;:)", unit[1]))) ||
           (*unit != '\0' && strchr("KMGTPE", *unit) != NULL && unit[1] == 'i' && unit[2] == 'B');
}

/* Where a line of `text`, which is longer than `width`, ends. */
static size_t break_at(const char *text, size_t width)
{
    for (size_t i = width; i > 0; i--) {
        if (text[i] == ' ' && !is_inside_quantity(text, text + i)) {
            return i;
        }
    }
    /* A word that is longer than the line, a path or a C++ name, ends where it has a joint. */
    for (size_t i = width; i > width / 2; i--) {
        if (strchr("/,<:", text[i - 1]) != NULL && text[i] != ':') {
            return i;
        }
    }
    return width;
}

bool cw_show_next_line(const char **rest, size_t width, struct cw_slice *ret_line)
{
    const char *start = *rest + strspn(*rest, " ");
    if (*start == '\0') {
        *rest = start;
        return false;
    }
    size_t length = strnlen(start, width + 1);
    if (length > width) {
        length = break_at(start, width);
    }
    *rest = start + length;
    while (length > 0 && start[length - 1] == ' ') {
        length--;
    }
    *ret_line = (struct cw_slice){start, length};
    return true;
}
