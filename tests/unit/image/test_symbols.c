/* image/symbols, elf_file: tables of sound and damaged files, debug files, and look-ups. */
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

static void add(struct scene *scene, const char *name, uint64_t vaddr, uint64_t size, uint8_t info)
{
    elf_add_symbol(scene->elf,
                   name,
                   (Elf64_Sym){.st_value = vaddr, .st_size = size, .st_info = info, .st_shndx = 1});
}

static const struct cw_module *scene_open(struct scene *scene)
{
    elf_load(scene->elf, scene->builder, base, SHOWN_PAGE, scene->path);
    CU_ASSERT_EQUAL_FATAL(session_open(&scene->session, scene->builder, &scene->options), CW_OK);
    CU_ASSERT_TRUE_FATAL(scene->session.image.module_count > 0);
    return &scene->session.image.modules[0];
}

static const struct cw_module *scene_write_and_open(struct scene *scene)
{
    free(folder_write(&scene->folder, "server", scene->elf->bytes, ELF_BYTES));
    return scene_open(scene);
}

static void scene_close(struct scene *scene)
{
    session_close(&scene->session);
    core_builder_destroy(scene->builder);
    folder_remove(&scene->folder);
    free(scene->elf);
    free(scene->path);
}

static const char *name_at(const struct cw_module *module, uint64_t vaddr)
{
    const struct cw_symbol *symbol = cw_module_symbol_at(module, base + vaddr);
    return symbol != NULL ? symbol->name : "";
}

enum {
    GLOBAL_OBJECT = STB_GLOBAL << 4 | STT_OBJECT,
    LOCAL_OBJECT = STB_LOCAL << 4 | STT_OBJECT,
    GLOBAL_FUNCTION = STB_GLOBAL << 4 | STT_FUNC,
};

static void finds_symbols_by_extent(void)
{
    struct scene scene;
    scene_init(&scene);
    add(&scene, "run", 0x1000, 0x40, GLOBAL_FUNCTION);
    add(&scene, "unsized", 0x3300, 0, GLOBAL_OBJECT);
    add(&scene, "zeroes", 0x5000, 0x10, GLOBAL_OBJECT);
    const struct cw_module *module = scene_write_and_open(&scene);
    CU_ASSERT_EQUAL(module->symbol_count, 3);
    CU_ASSERT_STRING_EQUAL(name_at(module, 0xfff), "");
    CU_ASSERT_STRING_EQUAL(name_at(module, 0x1000), "run");
    CU_ASSERT_STRING_EQUAL(name_at(module, 0x103f), "run");
    CU_ASSERT_STRING_EQUAL(name_at(module, 0x1040), "");
    CU_ASSERT_STRING_EQUAL(name_at(module, 0x3300), "unsized");
    CU_ASSERT_STRING_EQUAL(name_at(module, 0x3301), "");
    CU_ASSERT_STRING_EQUAL(name_at(module, 0x500f), "zeroes");
    CU_ASSERT_TRUE(cw_module_symbol_at(module, base + 0x1000)->is_function);
    CU_ASSERT_FALSE(cw_module_symbol_at(module, base + 0x5000)->is_function);
    scene_close(&scene);
}

static void the_better_name_of_an_address_wins(void)
{
    struct scene scene;
    scene_init(&scene);
    add(&scene, "z_longer", 0x3000, 8, GLOBAL_OBJECT);
    add(&scene, "local", 0x3000, 8, LOCAL_OBJECT);
    add(&scene, "z_short", 0x3000, 8, GLOBAL_OBJECT);
    add(&scene, "u", 0x3000, 0, GLOBAL_OBJECT);
    add(&scene, "a_short", 0x3000, 8, GLOBAL_OBJECT);
    const struct cw_module *module = scene_write_and_open(&scene);
    CU_ASSERT_STRING_EQUAL(name_at(module, 0x3007), "a_short");
    /* The others are still there, best first. */
    static const char *const order[] = {"a_short", "z_short", "z_longer", "local", "u"};
    CU_ASSERT_EQUAL_FATAL(module->symbol_count, 5);
    for (size_t i = 0; i < 5; i++) {
        CU_ASSERT_STRING_EQUAL(module->symbols[i].name, order[i]);
    }
    scene_close(&scene);
}

static void symbols_enclose_each_other(void)
{
    struct scene scene;
    scene_init(&scene);
    add(&scene, "outer", 0x3000, 0x100, GLOBAL_OBJECT);
    add(&scene, "inner", 0x3010, 0x20, GLOBAL_OBJECT);
    add(&scene, "innermost", 0x3018, 4, GLOBAL_OBJECT);
    add(&scene, "label", 0x3040, 0, GLOBAL_OBJECT);
    add(&scene, "across", 0x30f0, 0x20, GLOBAL_OBJECT);
    const struct cw_module *module = scene_write_and_open(&scene);
    CU_ASSERT_STRING_EQUAL(name_at(module, 0x3018), "innermost");
    CU_ASSERT_STRING_EQUAL(name_at(module, 0x301c), "inner");
    CU_ASSERT_STRING_EQUAL(name_at(module, 0x3030), "outer");
    CU_ASSERT_STRING_EQUAL(name_at(module, 0x3041), "outer");
    CU_ASSERT_STRING_EQUAL(name_at(module, 0x30f8), "across");
    CU_ASSERT_STRING_EQUAL(name_at(module, 0x310f), "across");
    CU_ASSERT_STRING_EQUAL(name_at(module, 0x3110), "");
    scene_close(&scene);
}

static void what_is_no_place_in_memory_is_left_out(void)
{
    struct scene scene;
    scene_init(&scene);
    add(&scene, "outside", 0x9000, 8, GLOBAL_OBJECT);
    add(&scene, "beyond", 0x5ff8, 0x100, GLOBAL_OBJECT);
    add(&scene, "wraps", 0x3000, UINT64_MAX, GLOBAL_OBJECT);
    add(&scene, "label", 0x3000, 0, STB_GLOBAL << 4 | STT_NOTYPE);
    add(&scene, "thread", 0x3000, 8, STB_GLOBAL << 4 | STT_TLS);
    add(&scene, "", 0x3000, 8, GLOBAL_OBJECT);
    elf_add_symbol(scene.elf, "undefined", (Elf64_Sym){.st_value = 0x3000, .st_info = 0x11});
    elf_add_symbol(scene.elf,
                   "absolute",
                   (Elf64_Sym){.st_value = 0x3000, .st_info = GLOBAL_OBJECT, .st_shndx = SHN_ABS});
    CU_ASSERT_EQUAL(scene_write_and_open(&scene)->symbol_count, 0);
    scene_close(&scene);
}

static void finds_symbols_by_name(void)
{
    struct scene scene;
    scene_init(&scene);
    add(&scene, "environ@@GLIBC_2.2.5", 0x3000, 8, GLOBAL_OBJECT);
    add(&scene, "environment", 0x3010, 8, GLOBAL_OBJECT);
    const struct cw_module *module = scene_write_and_open(&scene);
    const struct cw_symbol *symbol = cw_module_symbol_named(module, "environ");
    CU_ASSERT_TRUE(symbol != NULL && symbol->start == base + 0x3000);
    CU_ASSERT_PTR_NULL(cw_module_symbol_named(module, "env"));
    scene_close(&scene);
}

static void finds_sections(void)
{
    struct scene scene;
    scene_init(&scene);
    const struct cw_module *module = scene_write_and_open(&scene);
    static const struct {
        uint64_t vaddr;
        const char *name;
    } places[] = {{0x0, ""},
                  {0x200, ".note.gnu.build-id"},
                  {0x1000, ".text"},
                  {0x17ff, ".text"},
                  {0x1800, ".rodata"},
                  {0x3400, ".data"}, /* not .tbss, which has that address, but no memory */
                  {0x37ff, ".data"},
                  {0x3800, ".bss"},
                  {0x53ff, ".bss"},
                  {0x5400, ""}};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        const struct cw_section *section = cw_module_section_at(module, base + places[i].vaddr);
        CU_ASSERT_STRING_EQUAL(section != NULL ? section->name : "", places[i].name);
    }
    scene_close(&scene);
}

static void damaged_tables_are_survived(void)
{
    static const struct {
        size_t section;
        size_t field; /* offset in Elf64_Shdr */
    } places[] = {{5, offsetof(Elf64_Shdr, sh_offset)},
                  {5, offsetof(Elf64_Shdr, sh_size)},
                  {5, offsetof(Elf64_Shdr, sh_link)},
                  {5, offsetof(Elf64_Shdr, sh_entsize)},
                  {6, offsetof(Elf64_Shdr, sh_offset)},
                  {6, offsetof(Elf64_Shdr, sh_size)},
                  {6, offsetof(Elf64_Shdr, sh_type)},
                  {7, offsetof(Elf64_Shdr, sh_offset)},
                  {1, offsetof(Elf64_Shdr, sh_addr)},
                  {1, offsetof(Elf64_Shdr, sh_name)}};
    static const uint32_t lies[] = {0, 1, 7, 0x7fffffff, 0xffffffff};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        for (size_t lie = 0; lie < sizeof lies / sizeof lies[0]; lie++) {
            struct scene scene;
            scene_init(&scene);
            add(&scene, "run", 0x1000, 0x40, GLOBAL_FUNCTION);
            uint8_t *header = (uint8_t *)elf_section(scene.elf, places[i].section);
            memcpy(header + places[i].field, &lies[lie], sizeof lies[lie]);
            const struct cw_module *module = scene_write_and_open(&scene);
            CU_ASSERT_TRUE(module->symbol_count <= 1);
            CU_ASSERT_EQUAL(module->file, CW_MODULE_FILE_VERIFIED);
            scene_close(&scene);
        }
    }
}

static void strings_without_an_end_give_no_names(void)
{
    struct scene scene;
    scene_init(&scene);
    add(&scene, "run", 0x1000, 0x40, GLOBAL_FUNCTION);
    elf_section(scene.elf, 6)->sh_size -= 1;
    /* The table now ends in "run" without its NUL: only the empty name before it counts. */
    CU_ASSERT_EQUAL(scene_write_and_open(&scene)->symbol_count, 0);
    scene_close(&scene);
}

static void truncated_files_are_survived(void)
{
    static const size_t sizes[] = {0x300, 0x1000, 0x2810, 0x2c02, 0x2f04, 0x3020, 0x3200};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct scene scene;
        scene_init(&scene);
        add(&scene, "run", 0x1000, 0x40, GLOBAL_FUNCTION);
        free(folder_write(&scene.folder, "server", scene.elf->bytes, sizes[i]));
        const struct cw_module *module = scene_open(&scene);
        CU_ASSERT_EQUAL(module->file, CW_MODULE_FILE_VERIFIED);
        CU_ASSERT_TRUE(module->symbol_count <= 1);
        scene_close(&scene);
    }
}

static void falls_back_to_dynamic_symbols(void)
{
    struct scene scene;
    scene_init(&scene);
    add(&scene, "exported", 0x1000, 0x40, GLOBAL_FUNCTION);
    elf_section(scene.elf, 5)->sh_type = SHT_DYNSYM;
    CU_ASSERT_STRING_EQUAL(name_at(scene_write_and_open(&scene), 0x1000), "exported");
    scene_close(&scene);
}

/* The same file without a section table: stripped as hard as can be. */
static void write_stripped(struct scene *scene, uint16_t keep_sections)
{
    Elf64_Ehdr *header = elf_header(scene->elf);
    Elf64_Ehdr whole = *header;
    if (!keep_sections) {
        header->e_shoff = 0;
        header->e_shnum = 0;
    } else {
        elf_section(scene->elf, 5)->sh_type = SHT_PROGBITS;
    }
    free(folder_write(&scene->folder, "server", scene->elf->bytes, ELF_BYTES));
    *header = whole;
    elf_section(scene->elf, 5)->sh_type = SHT_SYMTAB;
}

static const char debug_name[] = ".build-id/ab/ababababababababababababababababababab.debug";

static void a_debug_file_is_found_by_build_id(void)
{
    for (int is_right = 0; is_right < 2; is_right++) {
        struct scene scene;
        scene_init(&scene);
        add(&scene, "hidden", 0x1000, 0x40, GLOBAL_FUNCTION);
        write_stripped(&scene, false);
        elf_set_build_id(scene.elf, is_right ? 0xab : 0xcd);
        free(folder_write(&scene.folder, debug_name, scene.elf->bytes, ELF_BYTES));
        elf_set_build_id(scene.elf, 0xab);
        const struct cw_module *module = scene_open(&scene);
        CU_ASSERT_STRING_EQUAL(name_at(module, 0x1000), is_right ? "hidden" : "");
        scene_close(&scene);
    }
}

static void a_debug_file_serves_a_missing_module(void)
{
    struct scene scene;
    scene_init(&scene);
    add(&scene, "hidden", 0x1000, 0x40, GLOBAL_FUNCTION);
    free(folder_write(&scene.folder, debug_name, scene.elf->bytes, ELF_BYTES));
    const struct cw_module *module = scene_open(&scene);
    CU_ASSERT_EQUAL(module->file, CW_MODULE_FILE_MISSING);
    CU_ASSERT_STRING_EQUAL(name_at(module, 0x1000), "hidden");
    CU_ASSERT_TRUE(module->section_count > 0);
    const struct cw_note *note = note_of(&scene.session, "executable-missing");
    CU_ASSERT_TRUE(note != NULL && strstr(note->text, "symbols") == NULL);
    scene_close(&scene);
}

static void set_debug_link(struct scene *scene, const char *name, uint32_t checksum)
{
    struct {
        char name[12];
        uint32_t checksum;
    } link = {.checksum = checksum};
    snprintf(link.name, sizeof link.name, "%s", name);
    memcpy(scene->elf->bytes + 0x2fa0, &link, sizeof link);
    elf_section(scene->elf, 10)->sh_size = sizeof link;
}

static void a_debug_file_is_found_by_link(void)
{
    static const char *const places[] = {"x.debug", ".debug/x.debug", "linked", "../x.debug"};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        struct scene scene;
        scene_init(&scene);
        add(&scene, "hidden", 0x1000, 0x40, GLOBAL_FUNCTION);
        set_debug_link(&scene, i == 3 ? "../x.debug" : "x.debug", 0);
        write_stripped(&scene, true);
        char *name = NULL;
        if (i == 2) {
            /* Below the debug folder, at the path of the file. */
            CU_ASSERT_TRUE_FATAL(asprintf(&name, "%s/x.debug", scene.folder.path + 1) > 0);
        }
        free(folder_write(&scene.folder, i == 2 ? name : places[i], scene.elf->bytes, ELF_BYTES));
        const struct cw_module *module = scene_open(&scene);
        /* A link is a bare name: one that leads elsewhere is not followed. */
        CU_ASSERT_STRING_EQUAL(name_at(module, 0x1000), i == 3 ? "" : "hidden");
        if (i == 3) {
            char *outside = folder_join(&scene.folder, places[i]);
            remove(outside);
            free(outside);
        }
        scene_close(&scene);
        free(name);
    }
}

static void without_build_ids_the_links_checksum_decides(void)
{
    for (int is_right = 0; is_right < 2; is_right++) {
        struct scene scene;
        scene_init(&scene);
        scene.elf->bytes[ELF_NOTE_OFF + 8] = 1;
        add(&scene, "hidden", 0x1000, 0x40, GLOBAL_FUNCTION);
        free(folder_write(&scene.folder, "x.debug", scene.elf->bytes, ELF_BYTES));
        uint32_t sum = UINT32_MAX;
        for (size_t i = 0; i < ELF_BYTES; i++) {
            sum ^= scene.elf->bytes[i];
            for (int bit = 0; bit < 8; bit++) {
                sum = sum >> 1 ^ (sum & 1 ? 0xedb88320 : 0);
            }
        }
        set_debug_link(&scene, "x.debug", is_right ? ~sum : sum);
        write_stripped(&scene, true);
        const struct cw_module *module = scene_open(&scene);
        CU_ASSERT_STRING_EQUAL(name_at(module, 0x1000), is_right ? "hidden" : "");
        scene_close(&scene);
    }
}

CW_TEST_MAIN("image/symbols",
             CW_TEST(finds_symbols_by_extent),
             CW_TEST(the_better_name_of_an_address_wins),
             CW_TEST(symbols_enclose_each_other),
             CW_TEST(what_is_no_place_in_memory_is_left_out),
             CW_TEST(finds_symbols_by_name),
             CW_TEST(finds_sections),
             CW_TEST(damaged_tables_are_survived),
             CW_TEST(strings_without_an_end_give_no_names),
             CW_TEST(truncated_files_are_survived),
             CW_TEST(falls_back_to_dynamic_symbols),
             CW_TEST(a_debug_file_is_found_by_build_id),
             CW_TEST(a_debug_file_serves_a_missing_module),
             CW_TEST(a_debug_file_is_found_by_link),
             CW_TEST(without_build_ids_the_links_checksum_decides))
