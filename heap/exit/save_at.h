/* SPDX-License-Identifier: BSD-2-Clause
 *
 * save_at.h - MEMTRACE=save_at=, core_at= and save_every=: files when memory
 * runs short, before the kernel or a limit ends the process, and as it grows.
 */
#ifndef MT_SAVE_AT_H
#define MT_SAVE_AT_H
#include <stdbool.h>
#include <stdint.h>

extern bool mt_save_at_is_set; /* a key was given */
extern bool mt_save_at_wanted; /* and a file is not written yet */

/* A share of the limits, or bytes that are resident; one of them is 0. */
void mt_save_at_set(bool core, uint32_t percent, uint64_t bytes);
/* What is resident has grown by a share, or by bytes, since the last file. */
void mt_save_every_set(uint32_t percent, uint64_t bytes);
/* The key whose file has no name, or NULL. */
const char *mt_save_at_lacks(void);
void mt_save_at_arm(void);
void mt_save_at_look(uint64_t bytes);

/* At start-up, and in the child of a fork. */
static inline void mt_save_at_begin(void)
{
    if (__builtin_expect(mt_save_at_is_set, false))
        mt_save_at_arm();
}

/* Slices are handed out, which the program will touch. */
static inline void mt_save_at_take(uint64_t bytes)
{
    if (__builtin_expect(mt_save_at_wanted, false))
        mt_save_at_look(bytes);
}

#endif
