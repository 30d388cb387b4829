/* SPDX-License-Identifier: BSD-2-Clause
 *
 * json.c - writes JSON as it goes, without a tree of it in memory.
 */
#include "coreanalyze/base/json.h"
#include "coreanalyze/base/text.h"

#include <string.h>

#define JSON_MAX_EXACT (UINT64_C(1) << 53) /* integers of a double */

/* A stream has one writer here, so that nothing is locked. */
static void json_put(struct mt_json *json, const char *text, size_t bytes)
{
    fwrite_unlocked(text, 1, bytes, json->out);
}

/* Items of the two outer levels have a line of their own. */
static void json_begin(struct mt_json *json, const char *key)
{
    if (json->more)
        putc_unlocked(',', json->out);
    if (json->depth > 0 && json->depth <= 2)
        json_put(json, "\n  ", 1 + json->depth);
    if (key) {
        putc_unlocked('"', json->out);
        json_put(json, key, strlen(key));
        json_put(json, "\":", 2);
    }
    json->more = true;
}

void mt_json_open(struct mt_json *json, const char *key, char bracket)
{
    json_begin(json, key);
    putc_unlocked(bracket, json->out);
    json->depth++;
    json->more = false;
}

void mt_json_close(struct mt_json *json, char bracket)
{
    json->depth--;
    putc_unlocked(bracket, json->out);
    json->more = true;
    if (json->depth == 0)
        putc_unlocked('\n', json->out);
}

void mt_json_raw(struct mt_json *json, const char *text, size_t bytes)
{
    json_begin(json, NULL);
    json_put(json, text, bytes);
}

/* The digits end before `end`; returns where they begin. */
static char *json_decimal(char *end, uint64_t value)
{
    do
        *--end = (char)('0' + value % 10);
    while ((value /= 10) != 0);
    return end;
}

void mt_json_u64(struct mt_json *json, const char *key, uint64_t value)
{
    bool quoted = json->exact && value > JSON_MAX_EXACT;
    char text[24], *end = text + sizeof text - 1;
    char *at = json_decimal(end, value);

    json_begin(json, key);
    if (quoted) {
        *--at = '"';
        *end++ = '"';
    }
    json_put(json, at, (size_t)(end - at));
}

void mt_json_i64(struct mt_json *json, const char *key, int64_t value)
{
    char text[24], *end = text + sizeof text;
    char *at =
        json_decimal(end, value < 0 ? -(uint64_t)value : (uint64_t)value);

    json_begin(json, key);
    if (value < 0)
        *--at = '-';
    json_put(json, at, (size_t)(end - at));
}

static const char json_digits[] = "0123456789abcdef";

void mt_json_address(struct mt_json *json, const char *key, uint64_t value)
{
    char text[24], *end = text + sizeof text, *at = end;

    *--at = '"';
    do
        *--at = json_digits[value & 15];
    while ((value >>= 4) != 0);
    *--at = 'x';
    *--at = '0';
    *--at = '"';
    json_begin(json, key);
    json_put(json, at, (size_t)(end - at));
}

void mt_json_bytes(struct mt_json *json, const char *key, const uint8_t *data,
                   size_t bytes)
{
    json_begin(json, key);
    putc_unlocked('"', json->out);
    for (size_t i = 0; i < bytes; i++) {
        putc_unlocked(json_digits[data[i] >> 4], json->out);
        putc_unlocked(json_digits[data[i] & 15], json->out);
    }
    putc_unlocked('"', json->out);
}

/* In integers: printf of a double would follow the locale. */
void mt_json_seconds(struct mt_json *json, const char *key, double value)
{
    uint64_t ms = (uint64_t)(value * 1000 + 0.5);
    char text[24], *end = text + sizeof text, *at = end;

    json_begin(json, key);
    for (unsigned i = 0; i < 3; i++, ms /= 10)
        *--at = (char)('0' + ms % 10);
    *--at = '.';
    at = json_decimal(at, ms);
    json_put(json, at, (size_t)(end - at));
}

void mt_json_bool(struct mt_json *json, const char *key, bool value)
{
    json_begin(json, key);
    json_put(json, value ? "true" : "false", value ? 4 : 5);
}

void mt_json_null(struct mt_json *json, const char *key)
{
    json_begin(json, key);
    json_put(json, "null", 4);
}

static void put_character(FILE *out, const char *text, size_t n)
{
    if (n == 0)
        fputs("\\ufffd", out);
    else if (*text == '"' || *text == '\\')
        fprintf(out, "\\%c", *text);
    else if ((unsigned char)*text < 0x20 || *text == 0x7f)
        fprintf(out, "\\u%04x", (unsigned)*text);
    else
        fwrite(text, 1, n, out);
}

/* How many of the next bytes stand for themselves. */
static size_t json_plain(const char *text)
{
    size_t n = 0;

    while (text[n] >= 0x20 && text[n] < 0x7f && text[n] != '"' &&
           text[n] != '\\')
        n++;
    return n;
}

void mt_json_string(struct mt_json *json, const char *key, const char *value)
{
    if (value == NULL) {
        mt_json_null(json, key);
        return;
    }
    json_begin(json, key);
    putc_unlocked('"', json->out);
    while (*value) {
        size_t n = json_plain(value);

        json_put(json, value, n);
        value += n;
        if (n == 0) {
            n = mt_utf8_length(value);
            put_character(json->out, value, n);
            value += n ? n : 1;
        }
    }
    putc_unlocked('"', json->out);
}
