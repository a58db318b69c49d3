/* Between our error record and the public one, whose statuses are the same numbers. */
#pragma once

#include <corewalk/corewalk.h>

#include "base/error.h"

/* Copies the record out (`error` may be NULL) and returns its status. */
int cw_error_export(const struct cw_error *err, struct corewalk_error *error);
