/* What findings mean, and what glibc says when it stumbles over the damage. */
#include "heap/damage.h"

#include <string.h>

enum { NEWEST = 99 };

static const struct cw_damage_kind kinds[CW_DAMAGE_KIND_COUNT] = {
    [CW_DAMAGE_CHUNK_SIZE] =
        {
            "chunk-size",
            CW_SEVERE,
            "impossible size of a chunk",
            "The header in front of a block was overwritten. Most often the block before it was "
            "written beyond its end; a write before the start of the block itself does the same.",
            {{"free(): invalid next size (normal)", 17, NEWEST},
             {"free(): invalid size", 17, NEWEST},
             {"malloc(): invalid size (unsorted)", 29, NEWEST},
             {"corrupted size vs. prev_size", 26, NEWEST}},
        },
    [CW_DAMAGE_TOP_SIZE] =
        {
            "top-size",
            CW_SEVERE,
            "impossible size of the top chunk",
            "The header behind the last block was overwritten: that block was written beyond its "
            "end.",
            {{"malloc(): corrupted top size", 29, NEWEST}, {"sysmalloc: Assertion", 17, NEWEST}},
        },
    [CW_DAMAGE_FOOTER] =
        {
            "footer",
            CW_SEVERE,
            "a free chunk whose two sizes disagree",
            "A free chunk repeats its size at its end. Something wrote there: the program used the "
            "block after it had freed it, or wrote before the start of the block behind it.",
            {{"corrupted size vs. prev_size", 26, NEWEST},
             {"corrupted size vs. prev_size while consolidating", 29, NEWEST}},
        },
    [CW_DAMAGE_PREV_INUSE] =
        {
            "prev-inuse",
            CW_SEVERE,
            "a used block that is marked free",
            "The lowest bit of a size says whether the block before is in use, and was lost. A "
            "zero "
            "byte written right behind the block does that: a string that is one too long.",
            {{"corrupted size vs. prev_size while consolidating", 29, NEWEST},
             {"double free or corruption (!prev)", 17, NEWEST}},
        },
    [CW_DAMAGE_FREE_NEIGHBOURS] =
        {
            "free-neighbours",
            CW_SEVERE,
            "two free chunks side by side",
            "free() joins neighbours, so that this cannot be: the bit that says so was "
            "overwritten, or "
            "a block was freed twice.",
            {{"corrupted size vs. prev_size", 26, NEWEST}},
        },
    [CW_DAMAGE_ARENA_FLAG] =
        {
            "arena-flag",
            CW_SEVERE,
            "a block that claims another arena",
            "A flag in the header of the block is wrong: the block before it was written beyond "
            "its "
            "end. free() will take it for a block of the main arena.",
            {{"free(): invalid pointer", 17, NEWEST}},
        },
    [CW_DAMAGE_DOUBLE_FREE] =
        {
            "double-free",
            CW_SEVERE,
            "a block that was freed twice",
            "The block is in a list of free blocks twice, or in two of them. malloc() will hand it "
            "out "
            "to two owners.",
            {{"free(): double free detected in tcache 2", 29, NEWEST},
             {"double free or corruption (fasttop)", 17, 42}},
        },
    [CW_DAMAGE_TCACHE_LINK] =
        {
            "tcache-link",
            CW_SEVERE,
            "a broken link in a thread's cache",
            "The first word of a freed block is the link to the next one. The program wrote to the "
            "block after it had freed it, or the block before it was written beyond its end.",
            {{"malloc(): unaligned tcache chunk detected", 32, NEWEST},
             {"free(): unaligned chunk detected in tcache 2", 32, NEWEST},
             {"free(): too many chunks detected in tcache", 33, NEWEST}},
        },
    [CW_DAMAGE_TCACHE_KEY] =
        {
            "tcache-key",
            CW_WARNING,
            "a freed block whose second word was overwritten",
            "In a freed block the second word is a key by which free() finds double frees. The "
            "program "
            "wrote to the block after it had freed it.",
            {{NULL, 0, 0}},
        },
    [CW_DAMAGE_TCACHE_SIZE] =
        {
            "tcache-size",
            CW_SEVERE,
            "a block of the wrong size in a thread's cache",
            "The size of the block was overwritten, or a link was: malloc() will hand out a block "
            "that "
            "is smaller than what was asked for.",
            {{NULL, 0, 0}},
        },
    [CW_DAMAGE_TCACHE_COUNT] =
        {
            "tcache-count",
            CW_WARNING,
            "a thread's cache that counts wrong",
            "The count and the list disagree: the link of a freed block, or the cache's own "
            "struct, "
            "was overwritten.",
            {{"free(): too many chunks detected in tcache", 33, NEWEST}},
        },
    [CW_DAMAGE_FASTBIN_LINK] =
        {
            "fastbin-link",
            CW_SEVERE,
            "a broken link in a fastbin",
            "The first word of a freed block is the link to the next one. The program wrote to the "
            "block after it had freed it, or the block before it was written beyond its end.",
            {{"malloc(): unaligned fastbin chunk detected", 32, 42},
             {"malloc(): memory corruption (fast)", 17, 42}},
        },
    [CW_DAMAGE_FASTBIN_SIZE] =
        {
            "fastbin-size",
            CW_SEVERE,
            "a block of the wrong size in a fastbin",
            "The size of the block was overwritten, or a link was.",
            {{"malloc(): memory corruption (fast)", 17, 42},
             {"malloc_consolidate(): invalid chunk size", 27, 42}},
        },
    [CW_DAMAGE_BIN_LINK] =
        {
            "bin-link",
            CW_SEVERE,
            "a broken link in a bin",
            "Free chunks are linked both ways through their first two words. The program wrote to "
            "a "
            "block after it had freed it, or the block before it was written beyond its end.",
            {{"corrupted double-linked list", 17, NEWEST},
             {"malloc(): smallbin double linked list corrupted", 17, NEWEST},
             {"malloc(): corrupted unsorted chunks", 17, NEWEST},
             {"malloc(): unsorted double linked list corrupted", 29, NEWEST}},
        },
    [CW_DAMAGE_NEXTSIZE_LINK] =
        {
            "nextsize-link",
            CW_SEVERE,
            "a broken link between the sizes of a large bin",
            "Large free chunks are also linked by size, through their third and fourth words. The "
            "program wrote to a block after it had freed it.",
            {{"corrupted double-linked list (not small)", 21, NEWEST},
             {"malloc(): largebin double linked list corrupted (nextsize)", 30, NEWEST}},
        },
    [CW_DAMAGE_BIN_SIZE] =
        {
            "bin-size",
            CW_SEVERE,
            "a chunk in the wrong bin",
            "The size of the free chunk was overwritten, or a link was.",
            {{"malloc(): invalid size (unsorted)", 29, NEWEST},
             {"malloc(): memory corruption", 17, 28}},
        },
    [CW_DAMAGE_BIN_ORDER] =
        {
            "bin-order",
            CW_WARNING,
            "a large bin that is not sorted",
            "The size of a free chunk was overwritten, or a link was.",
            {{"malloc(): largebin double linked list corrupted (bk)", 30, NEWEST}},
        },
    [CW_DAMAGE_BINMAP] =
        {
            "binmap",
            CW_WARNING,
            "a bin that is marked empty",
            "The arena's map of bins was overwritten: malloc() will not find these free chunks.",
            {{NULL, 0, 0}},
        },
    [CW_DAMAGE_NOT_BINNED] =
        {
            "free-not-binned",
            CW_WARNING,
            "free chunks that are in no bin",
            "They are free to their neighbours, but malloc() cannot find them: the links of a bin, "
            "or "
            "bits in the headers behind the chunks, were overwritten.",
            {{"corrupted double-linked list", 17, NEWEST}},
        },
    [CW_DAMAGE_FIRST_CHUNK] =
        {
            "first-chunk",
            CW_WARNING,
            "the first chunk of a heap is damaged",
            "Nothing lies before it, so that it must say that what does is in use.",
            {{"corrupted size vs. prev_size while consolidating", 29, NEWEST}},
        },
    [CW_DAMAGE_MMAPPED_HEADER] =
        {
            "mmapped-header",
            CW_SEVERE,
            "the header of a block with a mapping of its own is damaged",
            "What the block before it in memory wrote beyond its end, or a write before the start "
            "of "
            "the block itself, has overwritten it.",
            {{"munmap_chunk(): invalid pointer", 17, NEWEST},
             {"mremap_chunk(): invalid pointer", 29, NEWEST}},
        },
    [CW_DAMAGE_HEAP_INFO] =
        {
            "heap-info",
            CW_SEVERE,
            "the struct at the start of a thread arena's heap is damaged",
            "Whatever was mapped before the heap was written beyond its end, or a wild pointer hit "
            "it.",
            {{NULL, 0, 0}},
        },
    [CW_DAMAGE_HEAP_CHAIN] =
        {
            "heap-chain",
            CW_WARNING,
            "the chain of a thread arena's heaps is broken",
            "The struct at the start of a heap was overwritten.",
            {{NULL, 0, 0}},
        },
    [CW_DAMAGE_HEAP_OVERLAP] =
        {
            "heap-overlap",
            CW_SEVERE,
            "heaps that overlap",
            "The struct at the start of a heap was overwritten.",
            {{NULL, 0, 0}},
        },
    [CW_DAMAGE_ARENA_SUM] =
        {
            "arena-sum",
            CW_WARNING,
            "an arena whose memory does not add up",
            "What the arena counts and what was found differ: its struct, or a header, was "
            "overwritten, "
            "or a piece of its memory was not recognised.",
            {{NULL, 0, 0}},
        },
    [CW_DAMAGE_LIBC_ABORT] =
        {
            "libc-abort",
            CW_SEVERE,
            "glibc has ended the process",
            "One of the checks of malloc has failed. Where no other finding shows what it stumbled "
            "over, the heap was still sound: the program gave it a pointer that it must not, or "
            "freed "
            "a block twice.",
            {{NULL, 0, 0}},
        },
    [CW_DAMAGE_TRAILING_MAGIC] =
        {
            "trailing-magic",
            CW_SEVERE,
            "a block without the magic byte behind its end",
            "With MALLOC_CHECK_, libc_malloc_debug.so puts a magic byte behind what was asked for. "
            "The program wrote beyond the end of the block.",
            {{"malloc_check_get_size: memory corruption", 17, NEWEST},
             {"free(): invalid pointer", 17, NEWEST}},
        },
    [CW_DAMAGE_ARENA_LIST] =
        {
            "arena-list",
            CW_SEVERE,
            "bins that are broken at their head",
            "The arena's own struct was overwritten, by a wild pointer or from the data before it.",
            {{"malloc(): corrupted unsorted chunks", 17, NEWEST}},
        },
};

const struct cw_damage_kind *cw_damage_kind_of(enum cw_damage damage)
{
    return &kinds[damage];
}

const struct cw_damage_kind *cw_damage_kind(const char *code)
{
    for (size_t i = 0; i < CW_DAMAGE_KIND_COUNT; i++) {
        if (strcmp(kinds[i].code, code) == 0) {
            return &kinds[i];
        }
    }
    return NULL;
}

/* How such texts begin. */
static const char *const heap_texts[] = {
    "malloc(): ",
    "malloc_consolidate(): ",
    "malloc: ",
    "malloc_check_get_size: ",
    "free(): ",
    "realloc(): ",
    "corrupted double-linked list",
    "corrupted size vs. prev_size",
    "double free or corruption",
    "munmap_chunk(): ",
    "mremap_chunk(): ",
    "tcache_thread_shutdown(): ",
    "int_mallinfo(): ",
    "invalid fastbin entry (free)",
    "break adjusted to free malloc space",
    "_int_memalign(): ",
};

static const char *const other_texts[] = {
    "*** stack smashing detected ***",
    "*** buffer overflow detected ***",
    "*** bit out of range",
    "*** longjmp causes uninitialized stack frame ***",
    "*** invalid %N$ use detected ***",
    "*** %n in writable segment detected ***",
};

static bool begins_with_one(const char *text, const char *const *heads, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strncmp(text, heads[i], strlen(heads[i])) == 0) {
            return true;
        }
    }
    return false;
}

bool cw_damage_is_heap_text(const char *text)
{
    /* Up to 2.26 it stands in a frame: *** Error in `PROGRAM': TEXT: 0xADDRESS *** */
    const char *framed = strncmp(text, "*** Error in `", 14) == 0 ? strstr(text, "': ") : NULL;
    text = framed != NULL ? framed + 3 : text;
    return begins_with_one(text, heap_texts, sizeof heap_texts / sizeof heap_texts[0]) ||
           strstr(text, "malloc.c:") != NULL || strstr(text, "arena.c:") != NULL;
}

bool cw_damage_is_libc_text(const char *text)
{
    return cw_damage_is_heap_text(text) ||
           begins_with_one(text, other_texts, sizeof other_texts / sizeof other_texts[0]) ||
           strstr(text, ": Assertion `") != NULL;
}
