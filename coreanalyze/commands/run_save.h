/* SPDX-License-Identifier: BSD-2-Clause
 *
 * run_save.h - a program that leaves a mini-core when it ends.
 */
#ifndef MT_RUN_SAVE_H
#define MT_RUN_SAVE_H

#include "coreanalyze/base/error.h"

/* Runs argv[0] with `preload` on the traced heap; at its end, and at that of
 * its children if there is a %p in `pattern`, saves the trace in the file of
 * that name.  Returns the exit status of the program, 128 + N for signal N, or
 * 1 with `error` filled if that was 0 and it could not be saved. */
int mt_run_save(char *const *argv, const char *preload, const char *pattern,
                struct mt_error *error);

#endif
