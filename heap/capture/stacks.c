/* SPDX-License-Identifier: BSD-2-Clause
 *
 * stacks.c - the stack table: every call stack once.
 *
 * A stack is a node of the tree of frames (frame_tree.c), that of its innermost
 * frame, and what else tells stacks with these frames apart: flags, and the
 * modules that the frames lie in. The records of one node make a list, which
 * only grows at its head, by compare-and-swap: who adds one has seen all
 * others.
 *
 * A stack whose innermost frames do not fit is recorded without
 * them (MT_STACK_COARSE): as a stack of the outermost, of which there are
 * fewer. A collection (collect.c) takes dead records out of the lists.
 */
#include "heap/capture/stacks.h"
#include "heap/debug.h"
#include "heap/time_index.h"

#include "heap/capture/load_count.h"
#include "heap/capture/module_table.h"

#define OUTERMOST 4 /* frames of which a stack is to have room at least */
#define ID_MASK ((UINT64_C(1) << MT_TAG_STACK_BITS) - 1)

struct stack_key {
    const uint64_t *frames; /* innermost first; NULL: those of `outer`, */
    uint64_t *buffer;       /* which go here when they are wanted */
    const struct mt_path_frame *outer;
    unsigned n, flags;
    uint32_t node;
};

static uint32_t full; /* 1: the section takes no more */
static struct mt_free_ids free_records;
uint32_t mt_stacks_entered, mt_stacks_crowded;
uint64_t mt_stacks_trigger = MT_STACKS_TRIGGER;

bool mt_stacks_start(void)
{
    /* Ids below MT_STACK_FIRST have meanings of their own.  No stack has a
     * record before there is a tree. */
    return (memtrace_root->sections[MT_SECTION_STACKS].used ||
            mt_section_alloc(MT_SECTION_STACKS,
                             MT_STACK_FIRST *
                                 sizeof(struct mt_stack_record))) &&
           mt_tree_start();
}

/* The id is that of a record that the table has given out. */
static inline MT_CHECK_ONLY bool is_recorded(uint64_t id)
{
    const struct mt_section_record *s =
        &memtrace_root->sections[MT_SECTION_STACKS];
    return id >= MT_STACK_FIRST &&
           id < mt_load_acquire(&s->used) / sizeof(struct mt_stack_record);
}

/* Changes the state of a record that is `from`. */
static inline bool record_turn(struct mt_stack_record *s, uint32_t from,
                               uint32_t to)
{
    return mt_load_relaxed(&s->state) == from &&
           __atomic_compare_exchange_n(&s->state, &from, to, false,
                                       __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

/* False: it is dead. */
static inline bool record_is_live(struct mt_stack_record *s)
{
    record_turn(s, MT_TREE_CONDEMNED, MT_TREE_LIVE);
    uint32_t state = mt_load_acquire(&s->state);
    return state == MT_TREE_LIVE || state == MT_TREE_PINNED;
}

static MT_COLD const uint64_t *key_frames(struct stack_key *key)
{
    for (unsigned i = 0; i < key->n && !key->frames; i++)
        key->buffer[i] = key->outer[key->n - 1 - i].pc;
    return key->frames ? key->frames : key->buffer;
}

/* As mt_modules_match(): most programs have nothing to look at. */
static inline bool key_matches(struct stack_key *key, uint32_t modules)
{
    return MT_LIKELY(!mt_modules_any_contested()) ||
           mt_modules_match(key_frames(key), key->n, modules);
}

/* Looks in a list of records; 0: not there. */
static uint32_t stacks_find(uint32_t id, struct stack_key *key)
{
    for (; id; id = mt_load_relaxed(&mt_stacks_record(id)->next)) {
        struct mt_stack_record *s = mt_stacks_record(id);
        MT_ASSERT(is_recorded(id));
        if (s->node == key->node && s->flags == key->flags &&
            key_matches(key, s->modules) && record_is_live(s))
            return id;
    }
    return 0;
}

/* --- room --- */

/* A free record's id, or 0. */
static uint32_t stacks_take_free(void)
{
    uint64_t head = mt_load_acquire(&free_records.head), next;
    do {
        if ((uint32_t)head == 0)
            return 0;
        next = (head & ~(uint64_t)UINT32_MAX) + (UINT64_C(1) << 32) +
               mt_load_relaxed(&mt_stacks_record((uint32_t)head)->next);
    } while (!__atomic_compare_exchange_n(&free_records.head, &head, next,
                                          false, __ATOMIC_ACQ_REL,
                                          __ATOMIC_ACQUIRE));
    __atomic_fetch_sub(&free_records.n, 1, __ATOMIC_RELAXED);
    return (uint32_t)head;
}

uint64_t mt_stacks_in_use(void)
{
    return mt_load_relaxed(&memtrace_root->stacks_bytes) -
           mt_tree_free_bytes() -
           mt_load_relaxed(&free_records.n) * sizeof(struct mt_stack_record);
}

/* Nobody has the record any longer. */
static void record_clear(struct mt_stack_record *s)
{
    mt_store_release(&s->depth, 0);
    mt_store_release(&s->state, MT_TREE_FREE);
}

/* A record of nobody's, or 0. */
static uint32_t stacks_take(bool urgent)
{
    uint32_t id = stacks_take_free();
    if (id)
        return id;
    if (mt_load_relaxed(&full) ||
        !mt_tree_reserve(sizeof(struct mt_stack_record), urgent))
        return 0;
    struct mt_stack_record *s = mt_section_alloc(MT_SECTION_STACKS, sizeof *s);
    if (!s || (uint64_t)(s - mt_stacks_record(0)) > ID_MASK) {
        mt_store_relaxed(&full, 1);
        return 0;
    }
    return (uint32_t)(s - mt_stacks_record(0));
}

/* A finished record that no list has, or 0. */
static uint32_t new_record(struct stack_key *key)
{
    uint32_t id = stacks_take(key->flags & MT_STACK_COARSE);
    struct mt_stack_record *s = mt_stacks_record(id);
    uint64_t in_use = mt_stacks_in_use(), limit = mt_tree_limit();
    if (in_use - mt_tree_index_bytes() > mt_load_relaxed(&mt_stacks_trigger) ||
        in_use > limit - limit / 4)
        mt_store_relaxed(&mt_stacks_crowded, 1);
    if (!id)
        return 0;
    s->node = key->node;
    s->flags = (uint16_t)key->flags;
    s->allocs = s->bytes = 0;
    s->first_epoch = mt_epoch_tick();
    s->modules = mt_modules_any_contested()
                     ? mt_modules_span(key_frames(key), key->n)
                     : mt_modules_count();
    mt_store_release(&s->depth, (uint16_t)key->n);
    mt_store_release(&s->state, MT_TREE_LIVE);
    return id;
}

/* 0: no room. */
static MT_NOINLINE uint32_t stacks_add(struct stack_key *key)
{
    uint32_t *head = &mt_tree_node(key->node)->stack;
    uint32_t id = new_record(key), first = mt_load_acquire(head);
    if (!id)
        return 0;
    for (;;) {
        uint32_t other = stacks_find(first, key);
        if (other) { /* which another thread has just added */
            record_clear(mt_stacks_record(id));
            mt_free_ids_put(&free_records, 1, id, &mt_stacks_record(id)->next);
            return other;
        }
        mt_store_relaxed(&mt_stacks_record(id)->next, first);
        if (__atomic_compare_exchange_n(head, &first, id, false,
                                        __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
            return id;
    }
}

/* Records the stack, or if it does not fit, one of its callers. */
static MT_COLD uint32_t stacks_add_any(struct stack_key key)
{
    uint32_t id = stacks_add(&key);
    while (!id && key.n > 1) {
        mt_store_relaxed(&mt_stacks_crowded, 1);
        key.frames += key.frames != NULL;
        key.n--;
        key.flags |= MT_STACK_COARSE;
        key.node = mt_tree_parent(key.node);
        id = stacks_find(mt_load_acquire(&mt_tree_node(key.node)->stack), &key);
        if (!id)
            id = stacks_add(&key);
    }
    return id ? id : MT_STACK_OVERFLOW;
}

/* --- interning --- */

/* The number of outermost frames that are those of the path, with nodes. */
static unsigned path_shared(const struct mt_stack_path *path,
                            const uint64_t *frames, unsigned n)
{
    unsigned most = n < path->n_nodes ? n : path->n_nodes, i = 0;
    const uint64_t *outer = frames + n;
    while (i < most && path->frames[i].pc == *--outer)
        i++;
    return i;
}

void mt_stacks_check_path(struct mt_stack_path *path)
{
    uint32_t round = mt_load_acquire(&memtrace_root->stacks_round);
    uint64_t load_count = mt_modules_load_count();
    if (MT_LIKELY(path->round == round && path->load_count == load_count))
        return;
    mt_path_drop(path);
    path->round = round;
    path->load_count = load_count;
}

/* The innermost frames do not fit: only the others are recorded. */
static MT_COLD void key_cut(struct stack_key *key, unsigned n)
{
    mt_store_relaxed(&mt_stacks_crowded, 1);
    if (key->frames)
        key->frames += key->n - n;
    key->n = n;
    key->flags |= MT_STACK_COARSE;
}

static MT_COLD void key_note(struct stack_key *key, unsigned shared)
{
    mt_modules_note(key_frames(key), key->n - shared);
}

/* The id of the stack with the node of its innermost frame. */
static inline uint32_t stacks_id(struct stack_key *key, bool *known)
{
    *known = false;
    if (MT_UNLIKELY(!key->node))
        return MT_STACK_OVERFLOW;
    uint32_t id =
        stacks_find(mt_load_acquire(&mt_tree_node(key->node)->stack), key);
    *known = id != 0;
    return MT_LIKELY(id != 0) ? id : stacks_add_any(*key);
}

/* Finds or adds the nodes, from the outermost on; fewer if there is no room. */
static void stacks_walk(struct stack_key *key, struct mt_stack_path *path)
{
    unsigned i = 0;
    if (path) {
        mt_stacks_check_path(path);
        if (path->first)
            mt_path_drop(path);
        i = path_shared(path, key->frames, key->n);
        path->n = path->n_nodes = i;
    }
    if (MT_UNLIKELY(!mt_modules_settled(mt_modules_load_count())))
        key_note(key, i);
    key->node = i ? path->frames[i - 1].node : MT_NODE_ROOT;
    for (; i < key->n; i++) {
        uint64_t pc = key->frames[key->n - 1 - i];
        uint32_t node = mt_tree_child(key->node, pc, i < OUTERMOST);
        if (MT_UNLIKELY(!node)) {
            key_cut(key, i);
            break;
        }
        key->node = node;
        if (path) {
            path->frames[i] = (struct mt_path_frame){.pc = pc, .node = node};
            path->n = path->n_nodes = i + 1;
        }
    }
}

uint32_t mt_stacks_intern(const uint64_t *frames, unsigned n, unsigned flags,
                          struct mt_stack_path *path, bool *known)
{
    struct stack_key key = {.frames = frames, .n = n, .flags = flags};
    stacks_walk(&key, path);
    return stacks_id(&key, known);
}

/* Takes the stack that was walked to onto the path, of which the frames from
 * `first` on are wanted; returns where those that have no nodes begin. */
static inline unsigned path_move(struct mt_stack_path *path, unsigned first)
{
    unsigned i = path->n_shared, n = i + path->n_fresh;
    if (path->first != first)
        i = 0; /* a node is that of one row of callers */
    path->n = path->n_shared;
    i = i < path->n_nodes ? i : path->n_nodes;
    i = i < first ? first : i;
    path->first = first;
    path->n_nodes = i;
    mt_path_take(path);
    path->n = n;
    return i;
}

uint32_t mt_stacks_intern_path(struct mt_stack_path *path, unsigned depth,
                               uint64_t *buffer, bool *known)
{
    unsigned n = path->n_shared + path->n_fresh;
    unsigned first = n > depth ? n - depth : 0;
    bool same_first = path->first == first;
    unsigned i = path_move(path, first);
    struct stack_key key = {.outer = &path->frames[first],
                            .buffer = buffer,
                            .n = n - first,
                            .flags = first ? MT_STACK_TRUNCATED : 0};
    if (MT_UNLIKELY(!mt_modules_settled(path->load_count)))
        key_note(&key, i - first);
    key.node = i > first ? path->frames[i - 1].node : MT_NODE_ROOT;
    if (MT_UNLIKELY(i < path->n_shared && same_first &&
                    path->no_room == mt_tree_room())) {
        key_cut(&key, i - first);
        n = i;
    }
    for (; i < n; i++) {
        struct mt_path_frame *f = &path->frames[i];
        uint32_t node = mt_tree_child(key.node, f->pc, i - first < OUTERMOST);
        if (MT_UNLIKELY(!node)) {
            path->no_room = mt_tree_room();
            key_cut(&key, i - first);
            break;
        }
        key.node = f->node = node;
        path->n_nodes = i + 1;
    }
    return stacks_id(&key, known);
}

void mt_stacks_pin(uint32_t id)
{
    struct mt_stack_record *s = mt_stacks_record(id);
    while (id >= MT_STACK_FIRST && mt_load_relaxed(&s->state) != MT_TREE_PINNED)
        if (!record_turn(s, MT_TREE_LIVE, MT_TREE_PINNED))
            record_turn(s, MT_TREE_CONDEMNED, MT_TREE_PINNED);
}

void mt_stacks_enter(void)
{
    __atomic_fetch_add(&mt_stacks_entered, 1, __ATOMIC_SEQ_CST);
}

void mt_stacks_leave(void)
{
    __atomic_fetch_sub(&mt_stacks_entered, 1, __ATOMIC_SEQ_CST);
}

unsigned mt_stacks_frames(uint32_t id, uint64_t frames[MT_DEPTH_MAX])
{
    const struct mt_stack_record *s = mt_stacks_record(id);
    uint32_t node = s->node;
    unsigned n = 0, depth = mt_load_acquire(&s->depth);
    for (; n < depth && n < MT_DEPTH_MAX && node; n++) {
        frames[n] = mt_tree_pc(node);
        node = mt_tree_parent(node);
    }
    return n;
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

/* --- collections --- */

static uint32_t stacks_end(void)
{
    return (uint32_t)(mt_load_acquire(
                          &memtrace_root->sections[MT_SECTION_STACKS].used) /
                      sizeof(struct mt_stack_record));
}

void mt_stacks_condemn(void)
{
    for (uint32_t id = MT_STACK_FIRST, end = stacks_end(); id < end; id++)
        record_turn(mt_stacks_record(id), MT_TREE_LIVE, MT_TREE_CONDEMNED);
}

void mt_stacks_revive(uint32_t id)
{
    if (id >= MT_STACK_FIRST && id < stacks_end())
        record_turn(mt_stacks_record(id), MT_TREE_CONDEMNED, MT_TREE_LIVE);
}

bool mt_stacks_is_condemned(uint32_t id)
{
    return id >= MT_STACK_FIRST && id < stacks_end() &&
           __atomic_load_n(&mt_stacks_record(id)->state, __ATOMIC_SEQ_CST) ==
               MT_TREE_CONDEMNED;
}

/* Others may add to the list at its head. */
static void stacks_unlink(uint32_t id, struct mt_stack_record *s)
{
    uint32_t *link = &mt_tree_node(s->node)->stack, at = mt_load_acquire(link);
    if (at == id &&
        __atomic_compare_exchange_n(link, &at, s->next, false, __ATOMIC_ACQ_REL,
                                    __ATOMIC_ACQUIRE))
        return;
    for (; at; at = mt_load_relaxed(link)) {
        if (at == id) {
            mt_store_release(link, s->next);
            return;
        }
        link = &mt_stacks_record(at)->next;
    }
}

void mt_stacks_sweep(void)
{
    struct mt_root *root = memtrace_root;
    uint32_t end = stacks_end();
    for (uint32_t id = MT_STACK_FIRST; id < end; id++) {
        struct mt_stack_record *s = mt_stacks_record(id);
        if (record_turn(s, MT_TREE_CONDEMNED, MT_TREE_DEAD)) {
            root->dropped_stacks++; /* nobody else writes them */
            root->dropped_allocs += s->allocs;
            root->dropped_bytes += s->bytes;
        }
        /* An earlier collection may have ended before it did this. */
        if (mt_load_relaxed(&s->state) == MT_TREE_DEAD)
            stacks_unlink(id, s);
    }
    for (uint32_t id = MT_STACK_FIRST; id < end; id++)
        if (record_is_live(mt_stacks_record(id)))
            mt_tree_mark(mt_stacks_record(id)->node);
}

void mt_stacks_release(void)
{
    struct mt_free_chain chain = {0};
    for (uint32_t id = MT_STACK_FIRST, end = stacks_end(); id < end; id++) {
        struct mt_stack_record *s = mt_stacks_record(id);
        if (mt_load_relaxed(&s->state) != MT_TREE_DEAD)
            continue;
        record_clear(s);
        mt_free_ids_add(&free_records, &chain, id, &s->next);
    }
    mt_free_ids_end(&free_records, &chain);
}
