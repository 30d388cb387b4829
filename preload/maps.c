/* SPDX-License-Identifier: BSD-2-Clause
 *
 * maps.c - the functions that map memory: they do what the next ones of that
 * name do, and the trace learns what is mapped and by which stack.  They are
 * as safe in signal handlers as libc's, also before constructors run, and keep
 * errno.
 *
 * The C library maps for itself without them: stacks of threads, libraries.
 */
#include "heap/seldom.h"
#include "heap/kernel.h"
#include "heap/attributes.h"
#include "heap/map_table.h"
#include "heap/memtrace.h"
#include "heap/traced_fast.h"
#include "preload/symbols.h"

#include <errno.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <unistd.h>

enum { MMAP, MUNMAP, MREMAP, SBRK, SHMAT, SHMDT, N_FUNCTIONS };

/* The next function of that name, looked up once. */
static MT_COLD uintptr_t maps_next(unsigned id)
{
    static const char names[N_FUNCTIONS][8] = {"mmap", "munmap", "mremap",
                                               "sbrk", "shmat",  "shmdt"};
    static uintptr_t known[N_FUNCTIONS];
    uintptr_t address = mt_load_relaxed(&known[id]);
    if (MT_UNLIKELY(address == 0)) {
        address = mt_symbols_following(names[id]);
        mt_store_relaxed(&known[id], address);
    }
    return address;
}
#define NEXT(name, id) ((__typeof(&name))maps_next(id))

static MT_COLD void maps_set(uintptr_t start, size_t bytes, uint32_t kind,
                             const struct mt_regs *regs)
{
    mt_map_set(start, bytes, kind, kind ? mt_map_stack(regs, bytes) : 0);
}

MT_EXPORT MT_COLD void *mmap(void *at, size_t bytes, int protection, int flags,
                             int file, off_t offset)
{
    const struct mt_regs regs = MT_CALLER_REGS;
    void *got = NEXT(mmap, MMAP)(at, bytes, protection, flags, file, offset);
    uint32_t kind = (flags & MAP_TYPE) == MAP_PRIVATE ? MT_MAPPED_ANONYMOUS
                                                      : MT_MAPPED_SHARED;
    if (got != MAP_FAILED)
        maps_set((uintptr_t)got, bytes, flags & MAP_ANONYMOUS ? kind : 0,
                 &regs);
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
    uint32_t stack = 0, kind = 0;
    if ((uintptr_t)at % 4096 == 0 && bytes > 0)
        kind = mt_map_clear((uintptr_t)at, &bytes, &stack);
    int result = NEXT(munmap, MUNMAP)(at, bytes);
    if (result != 0 && kind)
        mt_map_set((uintptr_t)at, bytes, kind, stack);
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
    return (uintptr_t)NEXT(mremap, MREMAP)(r->old, r->old_bytes, r->new_bytes,
                                           r->flags, r->wanted);
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

static MT_COLD void *break_by(intptr_t bytes, const struct mt_regs *regs)
{
    void *got = NEXT(sbrk, SBRK)(bytes);
    uintptr_t from = ((uintptr_t)got + 4095) & ~UINT64_C(4095);
    uintptr_t to = ((uintptr_t)got + (uintptr_t)bytes + 4095) & ~UINT64_C(4095);
    size_t less = from - to;
    uint32_t stack;
    if (got != (void *)-1 && to > from)
        maps_set(from, to - from, MT_MAPPED_BREAK, regs);
    else if (got != (void *)-1 && to < from)
        mt_map_clear(to, &less, &stack);
    return got;
}

MT_EXPORT MT_COLD void *sbrk(intptr_t bytes)
{
    const struct mt_regs regs = MT_CALLER_REGS;
    return break_by(bytes, &regs);
}

/* As libc's sbrk() calls its brk(). */
MT_EXPORT MT_COLD int brk(void *to)
{
    const struct mt_regs regs = MT_CALLER_REGS;
    intptr_t from = (intptr_t)NEXT(sbrk, SBRK)(0);
    return break_by((intptr_t)to - from, &regs) == (void *)-1 ? -1 : 0;
}

/* System V shared memory. */
MT_EXPORT MT_COLD void *shmat(int id, const void *at, int flags)
{
    const struct mt_regs regs = MT_CALLER_REGS;
    void *got = NEXT(shmat, SHMAT)(id, at, flags);
    struct shmid_ds segment;
    int saved = errno;
    if (got != (void *)-1 && mt_kernel(SYS_shmctl, id, IPC_STAT, &segment) == 0)
        maps_set((uintptr_t)got, segment.shm_segsz, MT_MAPPED_SEGMENT, &regs);
    errno = saved;
    return got;
}

MT_EXPORT MT_COLD int shmdt(const void *at)
{
    uint32_t stack = 0;
    size_t bytes = 0;
    uint32_t kind = mt_map_clear((uintptr_t)at, &bytes, &stack);
    int result = NEXT(shmdt, SHMDT)(at);
    if (result != 0 && kind)
        mt_map_set((uintptr_t)at, bytes, kind, stack);
    return result;
}
