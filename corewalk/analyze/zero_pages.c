/* Counts zero pages, block by block on all workers. */
#include "analyze/zero_pages.h"

#include <stdatomic.h>
#include <string.h>

#include "base/checked.h"

enum { BLOCK_BYTES = 8 << 20 };

struct count {
    const uint8_t *data;
    uint64_t size_bytes;
    uint64_t page_bytes;
    _Atomic uint64_t zero_bytes;
};

/* A page equals itself moved by one word, and begins with a zero word. */
static bool is_zero_page(const uint8_t *page, uint64_t bytes)
{
    return cw_load_u64(page) == 0 && memcmp(page, page + 8, bytes - 8) == 0;
}

static void count_block(void *context, unsigned worker, size_t task)
{
    (void)worker;
    struct count *count = context;
    uint64_t off = (uint64_t)task * BLOCK_BYTES;
    uint64_t end = cw_min(count->size_bytes, off + BLOCK_BYTES);
    uint64_t zero_bytes = 0;
    for (; end - off >= count->page_bytes; off += count->page_bytes) {
        if (is_zero_page(count->data + off, count->page_bytes)) {
            zero_bytes += count->page_bytes;
        }
    }
    atomic_fetch_add_explicit(&count->zero_bytes, zero_bytes, memory_order_relaxed);
}

uint64_t cw_zero_page_bytes(const struct cw_space *space,
                            struct cw_pool *pool,
                            cw_addr start,
                            uint64_t size)
{
    struct count count = {.page_bytes = space->page_bytes};
    cw_addr first;
    if (space->page_bytes < 16 || space->page_bytes > BLOCK_BYTES ||
        !cw_align_up(start, space->page_bytes, &first) || first - start >= size) {
        return 0;
    }
    uint64_t seen = cw_space_run(space, first, &count.data);
    count.size_bytes = cw_min(seen, size - (first - start));
    if (count.size_bytes == 0) {
        return 0;
    }
    cw_pool_run(
        pool, count_block, &count, (size_t)((count.size_bytes + BLOCK_BYTES - 1) / BLOCK_BYTES));
    return atomic_load(&count.zero_bytes);
}
