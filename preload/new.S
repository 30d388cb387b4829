/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The entries of operator new; their targets are in cxx.c.
 */
#include "heap/entry.S.h"

    .text
    entry mt_enter_new, mt_traced_new
    entry mt_enter_new_nothrow, mt_traced_new_nothrow
    entry mt_enter_new_aligned, mt_traced_new_aligned
    entry mt_enter_new_aligned_nothrow, mt_traced_new_aligned_nothrow

    .section .note.GNU-stack, "", @progbits
