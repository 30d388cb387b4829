/* SPDX-License-Identifier: BSD-2-Clause
 *
 * refused.h - programs that run without this library.
 */
#ifndef MT_REFUSED_H
#define MT_REFUSED_H

#include <stdbool.h>

/* Would the program refuse this library, or be harmed by it?  It is at the path
 * from the folder, or the file of that descriptor if the path is "". False for
 * what can not be read. AS-safe. */
bool mt_runs_untraced(int folder, const char *path);

#endif
