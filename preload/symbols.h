/* SPDX-License-Identifier: BSD-2-Clause
 *
 * symbols.h - the dynamic symbols of a loaded object, found as the dynamic
 * linker finds them, but with no lock and no allocation.
 */
#ifndef MT_SYMBOLS_H
#define MT_SYMBOLS_H

#include <link.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mt_symbols {
    const struct link_map *map;
    const ElfW(Sym) * table;
    const char *names;
    const uint32_t *gnu_hash, *hash;
    const uint16_t *versions; /* or NULL */
};

/* False for an object without a table or a hash table (the vDSO is skipped,
 * too). */
bool mt_symbols_open(struct mt_symbols *, const struct link_map *);
/* The next symbol of that name that the object defines, from *at on, which
 * begins as 0: it may define several versions of one. NULL: no more. */
const ElfW(Sym) *
    mt_symbols_next(const struct mt_symbols *, const char *name, uint32_t *at);
/* The address that the object defines the name at, in the version that is the
 * default if there are several; 0: it does not. */
uintptr_t mt_symbols_address(const struct mt_symbols *, const char *name);
/* The preload library. */
const struct link_map *mt_symbols_own(void);
/* Does an object that is searched before this library define the name? */
bool mt_symbols_is_preceded(const char *name);
/* The address that comes next: in the search order of the whole process, or
 * in any object that is loaded; 0: in none. */
uintptr_t mt_symbols_following_global(const char *name);
uintptr_t mt_symbols_following(const char *name);

#endif
