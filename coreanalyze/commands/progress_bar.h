/* SPDX-License-Identifier: BSD-2-Clause
 *
 * progress_bar.h - what a terminal shows of a long step, and the user's way to
 * stop it: SIGINT.
 */
#ifndef MT_PROGRESS_BAR_H
#define MT_PROGRESS_BAR_H

#include "coreanalyze/source/source.h"

#include <time.h>

struct mt_progress_bar {
    struct mt_progress progress; /* to be passed on; lives as long as this */
    struct timespec start;
    bool on_terminal, shown;
    unsigned percent;
};

/* From now on SIGINT ends the current step, so that a stopped target resumes; a
 * second one ends the program. Called once in a process. */
void mt_progress_bar_begin(struct mt_progress_bar *progress);
/* Clears the line. */
void mt_progress_bar_end(struct mt_progress_bar *progress);
/* Ends the program as SIGINT does, if there was one. */
void mt_progress_bar_exit_by_signal(void);

#endif
