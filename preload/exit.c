/* SPDX-License-Identifier: BSD-2-Clause
 *
 * exit.c - the ends of a process that it can see itself: exit() and return from
 * main, after the program's own exit handlers, and _exit().  Not seen are
 * quick_exit(), signals, and execve(2), which does not end a process.
 */
#include "heap/seldom.h"
#include "heap/attributes.h"
#include "heap/box.h"
#include "heap/kernel.h"
#include "heap/exit/at_exit.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The 128 bytes below a stack pointer are searched for pointers: those are the
 * registers that were saved here, and zeros, but no addresses of ours. */
#define AT_END()                                                               \
    do {                                                                       \
        volatile char zeros[256];                                              \
        for (size_t i = 0; i < sizeof zeros; i++)                              \
            zeros[i] = 0;                                                      \
        mt_exit_write((uint64_t)(uintptr_t)__builtin_frame_address(0) + 16,    \
                      (uint64_t)(uintptr_t)__builtin_return_address(0));       \
        if (mt_box_on)                                                         \
            mt_box_end();                                                      \
    } while (0)

__attribute__((destructor)) static void exit_at_end(void)
{
    AT_END();
}

static _Noreturn void exit_leave(int status)
{
    for (;;)
        mt_kernel(SYS_exit_group, status);
}

MT_EXPORT _Noreturn void _exit(int status)
{
    AT_END();
    exit_leave(status);
}

MT_EXPORT _Noreturn void _Exit(int status)
{
    AT_END();
    exit_leave(status);
}
