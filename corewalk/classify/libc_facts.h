/*
 * Chunks that the C library, the dynamic linker and libstdc++ allocated for themselves, found from
 * their own structures: stdio streams and buffers, thread-local storage, loaded objects, and the
 * pool for exceptions that are thrown when memory is out.
 */
#pragma once

#include "base/map.h"
#include "base/vector.h"
#include "classify/classify.h"

enum cw_libc_fact_kind {
    CW_LIBC_FILE,
    CW_LIBC_STDIO_BUFFER,
    CW_LIBC_DTV,
    CW_LIBC_TLS_BLOCK,
    CW_LIBC_LINK_MAP,
    CW_LIBC_OBJECT_NAME,
    CW_LIBC_EXCEPTION_POOL,
    CW_LIBC_FACT_KIND_COUNT,
};

struct cw_libc_fact {
    uint32_t chunk_index;
    enum cw_libc_fact_kind kind;
};

struct cw_libc_facts {
    const struct cw_classifier_context *context;
    struct cw_vector items; /* struct cw_libc_fact; one per chunk, by index, once finished */
    struct cw_map streams;  /* addresses of those that were looked at */
    uint64_t dtv_entry_count;
    bool is_out_of_memory;
};

/* Finds all of them. Give back with _deinit, also after a failure (out of memory). */
bool cw_libc_facts_find(struct cw_libc_facts *facts, const struct cw_classifier_context *context);
void cw_libc_facts_deinit(struct cw_libc_facts *facts);

/* Is there a stdio stream (a FILE) at the address? */
bool cw_libc_is_stream(const struct cw_classifier_context *context, cw_addr address);
