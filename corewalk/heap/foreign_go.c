/*
 * Go's heap. The runtime takes memory in arenas of 64 MiB, from hints at 0x00c0 << 32 plus
 * i << 40 (runtime/malloc.go, mallocinit; 64-bit systems but for some). Goroutine stacks are spans
 * of it: writable memory there is HeapSys + StackSys of runtime.MemStats. [V] Go 1.19.
 *
 *     0xc000000000  writable | reserved to 0xc004000000, the end of the first arena
 */
#include "base/checked.h"
#include "heap/foreign_finder.h"

#define FIRST_HINT  UINT64_C(0xc000000000)
#define HINT_STEP   (UINT64_C(1) << 40)
#define ARENA_BYTES (UINT64_C(64) << 20)

enum { HINT_COUNT = 0x80 };

/* Whether any of an arena is writable anonymous memory; all else there would be foreign to it. */
static bool is_arena(const struct foreign_search *search, cw_addr start)
{
    const struct cw_space *space = search->space;
    bool has_memory = false;
    for (size_t i = cw_space_first_above(space, start); i < space->region_count; i++) {
        const struct cw_region *region = &space->regions[i];
        if (region->start >= start && region->start - start >= ARENA_BYTES) {
            break;
        }
        if (!cw_region_is_anonymous(region) || (region->protection & CW_PROT_EXEC) != 0) {
            return false;
        }
        has_memory |= cw_region_is_writable(region);
    }
    return has_memory;
}

/* Is anything mapped where an arena at the hint would lie? */
static bool is_taken(const struct cw_space *space, cw_addr hint)
{
    size_t i = cw_space_first_above(space, hint);
    return i < space->region_count &&
           (space->regions[i].start < hint || space->regions[i].start - hint < ARENA_BYTES);
}

/* Hints are used in order: one that was free and is unused ends the heap. */
void foreign_find_go(struct foreign_search *search)
{
    if (search->space->word_bytes != 8) {
        return;
    }
    for (uint64_t i = 0; i < HINT_COUNT; i++) {
        cw_addr hint = FIRST_HINT + i * HINT_STEP;
        cw_addr at = hint;
        while (at - hint < HINT_STEP && is_arena(search, at)) {
            at += ARENA_BYTES;
        }
        if (at == hint && !is_taken(search->space, hint)) {
            return;
        }
        foreign_add(search, CW_FOREIGN_GO, hint, at - hint);
    }
}
