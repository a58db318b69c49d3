/* A session cache without expiry: a chained hash table that doubles, and values that grow. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sample.h"

struct session {
    struct session *next;
    uint64_t key;
    char *profile; /* JSON, longer with every visit */
    size_t profile_length;
    uint32_t visits;
};

struct cache {
    struct session **buckets;
    size_t bucket_count; /* a power of two */
    size_t count;
};

static struct cache g_sessions;

static void *checked(void *pointer)
{
    if (!pointer) {
        abort();
    }
    return pointer;
}

static struct session **bucket_of(struct cache *cache, uint64_t key)
{
    return &cache->buckets[(key * 0x9e3779b97f4a7c15 >> 20) & (cache->bucket_count - 1)];
}

static void resize(struct cache *cache, size_t bucket_count)
{
    struct cache bigger = {
        checked(calloc(bucket_count, sizeof(struct session *))), bucket_count, 0};
    for (size_t i = 0; i < cache->bucket_count; i++) {
        while (cache->buckets[i]) {
            struct session *session = cache->buckets[i];
            struct session **bucket = bucket_of(&bigger, session->key);
            cache->buckets[i] = session->next;
            session->next = *bucket;
            *bucket = session;
        }
    }
    free(cache->buckets);
    bigger.count = cache->count;
    *cache = bigger;
}

static struct session *find_or_add(struct cache *cache, uint64_t key)
{
    for (struct session *session = *bucket_of(cache, key); session; session = session->next) {
        if (session->key == key) {
            return session;
        }
    }
    if (cache->count >= cache->bucket_count) {
        resize(cache, cache->bucket_count * 2);
    }
    struct session *session = checked(calloc(1, sizeof *session));
    struct session **bucket = bucket_of(cache, key);
    session->key = key;
    session->next = *bucket;
    *bucket = session;
    cache->count++;
    return session;
}

static void visit(struct session *session)
{
    char text[96];
    int length = snprintf(text,
                          sizeof text,
                          "{\"session\":\"%016llx\",\"visit\":%u}",
                          (unsigned long long)session->key,
                          session->visits++);
    size_t size = session->profile_length + (size_t)length + 1;
    session->profile = checked(realloc(session->profile, size));
    memcpy(session->profile + session->profile_length, text, (size_t)length + 1);
    session->profile_length += (size_t)length;
}

static void log_out(struct cache *cache, uint64_t key)
{
    struct session **link = bucket_of(cache, key);
    while (*link && (*link)->key != key) {
        link = &(*link)->next;
    }
    struct session *session = *link;
    if (session) {
        *link = session->next;
        free(session->profile);
        free(session);
        cache->count--;
    }
}

int main(int argc, char **argv)
{
    struct sample sample = sample_start(argc, argv, 20000);
    resize(&g_sessions, 64);
    for (uint64_t i = 0; i < sample.count; i++) {
        /* A few come back again and again; one in eight logs out. */
        uint64_t key = sample_random(&sample.random) % (sample.count / 2 + 1);
        visit(find_or_add(&g_sessions, key));
        if (i % 8 == 0) {
            log_out(&g_sessions, sample_random(&sample.random) % (sample.count / 2 + 1));
        }
    }
    sample_ready();
}
