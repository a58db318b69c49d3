/* heap/glibc_tcache: caches by TLS, both kinds of links, and damaged lists. */
#include <string.h>

#include "heap/glibc_layout.h"
#include "support/glibc_builder.h"
#include "support/unit.h"

static const struct glibc_layout *modern(void)
{
    return glibc_pick(glibc_with_word_bytes(8) & glibc_with_mp_form(GLIBC_MP_2_35) &
                      glibc_with_tcache_form(GLIBC_TCACHE_SHORT));
}

struct cached {
    struct glibc_builder *builder;
    cw_addr chunks[4];
};

static struct cached make(const struct glibc_layout *layout)
{
    struct cached cached = {.builder = glibc_builder_create(layout)};
    unsigned thread = glibc_builder_thread(cached.builder, 0);
    for (unsigned i = 0; i < 4; i++) {
        cached.chunks[i] = glibc_builder_chunk(cached.builder, 0, 0x40);
    }
    for (unsigned i = 0; i < 4; i++) {
        glibc_builder_cache(cached.builder, thread, cached.chunks[i]);
    }
    return cached;
}

static void open(struct heap_case *c, const struct cached *cached)
{
    heap_case_open(c, cached->builder);
    CU_ASSERT_EQUAL_FATAL(c->status, CW_OK);
    CU_ASSERT_PTR_NULL(heap_case_check(c));
}

static void done(struct heap_case *c, const struct cached *cached)
{
    CU_ASSERT(heap_case_close(c));
    glibc_builder_destroy(cached->builder);
}

static void follows_lists_of_every_form(void)
{
    size_t count;
    const struct glibc_layout *rows = glibc_layouts(&count);
    for (size_t i = 0; i < count; i++) {
        if (rows[i].word_bytes != 8 || rows[i].tcache_form == GLIBC_TCACHE_NONE) {
            continue;
        }
        struct cached cached = make(&rows[i]);
        struct heap_case c;
        open(&c, &cached);
        CU_ASSERT_EQUAL(c.heap.by_state[CW_CHUNK_TCACHE].count, 4);
        CU_ASSERT_EQUAL(c.heap.by_state[CW_CHUNK_USED].count, 0);
        CU_ASSERT_EQUAL(c.findings.items.count, 0);
        done(&c, &cached);
    }
}

static void a_second_free_is_found(void)
{
    struct cached cached = make(modern());
    cw_addr field = cached.chunks[0] + 16;
    core_builder_word(
        glibc_builder_core(cached.builder), field, (field >> 12) ^ (cached.chunks[3] + 16));
    struct heap_case c;
    open(&c, &cached);
    CU_ASSERT_EQUAL(heap_case_count(&c.findings, "double-free"), 1);
    CU_ASSERT_EQUAL(c.heap.by_state[CW_CHUNK_TCACHE].count, 4);
    done(&c, &cached);
}

static void an_overwritten_link_is_found(void)
{
    struct cached cached = make(modern());
    core_builder_word(
        glibc_builder_core(cached.builder), cached.chunks[2] + 16, 0x4141414141414141);
    cw_addr lost = cached.chunks[1];
    struct heap_case c;
    open(&c, &cached);
    CU_ASSERT_EQUAL(c.heap.by_state[CW_CHUNK_TCACHE].count, 2);
    CU_ASSERT_EQUAL(heap_case_state(&c, lost), CW_CHUNK_USED);
    done(&c, &cached);
}

/* What the list has lost still bears the key; it stays used, and is said to be doubtful. */
static void lost_chunks_are_counted_by_their_key(void)
{
    struct cached cached = make(modern());
    struct core_builder *core = glibc_builder_core(cached.builder);
    uint64_t key = 0x5a17c3b2690fd1e4;
    cw_addr chunks[7];
    for (unsigned i = 0; i < 7; i++) {
        chunks[i] = glibc_builder_chunk(cached.builder, 0, 0x60);
    }
    for (unsigned i = 0; i < 7; i++) {
        glibc_builder_cache(cached.builder, 0, chunks[i]);
        core_builder_word(core, chunks[i] + 24, key);
    }
    for (unsigned i = 0; i < 4; i++) {
        core_builder_word(core, cached.chunks[i] + 24, key);
    }
    struct heap_case c;
    open(&c, &cached);
    CU_ASSERT_EQUAL(heap_case_count(&c.coverage, "probably-cached"), 0);
    CU_ASSERT(heap_case_close(&c));
    core_builder_word(core, chunks[2] + 16, 0x4141414141414141);
    open(&c, &cached);
    CU_ASSERT_EQUAL(heap_case_state(&c, chunks[1]), CW_CHUNK_USED);
    CU_ASSERT_EQUAL_FATAL(heap_case_count(&c.coverage, "probably-cached"), 1);
    const char *text = cw_note_at(&c.coverage, c.coverage.items.count - 1)->text;
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "2 chunks of 192 bytes"));
    done(&c, &cached);
}

/* From 2.29 to 2.33: each cache marks with its own address, before 2.32 beside plain links. */
static const struct glibc_layout *with_plain_links(void)
{
    return glibc_pick(glibc_with_word_bytes(8) & glibc_with_tcache_form(GLIBC_TCACHE_SHORT) &
                      glibc_with_linking(GLIBC_LINKS_PLAIN));
}

/* Two caches of four chunks each, with a second word: their cache's address, or the word. */
static struct cached make_marked(uint64_t word, cw_addr chunks[2][4])
{
    struct cached cached = {.builder = glibc_builder_create(with_plain_links())};
    for (unsigned i = 0; i < 2; i++) {
        unsigned thread = glibc_builder_thread(cached.builder, 0);
        cw_addr key = word != 0 ? word : glibc_builder_cache_address(cached.builder, thread);
        for (unsigned k = 0; k < 4; k++) {
            chunks[i][k] = glibc_builder_chunk(cached.builder, 0, 0x60);
        }
        for (unsigned k = 0; k < 4; k++) {
            glibc_builder_cache(cached.builder, thread, chunks[i][k]);
            core_builder_word(glibc_builder_core(cached.builder), chunks[i][k] + 24, key);
        }
    }
    return cached;
}

static void a_cache_may_be_its_own_key(void)
{
    cw_addr chunks[2][4];
    struct cached cached = make_marked(0, chunks);
    struct core_builder *core = glibc_builder_core(cached.builder);
    struct heap_case c;
    open(&c, &cached);
    CU_ASSERT_EQUAL(c.findings.items.count, 0);
    CU_ASSERT(heap_case_close(&c));
    core_builder_word(core, chunks[1][2] + 24, glibc_builder_cache_address(cached.builder, 0));
    open(&c, &cached);
    CU_ASSERT_EQUAL(heap_case_count(&c.findings, "tcache-key"), 1);
    CU_ASSERT(heap_case_close(&c));
    core_builder_word(core, chunks[1][2] + 24, glibc_builder_cache_address(cached.builder, 1));
    core_builder_word(core, chunks[1][3] + 16, 0x4141414141414141);
    open(&c, &cached);
    CU_ASSERT_EQUAL_FATAL(heap_case_count(&c.coverage, "probably-cached"), 1);
    const char *text = cw_note_at(&c.coverage, c.coverage.items.count - 1)->text;
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "3 chunks of 288 bytes"));
    done(&c, &cached);
}

/* Before there were keys, the word is content, which may be alike. */
static void content_is_no_key(void)
{
    cw_addr chunks[2][4];
    struct cached cached = make_marked(0x6262626262626262, chunks);
    struct core_builder *core = glibc_builder_core(cached.builder);
    core_builder_word(core, chunks[1][0] + 24, 0x6363636363636363);
    core_builder_word(core, chunks[1][3] + 16, 0x4141414141414141);
    struct heap_case c;
    open(&c, &cached);
    CU_ASSERT_EQUAL(heap_case_count(&c.findings, "tcache-key"), 0);
    CU_ASSERT_EQUAL(heap_case_count(&c.coverage, "probably-cached"), 0);
    done(&c, &cached);
}

static void a_link_to_a_free_chunk_is_found(void)
{
    struct cached cached = make(modern());
    cw_addr freed = glibc_builder_chunk(cached.builder, 0, 0x210);
    glibc_builder_chunk(cached.builder, 0, 0x20);
    glibc_builder_bin(cached.builder, 0, freed, 33);
    cw_addr cache = glibc_builder_cache_address(cached.builder, 0);
    core_builder_word(glibc_builder_core(cached.builder), cache + 128 + 16, cached.chunks[3] + 24);
    struct heap_case c;
    open(&c, &cached);
    CU_ASSERT_EQUAL(heap_case_count(&c.findings, "tcache-link"), 1);
    done(&c, &cached);
}

/* The struct itself: told once, and what the other bins hold is still found. */
static void an_overwritten_struct_is_found(void)
{
    struct cached cached = make(modern());
    cw_addr cache = glibc_builder_cache_address(cached.builder, 0);
    for (unsigned off = 16; off < 48; off += 8) {
        core_builder_word(glibc_builder_core(cached.builder), cache + off, 0x4141414141414141);
    }
    struct heap_case c;
    open(&c, &cached);
    CU_ASSERT_EQUAL(c.findings.items.count, 1);
    CU_ASSERT_EQUAL_FATAL(heap_case_count(&c.findings, "tcache-struct"), 1);
    CU_ASSERT_EQUAL(cw_note_at(&c.findings, 0)->address, cache);
    CU_ASSERT_EQUAL(cw_note_at(&c.findings, 0)->culprit, 0);
    CU_ASSERT_EQUAL(c.heap.by_state[CW_CHUNK_TCACHE].count, 4);
    CU_ASSERT_EQUAL(heap_case_count(&c.coverage, "tcache-not-found"), 0);
    done(&c, &cached);
}

static void counts_that_fall_short_are_found(void)
{
    struct cached cached = make(modern());
    uint16_t count = 1;
    core_builder_bytes(glibc_builder_core(cached.builder),
                       glibc_builder_cache_address(cached.builder, 0) + 4,
                       &count,
                       sizeof count);
    struct heap_case c;
    open(&c, &cached);
    CU_ASSERT_EQUAL(heap_case_count(&c.findings, "tcache-count"), 1);
    CU_ASSERT_EQUAL(c.heap.by_state[CW_CHUNK_TCACHE].count, 2);
    done(&c, &cached);
}

/* Without TLS only the main thread's cache is known by its place. */
static void the_first_chunk_may_be_a_cache(void)
{
    struct cached cached = make(modern());
    size_t size;
    uint8_t *bytes = core_builder_finish(glibc_builder_core(cached.builder), &size);
    struct heap_case c;
    heap_case_open_bytes(&c, bytes, size);
    c.target.threads[0].tp = 0;
    struct cw_heap heap;
    CU_ASSERT_EQUAL(
        cw_heap_create(
            &c.space, NULL, c.pool, NULL, &c.memory, &c.coverage, &c.findings, &heap, NULL),
        CW_OK);
    CU_ASSERT_EQUAL(heap.by_state[CW_CHUNK_TCACHE].count, 4);
    CU_ASSERT_EQUAL(heap_case_count(&c.coverage, "tcache-unseen"), 1);
    cw_heap_destroy(&heap);
    done(&c, &cached);
}

static void a_cache_may_keep_a_remainder(void)
{
    struct glibc_builder *builder = glibc_builder_create(modern());
    struct cached cached = {.builder = builder};
    unsigned thread = glibc_builder_thread(builder, 0);
    cw_addr cache = glibc_builder_cache_address(builder, 0) - 16;
    struct core_builder *core = glibc_builder_core(builder);
    cached.chunks[0] = glibc_builder_chunk(builder, 0, 0x40);
    cached.chunks[1] = glibc_builder_chunk(builder, 0, 0x40);
    /* The cache swallows a part of the chunk behind it. */
    core_builder_word(core, cache + 8, 0x2a1);
    core_builder_word(core, cache + 0x2a0 + 8, 0x31);
    glibc_builder_cache(builder, thread, cached.chunks[1]);
    struct heap_case c;
    open(&c, &cached);
    CU_ASSERT_EQUAL(c.heap.by_state[CW_CHUNK_TCACHE].count, 1);
    CU_ASSERT_EQUAL(c.heap.by_state[CW_CHUNK_INTERNAL].bytes, 0x2a0);
    done(&c, &cached);
}

/* In 2.43 a cache may be a granule larger, which on i386 would make a chunk. */
static void a_cache_may_be_a_granule_larger(void)
{
    struct glibc_builder *builder = glibc_builder_create(
        glibc_pick(glibc_with_word_bytes(4) & glibc_with_mp_form(GLIBC_MP_2_43)));
    struct cached cached = {.builder = builder};
    unsigned thread = glibc_builder_thread(builder, 0);
    cw_addr cache = glibc_builder_cache_address(builder, 0) - 8;
    cached.chunks[0] = glibc_builder_chunk(builder, 0, 0x40);
    cached.chunks[1] = glibc_builder_chunk(builder, 0, 0x40);
    struct core_builder *core = glibc_builder_core(builder);
    core_builder_word(core, cache + 4, 0x1e1);
    core_builder_word(core, cache + 0x1e0 + 4, 0x31);
    glibc_builder_cache(builder, thread, cached.chunks[1]);
    struct heap_case c;
    open(&c, &cached);
    CU_ASSERT_EQUAL(c.heap.by_state[CW_CHUNK_TCACHE].count, 1);
    CU_ASSERT_EQUAL(c.heap.by_state[CW_CHUNK_INTERNAL].bytes, 0x1e0);
    done(&c, &cached);
}

/* The words of the builder's threads that point to their caches, and one that is farther off. */
static cw_addr near_field(unsigned thread)
{
    return UINT64_C(0x71000000) + (uint64_t)thread * 0x100000 + 0x3000 - 0x48;
}

static cw_addr far_field(unsigned thread)
{
    return near_field(thread) - 0x2f00;
}

/* Two threads with a cached chunk each; nothing of it is the first chunk. */
static struct cached make_two(const struct glibc_layout *layout)
{
    struct cached cached = {.builder = glibc_builder_create(layout)};
    glibc_builder_chunk(cached.builder, 0, 0x40);
    for (unsigned i = 0; i < 2; i++) {
        unsigned thread = glibc_builder_thread(cached.builder, 0);
        cached.chunks[i] = glibc_builder_chunk(cached.builder, 0, 0x40);
        glibc_builder_cache(cached.builder, thread, cached.chunks[i]);
    }
    return cached;
}

static void move_fields(const struct cached *cached, unsigned thread, bool is_kept)
{
    struct core_builder *core = glibc_builder_core(cached->builder);
    uint64_t user = core_builder_get_word(core, near_field(thread));
    core_builder_word(core, near_field(thread), 0);
    core_builder_word(core, far_field(thread), is_kept ? user : 0);
}

/* A filled block as large as a newer release's cache would count as an empty one. */
static void equal_bytes_are_no_cache(void)
{
    struct cached cached = make(modern());
    struct core_builder *core = glibc_builder_core(cached.builder);
    cw_addr chunk = glibc_builder_chunk(cached.builder, 0, 0x300);
    for (unsigned off = 16; off < 16 + 152; off += 8) {
        core_builder_word(core, chunk + off, 0x7878787878787878);
    }
    core_builder_word(core, near_field(0) + 8, chunk + 16);
    struct heap_case c;
    open(&c, &cached);
    CU_ASSERT_EQUAL(heap_case_state(&c, chunk), CW_CHUNK_USED);
    CU_ASSERT_EQUAL(c.heap.by_state[CW_CHUNK_TCACHE].count, 4);
    done(&c, &cached);
}

/* The program's own thread-local data lies between. */
static void caches_may_be_far_from_the_thread_pointer(void)
{
    struct cached cached = make_two(modern());
    move_fields(&cached, 0, true);
    move_fields(&cached, 1, true);
    struct heap_case c;
    open(&c, &cached);
    CU_ASSERT_EQUAL(c.heap.by_state[CW_CHUNK_TCACHE].count, 2);
    CU_ASSERT_EQUAL(c.heap.by_state[CW_CHUNK_INTERNAL].count, 2);
    CU_ASSERT_EQUAL(heap_case_count(&c.coverage, "tcache-not-found"), 0);
    done(&c, &cached);
}

/* The first thread has none; where the second one's is was learned later. */
static void a_thread_may_have_none(void)
{
    struct cached cached = make_two(modern());
    move_fields(&cached, 0, false);
    move_fields(&cached, 1, true);
    struct heap_case c;
    open(&c, &cached);
    CU_ASSERT_EQUAL(c.heap.by_state[CW_CHUNK_TCACHE].count, 1);
    CU_ASSERT_EQUAL(heap_case_state(&c, cached.chunks[1]), CW_CHUNK_TCACHE);
    CU_ASSERT_EQUAL(heap_case_count(&c.coverage, "tcache-not-found"), 0);
    done(&c, &cached);
}

static void no_cache_at_all_is_a_note(void)
{
    struct cached cached = make_two(modern());
    move_fields(&cached, 0, false);
    move_fields(&cached, 1, false);
    struct heap_case c;
    open(&c, &cached);
    CU_ASSERT_EQUAL(c.heap.by_state[CW_CHUNK_TCACHE].count, 0);
    CU_ASSERT_EQUAL(heap_case_count(&c.coverage, "tcache-not-found"), 1);
    done(&c, &cached);
}

/* From 2.43 on a thread makes its cache when it first frees something. */
static void no_cache_is_no_note_where_they_are_made_late(void)
{
    struct cached cached =
        make_two(glibc_pick(glibc_with_word_bytes(8) & glibc_with_mp_form(GLIBC_MP_2_43)));
    move_fields(&cached, 0, false);
    move_fields(&cached, 1, false);
    struct heap_case c;
    open(&c, &cached);
    CU_ASSERT_EQUAL(heap_case_count(&c.coverage, "tcache-not-found"), 0);
    done(&c, &cached);
}

/* Thread-local memory is there, but what points to the cache is lost. */
static void the_first_chunk_helps_with_readable_threads_too(void)
{
    struct cached cached = make(modern());
    move_fields(&cached, 0, false);
    struct heap_case c;
    open(&c, &cached);
    CU_ASSERT_EQUAL(c.heap.by_state[CW_CHUNK_TCACHE].count, 4);
    CU_ASSERT_EQUAL(c.coverage.items.count, 0);
    done(&c, &cached);
}

/* From 2.43 on, with a tunable, a cache keeps mappings: also of aligned blocks. */
static void mappings_may_be_cached(void)
{
    static const cw_addr mapping = 0x60000000;
    struct cached cached =
        make(glibc_pick(glibc_with_word_bytes(8) & glibc_with_mp_form(GLIBC_MP_2_43)));
    struct core_builder *core = glibc_builder_core(cached.builder);
    core_builder_segment(core, mapping, 0x4000, CW_PROT_READ | CW_PROT_WRITE);
    glibc_builder_mmapped(cached.builder, mapping, 0x2000, 0);
    glibc_builder_mmapped(cached.builder, mapping + 0x2000, 0x2000, 0x7f0);
    cw_addr users[] = {mapping + 16, mapping + 0x2800};
    cw_addr cache = glibc_builder_cache_address(cached.builder, 0);
    uint16_t slots = GLIBC_BUILDER_TCACHE_COUNT - 2;
    core_builder_bytes(core, cache + (uint64_t)2 * 65, &slots, sizeof slots);
    core_builder_word(core, cache + (uint64_t)2 * 76 + (uint64_t)8 * 65, users[0]);
    core_builder_word(core, users[0], (users[0] >> 12) ^ users[1]);
    core_builder_word(core, users[1], users[1] >> 12);
    struct heap_case c;
    open(&c, &cached);
    CU_ASSERT_EQUAL(heap_case_state(&c, mapping), CW_CHUNK_TCACHE);
    CU_ASSERT_EQUAL(heap_case_state(&c, mapping + 0x2000), CW_CHUNK_TCACHE);
    CU_ASSERT_EQUAL(c.heap.by_state[CW_CHUNK_TCACHE].count, 6);
    CU_ASSERT_EQUAL(c.heap.by_state[CW_CHUNK_MMAPPED].count, 0);
    CU_ASSERT_EQUAL(c.heap.arenas[0].by_state[CW_CHUNK_TCACHE].count, 4);
    CU_ASSERT_EQUAL(c.findings.items.count, 0);
    CU_ASSERT_EQUAL(c.coverage.items.count, 0);
    done(&c, &cached);
}

CW_TEST_MAIN("heap/glibc_tcache",
             CW_TEST(follows_lists_of_every_form),
             CW_TEST(a_second_free_is_found),
             CW_TEST(an_overwritten_link_is_found),
             CW_TEST(lost_chunks_are_counted_by_their_key),
             CW_TEST(a_cache_may_be_its_own_key),
             CW_TEST(content_is_no_key),
             CW_TEST(a_link_to_a_free_chunk_is_found),
             CW_TEST(an_overwritten_struct_is_found),
             CW_TEST(counts_that_fall_short_are_found),
             CW_TEST(the_first_chunk_may_be_a_cache),
             CW_TEST(a_cache_may_keep_a_remainder),
             CW_TEST(a_cache_may_be_a_granule_larger),
             CW_TEST(equal_bytes_are_no_cache),
             CW_TEST(caches_may_be_far_from_the_thread_pointer),
             CW_TEST(a_thread_may_have_none),
             CW_TEST(no_cache_at_all_is_a_note),
             CW_TEST(no_cache_is_no_note_where_they_are_made_late),
             CW_TEST(the_first_chunk_helps_with_readable_threads_too),
             CW_TEST(mappings_may_be_cached))
