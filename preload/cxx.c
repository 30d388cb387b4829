/* SPDX-License-Identifier: BSD-2-Clause
 *
 * cxx.c - operator new and delete, all forms, by their mangled names (Itanium
 * C++ ABI), so that the library needs no C++ runtime.
 *
 * The standard lets a program replace some of them, and says which form calls
 * which; the C++ runtime's own, at the bottom, call malloc and free. As long as
 * nobody replaces any of these, ours go straight to the heap. Otherwise each
 * does what the runtime's does, by the names that others see; those that catch
 * an exception are left to the runtime itself.
 *
 * When memory runs out, the runtime's own operator new is called: it calls
 * malloc, which fails again, and then does what the standard asks for, with the
 * new-handler and std::bad_alloc.
 */
#include "heap/traced_fast.h"
#include "preload/symbols.h"

#include <dlfcn.h>

/* Names as C++ mangles them; std::nothrow_t const & and std::align_val_t are
 * passed as a pointer and a size_t.  As others see them: by the PLT. */
#define PLT(type, name, arguments)                                             \
    MT_EXPORT type name arguments;                                             \
    extern type plt##name arguments __asm__(#name)

PLT(void *, _Znwm, (size_t));
PLT(void *, _Znam, (size_t));
PLT(void *, _ZnwmRKSt9nothrow_t, (size_t, const void *));
PLT(void *, _ZnamRKSt9nothrow_t, (size_t, const void *));
PLT(void *, _ZnwmSt11align_val_t, (size_t, size_t));
PLT(void *, _ZnamSt11align_val_t, (size_t, size_t));
PLT(void *, _ZnwmSt11align_val_tRKSt9nothrow_t, (size_t, size_t, const void *));
PLT(void *, _ZnamSt11align_val_tRKSt9nothrow_t, (size_t, size_t, const void *));
PLT(void, _ZdlPv, (void *));
PLT(void, _ZdaPv, (void *));
PLT(void, _ZdlPvm, (void *, size_t));
PLT(void, _ZdaPvm, (void *, size_t));
PLT(void, _ZdlPvRKSt9nothrow_t, (void *, const void *));
PLT(void, _ZdaPvRKSt9nothrow_t, (void *, const void *));
PLT(void, _ZdlPvSt11align_val_t, (void *, size_t));
PLT(void, _ZdaPvSt11align_val_t, (void *, size_t));
PLT(void, _ZdlPvmSt11align_val_t, (void *, size_t, size_t));
PLT(void, _ZdaPvmSt11align_val_t, (void *, size_t, size_t));
PLT(void, _ZdlPvSt11align_val_tRKSt9nothrow_t, (void *, size_t, const void *));
PLT(void, _ZdaPvSt11align_val_tRKSt9nothrow_t, (void *, size_t, const void *));
extern void *plt_malloc(size_t) __asm__("malloc");
extern void *plt_aligned_alloc(size_t, size_t) __asm__("aligned_alloc");
extern void plt_free(void *) __asm__("free");

/* --- who has them --- */

static const char *const replaceable[] = {
    "malloc",
    "free",
    "aligned_alloc",
    "_Znwm",
    "_Znam",
    "_ZnwmRKSt9nothrow_t",
    "_ZnamRKSt9nothrow_t",
    "_ZnwmSt11align_val_t",
    "_ZnamSt11align_val_t",
    "_ZnwmSt11align_val_tRKSt9nothrow_t",
    "_ZnamSt11align_val_tRKSt9nothrow_t",
    "_ZdlPv",
    "_ZdaPv",
    "_ZdlPvm",
    "_ZdaPvm",
    "_ZdlPvRKSt9nothrow_t",
    "_ZdaPvRKSt9nothrow_t",
    "_ZdlPvSt11align_val_t",
    "_ZdaPvSt11align_val_t",
    "_ZdlPvmSt11align_val_t",
    "_ZdaPvmSt11align_val_t",
    "_ZdlPvSt11align_val_tRKSt9nothrow_t",
    "_ZdaPvSt11align_val_tRKSt9nothrow_t",
};

enum { UNKNOWN, OURS, OTHERS };
static uint32_t cxx_owner;

static MT_COLD MT_NOINLINE bool cxx_look(void)
{
    uint32_t owner = mt_load_relaxed(&cxx_owner);
    if (owner == UNKNOWN) {
        owner = OURS;
        for (size_t i = 0; i < sizeof replaceable / sizeof *replaceable; i++)
            if (mt_symbols_is_preceded(replaceable[i]))
                owner = OTHERS;
        mt_store_relaxed(&cxx_owner, owner);
    }
    return owner == OURS;
}

static inline bool cxx_is_ours(void)
{
    return MT_LIKELY(mt_load_relaxed(&cxx_owner) == OURS) || cxx_look();
}

/* The function of the C++ runtime: in the search order of all; or else in that
 * of the module that calls, which may have brought the runtime with it
 * (RTLD_LOCAL). NULL if there is none. */
static MT_COLD void *cxx_find(const char *name, uintptr_t caller)
{
    Dl_info info;
    void *function = (void *)mt_symbols_following_global(name);
    if (function || !dladdr((void *)(caller - 1), &info) || !info.dli_fname)
        return function;
    void *module = dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
    if (module) {
        function = dlsym(module, name);
        dlclose(module);
    }
    return function ? function : (void *)mt_symbols_following(name);
}

static MT_COLD void *cxx_next(const char *name, uintptr_t caller)
{
    void *function = cxx_find(name, caller);
    if (function == NULL)
        mt_abort(); /* operator new was called without a C++ runtime */
    return function;
}

/* The size that the runtime is asked for, in the place of one that no heap has:
 * libstdc++ rounds sizes up to the alignment, those near SIZE_MAX to 0. */
static inline size_t without_overflow(size_t size)
{
    return size > PTRDIFF_MAX ? PTRDIFF_MAX : size;
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
               : ((void *(*)(size_t))cxx_next("_Znwm", regs->rip))(size);
}

void *mt_traced_new_nothrow(size_t size, const void *nothrow, size_t a3,
                            const struct mt_regs *regs)
{
    (void)a3;
    void *block = mt_alloc(NULL, size, MT_MIN_BLOCK, false, regs);
    return MT_LIKELY(block != NULL)
               ? block
               : ((void *(*)(size_t, const void *))cxx_next(
                     "_ZnwmRKSt9nothrow_t", regs->rip))(size, nothrow);
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
                                          "_ZnwmSt11align_val_t", regs->rip))(
                                          without_overflow(size), align);
}

void *mt_traced_new_aligned_nothrow(size_t size, size_t align,
                                    const void *nothrow,
                                    const struct mt_regs *regs)
{
    void *block = alloc_aligned(size, align, regs);
    return MT_LIKELY(block != NULL)
               ? block
               : ((void *(*)(size_t, size_t, const void *))cxx_next(
                     "_ZnwmSt11align_val_tRKSt9nothrow_t", regs->rip))(
                     without_overflow(size), align, nothrow);
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

/* --- the forms, where others have a part --- */

static MT_COLD MT_NOINLINE void *cxx_new(size_t size, uintptr_t caller)
{
    void *block = plt_malloc(size ? size : 1);
    return block ? block : ((void *(*)(size_t))cxx_next("_Znwm", caller))(size);
}

static MT_COLD MT_NOINLINE void *cxx_new_aligned(size_t size, size_t align,
                                                 uintptr_t caller)
{
    size_t whole = (size + align - 1) & ~(align - 1);
    void *block = align && (align & (align - 1)) == 0 && whole >= size
                      ? plt_aligned_alloc(align, whole ? whole : align)
                      : NULL;
    return block ? block
                 : ((void *(*)(size_t, size_t))cxx_next("_ZnwmSt11align_val_t",
                                                        caller))(size, align);
}

/* Forms that catch what another form throws. */
static MT_COLD MT_NOINLINE void *cxx_nothrow(const char *name, size_t size,
                                             const void *nothrow,
                                             uintptr_t caller)
{
    void *function = cxx_find(name, caller);
    return function ? ((void *(*)(size_t, const void *))function)(size, nothrow)
                    : plt_malloc(size ? size : 1);
}

static MT_COLD MT_NOINLINE void *cxx_nothrow_aligned(const char *name,
                                                     size_t size, size_t align,
                                                     const void *nothrow,
                                                     uintptr_t caller)
{
    void *function = cxx_find(name, caller);
    return function ? ((void *(*)(size_t, size_t, const void *))function)(
                          size, align, nothrow)
                    : plt_aligned_alloc(align, size);
}

#define CALLER ((uintptr_t)__builtin_return_address(0))

/* --- operator new --- */

void *_Znwm(size_t size)
{
    if (MT_UNLIKELY(!cxx_is_ours()))
        return cxx_new(size, CALLER);
    void *block = mt_malloc_fast(size);
    return MT_LIKELY(block != NULL) ? block : sampled_new(size);
}

void *_Znam(size_t size)
{
    if (MT_UNLIKELY(!cxx_is_ours()))
        return plt_Znwm(size);
    void *block = mt_malloc_fast(size);
    return MT_LIKELY(block != NULL) ? block : sampled_new(size);
}

void *_ZnwmRKSt9nothrow_t(size_t size, const void *nothrow)
{
    if (MT_UNLIKELY(!cxx_is_ours()))
        return cxx_nothrow("_ZnwmRKSt9nothrow_t", size, nothrow, CALLER);
    void *block = mt_malloc_fast(size);
    return MT_LIKELY(block != NULL) ? block
                                    : mt_enter_new_nothrow(size, nothrow);
}

void *_ZnamRKSt9nothrow_t(size_t size, const void *nothrow)
{
    if (MT_UNLIKELY(!cxx_is_ours()))
        return cxx_nothrow("_ZnamRKSt9nothrow_t", size, nothrow, CALLER);
    void *block = mt_malloc_fast(size);
    return MT_LIKELY(block != NULL) ? block
                                    : mt_enter_new_nothrow(size, nothrow);
}

void *_ZnwmSt11align_val_t(size_t size, size_t align)
{
    if (MT_UNLIKELY(!cxx_is_ours()))
        return cxx_new_aligned(size, align, CALLER);
    return mt_enter_new_aligned(size, align);
}

void *_ZnamSt11align_val_t(size_t size, size_t align)
{
    if (MT_UNLIKELY(!cxx_is_ours()))
        return plt_ZnwmSt11align_val_t(size, align);
    return mt_enter_new_aligned(size, align);
}

void *_ZnwmSt11align_val_tRKSt9nothrow_t(size_t size, size_t align,
                                         const void *nothrow)
{
    if (MT_UNLIKELY(!cxx_is_ours()))
        return cxx_nothrow_aligned("_ZnwmSt11align_val_tRKSt9nothrow_t", size,
                                   align, nothrow, CALLER);
    return mt_enter_new_aligned_nothrow(size, align, nothrow);
}

void *_ZnamSt11align_val_tRKSt9nothrow_t(size_t size, size_t align,
                                         const void *nothrow)
{
    if (MT_UNLIKELY(!cxx_is_ours()))
        return cxx_nothrow_aligned("_ZnamSt11align_val_tRKSt9nothrow_t", size,
                                   align, nothrow, CALLER);
    return mt_enter_new_aligned_nothrow(size, align, nothrow);
}

/* --- operator delete: the form, what else it is given, what it calls --- */

#define DELETE_AS(frees, name, arguments, call)                                \
    void name arguments                                                        \
    {                                                                          \
        if (MT_UNLIKELY(!cxx_is_ours()))                                       \
            call;                                                              \
        else                                                                   \
            frees(block);                                                      \
    }                                                                          \
    struct mt_semicolon
#define DELETE(name, arguments, call) DELETE_AS(mt_free, name, arguments, call)
#define SELDOM(name, arguments, call)                                          \
    DELETE_AS(seldom_delete, name, arguments, call)

/* Of the forms that few programs call, one has the code. */
static MT_NOINLINE void seldom_delete(void *block)
{
    mt_free(block);
}

#define UNUSED __attribute__((unused))
DELETE(_ZdlPv, (void *block), plt_free(block));
DELETE(_ZdaPv, (void *block), plt_ZdlPv(block));
DELETE(_ZdlPvm, (void *block, size_t size UNUSED), plt_ZdlPv(block));
DELETE(_ZdaPvm, (void *block, size_t size UNUSED), plt_ZdaPv(block));
SELDOM(_ZdlPvRKSt9nothrow_t, (void *block, const void *nothrow UNUSED),
       plt_ZdlPv(block));
SELDOM(_ZdaPvRKSt9nothrow_t, (void *block, const void *nothrow UNUSED),
       plt_ZdaPv(block));
SELDOM(_ZdlPvSt11align_val_t, (void *block, size_t align UNUSED),
       plt_free(block));
SELDOM(_ZdaPvSt11align_val_t, (void *block, size_t align),
       plt_ZdlPvSt11align_val_t(block, align));
SELDOM(_ZdlPvmSt11align_val_t, (void *block, size_t size UNUSED, size_t align),
       plt_ZdlPvSt11align_val_t(block, align));
SELDOM(_ZdaPvmSt11align_val_t, (void *block, size_t size UNUSED, size_t align),
       plt_ZdaPvSt11align_val_t(block, align));
SELDOM(_ZdlPvSt11align_val_tRKSt9nothrow_t,
       (void *block, size_t align, const void *nothrow UNUSED),
       plt_ZdlPvSt11align_val_t(block, align));
SELDOM(_ZdaPvSt11align_val_tRKSt9nothrow_t,
       (void *block, size_t align, const void *nothrow UNUSED),
       plt_ZdaPvSt11align_val_t(block, align));
