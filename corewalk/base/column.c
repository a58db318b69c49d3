/* Columns: private anonymous mappings under the byte budget. */
#include "base/column.h"

#include <sys/mman.h>
#include <unistd.h>

#include "base/checked.h"

/* Smaller ones would waste more memory in large pages than they save time. */
enum { LARGE_PAGES_FROM_BYTES = 8 << 20 };

static bool mapping_bytes(uint64_t count, size_t item_bytes, uint64_t *ret_bytes)
{
    uint64_t bytes;
    return cw_mul(count, item_bytes, &bytes) &&
           cw_align_up(bytes, (uint64_t)sysconf(_SC_PAGESIZE), ret_bytes);
}

bool cw_column_create(struct cw_budget *budget,
                      uint64_t count,
                      size_t item_bytes,
                      struct cw_column *ret_column)
{
    uint64_t bytes;
    if (!mapping_bytes(count, item_bytes, &bytes)) {
        return false;
    }
    if (bytes == 0) {
        *ret_column = (struct cw_column){.budget = budget};
        return true;
    }
    if (!cw_budget_take(budget, bytes)) {
        return false;
    }
    void *data = mmap(
        NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (data == MAP_FAILED) {
        cw_budget_give(budget, bytes);
        return false;
    }
    if (bytes >= LARGE_PAGES_FROM_BYTES) {
        madvise(data, bytes, MADV_HUGEPAGE); /* a wish: each page's first touch is a fault */
    }
    *ret_column = (struct cw_column){.data = data, .size_bytes = bytes, .budget = budget};
    return true;
}

void cw_column_destroy(struct cw_column *column)
{
    if (column->data != NULL) {
        munmap(column->data, column->size_bytes);
        cw_budget_give(column->budget, column->size_bytes);
    }
    *column = (struct cw_column){0};
}
