/* SPDX-License-Identifier: BSD-2-Clause
 *
 * memo.c - the memory of a thread's memo.
 *
 * An index of sets of eight slots leads to entries of different lengths. Where
 * unwindings with the same start registers differ, at word i say, their slot
 * becomes a branch: it says which word that is, and its value makes the key of
 * the next slot, an entry or another branch. So the unwindings from one place
 * make a tree, and a look-up reads but one word for each branch, and then
 * compares one entry. It is a cache all the same: any slot may be given away;
 * the entries after it are then missing, and are made anew.
 *
 * Entries lie in a ring: new ones overwrite the oldest, but one that was hit
 * since it was written is kept (it slides down over those that were not). The
 * ring begins small; when it was filled by misses that a larger one might have
 * spared - those that led to stacks seen before - it gets another segment, and
 * the index grows with it, up to the bound that the user set, or a share of the
 * heap's size.
 *
 * An entry costs more to write than a hit spares. Each start place (return
 * address) has a credit that entries pay into when they are overwritten, by the
 * captures that their counters saw. Where it is used up, only one key in 16 is
 * looked for and remembered; the others' stacks are unwound down to a known
 * frame (known_path.c). The credit is given anew when the memory has grown. A
 * slot's counter lies in the counters section, where readers find it.
 */
#include "heap/attributes.h"
#include "heap/capture/capture.h"
#include "heap/capture/memo.h"
#include "heap/capture/stacks.h"
#include "heap/debug.h"

#include <string.h>

#define FIRST_BYTES (16u << 10)
#define MIN_SEGMENT 4096u
#define FIRST_SLOTS 256u
#define GROWTH_SHARE 4 /* of misses: avoidable ones that make it grow */
#define CREDIT_FIRST 48
#define CREDIT_AGAIN 24 /* after a change of mind, to either side */
#define CREDIT_MOST 100
#define ENOUGH_HITS 3   /* of an entry, to pay for what it took to make it */
#define MOST_HITS 12    /* that count */
#define RECONSIDER 255u /* mask: of misses that were not remembered */
#define LEAST_BOUND (512u << 10)
#define NEW_SHARE 4       /* of captures: new stacks, where it may have more */
#define RECENT (1u << 16) /* captures that count in full, about */
#define HEAP_SHARE 8
#define PAYING_SHARE 2
#define MAX_SLIDES 8             /* entries kept in a row */
#define ENTRY_BYTES_ABOUT 256u   /* to size the index */
#define SMALL_BYTES (128u << 10) /* a thread may always have this much */
#define ALL_THREADS 8            /* times the bound of one, for all together */

uint32_t mt_memo_kib = 4096;
/* Of all threads: the first LEAST_BOUND of each memo, and what is beyond, so
 * that memos that pay leave others their start. */
static uint64_t all_bytes[2];
static struct mt_memo_slot nothing[MT_MEMO_WAYS]; /* for want of memory */

/* In units of 8 bytes; that of the rounds is in bytes. */
static uint32_t entry_size(size_t rounds)
{
    return (uint32_t)((sizeof(struct mt_memo_entry) + rounds) / 8);
}

static uint32_t memo_words(const struct mt_memo_entry *e)
{
    return (uint32_t)(e->size / sizeof(struct mt_memo_round) * MT_MEMO_ROUND);
}

static bool memo_alive(const struct mt_memo *m, const struct mt_memo_entry *e)
{
    return m->slots[e->slot].at != 0 &&
           mt_memo_at(m, m->slots[e->slot].at) == e;
}

/* The slot, its counter and the entry that it leads to know each other. */
static inline MT_CHECK_ONLY bool slot_is_whole(const struct mt_memo *m,
                                               uint32_t slot)
{
    const struct mt_memo_slot *s = &m->slots[slot];
    if (s->at == 0 || s->at == MT_MEMO_BRANCH)
        return m->counters[slot].stack == 0;
    const struct mt_memo_entry *e = mt_memo_at(m, s->at);
    return e->slot == slot && e->key == s->key &&
           e->id == m->counters[slot].stack;
}

void mt_memo_merge_one(struct mt_counter_record *counter)
{
    if (counter->allocs)
        mt_stacks_count(counter->stack, counter->allocs, counter->bytes);
    counter->allocs = 0;
    counter->bytes = 0;
}

void mt_memo_merge_counts(struct mt_memo *m)
{
    for (uint32_t i = 0; i < m->n_slots; i++)
        mt_memo_merge_one(&m->counters[i]);
}

/* Every slot's counter is folded before the slot is given another stack. */
static void memo_drop(struct mt_memo *m, uint32_t slot)
{
    MT_ASSERT(slot < m->n_slots && slot_is_whole(m, slot));
    mt_memo_merge_one(&m->counters[slot]);
    m->counters[slot].stack = 0;
    m->slots[slot].at = 0;
    m->slots[slot].key = 0;
}

void mt_memo_clear(struct mt_memo *m)
{
    for (uint32_t i = 0; i < m->n_slots; i++)
        memo_drop(m, i);
    for (uint32_t i = 0; i < m->n_segments; i++)
        m->segments[i].filled = 0;
    m->current = m->head = m->victim = 0;
    m->has_guesses = false;
}

/* Was the entry hit since it was last looked at?  A merge only makes its
 * counter smaller. */
static bool memo_was_hit(const struct mt_memo *m, struct mt_memo_entry *e)
{
    uint32_t captures = m->counters[e->slot].allocs;
    bool hit = captures > e->seen || (captures < e->seen && captures != 0);
    e->seen = captures;
    return hit;
}

/* Is what the slot leads to to be kept?  Not the next time, if it isn't used
 * until then. */
static bool was_used(const struct mt_memo *m, struct mt_memo_slot *slot)
{
    if (slot->at != MT_MEMO_BRANCH)
        return memo_was_hit(m, mt_memo_at(m, slot->at));
    bool used = slot->used;
    slot->used = 0;
    return used;
}

/* The way for a new key: a free one, or one that was not used. */
static uint32_t choose_slot(const struct mt_memo *m, uint32_t key)
{
    uint32_t set = (uint32_t)((key & m->set_mask) / sizeof *m->slots);
    uint32_t rotate = (uint32_t)(m->misses & (MT_MEMO_WAYS - 1));
    for (uint32_t way = 0; way < MT_MEMO_WAYS; way++)
        if (m->slots[set + way].at == 0)
            return set + way;
    for (uint32_t i = 0; i < MT_MEMO_WAYS; i++) {
        uint32_t slot = set + ((rotate + i) & (MT_MEMO_WAYS - 1));
        if (!was_used(m, &m->slots[slot]))
            return slot;
    }
    return set + rotate;
}

static void point_slot(struct mt_memo *m, uint32_t slot,
                       struct mt_memo_entry *e)
{
    e->slot = slot;
    m->slots[slot].key = e->key;
    m->slots[slot].at = (uint32_t)(((uintptr_t)e - m->base) / 8);
}

/* Gives the slot to an entry. */
static void lead_to(struct mt_memo *m, uint32_t slot, struct mt_memo_entry *e)
{
    memo_drop(m, slot);
    m->counters[slot].stack = e->id;
    m->slots[slot].next = 0;
    m->slots[slot].next_at = MT_MEMO_NONE;
    point_slot(m, slot, e);
}

void mt_memo_end_round(struct mt_memo *m)
{
    m->all_hits += m->hits;
    m->all_misses += m->misses;
    if (m->recent > RECENT) {
        m->recent /= 2;
        m->recent_new /= 2;
    }
    m->recent += m->hits + m->misses;
    m->recent_new += m->misses - m->known_misses;
    m->hits = m->misses = m->known_misses = 0;
}

/* --- growth --- */

static bool add_index(struct mt_memo *m, uint32_t n_slots)
{
    struct mt_memo_slot *slots =
        mt_section_alloc(MT_SECTION_PRIVATE, n_slots * sizeof *slots);
    struct mt_counter_record *counters =
        slots
            ? mt_section_alloc(MT_SECTION_COUNTERS, n_slots * sizeof *counters)
            : NULL;
    if (!counters)
        return false;
    mt_memo_merge_counts(m);
    struct mt_memo old = *m;
    m->slots = slots;
    m->counters = counters;
    m->to_counter = (char *)counters - (char *)slots;
    m->last = slots;
    m->next = 0;
    m->next_at = MT_MEMO_NONE;
    m->n_slots = n_slots;
    m->set_mask = (n_slots - MT_MEMO_WAYS) * sizeof *slots;
    for (uint32_t i = 0; i < old.n_slots; i++)
        if (old.slots[i].at == MT_MEMO_BRANCH)
            m->slots[choose_slot(m, old.slots[i].key)] = old.slots[i];
    for (uint32_t s = 0; s < m->n_segments; s++) {
        const struct mt_memo_segment *segment = &m->segments[s];
        for (uint32_t at = segment->at; at < segment->at + segment->filled;) {
            struct mt_memo_entry *e = mt_memo_at(m, at);
            at += entry_size(e->size);
            if (!memo_alive(&old, e))
                continue;
            lead_to(m, choose_slot(m, e->key), e);
        }
    }
    if (m->last->at == MT_MEMO_BRANCH)
        memo_drop(m, 0);
    mt_store_release(&m->thread->counters, (uint64_t)(uintptr_t)counters);
    mt_store_release(&m->thread->n_counters, n_slots);
    if (old.n_slots) {
        mt_section_forget(old.slots, old.n_slots * sizeof *slots);
        mt_section_forget(old.counters, old.n_slots * sizeof *counters);
    }
    return true;
}

/* The most that one thread's memo may have: a share of the heap, a larger one
 * if most captures are of stacks seen before in the long run. A round is too
 * short to say so: a recursion has some with hits alone. */
static uint64_t memo_limit(const struct mt_memo *m)
{
    uint64_t limit = (uint64_t)mt_load_relaxed(&mt_memo_kib) << 10;
    uint64_t captures = m->recent + m->hits + m->misses;
    uint64_t new_stacks = m->recent_new + m->misses - m->known_misses;
    bool repeats = NEW_SHARE * new_stacks < captures;
    uint64_t share =
        mt_tree_heap_bytes() / (repeats ? PAYING_SHARE : HEAP_SHARE);
    uint64_t least = repeats ? LEAST_BOUND : SMALL_BYTES;
    if (share < least)
        share = least;
    return limit < share ? limit : share;
}

static bool memo_may_grow(const struct mt_memo *m)
{
    return m->n_segments < MT_MEMO_SEGMENTS &&
           m->bytes + MIN_SEGMENT <= memo_limit(m);
}

static bool memo_add_segment(struct mt_memo *m, uint32_t bytes)
{
    if (!memo_may_grow(m))
        return false;
    uint64_t limit = memo_limit(m);
    bool beyond = m->bytes >= LEAST_BOUND;
    uint64_t most = beyond || limit < LEAST_BOUND ? limit : LEAST_BOUND;
    if (bytes > most - m->bytes)
        bytes = (uint32_t)(most - m->bytes);
    uint64_t part =
        __atomic_add_fetch(&all_bytes[beyond], bytes, __ATOMIC_RELAXED);
    uint64_t all = part + mt_load_relaxed(&all_bytes[!beyond]);
    char *memory = NULL;
    if (m->bytes + bytes <= SMALL_BYTES || all <= ALL_THREADS * limit ||
        (!beyond && part <= ALL_THREADS * most))
        memory = mt_section_alloc(MT_SECTION_PRIVATE, bytes);
    if (!memory ||
        ((uintptr_t)memory - m->base) / 8 + bytes / 8 > MT_MEMO_NONE) {
        __atomic_fetch_sub(&all_bytes[beyond], bytes, __ATOMIC_RELAXED);
        return false;
    }
    struct mt_memo_segment *segment = &m->segments[m->n_segments];
    segment->at = (uint32_t)(((uintptr_t)memory - m->base) / 8);
    segment->size = bytes / 8;
    segment->filled = 0;
    m->n_segments++;
    m->bytes += bytes;
    uint32_t slots = m->n_slots;
    while (slots < m->bytes / (ENTRY_BYTES_ABOUT / 2))
        slots *= 2;
    if (slots > m->n_slots)
        add_index(m, slots); /* without it, the old one does */
    return true;
}

void mt_memo_init(struct mt_memo *m, struct mt_thread_record *thread)
{
    struct mt_counter_record *counters =
        (struct mt_counter_record *)(uintptr_t)thread->counters;
    for (uint32_t i = 0; counters && i < thread->n_counters; i++)
        mt_memo_merge_one(&counters[i]);
    uint32_t first = m->bytes < LEAST_BOUND ? m->bytes : LEAST_BOUND;
    __atomic_fetch_sub(&all_bytes[0], first, __ATOMIC_RELAXED);
    __atomic_fetch_sub(&all_bytes[1], m->bytes - first, __ATOMIC_RELAXED);
    *m = (struct mt_memo){
        .changes = m->changes + 1,
        .base = memtrace_root->sections[MT_SECTION_PRIVATE].base,
        .thread = thread,
        .slots = nothing,
        .last = nothing,
        .next_at = MT_MEMO_NONE,
    };
    memset(m->credit, CREDIT_FIRST, sizeof m->credit);
    if (add_index(m, FIRST_SLOTS))
        memo_add_segment(m, FIRST_BYTES);
}

/* --- the ring --- */

static void memo_end_turn(struct mt_memo *m)
{
    m->turn++;
    mt_memo_end_round(m);
}

/* Would a larger memory have spared many misses?  Then it gets one. */
static bool memo_grow(struct mt_memo *m)
{
    bool grown = m->known_misses > m->misses / GROWTH_SHARE &&
                 memo_add_segment(m, m->bytes);
    if (grown)
        memset(m->credit, CREDIT_FIRST, sizeof m->credit);
    memo_end_turn(m);
    return grown;
}

static void memo_pay(struct mt_memo *m, uint64_t rip, int change)
{
    int8_t *credit = &m->credit[mt_memo_place(rip)];
    int now = *credit + change;
    if (*credit > 0 && now <= 0)
        now = -CREDIT_AGAIN;
    else if (*credit <= 0 && now > 0)
        now = CREDIT_AGAIN;
    now = now < CREDIT_MOST ? now : CREDIT_MOST;
    *credit = (int8_t)(now > -CREDIT_AGAIN ? now : -CREDIT_AGAIN);
}

/* The entry goes, or stays because it was hit. */
static void memo_judge(struct mt_memo *m, const struct mt_memo_entry *e,
                       bool stays)
{
    uint64_t captures = m->counters[e->slot].allocs; /* since a merge */
    int hits = (int)(captures < MOST_HITS ? captures : MOST_HITS) - 1;
    int change = stays ? 1 : hits - ENOUGH_HITS;
    if (captures == 0)
        return;
    if (change < 0 && m->known_misses > m->misses / GROWTH_SHARE &&
        memo_may_grow(m))
        return; /* it may have been too early */
    memo_pay(m, e->rip, change);
}

void mt_memo_sampled(struct mt_memo *m, uint64_t rip, bool hit)
{
    memo_pay(m, rip, hit ? 1 : -ENOUGH_HITS);
}

/* To the next segment, a new one if that pays, `now` or after the last. */
static void next_segment(struct mt_memo *m, bool now)
{
    m->segments[m->current].filled = m->head;
    m->current++;
    m->head = m->victim = 0;
    if (m->current < m->n_segments && !now)
        return;
    if (memo_grow(m))
        m->current = m->n_segments - 1;
    else if (m->current >= m->n_segments)
        m->current = 0;
}

/* Makes room after `head` by the entry at `victim`. */
static void memo_evict(struct mt_memo *m, unsigned *slides)
{
    const struct mt_memo_segment *segment = &m->segments[m->current];
    struct mt_memo_entry *e = mt_memo_at(m, segment->at + m->victim);
    uint32_t size = entry_size(e->size);
    MT_ASSERT(memo_words(e) && memo_words(e) <= MT_MEMO_WORDS);
    MT_ASSERT(m->head <= m->victim && m->victim + size <= segment->filled);
    m->victim += size;
    if (!memo_alive(m, e))
        return;
    bool hit = memo_was_hit(m, e);
    memo_judge(m, e, hit);
    if (!hit || *slides == MAX_SLIDES) {
        memo_drop(m, e->slot);
        return;
    }
    ++*slides;
    struct mt_memo_entry *to = mt_memo_at(m, segment->at + m->head);
    memmove(to, e, 8 * (size_t)size);
    point_slot(m, to->slot, to);
    m->head += size;
}

/* Memory for `size` units, or NULL. */
static struct mt_memo_entry *memo_take(struct mt_memo *m, uint32_t size)
{
    unsigned slides = 0;
    for (unsigned tries = 0; tries < 2 * MT_MEMO_SEGMENTS; tries++) {
        struct mt_memo_segment *segment = &m->segments[m->current];
        while (m->head + size > m->victim && m->victim < segment->filled)
            memo_evict(m, &slides);
        /* All of the round before is gone: the rest is free. */
        if (m->victim >= segment->filled && m->head + size <= segment->size)
            m->victim = segment->size;
        if (m->head + size <= m->victim) {
            struct mt_memo_entry *e = mt_memo_at(m, segment->at + m->head);
            m->head += size;
            if (m->head > segment->filled)
                segment->filled = m->head;
            return e;
        }
        next_segment(m, false);
    }
    return NULL;
}

/* The entries of the round before go, so that the memory may grow. */
void mt_memo_passed(struct mt_memo *m)
{
    if (MT_LIKELY(m->misses & RECONSIDER) || m->n_segments == 0)
        return;
    struct mt_memo_segment *segment = &m->segments[m->current];
    bool grows = m->known_misses > m->misses / GROWTH_SHARE && memo_may_grow(m);
    while (grows && m->victim < segment->filled) {
        struct mt_memo_entry *e = mt_memo_at(m, segment->at + m->victim);
        m->victim += entry_size(e->size);
        if (memo_alive(m, e))
            memo_drop(m, e->slot);
    }
    if (grows)
        next_segment(m, true);
    else
        memo_end_turn(m);
}

/* --- the tree --- */

static uint64_t memo_value(const struct mt_memo_entry *e, uint32_t i)
{
    return e->rounds[i / MT_MEMO_ROUND].value[i % MT_MEMO_ROUND];
}

static uint16_t memo_where(const struct mt_memo_entry *e, uint32_t i)
{
    return e->rounds[i / MT_MEMO_ROUND].where[i % MT_MEMO_ROUND];
}

#define SAME UINT32_MAX

/* The word at which two unwindings from one place part; before it they are the
 * same. SAME if they do not part (or rbp parts them). */
static uint32_t memo_parting(const struct mt_memo_entry *a,
                             const struct mt_memo_entry *b)
{
    uint32_t n = memo_words(a) < memo_words(b) ? memo_words(a) : memo_words(b);
    if (a->rip != b->rip || a->rsp != b->rsp)
        return SAME; /* nothing but their keys */
    for (uint32_t i = 0; i < n && memo_where(a, i) == memo_where(b, i); i++)
        if (memo_value(a, i) != memo_value(b, i))
            return i;
    return SAME;
}

/* Where the word ends, in bytes. */
static uint32_t branch_end(const struct mt_memo_entry *e, uint32_t at)
{
    return 8 * (memo_where(e, at) + 1u);
}

/* Makes a branch at word `at` of a slot that leads to `e`, and after it a slot
 * for `e`. */
static void memo_split(struct mt_memo *m, struct mt_memo_slot *slot,
                       struct mt_memo_entry *e, uint32_t at)
{
    uint32_t key = slot->key;
    memo_drop(m, (uint32_t)(slot - m->slots));
    slot->key = key;
    slot->at = MT_MEMO_BRANCH;
    slot->position = (uint16_t)at;
    slot->used = 1;
    slot->end = branch_end(e, at);
    e->key = (uint32_t)mt_memo_key_of(key, memo_value(e, at));
    uint32_t other = choose_slot(m, e->key);
    lead_to(m, other, e);
    if (m->last == slot)
        m->last = &m->slots[other];
}

/* The slot for a new entry: its place in the tree, where that has one. */
static uint32_t memo_place(struct mt_memo *m, struct mt_memo_entry *e)
{
    struct mt_memo_slot *slot;
    for (unsigned level = 0; (slot = mt_memo_slot_of(m, m->slots, e->key));
         level++) {
        uint32_t at;
        if (level == MT_MEMO_LEVELS)
            break;
        if (slot->at == MT_MEMO_BRANCH) {
            at = slot->position;
            if (at >= memo_words(e) || branch_end(e, at) != slot->end)
                break;
        } else {
            struct mt_memo_entry *other = mt_memo_at(m, slot->at);
            at = memo_parting(other, e);
            if (at == SAME)
                break;
            memo_split(m, slot, other, at);
        }
        e->key = (uint32_t)mt_memo_key_of(e->key, memo_value(e, at));
    }
    return slot ? (uint32_t)(slot - m->slots) : choose_slot(m, e->key);
}

struct mt_memo_slot *mt_memo_add(struct mt_memo *m, const struct mt_regs *regs,
                                 const struct mt_read_log *read_log,
                                 uint32_t id)
{
    uint32_t n = (read_log->n_words + MT_MEMO_ROUND - 1) / MT_MEMO_ROUND;
    uint64_t extent = 0;
    if (m->n_segments == 0 || n == 0)
        return NULL;
    for (uint32_t i = 0; i < read_log->n_words; i++) {
        uint64_t offset = read_log->addresses[i] - regs->rsp;
        if (offset > 8 * (uint64_t)UINT16_MAX || (offset & 7))
            return NULL;
        if (offset + 8 > extent)
            extent = offset + 8;
    }
    size_t size = n * sizeof(struct mt_memo_round);
    struct mt_memo_entry *e = memo_take(m, entry_size(size));
    if (!e)
        return NULL;
    *e = (struct mt_memo_entry){
        .rip = regs->rip,
        .rsp = regs->rsp,
        .rbp = regs->rbp,
        .key = (uint32_t)mt_memo_key(regs->rip, regs->rsp),
        .id = id,
        .extent = (uint32_t)extent,
        .size = (uint16_t)size,
        .uses_rbp = read_log->registers != 0,
        .seen = 1, /* the capture that it is of */
    };
    for (uint32_t i = 0; i < n * MT_MEMO_ROUND; i++) {
        struct mt_memo_round *r = &e->rounds[i / MT_MEMO_ROUND];
        uint32_t word = i < read_log->n_words ? i : read_log->n_words - 1;
        r->value[i % MT_MEMO_ROUND] = read_log->values[word];
        r->where[i % MT_MEMO_ROUND] =
            (uint16_t)((read_log->addresses[word] - regs->rsp) / 8);
    }
    uint32_t slot = memo_place(m, e);
    lead_to(m, slot, e);
    MT_ASSERT(memo_alive(m, e) && slot_is_whole(m, slot));
    return &m->slots[slot];
}
