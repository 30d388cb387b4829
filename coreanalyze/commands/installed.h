/* SPDX-License-Identifier: BSD-2-Clause
 *
 * installed.h - where the files that belong to the command lie: beside it in a
 * build tree, below a prefix that was moved, or in the configured prefix.
 */
#ifndef MT_INSTALLED_H
#define MT_INSTALLED_H

#include "coreanalyze/base/error.h"

#include <limits.h>
#include <stdbool.h>

/* The library that traced programs are started with; MEMTRACE_PRELOAD in the
 * environment names another one.  `command` begins the error's line. */
bool mt_installed_preload(const char *command, char path[PATH_MAX],
                          struct mt_error *error);

/* The script that defines GDB's commands. */
bool mt_installed_gdb_script(const char *command, char path[PATH_MAX],
                             struct mt_error *error);

/* The folder of suppressions for well-known libraries; "" if there is none. */
void mt_installed_suppressions(char path[PATH_MAX]);

#endif
