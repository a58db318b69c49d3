/* What findings mean, and what glibc says when it stumbles over the damage. */
#include "heap/damage.h"

#include <string.h>

enum { NEWEST = 99 };

static const struct cw_damage_kind kinds[] = {
    {
        "chunk-size",
        "impossible size of a chunk",
        "The header in front of a block was overwritten. Most often the block before it was "
        "written beyond its end; a write before the start of the block itself does the same.",
        {{"free(): invalid next size (normal)", 17, NEWEST},
         {"free(): invalid size", 17, NEWEST},
         {"malloc(): invalid size (unsorted)", 29, NEWEST},
         {"corrupted size vs. prev_size", 26, NEWEST}},
    },
    {
        "top-size",
        "impossible size of the top chunk",
        "The header behind the last block was overwritten: that block was written beyond its end.",
        {{"malloc(): corrupted top size", 29, NEWEST}, {"sysmalloc: Assertion", 17, NEWEST}},
    },
    {
        "footer",
        "a free chunk whose two sizes disagree",
        "A free chunk repeats its size at its end. Something wrote there: the program used the "
        "block after it had freed it, or wrote before the start of the block behind it.",
        {{"corrupted size vs. prev_size", 26, NEWEST},
         {"corrupted size vs. prev_size while consolidating", 29, NEWEST}},
    },
    {
        "prev-inuse",
        "a used block that is marked free",
        "The lowest bit of a size says whether the block before is in use, and was lost. A zero "
        "byte written right behind the block does that: a string that is one too long.",
        {{"corrupted size vs. prev_size while consolidating", 29, NEWEST},
         {"double free or corruption (!prev)", 17, NEWEST}},
    },
    {
        "free-neighbours",
        "two free chunks side by side",
        "free() joins neighbours, so that this cannot be: the bit that says so was overwritten, or "
        "a block was freed twice.",
        {{"corrupted size vs. prev_size", 26, NEWEST}},
    },
    {
        "arena-flag",
        "a block that claims another arena",
        "A flag in the header of the block is wrong: the block before it was written beyond its "
        "end. free() will take it for a block of the main arena.",
        {{"free(): invalid pointer", 17, NEWEST}},
    },
    {
        "double-free",
        "a block that was freed twice",
        "The block is in a list of free blocks twice, or in two of them. malloc() will hand it out "
        "to two owners.",
        {{"free(): double free detected in tcache 2", 29, NEWEST},
         {"double free or corruption (fasttop)", 17, 42}},
    },
    {
        "tcache-link",
        "a broken link in a thread's cache",
        "The first word of a freed block is the link to the next one. The program wrote to the "
        "block after it had freed it, or the block before it was written beyond its end.",
        {{"malloc(): unaligned tcache chunk detected", 32, NEWEST},
         {"free(): unaligned chunk detected in tcache 2", 32, NEWEST},
         {"free(): too many chunks detected in tcache", 33, NEWEST}},
    },
    {
        "tcache-key",
        "a freed block whose second word was overwritten",
        "In a freed block the second word is a key by which free() finds double frees. The program "
        "wrote to the block after it had freed it.",
        {{NULL, 0, 0}},
    },
    {
        "tcache-size",
        "a block of the wrong size in a thread's cache",
        "The size of the block was overwritten, or a link was: malloc() will hand out a block that "
        "is smaller than what was asked for.",
        {{NULL, 0, 0}},
    },
    {
        "tcache-count",
        "a thread's cache that counts wrong",
        "The count and the list disagree: the link of a freed block, or the cache's own struct, "
        "was overwritten.",
        {{"free(): too many chunks detected in tcache", 33, NEWEST}},
    },
    {
        "fastbin-link",
        "a broken link in a fastbin",
        "The first word of a freed block is the link to the next one. The program wrote to the "
        "block after it had freed it, or the block before it was written beyond its end.",
        {{"malloc(): unaligned fastbin chunk detected", 32, 42},
         {"malloc(): memory corruption (fast)", 17, 42}},
    },
    {
        "fastbin-size",
        "a block of the wrong size in a fastbin",
        "The size of the block was overwritten, or a link was.",
        {{"malloc(): memory corruption (fast)", 17, 42},
         {"malloc_consolidate(): invalid chunk size", 27, 42}},
    },
    {
        "bin-link",
        "a broken link in a bin",
        "Free chunks are linked both ways through their first two words. The program wrote to a "
        "block after it had freed it, or the block before it was written beyond its end.",
        {{"corrupted double-linked list", 17, NEWEST},
         {"malloc(): smallbin double linked list corrupted", 17, NEWEST},
         {"malloc(): corrupted unsorted chunks", 17, NEWEST},
         {"malloc(): unsorted double linked list corrupted", 29, NEWEST}},
    },
    {
        "nextsize-link",
        "a broken link between the sizes of a large bin",
        "Large free chunks are also linked by size, through their third and fourth words. The "
        "program wrote to a block after it had freed it.",
        {{"corrupted double-linked list (not small)", 21, NEWEST},
         {"malloc(): largebin double linked list corrupted (nextsize)", 30, NEWEST}},
    },
    {
        "bin-size",
        "a chunk in the wrong bin",
        "The size of the free chunk was overwritten, or a link was.",
        {{"malloc(): invalid size (unsorted)", 29, NEWEST},
         {"malloc(): memory corruption", 17, 28}},
    },
    {
        "bin-order",
        "a large bin that is not sorted",
        "The size of a free chunk was overwritten, or a link was.",
        {{"malloc(): largebin double linked list corrupted (bk)", 30, NEWEST}},
    },
    {
        "binmap",
        "a bin that is marked empty",
        "The arena's map of bins was overwritten: malloc() will not find these free chunks.",
        {{NULL, 0, 0}},
    },
    {
        "free-not-binned",
        "free chunks that are in no bin",
        "They are free to their neighbours, but malloc() cannot find them: the links of a bin, or "
        "bits in the headers behind the chunks, were overwritten.",
        {{"corrupted double-linked list", 17, NEWEST}},
    },
    {
        "first-chunk",
        "the first chunk of a heap is damaged",
        "Nothing lies before it, so that it must say that what does is in use.",
        {{"corrupted size vs. prev_size while consolidating", 29, NEWEST}},
    },
    {
        "mmapped-header",
        "the header of a block with a mapping of its own is damaged",
        "What the block before it in memory wrote beyond its end, or a write before the start of "
        "the block itself, has overwritten it.",
        {{"munmap_chunk(): invalid pointer", 17, NEWEST},
         {"mremap_chunk(): invalid pointer", 29, NEWEST}},
    },
    {
        "heap-info",
        "the struct at the start of a thread arena's heap is damaged",
        "Whatever was mapped before the heap was written beyond its end, or a wild pointer hit it.",
        {{NULL, 0, 0}},
    },
    {
        "heap-chain",
        "the chain of a thread arena's heaps is broken",
        "The struct at the start of a heap was overwritten.",
        {{NULL, 0, 0}},
    },
    {
        "heap-overlap",
        "heaps that overlap",
        "The struct at the start of a heap was overwritten.",
        {{NULL, 0, 0}},
    },
    {
        "arena-sum",
        "an arena whose memory does not add up",
        "What the arena counts and what was found differ: its struct, or a header, was "
        "overwritten, "
        "or a piece of its memory was not recognised.",
        {{NULL, 0, 0}},
    },
    {
        "libc-abort",
        "glibc has ended the process",
        "One of the checks of malloc has failed. Where no other finding shows what it stumbled "
        "over, the heap was still sound: the program gave it a pointer that it must not, or freed "
        "a block twice.",
        {{NULL, 0, 0}},
    },
    {
        "arena-list",
        "bins that are broken at their head",
        "The arena's own struct was overwritten, by a wild pointer or from the data before it.",
        {{"malloc(): corrupted unsorted chunks", 17, NEWEST}},
    },
};

enum { KIND_COUNT = sizeof kinds / sizeof kinds[0] };

const struct cw_damage_kind *cw_damage_kind(const char *code)
{
    for (size_t i = 0; i < KIND_COUNT; i++) {
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
