/*
 * image/typeinfo: vtables made by hand in the data of two modules.
 *
 *   program (data at +0x3000)                ABI library (data at +0x3000)
 *   0x100  vtable of Widget                  0x100  vtable of __si_class_type_info
 *   0x200  type_info of Widget               0x200  type_info of __si_class_type_info
 *   0x300  "6Widget"                         0x300  its name
 */
#include <pthread.h>

#include "image/typeinfo.h"
#include "unit/image/fixture.h"

static const cw_addr program = 0x500000000000;
static const cw_addr library = 0x7f0000000000;

enum {
    VTABLE = ELF_DATA_VADDR + 0x100, /* the address point */
    TYPE_INFO = ELF_DATA_VADDR + 0x200,
    NAME = ELF_DATA_VADDR + 0x300,
    FUNCTION = 0x1000,
    LAST_WORD = 0x3ff8,
};

struct scene {
    struct elf *elf;
    struct core_builder *builder;
    struct session session;
};

static void put_class(struct core_builder *builder, cw_addr base, cw_addr kind, const char *name)
{
    core_builder_word(builder, base + VTABLE - 16, 0);
    core_builder_word(builder, base + VTABLE - 8, base + TYPE_INFO);
    core_builder_word(builder, base + VTABLE, base + FUNCTION);
    core_builder_word(builder, base + TYPE_INFO, kind);
    core_builder_word(builder, base + TYPE_INFO + 8, base + NAME);
    core_builder_bytes(builder, base + NAME, name, strlen(name) + 1);
}

static void scene_init(struct scene *scene)
{
    *scene = (struct scene){.elf = elf_make(), .builder = core_builder_create(CW_ARCH_X86_64)};
    elf_load(scene->elf, scene->builder, program, SHOWN_ALL, "/nowhere/server");
    elf_load(scene->elf, scene->builder, library, SHOWN_ALL, "/nowhere/libabi.so.6");
    put_class(scene->builder, library, library + VTABLE, "N10__cxxabiv120__si_class_type_infoE");
    put_class(scene->builder, program, library + VTABLE, "6Widget");
}

static void scene_open(struct scene *scene)
{
    struct cw_image_options options = {0};
    CU_ASSERT_EQUAL_FATAL(session_open(&scene->session, scene->builder, &options), CW_OK);
}

static void scene_close(struct scene *scene)
{
    session_close(&scene->session);
    core_builder_destroy(scene->builder);
    free(scene->elf);
}

/* Asks twice: what is remembered must be what was found. */
static const char *class_name_at(struct scene *scene, cw_addr address)
{
    static struct cw_cxx_class class;
    static struct cw_cxx_class again;
    bool is_class = cw_cxx_class_at(&scene->session.image, address, &class);
    CU_ASSERT_EQUAL(cw_cxx_class_at(&scene->session.image, address, &again), is_class);
    if (is_class) {
        CU_ASSERT_PTR_EQUAL(class.name, again.name);
        CU_ASSERT_EQUAL(class.vtable, address);
    }
    return is_class ? class.name : "";
}

static void names_a_class_without_symbols(void)
{
    struct scene scene;
    scene_init(&scene);
    scene_open(&scene);
    struct cw_cxx_class class;
    CU_ASSERT_TRUE_FATAL(cw_cxx_class_at(&scene.session.image, program + VTABLE, &class));
    CU_ASSERT_STRING_EQUAL(class.name, "Widget");
    CU_ASSERT_STRING_EQUAL(class.module, "server");
    CU_ASSERT_EQUAL(class.type_info, program + TYPE_INFO);
    CU_ASSERT_EQUAL(class.offset_to_top, 0);
    CU_ASSERT_STRING_EQUAL(class_name_at(&scene, library + VTABLE),
                           "__cxxabiv1::__si_class_type_info");
    scene_close(&scene);
}

static void knows_all_kinds_and_only_those(void)
{
    static const struct {
        const char *kind;
        const char *expected;
    } kinds[] = {{"N10__cxxabiv117__class_type_infoE", "Widget"},
                 {"N10__cxxabiv121__vmi_class_type_infoE", "Widget"},
                 {"N10__cxxabiv119__pointer_type_infoE", ""},
                 {"N10__cxxabiv120__si_class_type_infoEx", ""},
                 {"", ""}};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        struct scene scene;
        scene_init(&scene);
        put_class(scene.builder, library, library + VTABLE, kinds[i].kind);
        scene_open(&scene);
        CU_ASSERT_STRING_EQUAL(class_name_at(&scene, program + VTABLE), kinds[i].expected);
        scene_close(&scene);
    }
}

static void reads_names_as_compilers_write_them(void)
{
    static const struct {
        const char *mangled;
        const char *expected;
    } names[] = {{"*N12_GLOBAL__N_14PoolE", "(anonymous namespace)::Pool"},
                 {"N3app5CacheIiSsEE", "app::Cache<int, std::string>"},
                 {"Z4mainEUlvE_", "main::{lambda()#1}"},
                 {"St9exception", "std::exception"},
                 {"i", ""},
                 {"Pi", ""},
                 {"7Widget", ""},
                 {"6Widgets", ""},
                 {"6Wid\x1bgt", ""},
                 {"", ""}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct scene scene;
        scene_init(&scene);
        put_class(scene.builder, program, library + VTABLE, names[i].mangled);
        scene_open(&scene);
        CU_ASSERT_STRING_EQUAL(class_name_at(&scene, program + VTABLE), names[i].expected);
        scene_close(&scene);
    }
}

static void names_beyond_the_demangler_stay_mangled(void)
{
    char name[1200];
    memset(name, 'x', sizeof name);
    memcpy(name, "1190", 4);
    name[1194] = '\0';
    struct scene scene;
    scene_init(&scene);
    put_class(scene.builder, program, library + VTABLE, name);
    scene_open(&scene);
    const char *found = class_name_at(&scene, program + VTABLE);
    CU_ASSERT_TRUE(strcmp(found, name) == 0 || strcmp(found, name + 4) == 0);
    scene_close(&scene);
}

static void secondary_vtables_have_their_offset(void)
{
    static const struct {
        uint64_t offset;
        bool is_class;
    } offsets[] = {{(uint64_t)-16, true},
                   {(uint64_t) - (1 << 24), true},
                   {(uint64_t) - (1 << 25), false},
                   {1 << 25, false},
                   {0x500000001000, false}};
    for (size_t i = 0; i < sizeof offsets / sizeof offsets[0]; i++) {
        struct scene scene;
        scene_init(&scene);
        core_builder_word(scene.builder, program + VTABLE - 16, offsets[i].offset);
        scene_open(&scene);
        struct cw_cxx_class class = {0};
        CU_ASSERT_EQUAL(cw_cxx_class_at(&scene.session.image, program + VTABLE, &class),
                        offsets[i].is_class);
        CU_ASSERT_TRUE(!offsets[i].is_class || class.offset_to_top == (int64_t)offsets[i].offset);
        scene_close(&scene);
    }
}

static void the_first_slot_is_code_or_zero(void)
{
    static const struct {
        uint64_t slot;
        bool is_class;
    } slots[] = {{0, true},
                 {0x500000001000, true},
                 {0x500000003000, false},
                 {0x1234, false},
                 {UINT64_MAX, false}};
    for (size_t i = 0; i < sizeof slots / sizeof slots[0]; i++) {
        struct scene scene;
        scene_init(&scene);
        core_builder_word(scene.builder, program + VTABLE, slots[i].slot);
        scene_open(&scene);
        CU_ASSERT_EQUAL(class_name_at(&scene, program + VTABLE)[0] != '\0', slots[i].is_class);
        scene_close(&scene);
    }
}

static void wild_pointers_are_no_classes(void)
{
    static const cw_addr places[] = {VTABLE - 8, TYPE_INFO, TYPE_INFO + 8};
    static const uint64_t words[] = {0,
                                     1,
                                     0x500000003ff8,
                                     0x500000003fff,
                                     0x500000005ffc,
                                     0x7f0000002000,
                                     0x600000000000,
                                     UINT64_MAX,
                                     UINT64_MAX - 7};
    for (size_t place = 0; place < sizeof places / sizeof places[0]; place++) {
        for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
            struct scene scene;
            scene_init(&scene);
            core_builder_word(scene.builder, program + places[place], words[i]);
            scene_open(&scene);
            CU_ASSERT_STRING_EQUAL(class_name_at(&scene, program + VTABLE), "");
            scene_close(&scene);
        }
    }
}

static void addresses_at_the_ends_of_memory_are_no_classes(void)
{
    static const cw_addr addresses[] = {0,
                                        8,
                                        0x500000000000,
                                        0x500000000008,
                                        0x500000001ff8,
                                        0x500000003000,
                                        0x500000003104, /* not aligned */
                                        0x500000003ff8,
                                        0x500000005ff8,
                                        0x500000006000,
                                        UINT64_MAX - 7,
                                        UINT64_MAX};
    struct scene scene;
    scene_init(&scene);
    scene_open(&scene);
    for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++) {
        CU_ASSERT_STRING_EQUAL(class_name_at(&scene, addresses[i]), "");
    }
    scene_close(&scene);
}

static void a_name_without_an_end_is_none(void)
{
    struct scene scene;
    scene_init(&scene);
    /* To the very end of the module's memory. */
    core_builder_bytes(scene.builder, program + ELF_END_VADDR - 8, "6Widgetx", 8);
    core_builder_word(scene.builder, program + TYPE_INFO + 8, program + ELF_END_VADDR - 8);
    scene_open(&scene);
    CU_ASSERT_STRING_EQUAL(class_name_at(&scene, program + VTABLE), "");
    scene_close(&scene);
}

/* Where the library's constants were not dumped, and nothing else tells. */
static void the_shape_of_the_kinds_decides_without_their_names(void)
{
    for (int is_sound = 0; is_sound < 2; is_sound++) {
        struct scene scene;
        scene_init(&scene);
        core_builder_partial_segment(scene.builder, library + 0x10000, 0x1000, 0, CW_PROT_READ);
        core_builder_mapping(
            scene.builder, library + 0x10000, 0x1000, 0x10000, "/nowhere/libabi.so.6");
        core_builder_word(scene.builder, library + TYPE_INFO + 8, library + 0x10000);
        if (!is_sound) {
            core_builder_word(scene.builder, library + TYPE_INFO, library + VTABLE + 0x40);
        }
        scene_open(&scene);
        CU_ASSERT_STRING_EQUAL(class_name_at(&scene, program + VTABLE), is_sound ? "Widget" : "");
        scene_close(&scene);
    }
}

/* With the file, symbols stand in for names that cannot be read. */
static void symbols_stand_in_for_missing_names(void)
{
    struct folder folder = folder_make();
    char *path = folder_join(&folder, "server");
    struct scene scene;
    struct cw_image_options options = {0};
    scene = (struct scene){.elf = elf_make(), .builder = core_builder_create(CW_ARCH_X86_64)};
    static const struct {
        const char *name;
        uint64_t vaddr;
        uint64_t size;
    } symbols[] = {
        {"_ZTS6Gadget", ELF_BSS_VADDR + 0x10, 8},
        {"_ZTVN10__cxxabiv117__class_type_infoE@CXXABI_1.3", ELF_DATA_VADDR + 0x400, 80}};
    for (size_t i = 0; i < 2; i++) {
        elf_add_symbol(scene.elf,
                       symbols[i].name,
                       (Elf64_Sym){.st_value = symbols[i].vaddr,
                                   .st_size = symbols[i].size,
                                   .st_info = STB_GLOBAL << 4 | STT_OBJECT,
                                   .st_shndx = 3});
    }
    free(folder_write(&folder, "server", scene.elf->bytes, ELF_BYTES));
    memcpy(core_builder_segment(scene.builder, program, 0x2000, CW_PROT_READ | CW_PROT_EXEC),
           scene.elf->bytes,
           0x2000);
    uint32_t writable = CW_PROT_READ | CW_PROT_WRITE;
    core_builder_segment(scene.builder, program + ELF_DATA_VADDR, 0x1000, writable);
    core_builder_partial_segment(scene.builder, program + ELF_BSS_VADDR, 0x2000, 0, writable);
    core_builder_mapping(scene.builder, program, 0x2000, 0, path);
    core_builder_mapping(scene.builder, program + ELF_DATA_VADDR, 0x1000, ELF_DATA_OFF, path);
    put_class(scene.builder, program, program + ELF_DATA_VADDR + 0x410, "");
    core_builder_word(scene.builder, program + TYPE_INFO + 8, program + ELF_BSS_VADDR + 0x10);
    CU_ASSERT_EQUAL_FATAL(session_open(&scene.session, scene.builder, &options), CW_OK);
    CU_ASSERT_STRING_EQUAL(class_name_at(&scene, program + VTABLE), "Gadget");
    scene_close(&scene);
    folder_remove(&folder);
    free(path);
}

struct asker {
    pthread_t thread;
    const struct cw_image *image;
    size_t widget_count;
};

static void *ask_everything(void *argument)
{
    struct asker *asker = argument;
    struct cw_cxx_class class;
    for (cw_addr address = program; address < program + ELF_END_VADDR; address += 8) {
        asker->widget_count +=
            cw_cxx_class_at(asker->image, address, &class) && strcmp(class.name, "Widget") == 0;
    }
    return NULL;
}

static void threads_may_ask_at_once(void)
{
    struct scene scene;
    struct asker askers[4] = {0};
    scene_init(&scene);
    scene_open(&scene);
    for (size_t i = 0; i < 4; i++) {
        askers[i].image = &scene.session.image;
        CU_ASSERT_EQUAL_FATAL(pthread_create(&askers[i].thread, NULL, ask_everything, &askers[i]),
                              0);
    }
    for (size_t i = 0; i < 4; i++) {
        pthread_join(askers[i].thread, NULL);
        CU_ASSERT_EQUAL(askers[i].widget_count, 1);
    }
    scene_close(&scene);
}

static void without_memory_nothing_is_named(void)
{
    struct scene scene;
    scene_init(&scene);
    scene_open(&scene);
    scene.session.budget.limit_bytes = scene.session.budget.used_bytes;
    CU_ASSERT_STRING_EQUAL(class_name_at(&scene, program + VTABLE), "");
    scene.session.budget.limit_bytes = UINT64_MAX;
    CU_ASSERT_STRING_EQUAL(class_name_at(&scene, program + VTABLE), "Widget");
    scene_close(&scene);
}

CW_TEST_MAIN("image/typeinfo",
             CW_TEST(names_a_class_without_symbols),
             CW_TEST(knows_all_kinds_and_only_those),
             CW_TEST(reads_names_as_compilers_write_them),
             CW_TEST(names_beyond_the_demangler_stay_mangled),
             CW_TEST(secondary_vtables_have_their_offset),
             CW_TEST(the_first_slot_is_code_or_zero),
             CW_TEST(wild_pointers_are_no_classes),
             CW_TEST(addresses_at_the_ends_of_memory_are_no_classes),
             CW_TEST(a_name_without_an_end_is_none),
             CW_TEST(the_shape_of_the_kinds_decides_without_their_names),
             CW_TEST(symbols_stand_in_for_missing_names),
             CW_TEST(threads_may_ask_at_once),
             CW_TEST(without_memory_nothing_is_named))
