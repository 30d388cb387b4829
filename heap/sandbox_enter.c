/* SPDX-License-Identifier: BSD-2-Clause
 *
 * sandbox_enter.c - allocations after seccomp.
 *
 * A program that puts itself into a sandbox allows the system calls that it
 * needs, as it learned them on the C library's malloc: mmap(), munmap(), brk(),
 * and with threads futex().  In strict mode there are none of these.  So a
 * thread that is about to enter a sandbox (preload/sandbox.c sees it) first
 * makes all the calls that would be made later for other ends: it lists the
 * modules that are loaded, finds out where its stack is, and maps memory for
 * the trace and for blocks.
 *
 * In a filter, no other calls are made than those that malloc makes; where a
 * capture would have to ask whether memory can be read, it ends.  In strict
 * mode there are none: where memory runs out, allocations fail.
 */
#include "heap/seldom.h"
#include "heap/sandbox.h"

#include "heap/alloc.h"
#include "heap/kernel.h"
#include "heap/os.h"
#include "heap/pages.h"
#include "heap/trace_region.h"
#include "heap/capture/module_table.h"

#include <link.h>
#include <sys/resource.h>

#define PAGE UINT64_C(4096)
#define MAX_STACK (UINT64_C(64) << 20)    /* that is looked for */
#define TRACE_AHEAD (UINT64_C(256) << 10) /* bytes of each section */
#define HEAP_AHEAD (UINT64_C(4) << 20)

extern void *__libc_stack_end;

static int note_module(struct dl_phdr_info *info, size_t bytes, void *unused)
{
    (void)bytes, (void)unused;
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        uint64_t start = info->dlpi_addr + p->p_vaddr;
        uint64_t frame = start + 1;
        uint32_t n = mt_sandbox_n_segments;
        if (p->p_type != PT_LOAD)
            continue;
        if (p->p_flags & PF_X)
            mt_modules_note(&frame, 1);
        if (!(p->p_flags & PF_R) || n == MT_SANDBOX_SEGMENTS)
            continue;
        mt_sandbox_segments[n].start = start & ~(PAGE - 1);
        mt_sandbox_segments[n].end =
            (start + p->p_memsz + PAGE - 1) & ~(PAGE - 1);
        mt_store_release(&mt_sandbox_n_segments, n + 1);
    }
    return 0;
}

/* The main thread's stack grows on use, and nothing is mapped where it may
 * grow; any other is mapped, which is asked page by page. */
static void find_stack(struct mt_sandbox *s)
{
    uint64_t here = (uintptr_t)__builtin_frame_address(0) & ~(PAGE - 1);
    uint64_t end = (uintptr_t)__libc_stack_end & ~(PAGE - 1);
    struct rlimit limit = {8 << 20, 0};
    mt_kernel(SYS_prlimit64, 0, RLIMIT_STACK, NULL, &limit);
    uint64_t most = limit.rlim_cur < MAX_STACK ? limit.rlim_cur : MAX_STACK;
    if (here <= end && end - here < most) {
        s->low = end - most;
        s->high = end + PAGE;
        return;
    }
    s->low = s->high = here;
    while (s->high - here < MAX_STACK &&
           mt_os_readable((const void *)(uintptr_t)s->high, 8))
        s->high += PAGE;
    while (here - s->low < MAX_STACK &&
           mt_os_readable((const void *)(uintptr_t)(s->low - PAGE), 8))
        s->low -= PAGE;
}

void mt_sandbox_prepare(enum mt_sandbox_level level)
{
    static struct mt_lock lock;
    struct mt_sandbox s = {.level = level};
    if (mt_sandbox.level != MT_SANDBOX_NONE || !mt_started())
        return;
    mt_lock_acquire(&lock);
    if (mt_sandbox_n_segments == 0)
        dl_iterate_phdr(note_module, NULL);
    mt_lock_release(&lock);
    find_stack(&s);
    mt_heap_map_ahead(mt_main, HEAP_AHEAD);
    mt_section_map_ahead(TRACE_AHEAD);
    mt_store_release(
        level == MT_SANDBOX_FILTER ? &mt_sandbox_any : &mt_sandbox_strict, 1);
    mt_sandbox = s;
}

void mt_sandbox_cancel(const struct mt_sandbox *before)
{
    mt_sandbox = *before;
}
