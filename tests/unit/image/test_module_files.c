/* image/module_files, module_notes: which file is used, and what is said of it. */
#include "unit/image/fixture.h"

static const cw_addr base = 0x7f0000000000;

/* A core of one module, opened with options; the file on disk has another build-id or the same. */
struct scene {
    struct folder folder;
    struct elf *elf;
    struct core_builder *builder;
    struct session session;
    struct cw_image_options options;
    char *path;
};

static void scene_init(struct scene *scene)
{
    *scene = (struct scene){
        .folder = folder_make(), .elf = elf_make(), .builder = core_builder_create(CW_ARCH_X86_64)};
    scene->path = folder_join(&scene->folder, "server");
}

/* Writes the file as the scene's ELF now is. */
static void scene_write(struct scene *scene, const char *name)
{
    free(folder_write(&scene->folder, name, scene->elf->bytes, ELF_BYTES));
}

static const struct cw_module *scene_open(struct scene *scene)
{
    CU_ASSERT_EQUAL_FATAL(session_open(&scene->session, scene->builder, &scene->options), CW_OK);
    CU_ASSERT_TRUE_FATAL(scene->session.image.module_count > 0);
    return &scene->session.image.modules[0];
}

static void scene_close(struct scene *scene)
{
    session_close(&scene->session);
    core_builder_destroy(scene->builder);
    folder_remove(&scene->folder);
    free(scene->elf);
    free(scene->path);
}

static void the_same_build_id_verifies(void)
{
    struct scene scene;
    scene_init(&scene);
    elf_load(scene.elf, scene.builder, base, SHOWN_PAGE, scene.path);
    scene_write(&scene, "server");
    const struct cw_module *module = scene_open(&scene);
    CU_ASSERT_EQUAL(module->file, CW_MODULE_FILE_VERIFIED);
    CU_ASSERT_STRING_EQUAL(module->file_path, scene.path);
    CU_ASSERT_PTR_NULL(note_of(&scene.session, "module-mismatch"));
    CU_ASSERT_PTR_NULL(note_of(&scene.session, "module-unverified"));
    CU_ASSERT_PTR_NULL(note_of(&scene.session, "executable-missing"));
    char text[CW_BUILD_ID_TEXT];
    CU_ASSERT_STRING_EQUAL(cw_module_build_id_text(module, text),
                           "abababababababababababababababababababab");
    scene_close(&scene);
}

static void another_build_id_is_said_and_not_used(void)
{
    struct scene scene;
    scene_init(&scene);
    elf_load(scene.elf, scene.builder, base, SHOWN_PAGE, scene.path);
    elf_set_build_id(scene.elf, 0xcd);
    scene_write(&scene, "server");
    const struct cw_module *module = scene_open(&scene);
    CU_ASSERT_EQUAL(module->file, CW_MODULE_FILE_MISMATCH);
    CU_ASSERT_PTR_NULL(module->file_path);
    CU_ASSERT_EQUAL(module->section_count, 0);
    CU_ASSERT_EQUAL(module->build_id[0], 0xab);
    const struct cw_note *note = note_of(&scene.session, "module-mismatch");
    CU_ASSERT_TRUE(note != NULL && note->severity == CW_WARNING);
    CU_ASSERT_TRUE(note_says(note, "abababab") && note_says(note, "cdcdcdcd"));
    CU_ASSERT_PTR_NULL(note_of(&scene.session, "executable-missing"));
    scene_close(&scene);
}

static void without_any_build_id_the_headers_decide(void)
{
    for (int is_same = 0; is_same < 2; is_same++) {
        struct scene scene;
        scene_init(&scene);
        /* Another type of note: neither side has a build-id. */
        scene.elf->bytes[ELF_NOTE_OFF + 8] = 1;
        elf_load(scene.elf, scene.builder, base, SHOWN_PAGE, scene.path);
        elf_program_header(scene.elf, 1)->p_memsz += is_same ? 0 : 16;
        scene_write(&scene, "server");
        const struct cw_module *module = scene_open(&scene);
        CU_ASSERT_EQUAL(module->file,
                        is_same ? CW_MODULE_FILE_UNVERIFIED : CW_MODULE_FILE_MISMATCH);
        CU_ASSERT_EQUAL(note_of(&scene.session, "module-unverified") != NULL, is_same);
        scene_close(&scene);
    }
}

static void a_build_id_on_one_side_only_is_a_mismatch(void)
{
    for (int in_core = 0; in_core < 2; in_core++) {
        struct scene scene;
        scene_init(&scene);
        scene.elf->bytes[ELF_NOTE_OFF + 8] = in_core ? 3 : 1;
        elf_load(scene.elf, scene.builder, base, SHOWN_PAGE, scene.path);
        scene.elf->bytes[ELF_NOTE_OFF + 8] = in_core ? 1 : 3;
        scene_write(&scene, "server");
        CU_ASSERT_EQUAL(scene_open(&scene)->file, CW_MODULE_FILE_MISMATCH);
        const struct cw_note *note = note_of(&scene.session, "module-mismatch");
        CU_ASSERT_TRUE(note_says(note, "build unknown"));
        scene_close(&scene);
    }
}

static void a_file_that_maps_the_same_is_used_unverified(void)
{
    for (int fits = 0; fits < 2; fits++) {
        struct scene scene;
        scene_init(&scene);
        elf_load(scene.elf, scene.builder, base, SHOWN_NOTHING, scene.path);
        elf_program_header(scene.elf, 1)->p_vaddr += fits ? 0 : 0x1000;
        scene_write(&scene, "server");
        const struct cw_module *module = scene_open(&scene);
        CU_ASSERT_EQUAL(module->file, fits ? CW_MODULE_FILE_UNVERIFIED : CW_MODULE_FILE_MISMATCH);
        /* The layout of the file finds the .bss, and its build-id is told. */
        CU_ASSERT_EQUAL(module->size_bytes, fits ? ELF_END_VADDR : ELF_BSS_VADDR);
        CU_ASSERT_EQUAL(module->build_id_bytes, fits ? 20 : 0);
        scene_close(&scene);
    }
}

static void a_file_for_another_machine_is_a_mismatch(void)
{
    struct scene scene;
    scene_init(&scene);
    elf_load(scene.elf, scene.builder, base, SHOWN_NOTHING, scene.path);
    elf_header(scene.elf)->e_machine = EM_AARCH64;
    scene_write(&scene, "server");
    CU_ASSERT_EQUAL(scene_open(&scene)->file, CW_MODULE_FILE_MISMATCH);
    scene_close(&scene);
}

static void the_program_can_be_given(void)
{
    struct scene scene;
    scene_init(&scene);
    elf_load(scene.elf, scene.builder, base, SHOWN_PAGE, "/nowhere/server");
    scene_write(&scene, "server");
    scene.options.exe = scene.path;
    const struct cw_module *module = scene_open(&scene);
    CU_ASSERT_EQUAL(module->file, CW_MODULE_FILE_VERIFIED);
    CU_ASSERT_STRING_EQUAL(module->file_path, scene.path);
    scene_close(&scene);
}

static void a_wrong_program_is_said_even_when_the_right_one_is_there(void)
{
    struct scene scene;
    scene_init(&scene);
    elf_load(scene.elf, scene.builder, base, SHOWN_PAGE, scene.path);
    scene_write(&scene, "server");
    elf_set_build_id(scene.elf, 0xcd);
    scene_write(&scene, "other");
    char *other = folder_join(&scene.folder, "other");
    scene.options.exe = other;
    CU_ASSERT_EQUAL(scene_open(&scene)->file, CW_MODULE_FILE_VERIFIED);
    const struct cw_note *note = note_of(&scene.session, "module-mismatch");
    CU_ASSERT_TRUE(note_says(note, other));
    scene_close(&scene);
    free(other);
}

static void a_program_that_cannot_be_opened_is_said(void)
{
    static const char *const paths[] = {"/nowhere/x", "/tmp", "/dev/null"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        struct scene scene;
        scene_init(&scene);
        elf_load(scene.elf, scene.builder, base, SHOWN_PAGE, scene.path);
        scene.options.exe = paths[i];
        scene_open(&scene);
        CU_ASSERT_PTR_NOT_NULL(note_of(&scene.session, "exe-unusable"));
        scene_close(&scene);
    }
}

static void a_sysroot_goes_first(void)
{
    struct scene scene;
    scene_init(&scene);
    elf_load(scene.elf, scene.builder, base, SHOWN_PAGE, "/usr/lib/libnot-on-this-host.so");
    scene_write(&scene, "root/usr/lib/libnot-on-this-host.so");
    char *root = folder_join(&scene.folder, "root");
    scene.options.sysroot = root;
    const struct cw_module *module = scene_open(&scene);
    CU_ASSERT_EQUAL(module->file, CW_MODULE_FILE_VERIFIED);
    CU_ASSERT_EQUAL(strncmp(module->file_path, root, strlen(root)), 0);
    scene_close(&scene);
    free(root);
}

static void behind_a_sysroot_the_host_must_prove_itself(void)
{
    for (int is_shown = 0; is_shown < 2; is_shown++) {
        struct scene scene;
        scene_init(&scene);
        elf_load(scene.elf, scene.builder, base, is_shown ? SHOWN_PAGE : SHOWN_NOTHING, scene.path);
        scene_write(&scene, "server");
        scene.options.sysroot = "/var";
        CU_ASSERT_EQUAL(scene_open(&scene)->file,
                        is_shown ? CW_MODULE_FILE_VERIFIED : CW_MODULE_FILE_MISSING);
        scene_close(&scene);
    }
}

static void links_in_a_sysroot_stay_inside(void)
{
    struct scene scene;
    scene_init(&scene);
    scene_write(&scene, "outside");
    char *outside = folder_join(&scene.folder, "outside");
    scene_write(&scene, "root/inside");
    char *root = folder_join(&scene.folder, "root");
    char *link_path = folder_join(&scene.folder, "root/server");
    /* An absolute link leads to the root's own file of that name, which is not there. */
    CU_ASSERT_EQUAL_FATAL(symlink(outside, link_path), 0);
    elf_load(scene.elf, scene.builder, base, SHOWN_NOTHING, "/server");
    elf_load(scene.elf, scene.builder, base + 0x10000, SHOWN_NOTHING, "/../outside");
    elf_load(scene.elf, scene.builder, base + 0x20000, SHOWN_NOTHING, "/x/../inside");
    scene.options.sysroot = root;
    scene_open(&scene);
    CU_ASSERT_EQUAL_FATAL(scene.session.image.module_count, 3);
    for (size_t i = 0; i < 3; i++) {
        CU_ASSERT_EQUAL(scene.session.image.modules[i].file, CW_MODULE_FILE_MISSING);
    }
    scene_close(&scene);
    free(outside);
    free(root);
    free(link_path);
}

static void a_deleted_file_is_not_what_lies_there_now(void)
{
    for (int is_same = 0; is_same < 2; is_same++) {
        struct scene scene;
        scene_init(&scene);
        char *deleted;
        CU_ASSERT_TRUE_FATAL(asprintf(&deleted, "%s (deleted)", scene.path) > 0);
        elf_load(scene.elf, scene.builder, base, SHOWN_PAGE, deleted);
        elf_set_build_id(scene.elf, is_same ? 0xab : 0xcd);
        scene_write(&scene, "server");
        const struct cw_module *module = scene_open(&scene);
        CU_ASSERT_STRING_EQUAL(module->name, "server");
        CU_ASSERT_STRING_EQUAL(module->path, deleted);
        CU_ASSERT_EQUAL(module->file, is_same ? CW_MODULE_FILE_VERIFIED : CW_MODULE_FILE_MISSING);
        const struct cw_note *note = note_of(&scene.session, "executable-missing");
        CU_ASSERT_EQUAL(note != NULL, !is_same);
        CU_ASSERT_EQUAL(note_says(note, "deleted or replaced"), !is_same);
        scene_close(&scene);
        free(deleted);
    }
}

static void missing_modules_share_a_note(void)
{
    struct scene scene;
    scene_init(&scene);
    static const char *const paths[] = {"/nowhere/server",
                                        "/nowhere/liba.so",
                                        "/nowhere/libb.so",
                                        "/nowhere/libc.so.6",
                                        "/nowhere/libd.so",
                                        "/nowhere/libe.so"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        elf_load(scene.elf, scene.builder, base + 0x10000 * i, SHOWN_PAGE, paths[i]);
    }
    scene_open(&scene);
    const struct cw_note *program = note_of(&scene.session, "executable-missing");
    CU_ASSERT_TRUE(note_says(program, "/nowhere/server"));
    const struct cw_note *libc = note_of(&scene.session, "libc-missing");
    CU_ASSERT_TRUE(note_says(libc, "libc.so.6"));
    const struct cw_note *rest = note_of(&scene.session, "module-missing");
    CU_ASSERT_TRUE(note_says(rest, "liba.so, libb.so, libd.so and 1 more"));
    scene_close(&scene);
}

static void many_mismatches_end_in_a_sum(void)
{
    struct scene scene;
    char name[32];
    scene_init(&scene);
    for (unsigned i = 0; i < 12; i++) {
        snprintf(name, sizeof name, "lib%u.so", i);
        char *path = folder_join(&scene.folder, name);
        elf_set_build_id(scene.elf, 0xab);
        elf_load(scene.elf, scene.builder, base + (cw_addr)0x10000 * i, SHOWN_PAGE, path);
        elf_set_build_id(scene.elf, 0xcd);
        scene_write(&scene, name);
        free(path);
    }
    scene_open(&scene);
    size_t count = 0;
    const char *last = "";
    for (size_t i = 0; i < scene.session.notes.items.count; i++) {
        const struct cw_note *note = cw_note_at(&scene.session.notes, i);
        if (strcmp(note->code, "module-mismatch") == 0) {
            count++;
            last = note->text;
        }
    }
    CU_ASSERT_EQUAL(count, 9);
    CU_ASSERT_EQUAL(strncmp(last, "12 modules", 10), 0);
    scene_close(&scene);
}

static void code_whose_file_is_no_elf_file_is_no_module(void)
{
    struct scene scene;
    scene_init(&scene);
    free(folder_write(&scene.folder, "archive.jsa", "not ELF", 7));
    char *archive = folder_join(&scene.folder, "archive.jsa");
    elf_load(scene.elf, scene.builder, base, SHOWN_PAGE, "/nowhere/server");
    elf_load(scene.elf, scene.builder, base + 0x10000, SHOWN_NOTHING, archive);
    scene_open(&scene);
    CU_ASSERT_EQUAL(scene.session.image.module_count, 1);
    CU_ASSERT_PTR_NULL(cw_image_module_at(&scene.session.image, base + 0x10000));
    scene_close(&scene);
    free(archive);
}

CW_TEST_MAIN("image/module_files",
             CW_TEST(the_same_build_id_verifies),
             CW_TEST(another_build_id_is_said_and_not_used),
             CW_TEST(without_any_build_id_the_headers_decide),
             CW_TEST(a_build_id_on_one_side_only_is_a_mismatch),
             CW_TEST(a_file_that_maps_the_same_is_used_unverified),
             CW_TEST(a_file_for_another_machine_is_a_mismatch),
             CW_TEST(the_program_can_be_given),
             CW_TEST(a_wrong_program_is_said_even_when_the_right_one_is_there),
             CW_TEST(a_program_that_cannot_be_opened_is_said),
             CW_TEST(a_sysroot_goes_first),
             CW_TEST(behind_a_sysroot_the_host_must_prove_itself),
             CW_TEST(links_in_a_sysroot_stay_inside),
             CW_TEST(a_deleted_file_is_not_what_lies_there_now),
             CW_TEST(missing_modules_share_a_note),
             CW_TEST(many_mismatches_end_in_a_sum),
             CW_TEST(code_whose_file_is_no_elf_file_is_no_module))
