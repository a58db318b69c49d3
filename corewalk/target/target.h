/*
 * A target: where the bytes come from. A core file, a live process or a caller's callback all end
 * up as this one struct: what memory there is, which of it is held, the threads, and what the
 * system said about the process. Nothing here interprets memory.
 */
#pragma once

#include "base/note.h"
#include "base/progress.h"

enum cw_target_kind {
    CW_TARGET_CORE,
    CW_TARGET_LIVE,
    CW_TARGET_CALLBACK,
};

enum cw_arch {
    CW_ARCH_UNKNOWN,
    CW_ARCH_X86_64,
    CW_ARCH_I386,
    CW_ARCH_AARCH64,
};

/* "x86_64", "i386", "aarch64", "unknown". */
const char *cw_arch_name(enum cw_arch arch);

enum {
    CW_PROT_READ = 1,
    CW_PROT_WRITE = 2,
    CW_PROT_EXEC = 4,
};

/*
 * One run of memory that the process had (a PT_LOAD of a core).
 *
 *   start                                                    start + size_bytes
 *   |--- held_bytes: `data`, or read() ---|- truncated ------|- not dumped ----|
 *                                         |<- up to stored_bytes ->|
 *
 * held_bytes <= stored_bytes <= size_bytes. [held, stored) was written by the dumper but is cut
 * off the file; [stored, size) was never written: its content is unknown, which is not zero.
 */
struct cw_segment {
    cw_addr start;
    uint64_t size_bytes;
    uint64_t stored_bytes;
    uint64_t held_bytes;
    const uint8_t *data; /* held_bytes of them; NULL: fetched through read() */
    uint32_t protection; /* CW_PROT_* */
};

/* A file-backed mapping as the kernel named it (NT_FILE). */
struct cw_mapping {
    cw_addr start;
    uint64_t size_bytes;
    uint64_t file_off;
    const char *path; /* raw bytes of the target: escape before printing */
};

#define CW_REGISTER_LIMIT 34

struct cw_thread {
    uint32_t tid;
    bool has_registers;
    cw_addr pc;
    cw_addr sp;
    cw_addr tp;      /* thread pointer: fs_base, gs's base, TPIDR_EL0; 0 when unknown */
    uint32_t signal; /* that it stopped on, or 0 */
    uint32_t register_count;
    uint64_t registers[CW_REGISTER_LIMIT]; /* the general ones, in the dumper's order */
};

struct cw_target {
    enum cw_target_kind kind;
    enum cw_arch arch;
    unsigned word_bytes; /* 4 or 8 */
    uint64_t page_bytes; /* AT_PAGESZ, else as the segments say, else 4096 */

    const char *path;       /* of the core file as opened; NULL otherwise */
    uint64_t file_bytes;    /* of the core file, unpacked; 0 otherwise */
    bool has_no_path;       /* `path` is a name for a descriptor: "standard input" */
    const char *packing;    /* "zstd", "lz4", "xz", "gzip"; NULL: it was not compressed */
    uint64_t packed_bytes;  /* that it took then */
    uint64_t missing_bytes; /* cut off a truncated file (sum of stored - held) */
    uint32_t pid;           /* 0: unknown */
    const char *program;    /* NT_PRPSINFO's name, at most 15 bytes, raw; "" when unknown */
    uint32_t signal;        /* that ended the process, or 0: it went on (gcore) */

    /*
     * Sorted by address; segments do not overlap, nor do mappings. Where a core has no segment
     * for (a part of) a mapping, as gdb's cores do for file pages that they leave out, there is
     * one here with nothing stored and CW_PROT_READ: its true protection is not in the core.
     */
    struct cw_segment *segments;
    size_t segment_count;
    struct cw_mapping *mappings;
    size_t mapping_count;
    /* In the dumper's order: the first is the one that dumped. */
    struct cw_thread *threads;
    size_t thread_count;

    /* From NT_AUXV; 0: not there. */
    cw_addr auxv_entry;
    cw_addr auxv_phdr;
    cw_addr auxv_base; /* of the dynamic linker */
    cw_addr auxv_sysinfo_ehdr;
    cw_addr auxv_random;
    cw_addr auxv_execfn; /* points to the executable's path, on the main stack */

    /*
     * For segments without `data`: copies exactly `size` bytes, or returns false. Never called
     * from two threads at once. NULL for cores.
     */
    bool (*read)(void *context, cw_addr address, void *buffer, size_t size);
    void *context;

    void (*close)(struct cw_target *target); /* releases the file mapping; may be NULL */
    void *file_data;
    size_t file_data_bytes;
};

/* Where a core comes from, and what unpacking it may take. */
struct cw_core_input {
    const char *path; /* opened, unless there is a file: then only for texts */
    bool has_file;
    int file;                           /* open for reading; stays the caller's */
    const char *scratch_dir;            /* see target/scratch.h */
    uint64_t max_scratch_bytes;         /* see target/scratch.h */
    const struct cw_progress *progress; /* of reading and unpacking; may be NULL */
};

/* The last address that there is: 2^32 - 1 where words have 4 bytes. */
static inline cw_addr cw_target_top(const struct cw_target *target)
{
    return target->word_bytes == 4 ? UINT32_MAX : UINT64_MAX;
}

/*
 * Opens a core file: ELF, from the kernel or gdb, little endian; also compressed with zstd, lz4,
 * xz or gzip, whatever its name, and from a pipe. A regular file that is not compressed is mapped
 * whole, wherever its position is; everything else goes to a scratch file first. Sparse and
 * truncated files are fine: what is missing is noted in `coverage` and in missing_bytes.
 * Everything of *ret_target lives in `arena` and the file mapping until cw_target_close.
 *
 * CW_ERROR_IO: cannot be read · CW_ERROR_FORMAT: not a core file, or its headers are damaged
 * beyond use · CW_ERROR_UNSUPPORTED: another machine or byte order, or a compression that is not
 * read · CW_ERROR_CANCELLED.
 */
enum cw_status cw_target_open_core(const struct cw_core_input *input,
                                   struct cw_arena *arena,
                                   struct cw_notes *coverage,
                                   struct cw_target *ret_target,
                                   struct cw_error *err);

/*
 * The same over bytes in memory, which the caller keeps alive (tests, fuzzers, decompressed
 * input). `path` is only for texts.
 */
enum cw_status cw_target_open_core_bytes(const uint8_t *data,
                                         size_t size,
                                         const char *path,
                                         struct cw_arena *arena,
                                         struct cw_notes *coverage,
                                         struct cw_target *ret_target,
                                         struct cw_error *err);

/*
 * What a caller must say to be a target itself. The arrays are copied; segments come in any
 * order, overlapping ones are cut to the first; data is NULL and held = stored = size in them.
 */
struct cw_callback_target {
    enum cw_arch arch;
    uint32_t pid;
    uint64_t page_bytes; /* 0: 4096 */
    const struct cw_segment *segments;
    size_t segment_count;
    const struct cw_mapping *mappings;
    size_t mapping_count;
    const struct cw_thread *threads;
    size_t thread_count;
    bool (*read)(void *context, cw_addr address, void *buffer, size_t size);
    void *context;
};

enum cw_status cw_target_open_callback(const struct cw_callback_target *callback,
                                       struct cw_arena *arena,
                                       struct cw_target *ret_target,
                                       struct cw_error *err);

/* Also legal on a zeroed target. */
void cw_target_close(struct cw_target *target);
