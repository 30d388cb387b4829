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
 */
#include "heap/capture/frame_tree.h"
#include "heap/debug.h"

#define FIRST_SLOTS 512
#define EMPTY UINT64_C(0)
#define FROZEN UINT64_C(1) /* no node has this id */

struct index {
    struct index *next; /* that replaces it, or NULL */
    uint64_t mask;      /* slots - 1 */
    uint64_t used;
    uint32_t claimed; /* somebody replaces it */
    uint64_t slots[]; /* hash: 32, id: 32 */
};

struct tree_key {
    uint64_t pc;
    uint32_t parent, hash;
};

static struct index *current;
static uint32_t full; /* 1: the section takes no more */

static struct index *new_index(uint64_t slots)
{
    struct index *index =
        mt_section_alloc(MT_SECTION_PRIVATE, sizeof *index + slots * 8);
    if (index)
        index->mask = slots - 1;
    return index;
}

bool mt_tree_start(void)
{
    if (!mt_section_alloc(MT_SECTION_NODES,
                          MT_NODE_FIRST * sizeof(struct mt_node_record)))
        return false;
    struct index *index = new_index(FIRST_SLOTS);
    mt_store_release(&current, index);
    return index != NULL;
}

static inline uint32_t tree_hash(uint32_t parent, uint64_t pc)
{
    uint64_t h = (pc ^ (uint64_t)parent << 32) * UINT64_C(0x9fb21c651e98df25);
    h = (h ^ h >> 29 ^ parent) * UINT64_C(0xd6e8feb86659fd93);
    return (uint32_t)(h >> 32);
}

/* The id is that of a node that the tree has given out. */
static inline MT_CHECK_ONLY bool is_tree_node(uint64_t id)
{
    const struct mt_section_record *s =
        &memtrace_root->sections[MT_SECTION_NODES];
    return id >= MT_NODE_FIRST &&
           id < mt_load_acquire(&s->used) / sizeof(struct mt_node_record);
}

static inline bool tree_matches(uint32_t id, const struct tree_key *key)
{
    return mt_tree_parent(id) == key->parent && mt_tree_pc(id) == key->pc;
}

enum outcome { FOUND, ABSENT, ADDED, NO_ROOM };

/* Looks for the node in *where and those that replace it; with *id, adds that
 * if it is not found. *where becomes the index in which that ends. */
static inline enum outcome tree_probe(struct index **where,
                                      const struct tree_key *key, uint32_t *id)
{
    for (struct index *index = *where; index;
         index = mt_load_acquire(&index->next)) {
        *where = index;
        for (uint64_t n = 0; n <= index->mask; n++) {
            uint64_t *at = &index->slots[(key->hash + n) & index->mask];
            uint64_t word = mt_load_acquire(at);
            if (word == EMPTY && !*id)
                return ABSENT;
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
    }
    return NO_ROOM;
}

/* Copies an id, unless that was done before. */
static void copy_slot(struct index *to, uint64_t word)
{
    MT_ASSERT(is_tree_node((uint32_t)word));
    MT_ASSERT(tree_hash(mt_tree_parent((uint32_t)word),
                        mt_tree_pc((uint32_t)word)) == word >> 32);
    for (uint64_t n = 0; n <= to->mask; n++) {
        uint64_t there = EMPTY;
        if (__atomic_compare_exchange_n(
                &to->slots[((word >> 32) + n) & to->mask], &there, word, false,
                __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
            __atomic_fetch_add(&to->used, 1, __ATOMIC_RELAXED);
            return;
        }
        if (there == word)
            return;
    }
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

/* Replaces the current index, and those after it up to `crowded`. */
static MT_COLD void tree_replace(const struct index *crowded)
{
    for (;;) {
        struct index *old = mt_load_acquire(&current);
        struct index *next =
            old->mask <= crowded->mask ? tree_successor(old) : NULL;
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
static uint32_t tree_new_node(const struct tree_key *key)
{
    if (mt_load_relaxed(&full))
        return 0;
    struct mt_node_record *node =
        mt_section_alloc(MT_SECTION_NODES, sizeof *node);
    if (!node || (uint64_t)(node - mt_tree_node(0)) > UINT32_MAX) {
        mt_store_relaxed(&full, 1);
        return 0;
    }
    node->pc = key->pc;
    mt_store_relaxed(&node->parent, key->parent);
    return (uint32_t)(node - mt_tree_node(0));
}

uint32_t mt_tree_child(uint32_t parent, uint64_t pc)
{
    struct tree_key key = {pc & MT_NODE_PC, parent, tree_hash(parent, pc)};
    struct index *index = mt_load_acquire(&current);
    uint32_t id = 0;
    if (MT_UNLIKELY(!index))
        return 0;
    if (MT_LIKELY(tree_probe(&index, &key, &id) == FOUND))
        return id;
    uint32_t added = id = tree_new_node(&key);
    if (!id)
        return 0;
    enum outcome outcome = tree_probe(&index, &key, &id);
    if (outcome == NO_ROOM)
        return 0;
    if (outcome == ADDED)
        tree_make_room(index);
    else
        mt_store_release(&mt_tree_node(added)->pc, 0); /* nobody's */
    return id;
}
