/* SPDX-License-Identifier: BSD-2-Clause
 *
 * coredump_store.h - the cores that systemd-coredump keeps.
 */
#ifndef MT_COREDUMP_STORE_H
#define MT_COREDUMP_STORE_H

#include "coreanalyze/base/error.h"

/* Begins a target's name that is followed by a pid: a core of that store. */
#define MT_COREDUMP_PREFIX "coredump:"

/* The newest core of process `pid`, whose store is below the folder `root`
 * (NULL: "/").  The path, which the caller frees; NULL with `error` filled. */
char *mt_coredump_find(const char *root, const char *pid,
                       struct mt_error *error);

#endif
