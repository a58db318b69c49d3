/* analyze/analysis_*: what the verbs say of a synthetic heap that is known to the byte. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <corewalk/corewalk.h>

#include "support/glibc_builder.h"
#include "support/unit.h"

struct scene {
    struct glibc_builder *builder;
    struct corewalk_session *session;
    int fd;
    cw_addr used;  /* chunks */
    cw_addr freed; /* in a bin */
    cw_addr thread_used;
    cw_addr arena;
    char text[65536];
    size_t text_bytes;
};

static int append(void *context, const char *bytes, size_t count)
{
    struct scene *scene = context;
    if (count >= sizeof scene->text - scene->text_bytes) {
        return -1;
    }
    memcpy(scene->text + scene->text_bytes, bytes, count);
    scene->text_bytes += count;
    scene->text[scene->text_bytes] = '\0';
    return 0;
}

static struct scene *scene_create(void)
{
    struct scene *scene = calloc(1, sizeof *scene);
    const struct glibc_layout *layout =
        glibc_pick(glibc_with_word_bytes(8) & glibc_with_bins_off(112));
    scene->builder = glibc_builder_create(layout);
    glibc_builder_thread(scene->builder, 0);
    scene->used = glibc_builder_chunk(scene->builder, 0, 0x40);
    scene->freed = glibc_builder_chunk(scene->builder, 0, 0x500);
    glibc_builder_chunk(scene->builder, 0, 0x2000);
    glibc_builder_bin(scene->builder, 0, scene->freed, 1);
    unsigned arena = glibc_builder_arena(scene->builder);
    scene->arena = glibc_builder_arena_address(scene->builder, arena);
    scene->thread_used = glibc_builder_chunk(scene->builder, arena, 0x60);
    struct core_builder *core = glibc_builder_core(scene->builder);
    core_builder_bytes(core, scene->used + 16, "a text that says something\0", 27);
    core_builder_word(core, scene->thread_used + 16, scene->used + 24);
    core_builder_word(core, scene->thread_used + 24, 0x1122334455667788);
    size_t size;
    const uint8_t *bytes = core_builder_finish(core, &size);
    char path[64];
    scene->fd = memfd_create("core", MFD_CLOEXEC);
    CU_ASSERT_EQUAL_FATAL(write(scene->fd, bytes, size), (ssize_t)size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", scene->fd);
    CU_ASSERT_EQUAL_FATAL(corewalk_open_core(path, NULL, &scene->session, NULL), COREWALK_OK);
    return scene;
}

static void scene_destroy(struct scene *scene)
{
    corewalk_close(scene->session);
    close(scene->fd);
    glibc_builder_destroy(scene->builder);
    free(scene);
}

/* Runs a verb with at most one option; returns its status, the text is in the scene. */
static int run(struct scene *scene,
               const char *verb,
               const char *argument,
               const char *option,
               const char *value,
               const char *format)
{
    struct corewalk_setting setting = {option, value};
    struct corewalk_request request = {
        .size = sizeof request,
        .verb = verb,
        .argument = argument,
        .settings = &setting,
        .setting_count = option != NULL ? 1 : 0,
        .format = format,
    };
    scene->text_bytes = 0;
    scene->text[0] = '\0';
    return corewalk_run(scene->session, &request, append, scene, NULL, NULL);
}

static unsigned line_count(const struct scene *scene)
{
    unsigned count = 0;
    for (const char *at = scene->text; *at != '\0'; at++) {
        count += *at == '\n';
    }
    return count;
}

static bool says(const struct scene *scene, const char *part)
{
    return strstr(scene->text, part) != NULL;
}

static const char *hex(cw_addr address)
{
    static char texts[4][24];
    static unsigned next;
    char *text = texts[next++ % 4];
    snprintf(text, sizeof texts[0], "0x%llx", (unsigned long long)address);
    return text;
}

static void list_filters_by_state(void)
{
    struct scene *scene = scene_create();
    CU_ASSERT_EQUAL(run(scene, "list", NULL, "state", "binned", "json"), COREWALK_OK);
    CU_ASSERT_EQUAL(line_count(scene), 1);
    CU_ASSERT_TRUE(says(scene, hex(scene->freed + 16)));
    CU_ASSERT_TRUE(says(scene, "\"state\":\"binned\",\"arena\":\"main\"}"));
    CU_ASSERT_EQUAL(run(scene, "list", NULL, "state", "held", "json"), COREWALK_OK);
    CU_ASSERT_EQUAL(line_count(scene), 3);
    CU_ASSERT_EQUAL(run(scene, "list", NULL, "state", "top,binned", "json"), COREWALK_OK);
    CU_ASSERT_EQUAL(line_count(scene), 3);
    CU_ASSERT_EQUAL(run(scene, "list", NULL, "state", "held,", "json"), COREWALK_ERROR_ARGUMENT);
    CU_ASSERT_EQUAL(run(scene, "list", NULL, "state", "lost", "json"), COREWALK_ERROR_ARGUMENT);
    scene_destroy(scene);
}

static void list_filters_by_size_name_and_place(void)
{
    struct scene *scene = scene_create();
    CU_ASSERT_EQUAL(run(scene, "list", NULL, "min-size", "0x2001", "json"), COREWALK_OK);
    CU_ASSERT_FALSE(says(scene, "\"state\":\"used\""));
    CU_ASSERT_EQUAL(run(scene, "list", NULL, "max-size", "0x40", "json"), COREWALK_OK);
    CU_ASSERT_EQUAL(line_count(scene), 1);
    CU_ASSERT_EQUAL(run(scene, "list", NULL, "name", "TEXT", "json"), COREWALK_OK);
    CU_ASSERT_EQUAL(line_count(scene), 1);
    CU_ASSERT_TRUE(says(scene, hex(scene->used + 16)));
    CU_ASSERT_EQUAL(run(scene, "list", NULL, "address", hex(scene->freed + 40), "json"),
                    COREWALK_OK);
    CU_ASSERT_EQUAL(line_count(scene), 1);
    CU_ASSERT_EQUAL(run(scene, "list", NULL, "address", "0x10", "json"), COREWALK_ERROR_NOT_FOUND);
    CU_ASSERT_EQUAL(run(scene, "list", NULL, "limit", "2", "json"), COREWALK_OK);
    CU_ASSERT_EQUAL(line_count(scene), 2);
    scene_destroy(scene);
}

static void list_filters_by_arena(void)
{
    struct scene *scene = scene_create();
    CU_ASSERT_EQUAL(run(scene, "list", NULL, "arena", hex(scene->arena), "json"), COREWALK_OK);
    CU_ASSERT_EQUAL(line_count(scene), 2); /* the block and the top */
    CU_ASSERT_TRUE(says(scene, hex(scene->thread_used + 16)));
    CU_ASSERT_EQUAL(run(scene, "list", NULL, "arena", "main", "json"), COREWALK_OK);
    CU_ASSERT_FALSE(says(scene, hex(scene->thread_used + 16)));
    CU_ASSERT_EQUAL(run(scene, "list", NULL, "arena", "0x1", "json"), COREWALK_ERROR_ARGUMENT);
    CU_ASSERT_EQUAL(run(scene, "list", NULL, "arena", "heap", "json"), COREWALK_ERROR_ARGUMENT);
    scene_destroy(scene);
}

static void block_shows_pointers_but_no_content(void)
{
    struct scene *scene = scene_create();
    const char *address = hex(scene->thread_used + 16);
    CU_ASSERT_EQUAL(run(scene, "block", address, NULL, NULL, "text"), COREWALK_OK);
    CU_ASSERT_TRUE(says(scene, hex(scene->used + 24)));
    CU_ASSERT_TRUE(says(scene, "+0x8, text: plain"));
    CU_ASSERT_FALSE(says(scene, "1122334455667788"));
    CU_ASSERT_EQUAL(run(scene, "block", address, "show-content", NULL, "text"), COREWALK_OK);
    CU_ASSERT_TRUE(says(scene, "0x1122334455667788"));
    CU_ASSERT_EQUAL(run(scene, "block", hex(scene->used), NULL, NULL, "text"), COREWALK_OK);
    CU_ASSERT_FALSE(says(scene, "says something"));
    scene_destroy(scene);
}

static void block_knows_every_place(void)
{
    struct scene *scene = scene_create();
    CU_ASSERT_EQUAL(run(scene, "block", hex(scene->arena), NULL, NULL, "json"), COREWALK_OK);
    CU_ASSERT_TRUE(says(scene, "\"place\": \"heap\""));
    CU_ASSERT_EQUAL(run(scene, "block", "0x10", NULL, NULL, "json"), COREWALK_OK);
    CU_ASSERT_TRUE(says(scene, "\"place\": \"unmapped\""));
    CU_ASSERT_FALSE(says(scene, "mapping_start"));
    CU_ASSERT_EQUAL(run(scene, "block", hex(scene->freed + 16), NULL, NULL, "json"), COREWALK_OK);
    CU_ASSERT_TRUE(says(scene, "\"state\": \"binned\""));
    scene_destroy(scene);
}

static void histograms_agree_with_the_list(void)
{
    struct scene *scene = scene_create();
    CU_ASSERT_EQUAL(run(scene, "histogram", NULL, "by", "size", "json"), COREWALK_OK);
    CU_ASSERT_TRUE(says(scene, "\"chunk_bytes\": 8192"));
    CU_ASSERT_FALSE(says(scene, "\"chunk_bytes\": 1280")); /* it is free */
    CU_ASSERT_EQUAL(run(scene, "histogram", NULL, "by", "arena", "json"), COREWALK_OK);
    CU_ASSERT_TRUE(says(scene, hex(scene->arena)));
    CU_ASSERT_EQUAL(run(scene, "histogram", NULL, "by", "state", "json"), COREWALK_OK);
    CU_ASSERT_TRUE(says(scene, "\"state\": \"binned\""));
    CU_ASSERT_EQUAL(run(scene, "histogram", NULL, NULL, NULL, "json"), COREWALK_OK);
    CU_ASSERT_TRUE(says(scene, "\"populations\""));
    scene_destroy(scene);
}

CW_TEST_MAIN("analyze/analyses",
             CW_TEST(list_filters_by_state),
             CW_TEST(list_filters_by_size_name_and_place),
             CW_TEST(list_filters_by_arena),
             CW_TEST(block_shows_pointers_but_no_content),
             CW_TEST(block_knows_every_place),
             CW_TEST(histograms_agree_with_the_list))
