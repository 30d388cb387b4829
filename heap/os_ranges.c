/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The seam to the kernel, its part about address space.
 *
 * A reservation maps nothing: it is a range of addresses that nobody uses, and
 * only what is committed is mapped there.  So limits of the address space,
 * the kernel's accounting, mlockall() and RLIMIT_DATA see what the heap uses,
 * whenever they come, and nothing has to be given back for them.
 *
 * The kernel lays its own mappings close below the stack or above the program;
 * the ranges lie in the middle, tens of TiB away.  A program may still ask for
 * addresses there.  So every commit says MAP_FIXED_NOREPLACE: what is somebody
 * else's stays so, and the commit fails with EEXIST.
 *
 * Where addresses cannot be chosen (below Valgrind), the range is mapped
 * without access, as a reservation of the common kind.
 */
#include "heap/seldom.h"
#include "heap/attributes.h"
#include "heap/kernel.h"
#include "heap/os.h"
#include "heap/sandbox.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/resource.h>

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif
#ifndef MAP_HUGE_SHIFT
#define MAP_HUGE_SHIFT 26
#endif
#ifndef MADV_DONTDUMP
#define MADV_DONTDUMP 16
#define MADV_DODUMP 17
#endif

#define PAGE ((size_t)4096)
#define LEAST_SHIFT 26 /* log2 of the smallest range */
#define LOWEST UINT64_C(0x5a0000000000)
#define HIGHEST UINT64_C(0x7a0000000000)
#define STEP_SHIFT 21   /* log2 of the grain of where the first range lies */
#define SPREAD_BITS 21u /* and of the number of those places */
#define TRIES 3
#define MAX_RANGES 32u

#define ANONYMOUS (MAP_PRIVATE | MAP_ANONYMOUS)

static uint64_t next_range; /* the next address; 0: none yet */
/* Each its base, and the log2 of its size. */
static uint64_t unused_ranges[MAX_RANGES]; /* released */
static uint64_t
    mapped_ranges[MAX_RANGES]; /* those that are mapped as a whole */
static uint32_t n_mapped;      /* entries that were ever in use */

/* Strict mode of seccomp: there is no memory to be had. */
static bool is_strict(void)
{
    if (MT_LIKELY(mt_sandbox.level != MT_SANDBOX_STRICT))
        return false;
    errno = ENOMEM;
    return true;
}

static unsigned log2_of(uint64_t bytes)
{
    unsigned shift = LEAST_SHIFT;
    while (shift < 47 && UINT64_C(1) << shift < bytes)
        shift++;
    return shift;
}

static uint64_t align_up(uint64_t at, uint64_t align)
{
    return (at + align - 1) & ~(align - 1);
}

/* An address as random as the kernel's own choices. */
static uint64_t choose_first_range(void)
{
    uint64_t stack = (uintptr_t)__builtin_frame_address(0) >> 4;
    uint64_t data = (uintptr_t)&next_range >> 12;
    uint64_t mixed = (stack ^ data << 24) * UINT64_C(0x9e3779b97f4a7c15);
    mixed ^= mixed >> 32;
    mixed *= UINT64_C(0xd6e8feb86659fd93);
    return LOWEST + (mixed >> (64 - SPREAD_BITS) << STEP_SHIFT);
}

/* A mapping elsewhere than asked for is given back. */
static bool map_at(void *address, size_t bytes, int protection, int flags)
{
    void *got =
        (void *)mt_kernel(SYS_mmap, address, bytes, protection,
                          flags | ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (got == address)
        return true;
    if (got != MAP_FAILED) {
        mt_kernel(SYS_munmap, got, bytes);
        errno = EEXIST;
    } else if (errno == EAGAIN) { /* RLIMIT_MEMLOCK, after mlockall() */
        errno = ENOMEM;
    }
    return false;
}

/* Is the first page of the range free?  Without room for a page it counts as
 * free: the commit will find out. */
static bool range_is_free(void *range)
{
    if (!map_at(range, PAGE, PROT_NONE, MAP_NORESERVE))
        return errno == ENOMEM;
    mt_kernel(SYS_munmap, range, PAGE);
    return true;
}

static uint64_t range_base(uint64_t entry)
{
    return entry & ~(uint64_t)63;
}

/* The number of entries up to the new one; 0: the table is full. */
static uint32_t ranges_put(uint64_t *ranges, uint64_t base, unsigned shift)
{
    for (uint32_t i = 0; i < MAX_RANGES; i++) {
        uint64_t none = 0;
        if (__atomic_compare_exchange_n(&ranges[i], &none, base | shift, false,
                                        __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
            return i + 1;
    }
    return 0;
}

static bool ranges_take(uint64_t *entry, uint64_t seen)
{
    return __atomic_compare_exchange_n(entry, &seen, 0, false, __ATOMIC_ACQ_REL,
                                       __ATOMIC_RELAXED);
}

static void *take_unused_range(unsigned shift, size_t align)
{
    for (uint32_t i = 0; i < MAX_RANGES; i++) {
        uint64_t range = mt_load_relaxed(&unused_ranges[i]);
        if (range && (range & 63) == shift && range_base(range) % align == 0 &&
            ranges_take(&unused_ranges[i], range))
            return (void *)range_base(range);
    }
    return NULL;
}

static void *take_new_range(unsigned shift, size_t align)
{
    uint64_t none = 0, first = choose_first_range();
    uint64_t bytes = (UINT64_C(1) << shift) + (align >> STEP_SHIFT ? align : 0);
    __atomic_compare_exchange_n(&next_range, &none, first, false,
                                __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
    for (unsigned i = 0; i < TRIES; i++) {
        uint64_t at = mt_load_relaxed(&next_range);
        if (at >= HIGHEST || bytes > HIGHEST - at)
            return NULL;
        at = __atomic_fetch_add(&next_range, bytes, __ATOMIC_RELAXED);
        void *range = (void *)align_up(at, align);
        if (range_is_free(range))
            return range;
    }
    return NULL;
}

static uint64_t *mapped_range_of(const void *address)
{
    uint32_t n = mt_load_acquire(&n_mapped);
    for (uint32_t i = 0; i < n; i++) {
        uint64_t range = mt_load_relaxed(&mapped_ranges[i]);
        if (range &&
            ((uintptr_t)address - range_base(range)) >> (range & 63) == 0)
            return &mapped_ranges[i];
    }
    return NULL;
}

static bool is_in_mapped(const void *address)
{
    return mt_load_relaxed(&n_mapped) && mapped_range_of(address);
}

static void *map_range(size_t bytes, size_t align)
{
    size_t extra = align > PAGE ? align : 0;
    if (bytes + extra < bytes) {
        errno = ENOMEM;
        return NULL;
    }
    char *got = (void *)mt_kernel(SYS_mmap, NULL, bytes + extra, PROT_NONE,
                                  ANONYMOUS, -1, 0);
    if (got == MAP_FAILED)
        return NULL;
    char *base = (char *)align_up((uintptr_t)got, align);
    if (base > got)
        mt_kernel(SYS_munmap, got, (size_t)(base - got));
    if (got + extra > base)
        mt_kernel(SYS_munmap, base + bytes, (size_t)(got + extra - base));
    uint32_t n = ranges_put(mapped_ranges, (uintptr_t)base, log2_of(bytes));
    if (n == 0) {
        mt_kernel(SYS_munmap, base, bytes);
        errno = ENOMEM;
        return NULL;
    }
    if (n > mt_load_relaxed(&n_mapped))
        mt_store_release(&n_mapped, n);
    mt_kernel(SYS_madvise, base, bytes,
              MADV_DONTDUMP); /* until it is committed */
    return base;
}

void *mt_os_reserve(size_t bytes, size_t align)
{
    if (align < PAGE)
        align = PAGE;
    if (mt_os_told_to_fail() || is_strict())
        return NULL;
    if (bytes <= HIGHEST - LOWEST) {
        unsigned shift = log2_of(bytes);
        void *range = take_unused_range(shift, align);
        if (range == NULL)
            range = take_new_range(shift, align);
        if (range)
            return range;
    }
    return map_range(bytes, align);
}

void mt_os_release(void *range, size_t bytes)
{
    uint64_t *mapped = mapped_range_of(range);
    if (mapped) {
        mt_kernel(SYS_munmap, range, bytes);
        mt_store_release(mapped, 0);
    } else {
        ranges_put(unused_ranges, (uintptr_t)range, log2_of(bytes));
    }
}

uint64_t mt_os_reserve_most(void)
{
    struct rlimit limit;
    if (mt_load_relaxed(&n_mapped) == 0 || mt_sandbox.level ||
        mt_kernel(SYS_prlimit64, 0, RLIMIT_AS, NULL, &limit) != 0 ||
        limit.rlim_cur == RLIM_INFINITY)
        return UINT64_MAX;
    return limit.rlim_cur / 4;
}

bool mt_os_is_limited(void)
{
    struct rlimit limit;
    if (mt_sandbox.level || mt_load_relaxed(&mt_sandbox_any))
        return false;
    return (mt_kernel(SYS_prlimit64, 0, RLIMIT_AS, NULL, &limit) == 0 &&
            limit.rlim_cur != RLIM_INFINITY) ||
           (mt_kernel(SYS_prlimit64, 0, RLIMIT_DATA, NULL, &limit) == 0 &&
            limit.rlim_cur != RLIM_INFINITY);
}

bool mt_os_commit(void *address, size_t bytes)
{
    if (mt_os_told_to_fail() || is_strict())
        return false;
    if (!is_in_mapped(address))
        return map_at(address, bytes, PROT_READ | PROT_WRITE, 0);
    if (mt_kernel(SYS_mprotect, address, bytes, PROT_READ | PROT_WRITE) != 0) {
        errno = ENOMEM;
        return false;
    }
    mt_kernel(SYS_madvise, address, bytes, MADV_DODUMP);
    return true;
}

bool mt_os_commit_file(void *address, size_t bytes, int file, uint64_t offset,
                       bool replace)
{
    if (mt_os_told_to_fail() || is_strict())
        return false;
    replace |= is_in_mapped(address);
    void *got = (void *)mt_kernel(
        SYS_mmap, address, bytes, PROT_READ | PROT_WRITE,
        MAP_SHARED | (replace ? MAP_FIXED : MAP_FIXED_NOREPLACE), file, offset);
    if (got == address) {
        mt_kernel(SYS_madvise, address, bytes, MADV_DONTFORK);
        return true;
    }
    if (got != MAP_FAILED) {
        mt_kernel(SYS_munmap, got, bytes);
        errno = EEXIST;
    }
    return false;
}

bool mt_os_commit_huge(void *address, size_t bytes, unsigned shift)
{
    if (mt_os_told_to_fail() || is_strict())
        return false;
    int flags = MAP_HUGETLB | (int)(shift << MAP_HUGE_SHIFT);
    if (!is_in_mapped(address))
        return map_at(address, bytes, PROT_READ | PROT_WRITE, flags);
    return (void *)mt_kernel(SYS_mmap, address, bytes, PROT_READ | PROT_WRITE,
                             flags | ANONYMOUS | MAP_FIXED, -1,
                             0) != MAP_FAILED;
}

bool mt_os_uncommit(void *address, size_t bytes)
{
    if (mt_os_told_to_fail() || is_strict())
        return false;
    if (!is_in_mapped(address))
        return mt_kernel(SYS_munmap, address, bytes) == 0;
    if ((void *)mt_kernel(SYS_mmap, address, bytes, PROT_NONE,
                          ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
        return false;
    mt_kernel(SYS_madvise, address, bytes, MADV_DONTDUMP);
    return true;
}

enum mt_os_moved mt_os_move(void *from, size_t bytes, void *to, size_t room)
{
    const size_t wanted[] = {room, bytes}; /* the second for many mappings */
    if (mt_os_told_to_fail() || mt_sandbox.level ||
        mt_load_relaxed(&mt_sandbox_any) || is_in_mapped(from) ||
        is_in_mapped(to))
        return MT_OS_STAYED;
    bool moved = false;
    for (unsigned i = 0; i < 2 && !moved; i++)
        moved = (void *)mt_kernel(SYS_mremap, from, bytes, wanted[i],
                                  MREMAP_MAYMOVE | MREMAP_FIXED, to) == to;
    /* The kernel may have unmapped what is at `to` before it refused. */
    char *rest = (char *)to + (moved ? bytes : 0);
    size_t rest_bytes = room - (moved ? bytes : 0);
    if (rest_bytes && !map_at(rest, rest_bytes, PROT_READ | PROT_WRITE, 0) &&
        errno != EEXIST)
        return MT_OS_LOST;
    return moved ? MT_OS_MOVED : MT_OS_STAYED;
}
