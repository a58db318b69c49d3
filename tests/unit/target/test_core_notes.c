/* target/core_notes: what the notes say, and notes that lie. */
#include <elf.h>
#include <string.h>

#include "support/opened_core.h"
#include "support/unit.h"
#include "target/core_notes.h"

enum {
    RW = CW_PROT_READ | CW_PROT_WRITE,
    NOTE_HEADER_BYTES = 20, /* three numbers, and "CORE" padded to 8 */
};

static struct core_builder *sample(void)
{
    struct core_builder *builder = core_builder_create(CW_ARCH_X86_64);
    core_builder_segment(builder, 0x10000, 0x2000, RW);
    core_builder_mapping(builder, 0x400000, 0x3000, 0, "/bin/sample");
    core_builder_mapping(builder, 0x403000, 0x1000, 0x5000, "/lib/libother.so.1");
    core_builder_auxv(builder, AT_PAGESZ, 16384);
    core_builder_auxv(builder, AT_ENTRY, 0x400100);
    core_builder_auxv(builder, AT_PHDR, 0x400040);
    core_builder_auxv(builder, AT_BASE, 0x500000);
    core_builder_auxv(builder, AT_SYSINFO_EHDR, 0x600000);
    core_builder_auxv(builder, AT_RANDOM, 0x700000);
    core_builder_auxv(builder, AT_EXECFN, 0x800000);
    core_builder_auxv(builder, 123456789, 1);
    core_builder_thread(builder, 1234, 0x400111, 0x11000, 0x10500);
    core_builder_thread(builder, 1235, 0x400222, 0x11800, 0x10600);
    return builder;
}

/* Where the data of the n-th note of a type begins, or 0. */
static size_t find_note(const uint8_t *bytes, size_t size, uint32_t type, unsigned index)
{
    struct cw_elf_core core;
    if (cw_elf_core_parse(bytes, size, "core", &core, NULL) != CW_OK) {
        return 0;
    }
    struct cw_program_header header = cw_elf_core_header(&core, 0);
    size_t at = header.offset;
    while (at < header.offset + header.file_bytes) {
        uint32_t data_bytes = cw_load_u32(bytes + at + 4);
        if (cw_load_u32(bytes + at + 8) == type && index-- == 0) {
            return at + NOTE_HEADER_BYTES;
        }
        at += NOTE_HEADER_BYTES + (data_bytes + 3) / 4 * 4;
    }
    return 0;
}

static void set(uint8_t *bytes, size_t offset, uint64_t value, size_t size)
{
    memcpy(bytes + offset, &value, size);
}

static void threads_come_with_their_registers(void)
{
    struct core_builder *builder = sample();
    struct opened_core opened;
    size_t size;
    uint8_t *bytes = core_builder_finish(builder, &size);
    size_t status = find_note(bytes, size, NT_PRSTATUS, 0);
    set(bytes, status + 112 + 40, 0xabcdef, 8); /* rbx, the sixth */
    opened_core_open(&opened, bytes, size);
    CU_ASSERT_EQUAL_FATAL(opened.target.thread_count, 2);
    const struct cw_thread *first = &opened.target.threads[0];
    CU_ASSERT_EQUAL(first->tid, 1234);
    CU_ASSERT_EQUAL(first->pc, 0x400111);
    CU_ASSERT_EQUAL(first->sp, 0x11000);
    CU_ASSERT_EQUAL(first->tp, 0x10500);
    CU_ASSERT_EQUAL(first->signal, 6);
    CU_ASSERT_EQUAL(first->register_count, 27);
    CU_ASSERT_EQUAL(first->registers[5], 0xabcdef);
    CU_ASSERT_EQUAL(first->registers[16], 0x400111);
    CU_ASSERT_TRUE(first->has_registers);
    CU_ASSERT_EQUAL(opened.target.threads[1].tid, 1235);
    CU_ASSERT_EQUAL(opened.target.threads[1].sp, 0x11800);
    CU_ASSERT_EQUAL(opened.target.pid, 1234);
    CU_ASSERT_EQUAL(opened.target.signal, 6);
    CU_ASSERT_STRING_EQUAL(opened.target.program, "sample");
    opened_core_close(&opened);
    core_builder_destroy(builder);
}

/* A core whose memory and program reach the last byte that there is. */
static void check_machine(enum cw_arch arch, unsigned register_count, cw_addr top)
{
    struct core_builder *builder = core_builder_create(arch);
    struct opened_core opened;
    core_builder_segment(builder, 0x10000, 0x1000, RW);
    core_builder_segment(builder, top - 0xfff, 0x1000, RW);
    core_builder_mapping(builder, top - 0xfff, 0x1000, 0x2000, "/bin/sample");
    core_builder_auxv(builder, AT_PAGESZ, 16384);
    core_builder_auxv(builder, AT_ENTRY, top - 0xff);
    core_builder_thread(builder, 1234, top - 0xf0, 0x11000, top - 0x20);
    core_builder_thread(builder, 1235, 0x400222, 0x11800, 0x10600);
    core_builder_thread(builder, 1236, 0x400333, 0x11900, 0);
    opened_core_build(&opened, builder);
    CU_ASSERT_EQUAL_FATAL(opened.status, CW_OK);
    CU_ASSERT_EQUAL(opened.target.arch, arch);
    CU_ASSERT_EQUAL_FATAL(opened.target.thread_count, 3);
    const struct cw_thread *threads = opened.target.threads;
    CU_ASSERT_EQUAL(threads[0].tid, 1234);
    CU_ASSERT_EQUAL(threads[0].signal, 6);
    CU_ASSERT_EQUAL(threads[0].pc, top - 0xf0);
    CU_ASSERT_EQUAL(threads[0].sp, 0x11000);
    CU_ASSERT_EQUAL(threads[0].tp, top - 0x20);
    CU_ASSERT_EQUAL(threads[0].register_count, register_count);
    CU_ASSERT_EQUAL(threads[1].tid, 1235);
    CU_ASSERT_EQUAL(threads[1].pc, 0x400222);
    CU_ASSERT_EQUAL(threads[1].tp, 0x10600);
    CU_ASSERT_EQUAL(threads[2].tp, 0);
    CU_ASSERT_EQUAL(opened.target.pid, 1234);
    CU_ASSERT_EQUAL(opened.target.signal, 6);
    CU_ASSERT_STRING_EQUAL(opened.target.program, "sample");
    CU_ASSERT_EQUAL(opened.target.page_bytes, 16384);
    CU_ASSERT_EQUAL(opened.target.auxv_entry, top - 0xff);
    CU_ASSERT_EQUAL_FATAL(opened.target.mapping_count, 1);
    CU_ASSERT_EQUAL(opened.target.mappings[0].start, top - 0xfff);
    CU_ASSERT_EQUAL(opened.target.mappings[0].size_bytes, 0x1000);
    CU_ASSERT_EQUAL(opened.target.mappings[0].file_off, 0x2000);
    CU_ASSERT_EQUAL(opened.coverage.items.count, 0);
    uint64_t word;
    unsigned word_bytes = opened.target.word_bytes;
    CU_ASSERT_EQUAL(opened.space.region_count, 2);
    CU_ASSERT_TRUE(cw_space_read_word(&opened.space, top - (word_bytes - 1), &word));
    CU_ASSERT_FALSE(cw_space_read_word(&opened.space, top - (word_bytes - 2), &word));
    opened_core_close(&opened);
    core_builder_destroy(builder);
}

static void every_machine_is_read(void)
{
    check_machine(CW_ARCH_X86_64, 27, UINT64_MAX);
    check_machine(CW_ARCH_AARCH64, 34, UINT64_MAX);
    check_machine(CW_ARCH_I386, 17, UINT32_MAX);
}

static void a_thread_pointer_is_taken_from_the_entry_that_gs_names(void)
{
    struct core_builder *builder = core_builder_create(CW_ARCH_I386);
    struct opened_core opened;
    core_builder_thread(builder, 1234, 0x400111, 0x11000, 0x10500);
    size_t size;
    uint8_t *bytes = core_builder_finish(builder, &size);
    size_t status = find_note(bytes, size, NT_PRSTATUS, 0);
    set(bytes, status + 72 + 40, 13 << 3 | 3, 4); /* gs, the eleventh */
    opened_core_open(&opened, bytes, size);
    CU_ASSERT_EQUAL(opened.target.threads[0].tp, 0x1000);
    opened_core_close(&opened);
    set(bytes, status + 72 + 40, 0, 4);
    opened_core_open(&opened, bytes, size);
    CU_ASSERT_EQUAL(opened.target.threads[0].tp, 0);
    opened_core_close(&opened);
    core_builder_destroy(builder);
}

static void the_auxiliary_vector_is_taken_apart(void)
{
    struct core_builder *builder = sample();
    struct opened_core opened;
    opened_core_build(&opened, builder);
    CU_ASSERT_EQUAL(opened.target.page_bytes, 16384);
    CU_ASSERT_EQUAL(opened.target.auxv_entry, 0x400100);
    CU_ASSERT_EQUAL(opened.target.auxv_phdr, 0x400040);
    CU_ASSERT_EQUAL(opened.target.auxv_base, 0x500000);
    CU_ASSERT_EQUAL(opened.target.auxv_sysinfo_ehdr, 0x600000);
    CU_ASSERT_EQUAL(opened.target.auxv_random, 0x700000);
    CU_ASSERT_EQUAL(opened.target.auxv_execfn, 0x800000);
    opened_core_close(&opened);
    core_builder_destroy(builder);
}

static void an_absurd_page_size_is_not_believed(void)
{
    static const uint64_t sizes[] = {0, 1, 4097, (uint64_t)1 << 40};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct core_builder *builder = core_builder_create(CW_ARCH_X86_64);
        struct opened_core opened;
        core_builder_auxv(builder, AT_PAGESZ, sizes[i]);
        opened_core_build(&opened, builder);
        CU_ASSERT_EQUAL(opened.target.page_bytes, 4096);
        opened_core_close(&opened);
        core_builder_destroy(builder);
    }
}

static void segments_tell_the_page_size_that_the_vector_lacks(void)
{
    static const struct {
        uint64_t alignment;
        size_t size;
        uint64_t page_bytes;
    } cases[] = {
        {65536, 65536, 65536},
        {16384, 16384, 16384},
        {65536, 4096, 4096}, /* not what the segments are made of */
        {1, 65536, 4096},    /* gdb's */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct core_builder *builder = core_builder_create(CW_ARCH_AARCH64);
        struct opened_core opened;
        core_builder_segment(builder, 0x10000, cases[i].size, RW);
        size_t size;
        uint8_t *bytes = core_builder_finish(builder, &size);
        set(bytes, core_builder_header_off(builder, 0) + 48, cases[i].alignment, 8);
        opened_core_open(&opened, bytes, size);
        CU_ASSERT_EQUAL(opened.target.page_bytes, cases[i].page_bytes);
        opened_core_close(&opened);
        core_builder_destroy(builder);
    }
}

static void mapped_files_have_byte_offsets(void)
{
    struct core_builder *builder = sample();
    struct opened_core opened;
    opened_core_build(&opened, builder);
    CU_ASSERT_EQUAL_FATAL(opened.target.mapping_count, 2);
    const struct cw_mapping *mapping = &opened.target.mappings[1];
    CU_ASSERT_EQUAL(mapping->start, 0x403000);
    CU_ASSERT_EQUAL(mapping->size_bytes, 0x1000);
    CU_ASSERT_EQUAL(mapping->file_off, 0x5000);
    CU_ASSERT_STRING_EQUAL(mapping->path, "/lib/libother.so.1");
    CU_ASSERT_STRING_EQUAL(opened.target.mappings[0].path, "/bin/sample");
    CU_ASSERT_EQUAL(opened.coverage.items.count, 0);
    opened_core_close(&opened);
    core_builder_destroy(builder);
}

static void a_lying_file_count_is_refused(void)
{
    static const uint64_t counts[] = {3, 4, 1000, UINT64_MAX, UINT64_MAX / 24, UINT64_MAX / 24 + 2};
    struct core_builder *builder = sample();
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        struct opened_core opened;
        size_t size;
        uint8_t *bytes = core_builder_finish(builder, &size);
        set(bytes, find_note(bytes, size, NT_FILE, 0), counts[i], 8);
        opened_core_open(&opened, bytes, size);
        CU_ASSERT_EQUAL(opened.status, CW_OK);
        CU_ASSERT_PTR_NOT_NULL(opened_core_note(&opened, "core-notes-damaged"));
        CU_ASSERT_TRUE(opened.target.mapping_count <= 2);
        opened_core_close(&opened);
    }
    core_builder_destroy(builder);
}

static void entries_that_make_no_sense_are_left_out(void)
{
    struct core_builder *builder = sample();
    struct opened_core opened;
    size_t size;
    uint8_t *bytes = core_builder_finish(builder, &size);
    size_t files = find_note(bytes, size, NT_FILE, 0);
    set(bytes, files + 16 + 8, 0x3fffff, 8); /* the first one ends before it starts */
    opened_core_open(&opened, bytes, size);
    CU_ASSERT_EQUAL_FATAL(opened.target.mapping_count, 1);
    CU_ASSERT_STRING_EQUAL(opened.target.mappings[0].path, "/lib/libother.so.1");
    CU_ASSERT_PTR_NOT_NULL(opened_core_note(&opened, "core-notes-damaged"));
    opened_core_close(&opened);

    bytes = core_builder_finish(builder, &size);
    set(bytes, files + 8, UINT64_MAX, 8); /* offsets count in units that do not fit */
    opened_core_open(&opened, bytes, size);
    CU_ASSERT_EQUAL_FATAL(opened.target.mapping_count, 1);
    CU_ASSERT_STRING_EQUAL(opened.target.mappings[0].path, "/bin/sample");
    opened_core_close(&opened);
    core_builder_destroy(builder);
}

static void overlapping_files_are_cut(void)
{
    struct core_builder *builder = sample();
    struct opened_core opened;
    core_builder_mapping(builder, 0x402000, 0x4000, 0x10000, "/lib/later.so");
    opened_core_build(&opened, builder);
    CU_ASSERT_EQUAL_FATAL(opened.target.mapping_count, 2);
    CU_ASSERT_STRING_EQUAL(opened.target.mappings[1].path, "/lib/later.so");
    CU_ASSERT_EQUAL(opened.target.mappings[1].start, 0x403000);
    CU_ASSERT_EQUAL(opened.target.mappings[1].file_off, 0x11000);
    CU_ASSERT_PTR_NOT_NULL(opened_core_note(&opened, "core-segments-damaged"));
    opened_core_close(&opened);
    core_builder_destroy(builder);
}

static void notes_of_the_wrong_size_are_left_out(void)
{
    static const uint32_t types[] = {NT_PRSTATUS, NT_PRPSINFO, NT_SIGINFO, NT_AUXV};
    struct core_builder *builder = sample();
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        static const uint32_t sizes[] = {
            0, 1, 3, 7, 40, 100, 0x7fffffff, UINT32_MAX, UINT32_MAX - 3};
        for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++) {
            struct opened_core opened;
            size_t size;
            uint8_t *bytes = core_builder_finish(builder, &size);
            set(bytes, find_note(bytes, size, types[i], 0) - 16, sizes[k], 4);
            opened_core_open(&opened, bytes, size);
            CU_ASSERT_EQUAL(opened.status, CW_OK);
            bool is_noticed = opened_core_note(&opened, "core-notes-damaged") != NULL;
            bool has_fixed_size = types[i] == NT_PRSTATUS || types[i] == NT_PRPSINFO;
            CU_ASSERT_TRUE(is_noticed || (!has_fixed_size && sizes[k] < size));
            opened_core_close(&opened);
        }
    }
    core_builder_destroy(builder);
}

static void notes_of_others_are_passed_over(void)
{
    struct core_builder *builder = sample();
    struct opened_core opened;
    size_t size;
    uint8_t *bytes = core_builder_finish(builder, &size);
    size_t status = find_note(bytes, size, NT_PRSTATUS, 1);
    bytes[status - 8] = 'B';
    opened_core_open(&opened, bytes, size);
    CU_ASSERT_EQUAL(opened.target.thread_count, 1);
    CU_ASSERT_EQUAL(opened.coverage.items.count, 0);
    opened_core_close(&opened);
    core_builder_destroy(builder);
}

static void a_second_list_of_files_or_vector_does_not_count(void)
{
    struct core_builder *builder = sample();
    struct opened_core opened;
    size_t size;
    uint8_t *bytes = core_builder_finish(builder, &size);
    struct cw_elf_core core;
    CU_ASSERT_EQUAL_FATAL(cw_elf_core_parse(bytes, size, "core", &core, NULL), CW_OK);
    struct cw_program_header header = cw_elf_core_header(&core, 0);
    struct cw_core_notes notes;
    cw_budget_init(&opened.budget, UINT64_MAX);
    cw_core_notes_init(&notes, &opened.budget);
    CU_ASSERT_EQUAL(cw_core_notes_read(&notes, &core, &header, NULL), CW_OK);
    CU_ASSERT_EQUAL(cw_core_notes_read(&notes, &core, &header, NULL), CW_OK);
    CU_ASSERT_EQUAL(notes.mappings.count, 2);
    CU_ASSERT_EQUAL(notes.threads.count, 4);
    cw_core_notes_deinit(&notes);
    CU_ASSERT_EQUAL(opened.budget.used_bytes, 0);
    core_builder_destroy(builder);
}

static void repeated_notes_do_not_multiply_the_work(void)
{
    struct core_builder *builder = sample();
    struct opened_core opened;
    for (unsigned i = 0; i < 2000; i++) {
        core_builder_partial_segment(builder, 0x100000, 0x1000, 0, CW_PROT_READ);
    }
    size_t size;
    uint8_t *bytes = core_builder_finish(builder, &size);
    for (unsigned i = 0; i < 2000; i++) {
        size_t header_off = core_builder_header_off(builder, i + 1);
        set(bytes, header_off, PT_NOTE, 4);
        memcpy(bytes + header_off + 8, bytes + 64 + 8, 8);
        set(bytes, header_off + 32, size, 8);
    }
    opened_core_open(&opened, bytes, size);
    CU_ASSERT_EQUAL(opened.status, CW_OK);
    CU_ASSERT_TRUE(opened.target.thread_count < 1000);
    CU_ASSERT_PTR_NOT_NULL(opened_core_note(&opened, "core-notes-damaged"));
    opened_core_close(&opened);
    core_builder_destroy(builder);
}

static void open_with_signals(struct opened_core *opened,
                              bool is_from_debugger,
                              uint16_t cursig,
                              uint32_t siginfo)
{
    struct core_builder *builder = sample();
    size_t size;
    uint8_t *bytes = core_builder_finish(builder, &size);
    set(bytes, find_note(bytes, size, NT_PRSTATUS, 0) + 12, cursig, 2);
    set(bytes, find_note(bytes, size, NT_SIGINFO, 0), siginfo, 4);
    set(bytes, 60, is_from_debugger ? 3 : 0, 2);
    opened_core_open(opened, bytes, size);
    core_builder_destroy(builder);
}

static void only_a_signal_that_can_end_a_process_did(void)
{
    static const struct {
        bool is_from_debugger;
        uint16_t cursig;
        uint32_t siginfo;
        uint32_t signal;
    } cases[] = {
        {false, 11, 11, 11},
        {true, 0, 19, 0}, /* gcore of a running process */
        {true, 5, 5, 0},  /* gcore at a breakpoint */
        {false, 5, 5, 5},
        {true, 0, 11, 11},
        {false, 19, 19, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct opened_core opened;
        open_with_signals(&opened, cases[i].is_from_debugger, cases[i].cursig, cases[i].siginfo);
        CU_ASSERT_EQUAL(opened.target.signal, cases[i].signal);
        opened_core_close(&opened);
    }
}

static void a_spent_budget_is_an_error(void)
{
    struct core_builder *builder = sample();
    size_t size;
    uint8_t *bytes = core_builder_finish(builder, &size);
    struct cw_elf_core core;
    CU_ASSERT_EQUAL_FATAL(cw_elf_core_parse(bytes, size, "core", &core, NULL), CW_OK);
    struct cw_program_header header = cw_elf_core_header(&core, 0);
    static const uint64_t limits[] = {0, 16 * sizeof(struct cw_thread)};
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        struct cw_budget budget;
        struct cw_core_notes notes;
        cw_budget_init(&budget, limits[i]);
        cw_core_notes_init(&notes, &budget);
        CU_ASSERT_EQUAL(cw_core_notes_read(&notes, &core, &header, NULL), CW_ERROR_MEMORY);
        cw_core_notes_deinit(&notes);
        CU_ASSERT_EQUAL(budget.used_bytes, 0);
    }
    core_builder_destroy(builder);
}

CW_TEST_MAIN("target/core_notes",
             CW_TEST(threads_come_with_their_registers),
             CW_TEST(every_machine_is_read),
             CW_TEST(a_thread_pointer_is_taken_from_the_entry_that_gs_names),
             CW_TEST(the_auxiliary_vector_is_taken_apart),
             CW_TEST(an_absurd_page_size_is_not_believed),
             CW_TEST(segments_tell_the_page_size_that_the_vector_lacks),
             CW_TEST(mapped_files_have_byte_offsets),
             CW_TEST(a_lying_file_count_is_refused),
             CW_TEST(entries_that_make_no_sense_are_left_out),
             CW_TEST(overlapping_files_are_cut),
             CW_TEST(notes_of_the_wrong_size_are_left_out),
             CW_TEST(notes_of_others_are_passed_over),
             CW_TEST(a_second_list_of_files_or_vector_does_not_count),
             CW_TEST(repeated_notes_do_not_multiply_the_work),
             CW_TEST(only_a_signal_that_can_end_a_process_did),
             CW_TEST(a_spent_budget_is_an_error))
