/* SPDX-License-Identifier: BSD-2-Clause
 *
 * callbacks.h - a target whose memory somebody else reads: a debugger.
 */
#ifndef MT_CALLBACKS_H
#define MT_CALLBACKS_H

#include "coreanalyze/reader.h"
#include "coreanalyze/source/source.h"

/* Copies all tables of `target`; keeps its functions and context. */
struct mt_source *
mt_source_open_callbacks(const struct memtrace_reader_target *target,
                         struct mt_error *error);

#endif
