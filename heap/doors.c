/* SPDX-License-Identifier: BSD-2-Clause
 *
 * doors.c - where the entries of traced.S lead: allocations, by whoever makes
 * them, of a heap that may not be started yet.
 */
#include "heap/alloc.h"
#include "heap/heap_check.h"
#include "heap/fast.h"

#include <errno.h>

void *mt_traced_malloc(size_t size, size_t, size_t, const struct mt_regs *);
void *mt_traced_calloc(size_t, size_t, size_t, const struct mt_regs *);
void *mt_traced_realloc(void *, size_t, size_t, const struct mt_regs *);
void *mt_traced_aligned(size_t, size_t, size_t, const struct mt_regs *);
int mt_traced_posix(void **, size_t, size_t, const struct mt_regs *);
void *mt_traced_heap_alloc(struct memtrace_heap *, size_t, size_t,
                           const struct mt_regs *);
void *mt_traced_heap_calloc(struct memtrace_heap *, size_t, size_t,
                            const struct mt_regs *);
void *mt_traced_heap_realloc(struct memtrace_heap *, void *, size_t,
                             const struct mt_regs *);

void *mt_alloc(struct memtrace_heap *heap, size_t size, size_t align, bool zero,
               const struct mt_regs *regs)
{
    if (MT_UNLIKELY(!mt_started()) && !mt_start())
        return NULL;
    mt_heap_check_sometimes();
    return mt_heap_alloc(heap, size, align, zero, regs);
}

static void *door_resize(struct memtrace_heap *heap, void *p, size_t size,
                         const struct mt_regs *regs)
{
    if (p == NULL)
        return mt_alloc(heap, size, MT_MIN_BLOCK, false, regs);
    return mt_resize(p, size, regs);
}

void *mt_traced_malloc(size_t size, size_t a2, size_t a3,
                       const struct mt_regs *regs)
{
    (void)a2, (void)a3;
    struct mt_cache *cache = mt_tls;
    if (MT_LIKELY(size < mt_hot.small_sizes && cache != &mt_no_cache)) {
        void *block = mt_alloc_small(cache, mt_class_of[MT_CLASS_INDEX(size)],
                                     size, regs);
        if (MT_LIKELY(block != NULL))
            return block;
    }
    return mt_alloc(NULL, size, MT_MIN_BLOCK, false, regs);
}

void *mt_traced_calloc(size_t count, size_t size, size_t a3,
                       const struct mt_regs *regs)
{
    (void)a3;
    return mt_traced_heap_calloc(NULL, count, size, regs);
}

void *mt_traced_realloc(void *p, size_t size, size_t a3,
                        const struct mt_regs *regs)
{
    (void)a3;
    return door_resize(NULL, p, size, regs);
}

void *mt_traced_aligned(size_t align, size_t size, size_t a3,
                        const struct mt_regs *regs)
{
    (void)a3;
    return mt_alloc(NULL, size, align < MT_MIN_BLOCK ? MT_MIN_BLOCK : align,
                    false, regs);
}

int mt_traced_posix(void **out, size_t align, size_t size,
                    const struct mt_regs *regs)
{
    int saved = errno;
    void *block = mt_traced_aligned(align, size, 0, regs);
    if (block == NULL) {
        errno = ENOMEM; /* need not be, but is so with glibc's */
        return ENOMEM;
    }
    errno = saved;
    *out = block;
    return 0;
}

void *mt_traced_heap_alloc(struct memtrace_heap *heap, size_t size,
                           size_t align, const struct mt_regs *regs)
{
    return mt_alloc(heap, size, align < MT_MIN_BLOCK ? MT_MIN_BLOCK : align,
                    false, regs);
}

void *mt_traced_heap_calloc(struct memtrace_heap *heap, size_t count,
                            size_t size, const struct mt_regs *regs)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    return mt_alloc(heap, bytes, MT_MIN_BLOCK, true, regs);
}

void *mt_traced_heap_realloc(struct memtrace_heap *heap, void *p, size_t size,
                             const struct mt_regs *regs)
{
    return door_resize(heap, p, size, regs);
}
