/* SPDX-License-Identifier: BSD-2-Clause
 *
 * process_name.h - a process by another name than its pid.
 */
#ifndef MT_PROCESS_NAME_H
#define MT_PROCESS_NAME_H

#include "coreanalyze/base/error.h"

#include <stdbool.h>
#include <sys/types.h>

/* Finds the only process that `target` names: by the name of its program, by a
 * systemd unit ("nginx.service"), or by the folder of a cgroup.  `*pid` is 0 if
 * it names none.  False with `error` filled if it names several. */
bool mt_process_by_name(const char *target, pid_t *pid, struct mt_error *error);

#endif
