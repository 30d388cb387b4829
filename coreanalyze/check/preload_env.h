/* SPDX-License-Identifier: BSD-2-Clause
 *
 * preload_env.h - the environment of programs on the traced heap.
 */
#ifndef MT_PRELOAD_ENV_H
#define MT_PRELOAD_ENV_H

#include <stdbool.h>

/* Puts the library at `path` first in LD_PRELOAD, unless `program` could not
 * run with it (mt_untraced_refuses).  False when out of memory. */
bool mt_preload_set(const char *path, const char *program);

#endif
