/* SPDX-License-Identifier: BSD-2-Clause
 *
 * object.c - which loaded object an address lies in, without a lock.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include "cfi.h"

#include <dlfcn.h>

bool mt_object_find(uint64_t address, struct mt_object *object)
{
    struct dl_find_object found;
    if (_dl_find_object((void *)(uintptr_t)address, &found) != 0)
        return false;
    object->start = (uint64_t)(uintptr_t)found.dlfo_map_start;
    object->end = (uint64_t)(uintptr_t)found.dlfo_map_end;
    object->eh_frame_hdr = found.dlfo_eh_frame;
    object->link_map = found.dlfo_link_map;
    return true;
}
