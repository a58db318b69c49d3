/* Opening ELF files and their separate debug files. */
#include "image/elf_file.h"

#include <elfutils/libdwelf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <zlib.h>

/*
 * Opens below `root` so that neither ".." nor a link leaves it. Old kernels and some sandboxes
 * lack openat2: there the path is taken below the root as it is, and the build-id has to tell.
 */
static int open_in_root(const char *root, const char *path, uint64_t flags)
{
    int root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root_fd < 0) {
        return -1;
    }
    struct open_how how = {.flags = flags, .resolve = RESOLVE_IN_ROOT};
    int fd = (int)syscall(SYS_openat2, root_fd, path, &how, sizeof how);
    if (fd < 0 && (errno == ENOSYS || errno == EPERM)) {
        fd = openat(root_fd, path + strspn(path, "/"), (int)flags);
    }
    close(root_fd);
    return fd;
}

static int open_path(const char *root, const char *path, uint64_t flags)
{
    return root != NULL ? open_in_root(root, path, flags) : open(path, (int)flags);
}

static bool is_regular(int fd, size_t *ret_size)
{
    struct stat status;
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) || status.st_size <= 0) {
        return false;
    }
    *ret_size = (size_t)status.st_size;
    return true;
}

/* Looks before it opens: to open a device can be to use it. */
static int open_regular(const char *root, const char *path, size_t *ret_size)
{
    int peek = open_path(root, path, O_PATH | O_CLOEXEC);
    bool is_wanted = peek >= 0 && is_regular(peek, ret_size);
    if (peek >= 0) {
        close(peek);
    }
    if (!is_wanted) {
        return -1;
    }
    int fd = open_path(root, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd >= 0 && !is_regular(fd, ret_size)) {
        close(fd);
        fd = -1;
    }
    return fd;
}

enum cw_elf_opened cw_elf_file_open(const char *root,
                                    const char *path,
                                    struct cw_arena *arena,
                                    struct cw_elf_file *ret_file)
{
    struct cw_elf_file file = {.path = cw_arena_strdup(arena, path), .root = root};
    int fd = file.path != NULL ? open_regular(root, path, &file.size) : -1;
    if (fd < 0) {
        return CW_ELF_ABSENT;
    }
    void *data = mmap(NULL, file.size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (data == MAP_FAILED) {
        return CW_ELF_ABSENT;
    }
    file.data = data;
    if (!cw_elf_layout_read(file.data, file.size, arena, &file.layout)) {
        cw_elf_file_close(&file);
        return CW_ELF_OTHER;
    }
    *ret_file = file;
    return CW_ELF_OPEN;
}

void cw_elf_file_close(struct cw_elf_file *file)
{
    if (file->data != NULL) {
        munmap(file->data, file->size);
    }
    *file = (struct cw_elf_file){0};
}

Elf *cw_elf_file_begin(const struct cw_elf_file *file)
{
    /* The bytes are mapped read-only: libelf copies what it has to change. */
    if (elf_version(EV_CURRENT) == EV_NONE) {
        return NULL;
    }
    Elf *elf = elf_memory((char *)file->data, file->size);
    if (elf != NULL && elf_kind(elf) != ELF_K_ELF) {
        elf_end(elf);
        elf = NULL;
    }
    return elf;
}

/* By its sections: in debug files program headers can point at bytes that were taken out. */
static bool has_build_id(const struct cw_elf_file *file, const struct cw_debug_search *search)
{
    Elf *elf = cw_elf_file_begin(file);
    const void *bytes = NULL;
    ssize_t size = elf != NULL ? dwelf_elf_gnu_build_id(elf, &bytes) : -1;
    bool is_same = size > 0 && (size_t)size == search->build_id_bytes &&
                   memcmp(bytes, search->build_id, (size_t)size) == 0;
    elf_end(elf);
    return is_same;
}

static bool open_verified(const struct cw_debug_search *search,
                          const char *path,
                          const GElf_Word *wanted_checksum,
                          struct cw_arena *arena,
                          struct cw_elf_file *ret_file)
{
    struct cw_elf_file file;
    if (path == NULL || cw_elf_file_open(search->root, path, arena, &file) != CW_ELF_OPEN) {
        return false;
    }
    bool is_ours =
        search->build_id_bytes > 0
            ? has_build_id(&file, search)
            : wanted_checksum != NULL && crc32_z(0, file.data, file.size) == *wanted_checksum;
    if (!is_ours) {
        cw_elf_file_close(&file);
        return false;
    }
    *ret_file = file;
    return true;
}

static char *build_id_path(const struct cw_debug_search *search, struct cw_arena *arena)
{
    char rest[2 * CW_BUILD_ID_LIMIT + 1] = "";
    for (uint32_t i = 1; i < search->build_id_bytes; i++) {
        static const char digits[] = "0123456789abcdef";
        rest[2 * i - 2] = digits[search->build_id[i] >> 4];
        rest[2 * i - 1] = digits[search->build_id[i] & 15];
    }
    return cw_arena_printf(
        arena, "%s/.build-id/%02x/%s.debug", search->debug_dir, search->build_id[0], rest);
}

static bool open_by_link(const struct cw_debug_search *search,
                         Elf *elf,
                         struct cw_arena *arena,
                         struct cw_elf_file *ret_file)
{
    GElf_Word sum;
    const char *link = dwelf_elf_gnu_debuglink(elf, &sum);
    const char *slash = strrchr(search->file->path, '/');
    if (link == NULL || link[0] == '\0' || strchr(link, '/') != NULL || slash == NULL) {
        return false;
    }
    int length = (int)(slash - search->file->path);
    const char *folder = search->file->path;
    const char *paths[] = {
        cw_arena_printf(arena, "%.*s/%s", length, folder, link),
        cw_arena_printf(arena, "%.*s/.debug/%s", length, folder, link),
        cw_arena_printf(arena, "%s%.*s/%s", search->debug_dir, length, folder, link),
    };
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        if (open_verified(search, paths[i], &sum, arena, ret_file)) {
            return true;
        }
    }
    return false;
}

bool cw_elf_file_open_debug(const struct cw_debug_search *search,
                            struct cw_arena *arena,
                            struct cw_elf_file *ret_file)
{
    if (search->build_id_bytes > 0 &&
        open_verified(search, build_id_path(search, arena), NULL, arena, ret_file)) {
        return true;
    }
    if (search->file == NULL) {
        return false;
    }
    Elf *elf = cw_elf_file_begin(search->file);
    bool is_found = elf != NULL && open_by_link(search, elf, arena, ret_file);
    elf_end(elf);
    return is_found;
}
