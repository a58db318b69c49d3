/*
 * What the parts of the glibc allocator share. Each glibc_<part>.c is one idea:
 *
 *   layout   the table of layouts            hop      from chunk to chunk, on all cores
 *   arena    finding the arenas              walk     spans into runs, extents and chunks
 *   mp       finding mp_                     resync   going on behind damage
 *   span     where the arenas' memory lies   mmapped  chunks that are mappings
 *   orphan   brk memory without its arena                detached  pieces beside brk memory
 *   bins, fastbins   free lists of the arenas
 *   tcache   finding the threads' caches     cached   what lies in them
 *   share    brk memory of several mains               check    integrity, and what is said of it
 *   compare  symbols and banner against memory                key      the mark of cached chunks
 *   chunk    by address                     anchor   chunk starts that lists know of
 *
 * A process may hold several copies of malloc: libc again in a namespace of its own (dlmopen, or
 * dlopen by a static program), or libc_malloc_debug.so. Each copy is one struct glibc, with its own
 * circle of arenas, its own mp_ and layout; all of them fill one builder.
 */
#pragma once

#include <inttypes.h>

#include "base/load.h"
#include "heap/damage.h"
#include "heap/glibc_layout.h"
#include "heap/heap_builder.h"

/* Flags in the low bits of a chunk's size. */
enum {
    GLIBC_PREV_INUSE = 1,
    GLIBC_IS_MMAPPED = 2,
    GLIBC_NON_MAIN = 4,
    GLIBC_FLAGS = 7,
};

/* An arena's struct, read; `next` links were followed when it was found. */
struct glibc_arena {
    cw_addr address;
    cw_addr bins; /* address of its bins */
    bool is_main;
    bool was_busy; /* its mutex was taken: an operation may have been under way */
    bool has_sums; /* the two below could be read */
    uint64_t system_bytes;
    cw_addr top;
    uint64_t top_bytes;  /* 0: its header cannot be read */
    cw_addr first_heap;  /* of thread arenas: the heap_info in front of it; 0: it is damaged */
    cw_addr orphan_base; /* of a main arena whose struct is missing: its memory; else 0 */
};

struct glibc_mp {
    cw_addr address; /* 0: not found */
    enum glibc_mp_form form;
    uint64_t n_mmaps;
    uint64_t mmapped_bytes;
    cw_addr sbrk_base;
    uint64_t hp_page_bytes;
    uint64_t tcache_count; /* 0: unknown */
};

enum { GLIBC_COPY_LIMIT = 16 };

enum glibc_span_kind {
    GLIBC_SPAN_MAIN,        /* brk memory, or what mmap gave in its stead */
    GLIBC_SPAN_NEWEST_HEAP, /* of a thread arena, with its top */
    GLIBC_SPAN_OLDER_HEAP,  /* ends with fenceposts */
};

/* Memory that an arena has tiled with chunks, sorted by start, disjoint. */
struct glibc_span {
    cw_addr start; /* of the first chunk */
    cw_addr end;
    cw_addr top; /* the arena's top lies in here at this address; 0: elsewhere, or unknown */
    enum glibc_span_kind kind;
    uint32_t arena_index; /* into the builder's arenas */
    uint32_t first_run;   /* into the builder's runs */
    uint32_t run_count;
};

/* The cache of a thread. */
struct glibc_tcache {
    cw_addr address; /* of the struct, which is what malloc returned */
    uint32_t tid;
};

/* The mark of cached chunks, while it is learnt; see glibc_key.c. */
struct glibc_key {
    uint64_t word; /* the candidate of a majority */
    uint64_t lead;
    uint64_t voter_count;
    uint64_t own_count; /* of voters that bear the address of their cache */
};

/* A chunk whose state does not follow from its neighbours. */
struct glibc_mark {
    cw_addr start;
    enum cw_chunk_state state;
};

/* Memory around the last look; looks rarely change regions. */
struct glibc_window {
    const struct cw_space *space;
    cw_addr start;
    uint64_t size_bytes;
    const uint8_t *data;
};

/* Memory in which a hop has noticed something odd. */
struct glibc_suspect {
    cw_addr start;
    cw_addr end;
};

/* A header that the walk could not go on from. */
struct glibc_break {
    cw_addr chunk;
    cw_addr before;    /* the chunk before it; 0: none is known */
    bool is_plausible; /* the size is one that a chunk could have, but led astray */
};

struct glibc_copies;

/* One copy of malloc. */
struct glibc {
    struct cw_heap_builder *builder;
    struct glibc_copies *copies; /* that it is one of */
    uint32_t first_arena;        /* of its arenas, in the builder */
    struct cw_space *space;
    uint64_t word_bytes;
    uint64_t header_bytes; /* 2 words: from the chunk to what malloc returned */
    uint64_t alignment;
    uint64_t min_chunk_bytes;
    glibc_candidates candidates;
    const struct glibc_layout *layout;
    struct glibc_mp mp;
    uint64_t heap_max_bytes;
    enum glibc_linking linking;
    enum glibc_tcache_form tcache_form;
    uint64_t plain_votes;
    uint64_t mangled_votes;
    struct cw_vector tcaches; /* struct glibc_tcache */
    struct glibc_key key;
    bool has_lost_cached;     /* caches were not readable, or their lists are damaged */
    struct cw_vector arenas;  /* struct glibc_arena, the main one first, then by address */
    struct cw_vector spans;   /* struct glibc_span */
    struct cw_vector marks;   /* struct glibc_mark */
    struct cw_vector anchors; /* cw_addr: chunk starts known from free lists; see resync */
    bool has_anchors;
    uint64_t resync_hops_left;
    uint64_t detached_hops_left; /* that may be spent on what turns out to be no piece */
    bool has_no_caches;          /* libc_malloc_debug.so's copy is compiled without tcache */
    bool has_unread_list;        /* some free list could not be followed to its end */
    bool was_cancelled;
    uint32_t break_count;       /* times that a walk had to be resumed */
    struct cw_vector suspects;  /* struct glibc_suspect */
    struct cw_vector breaks;    /* struct glibc_break, in the order of the spans */
    uint64_t search_bytes_left; /* that may be searched for references to blocks */
    uint64_t damage_counts[CW_DAMAGE_KIND_COUNT];
};

/* All copies of malloc in the process; [0] holds the most memory. */
struct glibc_copies {
    struct glibc items[GLIBC_COPY_LIMIT];
    size_t count; /* at least 1, even when that one has no arena */
};

static inline struct glibc_arena *glibc_arena_at(const struct glibc *glibc, size_t index)
{
    return cw_vector_at(&glibc->arenas, index);
}

/* The arena of a span. */
static inline struct glibc_arena *glibc_arena_of(const struct glibc *glibc,
                                                 const struct glibc_span *span)
{
    return glibc_arena_at(glibc, span->arena_index - glibc->first_arena);
}

/* Where the list of a fastbin begins. */
static inline cw_addr glibc_fastbin_head(const struct glibc *glibc,
                                         const struct glibc_arena *arena,
                                         unsigned bin)
{
    return arena->address + glibc->layout->fastbins_off + (uint64_t)bin * glibc->word_bytes;
}

/* Is the builder's arena one of this copy? */
static inline bool glibc_has_arena(const struct glibc *glibc, uint32_t arena_index)
{
    return arena_index >= glibc->first_arena &&
           arena_index - glibc->first_arena < glibc->arenas.count;
}

static inline struct glibc_span *glibc_span_at(const struct glibc *glibc, size_t index)
{
    return cw_vector_at(&glibc->spans, index);
}

/* Moves the window over the address. False when `size` bytes cannot be seen there in one piece. */
bool glibc_window_move(struct glibc_window *window, cw_addr address, uint64_t size);

static inline bool glibc_peek(struct glibc_window *window, cw_addr address, uint64_t *ret_word)
{
    unsigned word_bytes = window->space->word_bytes;
    bool is_inside = window->data != NULL &&
                     cw_range_holds(window->start, window->size_bytes, address, word_bytes);
    if (!is_inside && !glibc_window_move(window, address, word_bytes)) {
        return cw_space_read_word(window->space, address, ret_word);
    }
    *ret_word = cw_load_word(window->data + (address - window->start), word_bytes);
    return true;
}

static inline uint64_t glibc_chunk_bytes(uint64_t size_word)
{
    return size_word & ~(uint64_t)GLIBC_FLAGS;
}

/* Rounds up so that chunk + 2W is aligned as malloc's results are. */
static inline cw_addr glibc_first_chunk(const struct glibc *glibc, cw_addr address)
{
    cw_addr user = address + glibc->header_bytes + glibc->alignment - 1;
    return cw_align_down(user, glibc->alignment) - glibc->header_bytes;
}

static inline bool glibc_is_chunk_aligned(const struct glibc *glibc, cw_addr address)
{
    return ((address + glibc->header_bytes) & (glibc->alignment - 1)) == 0;
}

/* ---- the parts, in the order in which they run --------------------------------------------- */

/*
 * Finds the arenas of each copy and narrows its candidates. The first of the copies must be
 * initialised; the others are made like it. False: out of memory, or cancelled (was_cancelled of
 * the first copy). No arena at all: one copy, whose arenas stay empty.
 */
bool glibc_find_arenas(struct glibc_copies *copies);

/* A copy without arenas yet. */
void glibc_init(struct glibc *glibc, struct cw_heap_builder *builder);
void glibc_deinit(struct glibc *glibc);

/*
 * When there is no main arena: its memory alone, as an arena without an address. False: out of
 * memory.
 */
bool glibc_find_orphan(struct glibc *glibc);

/* Looks for mp_ where the main arena was found. Needs the arenas. */
void glibc_find_mp(struct glibc *glibc);

/* The end of consecutive writable memory, whether held or not, that begins at the address. */
cw_addr glibc_stretch_end(const struct cw_space *space, cw_addr address);

/* Lays out the spans of all copies' arenas, and their ranges. False: out of memory. */
bool glibc_find_spans(struct glibc_copies *copies);

/*
 * Adds the spans of a main arena that brk does not account for: of its memory, `covered_bytes` are
 * in spans already. *ret_missing_bytes: what was not found either. False: out of memory.
 */
bool glibc_find_detached(struct glibc *glibc,
                         uint32_t arena_index,
                         uint64_t covered_bytes,
                         uint64_t *ret_missing_bytes);

/* Where a piece of a main arena's memory ends. */
struct glibc_piece_end {
    cw_addr end;                /* behind its top, or its fenceposts */
    const struct glibc *top_of; /* whose top it is; NULL: it ends with fenceposts, or breaks off */
};

enum glibc_fence_rule {
    GLIBC_FENCE_ANYWHERE,
    GLIBC_FENCE_AT_PAGE_END, /* as at the end of what mmap gave */
};

/*
 * Follows the piece whose first chunk is at `chunk`, up to `limit`. False: it is none. Hops are
 * taken from those that the copy has left.
 */
bool glibc_find_piece_end(struct glibc *glibc,
                          struct glibc_window *window,
                          cw_addr chunk,
                          cw_addr limit,
                          enum glibc_fence_rule rule,
                          struct glibc_piece_end *ret_end);

/*
 * Whose free lists know of chunks in [start, end)? Of several copies of malloc; `usual` when none
 * or more than one do.
 */
struct glibc *glibc_owner_of_piece(struct glibc_copies *copies,
                                   struct glibc *usual,
                                   cw_addr start,
                                   cw_addr end);

/*
 * Lays out brk memory that the main arenas of several copies share: between them it is cut at
 * fenceposts. Sets ret_is_shared[i] for the copies whose brk memory was laid out so. False: out of
 * memory.
 */
bool glibc_find_shared(struct glibc_copies *copies, bool *ret_is_shared);

/* Adds the runs of all spans. False: out of memory. */
bool glibc_add_runs(struct glibc *glibc);

/* Tiles the spans. */
enum cw_status glibc_walk_spans(struct glibc *glibc, struct cw_error *err);

/*
 * Adds the mmapped chunks of all copies: nothing says which copy one belongs to. False: out of
 * memory, or cancelled (was_cancelled of the first copy).
 */
bool glibc_find_mmapped(struct glibc_copies *copies);

/* ---- states, once the table stands --------------------------------------------------------- */

/* The chunk that starts at the address exactly, or CW_NONE. */
uint32_t glibc_chunk_at(const struct glibc *glibc, cw_addr chunk);

/* Its bytes. */
uint64_t glibc_size_of(const struct glibc *glibc, uint32_t index);

static inline uint8_t *glibc_states(const struct glibc *glibc)
{
    return glibc->builder->heap->chunks.state_column.data;
}

/* Finds the threads' caches, and with them whether links are mangled. False: out of memory. */
bool glibc_find_tcaches(struct glibc *glibc);

/* Does the link at `field` with this content point to a chunk, or nowhere, either way? */
void glibc_vote_linking(struct glibc *glibc, cw_addr field, uint64_t stored, bool is_user_address);

/* What the link says, under the linking that was settled. */
static inline cw_addr glibc_follow(const struct glibc *glibc, cw_addr field, uint64_t stored)
{
    return glibc->linking == GLIBC_LINKS_MANGLED ? (field >> 12) ^ stored : stored;
}

void glibc_vote_fastbins(struct glibc *glibc);
void glibc_settle_linking(struct glibc *glibc);

/* Settle the states of cached, fast and binned chunks. */
void glibc_mark_tcaches(struct glibc *glibc);
void glibc_mark_fastbins(struct glibc *glibc);
void glibc_mark_bins(struct glibc *glibc);

/* Settles what is free to its successor but was met in no bin of any copy. */
void glibc_settle_unbinned(struct glibc_copies *copies);

/* Counts, where caches have lost chunks, those that are marked like cached ones: a note. */
void glibc_count_lost(const struct glibc_copies *copies);
