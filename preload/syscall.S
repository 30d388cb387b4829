/* SPDX-License-Identifier: BSD-2-Clause
 *
 * syscall(), as the C library's: it may make a child that runs on another
 * stack, so that it has no frame.  Only what enters a sandbox is looked at
 * (seccomp.c).
 */
#include <sys/syscall.h>

#define PR_SET_SECCOMP 22

    .hidden mt_sandbox_syscall
    .text
    .globl syscall
    .type syscall, @function
    .p2align 4
syscall:
    .cfi_startproc
    cmp $SYS_seccomp, %rdi
    je 3f
    cmp $SYS_prctl, %rdi
    je 2f
1:  mov %rdi, %rax
    mov %rsi, %rdi
    mov %rdx, %rsi
    mov %rcx, %rdx
    mov %r8, %r10
    mov %r9, %r8
    mov 8(%rsp), %r9
    syscall
    cmp $-4095, %rax
    jae 4f
    ret
2:  cmp $PR_SET_SECCOMP, %rsi
    jne 1b
3:  jmp mt_sandbox_syscall
4:  neg %eax
    push %rax
    .cfi_adjust_cfa_offset 8
    call *__errno_location@GOTPCREL(%rip)
    pop %rcx
    .cfi_adjust_cfa_offset -8
    mov %ecx, (%rax)
    mov $-1, %rax
    ret
    .cfi_endproc
    .size syscall, . - syscall

    .section .note.GNU-stack, "", @progbits
