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

/* Of jemalloc's <jemalloc/jemalloc.h>. */
void *mallocx(size_t, int flags);
void *rallocx(void *, size_t, int flags);
size_t xallocx(void *, size_t, size_t extra, int flags);
size_t sallocx(const void *, int flags);
void dallocx(void *, int flags);
void sdallocx(void *, size_t, int flags);
size_t nallocx(size_t, int flags);

/* Of LeakSanitizer's <sanitizer/lsan_interface.h>. */
void __lsan_ignore_object(const void *);
void __lsan_disable(void);
void __lsan_enable(void);
void __lsan_register_root_region(const void *, size_t);
void __lsan_unregister_root_region(const void *, size_t);
void __lsan_do_leak_check(void);
int __lsan_do_recoverable_leak_check(void);

#endif
