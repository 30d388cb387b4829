/* SPDX-License-Identifier: BSD-2-Clause
 *
 * ignored.c - the tags of blocks that no report of leaks is wanted of.
 *
 * Such a block has the tag of a stack record that is flagged so: a twin of the
 * one that allocated it.  Nothing is listed, so nothing can be out of date when
 * the block is freed.
 */
#include "heap/seldom.h"
#include "heap/alloc.h"
#include "heap/capture/stacks.h"

/* The stack with or without the flag; the same one if the table is full. */
static uint32_t twin_of(uint32_t id, bool ignored)
{
    if (id < MT_STACK_FIRST)
        return id;
    const struct mt_stack_record *s = mt_stacks_record(id);
    unsigned flags = s->flags & ~MT_STACK_IGNORED;
    if (ignored)
        flags |= MT_STACK_IGNORED;
    if (flags == s->flags)
        return id;
    bool known;
    uint64_t frames[MT_DEPTH_MAX];
    unsigned n = mt_stacks_frames(id, frames);
    uint32_t twin = mt_stacks_intern(frames, n, flags, NULL, &known);
    return twin == MT_STACK_OVERFLOW ? id : twin;
}

uint64_t mt_ignored_tag(uint64_t tag, bool ignored)
{
    return MT_TAG(twin_of(MT_TAG_STACK(tag), ignored), MT_TAG_EPOCH(tag),
                  MT_TAG_SLACK(tag));
}

void mt_ignored_reset(struct mt_cache *cache)
{
    cache->ignoring = 0;
    cache->trace = &cache->heap->record->trace;
}
