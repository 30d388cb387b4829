/* SPDX-License-Identifier: BSD-2-Clause
 *
 * meter.h - what a terminal shows of a long step, and the user's way to stop
 * it: SIGINT.
 */
#ifndef MT_METER_H
#define MT_METER_H

#include "coreanalyze/source/source.h"

#include <time.h>

struct mt_meter {
    struct mt_progress progress; /* to be passed on; lives as long as this */
    struct timespec start;
    bool on_terminal, shown;
    unsigned percent;
};

/* From now on SIGINT ends the step at hand, so that what was stopped is let
 * go; a second one ends the program.  Once in a process. */
void mt_meter_begin(struct mt_meter *meter);
/* Clears the line. */
void mt_meter_end(struct mt_meter *meter);
bool mt_meter_interrupted(void);
/* Ends the program as SIGINT does, if there was one. */
void mt_meter_exit_by_signal(void);

#endif
