/* SPDX-License-Identifier: BSD-2-Clause
 *
 * symbols.c - looks a name up in the symbol tables of loaded objects: dlsym()
 * takes the dynamic linker's lock, and can not be asked for one object alone.
 */
#include "heap/seldom.h"
#include "preload/symbols.h"
#include "heap/attributes.h"

#include <dlfcn.h>
#include <string.h>
#include <sys/auxv.h>

extern ElfW(Dyn) _DYNAMIC[] __attribute__((visibility("hidden")));

/* The linker has relocated these pointers, but not in the vDSO. */
static const void *symbols_pointer(const struct link_map *map, uint64_t value)
{
    return (const void *)(value < map->l_addr ? value + map->l_addr : value);
}

bool mt_symbols_open(struct mt_symbols *s, const struct link_map *map)
{
    *s = (struct mt_symbols){.map = map};
    if (map->l_addr && map->l_addr == getauxval(AT_SYSINFO_EHDR))
        return false;
    for (const ElfW(Dyn) *d = map->l_ld; d && d->d_tag != DT_NULL; d++) {
        const void *p = symbols_pointer(map, d->d_un.d_ptr);
        if (d->d_tag == DT_SYMTAB)
            s->table = p;
        else if (d->d_tag == DT_STRTAB)
            s->names = p;
        else if (d->d_tag == DT_GNU_HASH)
            s->gnu_hash = p;
        else if (d->d_tag == DT_HASH)
            s->hash = p;
        else if (d->d_tag == DT_VERSYM)
            s->versions = p;
    }
    return s->table && s->names && (s->gnu_hash || s->hash);
}

static bool is_defined(const struct mt_symbols *s, uint32_t i, const char *name)
{
    const ElfW(Sym) *symbol = &s->table[i];
    unsigned type = ELF64_ST_TYPE(symbol->st_info);
    return symbol->st_shndx != SHN_UNDEF && symbol->st_value &&
           (type == STT_FUNC || type == STT_GNU_IFUNC) &&
           strcmp(s->names + symbol->st_name, name) == 0;
}

static uint32_t gnu_hash_of(const char *name)
{
    uint32_t h = 5381;
    while (*name)
        h = h * 33 + (unsigned char)*name++;
    return h;
}

/* The index after `at` of the name, or 0. The table: numbers of buckets, of
 * the first symbol, of words of the filter, a shift; filter; buckets; and for
 * each symbol its hash, whose lowest bit ends a chain. */
static uint32_t gnu_next(const struct mt_symbols *s, const char *name,
                         uint32_t at)
{
    const uint32_t *table = s->gnu_hash;
    uint32_t n_buckets = table[0], first = table[1], words = table[2];
    uint32_t h = gnu_hash_of(name);
    const uint64_t *filter = (const uint64_t *)(table + 4);
    uint64_t both = UINT64_C(1) << h % 64 | UINT64_C(1) << (h >> table[3]) % 64;
    if (n_buckets == 0 || (filter[h / 64 % words] & both) != both)
        return 0;
    const uint32_t *buckets = (const uint32_t *)(filter + words);
    const uint32_t *chain = buckets + n_buckets;
    uint32_t i = buckets[h % n_buckets];
    if (i < first)
        return 0;
    for (;; i++) {
        uint32_t its = chain[i - first];
        if (i > at && (its | 1) == (h | 1) && is_defined(s, i, name))
            return i;
        if (its & 1)
            return 0;
    }
}

static uint32_t old_next(const struct mt_symbols *s, const char *name,
                         uint32_t at)
{
    for (uint32_t i = at + 1; i < s->hash[1]; i++)
        if (is_defined(s, i, name))
            return i;
    return 0;
}

const ElfW(Sym) *
    mt_symbols_next(const struct mt_symbols *s, const char *name, uint32_t *at)
{
    *at = s->gnu_hash ? gnu_next(s, name, *at) : old_next(s, name, *at);
    return *at ? &s->table[*at] : NULL;
}

#define HIDDEN_VERSION 0x8000u
uintptr_t mt_symbols_address(const struct mt_symbols *s, const char *name)
{
    const ElfW(Sym) *best = NULL, *symbol;
    for (uint32_t at = 0; (symbol = mt_symbols_next(s, name, &at)) != NULL;) {
        best = symbol;
        if (!s->versions || !(s->versions[at] & HIDDEN_VERSION))
            break;
    }
    if (!best)
        return 0;
    uintptr_t address = s->map->l_addr + best->st_value;
    if (ELF64_ST_TYPE(best->st_info) == STT_GNU_IFUNC)
        address = ((uintptr_t(*)(void))address)();
    return address;
}

const struct link_map *mt_symbols_own(void)
{
    const struct link_map *map = _r_debug.r_map;
    while (map && map->l_ld != _DYNAMIC)
        map = map->l_next;
    return map;
}

bool mt_symbols_is_preceded(const char *name)
{
    struct mt_symbols s;
    for (const struct link_map *map = _r_debug.r_map;
         map && map->l_ld != _DYNAMIC; map = map->l_next) {
        uint32_t at = 0;
        if (mt_symbols_open(&s, map) && mt_symbols_next(&s, name, &at))
            return true;
    }
    return false;
}

uintptr_t mt_symbols_following_global(const char *name)
{
    return (uintptr_t)dlsym(RTLD_NEXT, name);
}

uintptr_t mt_symbols_following(const char *name)
{
    struct mt_symbols s;
    const struct link_map *map = mt_symbols_own();
    for (map = map ? map->l_next : NULL; map; map = map->l_next) {
        uintptr_t address =
            mt_symbols_open(&s, map) ? mt_symbols_address(&s, name) : 0;
        if (address)
            return address;
    }
    return 0;
}
