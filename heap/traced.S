/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The entries of the heap; their targets are in api.c.
 */
#include "heap/entry.S.h"

    .text
    entry mt_enter_malloc, mt_traced_malloc
    entry mt_enter_calloc, mt_traced_calloc
    entry mt_enter_realloc, mt_traced_realloc
    entry mt_enter_aligned, mt_traced_aligned
    entry mt_enter_posix, mt_traced_posix
    entry mt_enter_heap_alloc, mt_traced_heap_alloc
    entry mt_enter_heap_calloc, mt_traced_heap_calloc
    entry mt_enter_heap_realloc, mt_traced_heap_realloc

    .section .note.GNU-stack, "", @progbits
