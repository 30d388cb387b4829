/* SPDX-License-Identifier: BSD-2-Clause
 *
 * For assembler files: an entry that hands the registers of its caller's
 * caller on.  It is reached by a tail call from an allocation function, builds
 * a struct mt_regs (capture.h) of the registers as they will be on return, and
 * calls its target with that as the fourth argument.
 */
    .macro entry name, target
    .globl \name
    .hidden \name
    .type \name, @function
    .p2align 4
\name:
    .cfi_startproc
    lea 8(%rsp), %rax
    mov (%rsp), %r10
    push %r15
    .cfi_adjust_cfa_offset 8
    push %r14
    .cfi_adjust_cfa_offset 8
    push %r13
    .cfi_adjust_cfa_offset 8
    push %r12
    .cfi_adjust_cfa_offset 8
    push %rbx
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %rbx, 0
    push %rbp
    .cfi_adjust_cfa_offset 8
    push %rax
    .cfi_adjust_cfa_offset 8
    push %r10
    .cfi_adjust_cfa_offset 8
    mov %rsp, %rcx
    mov %rsp, %rbx
    .cfi_def_cfa_register %rbx
    and $-16, %rsp /* callers should have, and not all have */
    call \target
    mov %rbx, %rsp
    .cfi_def_cfa_register %rsp
    mov 24(%rsp), %rbx
    .cfi_restore %rbx
    add $64, %rsp
    .cfi_adjust_cfa_offset -64
    ret
    .cfi_endproc
    .size \name, . - \name
    .endm

