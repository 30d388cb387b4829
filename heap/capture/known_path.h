/* SPDX-License-Identifier: BSD-2-Clause
 *
 * known_path.h - the stack that a thread unwound last, with the state of the
 * unwinding at each of its frames, so that the next unwinding ends where it
 * comes to a frame that is on it.  The theory is at the head of known_path.c.
 */
#ifndef MT_KNOWN_PATH_H
#define MT_KNOWN_PATH_H

#include "heap/capture/walk.h"

/* A frame, and what the step from it to its caller did. */
struct mt_path_frame {
    uint64_t pc, sp;
    /* rbp is in `slot`, and has the value `rbp` if the step read it; or has
     * that value (slot 0). */
    uint64_t slot, rbp;
    uint64_t also; /* another word that the step read: the caller's sp */
    uint32_t node;
    bool reads_slot;
    bool keeps_rbp; /* the caller's rbp is where the frame's is */
    bool needs_rbp; /* the way out depends on rbp as it is here */
};

struct mt_stack_path {
    uint32_t n;          /* frames, of which all have nodes */
    uint32_t round;      /* mt_root.stacks_round that it holds for, */
    uint64_t load_count; /* and mt_modules_load_count() */
    /* Of the walk under way: frames of the path that are the outermost ones of
     * the stack, and frames that are not. */
    uint32_t n_shared, n_fresh;
    bool uses_rbp; /* of the start */
    /* Stacks that it cannot unwind come together: after some in a row, as many
     * are not tried. */
    uint16_t failed, resting;
    /* Outermost first. A frame that another way of unwinding found has sp 0. */
    struct mt_path_frame frames[MT_DEPTH_MAX];
    struct mt_path_frame fresh[MT_DEPTH_MAX]; /* innermost first */
};

#define MT_PATH_REST 32 /* at most */

/* Unwinds from `start`, which is on the thread's own stack, readable in [low,
 * high), down to a frame of the path from which nothing has changed, or to the
 * outermost one.  False: that takes more than rules on rsp and rbp, or the
 * stack has more than `max` frames. */
bool mt_path_walk(struct mt_stack_path *p, const struct mt_regs *start,
                  uint64_t low, uint64_t high, unsigned max,
                  struct mt_cfi_work *work);
/* Puts the fresh frames onto the path: all but their nodes. */
void mt_path_take(struct mt_stack_path *p);
/* What an unwinding of all `n` frames of the path would have read. */
void mt_path_read_log(const struct mt_stack_path *p, uint32_t n,
                      struct mt_read_log *log);

#endif
