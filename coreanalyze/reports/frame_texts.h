/* SPDX-License-Identifier: BSD-2-Clause
 *
 * frame_texts.h - the JSON of frames, kept by program counter: a million
 * stacks are made of some thousands.
 */
#ifndef MT_FRAME_TEXTS_H
#define MT_FRAME_TEXTS_H

#include "coreanalyze/base/json.h"
#include "coreanalyze/names/resolve.h"

struct mt_frame_texts;
/* NULL when out of memory.  The resolvers whose frames are written must outlive
 * it. */
struct mt_frame_texts *mt_frame_texts_new(void);
void mt_frame_texts_free(struct mt_frame_texts *); /* takes NULL */

/* Writes an object for each frame; `texts` may be NULL. */
void mt_json_put_resolved(struct mt_json *, struct mt_frame_texts *texts,
                          const struct mt_resolved *);

#endif
