/*
 * One address space: every byte of the process with where it comes from.
 *
 * The target's segments are cut into regions of one protection, one backing mapping and one
 * provenance. Later layers may overlay what the target does not hold with the same bytes from a
 * file on disk (cw_space_overlay). Reads never mistake "missing" for zero.
 */
#pragma once

#include "base/column.h"
#include "base/load.h"
#include "base/vector.h"
#include "target/target.h"

enum cw_provenance {
    CW_HELD,       /* the target has the bytes */
    CW_FROM_FILE,  /* taken from a module's file whose build-id agrees */
    CW_NOT_DUMPED, /* the dumper left it out (coredump_filter, never touched file pages) */
    CW_TRUNCATED,  /* dumped, but cut off the core file */
};

struct cw_region {
    cw_addr start;
    uint64_t size_bytes;
    enum cw_provenance provenance;
    uint32_t protection;    /* CW_PROT_* */
    uint32_t mapping_index; /* into target->mappings; CW_NONE: anonymous */
    const uint8_t *data;    /* size_bytes of them; NULL: missing, or not fetched yet */
    uint32_t fetch_index;   /* callback targets: into the fetch cache, else CW_NONE */
};

struct cw_fetch;
struct cw_fetcher;

struct cw_space {
    const struct cw_target *target;
    struct cw_arena *arena;
    unsigned word_bytes;
    uint64_t page_bytes;
    uint64_t pointer_mask; /* the bits of a pointer that address memory */
    struct cw_region
        *regions; /* sorted, without overlap; neighbours differ or are not contiguous */
    size_t region_count;
    struct cw_fetch *fetches; /* what callback targets have delivered */
    size_t fetch_count;
    struct cw_fetcher *fetcher;
    struct cw_vector region_items; /* behind regions */
    struct cw_vector start_items;  /* cw_addr: the regions' starts, close together for look-ups */
};

/* Borrows the target, which must outlive it. */
enum cw_status cw_space_create(const struct cw_target *target,
                               struct cw_arena *arena,
                               struct cw_space *ret_space,
                               struct cw_error *err);
void cw_space_destroy(struct cw_space *space);

/* The region that holds the address, or NULL. */
const struct cw_region *cw_space_find(const struct cw_space *space, cw_addr address);

/* Index of the first region that ends above the address (region_count when there is none). */
size_t cw_space_first_above(const struct cw_space *space, cw_addr address);

/*
 * `size` bytes in place, or NULL when any of them is missing or the range crosses regions.
 * On a callback target this fetches what is not there yet (in blocks of 1 MiB); fetching is
 * serialised inside, so this may be called from every worker.
 */
const uint8_t *cw_space_view(const struct cw_space *space, cw_addr address, uint64_t size);

/*
 * How many bytes can be seen from the address on without a gap (0: none), and where: for passes
 * over as much as there is. Stops at the region's end; fetches like cw_space_view.
 */
uint64_t cw_space_run(const struct cw_space *space, cw_addr address, const uint8_t **ret_data);

/*
 * Did a callback target's bytes not fit into the byte budget? They were then reported as missing:
 * what was found since is incomplete. Ask after each pass.
 */
bool cw_space_is_out_of_memory(const struct cw_space *space);

/* Copies, also across regions. False, and the buffer unspecified, when a byte is missing. */
bool cw_space_read(const struct cw_space *space, cw_addr address, void *buffer, size_t size);

bool cw_space_read_word(const struct cw_space *space, cw_addr address, uint64_t *ret_word);
bool cw_space_read_u32(const struct cw_space *space, cw_addr address, uint32_t *ret_value);

/*
 * A NUL-terminated string of at most buffer_bytes - 1 bytes. False when the terminator does not
 * come in time or a byte is missing. The result is raw: escape before printing.
 */
bool cw_space_read_string(const struct cw_space *space,
                          cw_addr address,
                          char *buffer,
                          size_t buffer_bytes);

/*
 * Lays `data` over the missing parts of [address, address + size): regions that are held stay as
 * they are. `data` must outlive the space. Only before worker threads use the space.
 */
enum cw_status cw_space_overlay(struct cw_space *space,
                                cw_addr address,
                                uint64_t size,
                                const uint8_t *data,
                                struct cw_error *err);

/*
 * A word of the program's data taken as an address. aarch64 ignores the top byte of a pointer
 * (TBI), where HWASan, MTE and some programs keep a tag. Only what the program itself stores may
 * have one: headers, bins, caches and the other lists of glibc hold addresses as they are.
 */
static inline cw_addr cw_space_pointer(const struct cw_space *space, uint64_t word)
{
    return word & space->pointer_mask;
}

/* Path of the file behind a region, raw, or NULL for anonymous memory. */
const char *cw_region_path(const struct cw_space *space, const struct cw_region *region);

static inline bool cw_region_is_writable(const struct cw_region *region)
{
    return (region->protection & CW_PROT_WRITE) != 0;
}

static inline bool cw_region_is_anonymous(const struct cw_region *region)
{
    return region->mapping_index == CW_NONE;
}
