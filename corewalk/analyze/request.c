/* Checks and reads requests. */
#include "analyze/request.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

static bool parse_count(const char *text, uint64_t *ret_count)
{
    size_t digits = strspn(text, "0123456789");
    return digits > 0 && text[digits] == '\0' && cw_text_parse_size(text, ret_count);
}

static bool is_choice(const char *const *choices, const char *value)
{
    for (; *choices != NULL; choices++) {
        if (strcmp(*choices, value) == 0) {
            return true;
        }
    }
    return false;
}

static const char *expectation_of(int kind)
{
    switch (kind) {
    case COREWALK_VALUE_SIZE:
        return "a size like 4096, 64k or 1.5G";
    case COREWALK_VALUE_COUNT:
        return "a number";
    case COREWALK_VALUE_LIMIT:
        return "a number above 0";
    case COREWALK_VALUE_ADDRESS:
        return "an address like 0x7f12a0";
    default:
        return "a value";
    }
}

static bool is_value(int kind, const char *value)
{
    uint64_t number;
    switch (kind) {
    case COREWALK_VALUE_SIZE:
        return cw_text_parse_size(value, &number);
    case COREWALK_VALUE_COUNT:
        return parse_count(value, &number);
    case COREWALK_VALUE_LIMIT:
        return parse_count(value, &number) && number > 0;
    case COREWALK_VALUE_ADDRESS:
        return cw_text_parse_address(value, &number);
    default:
        return true;
    }
}

static void join_choices(const char *const *choices, char *buffer, size_t buffer_bytes)
{
    buffer[0] = '\0';
    size_t used = 0;
    for (size_t i = 0; choices[i] != NULL && used < buffer_bytes; i++) {
        used += (size_t)snprintf(
            buffer + used, buffer_bytes - used, "%s%s", i > 0 ? ", " : "", choices[i]);
    }
}

static enum cw_status check_setting(const struct corewalk_option *option,
                                    const char *value,
                                    struct cw_error *err)
{
    if (option->kind == COREWALK_VALUE_NONE) {
        return value == NULL || value[0] == '\0'
                   ? CW_OK
                   : cw_error_set(err, CW_ERROR_ARGUMENT, "--%s takes no value", option->name);
    }
    if (value == NULL) {
        return cw_error_set(
            err, CW_ERROR_ARGUMENT, "--%s needs %s", option->name, expectation_of(option->kind));
    }
    if (option->kind == COREWALK_VALUE_CHOICE && !is_choice(option->choices, value)) {
        char choices[160];
        join_choices(option->choices, choices, sizeof choices);
        return cw_error_set(err,
                            CW_ERROR_ARGUMENT,
                            "--%s: there is no '%s'; it may be %s",
                            option->name,
                            value,
                            choices);
    }
    if (!is_value(option->kind, value)) {
        return cw_error_set(err,
                            CW_ERROR_ARGUMENT,
                            "--%s: '%s' is not %s",
                            option->name,
                            value,
                            expectation_of(option->kind));
    }
    return CW_OK;
}

static const struct corewalk_option *find_option(const struct corewalk_verb *verb, const char *name)
{
    for (size_t i = 0; i < verb->option_count; i++) {
        if (strcmp(verb->options[i].name, name) == 0) {
            return &verb->options[i];
        }
    }
    return NULL;
}

static enum cw_status check_argument(const struct corewalk_verb *verb,
                                     const char *argument,
                                     struct cw_error *err)
{
    if (verb->argument == NULL) {
        return argument == NULL ? CW_OK
                                : cw_error_set(err,
                                               CW_ERROR_ARGUMENT,
                                               "%s takes no argument, but got '%s'",
                                               verb->name,
                                               argument);
    }
    if (argument == NULL) {
        return cw_error_set(
            err, CW_ERROR_ARGUMENT, "%s needs its argument %s", verb->name, verb->argument);
    }
    if (!is_value(verb->argument_kind, argument)) {
        return cw_error_set(err,
                            CW_ERROR_ARGUMENT,
                            "%s: '%s' is not %s",
                            verb->name,
                            argument,
                            expectation_of(verb->argument_kind));
    }
    return CW_OK;
}

static enum cw_status set_no_format(const char *format, struct cw_error *err)
{
    char names[100] = "";
    size_t length = 0;
    size_t count;
    const struct cw_renderer *const *renderers = cw_renderers(&count);
    for (size_t i = 0; i < count && length < sizeof names; i++) {
        length += (size_t)snprintf(
            names + length, sizeof names - length, "%s%s", i == 0 ? "" : ", ", renderers[i]->name);
    }
    return cw_error_set(
        err, CW_ERROR_ARGUMENT, "there is no format '%s'; it may be %s", format, names);
}

enum cw_status cw_request_check(const struct corewalk_request *request, struct cw_error *err)
{
    const struct cw_analysis *analysis =
        request->verb != NULL ? cw_analysis_named(request->verb) : NULL;
    if (analysis == NULL) {
        return cw_error_set(err,
                            CW_ERROR_ARGUMENT,
                            "there is no verb '%s'",
                            request->verb != NULL ? request->verb : "");
    }
    if (request->format != NULL && cw_renderer_named(request->format) == NULL) {
        return set_no_format(request->format, err);
    }
    const struct corewalk_verb *verb = &analysis->verb;
    for (size_t i = 0; i < request->setting_count; i++) {
        const struct corewalk_setting *setting = &request->settings[i];
        const struct corewalk_option *option = find_option(verb, setting->option);
        if (option == NULL) {
            return cw_error_set(err,
                                CW_ERROR_ARGUMENT,
                                "%s has no option --%s; see corewalk help %s",
                                verb->name,
                                setting->option,
                                verb->name);
        }
        enum cw_status status = check_setting(option, setting->value, err);
        if (status != CW_OK) {
            return status;
        }
    }
    return check_argument(verb, request->argument, err);
}

const char *cw_request_setting(const struct corewalk_request *request, const char *option)
{
    /* The last one counts, as on any command line. */
    for (size_t i = request->setting_count; i-- > 0;) {
        if (strcmp(request->settings[i].option, option) == 0) {
            const char *value = request->settings[i].value;
            return value != NULL ? value : "";
        }
    }
    return NULL;
}

uint64_t cw_request_size(const struct corewalk_request *request,
                         const char *option,
                         uint64_t fallback)
{
    const char *value = cw_request_setting(request, option);
    uint64_t bytes;
    return value != NULL && cw_text_parse_size(value, &bytes) ? bytes : fallback;
}

uint64_t cw_request_count(const struct corewalk_request *request,
                          const char *option,
                          uint64_t fallback)
{
    const char *value = cw_request_setting(request, option);
    uint64_t count;
    return value != NULL && parse_count(value, &count) ? count : fallback;
}

cw_addr cw_request_address(const struct corewalk_request *request,
                           const char *option,
                           cw_addr fallback)
{
    const char *value = cw_request_setting(request, option);
    cw_addr address;
    return value != NULL && cw_text_parse_address(value, &address) ? address : fallback;
}
