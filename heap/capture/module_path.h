/* SPDX-License-Identifier: BSD-2-Clause
 *
 * module_path.h - the path of a loaded object's file.  AS-safe.
 */
#ifndef MT_MODULE_PATH_H
#define MT_MODULE_PATH_H

#include <stdint.h>

struct link_map;

/* The offset in the strings section, or 0, of the path of the object that the
 * linker knows by `map` and that begins at `start`. */
uint32_t mt_module_path(const struct link_map *map, uint64_t start);

#endif
