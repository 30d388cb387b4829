/* SPDX-License-Identifier: BSD-2-Clause
 *
 * object.h - the loaded object that an address lies in, and its segments.
 * AS-safe, without a lock.
 *
 * This is the one place that knows where an object can be read.  Between its
 * segments there may be nothing, or memory without access: patchelf, large
 * pages and some linkers leave such holes.
 */
#ifndef MT_OBJECT_H
#define MT_OBJECT_H
#include <stdbool.h>
#include <stdint.h>

struct mt_object {
    uint64_t start, end; /* from its first segment to the end of its last */
    uint64_t bias;       /* added to the addresses in its file */
    const uint8_t *eh_frame_hdr; /* or NULL */
    const void *link_map;
    const void *elf;     /* its ELF header, whose page is readable; or NULL */
    const void *headers; /* its program headers; NULL: they are not known */
    unsigned n_headers;
};
bool mt_object_find(uint64_t address, struct mt_object *object);

/* The end of the readable segment that holds `address`; 0: none does. */
uint64_t mt_object_readable_to(const struct mt_object *, uint64_t address);

#endif
