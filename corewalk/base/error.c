/* Error records: set once, formatted and escaped in place. */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

__attribute__((format(printf, 2, 0))) static void set_text(struct cw_error *err,
                                                           const char *format,
                                                           va_list arguments)
{
    char raw[sizeof err->text];
    vsnprintf(raw, sizeof raw, format, arguments);
    cw_text_escape(raw, err->text, sizeof err->text);
}

static bool is_free(const struct cw_error *err)
{
    return err != NULL && err->status == CW_OK;
}

enum cw_status cw_error_set(struct cw_error *err, enum cw_status status, const char *format, ...)
{
    if (is_free(err)) {
        va_list arguments;
        va_start(arguments, format);
        set_text(err, format, arguments);
        va_end(arguments);
        err->status = status;
    }
    return status;
}

enum cw_status cw_error_set_os(struct cw_error *err, int os_error, const char *format, ...)
{
    if (is_free(err)) {
        va_list arguments;
        va_start(arguments, format);
        set_text(err, format, arguments);
        va_end(arguments);
        size_t length = strlen(err->text);
        const char *name = strerrordesc_np(os_error);
        snprintf(err->text + length,
                 sizeof err->text - length,
                 ": %s",
                 name != NULL ? name : "unknown system error");
        err->status = CW_ERROR_IO;
        err->os_error = os_error;
    }
    return CW_ERROR_IO;
}

enum cw_status cw_error_set_at(
    struct cw_error *err, enum cw_status status, cw_addr address, const char *format, ...)
{
    if (is_free(err)) {
        va_list arguments;
        va_start(arguments, format);
        set_text(err, format, arguments);
        va_end(arguments);
        err->status = status;
        err->address = address;
    }
    return status;
}

enum cw_status cw_error_set_memory(struct cw_error *err, const char *what)
{
    return cw_error_set(err, CW_ERROR_MEMORY, "not enough memory for %s; raise --max-memory", what);
}
