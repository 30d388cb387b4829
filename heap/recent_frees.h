/* SPDX-License-Identifier: BSD-2-Clause
 *
 * recent_frees.h - the tags of large blocks that were freed lately.
 */
#ifndef MT_RECENT_FREES_H
#define MT_RECENT_FREES_H

#include <stdint.h>

void mt_recent_frees_each(void (*visit)(uint64_t tag));

#endif
