/* SPDX-License-Identifier: BSD-2-Clause
 *
 * object.c - which loaded object an address lies in, without a lock.
 *
 * glibc 2.35 and later say it (_dl_find_object). For older ones a table is
 * made from the linker's list of objects, and again when the number of loads
 * has changed: while the linker says that the list is consistent, it is read
 * without the linker's lock, which a capture must not take. A thread that
 * unloads an object at the very moment may make that see a freed record;
 * each is therefore looked at only if it is readable and has an ELF header.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include "heap/capture/object.h"

#ifdef HAVE__DL_FIND_OBJECT
#include <dlfcn.h>

bool mt_object_find(uint64_t address, struct mt_object *object)
{
    struct dl_find_object found;
    if (_dl_find_object((void *)(uintptr_t)address, &found) != 0)
        return false;
    object->start = (uint64_t)(uintptr_t)found.dlfo_map_start;
    object->end = (uint64_t)(uintptr_t)found.dlfo_map_end;
    object->eh_frame_hdr = found.dlfo_eh_frame;
    object->link_map = found.dlfo_link_map;
    return true;
}

#else
#include "heap/capture/load_count.h"

#include <elf.h>
#include <link.h>
#include <string.h>
#include <sys/auxv.h>

#define MAX_OBJECTS 1024

static struct mt_object objects[MAX_OBJECTS];
static uint32_t n_objects;
static uint32_t version; /* odd while the table is changed */
static uint64_t table_load_count;
static bool have_table;

/* Fills in `object` from its program headers. */
static bool object_read_headers(const ElfW(Phdr) * p, unsigned n, uint64_t bias,
                                struct mt_object *object)
{
    object->start = UINT64_MAX;
    object->end = 0;
    object->eh_frame_hdr = NULL;
    for (unsigned i = 0; i < n; i++) {
        uint64_t start = bias + p[i].p_vaddr, end = start + p[i].p_memsz;
        if (p[i].p_type == PT_GNU_EH_FRAME)
            object->eh_frame_hdr = (const uint8_t *)(uintptr_t)start;
        if (p[i].p_type != PT_LOAD)
            continue;
        start &= ~UINT64_C(4095);
        object->start = start < object->start ? start : object->start;
        object->end = end > object->end ? end : object->end;
    }
    return object->start < object->end;
}

static bool read_object(const struct link_map *map, struct mt_object *object)
{
    object->link_map = map;
    if (map == _r_debug.r_map) /* the program */
        return object_read_headers((const void *)getauxval(AT_PHDR),
                                   (unsigned)getauxval(AT_PHNUM), map->l_addr,
                                   object);
    const ElfW(Ehdr) *e = (const void *)map->l_addr;
    if (!mt_os_readable(e, 4096) || memcmp(e->e_ident, ELFMAG, SELFMAG) != 0 ||
        e->e_phoff + e->e_phnum * sizeof(ElfW(Phdr)) > 4096)
        return false;
    return object_read_headers((const void *)(map->l_addr + e->e_phoff),
                               e->e_phnum, map->l_addr, object);
}

/* The linker's own: a program may have a copy of `_r_debug` from the time when
 * it was relocated. */
static const struct r_debug *linker_state(void)
{
    const struct link_map *program = _r_debug.r_map;
    for (const ElfW(Dyn) *d = program->l_ld; d->d_tag != DT_NULL; d++)
        if (d->d_tag == DT_DEBUG && d->d_un.d_ptr)
            return (const struct r_debug *)d->d_un.d_ptr;
    return &_r_debug;
}

static MT_COLD void object_refresh(void)
{
    uint64_t load_count = mt_modules_load_count();
    uint32_t even = mt_load_relaxed(&version) & ~1u;
    if (!_r_debug.r_map || linker_state()->r_state != RT_CONSISTENT ||
        !__atomic_compare_exchange_n(&version, &even, even + 1, false,
                                     __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
        return;
    uint32_t n = 0;
    const struct link_map *map = _r_debug.r_map;
    while (map && n < MAX_OBJECTS && mt_os_readable(map, sizeof *map)) {
        n += read_object(map, &objects[n]);
        map = map->l_next;
    }
    mt_store_relaxed(&n_objects, n);
    table_load_count = load_count;
    mt_store_release(&have_table, true);
    mt_store_release(&version, even + 2);
}

bool mt_object_find(uint64_t address, struct mt_object *object)
{
    if (!mt_load_acquire(&have_table) ||
        table_load_count != mt_modules_load_count())
        object_refresh();
    for (unsigned tries = 0; tries < 1000; tries++) {
        uint32_t before = mt_load_acquire(&version);
        bool found = false;
        if (before & 1)
            continue;
        for (uint32_t i = 0; i < mt_load_relaxed(&n_objects) && !found; i++) {
            *object = objects[i];
            found = address >= object->start && address < object->end;
        }
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (mt_load_relaxed(&version) == before)
            return found;
    }
    return false;
}
#endif
