/* SPDX-License-Identifier: BSD-2-Clause
 *
 * tcmalloc_api.c - the functions of gperftools' <gperftools/tcmalloc.h> that
 * give, change and take blocks, on the main heap.  In a program that is linked
 * with tcmalloc they are malloc, free and operator new by other names, and so
 * they are here.
 *
 * tc_version, tc_mallinfo, tc_malloc_stats and what else asks or tunes
 * tcmalloc itself stay tcmalloc's.
 */
#include "heap/seldom.h"
#include "heap/fast.h"
#include "preload/preload.h"

#include <errno.h>
#include <stddef.h>
#include <unistd.h>

#define ALIAS(name, target)                                                    \
    MT_EXPORT __typeof(target) name __attribute__((alias(#target)))

/* new.S */
void *mt_enter_new(size_t size);
void *mt_enter_new_nothrow(size_t size, const void *nothrow);
void *mt_enter_new_aligned(size_t size, size_t align);
void *mt_enter_new_aligned_nothrow(size_t size, size_t align,
                                   const void *nothrow);

MT_EXPORT void *tc_malloc(size_t size)
{
    return mt_enter_malloc(size);
}

MT_EXPORT void *tc_calloc(size_t count, size_t size)
{
    return mt_enter_calloc(count, size);
}

MT_EXPORT void *tc_realloc(void *block, size_t size)
{
    return mt_enter_realloc(block, size);
}

static bool tc_is_power_of_two(size_t n)
{
    return n && (n & (n - 1)) == 0;
}

MT_EXPORT void *tc_memalign(size_t align, size_t size)
{
    if (!tc_is_power_of_two(align)) {
        errno = EINVAL;
        return NULL;
    }
    return mt_enter_aligned(align, size);
}

MT_EXPORT int tc_posix_memalign(void **out, size_t align, size_t size)
{
    if (!tc_is_power_of_two(align) || align % sizeof(void *) != 0)
        return EINVAL;
    return mt_enter_posix(out, align, size);
}

MT_EXPORT void *tc_valloc(size_t size)
{
    return mt_enter_aligned((size_t)getpagesize(), size);
}

MT_EXPORT void *tc_pvalloc(size_t size)
{
    size_t page = (size_t)getpagesize();
    if (size > PTRDIFF_MAX) {
        errno = ENOMEM;
        return NULL;
    }
    size = size ? (size + page - 1) & ~(page - 1) : page;
    return mt_enter_aligned(page, size);
}

MT_EXPORT void tc_free(void *block)
{
    mt_free(block);
}

MT_EXPORT void tc_free_sized(void *block, size_t size)
{
    (void)size;
    mt_free(block);
}

MT_EXPORT size_t tc_malloc_size(void *block)
{
    return mt_usable_size(block);
}

ALIAS(tc_malloc_skip_new_handler, tc_malloc);
ALIAS(tc_cfree, tc_free);
ALIAS(MallocExtension_GetAllocatedSize, tc_malloc_size);

/* A reference to std::nothrow_t is a pointer here, std::align_val_t a
 * size_t. */
MT_EXPORT void *tc_new(size_t size)
{
    return mt_enter_new(size);
}

MT_EXPORT void *tc_new_nothrow(size_t size, const void *nothrow)
{
    return mt_enter_new_nothrow(size, nothrow);
}

MT_EXPORT void *tc_new_aligned(size_t size, size_t align)
{
    return mt_enter_new_aligned(size, align);
}

MT_EXPORT void *tc_new_aligned_nothrow(size_t size, size_t align,
                                       const void *nothrow)
{
    return mt_enter_new_aligned_nothrow(size, align, nothrow);
}

MT_EXPORT void tc_delete_nothrow(void *block, const void *nothrow)
{
    (void)nothrow;
    mt_free(block);
}

MT_EXPORT void tc_delete_aligned(void *block, size_t align)
{
    (void)align;
    mt_free(block);
}

MT_EXPORT void tc_delete_sized_aligned(void *block, size_t size, size_t align)
{
    (void)size, (void)align;
    mt_free(block);
}

MT_EXPORT void tc_delete_aligned_nothrow(void *block, size_t align,
                                         const void *nothrow)
{
    (void)align, (void)nothrow;
    mt_free(block);
}

ALIAS(tc_delete, tc_free);
ALIAS(tc_delete_sized, tc_free_sized);
ALIAS(tc_newarray, tc_new);
ALIAS(tc_newarray_nothrow, tc_new_nothrow);
ALIAS(tc_newarray_aligned, tc_new_aligned);
ALIAS(tc_newarray_aligned_nothrow, tc_new_aligned_nothrow);
ALIAS(tc_deletearray, tc_free);
ALIAS(tc_deletearray_sized, tc_free_sized);
ALIAS(tc_deletearray_nothrow, tc_delete_nothrow);
ALIAS(tc_deletearray_aligned, tc_delete_aligned);
ALIAS(tc_deletearray_sized_aligned, tc_delete_sized_aligned);
ALIAS(tc_deletearray_aligned_nothrow, tc_delete_aligned_nothrow);
