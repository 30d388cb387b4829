/* SPDX-License-Identifier: BSD-2-Clause
 *
 * own_data.c - says in the root where the library's own variables are, so that
 * no reader takes what they hold for pointers of the program's.
 *
 * In a shared library of this project that is its whole writable segment.
 * Linked into a program, the library's variables lie among the program's, and
 * the one that holds the address of a block is named alone: all else that the
 * allocator knows of blocks lies in the trace region.
 */
#include "heap/seldom.h"
#include "heap/alloc.h"
#include "heap/trace_region.h"

#include <elf.h>
#include <string.h>

extern const Elf64_Ehdr __ehdr_start __attribute__((visibility("hidden")));
extern const Elf64_Dyn _DYNAMIC[] __attribute__((visibility("hidden"), weak));

/* Is the module that this is part of one of this project's libraries? */
static bool is_own_library(uintptr_t base)
{
    static const char own[] = "libmemtrace";
    uintptr_t strings = 0, name = UINTPTR_MAX;
    const Elf64_Dyn *d = _DYNAMIC;

    if (d == NULL)
        return false;
    for (; d->d_tag != DT_NULL; d++) {
        if (d->d_tag == DT_SONAME)
            name = d->d_un.d_val;
        else if (d->d_tag == DT_STRTAB)
            strings = d->d_un.d_ptr;
    }
    if (name == UINTPTR_MAX || strings == 0)
        return false;
    if (strings < base) /* the dynamic linker has not made it an address */
        strings += base;
    return strncmp((const char *)strings + name, own, sizeof own - 1) == 0;
}

void mt_own_data_publish(void)
{
    uintptr_t base = (uintptr_t)&__ehdr_start;
    const Elf64_Phdr *p = (const Elf64_Phdr *)(base + __ehdr_start.e_phoff);

    memtrace_root->spare_bytes = MT_SPARE_BYTES;
    memtrace_root->own_data = (uintptr_t)&mt_hot;
    memtrace_root->own_data_bytes = sizeof mt_hot;
    if (!is_own_library(base))
        return;
    for (unsigned i = 0; i < __ehdr_start.e_phnum; i++) {
        uintptr_t start = base + p[i].p_vaddr;
        if (p[i].p_type == PT_LOAD && (p[i].p_flags & PF_W) &&
            (uintptr_t)&mt_hot - start < p[i].p_memsz) {
            memtrace_root->own_data = start;
            memtrace_root->own_data_bytes = p[i].p_memsz;
        }
    }
}
