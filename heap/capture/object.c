/* SPDX-License-Identifier: BSD-2-Clause
 *
 * object.c - which loaded object an address lies in, without a lock.
 *
 * glibc 2.35 and later say it (_dl_find_object), but of an object with holes
 * they name the one segment that was asked for.  The rest is in the object's
 * program headers, which are read where its file begins; the program's are
 * given by the kernel, too.  Where neither does, the C library is asked for
 * each address.
 *
 * For older ones a table is made from the linker's list of objects, and again
 * when the number of loads has changed: while the linker says that the list is
 * consistent, it is read without the linker's lock, which a capture must not
 * take. A thread that unloads an object at the very moment may make that see a
 * freed record; each is therefore looked at only if it is readable and has an
 * ELF header.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include "heap/seldom.h"
#include "heap/capture/object.h"
#include "heap/os.h"

#include <elf.h>
#include <link.h>
#include <string.h>
#include <sys/auxv.h>

#define PAGE UINT64_C(4096)
#define MAX_HEADERS 64
#define MAX_ASKED 64 /* pages, of an object whose segments are not known */

/* Sets the bounds by the program headers. False: they are not those of an
 * object whose file begins at `base`, if that is not 0. */
static bool object_set_bounds(struct mt_object *object, uint64_t base)
{
    const ElfW(Phdr) *p = object->headers;
    bool begins = base == 0;
    object->start = UINT64_MAX;
    object->end = 0;
    for (unsigned i = 0; i < object->n_headers; i++) {
        uint64_t start = object->bias + p[i].p_vaddr;
        uint64_t end = start + p[i].p_memsz;
        if (p[i].p_type != PT_LOAD)
            continue;
        if (end < start)
            return false;
        start &= ~(PAGE - 1);
        begins |= p[i].p_offset < PAGE && start == base;
        object->start = start < object->start ? start : object->start;
        object->end = end > object->end ? end : object->end;
    }
    return begins && object->start < object->end;
}

/* By the ELF header at `base`, whose page has the program headers, too. */
static bool object_read_file(struct mt_object *object, uint64_t base)
{
    const ElfW(Ehdr) *e = (const void *)(uintptr_t)base;
    if (base == 0 || base % PAGE != 0 || !mt_os_readable(e, 8) ||
        memcmp(e->e_ident, ELFMAG, SELFMAG) != 0)
        return false;
    object->elf = e;
    if (e->e_phentsize != sizeof(ElfW(Phdr)) || e->e_phnum > MAX_HEADERS ||
        e->e_phoff > PAGE || e->e_phoff % 8 != 0 ||
        e->e_phoff + e->e_phnum * sizeof(ElfW(Phdr)) > PAGE)
        return false;
    object->headers = (const char *)e + e->e_phoff;
    object->n_headers = e->e_phnum;
    return object_set_bounds(object, base);
}

/* The program's, by the kernel. */
static bool object_read_program(struct mt_object *object)
{
    if (object->link_map != _r_debug.r_map)
        return false;
    object->headers = (const void *)getauxval(AT_PHDR);
    object->n_headers = (unsigned)getauxval(AT_PHNUM);
    return object->headers && object->n_headers <= MAX_HEADERS &&
           object_set_bounds(object, 0);
}

static bool readable_header(const ElfW(Phdr) * p)
{
    return p->p_type == PT_LOAD && p->p_flags & PF_R;
}

/* 0: no segment that can be read holds it. */
static uint64_t segment_end(const struct mt_object *object, uint64_t address)
{
    const ElfW(Phdr) *p = object->headers;
    for (unsigned i = 0; i < object->n_headers; i++) {
        uint64_t start = object->bias + p[i].p_vaddr;
        uint64_t end = start + p[i].p_memsz;
        if (readable_header(&p[i]) && address < end &&
            address >= (start & ~(PAGE - 1)))
            return end;
    }
    return 0;
}

#ifdef HAVE__DL_FIND_OBJECT
#include <dlfcn.h>

/* What the C library knows of the object at `address`. Inline: a function would
 * take more of a small stack. */
static inline __attribute__((always_inline)) const struct link_map *
ask_linker(uint64_t address, struct dl_find_object *found)
{
    return _dl_find_object((void *)(uintptr_t)address, found) == 0
               ? found->dlfo_link_map
               : NULL;
}

/* The start of the file of a position-independent object; 0 for others. */
static uint64_t file_base(const struct mt_object *object,
                          struct dl_find_object *found)
{
    if (object->bias - object->start < object->end - object->start)
        return object->bias;
    return object->bias && ask_linker(object->bias, found) == object->link_map
               ? object->bias
               : 0;
}

bool mt_object_find(uint64_t address, struct mt_object *object)
{
    struct dl_find_object found;
    const struct link_map *map = ask_linker(address, &found);
    if (!map)
        return false;
    uint64_t start = (uint64_t)(uintptr_t)found.dlfo_map_start;
    uint64_t end = (uint64_t)(uintptr_t)found.dlfo_map_end;
    *object = (struct mt_object){.start = start,
                                 .end = end,
                                 .bias = map->l_addr,
                                 .eh_frame_hdr = found.dlfo_eh_frame,
                                 .link_map = map};
    uint64_t base = file_base(object, &found);
    if (!object_read_file(object, base ? base : start) &&
        !object_read_program(object)) {
        object->headers = NULL;
        object->start = start;
        object->end = end;
    }
    return true;
}

/* Without program headers, the kernel is asked about each page. */
static MT_NOINLINE uint64_t pages_end(const struct mt_object *object,
                                      uint64_t address)
{
    uint64_t end = 0, at = address & ~(PAGE - 1);
    struct dl_find_object found;
    if (address - object->start < object->end - object->start)
        end = object->end;
    else if (ask_linker(address, &found) == object->link_map)
        end = (uint64_t)(uintptr_t)found.dlfo_map_end;
    if (address >= end)
        return 0;
    if (end - at > MAX_ASKED * PAGE)
        end = at + MAX_ASKED * PAGE;
    while (at < end && mt_os_readable((const void *)(uintptr_t)at, 8))
        at += PAGE;
    return at < end ? at > address ? at : 0 : end;
}

uint64_t mt_object_readable_to(const struct mt_object *object, uint64_t address)
{
    return object->headers ? segment_end(object, address)
                           : pages_end(object, address);
}

#else
#include "heap/capture/load_count.h"

#define MAX_OBJECTS 1024

static struct mt_object objects[MAX_OBJECTS];
static uint32_t n_objects;
static uint32_t version; /* odd while the table is changed */
static uint64_t table_load_count;
static bool have_table;

static bool read_object(const struct link_map *map, struct mt_object *object)
{
    *object = (struct mt_object){.bias = map->l_addr, .link_map = map};
    if (!object_read_file(object, map->l_addr) && !object_read_program(object))
        return false;
    const ElfW(Phdr) *p = object->headers;
    for (unsigned i = 0; i < object->n_headers; i++)
        if (p[i].p_type == PT_GNU_EH_FRAME)
            object->eh_frame_hdr =
                (const uint8_t *)(uintptr_t)(object->bias + p[i].p_vaddr);
    return true;
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

/* In a segment, not in a hole, where others may be. */
static bool object_holds(const struct mt_object *object, uint64_t address)
{
    const ElfW(Phdr) *p = object->headers;
    if (address < object->start || address >= object->end)
        return false;
    for (unsigned i = 0; i < object->n_headers; i++)
        if (p[i].p_type == PT_LOAD &&
            address - object->bias - p[i].p_vaddr < p[i].p_memsz)
            return true;
    return false;
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
            return found && mt_os_readable(object->headers, 8) &&
                   object_holds(object, address);
    }
    return false;
}

uint64_t mt_object_readable_to(const struct mt_object *object, uint64_t address)
{
    return segment_end(object, address);
}
#endif
