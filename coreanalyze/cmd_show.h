/* SPDX-License-Identifier: BSD-2-Clause
 *
 * cmd_show.h - options that commands with rows of stacks share.
 */
#ifndef MT_CMD_SHOW_H
#define MT_CMD_SHOW_H

#include "coreanalyze/options.h"
#include "coreanalyze/show.h"

/* Each reads args->value. */
bool mt_take_sort(const struct mt_args *args, enum mt_show_sort *sort,
                  struct mt_error *error);
bool mt_take_depth(const struct mt_args *args, unsigned *depth,
                   struct mt_error *error);

#endif
