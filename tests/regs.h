/* SPDX-License-Identifier: BSD-2-Clause
 *
 * regs.h - a test's own registers, as the heap's entry points hand them to
 * a capture.
 */
#ifndef MT_TESTS_REGS_H
#define MT_TESTS_REGS_H

#include "heap/capture/capture.h"

/* The caller's registers as they are when this returns. */
void test_regs(struct mt_regs *regs);

#define TEST_REGS_DEFINE                                                       \
    __asm__(".text\n"                                                          \
            ".globl test_regs\n"                                               \
            ".type test_regs, @function\n"                                     \
            "test_regs:\n"                                                     \
            ".cfi_startproc\n"                                                 \
            "movq (%rsp), %rax\n"                                              \
            "movq %rax, (%rdi)\n"                                              \
            "leaq 8(%rsp), %rax\n"                                             \
            "movq %rax, 8(%rdi)\n"                                             \
            "movq %rbp, 16(%rdi)\n"                                            \
            "movq %rbx, 24(%rdi)\n"                                            \
            "movq %r12, 32(%rdi)\n"                                            \
            "movq %r13, 40(%rdi)\n"                                            \
            "movq %r14, 48(%rdi)\n"                                            \
            "movq %r15, 56(%rdi)\n"                                            \
            "ret\n"                                                            \
            ".cfi_endproc\n"                                                   \
            ".size test_regs, .-test_regs\n");

#endif
