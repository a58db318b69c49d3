/*
 * Demangling. libiberty bounds its recursion, but not its output: substitutions make names of a
 * few hundred bytes that expand without end ("1BIS0_S0_E", each twice as long as the one before).
 * So its output is taken piece by piece, and left by longjmp when there is too much of it; at
 * that moment it holds no memory but its stack (and, for Rust, at most one decoded identifier).
 */
#include <libiberty/demangle.h>
#include <setjmp.h>
#include <string.h>

#include "base/text.h"
#include "image/module.h"

enum {
    INPUT_LIMIT = 4096,
    OUTPUT_LIMIT = 16384,
};

struct output {
    jmp_buf too_much;
    size_t length;
    char text[OUTPUT_LIMIT];
};

typedef int demangle_function(const char *mangled,
                              int options,
                              demangle_callbackref callback,
                              void *context);

static void take(const char *piece, size_t length, void *context)
{
    struct output *output = context;
    if (length >= OUTPUT_LIMIT - output->length) {
        longjmp(output->too_much, 1);
    }
    memcpy(output->text + output->length, piece, length);
    output->length += length;
}

static bool run(demangle_function *function,
                const char *mangled,
                int options,
                struct output *output)
{
    output->length = 0;
    if (setjmp(output->too_much) != 0 || function(mangled, options, take, output) == 0) {
        return false;
    }
    output->text[output->length] = '\0';
    return true;
}

const char *cw_image_demangle(const char *mangled, char *buffer, size_t buffer_bytes)
{
    struct output output;
    char name[INPUT_LIMIT];
    size_t length = strcspn(mangled, "@");
    if (length >= sizeof name) {
        cw_text_escape(mangled, buffer, buffer_bytes);
        return buffer;
    }
    memcpy(name, mangled, length);
    name[length] = '\0';
    int options = DMGL_PARAMS | DMGL_ANSI;
    /* Rust first: its older names look like C++ ones. */
    bool is_demangled = run(rust_demangle_callback, name, options, &output) ||
                        run(cplus_demangle_v3_callback, name, options, &output);
    cw_text_escape(is_demangled ? output.text : name, buffer, buffer_bytes);
    return buffer;
}

bool cw_image_demangle_type(const char *mangled, char *buffer, size_t buffer_bytes)
{
    struct output output;
    if (strlen(mangled) >= INPUT_LIMIT || mangled[0] == '_' ||
        !run(cplus_demangle_v3_callback, mangled, DMGL_PARAMS | DMGL_ANSI | DMGL_TYPES, &output)) {
        return false;
    }
    cw_text_escape(output.text, buffer, buffer_bytes);
    return true;
}
