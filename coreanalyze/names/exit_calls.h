/* SPDX-License-Identifier: BSD-2-Clause
 *
 * exit_calls.h - the calls by which a thread ends its process.
 *
 * A frame has words that no one has written to, with what earlier calls left
 * there.  Those of exit() and abort() lie where the program's own frames were
 * a moment ago: a search of them finds pointers to blocks that are lost.
 */
#ifndef MT_EXIT_CALLS_H
#define MT_EXIT_CALLS_H

#include "coreanalyze/names/resolve.h"

/* Gives each thread that is in exit() or abort() the registers that its caller
 * has, as far as they are kept, so that a search begins there.  Returns the
 * threads as they were, NULL where nothing was changed. */
struct mt_thread *mt_leave_exit_calls(struct mt_resolver *resolver,
                                      struct mt_source *source);
/* Undoes that.  Takes NULL. */
void mt_reenter_exit_calls(struct mt_source *source, struct mt_thread *threads);

#endif
