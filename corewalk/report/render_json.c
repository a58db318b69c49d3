/*
 * JSON: a report is one object, built as a tree (sections with a common prefix may stand far
 * apart); a stream is JSON Lines, written straight into the buffer, for tens of millions of rows.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

#include "report/render.h"

/*
 * jansson's integers end at INT64_MAX. Larger numbers travel as a text that starts with this
 * byte, which no text of a report holds (they are printable), and lose it, its escape and their
 * quotes on the way out.
 */
#define BIG_MARK         "\x01"
#define BIG_MARK_WRITTEN "\"\\u0001"

enum { DUMP_FLAGS = JSON_INDENT(2) | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(6) };

/* --- reports ------------------------------------------------------------------------------ */

struct json_tree {
    json_t *root;
    bool failed; /* out of memory, or two sections want one key for different things */
};

static bool is_in_json(const struct cw_report_column *column)
{
    return column->key != NULL && (column->flags & CW_COLUMN_HUMAN) == 0;
}

static json_t *json_from_number(uint64_t number)
{
    if (number <= INT64_MAX) {
        return json_integer((json_int_t)number);
    }
    char digits[24];
    snprintf(digits, sizeof digits, BIG_MARK "%" PRIu64, number);
    return json_string(digits);
}

static json_t *json_from_address(cw_addr address)
{
    char text[24];
    snprintf(text, sizeof text, "0x%" PRIx64, address);
    return json_string(text);
}

/* Shares are rounded to six decimals, and all reals to six digits. */
static json_t *json_from_share(double share)
{
    bool can_round = share >= 0 && share < 1e9;
    return json_real(can_round ? (double)(uint64_t)(share * 1e6 + 0.5) / 1e6 : share);
}

static json_t *json_from_list(const struct cw_cell *cell)
{
    json_t *list = json_array();
    bool is_words = cell->unit == CW_UNIT_WORDS;
    size_t count = is_words ? cell->words.count : cell->addresses.count;
    for (size_t i = 0; i < count; i++) {
        json_t *item = is_words ? json_string(cell->words.items[i])
                                : json_from_address(cell->addresses.items[i]);
        if (json_array_append_new(list, item) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

/* NULL when out of memory; the cell is not absent. */
static json_t *json_from_cell(const struct cw_cell *cell)
{
    switch (cell->unit) {
    case CW_UNIT_TEXT:
        return json_string(cell->text);
    case CW_UNIT_BYTES:
    case CW_UNIT_COUNT:
        return json_from_number(cell->number);
    case CW_UNIT_SHARE:
        return json_from_share(cell->real);
    case CW_UNIT_SECONDS:
        return json_real(cell->real);
    case CW_UNIT_ADDRESS:
        return json_from_address(cell->number);
    case CW_UNIT_BOOL:
        return json_boolean(cell->boolean);
    case CW_UNIT_WORDS:
    case CW_UNIT_ADDRESSES:
        return json_from_list(cell);
    case CW_UNIT_ABSENT:
        break;
    }
    return NULL;
}

/* The object at the first `length` bytes of the dotted `path` below `object`, made if need be. */
static json_t *object_at(json_t *object, const char *path, size_t length)
{
    const char *end = path + length;
    while (path < end && object != NULL) {
        const char *dot = memchr(path, '.', (size_t)(end - path));
        size_t name_length = (size_t)((dot != NULL ? dot : end) - path);
        json_t *child = json_object_getn(object, path, name_length);
        if (child == NULL) {
            child = json_object();
            if (json_object_setn_new(object, path, name_length, child) != 0) {
                child = NULL;
            }
        }
        object = json_is_object(child) ? child : NULL;
        path += name_length + 1;
    }
    return object;
}

/* "heap.used.bytes": the length of "heap.used", and *ret_name is "bytes". */
static size_t split_key(const char *key, const char **ret_name)
{
    const char *dot = strrchr(key, '.');
    *ret_name = dot != NULL ? dot + 1 : key;
    return dot != NULL ? (size_t)(dot - key) : 0;
}

/* Takes `value` over. Nothing may stand at the key yet. */
static void set_value(struct json_tree *tree, json_t *object, const char *key, json_t *value)
{
    const char *name;
    size_t length = split_key(key, &name);
    json_t *parent = object_at(object, key, length);
    if (parent == NULL || json_object_get(parent, name) != NULL) {
        json_decref(value);
        tree->failed = true;
    } else if (json_object_set_new(parent, name, value) != 0) {
        tree->failed = true;
    }
}

static void set_row(struct json_tree *tree,
                    json_t *object,
                    const struct cw_report_section *section,
                    size_t row)
{
    for (size_t i = 0; i < section->column_count; i++) {
        const struct cw_cell *cell = cw_report_cell(section, row, i);
        if (is_in_json(&section->columns[i]) && !cw_cell_is_absent(cell)) {
            set_value(tree, object, section->columns[i].key, json_from_cell(cell));
        }
    }
}

/* The array at a dotted key: sections of one key share it. */
static json_t *array_at(struct json_tree *tree, const char *key)
{
    const char *name;
    size_t length = split_key(key, &name);
    json_t *parent = object_at(tree->root, key, length);
    json_t *array = json_object_get(parent, name);
    if (array == NULL) {
        array = json_array();
        if (json_object_set_new(parent, name, array) != 0) {
            array = NULL;
        }
    }
    if (!json_is_array(array)) {
        tree->failed = true;
        array = NULL;
    }
    return array;
}

static void add_array(struct json_tree *tree, const struct cw_report_section *section)
{
    json_t *array = array_at(tree, section->key);
    size_t row_count = cw_report_row_count(section);
    for (size_t row = 0; row < row_count && !tree->failed; row++) {
        json_t *item;
        if (section->kind == CW_SECTION_COMMANDS) {
            item = json_from_cell(cw_report_cell(section, row, 0));
        } else {
            item = json_object();
            set_row(tree, item, section, row);
        }
        if (json_array_append_new(array, item) != 0) {
            tree->failed = true;
        }
    }
}

static void add_section(struct json_tree *tree, const struct cw_report_section *section)
{
    if (section->key == NULL) {
        return;
    }
    if (section->kind == CW_SECTION_TABLE || section->kind == CW_SECTION_COMMANDS) {
        add_array(tree, section);
    } else if (cw_report_row_count(section) > 0) {
        json_t *object = object_at(tree->root, section->key, strlen(section->key));
        if (object == NULL) {
            tree->failed = true;
        } else {
            set_row(tree, object, section, 0);
        }
    }
}

/* Writes jansson's text with the marked numbers made plain. */
static void put_dump(struct cw_output *output, const char *text, size_t length)
{
    const char *end = text + length;
    for (;;) {
        const char *mark =
            memmem(text, (size_t)(end - text), BIG_MARK_WRITTEN, sizeof BIG_MARK_WRITTEN - 1);
        if (mark == NULL) {
            break;
        }
        cw_output_put(output, text, (size_t)(mark - text));
        text = mark + sizeof BIG_MARK_WRITTEN - 1;
        size_t digit_count = strspn(text, "0123456789");
        cw_output_put(output, text, digit_count);
        text += digit_count + 1;
    }
    cw_output_put(output, text, (size_t)(end - text));
    cw_output_newline(output);
}

/* The tree as text, in the report's arena, under the session's budget. */
static enum cw_status dump(const json_t *root,
                           struct cw_arena *arena,
                           struct cw_output *output,
                           struct cw_error *err)
{
    size_t length = json_dumpb(root, NULL, 0, DUMP_FLAGS);
    char *text = cw_arena_alloc(arena, length + 1);
    if (text == NULL) {
        return cw_error_set_memory(err, "a JSON report");
    }
    json_dumpb(root, text, length, DUMP_FLAGS);
    put_dump(output, text, length);
    return cw_output_finish(output, err);
}

static enum cw_status render(const struct cw_report *report,
                             const struct cw_style *style,
                             const struct cw_writer *writer,
                             struct cw_error *err)
{
    (void)style;
    struct cw_output output;
    enum cw_status status = cw_report_begin(report, writer, &output, err);
    if (status != CW_OK) {
        return status;
    }
    struct json_tree tree = {.root = json_object()};
    for (size_t i = 0; i < report->sections.count && !tree.failed; i++) {
        const struct cw_report_section *section = cw_report_section_at(report, i);
        add_section(&tree, section);
        if (tree.failed) {
            status = cw_error_set(err,
                                  CW_ERROR_MEMORY,
                                  "JSON report: \"%s\" does not fit in memory or in the tree",
                                  section->key);
        }
    }
    if (status == CW_OK) {
        status = dump(tree.root, report->arena, &output, err);
    }
    json_decref(tree.root);
    return status;
}

/* --- streams ------------------------------------------------------------------------------ */

/* Texts are printable ASCII, but a line must stay sound JSON whatever comes. */
static bool needs_escape(unsigned char byte)
{
    return byte < 0x20 || byte >= 0x7f || byte == '"' || byte == '\\';
}

static void put_escaped(struct cw_output *output, unsigned char byte)
{
    if (byte == '"' || byte == '\\') {
        cw_output_putc(output, '\\');
        cw_output_putc(output, (char)byte);
    } else {
        static const char digits[] = "0123456789abcdef";
        const char escape[] = {'\\', 'u', '0', '0', digits[byte >> 4], digits[byte & 15]};
        cw_output_put(output, escape, sizeof escape);
    }
}

static void put_string(struct cw_output *output, const char *text)
{
    cw_output_putc(output, '"');
    const char *plain = text;
    for (; *text != '\0'; text++) {
        if (needs_escape((unsigned char)*text)) {
            cw_output_put(output, plain, (size_t)(text - plain));
            put_escaped(output, (unsigned char)*text);
            plain = text + 1;
        }
    }
    cw_output_put(output, plain, (size_t)(text - plain));
    cw_output_putc(output, '"');
}

static void put_quoted_address(struct cw_output *output, cw_addr address)
{
    cw_output_putc(output, '"');
    cw_output_address(output, address);
    cw_output_putc(output, '"');
}

/* Six decimals at most; by hand, since printf's decimal point is the locale's. */
static void put_real(struct cw_output *output, double real)
{
    static const double largest = 1e12;
    double magnitude = real < 0 ? -real : real;
    uint64_t millionths = (uint64_t)((magnitude < largest ? magnitude : largest) * 1e6 + 0.5);
    char digits[8];
    int length = snprintf(digits, sizeof digits, "%06u", (unsigned)(millionths % 1000000));
    while (length > 1 && digits[length - 1] == '0') {
        length--;
    }
    if (real < 0 && millionths > 0) {
        cw_output_putc(output, '-');
    }
    cw_output_number(output, millionths / 1000000);
    cw_output_putc(output, '.');
    cw_output_put(output, digits, (size_t)length);
}

static void put_list(struct cw_output *output, const struct cw_cell *cell)
{
    bool is_words = cell->unit == CW_UNIT_WORDS;
    size_t count = is_words ? cell->words.count : cell->addresses.count;
    cw_output_putc(output, '[');
    for (size_t i = 0; i < count; i++) {
        if (i > 0) {
            cw_output_putc(output, ',');
        }
        if (is_words) {
            put_string(output, cell->words.items[i]);
        } else {
            put_quoted_address(output, cell->addresses.items[i]);
        }
    }
    cw_output_putc(output, ']');
}

static void put_value(struct cw_output *output, const struct cw_cell *cell)
{
    switch (cell->unit) {
    case CW_UNIT_TEXT:
        put_string(output, cell->text);
        break;
    case CW_UNIT_BYTES:
    case CW_UNIT_COUNT:
        cw_output_number(output, cell->number);
        break;
    case CW_UNIT_SHARE:
    case CW_UNIT_SECONDS:
        put_real(output, cell->real);
        break;
    case CW_UNIT_ADDRESS:
        put_quoted_address(output, cell->number);
        break;
    case CW_UNIT_BOOL:
        cw_output_puts(output, cell->boolean ? "true" : "false");
        break;
    case CW_UNIT_WORDS:
    case CW_UNIT_ADDRESSES:
        put_list(output, cell);
        break;
    case CW_UNIT_ABSENT:
        break;
    }
}

/* Which objects of dotted keys are open in the line being written. */
struct line {
    struct cw_output *output;
    const char *prefix; /* the first prefix_length bytes of a key: "used" */
    size_t prefix_length;
    bool needs_comma;
};

static void put_comma(struct line *line)
{
    if (line->needs_comma) {
        cw_output_putc(line->output, ',');
    }
    line->needs_comma = true;
}

static void put_key(struct line *line, const char *name, size_t length)
{
    put_comma(line);
    cw_output_putc(line->output, '"');
    cw_output_put(line->output, name, length);
    cw_output_put(line->output, "\":", 2);
}

/* The length of the longest prefix, of whole names, that two prefixes share. */
static size_t shared_prefix(const struct line *line, const char *key, size_t length)
{
    size_t shared = 0;
    for (size_t i = 0;; i++) {
        bool ends = i == line->prefix_length || line->prefix[i] == '.';
        bool other_ends = i == length || key[i] == '.';
        if (ends && other_ends) {
            shared = i;
        }
        if (i == line->prefix_length || i == length || line->prefix[i] != key[i]) {
            return shared;
        }
    }
}

/* Closes and opens objects until those of the first `length` bytes of `key` are open. */
static void enter(struct line *line, const char *key, size_t length)
{
    size_t shared = shared_prefix(line, key, length);
    for (size_t i = shared; i < line->prefix_length; i++) {
        if (i == shared || line->prefix[i] == '.') {
            cw_output_putc(line->output, '}');
        }
    }
    for (size_t at = shared; at < length;) {
        at += key[at] == '.';
        const char *dot = memchr(key + at, '.', length - at);
        size_t name_length = dot != NULL ? (size_t)(dot - (key + at)) : length - at;
        put_key(line, key + at, name_length);
        cw_output_putc(line->output, '{');
        line->needs_comma = false;
        at += name_length;
    }
    line->prefix = key;
    line->prefix_length = length;
}

static void stream_head(struct cw_row_stream *stream, const struct cw_cell *first_row)
{
    (void)stream;
    (void)first_row;
}

static void stream_row(struct cw_row_stream *stream, const struct cw_cell *cells)
{
    struct line line = {.output = &stream->output, .prefix = ""};
    cw_output_putc(line.output, '{');
    for (size_t i = 0; i < stream->column_count; i++) {
        const struct cw_report_column *column = &stream->columns[i];
        if (!is_in_json(column) || cw_cell_is_absent(&cells[i])) {
            continue;
        }
        const char *name;
        size_t prefix_length = split_key(column->key, &name);
        if (prefix_length > 0 || line.prefix_length > 0) {
            enter(&line, column->key, prefix_length);
        }
        put_key(&line, name, strlen(name));
        put_value(line.output, &cells[i]);
    }
    if (line.prefix_length > 0) {
        enter(&line, "", 0);
    }
    cw_output_put(line.output, "}\n", 2);
}

const struct cw_renderer cw_renderer_json = {
    .name = "json",
    .summary = "one JSON object, or one a line for streams; the contract of report.schema.json",
    .render = render,
    .stream_head = stream_head,
    .stream_row = stream_row,
};
