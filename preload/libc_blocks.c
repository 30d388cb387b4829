/* SPDX-License-Identifier: BSD-2-Clause
 *
 * libc_blocks.c - the blocks of the C library's own allocator.
 *
 * Some code calls it in spite of this library: plug-ins that are loaded with
 * RTLD_DEEPBIND, what asks dlsym() for a function of libc.so.6 (ctypes,
 * P/Invoke of mono).  Doors that lead there are closed as far as they can be:
 * the functions' entries in libc's table of symbols are made ours, before the
 * first dlopen() or dlsym() of the process looks there.  (links.S has these
 * two.)  A block that was made there all the same is known by its header and is
 * given back to where it is from.
 *
 * Open are: functions found before, in another way than by dlsym(); dlmopen(),
 * whose namespaces have a libc each; and libc's table where the kernel lets
 * nobody write to it.
 */
#include "heap/seldom.h"
#include "heap/attributes.h"
#include "heap/kernel.h"
#include "heap/libc_heap.h"
#include "heap/lock.h"
#include "heap/os.h"
#include "preload/preload.h"
#include "preload/symbols.h"

#include <sys/mman.h>
#include <unistd.h>

static const char *const family[] = {
    "malloc",          "free",          "calloc",         "realloc",
    "reallocarray",    "memalign",      "aligned_alloc",  "posix_memalign",
    "valloc",          "pvalloc",       "cfree",          "malloc_usable_size",
    "__libc_malloc",   "__libc_free",   "__libc_calloc",  "__libc_realloc",
    "__libc_memalign", "__libc_valloc", "__libc_pvalloc",
};
#define FAMILY (sizeof family / sizeof *family)

static struct mt_lock libc_lock;
static bool libc_known;
static struct mt_symbols libc;
static struct {
    void (*free)(void *);
    void *(*realloc)(void *, size_t);
    size_t (*usable_size)(void *);
} real;

/* Lock held. */
static bool libc_find(void)
{
    if (libc_known)
        return real.free != NULL;
    libc_known = true;
    const struct link_map *map = mt_symbols_own();
    for (map = map ? map->l_next : NULL; map; map = map->l_next)
        if (mt_symbols_open(&libc, map) &&
            mt_symbols_address(&libc, "__libc_start_main") &&
            mt_symbols_address(&libc, "__libc_free"))
            break;
    if (!map)
        return false;
    real.realloc =
        (void *(*)(void *, size_t))mt_symbols_address(&libc, "realloc");
    real.usable_size =
        (size_t(*)(void *))mt_symbols_address(&libc, "malloc_usable_size");
    real.free = (void (*)(void *))mt_symbols_address(&libc, "free");
    return real.realloc && real.usable_size && real.free;
}

/* --- the doors --- */

/* How the segment that holds the table is mapped. */
static int table_access(void)
{
    const ElfW(Ehdr) *e = (const void *)libc.map->l_addr;
    const ElfW(Phdr) *p = (const void *)(libc.map->l_addr + e->e_phoff);
    uint64_t at = (uintptr_t)libc.table - libc.map->l_addr;
    for (unsigned i = 0; i < e->e_phnum; i++)
        if (p[i].p_type == PT_LOAD && at - p[i].p_vaddr < p[i].p_memsz)
            return (p[i].p_flags & PF_R ? PROT_READ : 0) |
                   (p[i].p_flags & PF_W ? PROT_WRITE : 0) |
                   (p[i].p_flags & PF_X ? PROT_EXEC : 0);
    return -1;
}

struct libc_entry {
    ElfW(Sym) * symbol;
    uint64_t value;
};

static void make_ours(const struct libc_entry *entry, size_t n)
{
    uintptr_t low = UINTPTR_MAX, high = 0;
    for (size_t i = 0; i < n; i++) {
        uintptr_t at = (uintptr_t)entry[i].symbol;
        low = at < low ? at : low;
        high = at > high ? at : high;
    }
    low &= ~(uintptr_t)4095;
    size_t bytes =
        ((high + sizeof *entry->symbol + 4095) & ~(uintptr_t)4095) - low;
    int access = table_access();
    if (n == 0 || access < 0 ||
        mt_kernel(SYS_mprotect, low, bytes, PROT_READ | PROT_WRITE) != 0)
        return;
    for (size_t i = 0; i < n; i++)
        mt_store_release(&entry[i].symbol->st_value, entry[i].value);
    mt_kernel(SYS_mprotect, low, bytes, access);
}

/* Not where the program, or a library before this one, has a malloc: then the
 * blocks of most are theirs. */
static void close_doors(void)
{
    struct libc_entry entry[2 * FAMILY];
    struct mt_symbols own;
    const struct link_map *map = mt_symbols_own();
    size_t n = 0;
    if (!libc_find() || !map || !mt_symbols_open(&own, map) ||
        mt_symbols_is_preceded("malloc") || mt_symbols_is_preceded("free"))
        return;
    for (size_t i = 0; i < FAMILY; i++) {
        uintptr_t ours = mt_symbols_address(&own, family[i]);
        const ElfW(Sym) * symbol;
        for (uint32_t at = 0;
             ours && n < 2 * FAMILY &&
             (symbol = mt_symbols_next(&libc, family[i], &at)) != NULL;) {
            entry[n].symbol = (ElfW(Sym) *)(uintptr_t)symbol;
            entry[n++].value = ours - libc.map->l_addr;
        }
    }
    make_ours(entry, n);
}

/* links.S: where dlopen() and the others go, once the doors are closed. */
void *mt_next_dlopen, *mt_next_dlsym, *mt_next_dlvsym;
void mt_links_start(void);

static void *no_such_function(void)
{
    return NULL;
}

static void *following(const char *name)
{
    uintptr_t address = mt_symbols_following(name);
    return address ? (void *)address : (void *)(uintptr_t)no_such_function;
}

void mt_links_start(void)
{
    int saved = errno;
    mt_lock_acquire(&libc_lock);
    if (!mt_next_dlopen) {
        close_doors();
        mt_store_release(&mt_next_dlvsym, following("dlvsym"));
        mt_store_release(&mt_next_dlsym, following("dlsym"));
        mt_store_release(&mt_next_dlopen, following("dlopen"));
    }
    mt_lock_release(&libc_lock);
    errno = saved;
}

/* --- its blocks --- */

#define IN_USE                                                                 \
    1u              /* flags in the size of a chunk: the one before is in use, \
                     */
#define MAPPED 2u   /* it has a mapping of its own, */
#define IN_ARENA 4u /* it is in an arena that is not the main one */
#define FLAGS 7u
#define ARENA_BYTES                                                            \
    (UINT64_C(64) << 20) /* and where each part of one begins                  \
                          */

static uintptr_t break_at_start;

static uintptr_t break_now(void)
{
    return (uintptr_t)mt_kernel_raw(SYS_brk, 0, 0, 0, 0, 0, 0);
}

/* The chunk after it says that this one is in use. */
static bool is_in_use(uintptr_t chunk, uint64_t size)
{
    const uint64_t *next = (const uint64_t *)(chunk + size);
    return mt_os_readable(next, 16) && (next[1] & IN_USE);
}

static bool is_in_arena(uintptr_t chunk, uint64_t size)
{
    const uint64_t *part = (const uint64_t *)(chunk & ~(ARENA_BYTES - 1));
    if (!mt_os_readable(part, 32)) /* arena, part before, bytes */
        return false;
    uintptr_t start = (uintptr_t)part;
    return part[2] <= ARENA_BYTES && part[2] % 4096 == 0 &&
           chunk >= start + 32 && chunk + size <= start + part[2] &&
           part[0] % 8 == 0 && mt_os_readable((void *)part[0], 8);
}

static bool libc_owns(uintptr_t p)
{
    uintptr_t chunk = p - 16;
    if (p % 16 || p < 8192 || !mt_os_readable((void *)chunk, 16))
        return false;
    const uint64_t *header = (const uint64_t *)chunk;
    uint64_t before = header[0], size = header[1] & ~(uint64_t)FLAGS;
    if (size < 32 || size % 16 || size >> 46)
        return false;
    bool good = false;
    if (header[1] & MAPPED)
        good = !(header[1] & (IN_ARENA | IN_USE)) && before < chunk &&
               (chunk - before) % 4096 == 0 && (before + size) % 4096 == 0 &&
               mt_os_readable((void *)(chunk + size - 8), 8);
    else if (header[1] & IN_ARENA)
        good = is_in_arena(chunk, size) && is_in_use(chunk, size);
    else
        good = chunk >= break_at_start && size < ARENA_BYTES << 10 &&
               chunk + size < break_now() && is_in_use(chunk, size);
    if (!good)
        return false;
    mt_lock_acquire(&libc_lock);
    good = libc_find();
    mt_lock_release(&libc_lock);
    return good;
}

static void libc_free(void *p)
{
    real.free(p);
}

static void *libc_realloc(void *p, size_t size)
{
    return real.realloc(p, size);
}

static size_t libc_usable_size(void *p)
{
    return real.usable_size(p);
}

static const struct mt_libc_heap heap = {libc_owns, libc_free, libc_realloc,
                                         libc_usable_size};

void mt_libc_start(void)
{
    break_at_start = break_now();
    mt_store_release(&mt_libc_heap, &heap);
}
