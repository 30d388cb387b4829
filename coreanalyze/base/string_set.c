/* SPDX-License-Identifier: BSD-2-Clause
 *
 * string_set.c - a table of texts, which lie one after the other in chunks.
 */
#include "coreanalyze/base/string_set.h"
#include "coreanalyze/base/hash.h"
#include "coreanalyze/base/memory.h"
#include "coreanalyze/base/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_BYTES 65536u

struct strings_chunk {
    struct strings_chunk *next;
    size_t used, room;
    char text[];
};
struct strings_text {
    const char *text;
    size_t length;
};
struct mt_strings {
    struct mt_table table; /* of texts */
    struct strings_text *texts;
    size_t n, capacity;
    struct strings_chunk *chunks; /* the newest first */
    bool lost;                    /* a text, for want of memory */
};

struct mt_strings *mt_strings_new(void)
{
    return calloc(1, sizeof(struct mt_strings));
}

void mt_strings_free(struct mt_strings *strings)
{
    if (!strings)
        return;
    while (strings->chunks) {
        struct strings_chunk *next = strings->chunks->next;

        free(strings->chunks);
        strings->chunks = next;
    }
    mt_table_free(&strings->table);
    free(strings->texts);
    free(strings);
}

static char *strings_allocate(struct mt_strings *strings, size_t bytes)
{
    struct strings_chunk *chunk = strings->chunks;

    if (!chunk || chunk->room - chunk->used < bytes) {
        size_t room = bytes > CHUNK_BYTES ? bytes : CHUNK_BYTES;

        chunk = malloc(sizeof *chunk + room);
        if (!chunk)
            return NULL;
        *chunk = (struct strings_chunk){.next = strings->chunks, .room = room};
        strings->chunks = chunk;
    }
    chunk->used += bytes;
    return chunk->text + chunk->used - bytes;
}

static bool strings_match(const void *items, size_t item, const void *key)
{
    const struct strings_text *one = (const struct strings_text *)items + item;
    const struct strings_text *other = key;

    return one->length == other->length &&
           memcmp(one->text, other->text, one->length) == 0;
}

const char *mt_strings_add(struct mt_strings *strings, const char *text,
                           size_t length)
{
    const struct strings_text key = {text, length};
    /* A target that makes texts collide cannot know the address of the set. */
    uint64_t hash =
        mt_hash_bytes(MT_HASH_START ^ (uintptr_t)strings, text, length);
    size_t item = mt_table_find(&strings->table, hash, strings_match,
                                strings->texts, &key);
    char *copy;

    if (item != MT_TABLE_NONE)
        return strings->texts[item].text;
    copy = strings_allocate(strings, length + 1);
    if (!copy ||
        !mt_grow(&strings->texts, &strings->capacity, strings->n + 1,
                 sizeof *strings->texts) ||
        !mt_table_add(&strings->table, hash, strings->n)) {
        strings->lost = true;
        return NULL;
    }
    memcpy(copy, text, length);
    copy[length] = '\0';
    strings->texts[strings->n++] = (struct strings_text){copy, length};
    return copy;
}

void mt_strings_lack(struct mt_strings *strings)
{
    strings->lost = true;
}

void mt_strings_forget_lack(struct mt_strings *strings)
{
    strings->lost = false;
}

bool mt_strings_are_whole(const struct mt_strings *strings,
                          struct mt_error *error)
{
    return (strings && !strings->lost) ||
           mt_fail(error, "out of memory for the names of the target");
}

const char *mt_strings_keep(struct mt_strings *strings, const char *text)
{
    return text ? mt_strings_add(strings, text, strlen(text)) : NULL;
}

const char *mt_strings_take(struct mt_strings *strings, char *text)
{
    const char *kept = mt_strings_keep(strings, text);

    free(text);
    return kept;
}

const char *mt_strings_hexadecimal(struct mt_strings *strings,
                                   const uint8_t *bytes, size_t n)
{
    char *text = malloc(2 * n + 1);

    if (!text) {
        mt_strings_lack(strings);
        return NULL;
    }
    text[0] = '\0';
    for (size_t i = 0; i < n; i++)
        sprintf(text + 2 * i, "%02x", bytes[i]);
    return mt_strings_take(strings, text);
}
