/* classify/classify: the pass, the census and its limits, the order of populations. */
#include "classify/classify.h"
#include "unit/classify/fixture.h"

static void every_held_chunk_is_in_one_population(void)
{
    struct fixture *f = fixture_create(8, 4096);
    uint32_t small = fixture_word(f, 1ULL << 40, 100);
    uint32_t cached = fixture_add(f, CW_CHUNK_TCACHE, NULL, 0, 100);
    uint32_t same = fixture_word(f, 3ULL << 40, 104);
    uint32_t inner = fixture_add(f, CW_CHUNK_INTERNAL, NULL, 0, 640);
    uint32_t free = fixture_add(f, CW_CHUNK_BINNED, NULL, 0, 200);
    fixture_finish(f);
    struct cw_classification c = fixture_classify(f);
    CU_ASSERT_EQUAL_FATAL(c.population_count, 1);
    CU_ASSERT_STRING_EQUAL(c.populations[0].name, "112-byte chunks");
    CU_ASSERT_EQUAL(c.populations[0].kind, CW_POPULATION_SIZE);
    CU_ASSERT_EQUAL(c.populations[0].total.count, 2);
    CU_ASSERT_EQUAL(c.populations[0].total.bytes, 224);
    CU_ASSERT_EQUAL(c.populations[0].smallest_bytes, 112);
    CU_ASSERT_EQUAL(c.populations[0].largest_bytes, 112);
    CU_ASSERT_EQUAL(c.populations[0].sample_count, 2);
    CU_ASSERT_EQUAL(c.populations[0].samples[0], fixture_user(f, small));
    CU_ASSERT_EQUAL(c.populations[0].samples[1], fixture_user(f, same));
    CU_ASSERT_PTR_EQUAL(cw_classification_of(&c, small), &c.populations[0]);
    CU_ASSERT_PTR_EQUAL(cw_classification_of(&c, same), &c.populations[0]);
    CU_ASSERT_PTR_NULL(cw_classification_of(&c, cached));
    CU_ASSERT_PTR_NULL(cw_classification_of(&c, inner));
    CU_ASSERT_PTR_NULL(cw_classification_of(&c, free));
    cw_classification_destroy(&c);
    fixture_destroy(f);
}

static void an_empty_heap_has_no_populations(void)
{
    struct fixture *f = fixture_create(1, 64);
    f->heap.chunks.extent_count = 0;
    struct cw_classification c = fixture_classify(f);
    CU_ASSERT_EQUAL(c.population_count, 0);
    cw_classification_destroy(&c);
    fixture_destroy(f);
}

static void populations_are_sorted_by_bytes_then_name(void)
{
    struct fixture *f = fixture_create(16, 1 << 16);
    fixture_word(f, 1ULL << 40, 24);
    fixture_word(f, 1ULL << 40, 24);
    fixture_word(f, 1ULL << 40, 56); /* as many bytes as the two before it */
    fixture_word(f, 1ULL << 40, 5000);
    fixture_finish(f);
    struct cw_classification c = fixture_classify(f);
    CU_ASSERT_EQUAL_FATAL(c.population_count, 3);
    CU_ASSERT_STRING_EQUAL(c.populations[0].name, "4-8 KiB chunks");
    CU_ASSERT_STRING_EQUAL(c.populations[1].name, "32-byte chunks");
    CU_ASSERT_STRING_EQUAL(c.populations[2].name, "64-byte chunks");
    cw_classification_destroy(&c);
    fixture_destroy(f);
}

/* A heap over many blocks with something for every recogniser, from a fixed seed. */
static struct fixture *make_mixed_heap(uint32_t chunk_count)
{
    struct fixture *f = fixture_create(chunk_count + 1, (size_t)chunk_count * 160 + 4096);
    uint64_t seed = 42;
    for (uint32_t i = 0; i < chunk_count; i++) {
        seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
        unsigned pick = (unsigned)(seed >> 60);
        size_t usable = 24 + 16 * ((seed >> 40) % 8);
        if (pick == 0) {
            fixture_word(f, FIXTURE_WIDGET, usable);
        } else if (pick == 1) {
            fixture_word(f, FIXTURE_RODATA + 0x100 + (seed >> 50) % 256 * 8, usable);
        } else if (pick == 2) {
            fixture_chunk(f, "/usr/lib/library.so", 20);
        } else if (pick == 3) {
            fixture_add(f, CW_CHUNK_USED, NULL, 0, usable);
        } else if (pick == 4) {
            fixture_add(f, CW_CHUNK_BINNED, NULL, 0, usable);
        } else {
            fixture_word(f, FIXTURE_HEAP + (seed >> 44) * 16, usable);
        }
    }
    fixture_finish(f);
    return f;
}

static void assert_same(const struct cw_classification *a,
                        const struct cw_classification *b,
                        uint32_t chunk_count)
{
    CU_ASSERT_EQUAL_FATAL(a->population_count, b->population_count);
    CU_ASSERT_EQUAL(
        memcmp(a->population_column.data, b->population_column.data, chunk_count * 4ULL), 0);
    for (uint32_t i = 0; i < a->population_count; i++) {
        const struct cw_population *left = &a->populations[i];
        const struct cw_population *right = &b->populations[i];
        CU_ASSERT_STRING_EQUAL(left->name, right->name);
        CU_ASSERT_STRING_EQUAL(left->evidence, right->evidence);
        CU_ASSERT_EQUAL(left->kind, right->kind);
        CU_ASSERT_EQUAL(left->confidence, right->confidence);
        CU_ASSERT_EQUAL(left->total.count, right->total.count);
        CU_ASSERT_EQUAL(left->total.bytes, right->total.bytes);
        CU_ASSERT_EQUAL(left->smallest_bytes, right->smallest_bytes);
        CU_ASSERT_EQUAL(left->largest_bytes, right->largest_bytes);
        CU_ASSERT_EQUAL(left->sample_count, right->sample_count);
        CU_ASSERT_EQUAL(memcmp(left->samples, right->samples, sizeof left->samples), 0);
    }
}

static void the_result_does_not_depend_on_the_threads(void)
{
    enum { CHUNKS = 300000 };
    struct fixture *f = make_mixed_heap(CHUNKS);
    struct cw_classification one = fixture_classify(f);
    for (unsigned threads = 2; threads <= 8; threads *= 2) {
        struct cw_classification more = {0};
        CU_ASSERT_EQUAL(fixture_classify_on(f, threads, NULL, &more), CW_OK);
        assert_same(&one, &more, CHUNKS);
        cw_classification_destroy(&more);
    }
    struct cw_tally sum = {0};
    for (uint32_t i = 0; i < one.population_count; i++) {
        cw_tally_merge(&sum, &one.populations[i].total);
        CU_ASSERT_EQUAL(one.populations[i].sample_count,
                        cw_min(one.populations[i].total.count, CW_POPULATION_SAMPLES));
    }
    struct cw_tally held = {0};
    for (uint32_t i = 0; i < CHUNKS; i++) {
        struct cw_chunk chunk = cw_chunk_table_get(&f->heap.chunks, i);
        const struct cw_population *population = cw_classification_of(&one, i);
        CU_ASSERT_EQUAL(population != NULL, chunk.state == CW_CHUNK_USED);
        if (population != NULL) {
            cw_tally_add(&held, chunk.size_bytes);
        }
    }
    CU_ASSERT_EQUAL(sum.count, held.count);
    CU_ASSERT_EQUAL(sum.bytes, held.bytes);
    cw_classification_destroy(&one);
    fixture_destroy(f);
}

/* A module of a GiB, so that there are more addresses in it than a classifier gets keys. */
static void too_many_keys_become_coarse_ones(void)
{
    enum { CHUNKS = CW_CLASSIFIER_KEY_LIMIT + 5000 };
    struct fixture *f = fixture_create(CHUNKS + 100, (size_t)CHUNKS * 64);
    f->modules[0].size_bytes = 1 << 30;
    f->ranges[0].size_bytes = 1 << 30;
    f->sections[3].size_bytes = (1 << 30) - 0x4000;
    for (uint32_t i = 0; i < CHUNKS; i++) {
        fixture_word(f, FIXTURE_DATA + 0x10000 + i * 16ULL, 40);
    }
    for (uint32_t i = 0; i < 20; i++) {
        fixture_word(f, FIXTURE_OPS, 40);
    }
    fixture_finish(f);
    struct cw_classification one = fixture_classify(f);
    struct cw_classification four = {0};
    CU_ASSERT_EQUAL(fixture_classify_on(f, 4, NULL, &four), CW_OK);
    assert_same(&one, &four, f->heap.chunks.chunk_count);
    CU_ASSERT_EQUAL_FATAL(one.population_count, 2);
    CU_ASSERT_STRING_EQUAL(one.populations[0].name, "starts with a pointer into server (.data)");
    CU_ASSERT_EQUAL(one.populations[0].total.count, CHUNKS);
    CU_ASSERT_EQUAL(one.populations[0].samples[0], fixture_user(f, 0));
    CU_ASSERT_EQUAL(one.populations[0].samples[3], fixture_user(f, 3));
    CU_ASSERT_EQUAL(one.populations[1].total.count, 20);
    cw_classification_destroy(&one);
    cw_classification_destroy(&four);
    fixture_destroy(f);
}

static void missing_content_is_only_a_size(void)
{
    struct fixture *f = fixture_create(8, 4096);
    fixture_chunk(f, "some text that is long enough", 30);
    uint32_t cut = fixture_chunk(f, "more text that is cut after ten", 32);
    uint32_t missing = fixture_chunk(f, "some text that is long enough", 30);
    fixture_finish_held(f, fixture_user(f, cut) + 10 - FIXTURE_HEAP);
    uint32_t mapped = fixture_mmapped(f, NULL, 1 << 20);
    struct cw_classification c = fixture_classify(f);
    CU_ASSERT_STRING_EQUAL(fixture_name(&c, missing), "48-byte chunks (content not in the core)");
    CU_ASSERT_STRING_EQUAL(fixture_name(&c, mapped), "1-2 MiB chunks (content not in the core)");
    CU_ASSERT_STRING_EQUAL(fixture_name(&c, 0), "text: plain");
    /* What is seen of it is text, but too short to say more. */
    CU_ASSERT_STRING_EQUAL(fixture_name(&c, cut), "short text");
    CU_ASSERT_STRING_EQUAL(cw_classification_of(&c, missing)->evidence, "malloc(25-40)");
    cw_classification_destroy(&c);
    fixture_destroy(f);
}

static void mmapped_chunks_are_seen_whole(void)
{
    enum { BYTES = 1 << 20 };
    struct fixture *f = fixture_create(8, 4096);
    fixture_word(f, 1ULL << 40, 40);
    fixture_finish(f);
    uint8_t *zeros = calloc(1, BYTES);
    uint8_t *dirty = calloc(1, BYTES);
    dirty[BYTES - 1] = 1;
    uint32_t clean = fixture_mmapped(f, zeros, BYTES);
    uint32_t last_byte = fixture_mmapped(f, dirty, BYTES);
    struct cw_classification c = fixture_classify(f);
    CU_ASSERT_STRING_EQUAL(fixture_name(&c, clean), "all zero");
    CU_ASSERT_STRING_EQUAL(fixture_name(&c, last_byte), "1-2 MiB chunks");
    cw_classification_destroy(&c);
    fixture_destroy(f);
    free(zeros);
    free(dirty);
}

struct calls {
    unsigned count;
    unsigned stop_at;
    uint64_t last_done;
};

static bool count_call(void *context, const char *phase, uint64_t done, uint64_t total)
{
    struct calls *calls = context;
    CU_ASSERT_STRING_EQUAL(phase, "classify");
    CU_ASSERT_TRUE(done <= total);
    calls->last_done = done;
    return ++calls->count != calls->stop_at;
}

static void progress_ends_at_the_total_and_can_cancel(void)
{
    enum { CHUNKS = 100000 };
    struct fixture *f = make_mixed_heap(CHUNKS);
    struct calls calls = {.stop_at = 0};
    struct cw_progress progress = {count_call, &calls};
    struct cw_classification c = {0};
    CU_ASSERT_EQUAL(fixture_classify_on(f, 1, &progress, &c), CW_OK);
    CU_ASSERT_EQUAL(calls.last_done, CHUNKS);
    cw_classification_destroy(&c);
    for (unsigned i = 1; i <= calls.count; i++) {
        struct calls again = {.stop_at = i};
        progress.context = &again;
        CU_ASSERT_EQUAL(fixture_classify_on(f, 1, &progress, &c), CW_ERROR_CANCELLED);
        CU_ASSERT_PTR_NULL(c.populations);
        CU_ASSERT_TRUE(again.count <= i + 1);
    }
    fixture_destroy(f);
}

static void every_budget_is_enough_or_said_to_be_spent(void)
{
    struct fixture *f = make_mixed_heap(5000);
    unsigned successes = 0;
    fixture_open(f);
    for (uint64_t more = 0; more < 1 << 20 && successes < 3; more += 1500) {
        struct cw_arena memory;
        struct cw_budget budget;
        struct cw_classification c = {0};
        struct cw_error err = CW_ERROR_INIT;
        struct cw_pool *pool;
        cw_budget_init(&budget, more);
        cw_arena_init(&memory, &budget);
        CU_ASSERT_EQUAL_FATAL(cw_pool_create(2, &pool, &err), CW_OK);
        enum cw_status status = cw_classify(&f->heap, pool, NULL, &memory, &c, &err);
        CU_ASSERT_TRUE(status == CW_OK || status == CW_ERROR_MEMORY);
        successes += status == CW_OK;
        cw_pool_destroy(pool);
        cw_classification_destroy(&c);
        cw_arena_deinit(&memory);
        CU_ASSERT_EQUAL(budget.used_bytes, 0);
    }
    CU_ASSERT_EQUAL(successes, 3);
    fixture_destroy(f);
}

static void kinds_and_confidences_have_the_report_s_words(void)
{
    CU_ASSERT_STRING_EQUAL(cw_population_kind_name(CW_POPULATION_ALLOCATOR), "allocator");
    CU_ASSERT_STRING_EQUAL(cw_population_kind_name(CW_POPULATION_VTABLE), "vtable");
    CU_ASSERT_STRING_EQUAL(cw_population_kind_name(CW_POPULATION_SIZE), "size");
    CU_ASSERT_STRING_EQUAL(cw_confidence_name(CW_CERTAIN), "certain");
    CU_ASSERT_STRING_EQUAL(cw_confidence_name(CW_PROBABLE), "probable");
    CU_ASSERT_STRING_EQUAL(cw_confidence_name(CW_GUESS), "guess");
}

CW_TEST_MAIN("classify/classify",
             CW_TEST(every_held_chunk_is_in_one_population),
             CW_TEST(an_empty_heap_has_no_populations),
             CW_TEST(populations_are_sorted_by_bytes_then_name),
             CW_TEST(the_result_does_not_depend_on_the_threads),
             CW_TEST(too_many_keys_become_coarse_ones),
             CW_TEST(missing_content_is_only_a_size),
             CW_TEST(mmapped_chunks_are_seen_whole),
             CW_TEST(progress_ends_at_the_total_and_can_cancel),
             CW_TEST(every_budget_is_enough_or_said_to_be_spent),
             CW_TEST(kinds_and_confidences_have_the_report_s_words))
