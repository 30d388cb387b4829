/* SPDX-License-Identifier: BSD-2-Clause
 *
 * dlopen() and dlsym(), which close the doors to the C library's own malloc
 * first (libc_blocks.c).  They jump to the linker's, which looks at the return
 * address to see who calls.
 */
    .macro link name
    .globl \name
    .type \name, @function
    .p2align 4
\name:
    .cfi_startproc
    cmpq $0, mt_next_dlopen(%rip)
    je 1f
    jmp *mt_next_\name(%rip)
1:  push %rdi
    .cfi_adjust_cfa_offset 8
    push %rsi
    .cfi_adjust_cfa_offset 8
    push %rdx
    .cfi_adjust_cfa_offset 8
    call mt_links_start
    pop %rdx
    .cfi_adjust_cfa_offset -8
    pop %rsi
    .cfi_adjust_cfa_offset -8
    pop %rdi
    .cfi_adjust_cfa_offset -8
    jmp *mt_next_\name(%rip)
    .cfi_endproc
    .size \name, . - \name
    .endm

    .hidden mt_next_dlopen, mt_next_dlsym, mt_next_dlvsym, mt_links_start
    .text
    link dlopen
    link dlsym
    link dlvsym

    .section .note.GNU-stack, "", @progbits
