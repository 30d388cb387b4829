/* SPDX-License-Identifier: BSD-2-Clause
 *
 * snapshot_schema.c - the text schema of the target, and the map from its
 * fields to ours by name.
 */
#include "coreanalyze/snapshot/snapshot_internal.h"
#include "coreanalyze/base/text.h"

#include <string.h>

struct own_field {
    const char *name;
    uint32_t offset, bytes, count;
};

#define OWN_FIELD(offset, type, name, doc) {#name, offset, sizeof(type), 1},
#define OWN_ARRAY(offset, type, name, n, doc) {#name, offset, sizeof(type), n},
#define OWN_RECORD(name, FIELDS, size)                                         \
    static const struct own_field name##_fields[] = {                          \
        FIELDS(OWN_FIELD, OWN_ARRAY)};                                         \
    _Static_assert(                                                            \
        sizeof name##_fields / sizeof *name##_fields <= MT_MAX_FIELDS, #name);
MT_RECORDS(OWN_RECORD)

struct own_record {
    const char *name;
    uint32_t bytes;
    const struct own_field *fields;
    uint32_t n_fields;
};

#define OWN_TABLE(name, FIELDS, size)                                          \
    {#name, size, name##_fields, sizeof name##_fields / sizeof *name##_fields},
static const struct own_record own[MT_N_RECORDS] = {MT_RECORDS(OWN_TABLE)};

void mt_schema_own(struct mt_record_map maps[MT_N_RECORDS])
{
    for (unsigned r = 0; r < MT_N_RECORDS; r++) {
        struct mt_record_map *map = &maps[r];
        map->identity = true;
        map->bytes = own[r].bytes;
        map->n_fields = own[r].n_fields;
        for (uint32_t i = 0; i < map->n_fields; i++) {
            const struct own_field *f = &own[r].fields[i];
            map->fields[i] = (struct mt_field_map){
                f->offset, f->bytes, f->count, f->offset, f->bytes, f->count};
        }
    }
}

/* All of the target's records start out with no field that we know. */
static void schema_forget(struct mt_record_map maps[MT_N_RECORDS])
{
    mt_schema_own(maps);
    for (unsigned r = 0; r < MT_N_RECORDS; r++) {
        maps[r].bytes = 0;
        for (uint32_t i = 0; i < maps[r].n_fields; i++)
            maps[r].fields[i].from_count = 0;
    }
}

static int record_named(const char *name)
{
    for (unsigned r = 0; r < MT_N_RECORDS; r++)
        if (own[r].name[0] == name[0] && strcmp(own[r].name, name) == 0)
            return (int)r;
    return -1;
}

/* Most fields come in the order that we know them in: `*next` is the one after
 * the last. */
static void set_field(struct mt_record_map *map, unsigned record,
                      const char *name, const unsigned place[3], uint32_t *next)
{
    uint32_t n = map->n_fields, i = *next < n ? *next : 0;

    if (place[2] == 0 || place[1] == 0 || place[0] > map->bytes ||
        place[1] > (map->bytes - place[0]) / place[2])
        return;
    for (uint32_t tried = 0; tried < n; tried++, i = i + 1 < n ? i + 1 : 0) {
        const char *known = own[record].fields[i].name;
        if (known[0] != name[0] || strcmp(known, name) != 0)
            continue;
        map->fields[i].from = place[0];
        map->fields[i].from_bytes = place[1];
        map->fields[i].from_count = place[2];
        *next = i + 1;
        return;
    }
}

static const char *skip_spaces(const char *at)
{
    while (*at == ' ')
        at++;
    return at;
}

/* The next word at *AT, which moves after it; false if it is not there or too
 * long. */
static bool schema_word(const char **at, char *word, size_t bytes)
{
    size_t n = 0;

    *at = skip_spaces(*at);
    for (; **at != ' ' && **at != '\0' && n < bytes; ++*at)
        word[n++] = **at;
    if (n == 0 || n >= bytes)
        return false;
    word[n] = '\0';
    return true;
}

static bool schema_number(const char **at, unsigned *number)
{
    const char *start;
    uint64_t value;

    *at = skip_spaces(*at);
    start = *at;
    value = mt_scan_decimal(at);
    *number = (unsigned)value;
    return *at > start && *at - start <= 9;
}

static void schema_parse_line(const char *line, struct mt_record_map *maps,
                              int *record, uint32_t *next)
{
    char kind[8], name[64];
    const char *at = line;
    unsigned place[3];

    if (!schema_word(&at, kind, sizeof kind) ||
        !schema_word(&at, name, sizeof name) || !schema_number(&at, &place[0]))
        return;
    if (strcmp(kind, "record") == 0) {
        *record = record_named(name);
        *next = 0;
        if (place[0] > MT_MAX_RECORD_BYTES)
            *record = -1;
        if (*record >= 0)
            maps[*record].bytes = place[0];
    } else if (*record >= 0 && strcmp(kind, "field") == 0 &&
               schema_number(&at, &place[1]) && schema_number(&at, &place[2])) {
        set_field(&maps[*record], (unsigned)*record, name, place, next);
    }
}

static bool is_identity(const struct mt_record_map *map, uint32_t own_bytes)
{
    for (uint32_t i = 0; i < map->n_fields; i++) {
        const struct mt_field_map *f = &map->fields[i];
        if (f->from != f->to || f->from_bytes != f->to_bytes ||
            f->from_count != f->to_count)
            return false;
    }
    return map->bytes >= own_bytes;
}

bool mt_schema_parse(const char *text, size_t bytes,
                     struct mt_record_map maps[MT_N_RECORDS], bool *remapped)
{
    static const char head[] = "memtrace layout ";
    const char *end = text + bytes;
    uint32_t next = 0;
    int record = -1;

    *remapped = false;
    if (bytes < sizeof head || memcmp(text, head, sizeof head - 1) != 0)
        return false;
    schema_forget(maps);
    while (text < end) {
        char line[128]; /* without the end of what it is for */
        const char *stop = memchr(text, '\n', (size_t)(end - text));
        size_t length = (size_t)((stop ? stop : end) - text);
        size_t n = length < sizeof line ? length : sizeof line - 1;
        memcpy(line, text, n);
        line[n] = '\0';
        schema_parse_line(line, maps, &record, &next);
        text += length + 1;
    }
    for (unsigned r = 0; r < MT_N_RECORDS; r++) {
        /* A trace of an older minor version does not know the last ones. */
        if (maps[r].bytes == 0 && r > MT_RECORD_counter_record) {
            maps[r].bytes = own[r].bytes;
            maps[r].identity = true;
            continue;
        }
        if (maps[r].bytes == 0)
            return false;
        maps[r].identity = is_identity(&maps[r], own[r].bytes);
        *remapped |= !maps[r].identity;
    }
    return true;
}

static void decode_field(const struct mt_field_map *f, const uint8_t *raw,
                         size_t raw_bytes, uint8_t *record)
{
    uint32_t count = f->to_count < f->from_count ? f->to_count : f->from_count;
    uint32_t bytes = f->to_bytes < f->from_bytes ? f->to_bytes : f->from_bytes;

    /* Little-endian: the low bytes come first, and the rest is 0. */
    for (uint32_t i = 0; i < count; i++) {
        size_t from = f->from + (size_t)i * f->from_bytes;
        if (from + bytes > raw_bytes)
            return;
        memcpy(record + f->to + (size_t)i * f->to_bytes, raw + from, bytes);
    }
}

void mt_schema_decode(const struct mt_record_map *map, const void *raw,
                      size_t raw_bytes, void *record, size_t size)
{
    if (map->identity && raw_bytes >= size) {
        memcpy(record, raw, size);
        return;
    }
    memset(record, 0, size);
    for (uint32_t i = 0; i < map->n_fields; i++)
        decode_field(&map->fields[i], raw, raw_bytes, record);
}

uint32_t mt_schema_offset(const struct mt_record_map *map, uint32_t to)
{
    if (map->identity)
        return to;
    for (uint32_t i = 0; i < map->n_fields; i++)
        if (map->fields[i].to == to)
            return map->fields[i].from_count ? map->fields[i].from : UINT32_MAX;
    return UINT32_MAX;
}
