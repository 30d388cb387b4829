/* SPDX-License-Identifier: BSD-2-Clause
 *
 * json.c - writes JSON as it goes, without a tree of it in memory.
 */
#include "coreanalyze/base/json.h"
#include "coreanalyze/base/text.h"

#include <inttypes.h>

#define JSON_MAX_EXACT (UINT64_C(1) << 53) /* integers of a double */

/* Items of the two outer levels have a line of their own. */
static void json_begin(struct mt_json *json, const char *key)
{
    if (json->more)
        putc(',', json->out);
    if (json->depth > 0 && json->depth <= 2)
        fprintf(json->out, "\n%*s", (int)json->depth, "");
    if (key)
        fprintf(json->out, "\"%s\":", key);
    json->more = true;
}

void mt_json_open(struct mt_json *json, const char *key, char bracket)
{
    json_begin(json, key);
    putc(bracket, json->out);
    json->depth++;
    json->more = false;
}

void mt_json_close(struct mt_json *json, char bracket)
{
    json->depth--;
    putc(bracket, json->out);
    json->more = true;
    if (json->depth == 0)
        putc('\n', json->out);
}

void mt_json_u64(struct mt_json *json, const char *key, uint64_t value)
{
    const char *quote = json->exact && value > JSON_MAX_EXACT ? "\"" : "";

    json_begin(json, key);
    fprintf(json->out, "%s%" PRIu64 "%s", quote, value, quote);
}

void mt_json_i64(struct mt_json *json, const char *key, int64_t value)
{
    json_begin(json, key);
    fprintf(json->out, "%" PRId64, value);
}

void mt_json_address(struct mt_json *json, const char *key, uint64_t value)
{
    json_begin(json, key);
    fprintf(json->out, "\"0x%" PRIx64 "\"", value);
}

void mt_json_bytes(struct mt_json *json, const char *key, const uint8_t *data,
                   size_t bytes)
{
    json_begin(json, key);
    putc('"', json->out);
    for (size_t i = 0; i < bytes; i++)
        fprintf(json->out, "%02x", data[i]);
    putc('"', json->out);
}

/* In integers: printf of a double would follow the locale. */
void mt_json_seconds(struct mt_json *json, const char *key, double value)
{
    int64_t ms = (int64_t)(value * 1000 + 0.5);

    json_begin(json, key);
    fprintf(json->out, "%" PRId64 ".%03" PRId64, ms / 1000, ms % 1000);
}

void mt_json_bool(struct mt_json *json, const char *key, bool value)
{
    json_begin(json, key);
    fputs(value ? "true" : "false", json->out);
}

void mt_json_null(struct mt_json *json, const char *key)
{
    json_begin(json, key);
    fputs("null", json->out);
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

void mt_json_string(struct mt_json *json, const char *key, const char *value)
{
    if (value == NULL) {
        mt_json_null(json, key);
        return;
    }
    json_begin(json, key);
    putc('"', json->out);
    while (*value) {
        size_t n = mt_utf8_length(value);
        put_character(json->out, value, n);
        value += n ? n : 1;
    }
    putc('"', json->out);
}
