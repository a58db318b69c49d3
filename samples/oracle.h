/*
 * The oracle: what a sample itself knows of its heap, to hold against what corewalk finds.
 *
 * The linker's --wrap sends every malloc, free, … of the sample's own code here (oracle_new.cpp
 * adds operator new and delete); the calls go on to glibc unchanged. The table lies in mappings of
 * its own, so the heap is as it would be without it.
 *
 * DIR/oracle.jsonl, one object a line:
 *
 *   {"address":"0x…","usable":N,"state":"used","arena":"main"}
 *   {"address":"0x…","usable":N,"state":"mmapped","mapping":N}    mapping: its whole size
 *   {"address":"0x…","usable":N,"state":"freed"}                  by the sample; last known size
 *   {"address":"0x…","usable":N,"state":"runtime","arena":"main"} allocated by libc or libstdc++
 *   {"address":"0x…","usable":N,"state":"used","arena":"other"}   of another copy of malloc
 *   {"summary":{"arena":N,"ordblks":N,…,"keepcost":N,                  of mallinfo2
 *    "threads":N,"word_bytes":N,"glibc_minor":N}}
 *
 * DIR/malloc_info.xml is what malloc_info says at the same moment.
 */
#pragma once

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Starts recording; what the main heap already holds is recorded as "runtime". */
void oracle_start(void);

/* To be called by each thread at its start: records what glibc allocated for it. */
void oracle_enter_thread(void);

/* To be called by each thread that ends. */
void oracle_leave_thread(void);

/*
 * Names another copy of malloc, whose figures are added to the summary; what it gives and takes by
 * the two functions below is recorded with "arena":"other".
 */
struct oracle_copy {
    void *(*malloc)(size_t size);
    void (*free)(void *pointer);
    size_t (*malloc_usable_size)(void *pointer);
    void (*mallinfo2)(void); /* mallinfo before 2.33; whatever the type */
};

void oracle_add_copy(const struct oracle_copy *copy);
void *oracle_other_malloc(size_t size);
void oracle_other_free(void *pointer);

/* Ends recording and writes both files. Ends the process when that fails. */
void oracle_write(const char *directory);

#ifdef __cplusplus
}
#endif
