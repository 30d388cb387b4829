/* SPDX-License-Identifier: BSD-2-Clause
 *
 * altstack.c - sigaltstack() that remembers the stack, as the kernel does.  A
 * program need not keep the address, and nothing else shows it: without this
 * variable, in which searches for leaks see it, the block looks lost.
 */
#include "heap/attributes.h"
#include "heap/kernel.h"
#include "heap/seldom.h"

#include <signal.h>
#include <stddef.h>

static MT_TLS void *volatile alternate_stack;

MT_EXPORT int sigaltstack(const stack_t *stack, stack_t *old)
{
    long result = mt_kernel(SYS_sigaltstack, stack, old);
    if (result == 0 && stack)
        alternate_stack = stack->ss_flags & SS_DISABLE ? NULL : stack->ss_sp;
    return (int)result;
}
