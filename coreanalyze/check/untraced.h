/* SPDX-License-Identifier: BSD-2-Clause
 *
 * untraced.h - why a process is not on the traced heap, by its program.
 */
#ifndef MT_UNTRACED_H
#define MT_UNTRACED_H

#include "coreanalyze/base/elf_file.h"

#include <stddef.h>
#include <sys/types.h>

/* A sentence about the program of a process or thread that still has its
 * memory; false if its program does not say why. */
bool mt_untraced_why(pid_t pid, char *text, size_t bytes);
/* Puts that sentence into an error that says no more than that a process is not
 * on the traced heap. */
void mt_untraced_explain(pid_t pid, struct mt_error *error);
/* The same, with the sentence of mt_untraced_child_why(). */
void mt_untraced_explain_child(pid_t pid, struct mt_error *error);
/* The same of a process below a command that preloads the library; its
 * environment may say why, too. */
bool mt_untraced_child_why(pid_t pid, char *text, size_t bytes);
/* The sentence about a program that is yet to run; it is found as execvp(3)
 * finds it. */
bool mt_untraced_file_why(const char *name, char *text, size_t bytes);

/* The sanitizer that such a process runs with, or NULL.  Its shadow memory is
 * terabytes of address space. */
const char *mt_untraced_sanitizer(pid_t pid);

/* Files of programs that were found to have none, the last ones. */
#define MT_UNTRACED_PLAIN 16u
struct mt_untraced_plain {
    struct mt_elf_version files[MT_UNTRACED_PLAIN];
    unsigned next;
};
/* Is a process that has just called execve(2), and has no library yet, built
 * with a sanitizer? */
bool mt_untraced_at_start(struct mt_untraced_plain *, pid_t pid);

/* The sanitizer that a program is built with, or NULL; the program is found as
 * execvp(3) finds it.  It would not start with the library. */
const char *mt_untraced_program(const char *name);
/* Is the program one that does not run as ever with the library: with a
 * sanitizer, of 32 bits or another machine, or of another libc? */
bool mt_untraced_refuses(const char *name);

#endif
