/* SPDX-License-Identifier: BSD-2-Clause
 *
 * exit_maps.c - the mappings of this process, and what of them is in the
 * file.
 */
#include "heap/seldom.h"
#include "heap/alloc.h"
#include "heap/box.h"
#include "heap/kernel.h"
#include "heap/exit/at_exit.h"

#include <link.h>
#include <string.h>

#define PAGE UINT64_C(4096)

/* --- lines of the maps --- */

static uint64_t exit_maps_hex(const char **at)
{
    uint64_t value = 0;
    for (;; (*at)++) {
        char c = **at;
        if (c >= '0' && c <= '9')
            value = value << 4 | (uint64_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            value = value << 4 | (uint64_t)(c - 'a' + 10);
        else
            return value;
    }
}

bool mt_exit_next_map(const struct mt_exit *a, size_t *at,
                      struct mt_exit_map *map)
{
    const char *p = a->maps + *at;
    const char *end = memchr(p, '\n', a->maps_bytes - *at);
    if (end == NULL) /* also of a line that did not fit */
        return false;
    map->start = exit_maps_hex(&p);
    p++;
    map->end = exit_maps_hex(&p);
    p++;
    map->readable = p[0] == 'r';
    map->writable = p[1] == 'w';
    map->executable = p[2] == 'x';
    map->shared = p[3] == 's';
    p += 5;
    map->offset = exit_maps_hex(&p);
    /* device, inode, spaces */
    for (unsigned field = 0; field < 2; field++) {
        while (p < end && *p == ' ')
            p++;
        while (p < end && *p != ' ')
            p++;
    }
    while (p < end && *p == ' ')
        p++;
    map->path = p;
    map->path_length = (size_t)(end - p);
    *at = (size_t)(end + 1 - a->maps);
    return true;
}

static bool exit_maps_is(const struct mt_exit_map *map, const char *path)
{
    size_t n = strlen(path);
    return map->path_length == n && memcmp(map->path, path, n) == 0;
}

static bool exit_maps_begins(const struct mt_exit_map *map, const char *path)
{
    size_t n = strlen(path);
    return map->path_length >= n && memcmp(map->path, path, n) == 0;
}

/* --- ranges --- */

static void exit_maps_add(struct mt_exit *a, uint64_t start, uint64_t bytes)
{
    if (bytes == 0 || start + bytes < start || a->n_ranges == MT_EXIT_RANGES)
        return;
    a->ranges[a->n_ranges++] = (struct mt_exit_range){start, start + bytes};
}

static void add_trace(struct mt_exit *a)
{
#define KEPT(ID, name, entry, kept, doc) kept,
    static const bool kept[] = {MT_SECTIONS(KEPT)};
#undef KEPT
    const struct mt_root *root = memtrace_root;
    const struct mt_section_record *s = root->sections;
    exit_maps_add(a, (uintptr_t)root, sizeof *root);
    exit_maps_add(a, (uintptr_t)&memtrace_root, sizeof memtrace_root);
    for (unsigned i = 0; i < MT_N_SECTIONS; i++)
        if (kept[i])
            exit_maps_add(a, s[i].base, s[i].used);
    const struct mt_section_record *regions = &s[MT_SECTION_REGIONS];
    for (uint64_t at = 0; at < regions->used; at += regions->entry_bytes) {
        const struct mt_region_record *r =
            (const void *)(uintptr_t)(regions->base + at);
        if (r->state)
            exit_maps_add(a, r->slice_map, r->top * sizeof(uint32_t));
    }
}

/* The data by which debuggers find the modules. */
static void exit_maps_add_links(struct mt_exit *a)
{
    exit_maps_add(a, (uintptr_t)&_r_debug, sizeof _r_debug);
    for (size_t i = 0; _DYNAMIC[i].d_tag != DT_NULL; i++)
        exit_maps_add(a, (uintptr_t)&_DYNAMIC[i], 2 * sizeof _DYNAMIC[i]);
    for (struct link_map *link = _r_debug.r_map; link; link = link->l_next) {
        exit_maps_add(a, (uintptr_t)link, sizeof *link);
        if (link->l_name)
            exit_maps_add(a, (uintptr_t)link->l_name, strlen(link->l_name) + 1);
        /* The program's own has the address of _r_debug. */
        for (ElfW(Dyn) *d = link->l_ld; d && link == _r_debug.r_map; d++) {
            exit_maps_add(a, (uintptr_t)d, sizeof *d);
            if (d->d_tag == DT_NULL)
                break;
        }
    }
}

/* By heaps: few, and sorted in part. */
static void exit_maps_sort(struct mt_exit *a)
{
    for (size_t i = 1; i < a->n_ranges; i++) {
        struct mt_exit_range range = a->ranges[i];
        size_t j = i;
        for (; j > 0 && a->ranges[j - 1].start > range.start; j--)
            a->ranges[j] = a->ranges[j - 1];
        a->ranges[j] = range;
    }
}

/* --- program headers --- */

static void exit_maps_add_program(struct mt_exit *a,
                                  const struct mt_exit_map *map, uint64_t start,
                                  uint64_t end, uint64_t bytes)
{
    if (end <= start)
        return;
    if (a->n_programs == MT_EXIT_PROGRAMS - 1) {
        a->missing_bytes += bytes;
        return;
    }
    a->programs[a->n_programs++] = (Elf64_Phdr){
        .p_type = PT_LOAD,
        .p_flags = (map->readable ? PF_R : 0) | (map->writable ? PF_W : 0) |
                   (map->executable ? PF_X : 0),
        .p_vaddr = start,
        .p_filesz = bytes,
        .p_memsz = end - start,
        .p_align = 1,
    };
}

/* Is all of the mapping in a core? By the kernel's default: if it is not a copy
 * of a file. */
static bool is_whole(const struct mt_exit *a, const struct mt_exit_map *map)
{
    if (!map->readable || exit_maps_begins(map, "[vvar") ||
        exit_maps_is(map, "[vsyscall]"))
        return false;
    if (exit_maps_is(map, "[vdso]"))
        return true;
    if (!a->core)
        return false;
    if (map->path_length == 0 || map->path[0] == '[')
        return true;
    if (map->shared)
        return map->writable && (exit_maps_begins(map, "/memfd:") ||
                                 exit_maps_begins(map, "/SYSV") ||
                                 exit_maps_is(map, "/dev/zero"));
    return map->writable;
}

/* Cuts a mapping at the ranges in it. */
static void exit_maps_cut(struct mt_exit *a, const struct mt_exit_map *map)
{
    uint64_t at = map->start, bytes = 0;
    for (size_t i = 0; i < a->n_ranges && map->readable; i++) {
        uint64_t start = a->ranges[i].start, end = a->ranges[i].end;
        if (start < at + bytes)
            start = at + bytes;
        if (end > map->end)
            end = map->end;
        if (end <= start)
            continue;
        if (start == at + bytes) { /* continues */
            bytes += end - start;
            continue;
        }
        exit_maps_add_program(a, map, at, start, bytes);
        at = start;
        bytes = end - start;
    }
    exit_maps_add_program(a, map, at, map->end, bytes);
}

/* The headers of modules, with their build-ids. */
static void exit_maps_add_headers(struct mt_exit *a)
{
    struct mt_exit_map map;
    for (size_t at = 0; mt_exit_next_map(a, &at, &map);)
        if (map.readable && map.offset == 0 && map.path_length &&
            map.path[0] == '/' && !map.shared)
            exit_maps_add(a, map.start, PAGE);
}

void mt_exit_links(struct mt_exit *a)
{
    exit_maps_add(a, (uintptr_t)&memtrace_root, sizeof memtrace_root);
    exit_maps_add_links(a);
    exit_maps_add_headers(a);
    exit_maps_sort(a);
}

void mt_exit_find(struct mt_exit *a)
{
    struct mt_exit_map map;
    a->maps_bytes =
        mt_exit_read_file(MT_EXIT_SELF "maps", a->maps, sizeof a->maps);
    if (!a->core || mt_box_on) /* a box is a shared mapping of a file */
        add_trace(a);
    if (mt_box_on && mt_box.head)
        exit_maps_add(a, (uintptr_t)mt_box.head, MT_BOX_HEAD);
    if (!a->core)
        exit_maps_add_links(a);
    exit_maps_add_headers(a);
    exit_maps_sort(a);
    a->n_programs = 1; /* the notes */
    for (size_t at = 0; mt_exit_next_map(a, &at, &map);) {
        if (map.start >= (uintptr_t)a && map.end <= (uintptr_t)(a + 1) + PAGE)
            continue;
        if (is_whole(a, &map))
            exit_maps_add_program(a, &map, map.start, map.end,
                                  map.end - map.start);
        else
            exit_maps_cut(a, &map);
    }
}
