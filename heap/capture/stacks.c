/* SPDX-License-Identifier: BSD-2-Clause
 *
 * stacks.c - the stack table: every call stack once.
 *
 * A stack is a node of the tree of frames (frame_tree.c), that of its innermost
 * frame, and what else tells stacks with these frames apart: flags, and the
 * modules that the frames lie in. The records of one node make a list, which
 * only grows at its head, by compare-and-swap: who adds one has seen all
 * others.
 */
#include "heap/capture/stacks.h"
#include "heap/debug.h"
#include "heap/time_index.h"

#include "heap/capture/load_count.h"
#include "heap/capture/module_table.h"

#define ID_MASK ((UINT64_C(1) << MT_TAG_STACK_BITS) - 1)

struct stack_key {
    const uint64_t *frames; /* innermost first */
    unsigned n, flags;
    uint32_t node;
};

static uint32_t full; /* 1: the table takes no more */

bool mt_stacks_start(void)
{
    /* Ids below MT_STACK_FIRST have meanings of their own. */
    return mt_tree_start() &&
           mt_section_alloc(MT_SECTION_STACKS,
                            MT_STACK_FIRST * sizeof(struct mt_stack_record));
}

/* The id is that of a record that the table has given out. */
static inline MT_CHECK_ONLY bool is_recorded(uint64_t id)
{
    const struct mt_section_record *s =
        &memtrace_root->sections[MT_SECTION_STACKS];
    return id >= MT_STACK_FIRST &&
           id < mt_load_acquire(&s->used) / sizeof(struct mt_stack_record);
}

/* Looks in a list of records; 0: not there. */
static uint32_t stacks_find(uint32_t id, const struct stack_key *key)
{
    for (; id; id = mt_load_relaxed(&mt_stacks_record(id)->next)) {
        const struct mt_stack_record *s = mt_stacks_record(id);
        MT_ASSERT(is_recorded(id) && s->node == key->node);
        if (s->flags == key->flags &&
            mt_modules_match(key->frames, key->n, s->modules))
            return id;
    }
    return 0;
}

/* A finished record that no list has, or 0. */
static uint32_t new_record(const struct stack_key *key)
{
    if (mt_load_relaxed(&full))
        return 0;
    struct mt_stack_record *s = mt_section_alloc(MT_SECTION_STACKS, sizeof *s);
    if (!s || (uint64_t)(s - mt_stacks_record(0)) > ID_MASK) {
        mt_store_relaxed(&full, 1);
        return 0;
    }
    s->node = key->node;
    s->flags = (uint16_t)key->flags;
    s->first_epoch = mt_epoch_tick();
    s->modules = mt_modules_span(key->frames, key->n);
    mt_store_release(&s->depth, (uint16_t)key->n);
    return (uint32_t)(s - mt_stacks_record(0));
}

static MT_NOINLINE uint32_t stacks_add(const struct stack_key *key)
{
    uint32_t *head = &mt_tree_node(key->node)->stack;
    mt_modules_note(key->frames, key->n);
    uint32_t id = new_record(key), first = mt_load_acquire(head);
    if (!id)
        return MT_STACK_OVERFLOW;
    for (;;) {
        uint32_t other = stacks_find(first, key);
        if (other) { /* which another thread has just added */
            mt_store_release(&mt_stacks_record(id)->depth, 0);
            return other;
        }
        mt_store_relaxed(&mt_stacks_record(id)->next, first);
        if (__atomic_compare_exchange_n(head, &first, id, false,
                                        __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
            return id;
    }
}

/* The number of outermost frames that are those of the path. */
static unsigned path_shared(const struct mt_stack_path *path,
                            const uint64_t *frames, unsigned n)
{
    unsigned most = n < path->n ? n : path->n, i = 0;
    const uint64_t *outer = frames + n;
    while (i < most && path->frames[i] == *--outer)
        i++;
    return i;
}

/* The node of the innermost of these frames, 0: no room. */
static uint32_t stacks_node(const uint64_t *frames, unsigned n,
                            struct mt_stack_path *path)
{
    unsigned i = path ? path_shared(path, frames, n) : 0;
    uint32_t node = i ? path->nodes[i - 1] : MT_NODE_ROOT;
    if (path)
        path->n = i;
    for (; i < n; i++) {
        uint64_t pc = frames[n - 1 - i];
        node = mt_tree_child(node, pc);
        if (MT_UNLIKELY(!node))
            return 0;
        if (path) {
            path->frames[i] = pc;
            path->nodes[i] = node;
            path->n = i + 1;
        }
    }
    return node;
}

uint32_t mt_stacks_intern(const uint64_t *frames, unsigned n, unsigned flags,
                          struct mt_stack_path *path, bool *known)
{
    if (MT_UNLIKELY(mt_modules_unload_count(mt_modules_load_count()) != 0))
        mt_modules_note(frames, n);
    struct stack_key key = {frames, n, flags, stacks_node(frames, n, path)};
    *known = false;
    if (MT_UNLIKELY(!key.node))
        return MT_STACK_OVERFLOW;
    uint32_t id =
        stacks_find(mt_load_acquire(&mt_tree_node(key.node)->stack), &key);
    *known = id != 0;
    return MT_LIKELY(id != 0) ? id : stacks_add(&key);
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
