/* image/runtime: what a program's names say of its allocator. */
#include "image/runtime.h"
#include "unit/image/fixture.h"

static const cw_addr base = 0x7f0000000000;

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
    scene->options.debug_dir = scene->folder.path;
}

static void scene_open(struct scene *scene)
{
    free(folder_write(&scene->folder, "server", scene->elf->bytes, ELF_BYTES));
    elf_load(scene->elf, scene->builder, base, SHOWN_ALL, scene->path);
    CU_ASSERT_EQUAL_FATAL(session_open(&scene->session, scene->builder, &scene->options), CW_OK);
}

static void scene_close(struct scene *scene)
{
    session_close(&scene->session);
    core_builder_destroy(scene->builder);
    folder_remove(&scene->folder);
    free(scene->elf);
    free(scene->path);
}

static void add_symbol(struct scene *scene, const char *name)
{
    elf_add_symbol(scene->elf,
                   name,
                   (Elf64_Sym){.st_value = 0x1000,
                               .st_size = 8,
                               .st_info = STB_GLOBAL << 4 | STT_FUNC,
                               .st_shndx = 1});
}

/* Exactly one runtime is seen, and this is why. */
static void expect(struct scene *scene, const char *id, const char *evidence, bool is_guess)
{
    size_t count;
    const struct cw_runtime_found *found = cw_image_runtimes(&scene->session.image, &count);
    CU_ASSERT_EQUAL_FATAL(count, 1);
    CU_ASSERT_STRING_EQUAL(found->runtime->id, id);
    CU_ASSERT_STRING_EQUAL(found->evidence, evidence);
    CU_ASSERT_EQUAL(found->is_guess, is_guess);
    CU_ASSERT_PTR_EQUAL(cw_image_runtime(&scene->session.image, id), found);
}

static void a_symbol_tells(void)
{
    struct scene scene;
    scene_init(&scene);
    add_symbol(&scene, "mallctl_of_our_own");
    add_symbol(&scene, "_ZN2v82V810GetVersionEv");
    scene_open(&scene);
    expect(&scene, "v8", "symbol v8::V8::GetVersion() of server", false);
    CU_ASSERT_PTR_NULL(cw_image_replacement(&scene.session.image));
    scene_close(&scene);
}

static void the_beginning_of_a_symbol_tells(void)
{
    struct scene scene;
    scene_init(&scene);
    add_symbol(&scene, "_ZN8snmallocE");
    scene_open(&scene);
    CU_ASSERT_PTR_NOT_NULL(cw_image_runtime(&scene.session.image, "snmalloc"));
    scene_close(&scene);
}

static void a_module_tells(void)
{
    struct scene scene;
    scene_init(&scene);
    elf_load(scene.elf, scene.builder, base + 0x10000, SHOWN_PAGE, "/nowhere/libtcmalloc.so.4");
    scene_open(&scene);
    expect(&scene, "tcmalloc", "module libtcmalloc.so.4", false);
    CU_ASSERT_STRING_EQUAL(cw_image_replacement(&scene.session.image)->runtime->id, "tcmalloc");
    scene_close(&scene);
}

static void messages_are_a_guess(void)
{
    struct scene scene;
    scene_init(&scene);
    strcpy((char *)scene.elf->bytes + 0x1800, "<jemalloc>: ");
    scene_open(&scene);
    expect(&scene, "jemalloc", "its messages in server", true);
    CU_ASSERT_PTR_NULL(cw_image_replacement(&scene.session.image));
    scene_close(&scene);
}

static void go_is_seen_without_symbols(void)
{
    static const char build_info[] = "\xff Go buildinf:\x08\x02";
    struct scene scene;
    scene_init(&scene);
    elf_program_header(scene.elf, 3)->p_type = PT_NULL;
    memcpy(scene.elf->bytes + 0x2000, build_info, sizeof build_info);
    scene_open(&scene);
    expect(&scene, "go", "Go build info of server", false);
    CU_ASSERT_TRUE(cw_image_is_without_libc(&scene.session.image));
    CU_ASSERT_STRING_EQUAL(cw_image_replacement(&scene.session.image)->runtime->id, "go");
    scene_close(&scene);
}

static void an_ordinary_program_has_none(void)
{
    struct scene scene;
    scene_init(&scene);
    add_symbol(&scene, "main");
    scene_open(&scene);
    size_t count;
    cw_image_runtimes(&scene.session.image, &count);
    CU_ASSERT_EQUAL(count, 0);
    scene_close(&scene);
}

CW_TEST_MAIN("image/runtime",
             CW_TEST(a_symbol_tells),
             CW_TEST(the_beginning_of_a_symbol_tells),
             CW_TEST(a_module_tells),
             CW_TEST(messages_are_a_guess),
             CW_TEST(go_is_seen_without_symbols),
             CW_TEST(an_ordinary_program_has_none))
