/* Mapping files, and zero memory over their holes. */
#include "target/file_map.h"

#include <sys/mman.h>
#include <unistd.h>

#include "base/checked.h"

/* A page of page tables, and the size of a huge page: as much as there is one zero page for. */
#define HOLE_BYTES (UINT64_C(2) << 20)

enum { HOLE_LIMIT = 4096 }; /* a process may have 65,530 mappings in all */

static bool map_zeros(uint8_t *start, size_t size)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
    if (mmap(start, size, PROT_READ, flags, -1, 0) == MAP_FAILED) {
        return false;
    }
    (void)madvise(start, size, MADV_HUGEPAGE);
    return true;
}

/* The inner whole blocks of [start, end) of the file. */
static bool cover_hole(uint8_t *data, uint64_t start, uint64_t end)
{
    uint64_t first = UINT64_MAX;
    (void)cw_align_up(start, HOLE_BYTES, &first);
    uint64_t behind = cw_align_down(end, HOLE_BYTES);
    return first >= behind || map_zeros(data + first, behind - first);
}

/* False: the mapping may have lost parts. A file system that knows no holes says that it has none.
 */
static bool cover_holes(int file, uint8_t *data, uint64_t size)
{
    off_t position = lseek(file, 0, SEEK_CUR);
    bool is_whole = true;
    uint64_t at = 0;
    for (unsigned i = 0; i < HOLE_LIMIT && is_whole && position >= 0 && at < size; i++) {
        off_t hole = lseek(file, (off_t)at, SEEK_HOLE);
        if (hole < 0 || (uint64_t)hole >= size) {
            break;
        }
        off_t next = lseek(file, hole, SEEK_DATA);
        at = next < 0 ? size : cw_min((uint64_t)next, size);
        is_whole = cover_hole(data, (uint64_t)hole, at);
    }
    if (position >= 0) {
        (void)lseek(file, position, SEEK_SET);
    }
    return is_whole;
}

bool cw_file_map(int file, size_t size, void **ret_data)
{
    void *data = mmap(NULL, size, PROT_READ, MAP_PRIVATE, file, 0);
    if (data != MAP_FAILED && !cover_holes(file, data, size)) {
        munmap(data, size);
        data = mmap(NULL, size, PROT_READ, MAP_PRIVATE, file, 0);
    }
    if (data == MAP_FAILED) {
        return false;
    }
    *ret_data = data;
    return true;
}
