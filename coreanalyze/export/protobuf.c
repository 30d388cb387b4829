/* SPDX-License-Identifier: BSD-2-Clause
 *
 * protobuf.c - the encoding of Protocol Buffers, as far as a profile needs it.
 */
#include "coreanalyze/export/protobuf.h"
#include "coreanalyze/base/memory.h"

#include <stdlib.h>
#include <string.h>

#define PROTOBUF_VARINT 0u
#define PROTOBUF_BYTES 2u
#define VARINT_BYTES 10u /* at most */

static void protobuf_put(struct mt_protobuf *p, const void *data, size_t bytes)
{
    if (p->failed || bytes == 0)
        return;
    if (!mt_grow(&p->data, &p->capacity, p->n + bytes, 1)) {
        p->failed = true;
        return;
    }
    memcpy(p->data + p->n, data, bytes);
    p->n += bytes;
}

void mt_protobuf_varint(struct mt_protobuf *p, uint64_t value)
{
    if (p->failed ||
        (p->capacity - p->n < VARINT_BYTES &&
         !mt_grow(&p->data, &p->capacity, p->n + VARINT_BYTES, 1))) {
        p->failed = true;
        return;
    }
    for (; value >= 0x80; value >>= 7)
        p->data[p->n++] = (unsigned char)(value | 0x80);
    p->data[p->n++] = (unsigned char)value;
}

void mt_protobuf_number(struct mt_protobuf *p, unsigned field, uint64_t value)
{
    if (value == 0)
        return;
    mt_protobuf_varint(p, (uint64_t)field << 3 | PROTOBUF_VARINT);
    mt_protobuf_varint(p, value);
}

void mt_protobuf_bytes(struct mt_protobuf *p, unsigned field, const void *data,
                       size_t bytes)
{
    mt_protobuf_varint(p, (uint64_t)field << 3 | PROTOBUF_BYTES);
    mt_protobuf_varint(p, bytes);
    protobuf_put(p, data, bytes);
}

void mt_protobuf_message(struct mt_protobuf *p, unsigned field,
                         struct mt_protobuf *inner)
{
    mt_protobuf_bytes(p, field, inner->data, inner->n);
    p->failed |= inner->failed;
    inner->n = 0;
}

void mt_protobuf_free(struct mt_protobuf *p)
{
    free(p->data);
    *p = (struct mt_protobuf){0};
}
