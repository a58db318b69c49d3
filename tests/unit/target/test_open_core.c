/* target/open_core: files, pipes, and compressed ones, whole and damaged. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/load.h"
#include "support/opened_core.h"
#include "support/packer.h"
#include "support/unit.h"

enum { RW = CW_PROT_READ | CW_PROT_WRITE, MEMORY_BYTES = 0x80000 };

static const char *const filters[] = {"zstd", "lz4", "xz", "gzip"};

struct fixture {
    char folder[32];
    char path[64];
    struct core_builder *builder;
    const uint8_t *bytes;
    size_t size;
    struct opened_core opened;
};

/* Half of the memory is noise, so that a compressed core is cut in the middle of it. */
static void set_up(struct fixture *fixture)
{
    *fixture = (struct fixture){.folder = "/tmp/corewalk_test_XXXXXX"};
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(fixture->folder));
    snprintf(fixture->path, sizeof fixture->path, "%s/core", fixture->folder);
    fixture->builder = core_builder_create(CW_ARCH_X86_64);
    uint8_t *memory = core_builder_segment(fixture->builder, 0x10000, MEMORY_BYTES, RW);
    core_builder_segment(fixture->builder, 0x200000, 0x1000, RW);
    core_builder_mapping(fixture->builder, 0x400000, 0x3000, 0, "/bin/sample");
    core_builder_thread(fixture->builder, 1234, 0x400111, 0x11000, 0x10500);
    uint64_t noise = 1;
    for (size_t i = 0; i < MEMORY_BYTES / 2; i++) {
        noise = noise * 6364136223846793005u + 1442695040888963407u;
        memory[i] = (uint8_t)(noise >> 56);
    }
    core_builder_word(fixture->builder, 0x10008, 42);
    core_builder_word(fixture->builder, 0x200ff8, 43);
    fixture->bytes = core_builder_finish(fixture->builder, &fixture->size);
}

static void tear_down(struct fixture *fixture)
{
    unlink(fixture->path);
    CU_ASSERT_EQUAL(rmdir(fixture->folder), 0);
    core_builder_destroy(fixture->builder);
}

static void write_file(const struct fixture *fixture, const void *bytes, size_t size)
{
    FILE *file = fopen(fixture->path, "wb");
    if (file == NULL || fwrite(bytes, 1, size, file) != size || fclose(file) != 0) {
        abort();
    }
}

static enum cw_status open_input(struct fixture *fixture, const struct cw_core_input *input)
{
    struct opened_core *opened = &fixture->opened;
    *opened = (struct opened_core){0};
    cw_budget_init(&opened->budget, UINT64_MAX);
    cw_arena_init(&opened->arena, &opened->budget);
    cw_notes_init(&opened->coverage, &opened->arena);
    opened->status = cw_target_open_core(
        input, &opened->arena, &opened->coverage, &opened->target, &opened->err);
    CU_ASSERT_EQUAL(opened->status, opened->err.status);
    return opened->status;
}

static enum cw_status open_path(struct fixture *fixture)
{
    struct cw_core_input input = {.path = fixture->path, .scratch_dir = fixture->folder};
    return open_input(fixture, &input);
}

static void close_core(struct fixture *fixture)
{
    opened_core_close(&fixture->opened);
    CU_ASSERT_PTR_NULL(fixture->opened.target.file_data);
}

static void check_whole(struct fixture *fixture)
{
    const struct cw_target *target = &fixture->opened.target;
    CU_ASSERT_EQUAL_FATAL(fixture->opened.status, CW_OK);
    CU_ASSERT_EQUAL(target->file_bytes, fixture->size);
    CU_ASSERT_EQUAL(memcmp(target->file_data, fixture->bytes, fixture->size), 0);
    CU_ASSERT_EQUAL(target->missing_bytes, 0);
    CU_ASSERT_EQUAL(fixture->opened.coverage.items.count, 0);
    CU_ASSERT_EQUAL(cw_load_u64(target->segments[0].data + 8), 42);
}

static bool says(const struct fixture *fixture, const char *code, const char *text)
{
    const struct cw_note *note = opened_core_note(&fixture->opened, code);
    return note != NULL && strstr(note->text, text) != NULL;
}

/* ---- as it is ---------------------------------------------------------------------------- */

static void plain_files_are_mapped_and_given_back(void)
{
    struct fixture fixture;
    set_up(&fixture);
    write_file(&fixture, fixture.bytes, fixture.size);
    CU_ASSERT_EQUAL(open_path(&fixture), CW_OK);
    check_whole(&fixture);
    CU_ASSERT_STRING_EQUAL(fixture.opened.target.path, fixture.path);
    CU_ASSERT_PTR_NULL(fixture.opened.target.packing);
    CU_ASSERT_FALSE(fixture.opened.target.has_no_path);
    close_core(&fixture);
    cw_target_close(&fixture.opened.target);

    /* Ends within a page: its last bytes may be read, the next page must never be. */
    write_file(&fixture, fixture.bytes, fixture.size - 0xffc);
    CU_ASSERT_EQUAL(open_path(&fixture), CW_OK);
    CU_ASSERT_EQUAL(fixture.opened.target.missing_bytes, 0xffc);
    const struct cw_segment *last = &fixture.opened.target.segments[1];
    CU_ASSERT_EQUAL(last->held_bytes, 4);
    CU_ASSERT_EQUAL(last->data[3], 0);
    close_core(&fixture);
    tear_down(&fixture);
}

static void what_is_no_core_is_refused(void)
{
    struct fixture fixture;
    set_up(&fixture);
    CU_ASSERT_EQUAL(open_path(&fixture), CW_ERROR_IO);
    CU_ASSERT_EQUAL(fixture.opened.err.os_error, ENOENT);
    CU_ASSERT_PTR_NOT_NULL(strstr(fixture.opened.err.text, "cannot open"));
    close_core(&fixture);

    write_file(&fixture, "", 0);
    CU_ASSERT_EQUAL(open_path(&fixture), CW_ERROR_FORMAT);
    CU_ASSERT_PTR_NOT_NULL(strstr(fixture.opened.err.text, "empty"));
    close_core(&fixture);

    write_file(&fixture, "#!/bin/sh\n", 10);
    CU_ASSERT_EQUAL(open_path(&fixture), CW_ERROR_FORMAT);
    close_core(&fixture);

    static const char *const others[] = {"/dev/null", "/dev/zero", "/tmp"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        struct cw_core_input input = {.path = others[i]};
        CU_ASSERT_EQUAL(open_input(&fixture, &input), CW_ERROR_FORMAT);
        CU_ASSERT_PTR_NOT_NULL(strstr(fixture.opened.err.text, others[i]));
        close_core(&fixture);
    }
    tear_down(&fixture);
}

/* ---- compressed -------------------------------------------------------------------------- */

static void compressed_files_are_read_whatever_their_name(void)
{
    struct fixture fixture;
    set_up(&fixture);
    for (size_t i = 0; i < sizeof filters / sizeof filters[0]; i++) {
        size_t size;
        uint8_t *packed = packer_pack(filters[i], fixture.bytes, fixture.size, &size);
        CU_ASSERT_PTR_NOT_NULL_FATAL(packed);
        write_file(&fixture, packed, size);
        CU_ASSERT_EQUAL(open_path(&fixture), CW_OK);
        check_whole(&fixture);
        CU_ASSERT_STRING_EQUAL(fixture.opened.target.packing, filters[i]);
        CU_ASSERT_EQUAL(fixture.opened.target.packed_bytes, size);
        CU_ASSERT_STRING_EQUAL(fixture.opened.target.path, fixture.path);
        close_core(&fixture);
        free(packed);
    }
    tear_down(&fixture);
}

static void one_that_is_cut_off_is_read_as_far_as_it_goes(void)
{
    struct fixture fixture;
    unsigned partial_count = 0;
    set_up(&fixture);
    for (size_t i = 0; i < sizeof filters / sizeof filters[0]; i++) {
        size_t size;
        uint8_t *packed = packer_pack(filters[i], fixture.bytes, fixture.size, &size);
        CU_ASSERT_PTR_NOT_NULL_FATAL(packed);
        for (size_t cut = 3; cut < size - 16; cut += size / 13) {
            write_file(&fixture, packed, cut);
            if (open_path(&fixture) == CW_OK) {
                CU_ASSERT_TRUE(says(&fixture, "core-packing-damaged", filters[i]));
                CU_ASSERT_TRUE(says(&fixture, "core-truncated", "cut off"));
                CU_ASSERT_TRUE(fixture.opened.target.missing_bytes > 0);
                CU_ASSERT_EQUAL(memcmp(fixture.opened.target.file_data,
                                       fixture.bytes,
                                       fixture.opened.target.file_bytes),
                                0);
                partial_count++;
            } else {
                CU_ASSERT_EQUAL(fixture.opened.status, CW_ERROR_FORMAT);
            }
            close_core(&fixture);
        }
        free(packed);
    }
    CU_ASSERT_TRUE(partial_count > 20);
    tear_down(&fixture);
}

/* Stored as they are, so that each flip of the core's bytes can be unpacked. */
static uint8_t *store_gzip(const uint8_t *bytes, size_t size, size_t *ret_size)
{
    z_stream stream = {0};
    if (deflateInit2(&stream, 0, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
        abort();
    }
    stream.next_in = (Bytef *)bytes;
    stream.avail_in = (uInt)size;
    stream.avail_out = (uInt)deflateBound(&stream, size);
    uint8_t *packed = malloc(stream.avail_out);
    stream.next_out = packed;
    if (packed == NULL || deflate(&stream, Z_FINISH) != Z_STREAM_END) {
        abort();
    }
    *ret_size = stream.total_out;
    deflateEnd(&stream);
    return packed;
}

static void check_flip(struct fixture *fixture, uint8_t *packed, size_t size, size_t at)
{
    packed[at] ^= 0x10;
    write_file(fixture, packed, size);
    CU_ASSERT_EQUAL(open_path(fixture), CW_OK);
    CU_ASSERT_TRUE(says(fixture, "core-packing-damaged", "checksum"));
    close_core(fixture);
    packed[at] ^= 0x10;
}

static void a_flip_that_can_be_unpacked_is_told_by_the_checksum(void)
{
    struct fixture fixture;
    set_up(&fixture);
    size_t size;
    uint8_t *packed = store_gzip(fixture.bytes, fixture.size, &size);
    check_flip(&fixture, packed, size, size / 2);
    check_flip(&fixture, packed, size, size - 8); /* the checksum itself */
    check_flip(&fixture, packed, size, size - 4); /* the length */
    free(packed);
    tear_down(&fixture);
}

/* As parallel compressors and `cat a.gz b.gz` make them, padded as tapes are. */
static void gzip_of_many_members_is_one_core(void)
{
    struct fixture fixture;
    set_up(&fixture);
    size_t sizes[2];
    size_t half = fixture.size / 2;
    uint8_t *first = store_gzip(fixture.bytes, half, &sizes[0]);
    uint8_t *second = packer_pack("gzip", fixture.bytes + half, fixture.size - half, &sizes[1]);
    CU_ASSERT_PTR_NOT_NULL_FATAL(second);
    size_t size = sizes[0] + sizes[1] + 512;
    uint8_t *packed = calloc(1, size);
    CU_ASSERT_PTR_NOT_NULL_FATAL(packed);
    memcpy(packed, first, sizes[0]);
    memcpy(packed + sizes[0], second, sizes[1]);
    write_file(&fixture, packed, size);
    CU_ASSERT_EQUAL(open_path(&fixture), CW_OK);
    check_whole(&fixture);
    close_core(&fixture);
    check_flip(&fixture, packed, size, sizes[0] / 2);
    check_flip(&fixture, packed, size, sizes[0] - 6);
    check_flip(&fixture, packed, size, size - 512 - 6);
    free(first);
    free(second);
    free(packed);
    tear_down(&fixture);
}

static void what_is_inside_must_be_a_core(void)
{
    struct fixture fixture;
    set_up(&fixture);
    static const char text[100] = "no core";
    size_t size;
    uint8_t *packed = packer_pack("zstd", (const uint8_t *)text, sizeof text, &size);
    CU_ASSERT_PTR_NOT_NULL_FATAL(packed);
    write_file(&fixture, packed, size);
    CU_ASSERT_EQUAL(open_path(&fixture), CW_ERROR_FORMAT);
    CU_ASSERT_PTR_NOT_NULL(strstr(fixture.opened.err.text, "not a core file"));
    close_core(&fixture);

    size_t twice_size;
    uint8_t *twice = packer_pack("gzip", packed, size, &twice_size);
    CU_ASSERT_PTR_NOT_NULL_FATAL(twice);
    write_file(&fixture, twice, twice_size);
    CU_ASSERT_NOT_EQUAL(open_path(&fixture), CW_OK);
    close_core(&fixture);

    write_file(&fixture, "\x1f\x8b...", 5);
    CU_ASSERT_EQUAL(open_path(&fixture), CW_ERROR_FORMAT);
    CU_ASSERT_PTR_NOT_NULL(strstr(fixture.opened.err.text, "gzip: unknown compression method"));
    close_core(&fixture);
    free(packed);
    free(twice);
    tear_down(&fixture);
}

static void a_full_scratch_file_holds_the_beginning(void)
{
    struct fixture fixture;
    set_up(&fixture);
    size_t size;
    uint8_t *packed = packer_pack("zstd", fixture.bytes, fixture.size, &size);
    CU_ASSERT_PTR_NOT_NULL_FATAL(packed);
    write_file(&fixture, packed, size);
    struct cw_core_input input = {
        .path = fixture.path, .scratch_dir = fixture.folder, .max_scratch_bytes = 0x20000};
    CU_ASSERT_EQUAL(open_input(&fixture, &input), CW_OK);
    CU_ASSERT_EQUAL(fixture.opened.target.file_bytes, 0x20000);
    CU_ASSERT_TRUE(says(&fixture, "core-scratch-full", "first 128.0 KiB"));
    CU_ASSERT_TRUE(says(&fixture, "core-truncated", "cut off"));
    close_core(&fixture);

    input.max_scratch_bytes = 50;
    CU_ASSERT_EQUAL(open_input(&fixture, &input), CW_ERROR_FORMAT);
    CU_ASSERT_PTR_NOT_NULL(strstr(fixture.opened.err.text, "too little of it"));
    CU_ASSERT_PTR_NOT_NULL(strstr(fixture.opened.err.text, "limit"));
    close_core(&fixture);
    free(packed);
    tear_down(&fixture);
}

/* A small core, and behind it zeros for ever. */
static void nothing_is_unpacked_behind_the_core(void)
{
    enum { BOMB_BYTES = 200 << 20 };
    struct fixture fixture;
    set_up(&fixture);
    uint8_t *bomb = calloc(1, BOMB_BYTES);
    CU_ASSERT_PTR_NOT_NULL_FATAL(bomb);
    memcpy(bomb, fixture.bytes, fixture.size);
    size_t size;
    uint8_t *packed = packer_pack("zstd", bomb, BOMB_BYTES, &size);
    CU_ASSERT_PTR_NOT_NULL_FATAL(packed);
    write_file(&fixture, packed, size);
    CU_ASSERT_EQUAL(open_path(&fixture), CW_OK);
    CU_ASSERT_TRUE(fixture.opened.target.file_bytes < BOMB_BYTES / 4);
    CU_ASSERT_EQUAL(fixture.opened.coverage.items.count, 0);
    close_core(&fixture);
    free(packed);
    free(bomb);
    tear_down(&fixture);
}

/* ---- descriptors ------------------------------------------------------------------------- */

struct writer {
    const char *path; /* of a FIFO; NULL: `file` */
    int file;
    const uint8_t *bytes;
    size_t size;
};

static void *write_slowly(void *context)
{
    const struct writer *writer = context;
    int file = writer->path != NULL ? open(writer->path, O_WRONLY) : writer->file;
    for (size_t done = 0, step = 1; done < writer->size; step = step * 2 + 1) {
        size_t piece = step < writer->size - done ? step : writer->size - done;
        ssize_t count = write(file, writer->bytes + done, piece);
        if (count <= 0) {
            break;
        }
        done += (size_t)count;
    }
    close(file);
    return NULL;
}

static void pipes_are_read_to_their_end(void)
{
    struct fixture fixture;
    set_up(&fixture);
    size_t size;
    uint8_t *packed = packer_pack("zstd", fixture.bytes, fixture.size, &size);
    for (unsigned is_packed = 0; is_packed < 2; is_packed++) {
        int ends[2];
        pthread_t thread;
        CU_ASSERT_EQUAL_FATAL(pipe(ends), 0);
        struct writer writer = {.file = ends[1],
                                .bytes = is_packed ? packed : fixture.bytes,
                                .size = is_packed ? size : fixture.size};
        struct cw_core_input input = {.path = "standard input",
                                      .has_file = true,
                                      .file = ends[0],
                                      .scratch_dir = fixture.folder};
        CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, write_slowly, &writer), 0);
        CU_ASSERT_EQUAL(open_input(&fixture, &input), CW_OK);
        check_whole(&fixture);
        CU_ASSERT_STRING_EQUAL(fixture.opened.target.path, "standard input");
        CU_ASSERT_TRUE(fixture.opened.target.has_no_path);
        CU_ASSERT_EQUAL(fixture.opened.target.packing != NULL, is_packed);
        pthread_join(thread, NULL);
        close_core(&fixture);
        CU_ASSERT_EQUAL(close(ends[0]), 0); /* the caller's still */
    }
    free(packed);
    tear_down(&fixture);
}

static void a_fifo_waits_for_its_writer(void)
{
    struct fixture fixture;
    pthread_t thread;
    set_up(&fixture);
    CU_ASSERT_EQUAL_FATAL(mkfifo(fixture.path, 0600), 0);
    struct writer writer = {.path = fixture.path, .bytes = fixture.bytes, .size = fixture.size};
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, write_slowly, &writer), 0);
    struct cw_core_input input = {.path = fixture.path, .scratch_dir = "/tmp"};
    CU_ASSERT_EQUAL(open_input(&fixture, &input), CW_OK);
    check_whole(&fixture);
    pthread_join(thread, NULL);
    close_core(&fixture);
    tear_down(&fixture);
}

static bool stop(void *context, const char *phase, uint64_t done, uint64_t total)
{
    (void)phase;
    (void)done;
    (void)total;
    ++*(unsigned *)context;
    return false;
}

/* Nobody ever writes into it. */
static void waiting_can_be_cancelled(void)
{
    struct fixture fixture;
    unsigned call_count = 0;
    int ends[2];
    set_up(&fixture);
    CU_ASSERT_EQUAL_FATAL(pipe(ends), 0);
    struct cw_progress progress = {stop, &call_count};
    struct cw_core_input input = {
        .path = "pipe", .has_file = true, .file = ends[0], .progress = &progress};
    CU_ASSERT_EQUAL(open_input(&fixture, &input), CW_ERROR_CANCELLED);
    CU_ASSERT_EQUAL(call_count, 1);
    close_core(&fixture);
    close(ends[0]);
    close(ends[1]);
    tear_down(&fixture);
}

static void a_regular_file_is_read_from_its_start(void)
{
    struct fixture fixture;
    set_up(&fixture);
    write_file(&fixture, fixture.bytes, fixture.size);
    int file = open(fixture.path, O_RDONLY);
    CU_ASSERT_EQUAL(lseek(file, 100, SEEK_SET), 100);
    struct cw_core_input input = {.path = "standard input", .has_file = true, .file = file};
    CU_ASSERT_EQUAL(open_input(&fixture, &input), CW_OK);
    check_whole(&fixture);
    CU_ASSERT_EQUAL(lseek(file, 0, SEEK_CUR), 100);
    close_core(&fixture);

    char path[32];
    snprintf(path, sizeof path, "/dev/fd/%d", file);
    input = (struct cw_core_input){.path = path};
    CU_ASSERT_EQUAL(open_input(&fixture, &input), CW_OK);
    check_whole(&fixture);
    snprintf(path, sizeof path, "file descriptor %d", file);
    CU_ASSERT_STRING_EQUAL(fixture.opened.target.path, path);
    close_core(&fixture);
    close(file);
    tear_down(&fixture);
}

CW_TEST_MAIN("target/open_core",
             CW_TEST(plain_files_are_mapped_and_given_back),
             CW_TEST(what_is_no_core_is_refused),
             CW_TEST(compressed_files_are_read_whatever_their_name),
             CW_TEST(one_that_is_cut_off_is_read_as_far_as_it_goes),
             CW_TEST(a_flip_that_can_be_unpacked_is_told_by_the_checksum),
             CW_TEST(gzip_of_many_members_is_one_core),
             CW_TEST(what_is_inside_must_be_a_core),
             CW_TEST(a_full_scratch_file_holds_the_beginning),
             CW_TEST(nothing_is_unpacked_behind_the_core),
             CW_TEST(pipes_are_read_to_their_end),
             CW_TEST(a_fifo_waits_for_its_writer),
             CW_TEST(waiting_can_be_cancelled),
             CW_TEST(a_regular_file_is_read_from_its_start))
