/* image/recover: modules of cores that do not name their files. */
#include "fixture.h"
#include "image/recover.h"

/* In a program's data: its dynamic section, r_debug, three link_maps, and names. */
enum {
    PROGRAM = 0x400000,
    LIBRARY = 0x700000,
    LINKER = 0x900000,
    DYNAMIC_VADDR = ELF_DATA_VADDR + 0x100,
    DEBUG_OFF = 0x200,
    MAPS_OFF = 0x300, /* 0x40 for each */
    NAMES_OFF = 0x500,
    EXECFN_OFF = 0x600,
};
#define DATA(base) ((base) + (cw_addr)ELF_DATA_VADDR)

static struct elf *dynamic_elf(void)
{
    struct elf *elf = elf_make();
    *elf_program_header(elf, 3) =
        (Elf64_Phdr){.p_type = PT_DYNAMIC, .p_vaddr = DYNAMIC_VADDR, .p_filesz = 64, .p_memsz = 64};
    return elf;
}

static void load(const struct elf *elf,
                 struct core_builder *builder,
                 cw_addr base,
                 enum shown shown)
{
    uint8_t *text = core_builder_partial_segment(
        builder, base, 0x2000, (size_t)shown, CW_PROT_READ | CW_PROT_EXEC);
    if (shown != SHOWN_NOTHING) {
        memcpy(text, elf->bytes, (size_t)shown);
    }
    uint8_t *data = core_builder_segment(builder, DATA(base), 0x1000, CW_PROT_READ | CW_PROT_WRITE);
    memcpy(data, elf->bytes + ELF_DATA_OFF, 0x800);
}

static void put_map(struct core_builder *builder,
                    cw_addr data,
                    unsigned index,
                    unsigned count,
                    cw_addr base,
                    const char *name)
{
    cw_addr map = data + MAPS_OFF + (cw_addr)index * 0x40;
    cw_addr text = data + NAMES_OFF + (cw_addr)index * 0x40;
    core_builder_bytes(builder, text, name, strlen(name) + 1);
    core_builder_word(builder, map, base);
    core_builder_word(builder, map + 8, text);
    core_builder_word(builder, map + 16, base + DYNAMIC_VADDR);
    core_builder_word(builder, map + 24, index + 1 < count ? map + 0x40 : 0);
    core_builder_word(builder, map + 32, index > 0 ? map - 0x40 : 0);
}

/* The program and a library, and what the dynamic linker keeps of them in `data`. */
static void put_list(struct core_builder *builder, cw_addr data)
{
    core_builder_word(builder, data + DEBUG_OFF, 1);
    core_builder_word(builder, data + DEBUG_OFF + 8, data + MAPS_OFF);
    core_builder_word(builder, data + DEBUG_OFF + 32, LINKER);
    put_map(builder, data, 0, 3, PROGRAM, "");
    put_map(builder, data, 1, 3, 0x10, "linux-vdso.so.1");
    put_map(builder, data, 2, 3, LIBRARY, "/lib/libother.so.1");
}

static void put_debug_entry(struct core_builder *builder, cw_addr base, cw_addr debug)
{
    cw_addr dynamic = base + DYNAMIC_VADDR;
    core_builder_word(builder, dynamic, 1); /* DT_NEEDED */
    core_builder_word(builder, dynamic + 16, DT_DEBUG);
    core_builder_word(builder, dynamic + 24, debug);
    core_builder_word(builder, dynamic + 32, DT_NULL);
}

static void recover(struct session *session,
                    struct core_builder *builder,
                    const struct cw_image_options *options)
{
    size_t size;
    const uint8_t *core = core_builder_finish(builder, &size);
    session_init(session);
    CU_ASSERT_EQUAL_FATAL(cw_target_open_core_bytes(core,
                                                    size,
                                                    "test core",
                                                    &session->arena,
                                                    &session->notes,
                                                    &session->target,
                                                    &session->error),
                          CW_OK);
    CU_ASSERT_EQUAL_FATAL(
        cw_image_recover_mappings(
            &session->target, options, &session->arena, &session->notes, &session->error),
        CW_OK);
    CU_ASSERT_EQUAL_FATAL(
        cw_space_create(&session->target, &session->arena, &session->space, &session->error),
        CW_OK);
    CU_ASSERT_EQUAL_FATAL(cw_image_create(&session->space,
                                          options,
                                          &session->arena,
                                          &session->notes,
                                          &session->image,
                                          &session->error),
                          CW_OK);
}

static const struct cw_image_options no_options;

static void headers_and_the_list_together_name_modules(void)
{
    struct elf *elf = dynamic_elf();
    struct core_builder *builder = core_builder_create(CW_ARCH_X86_64);
    struct session session;
    load(elf, builder, PROGRAM, SHOWN_PAGE);
    load(elf, builder, LIBRARY, SHOWN_PAGE);
    put_list(builder, DATA(PROGRAM));
    put_debug_entry(builder, PROGRAM, DATA(PROGRAM) + DEBUG_OFF);
    core_builder_bytes(builder, DATA(PROGRAM) + EXECFN_OFF, "/bin/that", 10);
    core_builder_auxv(builder, AT_EXECFN, DATA(PROGRAM) + EXECFN_OFF);
    recover(&session, builder, &no_options);
    CU_ASSERT_EQUAL_FATAL(session.image.module_count, 2);
    CU_ASSERT_STRING_EQUAL(session.image.modules[0].path, "/bin/that");
    CU_ASSERT_STRING_EQUAL(session.image.modules[1].path, "/lib/libother.so.1");
    CU_ASSERT_TRUE(session.image.modules[0].is_executable);
    CU_ASSERT_EQUAL(session.image.modules[1].bias, LIBRARY);
    CU_ASSERT_EQUAL(session.image.modules[1].build_id_bytes, 20);
    CU_ASSERT_PTR_EQUAL(cw_image_module_at(&session.image, DATA(LIBRARY) + 8),
                        &session.image.modules[1]);
    CU_ASSERT_EQUAL(session.target.mapping_count, 4);
    CU_ASSERT_TRUE(note_says(note_of(&session, "core-files-listed"), "2 were found"));
    session_close(&session);
    core_builder_destroy(builder);
    free(elf);
}

static void headers_alone_have_no_names(void)
{
    struct elf *elf = dynamic_elf();
    struct core_builder *builder = core_builder_create(CW_ARCH_X86_64);
    struct session session;
    load(elf, builder, PROGRAM, SHOWN_PAGE);
    load(elf, builder, LIBRARY, SHOWN_PAGE);
    put_debug_entry(builder, LIBRARY, 0); /* the higher one is the program */
    recover(&session, builder, &no_options);
    CU_ASSERT_EQUAL_FATAL(session.image.module_count, 2);
    CU_ASSERT_STRING_EQUAL(session.image.modules[0].name, "[module at 0x400000]");
    CU_ASSERT_FALSE(session.image.modules[0].is_executable);
    CU_ASSERT_TRUE(session.image.modules[1].is_executable);
    CU_ASSERT_TRUE(note_says(note_of(&session, "core-files-missing"), "2 of them"));
    session_close(&session);
    core_builder_destroy(builder);
    free(elf);
}

/* As qemu-user writes cores: no page of code, and a program started by a relative path. */
static void files_give_the_layout_that_memory_lacks(void)
{
    struct elf *elf = dynamic_elf();
    struct folder folder = folder_make();
    char *file = folder_write(&folder, "lib/libother.so.1", elf->bytes, sizeof elf->bytes);
    char *exe = folder_write(&folder, "that", elf->bytes, sizeof elf->bytes);
    struct cw_image_options options = {.sysroot = folder.path, .exe = exe};
    struct core_builder *builder = core_builder_create(CW_ARCH_X86_64);
    struct session session;
    load(elf, builder, PROGRAM, SHOWN_NOTHING);
    load(elf, builder, LIBRARY, SHOWN_NOTHING);
    core_builder_segment(builder, LINKER + 0x2000, 0x1000, CW_PROT_READ | CW_PROT_WRITE);
    put_list(builder, LINKER + 0x2000);
    core_builder_bytes(builder, LINKER + 0x2000 + EXECFN_OFF, "that", 5);
    core_builder_auxv(builder, AT_EXECFN, LINKER + 0x2000 + EXECFN_OFF);
    core_builder_auxv(builder, AT_BASE, LINKER);
    core_builder_auxv(builder, AT_PHDR, PROGRAM + 64);
    recover(&session, builder, &options);
    CU_ASSERT_EQUAL_FATAL(session.image.module_count, 2);
    CU_ASSERT_STRING_EQUAL(session.image.modules[0].path, "./that");
    CU_ASSERT_EQUAL(session.image.modules[0].file, CW_MODULE_FILE_UNVERIFIED);
    CU_ASSERT_TRUE(session.image.modules[0].is_executable);
    CU_ASSERT_EQUAL(session.image.modules[1].file, CW_MODULE_FILE_UNVERIFIED);
    CU_ASSERT_EQUAL(session.image.modules[1].bias, LIBRARY);
    CU_ASSERT_EQUAL(session.target.mapping_count, 4);
    session_close(&session);

    /* Another file, whose dynamic section would be elsewhere: the extent is what lies between. */
    elf_program_header(elf, 3)->p_vaddr += 0x10;
    free(folder_write(&folder, "lib/libother.so.1", elf->bytes, sizeof elf->bytes));
    recover(&session, builder, &options);
    CU_ASSERT_EQUAL_FATAL(session.image.module_count, 1);
    session_close(&session);
    core_builder_destroy(builder);
    folder_remove(&folder);
    free(file);
    free(exe);
    free(elf);
}

/* Of a module whose ELF header is gone, memory still shows the build-id. */
static void a_file_with_another_build_id_gives_no_layout(void)
{
    for (unsigned is_same = 0; is_same < 2; is_same++) {
        struct elf *elf = dynamic_elf();
        struct folder folder = folder_make();
        struct cw_image_options options = {.sysroot = folder.path};
        struct core_builder *builder = core_builder_create(CW_ARCH_X86_64);
        struct session session;
        load(elf, builder, PROGRAM, SHOWN_PAGE);
        load(elf, builder, LIBRARY, SHOWN_PAGE);
        core_builder_word(builder, LIBRARY, 0);
        put_list(builder, DATA(PROGRAM));
        put_debug_entry(builder, PROGRAM, DATA(PROGRAM) + DEBUG_OFF);
        elf_set_build_id(elf, is_same == 1 ? 0xab : 0xcd);
        free(folder_write(&folder, "lib/libother.so.1", elf->bytes, sizeof elf->bytes));
        recover(&session, builder, &options);
        CU_ASSERT_EQUAL(session.target.mapping_count, is_same == 1 ? 4 : 2);
        session_close(&session);
        core_builder_destroy(builder);
        folder_remove(&folder);
        free(elf);
    }
}

static void a_file_that_is_read_is_no_module(void)
{
    struct elf *elf = dynamic_elf();
    struct core_builder *builder = core_builder_create(CW_ARCH_X86_64);
    struct session session;
    uint8_t *bytes = core_builder_segment(builder, PROGRAM, sizeof elf->bytes, CW_PROT_READ);
    memcpy(bytes, elf->bytes, sizeof elf->bytes);
    recover(&session, builder, &no_options);
    CU_ASSERT_EQUAL(session.image.module_count, 0);
    CU_ASSERT_TRUE(note_says(note_of(&session, "core-files-missing"), "their content only"));
    session_close(&session);
    core_builder_destroy(builder);
    free(elf);
}

static void a_list_that_does_not_lead_back_ends_there(void)
{
    struct elf *elf = dynamic_elf();
    struct core_builder *builder = core_builder_create(CW_ARCH_X86_64);
    struct session session;
    load(elf, builder, PROGRAM, SHOWN_PAGE);
    load(elf, builder, LIBRARY, SHOWN_PAGE);
    put_list(builder, DATA(PROGRAM));
    put_debug_entry(builder, PROGRAM, DATA(PROGRAM) + DEBUG_OFF);
    core_builder_word(builder, DATA(PROGRAM) + MAPS_OFF + 0x40 + 24, DATA(PROGRAM) + MAPS_OFF);
    recover(&session, builder, &no_options);
    CU_ASSERT_EQUAL_FATAL(session.image.module_count, 2);
    CU_ASSERT_STRING_EQUAL(session.image.modules[1].name, "[module at 0x700000]");
    session_close(&session);
    core_builder_destroy(builder);
    free(elf);
}

static void what_the_core_names_stays(void)
{
    struct elf *elf = dynamic_elf();
    struct core_builder *builder = core_builder_create(CW_ARCH_X86_64);
    struct session session;
    load(elf, builder, PROGRAM, SHOWN_PAGE);
    core_builder_mapping(builder, PROGRAM, 0x2000, 0, "/bin/named");
    recover(&session, builder, &no_options);
    CU_ASSERT_EQUAL(session.target.mapping_count, 1);
    CU_ASSERT_PTR_NULL(note_of(&session, "core-files-missing"));
    session_close(&session);
    core_builder_destroy(builder);
    free(elf);
}

CW_TEST_MAIN("image/recover",
             CW_TEST(headers_and_the_list_together_name_modules),
             CW_TEST(headers_alone_have_no_names),
             CW_TEST(files_give_the_layout_that_memory_lacks),
             CW_TEST(a_file_with_another_build_id_gives_no_layout),
             CW_TEST(a_file_that_is_read_is_no_module),
             CW_TEST(a_list_that_does_not_lead_back_ends_there),
             CW_TEST(what_the_core_names_stays))
