/* SPDX-License-Identifier: BSD-2-Clause
 *
 * preload.h - prototypes that glibc 2.36's headers do not have.
 */
#ifndef MT_PRELOAD_H
#define MT_PRELOAD_H

#include <stddef.h>

void cfree(void *);
void free_sized(void *, size_t);
void free_aligned_sized(void *, size_t align, size_t);

#endif
