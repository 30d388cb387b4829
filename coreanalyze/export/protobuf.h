/* SPDX-License-Identifier: BSD-2-Clause
 *
 * protobuf.h - messages of Protocol Buffers, written field by field.
 *
 * Two wire types are enough for a profile: numbers, and bytes with a length
 * before them.  A message inside another one is made in a buffer of its own.
 */
#ifndef MT_PROTOBUF_H
#define MT_PROTOBUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mt_protobuf {
    unsigned char *data;
    size_t n, capacity;
    bool failed; /* memory was short: what is there is not whole */
};

void mt_protobuf_varint(struct mt_protobuf *, uint64_t value);
/* A field of a number; 0 is the default and is left out. */
void mt_protobuf_number(struct mt_protobuf *, unsigned field, uint64_t value);
void mt_protobuf_bytes(struct mt_protobuf *, unsigned field, const void *data,
                       size_t bytes);
/* A message, or packed numbers; `inner` is empty after it. */
void mt_protobuf_message(struct mt_protobuf *, unsigned field,
                         struct mt_protobuf *inner);
void mt_protobuf_free(struct mt_protobuf *);

#endif
