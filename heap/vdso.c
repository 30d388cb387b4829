/* SPDX-License-Identifier: BSD-2-Clause
 *
 * vdso.c - the time, from the kernel's vDSO: the C library's clock_gettime()
 * may be another's, which allocates or says what time a test wants it to be.
 */
#include "heap/seldom.h"
#include "heap/kernel.h"
#include "heap/os.h"

#include <elf.h>
#include <link.h>

static int ask_kernel(clockid_t clock, struct timespec *now)
{
    return (int)mt_kernel_raw(SYS_clock_gettime, clock, (long)now, 0, 0, 0, 0);
}

mt_clock *mt_os_clock = ask_kernel;

/* The parts of the vDSO's dynamic section; NULL if it has none. */
struct vdso_image {
    const char *base; /* add a symbol's value */
    const char *names;
    const ElfW(Sym) * symbols;
    size_t n_symbols;
};

static bool vdso_read(const ElfW(Ehdr) * e, struct vdso_image *image)
{
    const char *start = (const char *)e;
    const ElfW(Phdr) *p = (const void *)(start + e->e_phoff);
    const ElfW(Dyn) *dynamic = NULL;
    for (unsigned i = 0; i < e->e_phnum; i++) {
        if (p[i].p_type == PT_LOAD && !image->base)
            image->base = start + p[i].p_offset - p[i].p_vaddr;
        if (p[i].p_type == PT_DYNAMIC)
            dynamic = (const void *)(start + p[i].p_offset);
    }
    const uint32_t *hash = NULL;
    for (; image->base && dynamic && dynamic->d_tag != DT_NULL; dynamic++) {
        const char *at = image->base + dynamic->d_un.d_ptr;
        if (dynamic->d_tag == DT_STRTAB)
            image->names = at;
        else if (dynamic->d_tag == DT_SYMTAB)
            image->symbols = (const void *)at;
        else if (dynamic->d_tag == DT_HASH)
            hash = (const void *)at;
    }
    if (!image->names || !image->symbols)
        return false;
    /* Newer ones have the other hash table; their names follow the symbols. */
    ptrdiff_t room = image->names - (const char *)image->symbols;
    if (hash)
        image->n_symbols = hash[1];
    else if (room > 0)
        image->n_symbols = (size_t)room / sizeof *image->symbols;
    return true;
}

/* strcmp() is in a page of the C library that few programs have at start. */
static bool is_clock(const char *name)
{
    const char *wanted = "__vdso_clock_gettime";
    while (*wanted && *name == *wanted)
        name++, wanted++;
    return *name == *wanted;
}

void mt_os_clock_start(void)
{
    struct vdso_image image = {0};
    const ElfW(Ehdr) *e = (const void *)mt_os_auxiliary(AT_SYSINFO_EHDR);
    if (!e || !vdso_read(e, &image))
        return;
    for (size_t i = 0; i < image.n_symbols; i++) {
        const ElfW(Sym) *symbol = &image.symbols[i];
        if (symbol->st_shndx != SHN_UNDEF &&
            is_clock(image.names + symbol->st_name))
            mt_os_clock =
                (mt_clock *)(uintptr_t)(image.base + symbol->st_value);
    }
}

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    mt_os_clock(clock, &now);
    return mt_os_ns(&now);
}

uint64_t mt_os_monotonic_ns(void)
{
    return clock_ns(MT_OS_MONOTONIC);
}

uint64_t mt_os_realtime_ns(void)
{
    return clock_ns(CLOCK_REALTIME);
}
