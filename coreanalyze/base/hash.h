/* SPDX-License-Identifier: BSD-2-Clause
 *
 * hash.h - FNV-1a, 64 bits: the same on every machine, so that its values may
 * go into files.
 */
#ifndef MT_HASH_H
#define MT_HASH_H

#include <stddef.h>
#include <stdint.h>

#define MT_HASH_START UINT64_C(0xcbf29ce484222325)

static inline uint64_t mt_hash_bytes(uint64_t hash, const void *data,
                                     size_t bytes)
{
    const unsigned char *p = data;

    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ p[i]) * UINT64_C(0x100000001b3);
    return hash;
}

#endif
