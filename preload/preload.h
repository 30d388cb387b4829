/* SPDX-License-Identifier: BSD-2-Clause
 *
 * preload.h - prototypes that glibc 2.36's headers do not have.
 */
#ifndef MT_PRELOAD_H
#define MT_PRELOAD_H

#include <stddef.h>

/* libc_blocks.c: before the program allocates anything. */
void mt_libc_start(void);

void *__libc_malloc(size_t);
void __libc_free(void *);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t align, size_t);
void *__libc_valloc(size_t);
void *__libc_pvalloc(size_t);
void cfree(void *);
void free_sized(void *, size_t);
void free_aligned_sized(void *, size_t align, size_t);

/* Functions of jemalloc's <jemalloc/jemalloc.h>. */
void *mallocx(size_t, int flags);
void *rallocx(void *, size_t, int flags);
size_t xallocx(void *, size_t, size_t extra, int flags);
size_t sallocx(const void *, int flags);
void dallocx(void *, int flags);
void sdallocx(void *, size_t, int flags);
size_t nallocx(size_t, int flags);

/* Functions of gperftools' <gperftools/tcmalloc.h>. */
void *tc_malloc(size_t);
void *tc_calloc(size_t count, size_t);
void *tc_realloc(void *, size_t);
void *tc_memalign(size_t align, size_t);
int tc_posix_memalign(void **, size_t align, size_t);
void *tc_valloc(size_t);
void *tc_pvalloc(size_t);
void tc_free(void *);
void tc_free_sized(void *, size_t);
size_t tc_malloc_size(void *);
void *tc_new(size_t);
void *tc_new_nothrow(size_t, const void *);
void *tc_new_aligned(size_t, size_t align);
void *tc_new_aligned_nothrow(size_t, size_t align, const void *);
void tc_delete_nothrow(void *, const void *);
void tc_delete_aligned(void *, size_t align);
void tc_delete_sized_aligned(void *, size_t, size_t align);
void tc_delete_aligned_nothrow(void *, size_t align, const void *);

/* Functions of LeakSanitizer's <sanitizer/lsan_interface.h>. */
void __lsan_ignore_object(const void *);
void __lsan_disable(void);
void __lsan_enable(void);
void __lsan_register_root_region(const void *, size_t);
void __lsan_unregister_root_region(const void *, size_t);
void __lsan_do_leak_check(void);
int __lsan_do_recoverable_leak_check(void);

#endif
