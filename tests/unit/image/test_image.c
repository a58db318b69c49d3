/* image/image: the own process as a callback target, and addresses put into words. */
#include <sys/uio.h>

#include "unit/image/fixture.h"

enum { LINE_LIMIT = 4096 };

/* Found again through the image; not static, so that the names are sure. */
extern int image_test_counter;
extern char image_test_zeroes[];
int image_test_counter = 42;
char image_test_zeroes[100000];

static bool read_own(void *context, cw_addr address, void *buffer, size_t size)
{
    (void)context;
    struct iovec local = {buffer, size};
    struct iovec remote = {.iov_len = size};
    memcpy(&remote.iov_base, &address, sizeof remote.iov_base);
    return process_vm_readv(getpid(), &local, 1, &remote, 1, 0) == (ssize_t)size;
}

struct own {
    struct cw_segment segments[LINE_LIMIT];
    struct cw_mapping mappings[LINE_LIMIT];
    char paths[LINE_LIMIT][256];
    size_t segment_count;
    size_t mapping_count;
};

/* "start-end rwxp offset device inode   path" */
static void add_line(struct own *own, const char *line)
{
    char *next;
    uint64_t start = strtoull(line, &next, 16);
    uint64_t size = strtoull(next + 1, &next, 16) - start;
    const char *access = next + 1;
    uint64_t off = strtoull(access + 4, &next, 16);
    const char *path = strpbrk(next, "/[");
    if (access[0] != 'r' || strstr(line, "[v") != NULL || own->segment_count == LINE_LIMIT) {
        return;
    }
    uint32_t protection = CW_PROT_READ | (access[1] == 'w' ? CW_PROT_WRITE : 0) |
                          (access[2] == 'x' ? CW_PROT_EXEC : 0);
    own->segments[own->segment_count++] = (struct cw_segment){.start = start,
                                                              .size_bytes = size,
                                                              .stored_bytes = size,
                                                              .held_bytes = size,
                                                              .protection = protection};
    if (path != NULL && path[0] == '/') {
        char *copy = own->paths[own->mapping_count];
        snprintf(copy, sizeof own->paths[0], "%.*s", (int)strcspn(path, "\n"), path);
        own->mappings[own->mapping_count++] =
            (struct cw_mapping){.start = start, .size_bytes = size, .file_off = off, .path = copy};
    }
}

static struct own *read_maps(void)
{
    struct own *own = calloc(1, sizeof *own);
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[512];
    if (own == NULL || maps == NULL) {
        abort();
    }
    while (fgets(line, sizeof line, maps) != NULL) {
        add_line(own, line);
    }
    fclose(maps);
    return own;
}

static enum cw_status open_own(struct session *session,
                               const struct own *own,
                               const struct cw_image_options *options,
                               uint64_t limit_bytes)
{
    struct cw_callback_target callback = {.arch = CW_ARCH_X86_64,
                                          .page_bytes = 4096,
                                          .segments = own->segments,
                                          .segment_count = own->segment_count,
                                          .mappings = own->mappings,
                                          .mapping_count = own->mapping_count,
                                          .read = read_own};
    session_init(session);
    enum cw_status status =
        cw_target_open_callback(&callback, &session->arena, &session->target, &session->error);
    CU_ASSERT_EQUAL_FATAL(status, CW_OK);
    CU_ASSERT_EQUAL_FATAL(
        cw_space_create(&session->target, &session->arena, &session->space, &session->error),
        CW_OK);
    session->budget.limit_bytes = limit_bytes;
    return cw_image_create(&session->space,
                           options,
                           &session->arena,
                           &session->notes,
                           &session->image,
                           &session->error);
}

static const char *describe(const struct session *session, const void *place)
{
    static char buffer[300];
    return cw_image_describe(&session->image, (cw_addr)(uintptr_t)place, buffer, sizeof buffer);
}

static void knows_this_process(void)
{
    struct cw_image_options options = {0};
    struct session session;
    struct own *own = read_maps();
    CU_ASSERT_EQUAL_FATAL(open_own(&session, own, &options, UINT64_MAX), CW_OK);
    const struct cw_module *program = session.image.executable;
    CU_ASSERT_PTR_NOT_NULL_FATAL(program);
    CU_ASSERT_STRING_EQUAL(program->name, "unit_image_image");
    CU_ASSERT_TRUE(program->file >= CW_MODULE_FILE_UNVERIFIED);
    CU_ASSERT_PTR_EQUAL(cw_image_module_at(&session.image, (uintptr_t)knows_this_process), program);
    /* .bss too */
    CU_ASSERT_PTR_EQUAL(cw_image_module_at(&session.image, (uintptr_t)image_test_zeroes + 99999),
                        program);
    const struct cw_symbol *symbol = cw_module_symbol_named(program, "image_test_counter");
    CU_ASSERT_TRUE(symbol != NULL && symbol->start == (uintptr_t)&image_test_counter);
    const struct cw_section *section = cw_module_section_at(program, (uintptr_t)image_test_zeroes);
    CU_ASSERT_STRING_EQUAL(section != NULL ? section->name : "", ".bss");
    CU_ASSERT_STRING_EQUAL(describe(&session, &image_test_counter),
                           "unit_image_image: image_test_counter");
    CU_ASSERT_STRING_EQUAL(describe(&session, image_test_zeroes + 16),
                           "unit_image_image: image_test_zeroes+0x10");
    int local;
    CU_ASSERT_STRING_EQUAL(describe(&session, &local), "");
    CU_ASSERT_TRUE(cw_image_is_code(&session.image, (uintptr_t)knows_this_process));
    CU_ASSERT_FALSE(cw_image_is_code(&session.image, (uintptr_t)&image_test_counter));
    session_close(&session);
    free(own);
}

static void knows_its_libc(void)
{
    struct cw_image_options options = {0};
    struct session session;
    struct own *own = read_maps();
    CU_ASSERT_EQUAL_FATAL(open_own(&session, own, &options, UINT64_MAX), CW_OK);
    const struct cw_module *libc = cw_image_libc(&session.image);
    CU_ASSERT_PTR_NOT_NULL_FATAL(libc);
    CU_ASSERT_PTR_NOT_NULL_FATAL(cw_image_glibc_version(&session.image));
    CU_ASSERT_EQUAL(strncmp(cw_image_glibc_version(&session.image), "2.", 2), 0);
    CU_ASSERT_PTR_NOT_NULL(cw_module_symbol_named(libc, "malloc"));
    session_close(&session);
    free(own);
}

/* How much less memory it takes depends on the machine's libraries: some step down finds it. */
static void symbols_that_do_not_fit_are_said(void)
{
    struct cw_image_options options = {.debug_dir = "/nonexistent"};
    struct session session;
    struct own *own = read_maps();
    CU_ASSERT_EQUAL_FATAL(open_own(&session, own, &options, UINT64_MAX), CW_OK);
    CU_ASSERT_PTR_NULL(note_of(&session, "symbols-skipped"));
    uint64_t whole_bytes = session.budget.peak_bytes;
    session_close(&session);
    bool was_said = false;
    for (uint64_t limit = whole_bytes; limit > whole_bytes / 4 && !was_said;
         limit -= whole_bytes / 128) {
        enum cw_status status = open_own(&session, own, &options, limit);
        was_said = status == CW_OK && note_of(&session, "symbols-skipped") != NULL;
        session_close(&session);
    }
    CU_ASSERT_TRUE(was_said);
    free(own);
}

/* A module of the fixture with one long C++ name in .data. */
static void descriptions_are_cut_but_keep_their_offset(void)
{
    static const cw_addr base = 0x7f0000000000;
    struct cw_image_options options = {0};
    struct folder folder = folder_make();
    struct session session;
    struct elf *elf = elf_make();
    struct core_builder *builder = core_builder_create(CW_ARCH_X86_64);
    elf_add_symbol(elf,
                   "_ZN3app8registry8instanceE",
                   (Elf64_Sym){.st_value = ELF_DATA_VADDR,
                               .st_size = 0x40,
                               .st_info = STB_GLOBAL << 4 | STT_OBJECT,
                               .st_shndx = 3});
    char *path = folder_write(&folder, "server", elf->bytes, ELF_BYTES);
    elf_load(elf, builder, base, SHOWN_PAGE, path);
    CU_ASSERT_EQUAL_FATAL(session_open(&session, builder, &options), CW_OK);
    static const struct {
        uint64_t vaddr;
        size_t buffer_bytes;
        const char *text;
    } places[] = {
        {ELF_DATA_VADDR, 80, "server: app::registry::instance"},
        {ELF_DATA_VADDR + 0x3f, 80, "server: app::registry::instance+0x3f"},
        {ELF_DATA_VADDR + 0x3f, 20, "server: app::r+0x3f"},
        {ELF_DATA_VADDR + 0x40, 80, "server+0x3040 (.data)"},
        {ELF_DATA_VADDR + 0x40, 8, "server+"},
        {0x10, 80, "server+0x10"},
        {0x5000, 80, "server+0x5000 (.bss)"},
        {0x6000, 80, ""},
    };
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        char buffer[80];
        const char *text = cw_image_describe(
            &session.image, base + places[i].vaddr, buffer, places[i].buffer_bytes);
        CU_ASSERT_PTR_EQUAL(text, buffer);
        CU_ASSERT_EQUAL(strncmp(text, places[i].text, places[i].buffer_bytes - 1), 0);
        CU_ASSERT_TRUE(strlen(text) < places[i].buffer_bytes);
    }
    char unused = 'x';
    (void)cw_image_describe(&session.image, base, &unused, 0);
    CU_ASSERT_EQUAL(unused, 'x');
    session_close(&session);
    core_builder_destroy(builder);
    folder_remove(&folder);
    free(path);
    free(elf);
}

static void an_empty_target_has_an_empty_image(void)
{
    struct cw_image_options options = {0};
    struct session session;
    struct core_builder *builder = core_builder_create(CW_ARCH_X86_64);
    core_builder_segment(builder, 0x10000, 0x1000, CW_PROT_READ | CW_PROT_WRITE);
    CU_ASSERT_EQUAL_FATAL(session_open(&session, builder, &options), CW_OK);
    CU_ASSERT_EQUAL(session.image.module_count, 0);
    CU_ASSERT_PTR_NULL(cw_image_module_at(&session.image, 0x10000));
    CU_ASSERT_PTR_NULL(cw_image_glibc_version(&session.image));
    session_close(&session);
    core_builder_destroy(builder);
}

CW_TEST_MAIN("image/image",
             CW_TEST(knows_this_process),
             CW_TEST(knows_its_libc),
             CW_TEST(symbols_that_do_not_fit_are_said),
             CW_TEST(descriptions_are_cut_but_keep_their_offset),
             CW_TEST(an_empty_target_has_an_empty_image))
