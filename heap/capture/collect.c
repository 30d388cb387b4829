/* SPDX-License-Identifier: BSD-2-Clause
 *
 * collect.c - gives back the stacks that nothing refers to any longer.
 *
 * Who refers to a stack: the tags of blocks, live or freed; the entries of
 * memos, of which each has a counter with the stack's id; and a thread that has
 * an id in its hands, between its capture and the tag's being written. No
 * thread is stopped, and none writes anything for the collector's sake. So:
 *
 *   1. All records and nodes are condemned. Who interns a stack revives those
 *      that it comes by (stacks.c, frame_tree.c).
 *   2. Every thread is seen outside of a capture. Ids that were interned before
 *      they were condemned are then in a memo, in a tag, or nowhere; from now
 *      on interning revives.
 *   3. Memos are looked at. An entry that goes before that was last used in a
 *      capture that has ended, so its id is in a tag or nowhere; and one that
 *      comes is revived already.
 *   4. Tags are looked at. New ones have ids of memos that were looked at, or
 *      interned ones.
 *   5. What is condemned still is dead: it is not found any longer, records
 *      leave their lists, nodes that no live stack has leave the index.
 *   6. Every thread is seen outside of a capture: nobody looks at the dead.
 *   7. They are free for others.
 *
 * A capture lasts until the tag is written (mt_capture_end), so `under_way`
 * says whether a thread is in one. Stacks of mapped memory (map_table.h) are
 * pinned: they stay. It sets that word by a plain store; that it
 * is seen before the thread reads anything else is forced by a barrier that the
 * kernel makes in all threads (membarrier()), once for each time that all must
 * be seen. Where the kernel refuses, and there are threads, nothing is given
 * back.
 *
 * Whoever captures a stack that its memo does not know makes the steps; one
 * thread at a time. If it does not come back - it was left by a longjmp() from
 * a signal handler, or was not the thread that forked - another takes the step
 * again, or if stacks were being condemned, begins anew. What is dead then is
 * freed with what the next collection finds.
 */
#include "heap/seldom.h"
#include "heap/capture/collect.h"
#include "heap/kernel.h"
#include "heap/recent_frees.h"
#include "heap/sandbox.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>

enum phase { IDLE, CONDEMNED, DEAD, OUT_OF_INDEX };

static const struct mt_capture *owner; /* who makes steps now, or NULL */
static enum phase phase;
static uint32_t stamp;   /* number of the last wait for all threads */
static uint32_t resting; /* steps that are not made yet */

/* After a collection that found little, that many captures pass before the
 * next. */
#define REST_LEAST 1024u
#define REST_MOST (1u << 20)
static uint32_t rest = REST_LEAST;

/* The collection before left much in use: memos are emptied, each by its
 * thread, and freed blocks lose the names of their stacks. */
static bool thorough;
static uint32_t scans; /* of memos, since all were seen */
#define PATIENCE 64    /* scans for other threads to come and empty theirs */

/* A memory barrier in all threads. */
static bool collect_barrier(const struct mt_capture *all)
{
    int saved = errno;
    bool may = mt_sandbox.level == 0;
    bool ok =
        may && mt_kernel(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED) == 0;
    if (may && !ok) /* the first time */
        ok = mt_kernel(SYS_membarrier,
                       MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) == 0 &&
             mt_kernel(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED) == 0;
    errno = saved;
    return ok || all->next == NULL;
}

/* Begins to wait until every thread was seen outside of a capture. */
static bool wait_begin(const struct mt_capture *all)
{
    stamp++;
    scans = 0;
    return collect_barrier(all);
}

static bool wait_ended(const struct mt_capture *own, struct mt_capture *all)
{
    bool ended = true;
    for (struct mt_capture *c = all; c; c = c->next) {
        if (c->seen_outside != stamp &&
            (c == own || mt_load_acquire(&c->under_way[0]) == 0))
            c->seen_outside = stamp;
        ended = ended && c->seen_outside == stamp;
    }
    return ended && mt_load_acquire(&mt_stacks_entered) == 0;
}

/* False: it was changing. */
static bool scan_memo(const struct mt_capture *own, struct mt_capture *c)
{
    struct mt_memo *m = &c->memo;
    if (thorough && c == own)
        mt_memo_clear(m);
    else if (thorough && scans < PATIENCE)
        return false;
    uint32_t changes = mt_load_acquire(&m->changes);
    if (c != own && mt_load_acquire(&c->under_way[0]) != 0)
        return false;
    uint32_t n = mt_load_acquire(&m->n_slots);
    const struct mt_counter_record *counters = mt_load_acquire(&m->counters);
    for (uint32_t i = 0; counters && i < n; i++)
        mt_stacks_revive(mt_load_acquire(&counters[i].stack));
    return c == own || mt_load_acquire(&m->changes) == changes;
}

static bool scan_memos(const struct mt_capture *own, struct mt_capture *all)
{
    bool ended = true;
    scans++;
    for (struct mt_capture *c = all; c; c = c->next) {
        if (c->memo_scanned != stamp && scan_memo(own, c))
            c->memo_scanned = stamp;
        ended = ended && c->memo_scanned == stamp;
    }
    return ended;
}

static void scan_tag(uint64_t tag)
{
    mt_stacks_revive(MT_TAG_STACK(tag));
}

/* Is bit i set in one of the span's bitmaps?  Not, if that is no longer the
 * span's. */
static bool scan_bit(const struct mt_span_record *span, uint64_t bitmap,
                     uint64_t i)
{
    const struct mt_section_record *s =
        &memtrace_root->sections[MT_SECTION_BITMAPS];
    uint64_t at = bitmap + i / 64 * 8;
    return ((at >= s->base && at < s->base + mt_load_acquire(&s->committed)) ||
            at - (uintptr_t)span < sizeof *span) &&
           mt_load_acquire((const uint64_t *)(uintptr_t)at) >> (i % 64) & 1;
}

/* Takes the stack out of a freed block's tag, if nobody else has it. Should the
 * block be allocated again from this stack, and get the same tag, the stack was
 * interned before, and so revived: then the tag is put back. */
static void drop_tag(uint64_t *tag, uint64_t was)
{
    uint32_t id = MT_TAG_STACK(was);
    uint64_t without = was - id + MT_STACK_OVERFLOW;
    if (__atomic_compare_exchange_n(tag, &was, without, false, __ATOMIC_SEQ_CST,
                                    __ATOMIC_RELAXED) &&
        !mt_stacks_is_condemned(id))
        __atomic_compare_exchange_n(tag, &without, was, false, __ATOMIC_SEQ_CST,
                                    __ATOMIC_RELAXED);
}

static void scan_tag_of(const struct mt_span_record *span, uint64_t *tag,
                        uint64_t i)
{
    uint64_t word = mt_load_acquire(tag);
    if (thorough && mt_stacks_is_condemned(MT_TAG_STACK(word)) &&
        (scan_bit(span, mt_load_acquire(&span->local), i) ||
         scan_bit(span, mt_load_acquire(&span->remote), i)))
        drop_tag(tag, word);
    else
        scan_tag(word);
}

/* A span may be given other blocks at any time; their tags are then new. */
static void scan_span(struct mt_span_record *span)
{
    const struct mt_section_record *s =
        &memtrace_root->sections[MT_SECTION_TAGS];
    uint8_t state = mt_load_acquire(&span->state);
    uint64_t at = mt_load_acquire(&span->tags);
    uint64_t n = mt_load_acquire(&span->n_blocks);
    if (at == 0 || (state != MT_SPAN_SMALL && state != MT_SPAN_LARGE))
        return;
    if (at == (uintptr_t)&span->inline_tag) {
        scan_tag(mt_load_acquire(&span->inline_tag));
        return;
    }
    uint64_t end = s->base + mt_load_acquire(&s->committed);
    if (at < s->base || at > end)
        return;
    if (n > (end - at) / sizeof(uint64_t))
        n = (end - at) / sizeof(uint64_t);
    uint64_t *tags = (uint64_t *)(uintptr_t)at;
    for (uint64_t i = 0; i < n; i++)
        scan_tag_of(span, &tags[i], i);
}

/* The list of the peak that holds (peak.c). */
static void scan_peak(void)
{
    const struct mt_root *root = memtrace_root;
    uint32_t list = mt_load_acquire(&root->peak);
    if (list == 0)
        return;
    const struct mt_peak_record *records =
        (const struct mt_peak_record *)(uintptr_t)root
            ->sections[MT_SECTION_PEAKS]
            .base +
        root->peak_first[list - 1];
    for (uint32_t i = 0; i < root->peak_records[list - 1]; i++)
        mt_stacks_revive(records[i].stack);
}

static void scan_tags(void)
{
    const struct mt_section_record *s =
        &memtrace_root->sections[MT_SECTION_SPANS];
    struct mt_span_record *spans = (struct mt_span_record *)(uintptr_t)s->base;
    uint64_t n = mt_load_acquire(&s->used) / sizeof *spans;
    for (uint64_t i = 1; i < n; i++)
        scan_span(&spans[i]);
    mt_recent_frees_each(scan_tag);
    scan_peak();
    mt_stacks_revive(mt_load_acquire(&memtrace_root->error_stack));
}

/* The next collection is due when as much again is in use as now, and enough
 * for the looking at all tags to be worth it; before three quarters of what is
 * allowed are taken, in any case. */
static void collect_end(void)
{
    uint64_t in_use = mt_stacks_in_use(), limit = mt_tree_limit();
    uint64_t trigger = mt_tree_heap_bytes() / 16;
    uint64_t records = in_use - mt_tree_index_bytes();
    if (trigger < MT_STACKS_TRIGGER)
        trigger = MT_STACKS_TRIGGER;
    if (trigger < 2 * records)
        trigger = 2 * records;
    if (trigger > limit - limit / 4)
        trigger = limit - limit / 4;
    bool enough = in_use <= limit / 2 + limit / 8 && !mt_tree_is_tight();
    if (enough || !thorough)
        rest = REST_LEAST;
    else if (rest < REST_MOST)
        rest *= 2;
    resting = enough || !thorough ? 0 : rest;
    thorough = !enough || in_use > limit / 2;
    mt_store_relaxed(&mt_stacks_trigger, trigger);
    mt_store_relaxed(&mt_stacks_crowded, !enough);
    phase = IDLE;
}

static void collect_steps(const struct mt_capture *own, struct mt_capture *all)
{
    if (phase == IDLE) {
        if (resting && --resting)
            return;
        __atomic_fetch_add(&memtrace_root->stacks_round, 1, __ATOMIC_SEQ_CST);
        mt_stacks_condemn();
        mt_tree_condemn();
        if (!wait_begin(all)) {
            resting = rest = REST_MOST;
            return;
        }
        phase = CONDEMNED;
    }
    if (phase == CONDEMNED) {
        if (!wait_ended(own, all) || !scan_memos(own, all))
            return;
        scan_tags();
        mt_stacks_sweep();
        phase = mt_tree_sweep() ? DEAD : OUT_OF_INDEX;
        if (phase == OUT_OF_INDEX && !wait_begin(all)) {
            phase = IDLE;
            return;
        }
    }
    if (phase == DEAD) {
        if (!mt_tree_reindex())
            return;
        phase = OUT_OF_INDEX;
        if (!wait_begin(all)) {
            phase = IDLE;
            return;
        }
    }
    if (wait_ended(own, all)) {
        mt_stacks_release();
        mt_tree_release();
        collect_end();
    }
}

void mt_collect_step(struct mt_capture *own, struct mt_capture *all)
{
    const struct mt_capture *nobody = NULL;
    if (!__atomic_compare_exchange_n(&owner, &nobody, own, false,
                                     __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
        return;
    collect_steps(own, all);
    mt_store_release(&owner, NULL);
}

bool mt_collect_hold(void)
{
    const struct mt_capture *nobody = NULL;
    return __atomic_compare_exchange_n(
        &owner, &nobody, (const struct mt_capture *)(const void *)&owner, false,
        __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

void mt_collect_let_go(void)
{
    mt_store_release(&owner, NULL);
}

void mt_collect_abandon(const struct mt_capture *own)
{
    if (mt_load_relaxed(&owner) != own)
        return;
    if (phase == CONDEMNED)
        phase = IDLE; /* the other steps can be made again */
    resting = 0;
    mt_store_relaxed(&mt_stacks_crowded, 1);
    mt_store_release(&owner, NULL);
}
