/* A module's file of any bytes: the program of a small sound core whose build-id is not shown. */
#include <elf.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz/fuzz.h"
#include "image/typeinfo.h"
#include "support/core_builder.h"

enum { BASE = 0x400000, MAPPED_BYTES = 0x4000, BUDGET_BYTES = 64 << 20, PATH_BYTES = 64 };

static void look_around(const struct cw_image *image)
{
    char text[128];
    for (cw_addr address = BASE; address < BASE + MAPPED_BYTES; address += 0x38) {
        struct cw_cxx_class class;
        cw_image_describe(image, address, text, sizeof text);
        (void)cw_cxx_class_at(image, address, &class);
        const struct cw_module *module = cw_image_module_at(image, address);
        if (module != NULL) {
            (void)cw_module_section_at(module, address);
            (void)cw_module_symbol_named(module, "main");
        }
    }
    (void)cw_image_glibc_version(image);
}

static void open_image(const uint8_t *core, size_t size, const char *exe)
{
    struct cw_budget budget;
    struct cw_arena arena;
    struct cw_notes coverage;
    struct cw_target target;
    struct cw_space space;
    struct cw_image image;
    struct cw_image_options options = {.exe = exe, .debug_dir = "/nonexistent"};
    cw_budget_init(&budget, BUDGET_BYTES);
    cw_arena_init(&arena, &budget);
    cw_notes_init(&coverage, &arena);
    FUZZ_CHECK(cw_target_open_core_bytes(core, size, "core", &arena, &coverage, &target, NULL) ==
               CW_OK);
    FUZZ_CHECK(cw_space_create(&target, &arena, &space, NULL) == CW_OK);
    if (cw_image_create(&space, &options, &arena, &coverage, &image, NULL) == CW_OK) {
        look_around(&image);
        cw_image_destroy(&image);
    }
    cw_space_destroy(&space);
    cw_target_close(&target);
    cw_notes_deinit(&coverage);
    cw_arena_deinit(&arena);
    FUZZ_CHECK(atomic_load(&budget.used_bytes) == 0);
}

/* A core of the machine that the file says it is for, so that it fits. */
static enum cw_arch machine_of(const uint8_t *bytes, size_t size)
{
    uint16_t machine = size >= 20 ? cw_load_u16(bytes + 18) : EM_NONE;
    return machine == EM_386       ? CW_ARCH_I386
           : machine == EM_AARCH64 ? CW_ARCH_AARCH64
                                   : CW_ARCH_X86_64;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    char path[PATH_BYTES];
    int fd = memfd_create("module", MFD_CLOEXEC);
    FUZZ_CHECK(fd >= 0 && write(fd, bytes, size) == (ssize_t)size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    struct core_builder *builder = core_builder_create(machine_of(bytes, size));
    size_t held = size < MAPPED_BYTES ? size : MAPPED_BYTES;
    uint8_t *content =
        core_builder_segment(builder, BASE, MAPPED_BYTES, CW_PROT_READ | CW_PROT_WRITE);
    for (size_t i = 0; i < held; i++) {
        content[i] = bytes[i];
    }
    core_builder_mapping(builder, BASE, MAPPED_BYTES, 0, path);
    size_t core_bytes;
    const uint8_t *core = core_builder_finish(builder, &core_bytes);
    open_image(core, core_bytes, path);
    core_builder_destroy(builder);
    close(fd);
    return 0;
}
