/* SPDX-License-Identifier: BSD-2-Clause
 *
 * maps.c - the functions that map memory: they do what the next ones of that
 * name do, and the trace learns what is mapped and by which stack.  They are
 * as safe in signal handlers as libc's, also before constructors run, and keep
 * errno.
 *
 * The C library maps for itself without them: stacks of threads, libraries.
 */
#include "heap/alloc.h"
#include "heap/kernel.h"
#include "heap/map_table.h"
#include "heap/memtrace.h"
#include "heap/traced_fast.h"
#include "preload/symbols.h"

#include <errno.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <unistd.h>

/* The next function of that name, looked up once; NULL: there is none. */
static inline __attribute__((always_inline)) uintptr_t
maps_next(uintptr_t *known, const char *name)
{
    uintptr_t address = mt_load_relaxed(known);
    if (MT_UNLIKELY(address == 0)) {
        address = mt_symbols_following(name);
        mt_store_relaxed(known, address);
    }
    return address;
}

#define NEXT(name)                                                             \
    ({                                                                         \
        static uintptr_t known_##name;                                         \
        (__typeof(&name))maps_next(&known_##name, #name);                      \
    })

/* What is to be recorded of a mapping. */
static uint32_t map_flags(int flags)
{
    if (!(flags & MAP_ANONYMOUS))
        return 0;
    return MT_MAPPED_ANONYMOUS |
           ((flags & MAP_TYPE) == MAP_PRIVATE ? 0 : MT_MAPPED_SHARED);
}

static inline __attribute__((always_inline)) void
mapped(void *at, size_t bytes, int flags, const struct mt_regs *regs)
{
    uint32_t kind = map_flags(flags);
    if (at != MAP_FAILED)
        mt_map_set((uintptr_t)at, bytes, kind,
                   kind ? mt_map_stack(regs, bytes) : MT_STACK_UNTRACED);
}

MT_EXPORT MT_COLD void *mmap(void *at, size_t bytes, int protection, int flags,
                             int file, off_t offset)
{
    const struct mt_regs regs = MT_CALLER_REGS;
    __typeof(&mmap) next = NEXT(mmap);
    void *got = next ? next(at, bytes, protection, flags, file, offset)
                     : (void *)mt_kernel(SYS_mmap, at, bytes, protection, flags,
                                         file, offset);
    mapped(got, bytes, flags, &regs);
    return got;
}

#ifdef __clang__
#define COPY(name)
#else
#define COPY(name) , copy(name)
#endif
MT_EXPORT __typeof(mmap) mmap64 __attribute__((alias("mmap") COPY(mmap)));

MT_EXPORT MT_COLD int munmap(void *at, size_t bytes)
{
    __typeof(&munmap) next = NEXT(munmap);
    uintptr_t start = (uintptr_t)at;
    uint32_t stack = 0, kind = 0;
    if (start % 4096 == 0 && bytes > 0)
        kind = mt_map_clear(start, &bytes, &stack);
    int result = next ? next(at, bytes) : (int)mt_kernel(SYS_munmap, at, bytes);
    if (result != 0 && kind)
        mt_map_set(start, bytes, kind, stack);
    return result;
}

struct remap {
    void *old, *wanted;
    size_t old_bytes, new_bytes;
    int flags;
};

static MT_COLD uintptr_t remap(void *context)
{
    const struct remap *r = context;
    return (uintptr_t)NEXT(mremap)(r->old, r->old_bytes, r->new_bytes, r->flags,
                                   r->wanted);
}

MT_EXPORT MT_COLD void *mremap(void *old, size_t old_bytes, size_t new_bytes,
                               int flags, ...)
{
    const struct mt_regs regs = MT_CALLER_REGS;
    struct remap r = {old, NULL, old_bytes, new_bytes, flags};
    va_list more;
    va_start(more, flags);
    if (flags & MREMAP_FIXED)
        r.wanted = va_arg(more, void *);
    va_end(more);
    const struct mt_map_move move = {
        .old_start = (uintptr_t)old,
        .old_bytes = old_bytes,
        .new_bytes = new_bytes,
        .keeps_old = flags & 4, /* MREMAP_DONTUNMAP, Linux 5.7 */
        .stack = new_bytes > old_bytes ? mt_map_stack(&regs, new_bytes) : 0,
        .context = &r,
        .move = remap,
    };
    return (void *)mt_map_moved(&move);
}

/* --- the program break --- */

static inline __attribute__((always_inline)) void
break_moved(uintptr_t from, uintptr_t to, const struct mt_regs *regs)
{
    uint32_t stack;
    from = (from + 4095) & ~UINT64_C(4095);
    to = (to + 4095) & ~UINT64_C(4095);
    if (to > from)
        mt_map_set(from, to - from, MT_MAPPED_BREAK,
                   mt_map_stack(regs, to - from));
    else if (to < from)
        mt_map_clear(to, &(size_t){from - to}, &stack);
}

MT_EXPORT MT_COLD void *sbrk(intptr_t bytes)
{
    const struct mt_regs regs = MT_CALLER_REGS;
    void *got = NEXT(sbrk)(bytes);
    if (got != (void *)-1)
        break_moved((uintptr_t)got, (uintptr_t)got + (uintptr_t)bytes, &regs);
    return got;
}

MT_EXPORT MT_COLD int brk(void *to)
{
    const struct mt_regs regs = MT_CALLER_REGS;
    void *from = NEXT(sbrk)(0);
    int result = NEXT(brk)(to);
    if (result == 0 && from != (void *)-1)
        break_moved((uintptr_t)from, (uintptr_t)to, &regs);
    return result;
}

/* --- System V shared memory --- */

MT_EXPORT MT_COLD void *shmat(int id, const void *at, int flags)
{
    const struct mt_regs regs = MT_CALLER_REGS;
    void *got = NEXT(shmat)(id, at, flags);
    struct shmid_ds segment;
    int saved = errno;
    if (got != (void *)-1 && mt_kernel(SYS_shmctl, id, IPC_STAT, &segment) == 0)
        mt_map_set((uintptr_t)got, segment.shm_segsz, MT_MAPPED_SHARED,
                   mt_map_stack(&regs, segment.shm_segsz));
    errno = saved;
    return got;
}

MT_EXPORT MT_COLD int shmdt(const void *at)
{
    uint32_t stack = 0;
    size_t bytes = 0;
    uint32_t kind = mt_map_clear((uintptr_t)at, &bytes, &stack);
    int result = NEXT(shmdt)(at);
    if (result != 0 && kind)
        mt_map_set((uintptr_t)at, bytes, kind, stack);
    return result;
}
