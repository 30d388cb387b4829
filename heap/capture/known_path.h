/* SPDX-License-Identifier: BSD-2-Clause
 *
 * known_path.h - the stack that a thread unwound last, with the state of the
 * unwinding at each of its frames, so that the next unwinding ends where it
 * comes to a frame that is on it.  The theory is at the head of known_path.c.
 */
#ifndef MT_KNOWN_PATH_H
#define MT_KNOWN_PATH_H

#include "heap/capture/walk.h"

/* A frame, and what the unwinding knew there. */
struct mt_path_frame {
    uint64_t pc, sp;
    uint64_t rbp; /* its value, or the place where it is saved */
    uint32_t node;
    /* Words that the step to the caller read beside the return address; of the
     * path's frames, those of the steps further out, too. */
    uint16_t n_words;
    uint8_t flags;
};
#define MT_PATH_IN_SLOT 1u   /* rbp is saved */
#define MT_PATH_NEEDS_RBP 2u /* the way out depends on rbp as it is here */
#define MT_PATH_KEEPS_RBP 4u /* the caller's rbp is where the frame's is */

/* A word of the stack other than a return address. */
struct mt_path_word {
    uint64_t address, value;
};

#define MT_PATH_WORDS (2 * MT_DEPTH_MAX)

struct mt_stack_path {
    /* Frames. Those from `first` on and before `n_nodes` have nodes; the others
     * found no room, or were too many callers for the stack. */
    uint32_t n, first, n_nodes;
    uint64_t no_room;    /* mt_tree_room() when the first of those found none */
    uint32_t round;      /* mt_root.stacks_round that it holds for, */
    uint64_t load_count; /* and mt_modules_load_count() */
    /* Of the walk under way: frames of the path that are the outermost ones of
     * the stack, and frames that are not. */
    uint32_t n_shared, n_fresh, n_fresh_words;
    bool uses_rbp; /* of the start */
    /* Stacks that it cannot unwind come together: after some in a row, as many
     * are not tried. */
    uint16_t failed, resting;
    /* Outermost first. A frame that another way of unwinding found has sp 0.
     * Those of the walk are at the end of their arrays, next to the beginning
     * of others, so that few pages are touched. */
    struct mt_path_frame frames[MT_DEPTH_MAX], fresh[MT_DEPTH_MAX];
    struct mt_path_word words[MT_PATH_WORDS], fresh_words[MT_PATH_WORDS];
};

#define MT_PATH_REST 32 /* at most */

/* Unwinds from `start`, which is on the thread's own stack, readable in [low,
 * high), down to a frame of the path from which nothing has changed, or to the
 * outermost one.  False: that takes more than rules on rsp and rbp, or the
 * stack has more than MT_DEPTH_MAX frames. */
bool mt_path_walk(struct mt_stack_path *p, const struct mt_regs *start,
                  uint64_t low, uint64_t high, struct mt_cfi_work *work);
static inline void mt_path_drop(struct mt_stack_path *p)
{
    p->n = p->first = p->n_nodes = 0;
}
/* Puts the fresh frames onto the path: all but their nodes. */
void mt_path_take(struct mt_stack_path *p);
/* What an unwinding of the path's frames from `first` on would have read. */
void mt_path_read_log(const struct mt_stack_path *p, struct mt_read_log *log);

#endif
