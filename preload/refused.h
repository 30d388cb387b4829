/* SPDX-License-Identifier: BSD-2-Clause
 *
 * refused.h - programs that run without this library.
 */
#ifndef MT_REFUSED_H
#define MT_REFUSED_H

#include <stdbool.h>

/* Would the program at the path refuse this library, or be harmed by it? False
 * for what can not be read. AS-safe. */
bool mt_runs_untraced(const char *path);

#endif
