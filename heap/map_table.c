/* SPDX-License-Identifier: BSD-2-Clause
 *
 * map_table.c - the ranges that the program has mapped: anonymous memory,
 * shared memory, the program break.
 *
 * The records make a treap by address, without overlaps: a search tree whose
 * random order of priorities keeps it flat.  A record that is free has no
 * bytes and waits in a list.  Readers look at all records and follow no link.
 *
 * SIGNALS AND LOCKS.  mmap() may be called in a signal handler.  So all signals
 * are blocked while the lock is held: no handler can interrupt its holder.
 * The child of a raw clone() may have a copy of a lock whose holder it does
 * not have; it gives up waiting, and its table stays as it is.
 *
 * ORDER.  A range leaves the table before the kernel takes it, and enters after
 * the kernel gave it: nobody else can have it in between.  While a range moves,
 * the lock is held over the system call.
 */
#include "heap/seldom.h"
#include "heap/map_table.h"
#include "heap/alloc.h"
#include "heap/kernel.h"
#include "heap/lock.h"
#include "heap/os.h"

#include <errno.h>
#include <signal.h>

typedef struct mt_map_record map_record;

/* A function takes room in the unwind data that every process maps. */
#define MT_INLINE inline __attribute__((always_inline))
#define MAP_WAITS 200 /* ms until a lock is given up */

struct mt_lock mt_map_lock;
static uint32_t map_root, map_free, map_n;
uint32_t mt_map_gave_up;
static uint64_t map_fork_signals;

static MT_INLINE map_record *map_record_at(uint32_t id)
{
    return (map_record *)(uintptr_t)memtrace_root->sections[MT_SECTION_MAPS]
               .base +
           id;
}

/* --- the lock --- */

/* False: another holds it, and seems never to let go.  Then nobody waits until
 * it has. */
static MT_INLINE bool map_wait(void)
{
    const struct timespec millisecond = {.tv_nsec = 1000000};
    if (mt_load_relaxed(&mt_map_gave_up) == mt_os_pid())
        return false;
    for (unsigned i = 0; i < 100 + MAP_WAITS; i++) {
        if (mt_lock_try(&mt_map_lock))
            return true;
        if (i < 100)
            __builtin_ia32_pause();
        else
            mt_kernel(SYS_nanosleep, &millisecond, NULL);
    }
    mt_store_relaxed(&mt_map_gave_up, mt_os_pid());
    return false;
}

static MT_COLD bool map_begin(uint64_t *signals)
{
    const uint64_t all_signals = UINT64_MAX;
    if (!mt_started())
        return false;
    mt_kernel(SYS_rt_sigprocmask, SIG_SETMASK, &all_signals, signals, 8);
    if (mt_lock_try(&mt_map_lock) || map_wait()) {
        /* Whoever held it so long has let go. */
        mt_store_relaxed(&mt_map_gave_up, 0);
        return true;
    }
    __atomic_fetch_add(&memtrace_root->sections[MT_SECTION_MAPS].overflow, 1,
                       __ATOMIC_RELAXED);
    mt_kernel(SYS_rt_sigprocmask, SIG_SETMASK, signals, NULL, 8);
    return false;
}

static MT_COLD void map_end(const uint64_t *signals)
{
    mt_lock_release(&mt_map_lock);
    mt_kernel(SYS_rt_sigprocmask, SIG_SETMASK, signals, NULL, 8);
}

MT_COLD void mt_map_fork(enum mt_map_fork when)
{
    if (when == MT_MAP_FORK_CHILD) {
        mt_lock_reset(&mt_map_lock);
        mt_map_gave_up = 0;
    } else if (when == MT_MAP_FORK_PREPARE) {
        if (!map_begin(&map_fork_signals))
            map_fork_signals = UINT64_MAX;
    } else if (map_fork_signals != UINT64_MAX) {
        if (when == MT_MAP_FORK_PARENT)
            mt_lock_release(&mt_map_lock);
        mt_kernel(SYS_rt_sigprocmask, SIG_SETMASK, &map_fork_signals, NULL, 8);
    }
}

/* --- records --- */

static MT_INLINE uint64_t map_stop(const map_record *r)
{
    return r->start + r->bytes;
}

/* 0: the section is full. */
static MT_INLINE uint32_t map_new(void)
{
    uint32_t id = map_free;
    if (id) {
        map_free = map_record_at(id)->links[0];
    } else {
        if (map_n == 0 &&
            !mt_section_alloc(MT_SECTION_MAPS, sizeof(map_record)))
            return 0;
        map_n = map_n ? map_n : 1;
        if (!mt_section_alloc(MT_SECTION_MAPS, sizeof(map_record)))
            return 0;
        id = map_n++;
    }
    map_record_at(id)->links[0] = map_record_at(id)->links[1] = 0;
    return id;
}

static MT_COLD uint32_t map_make(uint64_t start, uint64_t bytes, uint32_t flags,
                                 uint32_t stack)
{
    uint32_t id = map_new();
    if (id) {
        map_record *r = map_record_at(id);
        r->start = start;
        r->flags = flags;
        r->stack = stack;
        r->epoch = mt_load_relaxed(&memtrace_root->epoch);
        mt_store_release(&r->bytes, bytes);
    }
    return id;
}

/* A tree, and all below it. Not by recursion: it may be deep only by chance. */
static MT_COLD void map_drop(uint32_t tree)
{
    while (tree) {
        map_record *r = map_record_at(tree);
        uint32_t left = r->links[0];
        if (left) { /* turn it to the right until it has none */
            r->links[0] = map_record_at(left)->links[1];
            map_record_at(left)->links[1] = tree;
            tree = left;
            continue;
        }
        left = r->links[1];
        mt_store_release(&r->bytes, 0);
        r->links[1] = 0;
        r->links[0] = map_free;
        map_free = tree;
        tree = left;
    }
}

/* --- the tree --- */

static MT_INLINE uint32_t map_priority(uint32_t id)
{
    return id * UINT32_C(2654435761);
}

/* Records that start below `key` go to *left, the others to *right. */
static MT_COLD void map_split(uint32_t tree, uint64_t key, uint32_t *left,
                              uint32_t *right)
{
    while (tree) {
        map_record *r = map_record_at(tree);
        if (r->start < key) {
            *left = tree;
            left = &r->links[1];
            tree = r->links[1];
        } else {
            *right = tree;
            right = &r->links[0];
            tree = r->links[0];
        }
    }
    *left = *right = 0;
}

/* All of `left` is below all of `right`. */
static MT_COLD uint32_t map_join(uint32_t left, uint32_t right)
{
    uint32_t tree = 0, *link = &tree;
    while (left && right) {
        if (map_priority(left) > map_priority(right)) {
            *link = left;
            link = &map_record_at(left)->links[1];
            left = *link;
        } else {
            *link = right;
            link = &map_record_at(right)->links[0];
            right = *link;
        }
    }
    *link = left ? left : right;
    return tree;
}

static MT_INLINE uint32_t map_last(uint32_t tree)
{
    while (tree && map_record_at(tree)->links[1])
        tree = map_record_at(tree)->links[1];
    return tree;
}

static MT_INLINE uint32_t map_first(uint32_t tree)
{
    while (tree && map_record_at(tree)->links[0])
        tree = map_record_at(tree)->links[0];
    return tree;
}

/* Cuts the tree at `key`: a record that lies across it becomes two. */
static MT_COLD void map_cut(uint32_t tree, uint64_t key, uint32_t *left,
                            uint32_t *right)
{
    map_split(tree, key, left, right);
    uint32_t last = map_last(*left);
    if (!last || map_stop(map_record_at(last)) <= key)
        return;
    map_record *r = map_record_at(last);
    uint32_t rest = map_make(key, map_stop(r) - key, r->flags, r->stack);
    mt_store_release(&r->bytes, key - r->start);
    if (rest) {
        map_record_at(rest)->epoch = r->epoch;
        *right = map_join(rest, *right);
    }
}

/* Takes [start, stop) out, as a tree; `low` and `high` are what is left. */
static MT_COLD uint32_t map_take(uint64_t start, uint64_t stop, uint32_t *low,
                                 uint32_t *high)
{
    uint32_t middle;
    map_cut(map_root, start, low, &middle);
    map_cut(middle, stop, &middle, high);
    return middle;
}

/* Neighbours of one stack become one record. */
static MT_INLINE bool map_merges(const map_record *a, const map_record *b)
{
    return map_stop(a) == b->start && a->stack == b->stack &&
           a->flags == b->flags;
}

static MT_COLD void map_put(uint32_t low, uint32_t tree, uint32_t high)
{
    uint32_t last = map_last(low), first = map_first(tree), rest;
    if (last && first &&
        map_merges(map_record_at(last), map_record_at(first))) {
        map_record *r = map_record_at(first);
        uint64_t bytes = r->bytes;
        map_split(tree, r->start + 1, &first, &rest);
        map_drop(first);
        mt_store_release(&map_record_at(last)->bytes,
                         map_record_at(last)->bytes + bytes);
        tree = rest;
    }
    map_root = map_join(map_join(low, tree), high);
}

/* --- what the program does --- */

static MT_INLINE uint64_t map_round(size_t bytes)
{
    return ((uint64_t)bytes + 4095) & ~UINT64_C(4095);
}

MT_COLD void mt_map_set(uintptr_t start, size_t bytes, uint32_t flags,
                        uint32_t stack)
{
    uint64_t stop = start + map_round(bytes), signals;
    uint32_t low, high, made = 0;
    int saved = errno;
    if (stack == MT_STACK_UNTRACED)
        flags = 0;
    if (stop <= start || (mt_load_relaxed(&map_root) == 0 && !flags))
        return;
    if (map_begin(&signals)) {
        map_drop(map_take(start, stop, &low, &high));
        if (flags)
            made = map_make(start, stop - start, flags, stack);
        map_put(low, made, high);
        map_end(&signals);
    }
    errno = saved;
}

/* The size of the segment of shared memory that starts there, or 0. */
static MT_INLINE size_t map_segment(uintptr_t start, size_t *bytes)
{
    uint32_t tree = map_root;
    while (tree && map_record_at(tree)->start != start)
        tree = map_record_at(tree)->start < start
                   ? map_record_at(tree)->links[1]
                   : map_record_at(tree)->links[0];
    if (tree && map_record_at(tree)->flags == MT_MAPPED_SEGMENT)
        *bytes = map_record_at(tree)->bytes;
    return *bytes;
}

MT_COLD uint32_t mt_map_clear(uintptr_t start, size_t *bytes, uint32_t *stack)
{
    uint64_t signals;
    uint32_t low, high, flags = 0;
    int saved = errno;
    if (mt_load_relaxed(&map_root) && map_begin(&signals)) {
        uint64_t size = map_round(*bytes ? *bytes : map_segment(start, bytes));
        uint64_t stop = start + size < start ? UINT64_MAX : start + size;
        uint32_t gone = map_take(start, stop, &low, &high);
        if (gone) {
            const map_record *r = map_record_at(map_first(gone));
            flags = r->flags;
            *stack = r->stack;
        }
        map_drop(gone);
        map_put(low, 0, high);
        map_end(&signals);
    }
    errno = saved;
    return flags;
}

/* Adds to the addresses of a tree; by a stack of links through `left` it would
 * lose its order, so record by record, the lowest first. */
static MT_COLD uint32_t map_shift(uint32_t tree, uint64_t by)
{
    uint32_t moved = 0, one;
    while (tree) {
        map_split(tree, map_record_at(map_first(tree))->start + 1, &one, &tree);
        map_record_at(one)->start += by;
        moved = map_join(moved, one);
    }
    return moved;
}

/* With the lock. */
static MT_COLD void map_move_records(const struct mt_map_move *m, uintptr_t to)
{
    uint64_t old_bytes = map_round(m->old_bytes);
    uint64_t new_bytes = map_round(m->new_bytes);
    uint64_t kept = old_bytes < new_bytes ? old_bytes : new_bytes;
    uint32_t low, high, tree = 0, flags = 0;
    if (old_bytes > 0) {
        tree = map_take(m->old_start, m->old_start + old_bytes, &low, &high);
        map_put(low, 0, high);
    }
    if (tree) {
        uint32_t first = map_first(tree), last = map_last(tree), rest;
        uint32_t old = map_record_at(first)->flags,
                 stack = map_record_at(first)->stack;
        flags = map_record_at(last)->flags;
        map_cut(tree, m->old_start + kept, &tree, &rest);
        map_drop(rest);
        tree = map_shift(tree, to - m->old_start);
        if (m->keeps_old) {
            map_take(m->old_start, m->old_start + old_bytes, &low, &high);
            map_put(low, map_make(m->old_start, old_bytes, old, stack), high);
        }
    }
    map_drop(map_take(to, to + new_bytes, &low, &high));
    if (flags && m->stack && new_bytes > kept)
        tree = map_join(tree,
                        map_make(to + kept, new_bytes - kept, flags, m->stack));
    map_put(low, tree, high);
}

MT_COLD uintptr_t mt_map_moved(const struct mt_map_move *m)
{
    uint64_t signals;
    if (!map_begin(&signals))
        return m->move(m->context);
    uintptr_t to = m->move(m->context);
    int saved = errno;
    if (to != (uintptr_t)-1)
        map_move_records(m, to);
    map_end(&signals);
    errno = saved;
    return to;
}
