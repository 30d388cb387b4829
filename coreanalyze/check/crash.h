/* SPDX-License-Identifier: BSD-2-Clause
 *
 * crash.h - what a signal that ended a process says: where, at which address,
 * and what the heap knows of that address.
 */
#ifndef MT_CRASH_H
#define MT_CRASH_H

#include "coreanalyze/base/json.h"
#include "coreanalyze/check/follow.h"
#include "coreanalyze/ci/findings.h"
#include "coreanalyze/names/resolve.h"
#include "coreanalyze/reports/style.h"

/* Fills in signal, address, thread and backtrace, while the memory is all
 * there.  `exited` is NULL for a core: its first thread is the one. */
void mt_crash_find(struct mt_findings *findings, struct mt_resolver *resolver,
                   struct mt_source *source, const struct mt_exited *exited,
                   struct mt_crash *crash);

/* Fills in what is at the address, by the model that the resolver uses. */
void mt_crash_explain(struct mt_findings *findings,
                      struct mt_resolver *resolver, struct mt_model *model,
                      struct mt_crash *crash);

/* The lines below the headline of a process: the program's own frames, or in
 * the whole form all of them. */
void mt_crash_print(const struct mt_findings_process *p,
                    const struct mt_style *style, FILE *out);
void mt_crash_json(const struct mt_crash *crash, struct mt_json *json);

#endif
