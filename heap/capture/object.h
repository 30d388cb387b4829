/* SPDX-License-Identifier: BSD-2-Clause
 *
 * object.h - the loaded object that an address lies in.  AS-safe, without a
 * lock.
 */
#ifndef MT_OBJECT_H
#define MT_OBJECT_H

#include "heap/internal.h"

struct mt_object {
    uint64_t start, end;         /* its mappings */
    const uint8_t *eh_frame_hdr; /* or NULL */
    const void *link_map;
};
bool mt_object_find(uint64_t address, struct mt_object *object);

#endif
