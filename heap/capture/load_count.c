/* SPDX-License-Identifier: BSD-2-Clause
 *
 * load_count.c - how often the dynamic linker loaded an object.
 *
 * WHEN AN ADDRESS CHANGES ITS MEANING. Code at an address can only change after
 * another object was loaded there. The dynamic linker counts the objects it
 * loads (dl_iterate_phdr reports the count as dlpi_adds), and does so before
 * any code of the object runs. dl_iterate_phdr takes the linker's lock, so it
 * can't be asked at a capture; but the count itself is a word in the linker's
 * data, which is found once: at start-up by its value, the number of objects on
 * the linker's list, and exactly from a constructor on, where dl_iterate_phdr
 * may be called. Facts derived from addresses are dropped when the word differs
 * from its value at that time. An object that is unloaded, by anyone, needs no
 * notice: until another is loaded, no code runs at its addresses.
 *
 * The linker also counts the objects on the program's list, in its first words.
 * The difference shows whether an object may have been unloaded.
 */
#include "heap/seldom.h"
#include "heap/capture/load_count.h"
#include "heap/attributes.h"

#include <elf.h>
#include <link.h>
#include <string.h>

static const volatile uint64_t zero;
const volatile uint64_t *mt_modules_loads[2] = {&zero, &zero};
uint64_t mt_modules_events;
const volatile uint32_t *mt_modules_listed = (const volatile uint32_t *)&zero;
int64_t mt_modules_unlisted[2];

static const uint64_t *linker_data; /* _rtld_global */
static size_t linker_words;
static uint64_t start_count; /* that was looked for at start-up, if found */

/* A dynamic section's pointer, which the linker may have relocated. */
static const void *dynamic_pointer(const struct link_map *map, uint64_t value)
{
    return (const void *)(uintptr_t)(value < map->l_addr ? value + map->l_addr
                                                         : value);
}

/* The number of symbols, by the old hash table or the new one. */
static uint32_t symbol_count(const uint32_t *hash, const uint32_t *gnu_hash)
{
    if (hash)
        return hash[1];
    if (!gnu_hash)
        return 0;
    uint32_t n_buckets = gnu_hash[0], last = 0;
    const uint32_t *buckets = gnu_hash + 4 + 2 * gnu_hash[2];
    for (uint32_t i = 0; i < n_buckets; i++)
        if (buckets[i] > last)
            last = buckets[i];
    if (last < gnu_hash[1])
        return last;
    const uint32_t *chain = buckets + n_buckets;
    while (!(chain[last - gnu_hash[1]] & 1))
        last++;
    return last + 1;
}

static void find_linker_data(const struct link_map *map)
{
    const ElfW(Sym) *symbols = NULL;
    const char *names = NULL;
    const uint32_t *hash = NULL, *gnu_hash = NULL;
    for (const ElfW(Dyn) *d = map->l_ld; d->d_tag != DT_NULL; d++) {
        const void *p = dynamic_pointer(map, d->d_un.d_ptr);
        if (d->d_tag == DT_SYMTAB)
            symbols = p;
        else if (d->d_tag == DT_STRTAB)
            names = p;
        else if (d->d_tag == DT_HASH)
            hash = p;
        else if (d->d_tag == DT_GNU_HASH)
            gnu_hash = p;
    }
    if (!symbols || !names)
        return;
    uint32_t n = symbol_count(hash, gnu_hash);
    for (uint32_t i = 0; i < n; i++) {
        const ElfW(Sym) *s = &symbols[i];
        if (strcmp(names + s->st_name, "_rtld_global") != 0)
            continue;
        linker_data = (const void *)(map->l_addr + s->st_value);
        linker_words = s->st_size / sizeof *linker_data;
        return;
    }
}

/* The words of the linker's data that may be the count, the last two: the
 * first structure in it holds another number of loaded objects. */
static unsigned find_count(uint64_t count, const volatile uint64_t *found[2])
{
    unsigned n = 0;
    for (size_t i = linker_words; i > 2 && n < 2; i--)
        if (linker_data[i - 1] == count)
            found[n++] = &linker_data[i - 1];
    for (unsigned i = n; i < 2; i++)
        found[i] = &zero;
    return n;
}

static void set_count(const volatile uint64_t *const found[2])
{
    /* The number of events makes every sum differ from those before. */
    mt_store_relaxed(&mt_modules_loads[0], found[0]);
    mt_store_relaxed(&mt_modules_loads[1], found[1]);
    mt_modules_unlisted[0] = mt_modules_unlisted[1] = 0;
    __atomic_fetch_add(&mt_modules_events, UINT64_C(1) << 48, __ATOMIC_RELAXED);
}

void mt_modules_start(void)
{
    uint64_t n = 0;
    const volatile uint64_t *found[2];
    const struct link_map *linker = NULL;
    for (const struct link_map *m = _r_debug.r_map; m; m = m->l_next) {
        n++;
        if (m->l_addr == _r_debug.r_ldbase && m->l_addr)
            linker = m;
    }
    if (linker && !linker_data)
        find_linker_data(linker);
    if (linker_data && find_count(n, found) > 0) {
        set_count(found);
        start_count = n;
        if (linker_data[0] == (uintptr_t)_r_debug.r_map &&
            (uint32_t)linker_data[1] == n)
            mt_modules_listed = (const uint32_t *)&linker_data[1];
    }
}

static int report_count(struct dl_phdr_info *info, size_t bytes, void *count)
{
    if (bytes >= sizeof *info)
        *(uint64_t *)count = info->dlpi_adds;
    return 1;
}

/* The exact count; a constructor may take the linker's lock. */
static __attribute__((constructor)) void settle_count(void)
{
    uint64_t count = 0;
    const volatile uint64_t *found[2];
    if (!linker_data)
        mt_modules_start();
    dl_iterate_phdr(report_count, &count);
    /* The same count: what was found at start-up holds it still. */
    if (count == start_count && *mt_modules_loads[0] == count &&
        (mt_modules_loads[1] == &zero || *mt_modules_loads[1] == count))
        return;
    if (linker_data && count && find_count(count, found) > 0 &&
        (found[0] != mt_modules_loads[0] || found[1] != mt_modules_loads[1]))
        set_count(found);
}
