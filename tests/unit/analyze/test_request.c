/* analyze/request: every way in which a request can be wrong is said. */
#include <string.h>

#include "analyze/request.h"
#include "support/unit.h"

static struct corewalk_request request_of(const char *verb)
{
    return (struct corewalk_request){.size = sizeof(struct corewalk_request), .verb = verb};
}

/* Expects a usage error whose text holds `part`. */
static void expect_refusal(const struct corewalk_request *request, const char *part)
{
    struct cw_error err = CW_ERROR_INIT;
    CU_ASSERT_EQUAL(cw_request_check(request, &err), CW_ERROR_ARGUMENT);
    CU_ASSERT_EQUAL(err.status, CW_ERROR_ARGUMENT);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, part));
}

static void accepts_every_verb_as_it_describes_itself(void)
{
    size_t count;
    const struct cw_analysis *const *analyses = cw_analyses(&count);
    CU_ASSERT_TRUE(count >= 4);
    for (size_t i = 0; i < count; i++) {
        struct corewalk_request request = request_of(analyses[i]->verb.name);
        request.argument = analyses[i]->verb.argument != NULL ? "0x1000" : NULL;
        CU_ASSERT_EQUAL(cw_request_check(&request, NULL), CW_OK);
        CU_ASSERT_TRUE((analyses[i]->report != NULL) != (analyses[i]->stream != NULL));
        CU_ASSERT_PTR_EQUAL(cw_analysis_named(analyses[i]->verb.name), analyses[i]);
    }
}

static void refuses_unknown_verbs_formats_and_options(void)
{
    struct corewalk_request request = request_of("analyse");
    expect_refusal(&request, "'analyse'");
    request = request_of(NULL);
    expect_refusal(&request, "no verb");
    request = request_of("analyze");
    request.format = "pdf";
    expect_refusal(&request, "'pdf'");
    struct corewalk_setting setting = {"min-size", "1"};
    request = request_of("analyze");
    request.settings = &setting;
    request.setting_count = 1;
    expect_refusal(&request, "--min-size");
}

static void refuses_wrong_values(void)
{
    static const struct {
        const char *verb;
        struct corewalk_setting setting;
        const char *part;
    } cases[] = {
        {"histogram", {"by", "colour"}, "name, size, arena, state"},
        {"histogram", {"by", NULL}, "--by needs"},
        {"histogram", {"limit", "1k"}, "a number"},
        {"histogram", {"limit", "0"}, "above 0"},
        {"list", {"limit", "0"}, "above 0"},
        {"list", {"min-size", "big"}, "a size"},
        {"list", {"address", "main"}, "an address"},
        {"block", {"show-content", "yes"}, "takes no value"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct corewalk_request request = request_of(cases[i].verb);
        request.settings = &cases[i].setting;
        request.setting_count = 1;
        expect_refusal(&request, cases[i].part);
    }
}

static void refuses_missing_and_needless_arguments(void)
{
    struct corewalk_request request = request_of("block");
    expect_refusal(&request, "ADDRESS");
    request.argument = "g_registry";
    expect_refusal(&request, "an address");
    request = request_of("analyze");
    request.argument = "0x1";
    expect_refusal(&request, "no argument");
}

static void the_last_setting_counts(void)
{
    static const struct corewalk_setting settings[] = {
        {"min-size", "1k"}, {"limit", "5"}, {"min-size", "2k"}};
    struct corewalk_request request = request_of("list");
    request.settings = settings;
    request.setting_count = 3;
    CU_ASSERT_EQUAL(cw_request_size(&request, "min-size", 7), 2048);
    CU_ASSERT_EQUAL(cw_request_size(&request, "max-size", 7), 7);
    CU_ASSERT_EQUAL(cw_request_count(&request, "limit", 0), 5);
    CU_ASSERT_EQUAL(cw_request_address(&request, "address", 3), 3);
    CU_ASSERT_PTR_NULL(cw_request_setting(&request, "state"));
}

CW_TEST_MAIN("analyze/request",
             CW_TEST(accepts_every_verb_as_it_describes_itself),
             CW_TEST(refuses_unknown_verbs_formats_and_options),
             CW_TEST(refuses_wrong_values),
             CW_TEST(refuses_missing_and_needless_arguments),
             CW_TEST(the_last_setting_counts))
