/* classify/classify_allocator and libc_facts: what the C library holds, only where it says so. */
#include "unit/classify/fixture.h"

enum {
    STREAM_BYTES = 0x1d8, /* struct locked_FILE */
    BUFFER_BYTES = 4096,
};

static void write_at(struct fixture *f, uint32_t index, size_t off, uint64_t word)
{
    fixture_write(fixture_bytes(f, index) + off, word);
}

static uint32_t add_stream(struct fixture *f, uint32_t buffer, cw_addr next)
{
    uint32_t index = fixture_add(f, CW_CHUNK_USED, NULL, 0, STREAM_BYTES);
    write_at(f, index, 0, 0xfbad2488);
    write_at(f, index, 0x38, fixture_user(f, buffer));
    write_at(f, index, 0x40, fixture_user(f, buffer) + BUFFER_BYTES);
    write_at(f, index, 0x68, next);
    write_at(f, index, 0xd8, FIXTURE_RELRO + 0x800);
    return index;
}

static void assert_fact(const struct cw_classification *c, uint32_t index, const char *name)
{
    const struct cw_population *population = cw_classification_of(c, index);
    CU_ASSERT_STRING_EQUAL(population->name, name);
    CU_ASSERT_EQUAL(population->kind, CW_POPULATION_ALLOCATOR);
    CU_ASSERT_EQUAL(population->confidence, CW_CERTAIN);
}

static void streams_lead_to_their_buffers(void)
{
    struct fixture *f = fixture_create(16, 1 << 16);
    f->private.libc = &f->modules[0];
    uint32_t buffer1 = fixture_word(f, 1ULL << 40, BUFFER_BYTES);
    uint32_t buffer2 = fixture_word(f, 1ULL << 40, BUFFER_BYTES);
    uint32_t buffer3 = fixture_word(f, 1ULL << 40, BUFFER_BYTES);
    uint32_t unrelated = fixture_word(f, 1ULL << 40, BUFFER_BYTES);
    uint32_t stream1 = add_stream(f, buffer1, FIXTURE_DATA + 0x800);
    uint32_t stream2 = add_stream(f, buffer2, fixture_user(f, stream1));
    uint32_t loose = add_stream(f, unrelated, 0);
    fixture_put(f, FIXTURE_DATA + 0x10, fixture_user(f, stream2)); /* the head of the list */
    fixture_put(f, FIXTURE_DATA + 0x800, 0xfbad2088);              /* stdout */
    fixture_put(f, FIXTURE_DATA + 0x838, fixture_user(f, buffer3));
    fixture_put(f, FIXTURE_DATA + 0x840, fixture_user(f, buffer3) + 1024);
    fixture_put(f, FIXTURE_DATA + 0x868, fixture_user(f, stream2)); /* a ring */
    fixture_put(f, FIXTURE_DATA + 0x8d8, FIXTURE_RELRO + 0x800);
    fixture_finish(f);
    struct cw_classification c = fixture_classify(f);
    assert_fact(&c, stream1, "stdio stream (FILE)");
    assert_fact(&c, stream2, "stdio stream (FILE)");
    assert_fact(&c, loose, "stdio stream (FILE)");
    assert_fact(&c, buffer1, "stdio buffer");
    assert_fact(&c, buffer2, "stdio buffer");
    assert_fact(&c, buffer3, "stdio buffer");
    CU_ASSERT_STRING_EQUAL(fixture_name(&c, unrelated), "4-8 KiB chunks");
    cw_classification_destroy(&c);
    fixture_destroy(f);
}

static void flags_alone_make_no_stream(void)
{
    struct fixture *f = fixture_create(16, 1 << 16);
    uint32_t no_vtable = fixture_word(f, 0xfbad2488, STREAM_BYTES);
    uint32_t reversed = fixture_word(f, 0xfbad2488, STREAM_BYTES);
    write_at(f, reversed, 0x38, 2);
    write_at(f, reversed, 0x40, 1);
    write_at(f, reversed, 0xd8, FIXTURE_RELRO + 0x800);
    uint32_t last = fixture_word(f, 0xfbad2488, 40); /* reaches past the heap */
    fixture_finish(f);
    struct cw_classification c = fixture_classify(f);
    CU_ASSERT_EQUAL(cw_classification_of(&c, no_vtable)->kind, CW_POPULATION_SIZE);
    CU_ASSERT_EQUAL(cw_classification_of(&c, reversed)->kind, CW_POPULATION_SIZE);
    CU_ASSERT_EQUAL(cw_classification_of(&c, last)->kind, CW_POPULATION_SIZE);
    cw_classification_destroy(&c);
    fixture_destroy(f);
}

static void threads_lead_to_their_storage(void)
{
    struct fixture *f = fixture_create(16, 1 << 16);
    cw_addr tcb = FIXTURE_DATA + 0x900;
    uint32_t block = fixture_word(f, 1ULL << 40, 200);
    uint32_t dtv = fixture_word(f, 16, 288);
    write_at(f, dtv, 0x30, fixture_user(f, block) + 64); /* entry 2: aligned value */
    write_at(f, dtv, 0x38, fixture_user(f, block));
    write_at(f, dtv, 0x48, 1); /* not allocated by malloc */
    fixture_put(f, tcb + 8, fixture_user(f, dtv) + 16);
    fixture_put(f, tcb + 16, tcb);
    f->thread.tp = tcb;
    f->target.threads = &f->thread;
    f->target.thread_count = 1;
    fixture_finish(f);
    struct cw_classification c = fixture_classify(f);
    assert_fact(&c, dtv, "thread-local storage table (dtv)");
    assert_fact(&c, block, "thread-local storage of a library");
    cw_classification_destroy(&c);
    fixture_put(f, tcb + 16, tcb + 8); /* not a control block after all */
    c = fixture_classify(f);
    CU_ASSERT_EQUAL(cw_classification_of(&c, dtv)->kind, CW_POPULATION_SIZE);
    cw_classification_destroy(&c);
    f->target.arch = CW_ARCH_AARCH64;
    fixture_put(f, tcb, fixture_user(f, dtv) + 16);
    c = fixture_classify(f);
    assert_fact(&c, dtv, "thread-local storage table (dtv)");
    cw_classification_destroy(&c);
    fixture_destroy(f);
}

/* Program headers, dynamic section and r_debug in the module's pages. */
static void add_linker_facts(struct fixture *f, cw_addr first_map)
{
    cw_addr phdr = FIXTURE_MODULE + 0x40;
    f->target.auxv_phdr = phdr;
    fixture_put(f, phdr, 6); /* PT_PHDR */
    fixture_put(f, phdr + 16, 0x40);
    fixture_put(f, phdr + 56, 1);  /* PT_LOAD */
    fixture_put(f, phdr + 112, 2); /* PT_DYNAMIC */
    fixture_put(f, phdr + 112 + 16, 0x4a00);
    fixture_put(f, FIXTURE_DATA + 0xa00, 1);
    fixture_put(f, FIXTURE_DATA + 0xa08, 99);
    fixture_put(f, FIXTURE_DATA + 0xa10, 21); /* DT_DEBUG */
    fixture_put(f, FIXTURE_DATA + 0xa18, FIXTURE_DATA + 0xb00);
    fixture_put(f, FIXTURE_DATA + 0xb00, 1); /* r_version */
    fixture_put(f, FIXTURE_DATA + 0xb08, first_map);
}

static void the_linker_s_list_leads_to_its_objects(void)
{
    struct fixture *f = fixture_create(16, 1 << 16);
    uint32_t name1 = fixture_chunk(f, "/lib/libone.so", 15);
    uint32_t name2 = fixture_chunk(f, "/lib/libtwo.so", 15);
    uint32_t maps[3];
    for (unsigned i = 0; i < 3; i++) {
        maps[i] = fixture_word(f, 0x700000000000, 1100);
    }
    write_at(f, maps[0], 8, fixture_user(f, name1));
    write_at(f, maps[0], 24, fixture_user(f, maps[1]));
    write_at(f, maps[1], 8, fixture_user(f, name2));
    write_at(f, maps[1], 24, fixture_user(f, maps[2]));
    write_at(f, maps[1], 32, fixture_user(f, maps[0]));
    write_at(f, maps[2], 32, fixture_user(f, maps[0])); /* does not point back */
    add_linker_facts(f, fixture_user(f, maps[0]));
    fixture_finish(f);
    struct cw_classification c = fixture_classify(f);
    assert_fact(&c, maps[0], "loaded object (link_map)");
    assert_fact(&c, maps[1], "loaded object (link_map)");
    assert_fact(&c, name1, "path of a loaded object");
    assert_fact(&c, name2, "path of a loaded object");
    CU_ASSERT_STRING_EQUAL(fixture_name(&c, maps[2]), "1-2 KiB chunks");
    cw_classification_destroy(&c);
    fixture_put(f, FIXTURE_DATA + 0xa00, 0); /* DT_NULL before DT_DEBUG */
    c = fixture_classify(f);
    CU_ASSERT_STRING_EQUAL(fixture_name(&c, maps[0]), "1-2 KiB chunks");
    CU_ASSERT_STRING_EQUAL(fixture_name(&c, name1), "text: path");
    cw_classification_destroy(&c);
    fixture_put(f, FIXTURE_MODULE + 0x40, 1); /* no PT_PHDR: no bias */
    c = fixture_classify(f);
    CU_ASSERT_STRING_EQUAL(fixture_name(&c, maps[0]), "1-2 KiB chunks");
    cw_classification_destroy(&c);
    f->target.auxv_phdr = UINT64_MAX - 8;
    c = fixture_classify(f);
    CU_ASSERT_STRING_EQUAL(fixture_name(&c, maps[0]), "1-2 KiB chunks");
    cw_classification_destroy(&c);
    fixture_destroy(f);
}

static void the_exception_pool_is_the_one_with_its_size(void)
{
    struct fixture *f = fixture_create(16, 1 << 18);
    f->modules[0].name = "libstdc++.so.6.0.30";
    uint32_t pool = fixture_add(f, CW_CHUNK_USED, NULL, 0, 72704);
    uint32_t other = fixture_add(f, CW_CHUNK_USED, NULL, 0, 72704);
    fixture_put(f, FIXTURE_DATA + 0x700, fixture_user(f, pool));
    fixture_put(f, FIXTURE_DATA + 0x708, 72704);
    fixture_put(f, FIXTURE_DATA + 0x720, fixture_user(f, other));
    fixture_put(f, FIXTURE_DATA + 0x728, 72000);
    fixture_put(f, FIXTURE_DATA + 0x740, fixture_user(f, other) + 16);
    fixture_put(f, FIXTURE_DATA + 0x748, 72704);
    fixture_finish(f);
    struct cw_classification c = fixture_classify(f);
    assert_fact(&c, pool, "exception pool of libstdc++");
    CU_ASSERT_STRING_EQUAL(fixture_name(&c, other), "all zero");
    cw_classification_destroy(&c);
    fixture_destroy(f);
}

CW_TEST_MAIN("classify/classify_allocator",
             CW_TEST(streams_lead_to_their_buffers),
             CW_TEST(flags_alone_make_no_stream),
             CW_TEST(threads_lead_to_their_storage),
             CW_TEST(the_exception_pool_is_the_one_with_its_size),
             CW_TEST(the_linker_s_list_leads_to_its_objects))
