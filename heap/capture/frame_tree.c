/* SPDX-License-Identifier: BSD-2-Clause
 *
 * frame_tree.c - the frames of all stacks.
 *
 * Nodes are appended to their section and never change. An index finds them by
 * caller and program counter: open addressing, a word per slot, which holds a
 * node's id and 32 bits of its hash. Looking up takes no lock and writes
 * nothing; a new node is finished before its id is put into an empty slot by
 * compare-and-swap. If two threads add the same node at once, the second finds
 * the slot taken, sees the other's node and gives up its own.
 *
 * Where a node is looked for: a stack whose frames are added at once has nodes
 * with neighbouring ids, and these are looked up in a row. So the first slots
 * are a line of the processor's cache that belongs to a few neighbouring
 * parents. Where a line is full, as for a parent with many children, a node is
 * anywhere, from the slot on that its hash says.
 *
 * An index that is nearly full is replaced by one of twice the size: the old
 * one gets a link to the new one, its empty slots are frozen and its ids
 * copied, one by one. A look-up that comes to a frozen slot continues in the
 * next index. So a node is either in a slot before the first empty one, or
 * after a frozen one, and is found at any time.
 *
 * One thread does that as a rule. It may be gone in the middle of it: killed by
 * a fork, or left by a signal handler's longjmp(). So every step can be done
 * again by another, which is what happens when the slots run short all the
 * same.
 *
 * WHAT IS GIVEN BACK.  A collection (collect.c) condemns all nodes. A look-up
 * that comes by a condemned node makes it live again, beginning with the
 * outermost, so that the callers of a live node that it leads to are live. A
 * node that is still condemned when the collection has marked the nodes of all
 * live stacks is dead: look-ups pass it over, and the index is replaced by one
 * without it (where few are dead, they are left alone). One compare-and-swap
 * decides between the two. When every thread has ended the capture that it was
 * in at that time, dead nodes are free.
 */
#include "heap/capture/frame_tree.h"
#include "heap/capture/module_table.h"
#include "heap/debug.h"
#include "heap/trace_region.h"

#include <string.h>

#define FIRST_SLOTS 64
#define KEPT_SLOTS (1u << 16) /* of an index whose memory is kept, at most */
#define EMPTY UINT64_C(0)
#define FROZEN UINT64_C(1) /* no node has this id */
#define NEAR 8             /* slots of a line of the processor's cache, */
#define NEAR_PARENTS 4     /* and nodes whose children may be in it */

struct index {
    struct index *next; /* that replaces it, or NULL */
    uint64_t mask;      /* slots - 1 */
    uint64_t used;
    uint64_t promised; /* of `used`: for nodes that a collection copies */
    uint32_t claimed;  /* somebody replaces it */
    /* hash: 32, id: 32 */
    uint64_t slots[] __attribute__((aligned(8 * NEAR)));
};

struct tree_key {
    uint64_t pc;
    uint32_t parent, hash;
};

static struct index *current;
static struct index *oldest;   /* that was not released; leads to `current` */
static struct index *released; /* by a collection: those before this one */
static struct mt_free_ids free_nodes;
static uint64_t n_condemned, n_live; /* nodes, by the last collection */
static uint32_t full;                /* 1: the section takes no more */

/* --- room --- */

uint64_t mt_tree_room(void)
{
    return mt_tree_limit() - mt_load_relaxed(&memtrace_root->stacks_bytes) +
           (mt_load_relaxed(&free_nodes.head) << 20);
}

/* A free node, or 0. */
static uint32_t tree_take_free(void)
{
    uint64_t head = mt_load_acquire(&free_nodes.head), next;
    do {
        if ((uint32_t)head == 0)
            return 0;
        next = (head & ~(uint64_t)UINT32_MAX) + (UINT64_C(1) << 32) +
               mt_load_relaxed(&mt_tree_node((uint32_t)head)->parent);
    } while (!__atomic_compare_exchange_n(&free_nodes.head, &head, next, false,
                                          __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE));
    __atomic_fetch_sub(&free_nodes.n, 1, __ATOMIC_RELAXED);
    return (uint32_t)head;
}

uint64_t mt_tree_free_bytes(void)
{
    return mt_load_relaxed(&free_nodes.n) * sizeof(struct mt_node_record);
}

/* --- the index --- */

/* Memory of indexes that were released, by size; it is zero. */
MT_SELDOM_BSS static struct index *spare_indexes[32];

static size_t index_bytes(uint64_t slots)
{
    return sizeof(struct index) + slots * 8;
}

static uint64_t index_taken; /* of stacks_bytes: what indexes take */

/* Those of one size are linked by `next`. */
static void spare_put(struct index **spare, struct index *list)
{
    struct index *none, *others, *last;
    do {
        others = __atomic_exchange_n(spare, NULL, __ATOMIC_ACQUIRE);
        for (last = list; others && last->next; last = last->next)
            ;
        if (others)
            last->next = others;
        none = NULL;
    } while (!__atomic_compare_exchange_n(spare, &none, list, false,
                                          __ATOMIC_RELEASE, __ATOMIC_RELAXED));
}

/* Memory has an alignment of 8. */
static struct index *index_align(void *memory)
{
    uint64_t line = 8 * NEAR;
    return (struct index *)(((uintptr_t)memory + line - 1) & ~(line - 1));
}

static struct index *index_make(uint64_t slots)
{
    struct index **spare = &spare_indexes[__builtin_ctzll(slots) & 31];
    struct index *index = NULL;
    if (mt_load_relaxed(spare))
        index = __atomic_exchange_n(spare, NULL, __ATOMIC_ACQUIRE);
    if (!index)
        index = index_align(mt_section_alloc(
            MT_SECTION_PRIVATE, index_bytes(slots) + 8 * (NEAR - 1)));
    else if (index->next)
        spare_put(spare, index->next);
    if (index) {
        index->next = NULL;
        index->mask = slots - 1;
    }
    return index;
}

/* An index takes room for two: a collection replaces it by another of its
 * size. */
static uint64_t index_room(uint64_t slots)
{
    return 2 * index_bytes(slots);
}

static void index_give_back(uint64_t slots)
{
    __atomic_fetch_sub(&memtrace_root->stacks_bytes, index_room(slots),
                       __ATOMIC_RELAXED);
    __atomic_fetch_sub(&index_taken, index_room(slots), __ATOMIC_RELAXED);
}

static struct index *new_index(uint64_t slots)
{
    if (!mt_tree_reserve(index_room(slots), false))
        return NULL;
    __atomic_fetch_add(&index_taken, index_room(slots), __ATOMIC_RELAXED);
    struct index *index = index_make(slots);
    if (!index)
        index_give_back(slots);
    return index;
}

uint64_t mt_tree_index_bytes(void)
{
    return mt_load_relaxed(&index_taken);
}

/* Nobody looks into it any longer. Its memory goes back to the kernel, unless
 * it is likely to be wanted `soon`. */
static void index_release(struct index *index, bool soon)
{
    uint64_t slots = index->mask + 1;
    uintptr_t start = (uintptr_t)index, end = start + index_bytes(slots);
    uintptr_t first = (start + 4095) & ~(uintptr_t)4095;
    uintptr_t last = end & ~(uintptr_t)4095;
    if (first < last && !(soon && slots <= KEPT_SLOTS)) {
        memset(index, 0, first - start);
        memset((void *)last, 0, end - last);
        mt_section_forget(index, end - start);
    } else {
        memset(index, 0, end - start);
    }
    spare_put(&spare_indexes[__builtin_ctzll(slots) & 31], index);
}

bool mt_tree_start(void)
{
    if (!memtrace_root->sections[MT_SECTION_NODES].used &&
        !mt_section_alloc(MT_SECTION_NODES,
                          MT_NODE_FIRST * sizeof(struct mt_node_record)))
        return false;
    struct index *index = new_index(FIRST_SLOTS);
    oldest = index;
    mt_store_release(&current, index);
    return index != NULL;
}

static inline uint32_t tree_hash(uint32_t parent, uint64_t pc)
{
    uint64_t h = (pc ^ (uint64_t)parent << 32) * UINT64_C(0x9fb21c651e98df25);
    h = (h ^ h >> 29 ^ parent) * UINT64_C(0xd6e8feb86659fd93);
    return (uint32_t)(h >> 32);
}

/* The slot that is the n-th to be looked at for a node. */
static inline uint64_t *tree_slot(struct index *index, uint32_t parent,
                                  uint32_t hash, uint64_t n)
{
    uint64_t at =
        n < NEAR ? (uint64_t)(parent / NEAR_PARENTS) * NEAR + (hash + n) % NEAR
                 : hash + n;
    return &index->slots[at & index->mask];
}

/* The id is that of a node that the tree has given out. */
static inline MT_CHECK_ONLY bool is_tree_node(uint64_t id)
{
    const struct mt_section_record *s =
        &memtrace_root->sections[MT_SECTION_NODES];
    return id >= MT_NODE_FIRST &&
           id < mt_load_acquire(&s->used) / sizeof(struct mt_node_record);
}

/* A condemned node lives again; false: it is dead. */
static MT_NOINLINE bool tree_revive(uint32_t id)
{
    uint64_t *pc = &mt_tree_node(id)->pc, word = mt_load_acquire(pc);
    while (MT_NODE_STATE(word) & MT_TREE_CONDEMNED)
        if (MT_NODE_STATE(word) == MT_TREE_FREE)
            return false;
        else if (__atomic_compare_exchange_n(
                     pc, &word, word & ~((uint64_t)MT_TREE_CONDEMNED << 48),
                     false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
            return true;
    return !(MT_NODE_STATE(word) & MT_TREE_DEAD);
}

static inline bool tree_matches(uint32_t id, const struct tree_key *key)
{
    uint64_t pc = mt_load_relaxed(&mt_tree_node(id)->pc);
    return (pc & MT_NODE_PC) == key->pc && mt_tree_parent(id) == key->parent &&
           (MT_LIKELY(pc == key->pc) || tree_revive(id));
}

enum outcome { FOUND, ABSENT, ADDED, NO_ROOM };

/* Looks for the node in *where and those that replace it; with *id, adds that
 * if it is not found. *where becomes the index in which that ends;
 * what is absent may be looked for again from slot *from on. */
static inline enum outcome tree_probe(struct index **where, uint64_t *from,
                                      const struct tree_key *key, uint32_t *id)
{
    uint64_t n = *from;
    for (struct index *index = *where; index;
         index = mt_load_acquire(&index->next)) {
        *where = index;
        for (; n <= index->mask + NEAR; n++) {
            uint64_t *at = tree_slot(index, key->parent, key->hash, n);
            uint64_t word = mt_load_acquire(at);
            if (word == EMPTY && !*id) {
                *from = n;
                return ABSENT;
            }
            if (word == EMPTY && __atomic_compare_exchange_n(
                                     at, &word, (uint64_t)key->hash << 32 | *id,
                                     false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
                return ADDED;
            if (word == FROZEN)
                break;
            MT_ASSERT(is_tree_node((uint32_t)word));
            if (word >> 32 == key->hash && tree_matches((uint32_t)word, key)) {
                *id = (uint32_t)word;
                return FOUND;
            }
        }
        n = 0;
    }
    return NO_ROOM;
}

/* Copies an id, unless that was done before, or the node is dead; true: it
 * did. */
static inline bool copy_slot(struct index *to, uint64_t word)
{
    MT_ASSERT(is_tree_node((uint32_t)word));
    if (MT_NODE_STATE(mt_load_acquire(&mt_tree_node((uint32_t)word)->pc)) &
        MT_TREE_DEAD)
        return false;
    uint32_t parent = mt_tree_parent((uint32_t)word);
    MT_ASSERT(tree_hash(parent, mt_tree_pc((uint32_t)word)) == word >> 32);
    for (uint64_t n = 0; n <= to->mask + NEAR; n++) {
        uint64_t *at = tree_slot(to, parent, (uint32_t)(word >> 32), n);
        uint64_t there = mt_load_relaxed(at);
        if (there == EMPTY &&
            __atomic_compare_exchange_n(at, &there, word, false,
                                        __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
            return true;
        if (there == word)
            break;
    }
    return false;
}

/* The index that replaces `old`, or NULL when out of memory. */
static struct index *tree_successor(struct index *old)
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

/* Slots are counted before they are used, so that an index that is left in the
 * middle has more room than it seems. */
#define COUNTED_AHEAD 16

static uint64_t index_count_ahead(struct index *index)
{
    uint64_t promised = mt_load_relaxed(&index->promised), n = COUNTED_AHEAD;
    while (promised > 0) {
        n = promised < COUNTED_AHEAD ? promised : COUNTED_AHEAD;
        if (__atomic_compare_exchange_n(&index->promised, &promised,
                                        promised - n, false, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED))
            return n;
    }
    __atomic_fetch_add(&index->used, COUNTED_AHEAD, __ATOMIC_RELAXED);
    return COUNTED_AHEAD;
}

static void tree_move(struct index *old, struct index *next)
{
    uint64_t ahead = 0;
    for (uint64_t i = 0; i <= old->mask; i++) {
        uint64_t word = mt_load_acquire(&old->slots[i]);
        if (word == EMPTY &&
            __atomic_compare_exchange_n(&old->slots[i], &word, FROZEN, false,
                                        __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
            continue;
        if (word == FROZEN)
            continue;
        if (ahead == 0)
            ahead = index_count_ahead(next);
        ahead -= copy_slot(next, word);
    }
    ahead += __atomic_exchange_n(&next->promised, 0, __ATOMIC_RELAXED);
    __atomic_fetch_sub(&next->used, ahead, __ATOMIC_RELAXED);
}

static bool index_leads_to(const struct index *from, const struct index *to)
{
    while (from && from != to)
        from = mt_load_acquire(&from->next);
    return from != NULL;
}

/* Replaces the current index, and those after it up to `crowded`. */
static MT_COLD void tree_replace(const struct index *crowded)
{
    for (;;) {
        struct index *old = mt_load_acquire(&current);
        struct index *next =
            index_leads_to(old, crowded) ? tree_successor(old) : NULL;
        if (!next)
            return;
        tree_move(old, next);
        __atomic_compare_exchange_n(&current, &old, next, false,
                                    __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
    }
}

/* After something was added to `index`. */
static inline void tree_make_room(struct index *index)
{
    uint64_t used = __atomic_add_fetch(&index->used, 1, __ATOMIC_RELAXED);
    if (MT_LIKELY(4 * used <= 3 * index->mask))
        return;
    if (!__atomic_exchange_n(&index->claimed, 1, __ATOMIC_RELAXED) ||
        8 * used > 7 * index->mask)
        tree_replace(index);
}

/* A finished node, or 0. */
static uint32_t tree_new_node(const struct tree_key *key, bool urgent)
{
    struct mt_node_record *node;
    uint32_t id = tree_take_free();
    if (id) {
        node = mt_tree_node(id);
    } else {
        if (mt_load_relaxed(&full) || !mt_tree_reserve(sizeof *node, urgent))
            return 0;
        node = mt_section_alloc(MT_SECTION_NODES, sizeof *node);
        if (!node || (uint64_t)(node - mt_tree_node(0)) > UINT32_MAX) {
            mt_store_relaxed(&full, 1);
            return 0;
        }
    }
    mt_store_relaxed(&node->stack, 0);
    mt_store_relaxed(&node->parent, key->parent);
    mt_store_release(&node->pc, key->pc);
    return (uint32_t)(node - mt_tree_node(0));
}

/* The last slots are for those that are urgent. */
static inline bool tree_is_full(const struct index *index, bool urgent)
{
    return 16 * mt_load_relaxed(&index->used) >
           (urgent ? 15 : 14) * index->mask;
}

uint32_t mt_tree_child(uint32_t parent, uint64_t pc, bool urgent)
{
    struct tree_key key = {pc & MT_NODE_PC, parent, tree_hash(parent, pc)};
    struct index *index = mt_load_acquire(&current);
    uint64_t n = 0; /* slots that were looked at */
    uint32_t id = 0;
    if (MT_UNLIKELY(!index))
        return 0;
    if (MT_LIKELY(tree_probe(&index, &n, &key, &id) == FOUND))
        return id;
    if (MT_UNLIKELY(tree_is_full(index, urgent))) {
        tree_replace(index);
        index = mt_load_acquire(&current);
        n = 0;
        if (tree_is_full(index, urgent))
            return 0; /* which no other may replace */
    }
    mt_modules_note_one(pc);
    uint32_t added = id = tree_new_node(&key, urgent);
    if (!id)
        return 0;
    enum outcome outcome = tree_probe(&index, &n, &key, &id);
    if (outcome == ADDED) {
        tree_make_room(index);
        return id;
    }
    mt_store_relaxed(&mt_tree_node(added)->pc, (uint64_t)MT_TREE_FREE << 48);
    mt_free_ids_put(&free_nodes, 1, added, &mt_tree_node(added)->parent);
    return outcome == FOUND ? id : 0;
}

/* --- collections --- */

static uint32_t tree_end(void)
{
    return (uint32_t)(mt_load_acquire(
                          &memtrace_root->sections[MT_SECTION_NODES].used) /
                      sizeof(struct mt_node_record));
}

/* Changes the state of a node that is `from`, unless another thread does. */
static inline bool tree_turn(uint32_t id, uint32_t from, uint32_t to)
{
    uint64_t *pc = &mt_tree_node(id)->pc, word = mt_load_relaxed(pc);
    return MT_NODE_STATE(word) == from &&
           __atomic_compare_exchange_n(
               pc, &word, (word & MT_NODE_PC) | (uint64_t)to << 48, false,
               __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

/* The same where no other thread does, or it does not matter. */
static inline bool tree_set(uint32_t id, uint32_t from, uint32_t to)
{
    uint64_t *pc = &mt_tree_node(id)->pc, word = mt_load_relaxed(pc);
    if (MT_NODE_STATE(word) != from)
        return false;
    mt_store_release(pc, (word & MT_NODE_PC) | (uint64_t)to << 48);
    return true;
}

/* By compare-and-swap: who adds a node may have to give it up again. */
void mt_tree_condemn(void)
{
    n_condemned = n_live = 0;
    for (uint32_t id = MT_NODE_FIRST, end = tree_end(); id < end; id++)
        n_condemned += tree_turn(id, MT_TREE_LIVE, MT_TREE_CONDEMNED) ||
                       tree_set(id, MT_TREE_MARKED, MT_TREE_CONDEMNED);
}

/* A condemned node may be revived at the same time: marked is as good. */
void mt_tree_mark(uint32_t id)
{
    for (; id; id = mt_tree_parent(id)) {
        uint64_t pc = mt_load_relaxed(&mt_tree_node(id)->pc);
        MT_ASSERT(!(MT_NODE_STATE(pc) & MT_TREE_DEAD));
        if (MT_NODE_STATE(pc) & (MT_TREE_MARKED | MT_TREE_DEAD))
            return; /* so are its callers */
        n_live++;
        if (!tree_set(id, MT_TREE_CONDEMNED, MT_TREE_MARKED))
            tree_set(id, MT_TREE_LIVE, MT_TREE_MARKED); /* just revived */
    }
}

/* To take out of the index a smaller share than this costs more than it brings.
 */
#define SWEEP_SHARE 8

bool mt_tree_is_tight(void)
{
    const struct index *index = mt_load_acquire(&current);
    return 4 * mt_load_relaxed(&index->used) > 3 * index->mask;
}

/* Nodes that came since they were condemned count as if they had not: there are
 * few. */
bool mt_tree_sweep(void)
{
    uint64_t unmarked = n_condemned > n_live ? n_condemned - n_live : 0;
    bool worth =
        unmarked > n_live / SWEEP_SHARE || (unmarked > 0 && mt_tree_is_tight());
    for (uint32_t id = MT_NODE_FIRST, end = tree_end(); id < end; id++)
        if (!tree_set(id, MT_TREE_MARKED, MT_TREE_LIVE))
            tree_turn(id, MT_TREE_CONDEMNED,
                      worth ? MT_TREE_DEAD : MT_TREE_LIVE);
    released = mt_load_acquire(&current); /* all of those before it is moved */
    return worth;
}

/* The new index has the size of the old one if as many nodes as that had may
 * come before the next collection: then it need not grow step by step. */
#define INDEX_SHARE 8 /* of what is allowed, at most */

bool mt_tree_reindex(void)
{
    struct index *old = mt_load_acquire(&current), *none = NULL;
    struct index *next = mt_load_acquire(&old->next);
    uint64_t slots = old->mask + 1;
    while (slots / 2 >= FIRST_SLOTS && slots / 4 > n_live &&
           (3 * slots / 8 > mt_load_relaxed(&old->used) ||
            index_room(slots) > mt_tree_limit() / INDEX_SHARE))
        slots /= 2;
    bool is_new = !next && (next = index_make(slots));
    if (!next)
        return false;
    if (is_new)
        next->used = next->promised = n_live;
    if (is_new &&
        !__atomic_compare_exchange_n(&old->next, &none, next, false,
                                     __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
        index_release(next, true);
        return false;
    }
    if (is_new && slots <= old->mask) {
        __atomic_fetch_add(&memtrace_root->stacks_bytes, index_room(slots),
                           __ATOMIC_RELAXED);
        __atomic_fetch_add(&index_taken, index_room(slots), __ATOMIC_RELAXED);
    }
    tree_move(old, next); /* what another thread may have begun */
    released = next;
    __atomic_compare_exchange_n(&current, &old, next, false, __ATOMIC_ACQ_REL,
                                __ATOMIC_RELAXED);
    return is_new;
}

void mt_tree_release(void)
{
    struct mt_free_chain chain = {0};
    for (uint32_t id = MT_NODE_FIRST, end = tree_end(); id < end; id++)
        if (tree_set(id, MT_TREE_DEAD, MT_TREE_FREE))
            mt_free_ids_add(&free_nodes, &chain, id, &mt_tree_node(id)->parent);
    mt_free_ids_end(&free_nodes, &chain);
    while (oldest != released) {
        struct index *index = oldest, *next = mt_load_acquire(&index->next);
        /* First: this may be left, and done again. */
        mt_store_release(&oldest, next);
        if (next->mask != index->mask)
            index_give_back(index->mask + 1);
        index_release(index, next->mask == index->mask);
    }
}
