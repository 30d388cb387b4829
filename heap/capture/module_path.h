/* SPDX-License-Identifier: BSD-2-Clause
 *
 * module_path.h - the path of a loaded object's file.  AS-safe.
 */
#ifndef MT_MODULE_PATH_H
#define MT_MODULE_PATH_H

#include "heap/capture/object.h"

/* Its offset in the strings section, or 0. */
uint32_t mt_module_path(const struct mt_object *);

#endif
