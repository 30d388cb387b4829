/* SPDX-License-Identifier: BSD-2-Clause
 *
 * when.h - moments in a trace: an age, a mark, or an epoch.
 */
#ifndef MT_WHEN_H
#define MT_WHEN_H

#include "coreanalyze/snapshot/model.h"

enum mt_when_kind {
    MT_WHEN_NOT, /* not given */
    MT_WHEN_AGE,
    MT_WHEN_MARK,
    MT_WHEN_EPOCH,
};

struct mt_when {
    enum mt_when_kind kind;
    double seconds; /* AGE: before the newest epoch */
    uint64_t epoch; /* EPOCH: its index */
    /* MARK: its label.  EPOCH: the text, which wins if it is a label too.  Not
     * owned. */
    const char *text;
};

/* "30", "30s", "5m", "2h", "1d": an age.  "@17": an epoch.  All else is the
 * label of a mark. */
struct mt_when mt_when_parse(const char *text);

/* The first epoch that is not before the moment; of a label that was used
 * more than once, the newest mark before epoch `before`.  An age beyond the
 * trace's gives 0, an age of 0 the newest epoch.  False: the trace has no such
 * mark or epoch. */
bool mt_when_epoch(const struct mt_model *model, const struct mt_when *when,
                   uint64_t before, uint32_t *epoch, struct mt_error *error);

#endif
