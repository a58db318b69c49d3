/* How much of the process the analysis could see. */
#pragma once

#include "analyze/analysis.h"

/*
 * Bytes that should be there and are not: cut off the file, or writable memory that the dumper
 * left out. (Text and constants that are not dumped are no loss: the files have them.)
 */
uint64_t cw_missing_bytes(const struct cw_analysis_input *input);

/* Nothing is missing, and no header or note of the input was cut or damaged. */
bool cw_is_complete(const struct cw_analysis_input *input);
