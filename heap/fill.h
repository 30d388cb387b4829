/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fill.h - patterns in blocks: what is not in use, what is new, and what was
 * written to where nothing should be (safety.h).
 */
#ifndef MT_FILL_H
#define MT_FILL_H

#include "heap/alloc.h"

#define MT_FILL_FREED 0xfd
#define MT_FILL_ALLOCATED 0xba

/* Something wrote to a freed block. */
struct mt_finding {
    uintptr_t block; /* 0: nothing found */
    uint64_t tag;    /* of its last allocation */
    size_t offset;   /* of the first byte that differs */
};
/* Compares a free block with its fill; refills what differs. */
void mt_fill_check(const mt_span *, uint32_t index, struct mt_finding *);
/* Compares all free blocks of a small span. */
void mt_fill_check_span(const mt_span *, struct mt_finding *);
/* Fills all blocks of a new small span. */
void mt_fill_span(const mt_span *);
void mt_finding_report(const struct mt_finding *, const char *who);

#endif
