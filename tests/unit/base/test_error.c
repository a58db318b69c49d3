/* base/error: set once, one line, printable. */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "support/unit.h"

static void the_first_error_stays(void)
{
    struct cw_error err = CW_ERROR_INIT;
    CU_ASSERT_EQUAL(cw_error_set(&err, CW_ERROR_FORMAT, "first %d", 1), CW_ERROR_FORMAT);
    CU_ASSERT_EQUAL(cw_error_set(&err, CW_ERROR_IO, "second"), CW_ERROR_IO);
    CU_ASSERT_EQUAL(cw_error_set_os(&err, EIO, "third"), CW_ERROR_IO);
    CU_ASSERT_EQUAL(cw_error_set_at(&err, CW_ERROR_IO, 5, "fourth"), CW_ERROR_IO);
    CU_ASSERT_EQUAL(err.status, CW_ERROR_FORMAT);
    CU_ASSERT_STRING_EQUAL(err.text, "first 1");
    CU_ASSERT_EQUAL(err.os_error, 0);
}

static void nobody_has_to_listen(void)
{
    CU_ASSERT_EQUAL(cw_error_set(NULL, CW_ERROR_FORMAT, "x"), CW_ERROR_FORMAT);
    CU_ASSERT_EQUAL(cw_error_set_os(NULL, EIO, "x"), CW_ERROR_IO);
    CU_ASSERT_EQUAL(cw_error_set_at(NULL, CW_ERROR_NOT_FOUND, 1, "x"), CW_ERROR_NOT_FOUND);
    CU_ASSERT_EQUAL(cw_error_set_memory(NULL, "x"), CW_ERROR_MEMORY);
}

static void the_system_explains_itself(void)
{
    struct cw_error err = CW_ERROR_INIT;
    cw_error_set_os(&err, ENOENT, "cannot open %s", "core");
    CU_ASSERT_STRING_EQUAL(err.text, "cannot open core: No such file or directory");
    CU_ASSERT_EQUAL(err.os_error, ENOENT);
    err = CW_ERROR_INIT;
    cw_error_set_os(&err, 99999, "x");
    CU_ASSERT_STRING_EQUAL(err.text, "x: unknown system error");
}

static void the_address_is_kept_and_memory_says_what_to_do(void)
{
    struct cw_error err = CW_ERROR_INIT;
    cw_error_set_at(&err, CW_ERROR_FORMAT, 0xabc, "bad");
    CU_ASSERT_EQUAL(err.address, 0xabc);
    err = CW_ERROR_INIT;
    cw_error_set_memory(&err, "the table");
    CU_ASSERT_EQUAL(err.status, CW_ERROR_MEMORY);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "the table"));
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "--max-memory"));
}

static void hostile_text_is_escaped_and_cut(void)
{
    struct cw_error err = CW_ERROR_INIT;
    char text[1000];
    memset(text, '\n', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    cw_error_set(&err, CW_ERROR_FORMAT, "%s", text);
    CU_ASSERT_TRUE(strlen(err.text) < sizeof err.text);
    CU_ASSERT_PTR_NULL(strchr(err.text, '\n'));
}

CW_TEST_MAIN("base/error",
             CW_TEST(the_first_error_stays),
             CW_TEST(nobody_has_to_listen),
             CW_TEST(the_system_explains_itself),
             CW_TEST(the_address_is_kept_and_memory_says_what_to_do),
             CW_TEST(hostile_text_is_escaped_and_cut))
