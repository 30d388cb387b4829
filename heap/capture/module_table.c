/* SPDX-License-Identifier: BSD-2-Clause
 *
 * module_table.c - the list of what was loaded where, and when.
 *
 * A module is recorded when a stack first has a frame in it. Records are
 * never removed: one that is found gone is marked unloaded, and whatever is
 * at its addresses now gets a record of its own, later in the list. A stack
 * record says how long the list was; a frame of it lies in the last module
 * before that point that holds its address.
 */
#include "heap/capture/module_table.h"

#include "heap/capture/object.h"

#include <elf.h>
#include <link.h>
#include <string.h>
#include <unistd.h>

static struct mt_section_record *modules_section(void)
{
    return &memtrace_root->sections[MT_SECTION_MODULES];
}

static struct mt_module_record *record_at(uint32_t index)
{
    return (struct mt_module_record *)(uintptr_t)modules_section()->base +
           index;
}

uint32_t mt_modules_count(void)
{
    return (uint32_t)(mt_load_acquire(&modules_section()->used) /
                      sizeof(struct mt_module_record));
}

static uint32_t last_reuse; /* 1 + index of the last at addresses used before */
static uint32_t unloads;    /* modules found gone */

/* The GNU build-id note among the notes at [at, end). */
static uint32_t copy_build_id(const uint8_t *at, const uint8_t *end,
                              uint8_t out[32])
{
    while (end - at >= 12) {
        ElfW(Nhdr) note;
        memcpy(&note, at, sizeof note);
        uint64_t name = (note.n_namesz + 3) & ~3u;
        uint64_t next = 12 + name + ((note.n_descsz + 3) & ~(uint64_t)3);
        if (next > (uint64_t)(end - at))
            return 0;
        if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 &&
            memcmp(at + 12, "GNU", 4) == 0) {
            uint32_t n = note.n_descsz < 32 ? note.n_descsz : 32;
            memcpy(out, at + 12 + name, n);
            return n;
        }
        at += next;
    }
    return 0;
}

/* From the program headers, which are mapped with the object. */
static uint32_t find_build_id(const struct mt_object *object, uint64_t bias,
                              uint8_t out[32])
{
    const ElfW(Ehdr) *e = (const void *)(uintptr_t)object->start;
    uint64_t room = object->end - object->start;
    if (room < 4096 || memcmp(e->e_ident, ELFMAG, SELFMAG) != 0 ||
        e->e_phentsize != sizeof(ElfW(Phdr)) || e->e_phoff > 4096 ||
        e->e_phoff + e->e_phnum * sizeof(ElfW(Phdr)) > 4096)
        return 0;
    const ElfW(Phdr) *p = (const void *)(uintptr_t)(object->start + e->e_phoff);
    for (unsigned i = 0; i < e->e_phnum; i++) {
        uint64_t at = bias + p[i].p_vaddr - object->start;
        if (p[i].p_type != PT_NOTE || at > room || p[i].p_filesz > room - at)
            continue;
        const uint8_t *notes = (const void *)(uintptr_t)(object->start + at);
        uint32_t n = copy_build_id(notes, notes + p[i].p_filesz, out);
        if (n)
            return n;
    }
    return 0;
}

static uint32_t add_path(const struct link_map *map)
{
    char path[1024];
    const char *name = map && map->l_name ? map->l_name : "";
    size_t length = strlen(name);
    if (length == 0) { /* the program */
        ssize_t n = readlink("/proc/self/exe", path, sizeof path);
        return n > 0 ? mt_string_add(path, (size_t)n) : 0;
    }
    if (name[0] == '/' || !strchr(name, '/'))
        return mt_string_add(name, length);
    /* Relative to the directory that was current when it was loaded; the
     * best that is known of that is the one now. */
    if (length + 2 > sizeof path || !getcwd(path, sizeof path - length - 1))
        return mt_string_add(name, length);
    size_t n = strlen(path);
    path[n++] = '/';
    memcpy(path + n, name, length);
    return mt_string_add(path, n + length);
}

/* Of what identifies an object without a build-id: its first page, with the
 * program headers, and its table of functions. */
static uint64_t modules_fingerprint(const struct mt_object *object)
{
    const uint8_t *table = object->eh_frame_hdr;
    uint64_t room = table ? object->end - (uint64_t)(uintptr_t)table : 0;
    uint64_t h = 0, n = 0;
    if (room >= 12 && table[2] == 3) /* the number of entries: udata4 */
        n = 8 * (uint64_t)(table[8] | table[9] << 8 | table[10] << 16) + 12;
    n = n < room ? n & ~UINT64_C(7) : 0;
    for (uint64_t i = 0; i < 4096 + n; i += 8) {
        const uint8_t *at = i < 4096
                                ? (const uint8_t *)(uintptr_t)object->start + i
                                : table + (i - 4096);
        uint64_t word;
        memcpy(&word, at, sizeof word);
        h = (h ^ word) * UINT64_C(0x9fb21c651e98df25);
        h ^= h >> 32;
    }
    return h;
}

static bool modules_same_module(const struct mt_module_record *m,
                                const struct mt_object *object)
{
    uint8_t id[32] = {0};
    const struct link_map *map = object->link_map;
    if (object->start != m->start || object->end != m->end)
        return false;
    uint32_t n = find_build_id(object, map ? map->l_addr : 0, id);
    if (n || m->build_id_bytes)
        return n == m->build_id_bytes && memcmp(id, m->build_id, n) == 0;
    return m->link_map == (uint64_t)(uintptr_t)map &&
           m->fingerprint == modules_fingerprint(object);
}

static bool reuses_addresses(const struct mt_object *object, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        const struct mt_module_record *m = record_at(i);
        if (m->start < object->end && object->start < m->end && m->unloaded_ns)
            return true;
    }
    return false;
}

static void modules_raise(uint32_t *word, uint32_t value)
{
    uint32_t old = mt_load_relaxed(word);
    while (old < value &&
           !__atomic_compare_exchange_n(word, &old, value, false,
                                        __ATOMIC_RELEASE, __ATOMIC_RELAXED))
        ;
}

/* Two threads may add the same module at once; it is then listed twice. */
static MT_COLD void add_module(const struct mt_object *object)
{
    uint32_t n = mt_modules_count();
    struct mt_module_record *m =
        mt_section_alloc(MT_SECTION_MODULES, sizeof *m);
    if (!m) {
        __atomic_fetch_add(&memtrace_root->module_overflow, 1,
                           __ATOMIC_RELAXED);
        return;
    }
    const struct link_map *map = object->link_map;
    m->start = object->start;
    m->load_bias = map ? map->l_addr : 0;
    m->path = add_path(map);
    m->build_id_bytes = find_build_id(object, m->load_bias, m->build_id);
    m->loaded_ns = mt_os_monotonic_ns();
    m->link_map = (uint64_t)(uintptr_t)map;
    if (m->build_id_bytes == 0)
        m->fingerprint = modules_fingerprint(object);
    mt_store_release(&m->end, object->end); /* from now on it holds frames */
    if (reuses_addresses(object, n))
        modules_raise(&last_reuse,
                      record_at(0) ? (uint32_t)(m - record_at(0)) + 1 : 0);
}

static uint64_t checked_load_count;

/* Marks what is gone. */
static MT_COLD void check_modules(uint64_t load_count)
{
    uint32_t n = mt_modules_count();
    for (uint32_t i = 0; i < n; i++) {
        struct mt_module_record *m = record_at(i);
        struct mt_object object;
        if (mt_load_acquire(&m->end) == 0 || mt_load_relaxed(&m->unloaded_ns))
            continue;
        if (mt_object_find(m->start, &object) &&
            modules_same_module(m, &object))
            continue;
        mt_store_relaxed(&m->unloaded_ns, mt_os_monotonic_ns());
        __atomic_fetch_add(&unloads, 1, __ATOMIC_RELEASE);
    }
    mt_store_release(&checked_load_count, load_count);
}

static bool in_live_module(uint64_t pc, uint32_t *hint)
{
    uint32_t n = mt_modules_count();
    for (uint32_t i = 0; i < n; i++) {
        uint32_t index = *hint + i < n ? *hint + i : *hint + i - n;
        const struct mt_module_record *m = record_at(index);
        /* The end first: it is written last. */
        if (pc < mt_load_acquire(&m->end) && pc >= m->start &&
            !mt_load_relaxed(&m->unloaded_ns)) {
            *hint = index;
            return true;
        }
    }
    return false;
}

void mt_modules_note(const uint64_t *frames, unsigned n)
{
    uint32_t hint = 0;
    for (unsigned i = 0; i < n; i++) {
        struct mt_object object;
        if (!in_live_module(frames[i] - 1, &hint) &&
            mt_object_find(frames[i] - 1, &object))
            add_module(&object);
    }
}

uint32_t mt_modules_unload_count(uint64_t load_count)
{
    if (MT_UNLIKELY(mt_load_acquire(&checked_load_count) != load_count))
        check_modules(load_count);
    return mt_load_acquire(&unloads);
}

bool mt_modules_stale(const uint64_t *frames, unsigned n, uint32_t modules)
{
    uint32_t end = mt_load_acquire(&last_reuse);
    for (uint32_t index = modules; index < end; index++) {
        const struct mt_module_record *m = record_at(index);
        for (unsigned i = 0; i < n; i++)
            if (frames[i] - 1 >= m->start && frames[i] - 1 < m->end)
                return true;
    }
    return false;
}
