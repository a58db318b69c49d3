/*
 * What kind of text some text is: JSON, a path, SQL, … Looks at the text alone and says nothing
 * about what it holds.
 */
#pragma once

#include "base/types.h"

enum cw_text_kind {
    CW_TEXT_PLAIN,
    CW_TEXT_HTTP,
    CW_TEXT_URL,
    CW_TEXT_JSON,
    CW_TEXT_XML,
    CW_TEXT_SQL,
    CW_TEXT_PEM,
    CW_TEXT_PATH,
    CW_TEXT_VARIABLE,
    CW_TEXT_NUMBER,
    CW_TEXT_HEX,
    CW_TEXT_BASE64,
    CW_TEXT_KIND_COUNT,
};

/*
 * The kind of bytes[0 … length), which is printable. is_whole: it ends there; else more follows
 * that is not shown.
 */
enum cw_text_kind cw_text_kind_of(const char *bytes, size_t length, bool is_whole);

/* "JSON", "path", …; "plain". */
const char *cw_text_kind_name(enum cw_text_kind kind);
