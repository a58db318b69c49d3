/*
 * Makes small core files in memory, sound or broken on purpose, for tests and fuzzers.
 *
 *     struct core_builder *builder = core_builder_create(CW_ARCH_X86_64);
 *     core_builder_segment(builder, 0x10000, 0x2000, CW_PROT_READ | CW_PROT_WRITE);
 *     core_builder_word(builder, 0x10008, 42);
 *     core_builder_thread(builder, 1234, 0, 0x11000, 0);
 *     size_t size;
 *     const uint8_t *core = core_builder_finish(builder, &size);
 *     …
 *     core_builder_destroy(builder);
 *
 * Misuse (an address in no segment) aborts: it is a bug of the test.
 */
#pragma once

#include "target/target.h"

struct core_builder;

struct core_builder *core_builder_create(enum cw_arch arch);
void core_builder_destroy(struct core_builder *builder);

/* A segment with all its bytes stored, zero at first. Returns its content, to be filled. */
uint8_t *core_builder_segment(struct core_builder *builder,
                              cw_addr start,
                              size_t size,
                              uint32_t protection);

/* A segment of which only the first `stored` bytes are in the file (p_filesz < p_memsz). */
uint8_t *core_builder_partial_segment(
    struct core_builder *builder, cw_addr start, uint64_t size, size_t stored, uint32_t protection);

/* A line of NT_FILE. */
void core_builder_mapping(struct core_builder *builder,
                          cw_addr start,
                          uint64_t size,
                          uint64_t file_off,
                          const char *path);

/* A thread's NT_PRSTATUS; the other registers are zero. Without a tp it is as gdb writes i386. */
void core_builder_thread(
    struct core_builder *builder, uint32_t tid, cw_addr pc, cw_addr sp, cw_addr tp);

/* What ended the process, SIGABRT by default; 0: it went on. */
void core_builder_signal(struct core_builder *builder, uint8_t signal);

/* An entry of NT_AUXV. */
void core_builder_auxv(struct core_builder *builder, uint64_t type, uint64_t value);

/* Writes use PN_XNUM (e_phnum 0xffff, the count in section 0) however few segments there are. */
void core_builder_force_xnum(struct core_builder *builder);

/* Writing and reading back the content of segments. */
void core_builder_word(struct core_builder *builder, cw_addr address, uint64_t value);
void core_builder_bytes(struct core_builder *builder,
                        cw_addr address,
                        const void *bytes,
                        size_t size);
uint64_t core_builder_get_word(const struct core_builder *builder, cw_addr address);

/* The file; the builder's until it is destroyed or finished again. */
uint8_t *core_builder_finish(struct core_builder *builder, size_t *ret_size);

/*
 * Where a segment's program header and a segment's data lie in the finished file, for tests that
 * damage them. Segments count in the order of their making.
 */
size_t core_builder_header_off(const struct core_builder *builder, size_t segment_index);
size_t core_builder_data_off(const struct core_builder *builder, size_t segment_index);
