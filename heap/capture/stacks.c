/* SPDX-License-Identifier: BSD-2-Clause
 *
 * stacks.c - the stack table: every call stack once.
 *
 * Records and frames are appended to their sections and never change, but for
 * the counters. An index finds them by hash: open addressing, a word per slot,
 * which holds an id and the upper bits of the hash. Looking up takes no lock
 * and writes nothing; a new record is finished before its id is put into an
 * empty slot by compare-and-swap. If two threads add the same stack at once,
 * the second finds the slot taken, sees the other's record and gives up its own
 * (depth 0: not a stack).
 *
 * An index that is half full is replaced by one of twice the size: the old one
 * gets a link to the new one, its empty slots are frozen and its ids copied,
 * one by one. A look-up that comes to a frozen slot continues in the next
 * index. So a stack is either in a slot before the first empty one, or after a
 * frozen one, and is found at any time.
 *
 * One thread does that as a rule. It may be gone in the middle of it: killed by
 * a fork, or left by a signal handler's longjmp(). So every step can be done
 * again by another, which is what happens when the slots run short all the
 * same.
 */
#include "heap/capture/stacks.h"
#include "heap/debug.h"

#include "heap/capture/load_count.h"
#include "heap/capture/module_table.h"

#include <string.h>

#define FIRST_SLOTS 512
#define ID_MASK ((UINT64_C(1) << MT_TAG_STACK_BITS) - 1)
#define EMPTY UINT64_C(0)
#define FROZEN UINT64_C(1) /* no stack has this id */

struct index {
    struct index *next; /* that replaces it, or NULL */
    uint64_t mask;      /* slots - 1 */
    uint64_t used;
    uint32_t claimed; /* somebody replaces it */
    uint64_t slots[];
};

struct probe {
    const uint64_t *frames;
    unsigned n, flags;
    uint64_t hash;
};

static struct index *current;
static uint32_t full; /* 1: the table takes no more */

static struct index *new_index(uint64_t slots)
{
    struct index *index =
        mt_section_alloc(MT_SECTION_PRIVATE, sizeof *index + slots * 8);
    if (index)
        index->mask = slots - 1;
    return index;
}

bool mt_stacks_start(void)
{
    /* Ids below MT_STACK_FIRST have meanings of their own. */
    if (!mt_section_alloc(MT_SECTION_STACKS,
                          MT_STACK_FIRST * sizeof(struct mt_stack_record)))
        return false;
    struct index *index = new_index(FIRST_SLOTS);
    mt_store_release(&current, index);
    return index != NULL;
}

static inline uint64_t stacks_mix(uint64_t h)
{
    h ^= h >> 32;
    h *= UINT64_C(0xd6e8feb86659fd93);
    h ^= h >> 32;
    return h;
}

static inline uint64_t stacks_chain(uint64_t h, uint64_t frame)
{
    h = (h ^ frame) * UINT64_C(0x9fb21c651e98df25);
    return h << 31 | h >> 33;
}

/* Four chains, so that the multiplications overlap. */
static uint64_t hash_frames(const uint64_t *frames, unsigned n, unsigned flags)
{
    uint64_t a = n, b = flags, c = 1, d = 2;
    unsigned i = 0;
    for (; i + 3 < n; i += 4) {
        a = stacks_chain(a, frames[i]);
        b = stacks_chain(b, frames[i + 1]);
        c = stacks_chain(c, frames[i + 2]);
        d = stacks_chain(d, frames[i + 3]);
    }
    for (; i < n; i++)
        a = stacks_chain(a, frames[i]);
    return stacks_mix(stacks_mix(stacks_mix(stacks_mix(a) + b) + c) + d);
}

/* The id is that of a record that the table has given out. */
static inline MT_CHECK_ONLY bool is_recorded(uint64_t id)
{
    const struct mt_section_record *s =
        &memtrace_root->sections[MT_SECTION_STACKS];
    return id >= MT_STACK_FIRST &&
           id < mt_load_acquire(&s->used) / sizeof(struct mt_stack_record);
}

static bool stacks_matches(uint32_t id, const struct probe *p)
{
    const struct mt_stack_record *s = mt_stacks_record(id);
    const void *frames = (const void *)(uintptr_t)s->frames;
    return s->hash == p->hash && s->depth == p->n && s->flags == p->flags &&
           memcmp(frames, p->frames, p->n * sizeof *p->frames) == 0 &&
           mt_modules_match(p->frames, p->n, s->modules);
}

enum outcome { FOUND, ABSENT, ADDED, NO_ROOM };

/* Looks for the stack in *where and those that replace it; with *id, adds that
 * if it is not found. *where becomes the index in which that ends. */
static enum outcome probe_index(struct index **where, const struct probe *p,
                                uint32_t *id)
{
    uint64_t tag = p->hash & ~ID_MASK;
    for (struct index *index = *where; index;
         index = mt_load_acquire(&index->next)) {
        *where = index;
        uint64_t slot = stacks_mix(p->hash) & index->mask;
        for (uint64_t n = 0; n <= index->mask; n++) {
            uint64_t *at = &index->slots[(slot + n) & index->mask];
            uint64_t word = mt_load_acquire(at);
            if (word == EMPTY && !*id)
                return ABSENT;
            if (word == EMPTY && __atomic_compare_exchange_n(
                                     at, &word, tag | *id, false,
                                     __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
                __atomic_fetch_add(&index->used, 1, __ATOMIC_RELAXED);
                return ADDED;
            }
            if (word == FROZEN)
                break;
            uint32_t there = (uint32_t)(word & ID_MASK);
            MT_ASSERT(is_recorded(there));
            if ((word & ~ID_MASK) == tag && stacks_matches(there, p)) {
                *id = there;
                return FOUND;
            }
        }
    }
    return NO_ROOM;
}

/* Copies an id, unless that was done before. */
static void copy_slot(struct index *to, uint64_t word)
{
    const struct mt_stack_record *s = mt_stacks_record(word & ID_MASK);
    MT_ASSERT(is_recorded(word & ID_MASK));
    MT_ASSERT((s->hash & ~ID_MASK) == (word & ~ID_MASK));
    uint64_t slot = stacks_mix(s->hash) & to->mask;
    for (uint64_t n = 0; n <= to->mask; n++) {
        uint64_t there = EMPTY;
        if (__atomic_compare_exchange_n(&to->slots[(slot + n) & to->mask],
                                        &there, word, false, __ATOMIC_ACQ_REL,
                                        __ATOMIC_RELAXED)) {
            __atomic_fetch_add(&to->used, 1, __ATOMIC_RELAXED);
            return;
        }
        if (there == word)
            return;
    }
}

/* The index that replaces `old`, or NULL when out of memory. */
static struct index *stacks_successor(struct index *old)
{
    struct index *next = mt_load_acquire(&old->next), *none = NULL;
    if (next)
        return next;
    next = new_index(2 * (old->mask + 1));
    if (next &&
        !__atomic_compare_exchange_n(&old->next, &none, next, false,
                                     __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        next = none;
    return next;
}

/* Replaces the current index, and those after it up to `crowded`. */
static MT_COLD void stacks_replace(const struct index *crowded)
{
    for (;;) {
        struct index *old = mt_load_acquire(&current);
        struct index *next =
            old->mask <= crowded->mask ? stacks_successor(old) : NULL;
        if (!next)
            return;
        for (uint64_t i = 0; i <= old->mask; i++) {
            uint64_t word = EMPTY;
            if (!__atomic_compare_exchange_n(&old->slots[i], &word, FROZEN,
                                             false, __ATOMIC_ACQ_REL,
                                             __ATOMIC_ACQUIRE) &&
                word != FROZEN)
                copy_slot(next, word);
        }
        __atomic_compare_exchange_n(&current, &old, next, false,
                                    __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
    }
}

/* After something was added to `index`. */
static inline void stacks_make_room(struct index *index)
{
    uint64_t used = mt_load_relaxed(&index->used);
    if (MT_LIKELY(2 * used <= index->mask))
        return;
    if (!__atomic_exchange_n(&index->claimed, 1, __ATOMIC_RELAXED) ||
        4 * used > 3 * index->mask)
        stacks_replace(index);
}

/* A finished record, or 0. */
static uint32_t new_record(const struct probe *p)
{
    if (mt_load_relaxed(&full))
        return 0;
    uint64_t bytes = p->n * sizeof *p->frames;
    uint64_t *frames = mt_section_alloc(MT_SECTION_FRAMES, bytes);
    struct mt_stack_record *s =
        frames ? mt_section_alloc(MT_SECTION_STACKS, sizeof *s) : NULL;
    if (!s || (uint64_t)(s - mt_stacks_record(0)) > ID_MASK) {
        mt_store_relaxed(&full, 1);
        return 0;
    }
    memcpy(frames, p->frames, bytes);
    s->hash = p->hash;
    s->frames = (uint64_t)(uintptr_t)frames;
    s->flags = (uint16_t)p->flags;
    s->first_epoch = mt_epoch_tick();
    s->modules = mt_modules_span(p->frames, p->n);
    mt_store_release(&s->depth, (uint16_t)p->n);
    return (uint32_t)(s - mt_stacks_record(0));
}

uint32_t mt_stacks_intern(const uint64_t *frames, unsigned n, unsigned flags,
                          bool *known)
{
    struct probe p = {frames, n, flags, hash_frames(frames, n, flags)};
    struct index *index = mt_load_acquire(&current);
    uint32_t id = 0;
    *known = true;
    if (MT_UNLIKELY(!index))
        return MT_STACK_OVERFLOW;
    if (MT_UNLIKELY(mt_modules_unload_count(mt_modules_load_count()) != 0))
        mt_modules_note(frames, n);
    if (MT_LIKELY(probe_index(&index, &p, &id) == FOUND))
        return id;
    *known = false;
    mt_modules_note(frames, n);
    uint32_t added = id = new_record(&p);
    if (!id)
        return MT_STACK_OVERFLOW;
    enum outcome outcome = probe_index(&index, &p, &id);
    if (outcome != ADDED) {
        mt_store_release(&mt_stacks_record(added)->depth, 0);
        mt_store_release(&mt_stacks_record(added)->frames, 0);
    }
    if (outcome == NO_ROOM)
        return MT_STACK_OVERFLOW;
    stacks_make_room(index);
    return id;
}

void mt_stacks_count(uint32_t id, uint64_t allocs, uint64_t bytes)
{
    uint64_t *a = &memtrace_root->overflow_allocs;
    uint64_t *b = &memtrace_root->overflow_bytes;
    if (MT_LIKELY(id >= MT_STACK_FIRST)) {
        struct mt_stack_record *s = mt_stacks_record(id);
        MT_ASSERT(is_recorded(id));
        a = &s->allocs;
        b = &s->bytes;
    }
    __atomic_fetch_add(a, allocs, __ATOMIC_RELAXED);
    __atomic_fetch_add(b, bytes, __ATOMIC_RELAXED);
}
