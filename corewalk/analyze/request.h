/* Requests: what a caller asks of a verb, checked against what the verb says it takes. */
#pragma once

#include "analyze/analysis.h"

/*
 * Do the verb, its format, its argument and every setting exist, and do the values parse?
 * CW_ERROR_ARGUMENT otherwise, with a text that says what would be right.
 */
enum cw_status cw_request_check(const struct corewalk_request *request, struct cw_error *err);

/* The value of a setting as typed; NULL when it was not given. A flag that was given is "". */
const char *cw_request_setting(const struct corewalk_request *request, const char *option);

/* Typed values of a checked request; the fallback when the setting was not given. */
uint64_t cw_request_size(const struct corewalk_request *request,
                         const char *option,
                         uint64_t fallback);
uint64_t cw_request_count(const struct corewalk_request *request,
                          const char *option,
                          uint64_t fallback);
cw_addr cw_request_address(const struct corewalk_request *request,
                           const char *option,
                           cw_addr fallback);
