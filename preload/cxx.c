/* SPDX-License-Identifier: BSD-2-Clause
 *
 * operator new and delete, all forms, by their mangled names (Itanium C++
 * ABI), so that the library needs no C++ runtime.
 *
 * When memory runs out, the C++ runtime's own operator new, next in the
 * search order, is called: it calls malloc, which fails again, and then does
 * what the standard asks for, with the new-handler and std::bad_alloc.
 */
#include "heap/traced_fast.h"

#include <dlfcn.h>
#include <stdlib.h>

#define ALIAS(name, target)                                                    \
    MT_EXPORT __typeof(target) name __attribute__((alias(#target)))

/* Names as C++ mangles them; std::nothrow_t const & and std::align_val_t are
 * passed as a pointer and a size_t. */
void *_Znwm(size_t);
void *_ZnwmRKSt9nothrow_t(size_t, const void *);
void *_ZnwmSt11align_val_t(size_t, size_t);
void *_ZnwmSt11align_val_tRKSt9nothrow_t(size_t, size_t, const void *);
void _ZdlPv(void *);
void _ZdlPvm(void *, size_t);
void _ZdlPvRKSt9nothrow_t(void *, const void *);
void _ZdlPvSt11align_val_t(void *, size_t);
void _ZdlPvmSt11align_val_t(void *, size_t, size_t);
void _ZdlPvSt11align_val_tRKSt9nothrow_t(void *, size_t, const void *);

static MT_COLD void *cxx_next(const char *name)
{
    void *function = dlsym(RTLD_NEXT, name);
    if (function == NULL)
        mt_abort(); /* operator new was called, but there is no C++ runtime */
    return function;
}

/* new.S: as the entries of heap/fast.h. */
void *mt_enter_new(size_t size);
void *mt_enter_new_nothrow(size_t size, const void *nothrow);
void *mt_enter_new_aligned(size_t size, size_t align);
void *mt_enter_new_aligned_nothrow(size_t size, size_t align,
                                   const void *nothrow);
void *mt_traced_new(size_t, size_t, size_t, const struct mt_regs *);
void *mt_traced_new_nothrow(size_t, const void *, size_t,
                            const struct mt_regs *);
void *mt_traced_new_aligned(size_t, size_t, size_t, const struct mt_regs *);
void *mt_traced_new_aligned_nothrow(size_t, size_t, const void *,
                                    const struct mt_regs *);

void *mt_traced_new(size_t size, size_t a2, size_t a3,
                    const struct mt_regs *regs)
{
    (void)a2, (void)a3;
    void *block = mt_alloc(NULL, size, MT_MIN_BLOCK, false, regs);
    return MT_LIKELY(block != NULL)
               ? block
               : ((void *(*)(size_t))cxx_next("_Znwm"))(size);
}

void *mt_traced_new_nothrow(size_t size, const void *nothrow, size_t a3,
                            const struct mt_regs *regs)
{
    (void)a3;
    void *block = mt_alloc(NULL, size, MT_MIN_BLOCK, false, regs);
    return MT_LIKELY(block != NULL)
               ? block
               : ((void *(*)(size_t, const void *))cxx_next(
                     "_ZnwmRKSt9nothrow_t"))(size, nothrow);
}

static void *alloc_aligned(size_t size, size_t align,
                           const struct mt_regs *regs)
{
    if (align == 0 || (align & (align - 1)) != 0)
        return NULL;
    return mt_alloc(NULL, size, align < MT_MIN_BLOCK ? MT_MIN_BLOCK : align,
                    false, regs);
}

void *mt_traced_new_aligned(size_t size, size_t align, size_t a3,
                            const struct mt_regs *regs)
{
    (void)a3;
    void *block = alloc_aligned(size, align, regs);
    return MT_LIKELY(block != NULL) ? block
                                    : ((void *(*)(size_t, size_t))cxx_next(
                                          "_ZnwmSt11align_val_t"))(size, align);
}

void *mt_traced_new_aligned_nothrow(size_t size, size_t align,
                                    const void *nothrow,
                                    const struct mt_regs *regs)
{
    void *block = alloc_aligned(size, align, regs);
    return MT_LIKELY(block != NULL)
               ? block
               : ((void *(*)(size_t, size_t, const void *))cxx_next(
                     "_ZnwmSt11align_val_tRKSt9nothrow_t"))(size, align,
                                                            nothrow);
}

static MT_NOINLINE void *traced_new(size_t size)
{
    const struct mt_regs regs = MT_CALLER_REGS;
    void *block = mt_traced_fast(size, &regs);
    return MT_LIKELY(block != NULL) ? block : mt_enter_new(size);
}

static MT_NOINLINE void *sampled_new(size_t size)
{
    void *block = mt_unsampled_fast(size);
    return block != NULL ? block : traced_new(size);
}

MT_EXPORT void *_Znwm(size_t size)
{
    void *block = mt_malloc_fast(size);
    return MT_LIKELY(block != NULL) ? block : sampled_new(size);
}

MT_EXPORT void *_ZnwmRKSt9nothrow_t(size_t size, const void *nothrow)
{
    void *block = mt_malloc_fast(size);
    return MT_LIKELY(block != NULL) ? block
                                    : mt_enter_new_nothrow(size, nothrow);
}

MT_EXPORT void *_ZnwmSt11align_val_t(size_t size, size_t align)
{
    return mt_enter_new_aligned(size, align);
}

MT_EXPORT void *_ZnwmSt11align_val_tRKSt9nothrow_t(size_t size, size_t align,
                                                   const void *nothrow)
{
    return mt_enter_new_aligned_nothrow(size, align, nothrow);
}

MT_EXPORT void _ZdlPv(void *block)
{
    mt_free(block);
}

MT_EXPORT void _ZdlPvm(void *block, size_t size)
{
    (void)size;
    mt_free(block);
}

MT_EXPORT void _ZdlPvRKSt9nothrow_t(void *block, const void *nothrow)
{
    (void)nothrow;
    mt_free(block);
}

MT_EXPORT void _ZdlPvSt11align_val_t(void *block, size_t align)
{
    (void)align;
    mt_free(block);
}

MT_EXPORT void _ZdlPvmSt11align_val_t(void *block, size_t size, size_t align)
{
    (void)size, (void)align;
    mt_free(block);
}

MT_EXPORT void _ZdlPvSt11align_val_tRKSt9nothrow_t(void *block, size_t align,
                                                   const void *nothrow)
{
    (void)align, (void)nothrow;
    mt_free(block);
}

/* The array forms: new[] and delete[]. */
ALIAS(_Znam, _Znwm);
ALIAS(_ZnamRKSt9nothrow_t, _ZnwmRKSt9nothrow_t);
ALIAS(_ZnamSt11align_val_t, _ZnwmSt11align_val_t);
ALIAS(_ZnamSt11align_val_tRKSt9nothrow_t, _ZnwmSt11align_val_tRKSt9nothrow_t);
ALIAS(_ZdaPv, _ZdlPv);
ALIAS(_ZdaPvm, _ZdlPvm);
ALIAS(_ZdaPvRKSt9nothrow_t, _ZdlPvRKSt9nothrow_t);
ALIAS(_ZdaPvSt11align_val_t, _ZdlPvSt11align_val_t);
ALIAS(_ZdaPvmSt11align_val_t, _ZdlPvmSt11align_val_t);
ALIAS(_ZdaPvSt11align_val_tRKSt9nothrow_t, _ZdlPvSt11align_val_tRKSt9nothrow_t);
