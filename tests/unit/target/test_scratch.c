/* target/scratch: sparse, limited, without a name. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/unit.h"
#include "target/scratch.h"

enum { BLOCK = 4096 };

static uint8_t bytes[64 * BLOCK];

static struct cw_scratch open_scratch(uint64_t limit_bytes)
{
    struct cw_scratch scratch = {.file = -1};
    CU_ASSERT_EQUAL_FATAL(cw_scratch_open("/tmp", limit_bytes, &scratch, NULL), CW_OK);
    return scratch;
}

static void check_content(const struct cw_scratch *scratch)
{
    void *data = NULL;
    CU_ASSERT_EQUAL_FATAL(cw_scratch_map(scratch, &data, NULL), CW_OK);
    CU_ASSERT_EQUAL(memcmp(data, bytes, scratch->size_bytes), 0);
    munmap(data, scratch->size_bytes);
}

static void it_has_no_name_and_is_private(void)
{
    char folder[] = "/tmp/corewalk_test_XXXXXX";
    struct cw_scratch scratch;
    struct stat status;
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
    CU_ASSERT_EQUAL_FATAL(cw_scratch_open(folder, 0, &scratch, NULL), CW_OK);
    CU_ASSERT_TRUE(cw_scratch_append(&scratch, (const uint8_t *)"core", 4));
    CU_ASSERT_EQUAL(fstat(scratch.file, &status), 0);
    CU_ASSERT_EQUAL(status.st_mode & 0777, 0600);
    CU_ASSERT_EQUAL(status.st_nlink, 0);
    CU_ASSERT_EQUAL(rmdir(folder), 0); /* it is empty */
    cw_scratch_close(&scratch);
    cw_scratch_close(&scratch);
}

static void zero_blocks_become_holes(void)
{
    struct stat status;
    struct cw_scratch scratch = open_scratch(0);
    memset(bytes, 0, sizeof bytes);
    bytes[0] = 1;
    bytes[20 * BLOCK - 1] = 2;
    bytes[40 * BLOCK] = 3;
    CU_ASSERT_TRUE(cw_scratch_append(&scratch, bytes, sizeof bytes));
    CU_ASSERT_EQUAL(scratch.size_bytes, sizeof bytes);
    CU_ASSERT_EQUAL(scratch.stored_bytes, 3 * BLOCK);
    check_content(&scratch);
    CU_ASSERT_EQUAL(fstat(scratch.file, &status), 0);
    CU_ASSERT_EQUAL(status.st_size, sizeof bytes);
    CU_ASSERT_TRUE(status.st_blocks * 512 < 20 * BLOCK);
    cw_scratch_close(&scratch);
}

static void pieces_of_any_size_add_up(void)
{
    struct cw_scratch scratch = open_scratch(0);
    memset(bytes, 0, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i += 1 + i % 9001) {
        bytes[i] = (uint8_t)(i + 1);
    }
    size_t done = 0;
    for (size_t step = 1; done < sizeof bytes; step = step * 3 % 20011) {
        size_t piece = step < sizeof bytes - done ? step : sizeof bytes - done;
        CU_ASSERT_TRUE_FATAL(cw_scratch_append(&scratch, bytes + done, piece));
        done += piece;
    }
    CU_ASSERT_EQUAL(scratch.size_bytes, sizeof bytes);
    check_content(&scratch);
    cw_scratch_close(&scratch);
}

static void at_its_limit_it_keeps_what_fits(void)
{
    struct cw_scratch scratch = open_scratch(10 * BLOCK + 100);
    memset(bytes, 'x', sizeof bytes);
    memset(bytes + 4 * BLOCK, 0, 4 * BLOCK);
    CU_ASSERT_TRUE(cw_scratch_append(&scratch, bytes, 6 * BLOCK));
    CU_ASSERT_FALSE(cw_scratch_append(&scratch, bytes + 6 * BLOCK, sizeof bytes - 6 * BLOCK));
    CU_ASSERT_EQUAL(scratch.os_error, 0);
    CU_ASSERT_EQUAL(scratch.stored_bytes, 10 * BLOCK + 100);
    CU_ASSERT_EQUAL(scratch.size_bytes, 14 * BLOCK + 100);
    check_content(&scratch);
    cw_scratch_close(&scratch);
}

/* A write beyond it would raise SIGXFSZ. */
static void a_limit_of_the_process_is_no_signal(void)
{
    struct rlimit before;
    CU_ASSERT_EQUAL_FATAL(getrlimit(RLIMIT_FSIZE, &before), 0);
    struct rlimit limit = {.rlim_cur = 3 * BLOCK, .rlim_max = before.rlim_max};
    CU_ASSERT_EQUAL_FATAL(setrlimit(RLIMIT_FSIZE, &limit), 0);
    struct cw_scratch scratch = open_scratch(0);
    memset(bytes, 'x', sizeof bytes);
    CU_ASSERT_FALSE(cw_scratch_append(&scratch, bytes, sizeof bytes));
    CU_ASSERT_EQUAL(scratch.size_bytes, 3 * BLOCK);
    check_content(&scratch);
    CU_ASSERT_EQUAL(setrlimit(RLIMIT_FSIZE, &before), 0);
    cw_scratch_close(&scratch);
}

/* In namespaces of its own, where that is allowed; `act` says whether all went well there. */
static void in_own_namespace(bool (*act)(void))
{
    enum { REFUSED = 77 };
    fflush(NULL);
    pid_t child = fork();
    CU_ASSERT_TRUE_FATAL(child >= 0);
    if (child == 0) {
        if (unshare(geteuid() == 0 ? CLONE_NEWNS : CLONE_NEWNS | CLONE_NEWUSER) != 0 ||
            mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) {
            _exit(REFUSED);
        }
        _exit(act() ? 0 : 1);
    }
    int status = 0;
    CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
    CU_ASSERT_TRUE(WIFEXITED(status));
    CU_ASSERT_TRUE(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == REFUSED);
}

/* Others take the room while it grows: a limit that was right when it was opened is not. */
static bool fills_a_small_disk(void)
{
    struct cw_scratch scratch;
    void *data = NULL;
    if (mount("none", "/tmp", "tmpfs", 0, "size=64k") != 0 ||
        cw_scratch_open("/tmp", UINT64_MAX, &scratch, NULL) != CW_OK) {
        return false;
    }
    memset(bytes, 'x', sizeof bytes);
    bool has_room = cw_scratch_append(&scratch, bytes, sizeof bytes);
    return !has_room && scratch.os_error == ENOSPC && scratch.size_bytes == 16 * BLOCK &&
           cw_scratch_map(&scratch, &data, NULL) == CW_OK &&
           memcmp(data, bytes, scratch.size_bytes) == 0;
}

static void a_full_disk_keeps_what_fits(void)
{
    in_own_namespace(fills_a_small_disk);
}

/* Openat with O_TMPFILE fails as in file systems that have none. */
static bool refuse_nameless_files(void)
{
    enum { TMPFILE_ONLY = O_TMPFILE & ~O_DIRECTORY };
    struct sock_filter steps[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, TMPFILE_ONLY, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EOPNOTSUPP),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof steps / sizeof steps[0], .filter = steps};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static bool works_without_nameless_files(void)
{
    struct cw_scratch scratch;
    struct stat status;
    if (!refuse_nameless_files() || open("/tmp", O_TMPFILE | O_RDWR, 0600) >= 0 ||
        errno != EOPNOTSUPP || cw_scratch_open("/tmp", UINT64_MAX, &scratch, NULL) != CW_OK) {
        return false;
    }
    return cw_scratch_append(&scratch, (const uint8_t *)"core", 4) &&
           fstat(scratch.file, &status) == 0 && status.st_nlink == 0 &&
           (status.st_mode & 0777) == 0600 && (fcntl(scratch.file, F_GETFD) & FD_CLOEXEC) != 0;
}

static void a_name_lives_for_a_moment_where_it_must(void)
{
    in_own_namespace(works_without_nameless_files);
}

static void nothing_appended_maps_to_nothing(void)
{
    struct cw_scratch scratch = open_scratch(0);
    void *data = NULL;
    CU_ASSERT_EQUAL(cw_scratch_map(&scratch, &data, NULL), CW_OK);
    CU_ASSERT_PTR_NULL(data);
    cw_scratch_close(&scratch);
}

static void a_folder_that_is_none_is_said(void)
{
    struct cw_scratch scratch = {.file = -1};
    struct cw_error err = CW_ERROR_INIT;
    CU_ASSERT_EQUAL(cw_scratch_open("/nonexistent", 0, &scratch, &err), CW_ERROR_IO);
    CU_ASSERT_EQUAL(err.os_error, ENOENT);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "/nonexistent"));
    CU_ASSERT_EQUAL(scratch.file, -1);
}

/* A small file may unpack to any number of zeros. */
static void holes_have_a_limit_too(void)
{
    struct cw_scratch scratch = open_scratch(2 * BLOCK);
    CU_ASSERT_EQUAL(scratch.largest_bytes, UINT64_C(64) << 30);
    memset(bytes, 0, sizeof bytes);
    scratch.size_bytes = scratch.largest_bytes - BLOCK;
    CU_ASSERT_FALSE(cw_scratch_append(&scratch, bytes, 2 * BLOCK));
    CU_ASSERT_EQUAL(scratch.size_bytes, scratch.largest_bytes);
    CU_ASSERT_EQUAL(scratch.os_error, 0);
    cw_scratch_close(&scratch);
}

/* Of the mapping's pages, those that are in the system's cache: holes take none there but for what
 * is read ahead. */
static size_t cached_pages(const void *data, size_t size)
{
    static unsigned char residence[(257 << 20) / BLOCK];
    size_t count = 0;
    CU_ASSERT_EQUAL_FATAL(mincore((void *)(uintptr_t)data, size, residence), 0);
    for (size_t i = 0; i < size / BLOCK; i++) {
        count += residence[i] & 1;
    }
    return count;
}

static void reading_a_large_hole_fills_no_cache(void)
{
    struct cw_scratch scratch = open_scratch(0);
    size_t hole = 256 << 20;
    memset(bytes, 1, sizeof bytes);
    CU_ASSERT_TRUE(cw_scratch_append(&scratch, bytes, sizeof bytes));
    scratch.size_bytes += hole;
    CU_ASSERT_TRUE(cw_scratch_append(&scratch, bytes, BLOCK));
    void *mapped = NULL;
    CU_ASSERT_EQUAL_FATAL(cw_scratch_map(&scratch, &mapped, NULL), CW_OK);
    const uint8_t *data = mapped;
    CU_ASSERT_EQUAL(memcmp(data, bytes, sizeof bytes), 0);
    CU_ASSERT_EQUAL(memcmp(data + sizeof bytes + hole, bytes, BLOCK), 0);
    size_t set_count = 0;
    for (size_t i = sizeof bytes; i < sizeof bytes + hole; i++) {
        set_count += data[i] != 0;
    }
    CU_ASSERT_EQUAL(set_count, 0);
    void *plain = mmap(NULL, scratch.size_bytes, PROT_READ, MAP_PRIVATE, scratch.file, 0);
    CU_ASSERT_PTR_NOT_EQUAL_FATAL(plain, MAP_FAILED);
    CU_ASSERT_TRUE(cached_pages(plain, scratch.size_bytes) < hole / BLOCK / 4);
    munmap(plain, scratch.size_bytes);
    munmap(mapped, scratch.size_bytes);
    cw_scratch_close(&scratch);
}

CW_TEST_MAIN("target/scratch",
             CW_TEST(it_has_no_name_and_is_private),
             CW_TEST(zero_blocks_become_holes),
             CW_TEST(holes_have_a_limit_too),
             CW_TEST(reading_a_large_hole_fills_no_cache),
             CW_TEST(pieces_of_any_size_add_up),
             CW_TEST(at_its_limit_it_keeps_what_fits),
             CW_TEST(a_limit_of_the_process_is_no_signal),
             CW_TEST(a_full_disk_keeps_what_fits),
             CW_TEST(a_name_lives_for_a_moment_where_it_must),
             CW_TEST(nothing_appended_maps_to_nothing),
             CW_TEST(a_folder_that_is_none_is_said))
