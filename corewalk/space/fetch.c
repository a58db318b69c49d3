/*
 * The fetch cache. A segment's cache is one anonymous mapping that is as large as the segment and
 * is touched (and charged to the budget) only where something was fetched:
 *
 *     base   start                                              start + size
 *     |······|████████|                |████████|███ ██ █|         |
 *            block 0    block 1         whole    partial
 *
 * A block is read in one go; where that fails, page by page, so that one unreadable page does not
 * hide its neighbours. Pages and blocks count from `base`, the start rounded down to a page.
 *
 * A block's state is published with release order after its bytes and page bits, and never changes
 * again once it is not UNTRIED: readers need an acquire load and nothing else.
 */
#include "space/fetch.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "base/checked.h"

/* 64 TiB: half of what a process can map on x86-64 and aarch64. */
#define LARGEST_BLOCK_COUNT ((uint64_t)1 << 26)

enum block_state {
    BLOCK_UNTRIED,
    BLOCK_WHOLE,
    BLOCK_PARTIAL, /* its page bits say which */
};

/* What the caches of one space share. */
struct cw_fetcher {
    pthread_mutex_t mutex; /* held while the target is read and while a cache changes */
    const struct cw_target *target;
    struct cw_budget *budget;
    _Atomic bool is_out_of_memory;
};

struct cw_fetch {
    struct cw_fetcher *fetcher;
    cw_addr start;
    cw_addr last; /* of its bytes: the segment may end at the top of the address space */
    cw_addr base;
    uint64_t page_count;
    uint64_t block_count;
    /* Mapped at the first fetch, then published through `blocks`. */
    uint8_t *data;
    uint64_t *page_bits;
    _Atomic(_Atomic uint8_t *) blocks;
    uint64_t charged_bytes;
};

static uint64_t page_bytes_of(const struct cw_fetch *fetch)
{
    return fetch->fetcher->target->page_bytes;
}

static void init_fetch(struct cw_fetch *fetch,
                       struct cw_fetcher *fetcher,
                       const struct cw_segment *segment)
{
    uint64_t page_bytes = fetcher->target->page_bytes;
    fetch->fetcher = fetcher;
    fetch->start = segment->start;
    fetch->last = segment->start + (segment->size_bytes - 1);
    fetch->base = cw_align_down(segment->start, page_bytes);
    fetch->page_count = (fetch->last - fetch->base) / page_bytes + 1;
    fetch->block_count = (fetch->last - fetch->base) / CW_FETCH_BLOCK_BYTES + 1;
}

enum cw_status cw_fetch_create_all(struct cw_space *space, struct cw_error *err)
{
    const struct cw_target *target = space->target;
    if (target->read == NULL) {
        return CW_OK;
    }
    struct cw_fetcher *fetcher = cw_arena_alloc(space->arena, sizeof *fetcher);
    struct cw_fetch *fetches =
        cw_arena_alloc_array(space->arena, target->segment_count, sizeof *fetches);
    if (fetcher == NULL || fetches == NULL) {
        return cw_error_set_memory(err, "the fetch cache");
    }
    pthread_mutex_init(&fetcher->mutex, NULL);
    fetcher->target = target;
    fetcher->budget = space->arena->budget;
    for (size_t i = 0; i < target->segment_count; i++) {
        init_fetch(&fetches[i], fetcher, &target->segments[i]);
    }
    space->fetches = fetches;
    space->fetch_count = target->segment_count;
    space->fetcher = fetcher;
    return CW_OK;
}

static uint64_t data_bytes_of(const struct cw_fetch *fetch)
{
    return fetch->block_count * CW_FETCH_BLOCK_BYTES;
}

/* The page bits and, behind them, the states of the blocks. */
static uint64_t table_bytes_of(const struct cw_fetch *fetch)
{
    return (fetch->page_count / 64 + 1) * sizeof(uint64_t) + fetch->block_count;
}

void cw_fetch_destroy_all(struct cw_space *space)
{
    for (size_t i = 0; i < space->fetch_count; i++) {
        struct cw_fetch *fetch = &space->fetches[i];
        if (fetch->data != NULL) {
            munmap(fetch->data, data_bytes_of(fetch) + table_bytes_of(fetch));
            cw_budget_give(fetch->fetcher->budget, fetch->charged_bytes);
        }
    }
    if (space->fetcher != NULL) {
        pthread_mutex_destroy(&space->fetcher->mutex);
    }
    space->fetch_count = 0;
    space->fetcher = NULL;
}

bool cw_space_is_out_of_memory(const struct cw_space *space)
{
    return space->fetcher != NULL && atomic_load(&space->fetcher->is_out_of_memory);
}

static bool charge(struct cw_fetch *fetch, uint64_t bytes)
{
    if (!cw_budget_take(fetch->fetcher->budget, bytes)) {
        return false;
    }
    fetch->charged_bytes += bytes;
    return true;
}

static void *map_memory(uint64_t bytes)
{
    void *memory = mmap(
        NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

/* Under the mutex. False: it does not fit into the budget or the address space. */
static bool map_cache(struct cw_fetch *fetch)
{
    if (fetch->data != NULL) {
        return true;
    }
    if (fetch->block_count > LARGEST_BLOCK_COUNT || !charge(fetch, table_bytes_of(fetch))) {
        return false;
    }
    uint64_t total_bytes = data_bytes_of(fetch) + table_bytes_of(fetch);
    uint8_t *data = map_memory(total_bytes);
    if (data == NULL) {
        cw_budget_give(fetch->fetcher->budget, fetch->charged_bytes);
        fetch->charged_bytes = 0;
        return false;
    }
    fetch->data = data;
    fetch->page_bits = (uint64_t *)(void *)(data + data_bytes_of(fetch));
    _Atomic uint8_t *blocks = (_Atomic uint8_t *)(data + total_bytes - fetch->block_count);
    atomic_store_explicit(&fetch->blocks, blocks, memory_order_release);
    return true;
}

/* Reads [from, from + size), offsets from the base, less what lies outside of the segment. */
static bool read_target(struct cw_fetch *fetch, uint64_t from, uint64_t size)
{
    const struct cw_target *target = fetch->fetcher->target;
    uint64_t first = cw_max(from, fetch->start - fetch->base);
    uint64_t last = cw_min(from + (size - 1), fetch->last - fetch->base);
    return target->read(
        target->context, fetch->base + first, fetch->data + first, last - first + 1);
}

static enum block_state fetch_pages(struct cw_fetch *fetch, uint64_t from)
{
    uint64_t page_bytes = page_bytes_of(fetch);
    uint64_t first = from / page_bytes;
    uint64_t end = cw_min(first + CW_FETCH_BLOCK_BYTES / page_bytes, fetch->page_count);
    for (uint64_t page = first; page < end; page++) {
        if (read_target(fetch, page * page_bytes, page_bytes)) {
            fetch->page_bits[page / 64] |= (uint64_t)1 << (page % 64);
        }
    }
    return BLOCK_PARTIAL;
}

static uint8_t load_state(struct cw_fetch *fetch, uint64_t block)
{
    _Atomic uint8_t *blocks = atomic_load_explicit(&fetch->blocks, memory_order_acquire);
    return blocks == NULL ? BLOCK_UNTRIED
                          : atomic_load_explicit(&blocks[block], memory_order_acquire);
}

/* Fetches a block that was not tried, unless another thread does meanwhile. */
static uint8_t fetch_block(struct cw_fetch *fetch, uint64_t block)
{
    struct cw_fetcher *fetcher = fetch->fetcher;
    pthread_mutex_lock(&fetcher->mutex);
    uint8_t state = load_state(fetch, block);
    if (state == BLOCK_UNTRIED) {
        if (map_cache(fetch) && charge(fetch, CW_FETCH_BLOCK_BYTES)) {
            uint64_t from = block * CW_FETCH_BLOCK_BYTES;
            bool is_whole = read_target(fetch, from, CW_FETCH_BLOCK_BYTES);
            state = is_whole ? BLOCK_WHOLE : fetch_pages(fetch, from);
            atomic_store_explicit(&fetch->blocks[block], state, memory_order_release);
        } else {
            atomic_store(&fetcher->is_out_of_memory, true);
        }
    }
    pthread_mutex_unlock(&fetcher->mutex);
    return state;
}

/* How many bytes of a partial block can be seen from the offset on: up to the next lost page. */
static uint64_t run_in_pages(const struct cw_fetch *fetch, uint64_t offset, uint64_t size)
{
    uint64_t page_bytes = page_bytes_of(fetch);
    uint64_t run = 0;
    while (run < size) {
        uint64_t page = (offset + run) / page_bytes;
        if ((fetch->page_bits[page / 64] >> (page % 64) & 1) == 0) {
            break;
        }
        run = cw_min(size, (page + 1) * page_bytes - offset);
    }
    return run;
}

uint64_t cw_fetch_run(const struct cw_space *space,
                      uint32_t fetch_index,
                      cw_addr address,
                      uint64_t size,
                      const uint8_t **ret_data)
{
    struct cw_fetch *fetch = &space->fetches[fetch_index];
    uint64_t offset = address - fetch->base;
    uint64_t run = 0;
    while (run < size) {
        uint64_t block = (offset + run) / CW_FETCH_BLOCK_BYTES;
        uint64_t in_block = (block + 1) * CW_FETCH_BLOCK_BYTES - (offset + run);
        uint64_t wanted = cw_min(size - run, in_block);
        uint8_t state = load_state(fetch, block);
        if (state == BLOCK_UNTRIED) {
            state = fetch_block(fetch, block);
        }
        uint64_t got = state == BLOCK_WHOLE     ? wanted
                       : state == BLOCK_PARTIAL ? run_in_pages(fetch, offset + run, wanted)
                                                : 0;
        run += got;
        if (got < wanted) {
            break;
        }
    }
    if (run > 0) {
        *ret_data = fetch->data + offset;
    }
    return run;
}
