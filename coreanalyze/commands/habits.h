/* SPDX-License-Identifier: BSD-2-Clause
 *
 * habits.h - words that a person brings from Valgrind, heaptrack, perf or GDB,
 * and how to say the same here.
 */
#ifndef MT_HABITS_H
#define MT_HABITS_H

#include <stdbool.h>
#include <stddef.h>

/* What to write in the place of an option that no command has; NULL if it is
 * not known.  `option` begins with its dashes. */
const char *mt_habit_option(const char *option);

/* Fills in what to write in the place of a word that is not a command: the name
 * of another tool's command, a process, a program or a file.  False if the word
 * is none of these. */
bool mt_habit_command(const char *word, char *text, size_t bytes);

#endif
