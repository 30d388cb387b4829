/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef MT_SYSTEM_LIBRARY_H
#define MT_SYSTEM_LIBRARY_H

#include <stdbool.h>

/* Is the module, by its path, libc, libstdc++ or the like? */
bool mt_module_is_library(const char *path);

#endif
