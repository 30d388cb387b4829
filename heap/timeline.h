/* SPDX-License-Identifier: BSD-2-Clause
 *
 * timeline.h - totals over time, in the section `samples` of the trace.
 */
#ifndef MT_TIMELINE_H
#define MT_TIMELINE_H

#include <stdint.h>

/* Start-up: samples are taken from now on. */
void mt_timeline_start(void);
/* In the child of a fork: the thread that was taking a sample is not here. */
void mt_timeline_fork_child(void);

#endif
