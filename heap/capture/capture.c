/* SPDX-License-Identifier: BSD-2-Clause
 *
 * capture.c - who is allocating: from registers to a stack's id.
 *
 * THE VERIFIED MEMO.  Unwinding is a function of the start registers, of the
 * words that it reads, of the unwind rules, and of the depth at which it is
 * cut. While it runs it writes a read log: the start registers it used and the
 * words it read, in order. The memo keeps the log with the id of the stack
 * that came out. At the next capture with the same rip and rsp, the words
 * are compared. If rbp (if it was used) and all words before word i are what
 * they were, the unwinder, run now, would read word i at the same place as
 * then; if that has its old value too, so on to the next. When all are equal
 * it would take every step that it took then, and the id is the same. That
 * needs no step to be taken, no frame to be hashed, and no trust. Where the
 * first word differs, the comparison ends, having read nothing but what the
 * unwinder would read.
 *
 * The rest of what it is a function of: an entry is used only while the depth
 * is the same, and while no module that had a frame in any stack is gone
 * (load_count.c: the count of loads changes before other code can run at the
 * addresses of one; the list is then checked). Entries with frames that lie
 * in no module hold for one count. Stacks that used other registers than
 * rbp, or words outside of the known range of the current stack, are not
 * remembered.
 *
 * WHICH ENTRY.  Programs repeat themselves: the entry that was found after this
 * one the last time is tried first, and was fetched into the processor's cache
 * since then. Next is that with the same rip and rsp. A recursion leads to the
 * same of these in many ways; those that are remembered make a tree, which
 * parts where they do (memo.c): a look at the words at which they differ leads
 * to the one to be tried. That is only a guess; the comparison decides.
 *
 * COUNTERS.  A hit counts on the entry's counter, which only this thread
 * writes; it is added to the stack's record when its slot is given to another
 * stack, or the thread goes. A reader adds up both. While the thread runs it
 * may be seen between those two steps: off by one counter's worth per thread.
 *
 * SIGNALS.  A capture that interrupts another one on the same thread finds
 * its stack pointer in `under_way`: it unwinds into another buffer, without
 * memo and known ranges, and counts on the record. That pointer says both that
 * there is a capture and where, in one word, so that no interrupter sees one
 * without the other. Everything below (rules, stacks, modules) is without
 * locks, and finished by others if it is left in the middle.
 */
#include "heap/capture/capture_fast.h"
#include "heap/capture/collect.h"
#include "heap/capture/module_table.h"
#include "heap/capture/stacks.h"
#include "heap/capture/unwind.h"

#include <string.h>

#define SMALL_DEPTH 64 /* frames kept without a buffer */

const size_t mt_capture_bytes = sizeof(struct mt_capture);

uint32_t mt_capture_verify;
struct mt_capture_totals mt_capture_totals;

static struct mt_capture *all;

/* NO_MEMORY: there was none for the stack table; it is tried again. */
enum { NOT_STARTED, NO_MEMORY, STARTING, STARTED };
static uint32_t started;

static MT_COLD MT_NOINLINE void capture_start(void)
{
    uint32_t state = mt_load_acquire(&started);
    if (state >= STARTING ||
        !__atomic_compare_exchange_n(&started, &state, STARTING, false,
                                     __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
        return;
    if (state == NOT_STARTED)
        mt_modules_start();
    mt_store_release(&started, mt_stacks_start() ? STARTED : NO_MEMORY);
}

void mt_capture_init(struct mt_capture *c, struct mt_thread_record *thread)
{
    if (mt_load_acquire(&started) != STARTED)
        capture_start();
    mt_memo_init(&c->memo, thread);
    c->next = mt_load_relaxed(&all);
    while (!__atomic_compare_exchange_n(&all, &c->next, c, false,
                                        __ATOMIC_RELEASE, __ATOMIC_RELAXED))
        ;
}

struct mt_capture_totals mt_capture_sum(void)
{
    struct mt_capture_totals sum = mt_capture_totals;
    for (const struct mt_capture *c = mt_load_acquire(&all); c; c = c->next) {
        sum.hits += c->memo.all_hits + mt_load_relaxed(&c->memo.hits);
        sum.misses += c->memo.all_misses + mt_load_relaxed(&c->memo.misses);
    }
    return sum;
}

static void add_total(uint64_t *total, uint64_t *part)
{
    __atomic_fetch_add(total, *part, __ATOMIC_RELAXED);
    *part = 0;
}

void mt_capture_merge_counts(struct mt_capture *c)
{
    mt_memo_merge_counts(&c->memo);
    mt_memo_end_round(&c->memo);
    add_total(&mt_capture_totals.hits, &c->memo.all_hits);
    add_total(&mt_capture_totals.misses, &c->memo.all_misses);
}

/* What a capture that will never be finished was changing. */
static void capture_reset(struct mt_capture *c)
{
    mt_memo_init(&c->memo, c->memo.thread);
    mt_path_drop(&c->path);
    mt_collect_abandon(c);
}

void mt_capture_detach(struct mt_capture *c)
{
    mt_capture_merge_counts(c);
    /* In the child of a fork it may be the memo of a thread that was caught
     * while it was changing it. */
    if (c->under_way[0])
        capture_reset(c);
    memset(c->under_way, 0, sizeof c->under_way);
    c->ranges = (struct mt_stack_ranges){0};
    mt_path_drop(&c->path);
}

static unsigned depth_within(unsigned max)
{
    uint32_t depth = mt_load_relaxed(&memtrace_root->depth);
    return depth < 1 ? 1 : depth < max ? depth : max;
}

/* Without what the memo needs. */
static uint32_t unwind_and_intern(uint64_t *frames, unsigned max,
                                  const struct mt_regs *regs)
{
    struct mt_unwinding u = {.frames = frames, .max_frames = depth_within(max)};
    bool known;
    mt_unwind(&u, regs);
    return mt_stacks_intern(frames, u.n_frames, u.flags, NULL, &known);
}

static MT_COLD MT_NOINLINE uint32_t capture_small(const struct mt_regs *regs)
{
    uint64_t frames[SMALL_DEPTH];
    return unwind_and_intern(frames, SMALL_DEPTH, regs);
}

/* Forgets the captures that will never be finished: a signal handler that had
 * interrupted them left by longjmp(), if the stack is now no longer than it was
 * then: a handler's frames lie below. Returns the number of those that will. */
static unsigned drop_abandoned(struct mt_capture *c, uint64_t sp)
{
    uint64_t low = c->ranges.range[c->ranges.last].low;
    uint64_t high = c->ranges.range[c->ranges.last].high;
    unsigned n = 0;
    while (n < MT_CAPTURE_NESTED && c->under_way[n] != 0 &&
           !(sp >= c->under_way[n] && sp < high && c->under_way[n] >= low))
        n++;
    if (n == 0 && c->under_way[0] != 0)
        capture_reset(c);
    for (unsigned i = MT_CAPTURE_NESTED; i > n; i--)
        mt_store_relaxed(&c->under_way[i - 1], 0);
    return n;
}

/* No capture state, or one that is in use. */
static MT_COLD MT_NOINLINE uint32_t capture_nested(struct mt_capture *c,
                                                   const struct mt_regs *regs,
                                                   uint64_t bytes)
{
    uint32_t id;
    unsigned level = c ? drop_abandoned(c, regs->rsp) : MT_CAPTURE_NESTED;
    if (level == 0)
        return mt_capture_hold(c, regs, bytes);
    if (level == MT_CAPTURE_NESTED) {
        id = capture_small(regs);
    } else {
        mt_store_relaxed(&c->under_way[level], regs->rsp);
        __atomic_signal_fence(__ATOMIC_SEQ_CST);
        id = unwind_and_intern(c->frames[level], MT_DEPTH_MAX, regs);
        __atomic_signal_fence(__ATOMIC_SEQ_CST);
        mt_store_relaxed(&c->under_way[level], 0);
    }
    mt_stacks_count(id, 1, bytes);
    return id;
}

/* A handler may have interrupted the start. */
uint32_t mt_capture_once(const struct mt_regs *regs, uint64_t bytes)
{
    if (mt_load_acquire(&started) != STARTED)
        capture_start();
    if (mt_load_acquire(&started) != STARTED)
        return MT_STACK_UNTRACED;
    mt_stacks_enter();
    uint32_t id = capture_nested(NULL, regs, bytes);
    mt_stacks_pin(id);
    mt_stacks_leave();
    return id;
}

uint32_t mt_capture_pinned(struct mt_capture *c, const struct mt_regs *regs,
                           uint64_t bytes)
{
    uint32_t id = mt_capture_hold(c, regs, bytes);
    mt_stacks_pin(id);
    mt_capture_release(c, regs->rsp);
    return id;
}

/* The memo was made under other circumstances. */
static MT_COLD MT_NOINLINE void refresh_memo(struct mt_memo *m)
{
    uint64_t load_count = mt_modules_load_count();
    uint32_t unload_count = mt_modules_unload_count(load_count);
    uint32_t depth = mt_load_relaxed(&memtrace_root->depth);
    if (m->unload_count != unload_count || m->depth != depth || m->has_guesses)
        mt_memo_clear(m);
    m->unload_count = unload_count;
    m->depth = depth;
    m->load_count = load_count;
    m->usual_count =
        mt_load_relaxed(&mt_capture_verify) ? ~load_count : load_count;
}

/* Unwinds in spite of a hit, and compares. */
static MT_COLD MT_NOINLINE void capture_verify(struct mt_capture *c,
                                               uint32_t id,
                                               const struct mt_regs *regs,
                                               uint64_t *verified)
{
    const struct mt_stack_record *s = mt_stacks_record(id);
    struct mt_unwinding u = {.frames = c->frames[0],
                             .max_frames = depth_within(MT_DEPTH_MAX),
                             .ranges = &c->ranges};
    mt_unwind(&u, regs);
    bool same = u.n_frames == s->depth && u.flags == s->flags &&
                mt_modules_match(c->frames[0], u.n_frames, s->modules);
    uint32_t node = s->node;
    for (unsigned i = 0; i < u.n_frames && same; i++) {
        same = mt_tree_pc(node) == u.frames[i];
        node = mt_tree_parent(node);
    }
    same = same && node == MT_NODE_ROOT;
    __atomic_fetch_add(verified, 1, __ATOMIC_RELAXED);
    if (!same)
        __atomic_fetch_add(&mt_capture_totals.mismatches, 1, __ATOMIC_RELAXED);
}

static uint32_t capture_hit(struct mt_capture *c, struct mt_memo_slot *slot,
                            const struct mt_regs *regs, uint64_t bytes)
{
    uint32_t id = mt_capture_hit(c, slot, bytes);
    if (MT_UNLIKELY(mt_load_relaxed(&mt_capture_verify)))
        capture_verify(c, id, regs, &mt_capture_totals.verified);
    return id;
}

static MT_NOINLINE struct mt_memo_slot *capture_look(struct mt_capture *c,
                                                     const struct mt_regs *regs)
{
    return mt_capture_known(c, regs->rip, regs->rsp, regs->rbp, false);
}

/* The log of the stack that was unwound along the path. */
static void capture_log_path(struct mt_capture *c)
{
    c->read_log = (struct mt_read_log){.addresses = c->read_log_addresses,
                                       .values = c->read_log_values,
                                       .max_words = MT_MEMO_WORDS};
    mt_path_read_log(&c->path, &c->read_log);
}

/* The stack is `id`, which was `known`; its unwinding read what the log has.
 * Remembers and counts it. */
static uint32_t capture_learn(struct mt_capture *c, const struct mt_regs *regs,
                              uint64_t bytes, uint32_t id, bool known)
{
    struct mt_memo *m = &c->memo;
    const struct mt_read_log *log = &c->read_log;
    struct mt_memo_slot *slot = NULL;
    mt_store_release(&m->changes, m->changes + 1);
    m->misses++;
    m->known_misses += known;
    /* A coarse stack is interned again, as there may be room the next time. */
    if (id >= MT_STACK_FIRST &&
        !(mt_stacks_record(id)->flags & MT_STACK_COARSE) &&
        mt_memo_tries(m, regs->rip, regs->rsp)) {
        if (!log->addresses) /* a path's */
            capture_log_path(c);
        if (!log->overflow && !(log->registers & ~(1u << 6)))
            slot = mt_memo_add(m, regs, log, id);
    }
    if (!slot) {
        mt_memo_passed(m);
        mt_stacks_count(id, 1, bytes);
        return id;
    }
    struct mt_counter_record *counter = &m->counters[slot - m->slots];
    mt_memo_expect(m, slot);
    mt_memo_found(m, slot);
    counter->bytes += bytes;
    counter->allocs++;
    return id;
}

/* The stack is unwound as a whole, where `room` was known before. */
static MT_NOINLINE uint32_t capture_whole(struct mt_capture *c,
                                          const struct mt_regs *regs,
                                          uint64_t bytes)
{
    struct mt_read_log *log = &c->read_log;
    struct mt_unwinding *u = &c->unwinding;
    uint64_t room = mt_capture_room(c, regs->rsp);
    bool known;
    *log = (struct mt_read_log){.addresses = c->read_log_addresses,
                                .values = c->read_log_values,
                                .max_words = MT_MEMO_WORDS};
    *u = (struct mt_unwinding){.frames = c->frames[0],
                               .max_frames = depth_within(MT_DEPTH_MAX),
                               .ranges = &c->ranges,
                               .read_log = log};
    mt_walk_begin(&c->walk, u, regs);
    mt_walk_finish(&c->walk, mt_walk_fast(&c->walk));
    if (MT_UNLIKELY(mt_capture_room(c, regs->rsp) > room)) {
        /* An entry may only have wanted a larger range. */
        struct mt_memo_slot *slot = capture_look(c, regs);
        if (slot)
            return capture_hit(c, slot, regs, bytes);
    }
    uint32_t id =
        mt_stacks_intern(u->frames, u->n_frames, u->flags, &c->path, &known);
    if (u->flags & MT_STACK_FRAME_POINTER)
        c->memo.has_guesses = true;
    return capture_learn(c, regs, bytes, id, known);
}

static MT_COLD void capture_crowded(struct mt_capture *c)
{
    if (mt_load_acquire(&started) == STARTED)
        mt_collect_step(c, mt_load_acquire(&all));
    else
        capture_start();
}

static MT_NOINLINE uint32_t capture_miss(struct mt_capture *c,
                                         const struct mt_regs *regs,
                                         uint64_t bytes)
{
    struct mt_stack_path *path = &c->path;
    bool known;
    if (MT_UNLIKELY(mt_load_relaxed(&mt_stacks_crowded)))
        capture_crowded(c);
    mt_stacks_check_path(path);
    if (mt_capture_room(c, regs->rsp) == 0 ||
        !mt_path_walk(path, regs, c->ranges.range[0].low,
                      c->ranges.range[0].high, &c->walk.work))
        return capture_whole(c, regs, bytes);
    bool is_new = path->n_shared == 0;
    uint32_t id = mt_stacks_intern_path(path, depth_within(MT_DEPTH_MAX),
                                        c->frames[0], &known);
    c->read_log.addresses = NULL;
    if (MT_UNLIKELY(mt_load_relaxed(&mt_capture_verify)) && !is_new &&
        id >= MT_STACK_FIRST &&
        !(mt_stacks_record(id)->flags & MT_STACK_COARSE))
        capture_verify(c, id, regs, &mt_capture_totals.paths);
    return capture_learn(c, regs, bytes, id, known);
}

uint32_t mt_capture_hold(struct mt_capture *c, const struct mt_regs *regs,
                         uint64_t bytes)
{
    if (!mt_capture_begin(c, regs->rsp))
        return capture_nested(c, regs, bytes);
    if (MT_UNLIKELY(!mt_capture_is_current(c)))
        refresh_memo(&c->memo);
    /* Not to look again does no harm, should this be another capture. */
    bool missed = c->missed == regs->rsp;
    c->missed = 0;
    struct mt_memo_slot *slot = missed ? NULL : capture_look(c, regs);
    return slot ? capture_hit(c, slot, regs, bytes)
                : capture_miss(c, regs, bytes);
}

uint32_t mt_capture_stack(struct mt_capture *c, const struct mt_regs *regs,
                          uint64_t bytes)
{
    uint32_t id = mt_capture_hold(c, regs, bytes);
    mt_capture_release(c, regs->rsp);
    return id;
}
