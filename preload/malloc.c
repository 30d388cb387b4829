/* SPDX-License-Identifier: BSD-2-Clause
 *
 * malloc and its family, on the main heap. Errors are glibc's: ENOMEM if memory
 * is short (also for products that overflow), EINVAL for an alignment that is
 * not a power of two; free keeps errno.
 *
 * Each allocation function ends in a tail call to its mt_enter_ function
 * when the fast paths do not do, so that the registers found there are
 * still those of the program (heap/traced.S).
 */
#include "heap/memtrace.h"
#include "heap/traced_fast.h"
#include "preload/preload.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A program that has allocated nothing yet can be read too. */
__attribute__((constructor)) static void malloc_start(void)
{
    int saved = errno;
    mt_libc_start();
    mt_start();
    errno = saved;
}

static MT_NOINLINE void *traced_malloc(size_t size)
{
    const struct mt_regs regs = MT_CALLER_REGS;
    void *block = mt_traced_fast(size, &regs);
    return MT_LIKELY(block != NULL) ? block : mt_enter_malloc(size);
}

static MT_NOINLINE void *sampled_malloc(size_t size)
{
    void *block = mt_take_unsampled(size);
    return block != NULL ? block : traced_malloc(size);
}

MT_EXPORT void *malloc(size_t size)
{
    void *block = mt_malloc_fast(size);
    if (MT_LIKELY(block != NULL))
        return block;
    return mt_may_be_unsampled(size) ? sampled_malloc(size)
                                     : traced_malloc(size);
}

MT_EXPORT void free(void *block)
{
    mt_free(block);
}

static MT_NOINLINE void *traced_calloc(size_t count, size_t size)
{
    size_t bytes;
    if (!__builtin_mul_overflow(count, size, &bytes)) {
        const struct mt_regs regs = MT_CALLER_REGS;
        void *block = mt_traced_fast(bytes, &regs);
        if (MT_LIKELY(block != NULL))
            return memset(block, 0, bytes);
    }
    return mt_enter_calloc(count, size);
}

MT_EXPORT void *calloc(size_t count, size_t size)
{
    size_t bytes;
    if (!__builtin_mul_overflow(count, size, &bytes)) {
        void *block = mt_malloc_fast(bytes);
        if (MT_UNLIKELY(block == NULL))
            block = mt_unsampled_fast(bytes);
        if (MT_LIKELY(block != NULL))
            return memset(block, 0, bytes);
    }
    return traced_calloc(count, size);
}

MT_EXPORT void *realloc(void *block, size_t size)
{
    return mt_enter_realloc(block, size);
}

/* By the name that others see, with a tail call: Valgrind has a realloc. */
extern void *plt_realloc(void *, size_t) __asm__("realloc");

MT_EXPORT void *reallocarray(void *block, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    return plt_realloc(block, bytes);
}

static bool is_power_of_two(size_t n)
{
    return n && (n & (n - 1)) == 0;
}

/* The next power of two, as glibc's memalign takes others to mean; 0: none. */
static size_t round_alignment(size_t align)
{
    size_t power = MT_MIN_BLOCK;
    while (power && power < align)
        power <<= 1;
    return power;
}

MT_EXPORT void *memalign(size_t align, size_t size)
{
    size_t power = round_alignment(align);
    if (power == 0) {
        errno = EINVAL;
        return NULL;
    }
    return mt_enter_aligned(power, size);
}

/* C17 leaves other alignments to the implementation; glibc 2.36's is
 * memalign. */
MT_EXPORT void *aligned_alloc(size_t align, size_t size)
{
    size_t power = round_alignment(align);
    if (power == 0) {
        errno = EINVAL;
        return NULL;
    }
    return mt_enter_aligned(power, size);
}

MT_EXPORT int posix_memalign(void **out, size_t align, size_t size)
{
    if (!is_power_of_two(align) || align % sizeof(void *) != 0)
        return EINVAL;
    return mt_enter_posix(out, align, size);
}

MT_EXPORT void *valloc(size_t size)
{
    return mt_enter_aligned((size_t)getpagesize(), size);
}

MT_EXPORT void *pvalloc(size_t size)
{
    size_t page = (size_t)getpagesize();
    if (size > PTRDIFF_MAX) {
        errno = ENOMEM;
        return NULL;
    }
    return mt_enter_aligned(page, (size + page - 1) & ~(page - 1));
}

/* Of those that few programs call, one has the code. */
static MT_NOINLINE void seldom_free(void *block)
{
    mt_free(block);
}

MT_EXPORT void cfree(void *block)
{
    seldom_free(block);
}

/* C23: as free; the size is not needed to find the block. */
MT_EXPORT void free_sized(void *block, size_t size)
{
    (void)size;
    seldom_free(block);
}

MT_EXPORT void free_aligned_sized(void *block, size_t align, size_t size)
{
    (void)align, (void)size;
    seldom_free(block);
}

MT_EXPORT size_t malloc_usable_size(void *block)
{
    return mt_usable_size(block);
}

/* The names that glibc's have for programs whose malloc stands on them: its
 * blocks and those of functions that such a program has not are of one heap. */
#ifdef __clang__
#define COPY(name)
#else
#define COPY(name) , copy(name)
#endif
#define LIBC_NAME(name)                                                        \
    MT_EXPORT __typeof(name) __libc_##name                                     \
        __attribute__((alias(#name) COPY(name)))
LIBC_NAME(malloc);
LIBC_NAME(free);
LIBC_NAME(calloc);
LIBC_NAME(realloc);
LIBC_NAME(memalign);
LIBC_NAME(valloc);
LIBC_NAME(pvalloc);
