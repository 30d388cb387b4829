/* SPDX-License-Identifier: BSD-2-Clause
 *
 * minicore.h - the note that tells a mini-core from a core.
 */
#ifndef MT_MINICORE_H
#define MT_MINICORE_H

#include <stdint.h>

#define MT_MINICORE_NOTE "memtrace" /* its name */
#define MT_MINICORE_TYPE 1u
#define MT_MINICORE_VERSION 1u

/* What the target lacked that it was made from; only ever grows. */
struct mt_minicore_note {
    uint32_t version;
    uint32_t tables_incomplete; /* 0 or 1 */
    uint64_t missing_bytes, bad_notes;
};

#endif
