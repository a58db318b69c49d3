/* image/libc: which module it is, and its banner. */
#include "unit/image/fixture.h"

static const cw_addr base = 0x7f0000000000;

static const char debian[] =
    "GNU C Library (Debian GLIBC 2.36-9+deb12u4) stable release version 2.36.\n";

/* The name of the module that is taken for the C library, among these and a program. */
static void expect_libc(const char *name, const char *other, const char *expected)
{
    struct cw_image_options options = {0};
    struct elf *elf = elf_make();
    struct session session;
    struct core_builder *builder = core_builder_create(CW_ARCH_X86_64);
    elf_load(elf, builder, base, SHOWN_PAGE, "/nowhere/server");
    elf_load(elf, builder, base + 0x10000, SHOWN_PAGE, other);
    elf_load(elf, builder, base + 0x20000, SHOWN_PAGE, name);
    CU_ASSERT_EQUAL_FATAL(session_open(&session, builder, &options), CW_OK);
    const struct cw_module *libc = cw_image_libc(&session.image);
    CU_ASSERT_STRING_EQUAL(libc != NULL ? libc->name : "", expected);
    session_close(&session);
    core_builder_destroy(builder);
    free(elf);
}

static void knows_it_by_name(void)
{
    expect_libc("/nowhere/libc.so.6", "/nowhere/liba.so", "libc.so.6");
    expect_libc("/nowhere/libc-2.31.so", "/nowhere/liba.so", "libc-2.31.so");
    expect_libc("/nowhere/ld-musl-x86_64.so.1", "/nowhere/liba.so", "ld-musl-x86_64.so.1");
    expect_libc("/nowhere/libc.so.6", "/nowhere/ld-musl-x86_64.so.1", "libc.so.6");
    expect_libc("/nowhere/libcrypto.so.3", "/nowhere/liba.so", "");
}

static void a_static_program_is_its_own(void)
{
    struct cw_image_options options = {0};
    struct elf *elf = elf_make();
    struct session session;
    struct core_builder *builder = core_builder_create(CW_ARCH_X86_64);
    elf_program_header(elf, 3)->p_type = PT_NULL;
    elf_load(elf, builder, base, SHOWN_PAGE, "/nowhere/server");
    CU_ASSERT_EQUAL_FATAL(session_open(&session, builder, &options), CW_OK);
    CU_ASSERT_PTR_NOT_NULL(session.image.executable);
    CU_ASSERT_PTR_EQUAL(cw_image_libc(&session.image), session.image.executable);
    CU_ASSERT_PTR_NULL(cw_image_glibc_version(&session.image));
    session_close(&session);
    core_builder_destroy(builder);
    free(elf);
}

/* The version found when this text ends the constants of a libc that is seen in memory or file. */
static void expect_version(const char *text, size_t off, bool from_file, const char *expected)
{
    struct cw_image_options options = {0};
    struct folder folder = folder_make();
    struct elf *elf = elf_make();
    struct session session;
    struct core_builder *builder = core_builder_create(CW_ARCH_X86_64);
    memcpy(elf->bytes + off, text, strlen(text));
    char *path = folder_join(&folder, "libc.so.6");
    if (from_file) {
        free(folder_write(&folder, "libc.so.6", elf->bytes, ELF_BYTES));
    }
    elf_load(elf, builder, base, from_file ? SHOWN_PAGE : SHOWN_ALL, path);
    CU_ASSERT_EQUAL_FATAL(session_open(&session, builder, &options), CW_OK);
    const char *version = cw_image_glibc_version(&session.image);
    CU_ASSERT_STRING_EQUAL(version != NULL ? version : "", expected);
    session_close(&session);
    core_builder_destroy(builder);
    folder_remove(&folder);
    free(path);
    free(elf);
}

static void reads_the_banner_from_memory_and_file(void)
{
    expect_version(debian, 0x1900, false, "2.36");
    expect_version(debian, 0x1900, true, "2.36");
    expect_version("GNU C Library (GNU libc) development release version 2.26.9000, by",
                   0x1900,
                   false,
                   "2.26.9000");
}

static void banners_that_are_none_give_no_version(void)
{
    expect_version("GNU C Library is loved", 0x1900, false, "");
    expect_version("GNU C Library (X) stable release version .", 0x1900, false, "");
    expect_version("GNU C Library (X) stable release version zzz", 0x1900, false, "");
    /* Cut off by the end of the segment. */
    expect_version("GNU C Library (X) stable release version 2",
                   0x2000 - strlen("GNU C Library (X) stable release version 2"),
                   false,
                   "2");
    expect_version("GNU C Library (X) stable rel", 0x2000 - 28, false, "");
    /* In writable memory it is somebody's string. */
    expect_version(debian, ELF_DATA_OFF, false, "");
}

static void a_later_banner_counts_when_the_first_is_none(void)
{
    char text[600];
    memset(text, ' ', sizeof text);
    memcpy(text, "GNU C Library of songs", 22);
    memcpy(text + 400, debian, sizeof debian);
    text[400 + sizeof debian - 1] = '\0';
    expect_version(text, 0x1900, false, "2.36");
}

CW_TEST_MAIN("image/libc",
             CW_TEST(knows_it_by_name),
             CW_TEST(a_static_program_is_its_own),
             CW_TEST(reads_the_banner_from_memory_and_file),
             CW_TEST(banners_that_are_none_give_no_version),
             CW_TEST(a_later_banner_counts_when_the_first_is_none))
