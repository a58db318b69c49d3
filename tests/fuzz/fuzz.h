/* What fuzz targets share. A target is one file, fuzz_<name>.c, with LLVMFuzzerTestOneInput. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* libFuzzer's name for it. NOLINTNEXTLINE(readability-identifier-naming) */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* Like assert, in every build type. */
#define FUZZ_CHECK(condition) ((condition) ? (void)0 : abort())
