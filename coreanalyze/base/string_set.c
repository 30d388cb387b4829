/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "coreanalyze/base/string_set.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_BYTES 65536u

struct chunk {
    struct chunk *next;
    size_t used, room;
    char text[];
};
struct mt_strings {
    const char **slots; /* open addressing; a power of two of them */
    size_t n_slots, used;
    struct chunk *chunks; /* the newest first */
};

static size_t hash_of(const char *text)
{
    uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a */

    for (; *text != 0; text++)
        hash = (hash ^ (unsigned char)*text) * 0x100000001b3u;
    return (size_t)(hash ^ hash >> 29);
}

struct mt_strings *mt_strings_new(void)
{
    struct mt_strings *strings = calloc(1, sizeof(*strings));

    if (strings == NULL)
        return NULL;
    strings->n_slots = 1024;
    strings->slots = calloc(strings->n_slots, sizeof(*strings->slots));
    if (strings->slots == NULL) {
        free(strings);
        return NULL;
    }
    return strings;
}

void mt_strings_free(struct mt_strings *strings)
{
    if (strings == NULL)
        return;
    while (strings->chunks != NULL) {
        struct chunk *next = strings->chunks->next;

        free(strings->chunks);
        strings->chunks = next;
    }
    free(strings->slots);
    free(strings);
}

static const char **strings_slot_of(const char **slots, size_t n,
                                    const char *text)
{
    size_t at = hash_of(text) & (n - 1);

    while (slots[at] != NULL && strcmp(slots[at], text) != 0)
        at = (at + 1) & (n - 1);
    return &slots[at];
}

static void strings_grow(struct mt_strings *strings)
{
    size_t n = strings->n_slots * 2;
    const char **slots = calloc(n, sizeof(*slots));

    if (slots == NULL)
        return; /* stays as it is, and becomes slower */
    for (size_t i = 0; i < strings->n_slots; i++)
        if (strings->slots[i] != NULL)
            *strings_slot_of(slots, n, strings->slots[i]) = strings->slots[i];
    free(strings->slots);
    strings->slots = slots;
    strings->n_slots = n;
}

static char *strings_allocate(struct mt_strings *strings, size_t bytes)
{
    struct chunk *chunk = strings->chunks;

    if (chunk == NULL || chunk->room - chunk->used < bytes) {
        size_t room = bytes > CHUNK_BYTES ? bytes : CHUNK_BYTES;

        chunk = malloc(sizeof(*chunk) + room);
        if (chunk == NULL)
            return NULL;
        chunk->next = strings->chunks;
        chunk->used = 0;
        chunk->room = room;
        strings->chunks = chunk;
    }
    chunk->used += bytes;
    return chunk->text + chunk->used - bytes;
}

const char *mt_strings_keep(struct mt_strings *strings, const char *text)
{
    if (text == NULL)
        return NULL;
    if (strings->used * 2 >= strings->n_slots)
        strings_grow(strings);
    if (strings->used + 1 >= strings->n_slots)
        return NULL;
    const char **slot = strings_slot_of(strings->slots, strings->n_slots, text);

    if (*slot == NULL) {
        size_t bytes = strlen(text) + 1;
        char *copy = strings_allocate(strings, bytes);

        if (copy == NULL)
            return NULL;
        memcpy(copy, text, bytes);
        *slot = copy;
        strings->used++;
    }
    return *slot;
}

const char *mt_strings_take(struct mt_strings *strings, char *text)
{
    const char *kept = mt_strings_keep(strings, text);

    free(text);
    return kept;
}
