/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The entries of the interfaces of other allocators; their targets are in
 * jemalloc_api.c.
 */
#include "heap/entry.S.h"

    .text
    entry mt_enter_mallocx, mt_traced_mallocx
    entry mt_enter_rallocx, mt_traced_rallocx
    entry mt_enter_xallocx, mt_traced_xallocx

    .section .note.GNU-stack, "", @progbits
