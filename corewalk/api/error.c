/* The public error record. */
#include "api/error.h"

#include <assert.h>
#include <string.h>

static_assert((int)CW_ERROR_ARGUMENT == (int)COREWALK_ERROR_ARGUMENT, "same numbers");
static_assert((int)CW_ERROR_IO == (int)COREWALK_ERROR_IO, "same numbers");
static_assert((int)CW_ERROR_FORMAT == (int)COREWALK_ERROR_FORMAT, "same numbers");
static_assert((int)CW_ERROR_UNSUPPORTED == (int)COREWALK_ERROR_UNSUPPORTED, "same numbers");
static_assert((int)CW_ERROR_NOT_FOUND == (int)COREWALK_ERROR_NOT_FOUND, "same numbers");
static_assert((int)CW_ERROR_MEMORY == (int)COREWALK_ERROR_MEMORY, "same numbers");
static_assert((int)CW_ERROR_CANCELLED == (int)COREWALK_ERROR_CANCELLED, "same numbers");
static_assert(sizeof(((struct cw_error *)0)->text) == sizeof(((struct corewalk_error *)0)->text),
              "same room for the text");

int cw_error_export(const struct cw_error *err, struct corewalk_error *error)
{
    if (error != NULL && err->status != CW_OK) {
        error->status = (int)err->status;
        error->os_error = err->os_error;
        error->address = err->address;
        memcpy(error->text, err->text, sizeof error->text);
    }
    return (int)err->status;
}
