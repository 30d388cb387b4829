/* SPDX-License-Identifier: BSD-2-Clause
 *
 * memo.h - what a thread's captures found before, to be verified, not
 * believed.  The theory is at the head of capture.c, the memory in memo.c.
 */
#ifndef MT_MEMO_H
#define MT_MEMO_H

#include "heap/attributes.h"
#include "heap/capture/capture.h"
#include "heap/capture/read_log.h"

#define MT_MEMO_WAYS 8
#define MT_MEMO_WORDS 160   /* words of an entry at most */
#define MT_MEMO_ROUND 4     /* the last is repeated up to a multiple of this */
#define MT_MEMO_TRUST 2     /* wrong guesses until no more are made */
#define MT_MEMO_SEGMENTS 12 /* pieces of a memo's memory */
#define MT_MEMO_LEVELS 12   /* branches on the way to an entry, at most */
#define MT_MEMO_PLACES 128
/* One of this many keys is tried where entries don't pay. */
#define MT_MEMO_SAMPLE 16

/* Some of the words that an unwinding read, and where: in 8-byte words above
 * rsp. */
struct mt_memo_round {
    uint64_t value[MT_MEMO_ROUND];
    uint16_t where[MT_MEMO_ROUND];
};

/* An unwinding: it began with these registers, read these words, and led to
 * the stack `id`. */
struct mt_memo_entry {
    uint64_t rip, rsp, rbp;
    uint32_t key;
    uint32_t id;
    uint32_t slot;   /* of the index; it points here, or the entry is dead */
    uint32_t extent; /* bytes above rsp that were read */
    uint16_t size;   /* of the rounds, in bytes; not 0 */
    uint8_t uses_rbp;
    uint32_t seen; /* captures of its counter, when it was last looked at */
    struct mt_memo_round rounds[];
};

/* The state of a key: an entry, which is at `at`, in units of 8 bytes from the
 * private section's base; or that its unwindings part at a word, whose value
 * makes their next keys (`at` is MT_MEMO_BRANCH). 0: free. */
#define MT_MEMO_BRANCH UINT32_MAX
#define MT_MEMO_NONE (UINT32_MAX - 1) /* where no entry is */
struct mt_memo_slot {
    uint32_t key, at;
    union {
        uint32_t next; /* that was found after it the last time: its place in
                          bytes */
        struct {
            uint16_t position; /* of the word, in the order of reading */
            uint8_t used;      /* since it was last looked at */
        };
    };
    union {
        uint32_t next_at; /* where that slot pointed to, or MT_MEMO_NONE */
        uint32_t end;     /* of the word, in bytes above rsp */
    };
};

struct mt_memo {
    uint64_t base; /* of the private section */
    struct mt_memo_slot *slots;
    int64_t to_counter; /* from a slot to its entry's counter, in bytes */
    uint64_t set_mask; /* a key's bits that are the place of its set in bytes */
    struct mt_counter_record *counters; /* of the entries in the same slots */
    struct mt_memo_slot *last;          /* that was found, not a branch */
    uint64_t load_count;  /* mt_modules_load_count() that it holds for */
    uint64_t usual_count; /* the same, or none if captures are verified */
    uint64_t unload_count;
    uint32_t depth; /* mt_root.depth that it holds for */
    uint32_t n_slots;
    uint32_t next, next_at; /* what is expected after `last` */
    uint32_t trust;         /* is it tried?  MT_MEMO_TRUST after it was right */
    uint32_t changes;       /* of slots' stacks, but for those that go */
    bool has_guesses;       /* entries with frames outside of all modules */
    /* The memo's memory: a ring through the segments. New entries go to `head`;
     * [victim, filled) holds those of the round before. */
    struct mt_memo_segment {
        uint32_t at, size, filled; /* in units of 8 bytes */
    } segments[MT_MEMO_SEGMENTS];
    uint32_t n_segments, current, head, victim;
    uint32_t bytes;
    uint32_t hits, misses;         /* in this round */
    uint32_t known_misses;         /* of those: led to stacks not new */
    uint32_t turn;                 /* which keys are tried in any case */
    int8_t credit[MT_MEMO_PLACES]; /* did entries pay? by start place */
    uint64_t all_hits, all_misses; /* in those before, */
    uint64_t recent, recent_new;   /* captures in the last of those */
    struct mt_thread_record *thread;
};

/* An empty memo, in memory of its own; what was in `m` is forgotten. */
void mt_memo_init(struct mt_memo *m, struct mt_thread_record *thread);
/* Adds all of its counters to the stack table. */
void mt_memo_merge_counts(struct mt_memo *m);
/* Forgets all entries. */
void mt_memo_clear(struct mt_memo *m);
/* A miss was not remembered; there may have been too little memory. */
void mt_memo_passed(struct mt_memo *m);
/* A key was tried of a place where entries don't pay. */
MT_COLD MT_REALIGN void mt_memo_sampled(struct mt_memo *m, uint64_t rip,
                                        bool hit);
/* Remembers where an unwinding with that read log led. Returns the entry's
 * slot, or NULL if it does not fit. */
struct mt_memo_slot *mt_memo_add(struct mt_memo *m, const struct mt_regs *regs,
                                 const struct mt_read_log *read_log,
                                 uint32_t id);
void mt_memo_end_round(struct mt_memo *m);
MT_COLD MT_REALIGN void mt_memo_merge_one(struct mt_counter_record *counter);

/* No key is 0. */
#define MT_MEMO_KEY(product) ((product) >> 32 | 1)

/* Keys have 32 bits. */
static inline uint64_t mt_memo_key(uint64_t rip, uint64_t rsp)
{
    uint64_t h = rip * UINT64_C(0x9e3779b97f4a7c15);
    return MT_MEMO_KEY((h ^ rsp) * UINT64_C(0xc2b2ae3d27d4eb4f));
}

static inline unsigned mt_memo_place(uint64_t rip)
{
    return (unsigned)(rip * UINT64_C(0x9e3779b97f4a7c15) >> 57);
}

static inline bool mt_memo_pays(const struct mt_memo *m, uint64_t rip)
{
    return MT_LIKELY(m->credit[mt_memo_place(rip)] > 0);
}

/* Is it worth to look, and to remember?  Otherwise another way to the stack's
 * id costs less. */
static inline bool mt_memo_tries(const struct mt_memo *m, uint64_t rip,
                                 uint64_t rsp)
{
    return mt_memo_pays(m, rip) ||
           ((rsp >> 4 ^ rip) + m->turn) % MT_MEMO_SAMPLE == 0;
}

/* The key after a branch, by the word there. */
static inline uint64_t mt_memo_key_of(uint64_t key, uint64_t word)
{
    return MT_MEMO_KEY((word + key) * UINT64_C(0x9fb21c651e98df25));
}

static inline struct mt_memo_entry *mt_memo_at(const struct mt_memo *m,
                                               uint32_t at)
{
    return (struct mt_memo_entry *)(uintptr_t)(m->base + 8 * (uint64_t)at);
}

/* Would the unwinding do now what it did then?  `room` bytes above rsp are
 * known to be readable; words are compared in the order they were read in. */
MT_READS_STACK static inline __attribute__((always_inline)) bool
mt_memo_holds(const struct mt_memo_entry *e, uint64_t rip, uint64_t rsp,
              uint64_t rbp, uint64_t room)
{
    if (e->rip != rip || e->rsp != rsp || e->extent > room ||
        (e->uses_rbp && e->rbp != rbp))
        return false;
    const mt_any_word *stack = (const mt_any_word *)(uintptr_t)rsp;
    const struct mt_memo_round *r = e->rounds;
    const char *end = (const char *)r + e->size;
    do {
        if (stack[r->where[0]] != r->value[0] ||
            stack[r->where[1]] != r->value[1] ||
            stack[r->where[2]] != r->value[2] ||
            stack[r->where[3]] != r->value[3])
            return false;
    } while ((const char *)++r != end);
    return true;
}

#define MT_MEMO_LINES 5 /* of an entry, fetched ahead */

static inline struct mt_memo_slot *mt_memo_slot_at(const struct mt_memo *m,
                                                   uint32_t place)
{
    return (struct mt_memo_slot *)((char *)m->slots + place);
}

static inline uint32_t mt_memo_place_of(const struct mt_memo *m,
                                        const struct mt_memo_slot *slot)
{
    return (uint32_t)((const char *)slot - (const char *)m->slots);
}

/* Of the entry in that slot. */
static inline struct mt_counter_record *
mt_memo_counter(const struct mt_memo *m, const struct mt_memo_slot *slot)
{
    _Static_assert(sizeof *slot == sizeof(struct mt_counter_record),
                   "one place for both");
    return (struct mt_counter_record *)((char *)(uintptr_t)slot +
                                        m->to_counter);
}

/* Not __builtin_prefetch(): gcc 12 finds that a function of such has no effect,
 * and leaves out its calls (tests/budget looks for them). */
static inline void mt_memo_prefetch(const void *line)
{
    __asm__ volatile("prefetcht0 %0" : : "m"(*(const char *)line));
}

static inline void mt_memo_fetch(const struct mt_memo *m, uint32_t at,
                                 const struct mt_memo_slot *slot)
{
    const char *entry = (const char *)mt_memo_at(m, at);
    for (unsigned line = 0; line < MT_MEMO_LINES; line++)
        mt_memo_prefetch(entry + (size_t)line * 64);
    mt_memo_prefetch(mt_memo_counter(m, slot));
    mt_memo_prefetch(slot);
}

/* The expected slot if its entry holds, or NULL. */
static inline __attribute__((always_inline)) struct mt_memo_slot *
mt_memo_expected(const struct mt_memo *m, uint64_t rip, uint64_t rsp,
                 uint64_t rbp, uint64_t room)
{
    struct mt_memo_slot *slot = mt_memo_slot_at(m, m->next);
    if (MT_LIKELY(slot->at == m->next_at) &&
        mt_memo_holds(mt_memo_at(m, m->next_at), rip, rsp, rbp, room))
        return slot;
    return NULL;
}

/* `slot` was found; what is expected after it is fetched into the processor's
 * cache while the program continues. */
static inline void mt_memo_found(struct mt_memo *m, struct mt_memo_slot *slot)
{
    uint32_t next = slot->next, next_at = slot->next_at;
    m->last = slot;
    m->next = next;
    m->next_at = next_at;
    if (m->trust != 0 && mt_memo_slot_at(m, next) != slot)
        mt_memo_fetch(m, next_at, mt_memo_slot_at(m, next));
}

/* From now on `slot` is expected after the one that was found last. Where
 * nothing is predictable, nothing is expected until a guess was right again. */
static inline void mt_memo_expect(struct mt_memo *m,
                                  const struct mt_memo_slot *slot)
{
    struct mt_memo_slot *last = m->last;
    uint32_t place = mt_memo_place_of(m, slot);
    if (MT_UNLIKELY(place == m->next))
        m->trust = MT_MEMO_TRUST;
    else if (MT_UNLIKELY(m->trust != 0))
        m->trust--;
    last->next = place;
    last->next_at = slot->at;
}

/* The slot with this key in the memo's `slots`, or NULL; a free one's is 0. */
static inline __attribute__((always_inline)) struct mt_memo_slot *
mt_memo_slot_of(const struct mt_memo *m, struct mt_memo_slot *slots,
                uint64_t wide)
{
    uint32_t key = (uint32_t)wide;
    struct mt_memo_slot *s =
        (struct mt_memo_slot *)((char *)slots + (wide & m->set_mask));
    _Static_assert(MT_MEMO_WAYS == 8, "as many looks");
    return s->key == key || (++s)->key == key || (++s)->key == key ||
                   (++s)->key == key || (++s)->key == key ||
                   (++s)->key == key || (++s)->key == key || (++s)->key == key
               ? s
               : NULL;
}

/* The slot of an entry that holds, or NULL. At a branch it looks at a word
 * before those in front of it are compared: that only makes a guess. */
MT_READS_STACK static inline
    __attribute__((always_inline)) struct mt_memo_slot *
    mt_memo_find(const struct mt_memo *m, uint64_t rip, uint64_t rsp,
                 uint64_t rbp, uint64_t room)
{
    const char *stack = (const char *)(uintptr_t)rsp;
    struct mt_memo_slot *slots = m->slots;
    uint64_t key = mt_memo_key(rip, rsp);
    for (unsigned level = 0; level <= MT_MEMO_LEVELS; level++) {
        struct mt_memo_slot *slot = mt_memo_slot_of(m, slots, key);
        if (!slot)
            return NULL;
        if (slot->at != MT_MEMO_BRANCH) {
            mt_memo_prefetch(mt_memo_counter(m, slot));
            return mt_memo_holds(mt_memo_at(m, slot->at), rip, rsp, rbp, room)
                       ? slot
                       : NULL;
        }
        uint64_t end = slot->end;
        if (end > room)
            return NULL;
        slot->used = 1;
        key = mt_memo_key_of(key, *(const mt_any_word *)(stack + end - 8));
    }
    return NULL;
}

#endif
