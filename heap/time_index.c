/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Epochs: a table of coarse times.  The grain starts at 4 ms and doubles
 * whenever the table has filled by another half of what was left, so that a
 * process of any age has room for more (2^20 tags' epochs at the most).
 */
#include "heap/attributes.h"
#include "heap/lock.h"
#include "heap/os.h"
#include "heap/time_index.h"
#include "heap/trace_region.h"

#include <string.h>

#define FIRST_GRAIN_NS UINT64_C(4000000)

static struct mt_lock epoch_lock;
uint64_t mt_epoch_next_ns;
mt_epoch_hook *mt_epoch_listener;
uint64_t mt_epoch_listen_ns;

static uint32_t open_epoch(uint64_t now, uint32_t kind, uint32_t label)
{
    struct mt_root *root = memtrace_root;
    struct mt_section_record *epochs = &root->sections[MT_SECTION_EPOCHS];
    uint64_t capacity = epochs->reserved / sizeof(struct mt_epoch_record);
    uint64_t most = UINT64_C(1) << MT_TAG_EPOCH_BITS;
    if (capacity > most)
        capacity = most;
    uint64_t used = epochs->used / sizeof(struct mt_epoch_record);
    struct mt_epoch_record *e =
        used < capacity ? mt_section_alloc(MT_SECTION_EPOCHS, sizeof *e) : NULL;
    if (e == NULL) {
        root->epoch_overflow++;
        mt_store_relaxed(&mt_epoch_next_ns, UINT64_MAX);
        return root->epoch;
    }
    e->monotonic_ns = now;
    e->kind = kind;
    e->label = label;
    mt_store_release(&root->epoch, (uint32_t)used);
    /* The share of the table still free sets the grain. */
    uint64_t grain = FIRST_GRAIN_NS;
    for (uint64_t left = capacity - used; left <= capacity / 2 && left > 0;
         left *= 2)
        grain *= 2;
    mt_store_relaxed(&mt_epoch_next_ns, now + grain);
    return (uint32_t)used;
}

MT_COLD void mt_epoch_open(uint64_t now)
{
    if (!mt_lock_try(&epoch_lock))
        return;
    if (now >= mt_epoch_next_ns)
        open_epoch(now, MT_EPOCH_TIME, 0);
    mt_lock_release(&epoch_lock);
    if (mt_epoch_listener && now >= mt_load_relaxed(&mt_epoch_listen_ns))
        mt_epoch_listener(now);
}

void mt_epoch_hasten(void)
{
    if (mt_load_relaxed(&mt_epoch_next_ns) == UINT64_MAX)
        return; /* the table is full */
    mt_store_relaxed(&mt_epoch_listen_ns, 0);
    mt_store_relaxed(&mt_epoch_next_ns, 0);
}

uint32_t mt_epoch_mark(const char *label)
{
    uint32_t text = mt_string_add(label, strlen(label));
    mt_lock_acquire(&epoch_lock);
    uint32_t epoch = open_epoch(mt_os_monotonic_ns(), MT_EPOCH_MARK, text);
    mt_lock_release(&epoch_lock);
    return epoch;
}

void mt_epoch_fork_child(void)
{
    mt_lock_reset(&epoch_lock);
}
