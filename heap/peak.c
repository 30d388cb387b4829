/* SPDX-License-Identifier: BSD-2-Clause
 *
 * peak.c - what the heaps held at their peak, by stack.
 *
 * Nothing counts live bytes by stack while the program runs: a free records
 * nothing.  So when the heaps are larger than ever (timeline.c says when), all
 * spans are walked over, and the tags of live blocks are summed.  That takes
 * some nanoseconds a block.  To keep it within the time that it may take, the
 * tags of one in N words of 64 blocks are read, the same for all sizes, and the
 * sums of small blocks are scaled by their bytes; large blocks are always
 * counted.
 *
 * There are two lists, of which the root names the one that holds.  The other
 * is filled, then named.  A list has the stacks that had live blocks; those
 * that do not fit are summed under MT_STACK_OVERFLOW.  A collection of stacks
 * keeps those of the list that holds, and makes no step while one is filled.
 */
#include "heap/seldom.h"
#include "heap/peak.h"
#include "heap/alloc.h"
#include "heap/capture/collect.h"
#include "heap/live_words.h"
#include "heap/kernel.h"
#include "heap/os.h"
#include "heap/sandbox.h"

#include <sys/mman.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* since Linux 5.14 */
#endif

#define BLOCK_NS 4 /* to look at a tag, at least; the last walk says more */
#define MOST_BLOCK_NS 64
#define LEAST_TAGS (UINT64_C(1) << 15) /* are always looked at */
#define MOST_TAGS (UINT64_C(1) << 22)  /* a pause of some 20 ms */

struct peak_sum {
    uint64_t small_bytes, small_blocks, large_bytes, large_blocks;
};

static struct {
    /* For the time of a walk: the sums of the stacks that were met, from 1 on,
     * and their numbers by stack. Most stacks have no block that is live and
     * looked at, and pages that nobody writes to take no memory. */
    uint32_t *numbers;
    struct peak_sum *sums;
    uint64_t bytes; /* of both */
    uint32_t n_stacks, n_sums;
    uint32_t capacity[2];    /* records of the lists */
    uint64_t all, looked_at; /* bytes of small blocks */
    uint64_t n_tags;         /* that the last walk looked at */
    uint64_t share;          /* a power of two */
} peak;

/* --- the walk --- */

static void peak_count(const struct mt_live_words *v, uint64_t tag)
{
    uint32_t stack = MT_TAG_STACK(tag);
    peak.n_tags++;
    uint64_t bytes = v->block_bytes;
    if (stack >= peak.n_stacks)
        stack = MT_STACK_OVERFLOW;
    uint32_t *number = &peak.numbers[stack];
    if (*number == 0)
        *number = ++peak.n_sums;
    struct peak_sum *sum = &peak.sums[*number];
    if (v->large) {
        sum->large_bytes += stack ? v->requested : bytes;
        sum->large_blocks++;
    } else {
        uint64_t slack = stack ? MT_TAG_SLACK(tag) : 0;
        sum->small_bytes += slack < bytes ? bytes - slack : bytes;
        sum->small_blocks++;
    }
}

static bool peak_is_chosen(uint64_t span, uint64_t word)
{
    uint64_t mixed = (span * 64 + word) * UINT64_C(0x9e3779b97f4a7c15);
    return ((mixed >> 40) & (peak.share - 1)) == 0;
}

static void peak_walk_span(const mt_span *span, uint64_t id)
{
    struct mt_live_words v;
    if (!mt_live_words(span, &v))
        return;
    uint64_t at = mt_load_acquire(&span->tags);
    const uint64_t *tags = (const uint64_t *)at;
    uint64_t n_tags = mt_live_bound(span, MT_SECTION_TAGS, at, v.n_blocks);
    for (uint64_t w = 0; w < v.words; w++) {
        uint64_t live = mt_live_word(&v, w);
        uint64_t bytes = mt_live_count(live) * v.block_bytes;
        if (!v.large) {
            peak.all += bytes;
            if (!peak_is_chosen(id, w))
                continue;
            peak.looked_at += bytes;
        }
        for (; live; live &= live - 1) {
            uint64_t i = w * 64 + (uint64_t)__builtin_ctzll(live);
            peak_count(&v, i < n_tags ? mt_load_relaxed(&tags[i]) : 0);
        }
    }
}

static void peak_walk(void)
{
    uint64_t used =
        mt_load_acquire(&memtrace_root->sections[MT_SECTION_SPANS].used);
    peak.all = peak.looked_at = peak.n_tags = 0;
    for (uint64_t id = 1; id < used / sizeof(mt_span); id++)
        peak_walk_span(&mt_hot.spans[id], id);
}

/* --- the list --- */

static uint64_t peak_scale(uint64_t value)
{
    if (peak.looked_at == peak.all || peak.looked_at == 0)
        return value;
    return mt_live_scale(value, peak.all, peak.looked_at);
}

static void peak_add(struct mt_peak_record *r, const struct peak_sum *sum)
{
    r->bytes += peak_scale(sum->small_bytes) + sum->large_bytes;
    r->blocks += peak_scale(sum->small_blocks) + sum->large_blocks;
}

/* Room for n records of the list; what it had before is lost. */
static bool peak_room(unsigned list, uint32_t n)
{
    const struct mt_section_record *s =
        &memtrace_root->sections[MT_SECTION_PEAKS];
    if (n <= peak.capacity[list])
        return true;
    uint32_t more = n + n / 2 + 32;
    const char *at = mt_section_alloc(MT_SECTION_PEAKS,
                                      more * sizeof(struct mt_peak_record));
    if (at == NULL)
        return peak.capacity[list] > 1;
    mt_section_forget((struct mt_peak_record *)(uintptr_t)s->base +
                          memtrace_root->peak_first[list],
                      peak.capacity[list] * sizeof(struct mt_peak_record));
    memtrace_root->peak_first[list] =
        (uint32_t)(((uintptr_t)at - s->base) / sizeof(struct mt_peak_record));
    peak.capacity[list] = more;
    return true;
}

static bool peak_publish(const struct mt_peak_now *now)
{
    struct mt_root *root = memtrace_root;
    unsigned list = root->peak == 1; /* the other one */
    uint32_t n = peak.n_sums, used = 0;
    if (!peak_room(list, n))
        return false;
    struct mt_peak_record *records =
        (struct mt_peak_record *)(uintptr_t)root->sections[MT_SECTION_PEAKS]
            .base +
        root->peak_first[list];
    uint32_t most = n <= peak.capacity[list] ? n : peak.capacity[list] - 1;
    struct mt_peak_record rest = {.stack = MT_STACK_OVERFLOW};
    for (uint32_t i = 0; i < peak.n_stacks; i++) {
        uint32_t number = peak.numbers[i];
        if (number == 0)
            continue;
        if (used < most)
            records[used] = (struct mt_peak_record){.stack = i};
        peak_add(used < most ? &records[used++] : &rest, &peak.sums[number]);
    }
    if (rest.blocks)
        records[used++] = rest;
    root->peak_ns[list] = now->ns;
    root->peak_live_bytes[list] = now->live_bytes;
    root->peak_span_bytes[list] = now->span_bytes;
    root->peak_records[list] = used;
    root->peak_share[list] = (uint32_t)peak.share;
    mt_store_release(&root->peak, list + 1);
    return true;
}

static bool peak_begin(const struct mt_peak_now *now)
{
    uint64_t each = peak.n_tags ? now->took_ns / peak.n_tags : 0;
    each = each < BLOCK_NS ? BLOCK_NS : each;
    uint64_t tags =
        now->may_take_ns / (each < MOST_BLOCK_NS ? each : MOST_BLOCK_NS);
    tags = tags < LEAST_TAGS ? LEAST_TAGS : tags > MOST_TAGS ? MOST_TAGS : tags;
    peak.share = 1;
    while (now->live_blocks / peak.share > tags)
        peak.share *= 2;
    peak.n_stacks =
        (uint32_t)(mt_load_acquire(
                       &memtrace_root->sections[MT_SECTION_STACKS].used) /
                   sizeof(struct mt_stack_record));
    if (peak.n_stacks < MT_STACK_FIRST)
        return false; /* nothing was traced yet */
    uint64_t sums = (peak.n_stacks + 1) * sizeof *peak.sums;
    peak.bytes =
        (sums + peak.n_stacks * sizeof *peak.numbers + 4095) & ~UINT64_C(4095);
    uint64_t expected = peak.n_sums * sizeof *peak.sums;
    peak.n_sums = 0;
    peak.sums = mt_os_reserve(peak.bytes, 4096);
    peak.numbers = (uint32_t *)((char *)peak.sums + sums);
    if (!peak.sums || !mt_os_commit(peak.sums, peak.bytes))
        return false;
    /* As many pages as the last walk wrote to, without a fault for each. */
    if (!mt_load_relaxed(&mt_sandbox_any) && expected <= peak.bytes)
        mt_kernel(SYS_madvise, peak.sums, expected, MADV_POPULATE_WRITE);
    return true;
}

static void peak_end(void)
{
    if (peak.sums) {
        mt_os_uncommit(peak.sums, peak.bytes);
        mt_os_release(peak.sums, peak.bytes);
    }
    peak.sums = NULL;
}

bool mt_peak_take(const struct mt_peak_now *now)
{
    if (!mt_collect_hold())
        return false;
    bool ok = peak_begin(now);
    if (ok) {
        peak_walk();
        ok = peak_publish(now);
    }
    peak_end();
    mt_collect_let_go();
    return ok;
}

void mt_peak_fork_child(void)
{
    if (peak.sums)
        mt_collect_let_go();
    peak_end();
}
