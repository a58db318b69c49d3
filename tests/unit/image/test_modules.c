/* image/modules, extent: which mappings are modules, and where they lie. */
#include "unit/image/fixture.h"

static const struct cw_image_options no_options = {0};

static const cw_addr base = 0x7f0000000000;

static void groups_mappings_and_finds_bss(void)
{
    struct elf *elf = elf_make();
    struct session session;
    struct core_builder *builder = core_builder_create(CW_ARCH_X86_64);
    elf_load(elf, builder, base, SHOWN_PAGE, "/nowhere/lib/libthing.so.1");
    CU_ASSERT_EQUAL_FATAL(session_open(&session, builder, &no_options), CW_OK);
    CU_ASSERT_EQUAL_FATAL(session.image.module_count, 1);
    const struct cw_module *module = &session.image.modules[0];
    CU_ASSERT_STRING_EQUAL(module->name, "libthing.so.1");
    CU_ASSERT_STRING_EQUAL(module->path, "/nowhere/lib/libthing.so.1");
    CU_ASSERT_EQUAL(module->start, base);
    CU_ASSERT_EQUAL(module->bias, base);
    CU_ASSERT_EQUAL(module->size_bytes, ELF_END_VADDR);
    CU_ASSERT_EQUAL(module->build_id_bytes, 20);
    CU_ASSERT_PTR_EQUAL(cw_image_module_at(&session.image, base), module);
    CU_ASSERT_PTR_EQUAL(cw_image_module_at(&session.image, base + 0x1fff), module);
    /* The hole between its segments is not the module's. */
    CU_ASSERT_PTR_NULL(cw_image_module_at(&session.image, base + 0x2000));
    CU_ASSERT_PTR_EQUAL(cw_image_module_at(&session.image, base + 0x5fff), module);
    CU_ASSERT_PTR_NULL(cw_image_module_at(&session.image, base + 0x6000));
    CU_ASSERT_PTR_NULL(cw_image_module_at(&session.image, base - 1));
    CU_ASSERT_PTR_NULL(cw_image_module_at(&session.image, UINT64_MAX));
    session_close(&session);
    core_builder_destroy(builder);
    free(elf);
}

static void a_lying_memory_size_ends_with_the_memory(void)
{
    struct elf *elf = elf_make();
    struct session session;
    struct core_builder *builder = core_builder_create(CW_ARCH_X86_64);
    elf_program_header(elf, 1)->p_memsz = UINT64_MAX / 2;
    elf_load(elf, builder, base, SHOWN_PAGE, "/nowhere/libliar.so");
    core_builder_segment(builder, base + 0x10000, 0x1000, CW_PROT_READ | CW_PROT_WRITE);
    CU_ASSERT_EQUAL_FATAL(session_open(&session, builder, &no_options), CW_OK);
    CU_ASSERT_EQUAL_FATAL(session.image.module_count, 1);
    CU_ASSERT_EQUAL(session.image.modules[0].size_bytes, ELF_END_VADDR);
    CU_ASSERT_PTR_NULL(cw_image_module_at(&session.image, base + 0x10000));
    session_close(&session);
    core_builder_destroy(builder);
    free(elf);
}

static void program_headers_that_fit_nothing_are_survived(void)
{
    static const uint64_t lies[] = {1, 0x1000, INT64_MAX, UINT64_MAX - 0x3000, UINT64_MAX};
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        for (size_t field = 0; field < 5; field++) {
            struct elf *elf = elf_make();
            struct session session;
            struct core_builder *builder = core_builder_create(CW_ARCH_X86_64);
            Elf64_Phdr *header = elf_program_header(elf, i % 2);
            uint64_t *fields[] = {&header->p_offset,
                                  &header->p_vaddr,
                                  &header->p_filesz,
                                  &header->p_memsz,
                                  &header->p_align};
            *fields[field] = lies[i];
            elf_load(elf, builder, base, SHOWN_PAGE, "/nowhere/libliar.so");
            CU_ASSERT_EQUAL_FATAL(session_open(&session, builder, &no_options), CW_OK);
            CU_ASSERT_TRUE(session.image.module_count >= 1);
            CU_ASSERT_PTR_EQUAL(cw_image_module_at(&session.image, base),
                                &session.image.modules[0]);
            session_close(&session);
            core_builder_destroy(builder);
            free(elf);
        }
    }
}

static void files_that_are_no_modules_are_left_out(void)
{
    struct elf *elf = elf_make();
    struct session session;
    struct core_builder *builder = core_builder_create(CW_ARCH_X86_64);
    /* Data, shown to be no ELF file, in two mappings. */
    memcpy(core_builder_segment(builder, 0x10000, 0x2000, CW_PROT_READ | CW_PROT_EXEC), "DATA", 4);
    core_builder_mapping(builder, 0x10000, 0x1000, 0, "/nowhere/locale-archive");
    core_builder_mapping(builder, 0x11000, 0x1000, 0x1000, "/nowhere/locale-archive");
    /* Not shown, without code. */
    core_builder_partial_segment(builder, 0x20000, 0x1000, 0, CW_PROT_READ);
    core_builder_mapping(builder, 0x20000, 0x1000, 0, "/nowhere/font.ttf");
    /* An ELF file that is read, not run. */
    memcpy(core_builder_segment(builder, 0x30000, 0x4000, CW_PROT_READ), elf->bytes, ELF_BYTES);
    core_builder_mapping(builder, 0x30000, 0x4000, 0, "/nowhere/libread.so");
    /* Names that are no files. */
    static const char *const names[] = {"/dev/zero (deleted)",
                                        "/memfd:jit (deleted)",
                                        "/SYSV00000000 (deleted)",
                                        "/proc/self/exe",
                                        "[vdso]",
                                        "relative/libx.so"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        cw_addr start = 0x100000 + 0x10000 * i;
        uint8_t *text = core_builder_segment(builder, start, 0x2000, CW_PROT_READ | CW_PROT_EXEC);
        memcpy(text, elf->bytes, 0x2000);
        core_builder_mapping(builder, start, 0x2000, 0, names[i]);
    }
    CU_ASSERT_EQUAL_FATAL(session_open(&session, builder, &no_options), CW_OK);
    CU_ASSERT_EQUAL(session.image.module_count, 0);
    CU_ASSERT_PTR_NULL(session.image.executable);
    CU_ASSERT_PTR_NULL(cw_image_libc(&session.image));
    session_close(&session);
    core_builder_destroy(builder);
    free(elf);
}

static void code_that_is_not_shown_is_a_module(void)
{
    struct elf *elf = elf_make();
    struct session session;
    struct core_builder *builder = core_builder_create(CW_ARCH_X86_64);
    elf_load(elf, builder, base, SHOWN_NOTHING, "/nowhere/server");
    /* As in gdb's cores: nothing is known of the protection, but the name tells. */
    core_builder_partial_segment(builder, 0x20000, 0x1000, 0, CW_PROT_READ);
    core_builder_mapping(builder, 0x20000, 0x1000, 0, "/nowhere/libgdb.so.2");
    /* Two mappings, neither code nor a name, and no file. */
    core_builder_partial_segment(builder, 0x30000, 0x1000, 0, CW_PROT_READ);
    core_builder_partial_segment(builder, 0x40000, 0x1000, 0, CW_PROT_READ);
    core_builder_mapping(builder, 0x30000, 0x1000, 0, "/nowhere/table");
    core_builder_mapping(builder, 0x40000, 0x1000, 0x1000, "/nowhere/table");
    CU_ASSERT_EQUAL_FATAL(session_open(&session, builder, &no_options), CW_OK);
    CU_ASSERT_EQUAL_FATAL(session.image.module_count, 2);
    CU_ASSERT_STRING_EQUAL(session.image.modules[0].name, "libgdb.so.2");
    CU_ASSERT_STRING_EQUAL(session.image.modules[1].name, "server");
    /* Without program headers nobody knows of its .bss. */
    CU_ASSERT_EQUAL(session.image.modules[1].size_bytes, ELF_BSS_VADDR);
    session_close(&session);
    core_builder_destroy(builder);
    free(elf);
}

static void one_file_can_be_loaded_twice(void)
{
    struct elf *elf = elf_make();
    struct session session;
    struct core_builder *builder = core_builder_create(CW_ARCH_X86_64);
    elf_load(elf, builder, base, SHOWN_PAGE, "/nowhere/libtwice.so");
    elf_load(elf, builder, base + 0x100000, SHOWN_PAGE, "/nowhere/libtwice.so");
    CU_ASSERT_EQUAL_FATAL(session_open(&session, builder, &no_options), CW_OK);
    CU_ASSERT_EQUAL_FATAL(session.image.module_count, 2);
    CU_ASSERT_EQUAL(session.image.modules[1].bias, base + 0x100000);
    CU_ASSERT_PTR_EQUAL(cw_image_module_at(&session.image, base + 0x103000),
                        &session.image.modules[1]);
    session_close(&session);
    core_builder_destroy(builder);
    free(elf);
}

static void two_segments_can_share_offset_zero(void)
{
    struct elf *elf = elf_make();
    struct session session;
    struct core_builder *builder = core_builder_create(CW_ARCH_X86_64);
    /* A small program linked without page gaps: its data lie in the file's first page. */
    Elf64_Phdr *text = elf_program_header(elf, 0);
    Elf64_Phdr *data = elf_program_header(elf, 1);
    text->p_vaddr = 0x400000;
    text->p_filesz = text->p_memsz = 0x600;
    data->p_offset = 0x600;
    data->p_vaddr = 0x600600;
    data->p_filesz = data->p_memsz = 0x100;
    memcpy(core_builder_segment(builder, 0x400000, 0x1000, CW_PROT_READ | CW_PROT_EXEC),
           elf->bytes,
           0x1000);
    memcpy(core_builder_segment(builder, 0x600000, 0x1000, CW_PROT_READ | CW_PROT_WRITE),
           elf->bytes,
           0x1000);
    core_builder_mapping(builder, 0x400000, 0x1000, 0, "/nowhere/small");
    core_builder_mapping(builder, 0x600000, 0x1000, 0, "/nowhere/small");
    CU_ASSERT_EQUAL_FATAL(session_open(&session, builder, &no_options), CW_OK);
    CU_ASSERT_EQUAL_FATAL(session.image.module_count, 1);
    CU_ASSERT_EQUAL(session.image.modules[0].bias, 0);
    CU_ASSERT_EQUAL(session.image.modules[0].size_bytes, 0x201000);
    CU_ASSERT_PTR_NULL(cw_image_module_at(&session.image, 0x500000));
    session_close(&session);
    core_builder_destroy(builder);
    free(elf);
}

static void copies_beyond_the_limit_are_said(void)
{
    struct elf *elf = elf_make();
    struct session session;
    struct core_builder *builder = core_builder_create(CW_ARCH_X86_64);
    for (size_t i = 0; i < 20; i++) {
        elf_load(elf, builder, base + 0x10000 * i, SHOWN_PAGE, "/nowhere/libmany.so");
    }
    CU_ASSERT_EQUAL_FATAL(session_open(&session, builder, &no_options), CW_OK);
    CU_ASSERT_EQUAL(session.image.module_count, 16);
    CU_ASSERT_TRUE(note_says(note_of(&session, "modules-skipped"), "4 modules"));
    session_close(&session);
    core_builder_destroy(builder);
    free(elf);
}

/* A program between two libraries, which only the auxiliary vector can tell. */
static cw_addr executable_start(uint64_t auxv_type, uint64_t auxv_value)
{
    struct elf *elf = elf_make();
    struct session session;
    struct core_builder *builder = core_builder_create(CW_ARCH_X86_64);
    elf_load(elf, builder, base, SHOWN_PAGE, "/nowhere/liba.so");
    elf_load(elf, builder, base + 0x10000, SHOWN_PAGE, "/nowhere/server");
    elf_load(elf, builder, base + 0x20000, SHOWN_PAGE, "/nowhere/libb.so");
    if (auxv_type != AT_NULL) {
        core_builder_auxv(builder, auxv_type, auxv_value);
    }
    CU_ASSERT_EQUAL_FATAL(session_open(&session, builder, &no_options), CW_OK);
    const struct cw_module *executable = session.image.executable;
    CU_ASSERT_TRUE(executable != NULL && executable->is_executable);
    cw_addr start = executable != NULL ? executable->start : 0;
    session_close(&session);
    core_builder_destroy(builder);
    free(elf);
    return start;
}

static void the_auxiliary_vector_tells_the_program(void)
{
    CU_ASSERT_EQUAL(executable_start(AT_PHDR, base + 0x10040), base + 0x10000);
    CU_ASSERT_EQUAL(executable_start(AT_ENTRY, base + 0x11000), base + 0x10000);
    CU_ASSERT_EQUAL(executable_start(AT_NULL, 0), base);
    CU_ASSERT_EQUAL(executable_start(AT_PHDR, 0x1234), base);
}

static void hostile_paths_are_escaped(void)
{
    struct elf *elf = elf_make();
    struct session session;
    struct core_builder *builder = core_builder_create(CW_ARCH_X86_64);
    elf_load(elf, builder, base, SHOWN_PAGE, "/no/\x1b[31m\nx");
    CU_ASSERT_EQUAL_FATAL(session_open(&session, builder, &no_options), CW_OK);
    CU_ASSERT_EQUAL_FATAL(session.image.module_count, 1);
    CU_ASSERT_STRING_EQUAL(session.image.modules[0].name, "\\x1b[31m\\x0ax");
    session_close(&session);
    core_builder_destroy(builder);
    free(elf);
}

static void every_small_budget_is_an_error_or_enough(void)
{
    struct elf *elf = elf_make();
    struct core_builder *builder = core_builder_create(CW_ARCH_X86_64);
    elf_load(elf, builder, base, SHOWN_PAGE, "/nowhere/libthing.so.1");
    size_t size;
    const uint8_t *core = core_builder_finish(builder, &size);
    unsigned failed_count = 0;
    for (uint64_t limit = 0; limit < 40000; limit += 1000) {
        struct session session;
        session_init(&session);
        CU_ASSERT_EQUAL_FATAL(cw_target_open_core_bytes(core,
                                                        size,
                                                        "core",
                                                        &session.arena,
                                                        &session.notes,
                                                        &session.target,
                                                        &session.error),
                              CW_OK);
        CU_ASSERT_EQUAL_FATAL(
            cw_space_create(&session.target, &session.arena, &session.space, &session.error),
            CW_OK);
        session.budget.limit_bytes = session.budget.used_bytes + limit;
        enum cw_status status = cw_image_create(&session.space,
                                                &no_options,
                                                &session.arena,
                                                &session.notes,
                                                &session.image,
                                                &session.error);
        CU_ASSERT_TRUE(status == CW_OK || status == CW_ERROR_MEMORY);
        failed_count += status != CW_OK;
        session_close(&session);
    }
    CU_ASSERT_TRUE(failed_count > 0 && failed_count < 40);
    core_builder_destroy(builder);
    free(elf);
}

CW_TEST_MAIN("image/modules",
             CW_TEST(groups_mappings_and_finds_bss),
             CW_TEST(a_lying_memory_size_ends_with_the_memory),
             CW_TEST(program_headers_that_fit_nothing_are_survived),
             CW_TEST(files_that_are_no_modules_are_left_out),
             CW_TEST(code_that_is_not_shown_is_a_module),
             CW_TEST(one_file_can_be_loaded_twice),
             CW_TEST(two_segments_can_share_offset_zero),
             CW_TEST(copies_beyond_the_limit_are_said),
             CW_TEST(the_auxiliary_vector_tells_the_program),
             CW_TEST(hostile_paths_are_escaped),
             CW_TEST(every_small_budget_is_an_error_or_enough))
