/*
 * A unit test file: static void functions of CUnit assertions, and at its end
 *
 *     CW_TEST_MAIN("base/text", CW_TEST(escapes_control_bytes), CW_TEST(formats_sizes))
 */
#pragma once

#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>

struct cw_test {
    const char *name;
    void (*run)(void);
};

#define CW_TEST(function) ((struct cw_test){#function, function})

#define CW_TEST_MAIN(suite, ...)                                           \
    int main(void)                                                         \
    {                                                                      \
        const struct cw_test tests[] = {__VA_ARGS__};                      \
        return cw_run_tests(suite, tests, sizeof tests / sizeof tests[0]); \
    }

/* Runs them and returns the process's exit status. */
int cw_run_tests(const char *suite, const struct cw_test *tests, size_t count);
