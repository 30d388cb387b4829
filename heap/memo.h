/* SPDX-License-Identifier: BSD-2-Clause
 *
 * memo.h - what a thread's captures found before, to be verified, not
 * believed.  The theory is at the head of capture.c, the memory in memo.c.
 */
#ifndef MT_MEMO_H
#define MT_MEMO_H

#include "walk.h"

#define MT_MEMO_WAYS 4
#define MT_MEMO_WORDS 160    /* words of an entry at most */
#define MT_MEMO_ROUND 4      /* the last is repeated up to a multiple of this */
#define MT_MEMO_SEGMENTS 12  /* pieces of a memo's memory */
#define MT_MEMO_KEY_FRAMES 7 /* frames that a second key is made of */

/* An unwinding: it began with these registers, read these words, and led to
 * the stack `id`. The words' slots, as 8-byte words above rsp, follow the
 * values. */
struct mt_memo_entry {
    uint64_t rip, rsp, rbp;
    uint64_t hash;
    uint32_t id;
    uint32_t slot;   /* of the index; it points here, or the entry is dead */
    uint32_t extent; /* bytes above rsp that were read */
    uint16_t n_words;
    uint8_t uses_rbp;
    uint8_t hit; /* since the memory before it was filled */
    uint64_t values[];
};

/* `at` is in units of 8 bytes, from the private section's base; 0: free.
 * `next` is the slot that was found after this one the last time, `next_at`
 * where that one pointed to. */
struct mt_memo_slot {
    uint32_t tag, at, next, next_at;
};

struct mt_memo {
    uint64_t base; /* of the private section */
    struct mt_memo_slot *slots;
    struct mt_counter_record *counters; /* of the entries in the same slots */
    uint64_t set_mask;
    uint64_t generation; /* mt_modules_generation() that it holds for */
    uint64_t era;
    uint32_t depth; /* mt_root.depth that it holds for */
    uint32_t n_slots;
    uint32_t last;          /* the slot found last */
    uint32_t next, next_at; /* what is expected after it */
    bool has_guesses;       /* entries with frames outside of all modules */
    /* Its memory: a ring through the segments. New entries go to `head`;
     * [victim, filled) holds those of the round before. */
    struct mt_memo_segment {
        uint32_t at, size, filled; /* in units of 8 bytes */
    } segments[MT_MEMO_SEGMENTS];
    uint32_t n_segments, current, head, victim;
    uint32_t bytes;
    uint32_t hits, misses;         /* in this round */
    uint32_t pass_over;            /* mask: of misses that are not remembered */
    uint32_t known_misses;         /* of those: led to stacks not new */
    uint64_t all_hits, all_misses; /* in those before */
    struct mt_thread_record *thread;
};

/* An empty memo, in memory of its own; what was in `m` is forgotten. */
void mt_memo_init(struct mt_memo *m, struct mt_thread_record *thread);
/* Adds all of its counters to the stack table. */
void mt_memo_fold(struct mt_memo *m);
/* Forgets all entries. */
void mt_memo_clear(struct mt_memo *m);
/* Is this miss to be remembered?  Not every one is while there are far more
 * stacks than the memo has room for. */
bool mt_memo_wants(struct mt_memo *m);
/* Remembers where an unwinding with `trail` led. `key` is mt_memo_key() of
 * its start or mt_memo_key_of_words(). Returns the entry's slot, or NULL if
 * there is no room. */
struct mt_memo_slot *mt_memo_add(struct mt_memo *m, uint64_t key,
                                 const struct mt_regs *regs,
                                 const struct mt_trail *trail, uint32_t id);
void mt_memo_end_round(struct mt_memo *m);
MT_COLD void mt_memo_fold_one(struct mt_counter_record *counter);

static inline uint64_t mt_memo_key(const struct mt_regs *regs)
{
    uint64_t h = regs->rip * UINT64_C(0x9e3779b97f4a7c15);
    h ^= regs->rsp * UINT64_C(0xc2b2ae3d27d4eb4f);
    return h ^ h >> 32;
}

/* A second key for starts that led to several stacks. */
static inline uint64_t mt_memo_key_of_words(uint64_t key,
                                            const struct mt_trail *trail)
{
    for (uint32_t i = 0; i < trail->n_words; i++) {
        key = (key ^ trail->values[i]) * UINT64_C(0x9fb21c651e98df25);
        key ^= key >> 31;
    }
    return key ^ key >> 32;
}

static inline struct mt_memo_entry *mt_memo_at(const struct mt_memo *m,
                                               uint32_t at)
{
    return (struct mt_memo_entry *)(uintptr_t)(m->base + 8 * (uint64_t)at);
}

/* Would the unwinding do now what it did then?  `room` bytes above rsp are
 * known to be readable; words are compared in the order they were read in. */
MT_READS_STACK static inline __attribute__((always_inline)) bool
mt_memo_holds(const struct mt_memo_entry *e, const struct mt_regs *regs,
              uint64_t room)
{
    if (e->rip != regs->rip || e->rsp != regs->rsp || e->extent > room ||
        (e->uses_rbp && e->rbp != regs->rbp))
        return false;
    const mt_any_word *stack = (const mt_any_word *)(uintptr_t)e->rsp;
    const uint64_t *value = e->values, *end = value + e->n_words;
    const uint16_t *where = (const uint16_t *)end;
    for (; value != end; value += MT_MEMO_ROUND, where += MT_MEMO_ROUND)
        if (stack[where[0]] != value[0] || stack[where[1]] != value[1] ||
            stack[where[2]] != value[2] || stack[where[3]] != value[3])
            return false;
    return true;
}

/* The expected slot if its entry holds, or NULL. */
static inline __attribute__((always_inline)) struct mt_memo_slot *
mt_memo_expected(const struct mt_memo *m, const struct mt_regs *regs,
                 uint64_t room)
{
    struct mt_memo_slot *slot = &m->slots[m->next];
    if (MT_LIKELY(slot->at == m->next_at && m->next_at != 0) &&
        mt_memo_holds(mt_memo_at(m, m->next_at), regs, room))
        return slot;
    return NULL;
}

#define MT_MEMO_LINES 5 /* of an entry, fetched ahead */

/* `slot` was found; what is expected after it is fetched into the processor's
 * cache while the program goes on. */
static inline void mt_memo_found(struct mt_memo *m,
                                 const struct mt_memo_slot *slot)
{
    m->last = (uint32_t)(slot - m->slots);
    m->next = slot->next;
    m->next_at = slot->next_at;
    if (m->next == m->last)
        return;
    const char *next = (const char *)mt_memo_at(m, m->next_at);
    for (unsigned line = 0; line < MT_MEMO_LINES; line++)
        __builtin_prefetch(next + (size_t)line * 64);
    __builtin_prefetch(&m->slots[m->next]);
    __builtin_prefetch(&m->counters[m->next], 1);
}

/* From now on `slot` is expected after the one that was found last. */
static inline void mt_memo_expect(struct mt_memo *m,
                                  const struct mt_memo_slot *slot)
{
    m->slots[m->last].next = (uint32_t)(slot - m->slots);
    m->slots[m->last].next_at = slot->at;
}

/* The slot of an entry with this key that holds, or NULL. */
static inline struct mt_memo_slot *mt_memo_find(const struct mt_memo *m,
                                                uint64_t key,
                                                const struct mt_regs *regs,
                                                uint64_t room)
{
    struct mt_memo_slot *set = &m->slots[(key & m->set_mask) * MT_MEMO_WAYS];
    uint32_t tag = (uint32_t)(key >> 32);
    for (unsigned way = 0; way < MT_MEMO_WAYS; way++)
        if (set[way].tag == tag && set[way].at != 0 &&
            mt_memo_holds(mt_memo_at(m, set[way].at), regs, room))
            return &set[way];
    return NULL;
}

#endif
