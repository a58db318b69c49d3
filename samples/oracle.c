/* The table of allocations behind --wrap, and its two files. Allocates nothing with malloc. */
#include "oracle.h"

#include <errno.h>
#include <fcntl.h>
#include <gnu/libc-version.h>
#include <malloc.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum record_state {
    RECORD_EMPTY,
    RECORD_HELD,
    RECORD_FREED,
    RECORD_RUNTIME,
    RECORD_OTHER, /* held, of the other copy of malloc */
};

struct record {
    uintptr_t address; /* what malloc returned */
    size_t usable_bytes;
    enum record_state state;
};

/*
 * A chunk as glibc lays it out, from 2.26 to 2.44: prev_size, size, then what malloc returned,
 * aligned to 16 bytes. Low bits of the size: 1 previous in use, 2 mmapped, 4 not of the main arena.
 */
enum {
    CHUNK_HEADER = 2 * sizeof(size_t),
    ALIGNMENT = 16,
    FLAG_MMAPPED = 2,
    FLAG_THREAD_ARENA = 4,
    FLAGS = 7,
    PAGE = 4096,
};
#define THREAD_HEAP_SPAN ((uintptr_t)(sizeof(size_t) == 8 ? 64 : 1) << 20)

#if __GLIBC_PREREQ(2, 33)
typedef struct mallinfo2 malloc_sums;
#define read_malloc_sums mallinfo2
#else
typedef struct mallinfo malloc_sums;
#define read_malloc_sums mallinfo
#endif

static pthread_mutex_t g_lock = PTHREAD_MUTEX_INITIALIZER;
static struct record *g_records; /* open addressing; NULL: not recording */
static size_t g_capacity;        /* a power of two */
static size_t g_count;
static unsigned g_thread_count = 1;

static struct oracle_copy g_other; /* another copy of malloc */

static void fail(const char *what)
{
    dprintf(STDERR_FILENO, "oracle: %s: %s\n", what, strerror(errno));
    _exit(EXIT_FAILURE);
}

/* ---- the table ----------------------------------------------------------------------------- */

static struct record *map_records(size_t capacity)
{
    struct record *records = mmap(NULL,
                                  capacity * sizeof *records,
                                  PROT_READ | PROT_WRITE,
                                  MAP_PRIVATE | MAP_ANONYMOUS,
                                  -1,
                                  0);
    if (records == MAP_FAILED) {
        fail("mmap");
    }
    return records;
}

static struct record *slot_of(struct record *records, size_t capacity, uintptr_t address)
{
    uint64_t index = (address >> 4) * UINT64_C(0x9e3779b97f4a7c15);
    for (;; index++) {
        struct record *record = &records[(index ^ (index >> 32)) & (capacity - 1)];
        if (record->state == RECORD_EMPTY || record->address == address) {
            return record;
        }
    }
}

static void grow(void)
{
    size_t capacity = g_capacity * 2;
    struct record *records = map_records(capacity);
    for (size_t i = 0; i < g_capacity; i++) {
        if (g_records[i].state != RECORD_EMPTY) {
            *slot_of(records, capacity, g_records[i].address) = g_records[i];
        }
    }
    munmap(g_records, g_capacity * sizeof *g_records);
    g_records = records;
    g_capacity = capacity;
}

static void record(void *pointer, size_t usable_bytes, enum record_state state)
{
    pthread_mutex_lock(&g_lock);
    if (g_records && pointer) {
        if (g_count * 2 >= g_capacity) {
            grow();
        }
        struct record *slot = slot_of(g_records, g_capacity, (uintptr_t)pointer);
        g_count += slot->state == RECORD_EMPTY;
        *slot = (struct record){(uintptr_t)pointer, usable_bytes, state};
    }
    pthread_mutex_unlock(&g_lock);
}

static void *record_held(void *pointer)
{
    record(pointer, malloc_usable_size(pointer), RECORD_HELD);
    return pointer;
}

/* ---- what --wrap sends here ---------------------------------------------------------------- */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_memalign(size_t alignment, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
int __real_posix_memalign(void **ret_pointer, size_t alignment, size_t size);
void __real_free(void *pointer);

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_memalign(size_t alignment, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
int __wrap_posix_memalign(void **ret_pointer, size_t alignment, size_t size);
void __wrap_free(void *pointer);

void *__wrap_malloc(size_t size)
{
    return record_held(__real_malloc(size));
}

void *__wrap_calloc(size_t count, size_t size)
{
    return record_held(__real_calloc(count, size));
}

/* Freed is recorded before the fact: right after it another thread may get the same address. */
void *__wrap_realloc(void *old, size_t size)
{
    size_t old_bytes = malloc_usable_size(old);
    record(old, old_bytes, RECORD_FREED);
    void *pointer = __real_realloc(old, size);
    if (!pointer && size > 0) {
        record(old, old_bytes, RECORD_HELD);
    }
    return record_held(pointer);
}

void *__wrap_memalign(size_t alignment, size_t size)
{
    return record_held(__real_memalign(alignment, size));
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return record_held(__real_aligned_alloc(alignment, size));
}

int __wrap_posix_memalign(void **ret_pointer, size_t alignment, size_t size)
{
    int error = __real_posix_memalign(ret_pointer, alignment, size);
    if (error == 0) {
        record_held(*ret_pointer);
    }
    return error;
}

void __wrap_free(void *pointer)
{
    record(pointer, malloc_usable_size(pointer), RECORD_FREED);
    __real_free(pointer);
}

/* ---- another copy of malloc ---------------------------------------------------------------- */

void oracle_add_copy(const struct oracle_copy *copy)
{
    g_other = *copy;
}

void *oracle_other_malloc(size_t size)
{
    void *pointer = g_other.malloc(size);
    record(pointer, g_other.malloc_usable_size(pointer), RECORD_OTHER);
    return pointer;
}

void oracle_other_free(void *pointer)
{
    record(pointer, g_other.malloc_usable_size(pointer), RECORD_FREED);
    g_other.free(pointer);
}

/* ---- what was there before ----------------------------------------------------------------- */

static size_t chunk_size_field(uintptr_t address)
{
    return ((const size_t *)address)[-1];
}

/* qemu-user's maps name no heap: there it begins right behind the program, on the next page. */
static bool guess_main_heap(uintptr_t *ret_start, uintptr_t *ret_end)
{
    extern char _end[];
    static unsigned char pages[1 << 14];
    uintptr_t start = ((uintptr_t)_end + PAGE - 1) & ~(uintptr_t)(PAGE - 1);
    uintptr_t end = (uintptr_t)sbrk(0);
    if (end <= start || (end - start) / PAGE > sizeof pages ||
        mincore((void *)start, end - start, pages) != 0) {
        return false;
    }
    *ret_start = start;
    *ret_end = end;
    return true;
}

/* The main heap's mapping, from /proc/self/maps; false when there is none yet. */
static bool find_main_heap(uintptr_t *ret_start, uintptr_t *ret_end)
{
    static char text[1 << 16];
    int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    size_t filled = 0;
    ssize_t count;
    while ((count = read(fd, text + filled, sizeof text - 1 - filled)) > 0) {
        filled += (size_t)count;
    }
    close(fd);
    text[filled] = '\0';
    char *line = strstr(text, "[heap]");
    if (!line) {
        return guess_main_heap(ret_start, ret_end);
    }
    while (line > text && line[-1] != '\n') {
        line--;
    }
    char *rest;
    *ret_start = strtoull(line, &rest, 16);
    *ret_end = strtoull(rest + 1, NULL, 16);
    return true;
}

/* Do the sizes from the chunk on lead to the end of the heap, exactly? */
static bool leads_to_end(uintptr_t chunk, uintptr_t end)
{
    while (chunk < end) {
        size_t size = chunk_size_field(chunk + CHUNK_HEADER) & ~(size_t)FLAGS;
        if (size < 2 * (size_t)CHUNK_HEADER || size > end - chunk) {
            return false;
        }
        chunk += size;
    }
    return true;
}

void oracle_start(void)
{
    uintptr_t chunk;
    uintptr_t end;
    g_capacity = 1 << 12;
    g_records = map_records(g_capacity);
    if (!find_main_heap(&chunk, &end)) {
        return;
    }
    chunk = ((chunk + CHUNK_HEADER + ALIGNMENT - 1) & ~(uintptr_t)(ALIGNMENT - 1)) - CHUNK_HEADER;
    /* In a static program the main thread's block comes first. */
    while (chunk < end && !leads_to_end(chunk, end)) {
        chunk += ALIGNMENT;
    }
    while (chunk < end) {
        uintptr_t address = chunk + CHUNK_HEADER;
        size_t size = chunk_size_field(address) & ~(size_t)FLAGS;
        if (size >= end - chunk) {
            return;
        }
        record((void *)address, size - sizeof(size_t), RECORD_RUNTIME);
        chunk += size;
    }
}

/*
 * x86's thread block starts with its own address and that of dtv[1], aarch64's with the latter
 * only; dtv was calloc'ed.
 */
void oracle_enter_thread(void)
{
    char *dtv;
#if defined __x86_64__
    __asm__("mov %%fs:8, %0" : "=r"(dtv));
#elif defined __i386__
    __asm__("mov %%gs:4, %0" : "=r"(dtv));
#elif defined __aarch64__
    char **block_of_thread;
    __asm__("mrs %0, tpidr_el0" : "=r"(block_of_thread));
    dtv = *block_of_thread;
#else
#error "where does this machine keep a thread's dtv?"
#endif
    void *block = dtv - 2 * sizeof(void *);
    record(block, malloc_usable_size(block), RECORD_RUNTIME);
    __atomic_add_fetch(&g_thread_count, 1, __ATOMIC_RELAXED);
}

void oracle_leave_thread(void)
{
    __atomic_sub_fetch(&g_thread_count, 1, __ATOMIC_RELAXED);
}

/* ---- the files ----------------------------------------------------------------------------- */

struct output {
    int fd;
    size_t filled;
    char buffer[1 << 16];
};

static struct output g_output;

static void flush(struct output *output)
{
    for (size_t done = 0; done < output->filled;) {
        ssize_t count = write(output->fd, output->buffer + done, output->filled - done);
        if (count < 0) {
            fail("write");
        }
        done += (size_t)count;
    }
    output->filled = 0;
}

/* Room for the longest line; also what snprintf may fill. */
static char *next_line(struct output *output)
{
    if (output->filled + 1024 > sizeof output->buffer) {
        flush(output);
    }
    return output->buffer + output->filled;
}

static int create_file(const char *directory, const char *name)
{
    char path[PAGE];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        fail(path);
    }
    return fd;
}

/* Whole size of an mmapped chunk's mapping; 2.43 and later leave the header out of the size. */
static size_t mapping_bytes(uintptr_t address)
{
    size_t before = ((const size_t *)address)[-2] & ~(size_t)1;
    size_t total = before + (chunk_size_field(address) & ~(size_t)FLAGS);
    return total % PAGE == 0 ? total : total + CHUNK_HEADER;
}

static void write_held(struct output *output, const struct record *record)
{
    const char *state = record->state == RECORD_RUNTIME ? "runtime" : "used";
    size_t field = chunk_size_field(record->address);
    char *line = next_line(output);
    int length;
    if (field & FLAG_MMAPPED) {
        length = sprintf(line,
                         "{\"address\":\"%#zx\",\"usable\":%zu,\"state\":\"mmapped\","
                         "\"mapping\":%zu}\n",
                         record->address,
                         record->usable_bytes,
                         mapping_bytes(record->address));
    } else if (field & FLAG_THREAD_ARENA) {
        uintptr_t heap = record->address & ~(THREAD_HEAP_SPAN - 1);
        length = sprintf(line,
                         "{\"address\":\"%#zx\",\"usable\":%zu,\"state\":\"%s\","
                         "\"arena\":\"%#zx\"}\n",
                         record->address,
                         record->usable_bytes,
                         state,
                         *(const uintptr_t *)heap);
    } else {
        length = sprintf(line,
                         "{\"address\":\"%#zx\",\"usable\":%zu,\"state\":\"%s\","
                         "\"arena\":\"%s\"}\n",
                         record->address,
                         record->usable_bytes,
                         state,
                         record->state == RECORD_OTHER ? "other" : "main");
    }
    output->filled += (size_t)length;
}

static void write_freed(struct output *output, const struct record *record)
{
    output->filled += (size_t)sprintf(next_line(output),
                                      "{\"address\":\"%#zx\",\"usable\":%zu,"
                                      "\"state\":\"freed\"}\n",
                                      record->address,
                                      record->usable_bytes);
}

/* Before 2.33 there is only the one that counts in int. */
static void write_summary(struct output *output, const malloc_sums *info)
{
    output->filled += (size_t)sprintf(next_line(output),
                                      "{\"summary\":{\"arena\":%zu,\"ordblks\":%zu,"
                                      "\"smblks\":%zu,\"hblks\":%zu,\"hblkhd\":%zu,"
                                      "\"fsmblks\":%zu,\"uordblks\":%zu,\"fordblks\":%zu,"
                                      "\"keepcost\":%zu,\"threads\":%u,\"word_bytes\":%zu,"
                                      "\"glibc_minor\":%s}}\n",
                                      (size_t)info->arena,
                                      (size_t)info->ordblks,
                                      (size_t)info->smblks,
                                      (size_t)info->hblks,
                                      (size_t)info->hblkhd,
                                      (size_t)info->fsmblks,
                                      (size_t)info->uordblks,
                                      (size_t)info->fordblks,
                                      (size_t)info->keepcost,
                                      g_thread_count,
                                      sizeof(size_t),
                                      gnu_get_libc_version() + 2);
}

/* malloc_info wants a FILE, and opening one would allocate: stderr stands in for it. */
static void write_malloc_info(const char *directory)
{
    int fd = create_file(directory, "malloc_info.xml");
    int saved = dup(STDERR_FILENO);
    if (saved < 0 || dup2(fd, STDERR_FILENO) < 0 || malloc_info(0, stderr) != 0 ||
        dup2(saved, STDERR_FILENO) < 0) {
        fail("malloc_info");
    }
    close(saved);
    close(fd);
}

static void add_sums(malloc_sums *info, malloc_sums other)
{
    info->arena += other.arena;
    info->ordblks += other.ordblks;
    info->smblks += other.smblks;
    info->hblks += other.hblks;
    info->hblkhd += other.hblkhd;
    info->fsmblks += other.fsmblks;
    info->uordblks += other.uordblks;
    info->fordblks += other.fordblks;
    info->keepcost += other.keepcost;
}

void oracle_write(const char *directory)
{
    pthread_mutex_lock(&g_lock);
    struct record *records = g_records;
    g_records = NULL;
    pthread_mutex_unlock(&g_lock);

    malloc_sums info = read_malloc_sums();
    if (g_other.mallinfo2) {
        add_sums(&info, ((malloc_sums(*)(void))g_other.mallinfo2)());
    }
    write_malloc_info(directory);
    g_output.fd = create_file(directory, "oracle.jsonl");
    for (size_t i = 0; i < g_capacity; i++) {
        if (records[i].state == RECORD_FREED) {
            write_freed(&g_output, &records[i]);
        } else if (records[i].state != RECORD_EMPTY) {
            write_held(&g_output, &records[i]);
        }
    }
    write_summary(&g_output, &info);
    flush(&g_output);
    close(g_output.fd);
}
