/* image/elf_layout: program headers and build-ids from bytes, sound and damaged. */
#include "unit/image/fixture.h"

static bool read_layout(const struct elf *elf, size_t size, struct cw_elf_layout *ret_layout)
{
    static struct cw_budget budget;
    struct cw_arena arena;
    cw_budget_init(&budget, UINT64_MAX);
    cw_arena_init(&arena, &budget);
    static struct cw_elf_load loads[CW_ELF_HEADER_LIMIT];
    bool is_read = cw_elf_layout_read(elf->bytes, size, &arena, ret_layout);
    if (is_read) {
        memcpy(loads, ret_layout->loads, ret_layout->load_count * sizeof *loads);
        ret_layout->loads = loads;
    }
    cw_arena_deinit(&arena);
    return is_read;
}

static void reads_segments_and_build_id(void)
{
    struct elf *elf = elf_make();
    struct cw_elf_layout layout;
    CU_ASSERT_TRUE_FATAL(read_layout(elf, ELF_BYTES, &layout));
    CU_ASSERT_EQUAL(layout.word_bytes, 8);
    CU_ASSERT_EQUAL(layout.machine, EM_X86_64);
    CU_ASSERT_TRUE(layout.has_interpreter);
    CU_ASSERT_TRUE(layout.notes_seen);
    CU_ASSERT_EQUAL_FATAL(layout.load_count, ELF_LOAD_COUNT);
    CU_ASSERT_TRUE(layout.loads[0].is_executable && !layout.loads[0].is_writable);
    CU_ASSERT_TRUE(layout.loads[1].is_writable && !layout.loads[1].is_executable);
    CU_ASSERT_EQUAL(layout.loads[1].memory_bytes, 0x2400);
    CU_ASSERT_EQUAL(layout.build_id_bytes, 20);
    CU_ASSERT_EQUAL(layout.build_id[19], 0xab);
    free(elf);
}

static void sorts_segments_by_address(void)
{
    struct elf *elf = elf_make();
    struct cw_elf_layout layout;
    Elf64_Phdr text = *elf_program_header(elf, 0);
    *elf_program_header(elf, 0) = *elf_program_header(elf, 1);
    *elf_program_header(elf, 1) = text;
    CU_ASSERT_TRUE_FATAL(read_layout(elf, ELF_BYTES, &layout));
    CU_ASSERT_EQUAL(layout.loads[0].vaddr, 0);
    CU_ASSERT_EQUAL(layout.loads[1].vaddr, ELF_DATA_VADDR);
    free(elf);
}

static void reads_a_32_bit_file(void)
{
    struct cw_elf_layout layout;
    struct elf elf = {0};
    Elf32_Ehdr header = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS32, ELFDATA2LSB, 1},
                         .e_machine = EM_386,
                         .e_phoff = sizeof header,
                         .e_phentsize = sizeof(Elf32_Phdr),
                         .e_phnum = 2};
    Elf32_Phdr loads[] = {
        {.p_type = PT_LOAD,
         .p_vaddr = 0x8048000,
         .p_filesz = 0x100,
         .p_memsz = 0x200,
         .p_flags = 6},
        /* Passes the end of a 32-bit address space. */
        {.p_type = PT_LOAD, .p_vaddr = 0xfffff000, .p_memsz = 0x2000},
    };
    memcpy(elf.bytes, &header, sizeof header);
    memcpy(elf.bytes + sizeof header, loads, sizeof loads);
    CU_ASSERT_TRUE_FATAL(read_layout(&elf, ELF_BYTES, &layout));
    CU_ASSERT_EQUAL(layout.word_bytes, 4);
    CU_ASSERT_EQUAL(layout.load_count, 1);
    CU_ASSERT_TRUE(layout.loads[0].is_writable);
    CU_ASSERT_EQUAL(cw_elf_layout_address(&layout, 0xffff0000, 0x20000), 0x10000);
    uint64_t bias = 1;
    CU_ASSERT_TRUE(cw_elf_layout_bias(&layout, 4096, 0x8000000, 0, &bias));
    CU_ASSERT_EQUAL(bias, 0xfffb8000);
}

static void refuses_what_is_no_elf_file(void)
{
    static const struct {
        size_t offset;
        uint8_t value;
    } damages[] = {
        {0, 'E'}, {EI_CLASS, 3}, {EI_DATA, ELFDATA2MSB}, {54, 55}, {56, 0}, {57, 2}, {38, 0xff}};
    for (size_t i = 0; i < sizeof damages / sizeof damages[0]; i++) {
        struct elf *elf = elf_make();
        struct cw_elf_layout layout;
        elf->bytes[damages[i].offset] = damages[i].value;
        CU_ASSERT_FALSE(read_layout(elf, ELF_BYTES, &layout));
        free(elf);
    }
}

static void never_reads_past_the_end(void)
{
    struct elf *elf = elf_make();
    /* A copy without room behind it: the sanitizer sees a byte too many. */
    for (size_t size = 0; size < 0x300; size++) {
        uint8_t *front = malloc(size > 0 ? size : 1);
        memcpy(front, elf->bytes, size);
        struct cw_budget budget;
        struct cw_arena arena;
        struct cw_elf_layout layout;
        cw_budget_init(&budget, UINT64_MAX);
        cw_arena_init(&arena, &budget);
        bool is_read = cw_elf_layout_read(front, size, &arena, &layout);
        CU_ASSERT_EQUAL(is_read, size >= 64 + 4 * 56);
        CU_ASSERT_TRUE(!is_read || layout.notes_seen == (size >= ELF_NOTE_OFF + 36));
        cw_arena_deinit(&arena);
        free(front);
    }
    free(elf);
}

static void notes_with_lying_sizes_end_the_search(void)
{
    static const uint32_t lies[] = {0xffffffff, 0x7fffffff, 37, 33};
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        for (size_t field = 0; field < 2; field++) {
            struct elf *elf = elf_make();
            struct cw_elf_layout layout;
            memcpy(elf->bytes + ELF_NOTE_OFF + 4 * field, &lies[i], 4);
            CU_ASSERT_TRUE(read_layout(elf, ELF_BYTES, &layout));
            CU_ASSERT_EQUAL(layout.build_id_bytes, 0);
            free(elf);
        }
    }
}

static void notes_outside_the_bytes_are_not_seen(void)
{
    struct elf *elf = elf_make();
    struct cw_elf_layout layout;
    elf_program_header(elf, 2)->p_offset = UINT64_MAX - 10;
    CU_ASSERT_TRUE(read_layout(elf, ELF_BYTES, &layout));
    CU_ASSERT_FALSE(layout.notes_seen);
    free(elf);
}

static void segments_that_make_no_sense_are_left_out(void)
{
    struct elf *elf = elf_make();
    struct cw_elf_layout layout;
    elf_program_header(elf, 1)->p_vaddr = UINT64_MAX - 0x100;
    CU_ASSERT_TRUE(read_layout(elf, ELF_BYTES, &layout));
    CU_ASSERT_EQUAL(layout.load_count, 1);
    elf_program_header(elf, 0)->p_memsz = 1;
    CU_ASSERT_FALSE(read_layout(elf, ELF_BYTES, &layout));
    free(elf);
}

static void relates_mappings_to_segments(void)
{
    struct elf *elf = elf_make();
    struct cw_elf_layout layout;
    uint64_t bias = 1;
    CU_ASSERT_TRUE_FATAL(read_layout(elf, ELF_BYTES, &layout));
    CU_ASSERT_TRUE(cw_elf_layout_bias(&layout, 4096, 0x7000000, 0, &bias));
    CU_ASSERT_EQUAL(bias, 0x7000000);
    CU_ASSERT_TRUE(cw_elf_layout_bias(&layout, 4096, 0x7003000, ELF_DATA_OFF, &bias));
    CU_ASSERT_EQUAL(bias, 0x7000000);
    CU_ASSERT_FALSE(cw_elf_layout_bias(&layout, 4096, 0x7003000, 0x100000, &bias));
    CU_ASSERT_PTR_EQUAL(cw_elf_layout_load_at(&layout, 4096, bias, 0x7003000, ELF_DATA_OFF),
                        &layout.loads[1]);
    CU_ASSERT_PTR_NULL(cw_elf_layout_load_at(&layout, 4096, bias, 0x7002000, ELF_DATA_OFF));
    free(elf);
}

static void knows_its_machine(void)
{
    struct elf *elf = elf_make();
    struct cw_elf_layout layout;
    struct cw_target target = {.arch = CW_ARCH_X86_64, .word_bytes = 8};
    CU_ASSERT_TRUE_FATAL(read_layout(elf, ELF_BYTES, &layout));
    CU_ASSERT_TRUE(cw_elf_layout_fits(&layout, &target));
    target.arch = CW_ARCH_AARCH64;
    CU_ASSERT_FALSE(cw_elf_layout_fits(&layout, &target));
    target.arch = CW_ARCH_UNKNOWN;
    CU_ASSERT_TRUE(cw_elf_layout_fits(&layout, &target));
    target.word_bytes = 4;
    CU_ASSERT_FALSE(cw_elf_layout_fits(&layout, &target));
    free(elf);
}

CW_TEST_MAIN("image/elf_layout",
             CW_TEST(reads_segments_and_build_id),
             CW_TEST(sorts_segments_by_address),
             CW_TEST(reads_a_32_bit_file),
             CW_TEST(refuses_what_is_no_elf_file),
             CW_TEST(never_reads_past_the_end),
             CW_TEST(notes_with_lying_sizes_end_the_search),
             CW_TEST(notes_outside_the_bytes_are_not_seen),
             CW_TEST(segments_that_make_no_sense_are_left_out),
             CW_TEST(relates_mappings_to_segments),
             CW_TEST(knows_its_machine))
