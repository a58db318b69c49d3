/* image/demangle: C++, Rust, everything else, and names that expand without end. */
#include "image/module.h"
#include "unit/image/fixture.h"

static const char *demangled(const char *name)
{
    static char buffer[20000];
    return cw_image_demangle(name, buffer, sizeof buffer);
}

static void demangles_cpp(void)
{
    CU_ASSERT_STRING_EQUAL(demangled("_Z3fooi"), "foo(int)");
    CU_ASSERT_STRING_EQUAL(demangled("_ZTV6Widget"), "vtable for Widget");
    CU_ASSERT_STRING_EQUAL(demangled("_ZNK3app7Session4nameEv"), "app::Session::name() const");
}

static void demangles_rust(void)
{
    CU_ASSERT_STRING_EQUAL(demangled("_ZN3foo3bar17h05af221e174051e9E"), "foo::bar");
    CU_ASSERT_STRING_EQUAL(demangled("_RNvC6_123foo3bar"), "123foo::bar");
}

static void drops_symbol_versions(void)
{
    CU_ASSERT_STRING_EQUAL(demangled("stdout@@GLIBC_2.2.5"), "stdout");
    CU_ASSERT_STRING_EQUAL(demangled("_ZSt4cout@GLIBCXX_3.4"), "std::cout");
}

static void leaves_and_escapes_the_rest(void)
{
    CU_ASSERT_STRING_EQUAL(demangled("g_registry"), "g_registry");
    CU_ASSERT_STRING_EQUAL(demangled(""), "");
    CU_ASSERT_STRING_EQUAL(demangled("_Z"), "_Z");
    CU_ASSERT_STRING_EQUAL(demangled("a\x1b[2Jb"), "a\\x1b[2Jb");
    CU_ASSERT_STRING_EQUAL(demangled("_Z3fo\no"), "fo\\x0a(unsigned __int128)");
}

static void cuts_to_the_buffer(void)
{
    char buffer[8];
    CU_ASSERT_STRING_EQUAL(cw_image_demangle("_Z3fooiiii", buffer, sizeof buffer), "foo(int");
}

static void does_not_demangle_long_input(void)
{
    char *name = malloc(5001);
    memset(name, 'a', 5000);
    memcpy(name, "_Z4990", 6);
    name[5000] = '\0';
    CU_ASSERT_STRING_EQUAL(demangled(name), name);
    free(name);
}

/* _Z1f 1AIiiE, then 1B<T,T> of the one before, `depth` times: 2^depth names of types. */
static char *make_bomb(unsigned depth)
{
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    char *name = calloc(1, 64 + 16 * (size_t)depth);
    char *end = stpcpy(name, "_Z1f1AIiiE");
    for (unsigned i = 0; i < depth; i++) {
        unsigned index = 2 * i;
        char reference[8] = {'S', '0', '_'};
        if (index >= 36) {
            snprintf(reference, sizeof reference, "S%c%c_", digits[index / 36], digits[index % 36]);
        } else {
            reference[1] = digits[index];
        }
        end += sprintf(end, "1BI%s%sE", reference, reference);
    }
    return name;
}

static void gives_up_on_names_that_explode(void)
{
    char *tame = make_bomb(3);
    CU_ASSERT_PTR_NOT_NULL(strstr(demangled(tame), "B<B<A<int, int>"));
    free(tame);
    char *bomb = make_bomb(60);
    CU_ASSERT_STRING_EQUAL(demangled(bomb), bomb);
    free(bomb);
}

static void survives_deep_nesting(void)
{
    char name[4000];
    memset(name, 'P', sizeof name);
    memcpy(name, "_Z1f", 4);
    name[sizeof name - 2] = 'i';
    name[sizeof name - 1] = '\0';
    CU_ASSERT_STRING_EQUAL(demangled(name), name);
}

static void demangles_types(void)
{
    char buffer[200];
    CU_ASSERT_TRUE(cw_image_demangle_type("6Widget", buffer, sizeof buffer));
    CU_ASSERT_STRING_EQUAL(buffer, "Widget");
    CU_ASSERT_TRUE(cw_image_demangle_type("N3app4PoolIiEE", buffer, sizeof buffer));
    CU_ASSERT_STRING_EQUAL(buffer, "app::Pool<int>");
    CU_ASSERT_FALSE(cw_image_demangle_type("9Widget", buffer, sizeof buffer));
    CU_ASSERT_FALSE(cw_image_demangle_type("6Widgets", buffer, sizeof buffer));
    CU_ASSERT_FALSE(cw_image_demangle_type("_Z3foov", buffer, sizeof buffer));
    CU_ASSERT_FALSE(cw_image_demangle_type("", buffer, sizeof buffer));
}

CW_TEST_MAIN("image/demangle",
             CW_TEST(demangles_cpp),
             CW_TEST(demangles_rust),
             CW_TEST(drops_symbol_versions),
             CW_TEST(leaves_and_escapes_the_rest),
             CW_TEST(cuts_to_the_buffer),
             CW_TEST(does_not_demangle_long_input),
             CW_TEST(gives_up_on_names_that_explode),
             CW_TEST(survives_deep_nesting),
             CW_TEST(demangles_types))
