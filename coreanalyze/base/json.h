/* SPDX-License-Identifier: BSD-2-Clause
 *
 * json.h - writes JSON: commas, indentation and escapes.  Keys are literals;
 * NULL where the value is an item of an array.
 */
#ifndef MT_JSON_H
#define MT_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct mt_json {
    FILE *out;
    unsigned depth;
    bool more;  /* the current object or array has an item already */
    bool exact; /* numbers that a double cannot hold are strings */
};

void mt_json_open(struct mt_json *, const char *key, char bracket);
void mt_json_close(struct mt_json *, char bracket);
void mt_json_u64(struct mt_json *, const char *key, uint64_t value);
void mt_json_i64(struct mt_json *, const char *key, int64_t value);
/* A string of hexadecimal digits: addresses do not fit a double. */
void mt_json_address(struct mt_json *, const char *key, uint64_t value);
void mt_json_bytes(struct mt_json *, const char *key, const uint8_t *,
                   size_t bytes);
/* With three decimals; not negative. */
void mt_json_seconds(struct mt_json *, const char *key, double value);
void mt_json_bool(struct mt_json *, const char *key, bool value);
void mt_json_null(struct mt_json *, const char *key);
/* An item that is JSON already. */
void mt_json_raw(struct mt_json *, const char *text, size_t bytes);
/* Any bytes: what is not UTF-8 becomes U+FFFD.  NULL gives null. */
void mt_json_string(struct mt_json *, const char *key, const char *value);

#endif
