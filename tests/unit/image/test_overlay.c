/* image/overlay: what is taken from files, and what never is. */
#include "unit/image/fixture.h"

static const cw_addr base = 0x7f0000000000;

struct scene {
    struct folder folder;
    struct elf *elf;
    struct core_builder *builder;
    struct session session;
    char *path;
};

static void scene_init(struct scene *scene)
{
    *scene = (struct scene){
        .folder = folder_make(), .elf = elf_make(), .builder = core_builder_create(CW_ARCH_X86_64)};
    scene->path = folder_join(&scene->folder, "server");
}

static void scene_open(struct scene *scene, size_t file_bytes)
{
    struct cw_image_options options = {0};
    free(folder_write(&scene->folder, "server", scene->elf->bytes, file_bytes));
    CU_ASSERT_EQUAL_FATAL(session_open(&scene->session, scene->builder, &options), CW_OK);
}

static void scene_close(struct scene *scene)
{
    session_close(&scene->session);
    core_builder_destroy(scene->builder);
    folder_remove(&scene->folder);
    free(scene->elf);
    free(scene->path);
}

static enum cw_provenance provenance_at(const struct scene *scene, cw_addr address)
{
    const struct cw_region *region = cw_space_find(&scene->session.space, address);
    CU_ASSERT_PTR_NOT_NULL(region);
    return region != NULL ? region->provenance : CW_TRUNCATED;
}

static void code_comes_from_the_file(void)
{
    struct scene scene;
    scene_init(&scene);
    elf_load(scene.elf, scene.builder, base, SHOWN_PAGE, scene.path);
    scene_open(&scene, ELF_BYTES);
    CU_ASSERT_EQUAL(provenance_at(&scene, base), CW_HELD);
    CU_ASSERT_EQUAL(provenance_at(&scene, base + 0x1000), CW_FROM_FILE);
    const uint8_t *bytes = cw_space_view(&scene.session.space, base + 0x17ff, 2);
    CU_ASSERT_TRUE(bytes != NULL && bytes[0] == 0xc3 && bytes[1] == 'r');
    scene_close(&scene);
}

static void code_of_an_unverified_file_too(void)
{
    struct scene scene;
    scene_init(&scene);
    elf_load(scene.elf, scene.builder, base, SHOWN_NOTHING, scene.path);
    scene_open(&scene, ELF_BYTES);
    CU_ASSERT_EQUAL(scene.session.image.modules[0].file, CW_MODULE_FILE_UNVERIFIED);
    CU_ASSERT_EQUAL(provenance_at(&scene, base), CW_FROM_FILE);
    scene_close(&scene);
}

static void nothing_comes_from_another_build(void)
{
    struct scene scene;
    scene_init(&scene);
    elf_load(scene.elf, scene.builder, base, SHOWN_PAGE, scene.path);
    elf_set_build_id(scene.elf, 0xcd);
    scene_open(&scene, ELF_BYTES);
    CU_ASSERT_EQUAL(provenance_at(&scene, base + 0x1000), CW_NOT_DUMPED);
    scene_close(&scene);
}

/* Maps the data segment as if it had not been dumped. */
static void load_without_data(struct scene *scene, uint32_t protection)
{
    memcpy(core_builder_partial_segment(
               scene->builder, base, 0x2000, 0x1000, CW_PROT_READ | CW_PROT_EXEC),
           scene->elf->bytes,
           0x1000);
    core_builder_partial_segment(scene->builder, base + ELF_DATA_VADDR, 0x1000, 0, protection);
    core_builder_mapping(scene->builder, base, 0x2000, 0, scene->path);
    core_builder_mapping(scene->builder, base + ELF_DATA_VADDR, 0x1000, ELF_DATA_OFF, scene->path);
}

static void data_and_relro_never_come_from_the_file(void)
{
    static const uint32_t protections[] = {CW_PROT_READ | CW_PROT_WRITE, CW_PROT_READ};
    for (size_t i = 0; i < sizeof protections / sizeof protections[0]; i++) {
        struct scene scene;
        scene_init(&scene);
        load_without_data(&scene, protections[i]);
        scene_open(&scene, ELF_BYTES);
        CU_ASSERT_EQUAL(provenance_at(&scene, base + 0x1000), CW_FROM_FILE);
        CU_ASSERT_EQUAL(provenance_at(&scene, base + ELF_DATA_VADDR), CW_NOT_DUMPED);
        scene_close(&scene);
    }
}

static void read_only_segments_that_were_made_writable_are_left_alone(void)
{
    struct scene scene;
    scene_init(&scene);
    elf_program_header(scene.elf, 1)->p_flags = PF_R;
    load_without_data(&scene, CW_PROT_READ | CW_PROT_WRITE);
    scene_open(&scene, ELF_BYTES);
    CU_ASSERT_EQUAL(provenance_at(&scene, base + ELF_DATA_VADDR), CW_NOT_DUMPED);
    scene_close(&scene);
}

static void read_only_segments_come_with_the_rest_of_their_page(void)
{
    struct scene scene;
    scene_init(&scene);
    elf_program_header(scene.elf, 1)->p_flags = PF_R;
    load_without_data(&scene, CW_PROT_READ);
    scene_open(&scene, ELF_BYTES);
    CU_ASSERT_EQUAL(provenance_at(&scene, base + ELF_DATA_VADDR), CW_FROM_FILE);
    CU_ASSERT_EQUAL(provenance_at(&scene, base + ELF_DATA_VADDR + 0xfff), CW_FROM_FILE);
    scene_close(&scene);
}

static void a_short_file_gives_what_it_has(void)
{
    struct scene scene;
    scene_init(&scene);
    elf_load(scene.elf, scene.builder, base, SHOWN_PAGE, scene.path);
    scene_open(&scene, 0x1234);
    CU_ASSERT_EQUAL(provenance_at(&scene, base + 0x1233), CW_FROM_FILE);
    CU_ASSERT_EQUAL(provenance_at(&scene, base + 0x1234), CW_NOT_DUMPED);
    scene_close(&scene);
}

static void mappings_at_the_wrong_place_get_nothing(void)
{
    struct scene scene;
    scene_init(&scene);
    elf_load(scene.elf, scene.builder, base, SHOWN_PAGE, scene.path);
    /* Inside the module's extent, but not where the file's text would be. */
    core_builder_partial_segment(scene.builder, base + 0x2000, 0x1000, 0, CW_PROT_READ);
    core_builder_mapping(scene.builder, base + 0x2000, 0x1000, 0x1000, scene.path);
    scene_open(&scene, ELF_BYTES);
    CU_ASSERT_EQUAL(provenance_at(&scene, base + 0x1000), CW_FROM_FILE);
    CU_ASSERT_EQUAL(provenance_at(&scene, base + 0x2000), CW_NOT_DUMPED);
    scene_close(&scene);
}

static void code_is_known_without_its_protection(void)
{
    struct scene scene;
    scene_init(&scene);
    /* gdb's cores hold the first page of code and say nothing of the rest. */
    memcpy(core_builder_partial_segment(scene.builder, base, 0x1000, 0x1000, CW_PROT_READ),
           scene.elf->bytes,
           0x1000);
    core_builder_partial_segment(scene.builder, base + 0x1000, 0x1000, 0, CW_PROT_READ);
    core_builder_segment(
        scene.builder, base + ELF_DATA_VADDR, 0x1000, CW_PROT_READ | CW_PROT_WRITE);
    core_builder_mapping(scene.builder, base, 0x2000, 0, scene.path);
    core_builder_mapping(scene.builder, base + ELF_DATA_VADDR, 0x1000, ELF_DATA_OFF, scene.path);
    scene_open(&scene, ELF_BYTES);
    const struct cw_image *image = &scene.session.image;
    CU_ASSERT_TRUE(cw_image_is_code(image, base + 0x1000));
    CU_ASSERT_FALSE(cw_image_is_code(image, base));
    CU_ASSERT_FALSE(cw_image_is_code(image, base + ELF_DATA_VADDR));
    CU_ASSERT_FALSE(cw_image_is_code(image, 0x10));
    scene_close(&scene);
}

CW_TEST_MAIN("image/overlay",
             CW_TEST(code_comes_from_the_file),
             CW_TEST(code_of_an_unverified_file_too),
             CW_TEST(nothing_comes_from_another_build),
             CW_TEST(data_and_relro_never_come_from_the_file),
             CW_TEST(read_only_segments_that_were_made_writable_are_left_alone),
             CW_TEST(read_only_segments_come_with_the_rest_of_their_page),
             CW_TEST(a_short_file_gives_what_it_has),
             CW_TEST(mappings_at_the_wrong_place_get_nothing),
             CW_TEST(code_is_known_without_its_protection))
