/* SPDX-License-Identifier: BSD-2-Clause
 *
 * module_table.c - the list of what was loaded where, and when.
 *
 * A module is recorded when a stack first has a frame in it. Records are
 * never removed: one that is found gone is marked unloaded. One that comes back
 * to its addresses is loaded again, in the same record. Whatever else comes to
 * them has a record of its own, later in the list. A stack record has a number
 * of records; a frame of it lies in the last of those that holds its address.
 *
 * That number is chosen: it is above the records of the modules that the frames
 * are in, and not above those that had the same addresses later. Without such a
 * number, a module is listed again at the end. So the list grows with the
 * modules and their addresses, and not with the number of loads.
 */
#include "heap/seldom.h"
#include "heap/attributes.h"
#include "heap/capture/module_table.h"
#include "heap/os.h"
#include "heap/trace_region.h"

#include "heap/capture/load_count.h"
#include "heap/capture/module_path.h"
#include "heap/capture/object.h"

#include <elf.h>
#include <link.h>
#include <string.h>

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

static uint32_t find_build_id(const struct mt_object *object, uint8_t out[32])
{
    const ElfW(Phdr) *p = object->headers;
    for (unsigned i = 0; p && i < object->n_headers; i++) {
        uint64_t at = object->bias + p[i].p_vaddr;
        if (p[i].p_type != PT_NOTE)
            continue;
        uint64_t end = mt_object_readable_to(object, at);
        if (at > end || p[i].p_filesz > end - at)
            continue;
        const uint8_t *notes = (const void *)(uintptr_t)at;
        uint32_t n = copy_build_id(notes, notes + p[i].p_filesz, out);
        if (n)
            return n;
    }
    return 0;
}

static uint64_t hash_words(uint64_t h, const uint8_t *at, uint64_t bytes)
{
    for (uint64_t i = 0; i + 8 <= bytes; i += 8) {
        uint64_t word;
        memcpy(&word, at + i, sizeof word);
        h = (h ^ word) * UINT64_C(0x9fb21c651e98df25);
        h ^= h >> 32;
    }
    return h;
}

/* A hash that identifies an object without a build-id: of its first page, with
 * the program headers, and its table of functions. */
static uint64_t modules_fingerprint(const struct mt_object *object)
{
    const uint8_t *table = object->eh_frame_hdr;
    uint64_t at = (uint64_t)(uintptr_t)table, n = 0;
    uint64_t end = table ? mt_object_readable_to(object, at) : 0;
    uint64_t room = end > at ? end - at : 0;
    uint64_t h = object->elf ? hash_words(0, object->elf, 4096) : 0;
    if (room >= 12 && table[2] == 3) /* the number of entries: udata4 */
        n = 8 * (uint64_t)(table[8] | table[9] << 8 | table[10] << 16) + 12;
    return hash_words(h, table, n < room ? n : 0);
}

/* One with a relative path is known by the end of it. */
static bool has_path(const struct mt_module_record *m,
                     const struct link_map *map)
{
    const char *strings =
        (const char *)(uintptr_t)memtrace_root->sections[MT_SECTION_STRINGS]
            .base;
    const char *path = strings + m->path;
    const char *name = map && map->l_name ? map->l_name : "";
    size_t length = strlen(path), end = strlen(name);
    return end <= length && (name[0] != '/' || end == length) &&
           memcmp(path + length - end, name, end) == 0;
}

/* A module of dlmopen(): its list of objects is not the one that is watched. */
static uint32_t any_elsewhere;

/* The linker's own part of a link_map begins with l_real, itself, and l_ns. */
static bool modules_find_object(uint64_t pc, struct mt_object *object)
{
    if (!mt_object_find(pc, object))
        return false;
    const struct link_map *map = object->link_map;
    const uint64_t *own = (const void *)(map + 1);
    if (own[0] != (uintptr_t)map || own[1] != 0)
        mt_store_release(&any_elsewhere, 1);
    return true;
}

static bool modules_same_module(const struct mt_module_record *m,
                                const struct mt_object *object)
{
    uint8_t id[32] = {0};
    if (object->start != m->start || object->end != m->end)
        return false;
    uint32_t n = find_build_id(object, id);
    if (n || m->build_id_bytes)
        return n == m->build_id_bytes && memcmp(id, m->build_id, n) == 0;
    return has_path(m, object->link_map) &&
           m->fingerprint == modules_fingerprint(object);
}

/* --- those that are loaded --- */

/* Indices + 1 of the modules' records, in any order, with 0 in between. A
 * loaded module may be listed twice; a module that was found gone is not
 * listed. */
#define MAX_LIVE 16384
MT_FILLED_BSS static uint32_t live[MAX_LIVE];
static uint32_t n_live;  /* entries that were ever in use */
static uint32_t unloads; /* modules found gone, so that entries are free */

static void live_add(uint32_t index)
{
    uint32_t i = mt_load_acquire(&unloads) ? 0 : mt_load_acquire(&n_live);
    for (; i < MAX_LIVE; i++) {
        uint32_t none = 0;
        if (!__atomic_compare_exchange_n(&live[i], &none, index + 1, false,
                                         __ATOMIC_RELEASE, __ATOMIC_RELAXED))
            continue;
        uint32_t n = mt_load_relaxed(&n_live);
        while (n <= i &&
               !__atomic_compare_exchange_n(&n_live, &n, i + 1, false,
                                            __ATOMIC_RELEASE, __ATOMIC_RELAXED))
            ;
        return;
    }
}

/* The live module that holds pc, or -1; *hint is where the last was found. */
static int64_t live_find(uint64_t pc, uint32_t *hint)
{
    uint32_t n = mt_load_acquire(&n_live);
    const struct mt_module_record *records = record_at(0);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t at = *hint + i < n ? *hint + i : *hint + i - n;
        uint32_t entry = mt_load_acquire(&live[at]);
        if (entry == 0)
            continue;
        const struct mt_module_record *m = &records[entry - 1];
        if (pc < m->end && pc >= m->start &&
            !mt_load_relaxed(&m->unloaded_ns)) {
            *hint = at;
            return entry - 1;
        }
    }
    return -1;
}

/* --- those that are gone --- */

/* Each module found gone is entered here. */
MT_SELDOM_BSS static struct {
    uint32_t number; /* 1 + the value of `unloads` before; 0: being written */
    uint64_t start, end;
} gone_log[MT_GONE_MODULES];

static void log_gone(const struct mt_module_record *m)
{
    uint32_t number = __atomic_fetch_add(&unloads, 1, __ATOMIC_ACQ_REL);
    uint32_t i = number % MT_GONE_MODULES;
    __atomic_exchange_n(&gone_log[i].number, 0, __ATOMIC_ACQ_REL);
    mt_store_relaxed(&gone_log[i].start, m->start);
    mt_store_relaxed(&gone_log[i].end, m->end);
    mt_store_release(&gone_log[i].number, number + 1);
}

void mt_modules_gone_since(uint32_t from, uint32_t to,
                           struct mt_gone_modules *gone)
{
    gone->n = 0;
    gone->all = to - from > MT_GONE_MODULES;
    for (uint32_t at = from; at != to && !gone->all; at++) {
        uint32_t i = at % MT_GONE_MODULES;
        uint32_t before = mt_load_acquire(&gone_log[i].number);
        gone->start[gone->n] = mt_load_relaxed(&gone_log[i].start);
        gone->end[gone->n++] = mt_load_relaxed(&gone_log[i].end);
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (before != at + 1 || mt_load_relaxed(&gone_log[i].number) != before)
            gone->all = true;
    }
}

static uint64_t checked_load_count;

/* Marks what is gone. */
static MT_COLD void check_live(void)
{
    uint32_t n = mt_load_acquire(&n_live);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t entry = mt_load_acquire(&live[i]);
        struct mt_module_record *m = entry ? record_at(entry - 1) : NULL;
        struct mt_object object;
        uint64_t loaded = 0;
        if (!m || (modules_find_object(m->start, &object) &&
                   modules_same_module(m, &object)))
            continue;
        if (__atomic_compare_exchange_n(&m->unloaded_ns, &loaded,
                                        mt_os_monotonic_ns(), false,
                                        __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
            log_gone(m);
        __atomic_compare_exchange_n(&live[i], &entry, 0, false,
                                    __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
    }
}

/* Modules are looked at after the counts: what is unloaded from then on makes
 * the next ones higher. */
static MT_COLD void check_modules(uint64_t load_count)
{
    int64_t first = mt_modules_unlisted_now(0);
    int64_t second = mt_modules_unlisted_now(1);
    if (mt_load_acquire(&any_elsewhere) ||
        first > mt_load_relaxed(&mt_modules_unlisted[0]) ||
        second > mt_load_relaxed(&mt_modules_unlisted[1])) {
        check_live();
        mt_store_release(&mt_modules_unlisted[0], first);
        mt_store_release(&mt_modules_unlisted[1], second);
    }
    mt_store_release(&checked_load_count, load_count);
}

uint32_t mt_modules_unload_count(uint64_t load_count)
{
    if (MT_UNLIKELY(mt_load_acquire(&checked_load_count) != load_count))
        check_modules(load_count);
    return mt_load_acquire(&unloads);
}

/* --- new ones, and those that come back --- */

/* Others that had addresses of the module: from now on all are contested. */
uint32_t mt_modules_contested;
const struct mt_module_record *mt_modules_recent;

static void find_contest(struct mt_module_record *m, uint32_t n)
{
    struct mt_module_record *other = record_at(0);
    for (uint32_t i = 0; i < n; i++, other++) {
        if (other->same != m->same && m->start < other->end &&
            other->start < m->end) {
            mt_store_relaxed(&other->contested, 1);
            mt_store_relaxed(&m->contested, 1);
            mt_store_release(&mt_modules_contested, 1);
        }
    }
}

static struct mt_module_record *new_module_record(void)
{
    struct mt_module_record *m =
        mt_section_alloc(MT_SECTION_MODULES, sizeof *m);
    if (!m)
        __atomic_fetch_add(&memtrace_root->module_overflow, 1,
                           __ATOMIC_RELAXED);
    return m;
}

/* What can be known of a module without its path; returns its end, or 0. */
static MT_NOINLINE uint64_t describe_module(uint64_t pc,
                                            struct mt_module_record *m)
{
    struct mt_object object;
    if (!modules_find_object(pc, &object))
        return 0;
    m->start = object.start;
    m->load_bias = object.bias;
    m->build_id_bytes = find_build_id(&object, m->build_id);
    m->loaded_ns = mt_os_monotonic_ns();
    m->link_map = (uint64_t)(uintptr_t)object.link_map;
    if (m->build_id_bytes == 0)
        m->fingerprint = modules_fingerprint(&object);
    m->same = (uint32_t)(m - record_at(0));
    return object.end;
}

/* `end` is written last: from then on the record holds frames. Two threads may
 * add the same module at once; it is then listed twice.  The stack may have a
 * few KiB: what describes an object is not on it while memory is mapped. */
static MT_COLD void add_module(uint64_t pc)
{
    struct mt_module_record *m = new_module_record();
    uint64_t end = m ? describe_module(pc, m) : 0;
    if (!end)
        return;
    m->path = mt_module_path((const struct link_map *)(uintptr_t)m->link_map,
                             m->start);
    mt_store_release(&m->end, end);
    find_contest(m, m->same);
    live_add(m->same);
}

/* Is it a module that was listed, and is back? */
static MT_COLD MT_NOINLINE bool revive_module(uint64_t pc)
{
    struct mt_object object;
    if (!modules_find_object(pc, &object))
        return true; /* not a module */
    struct mt_module_record *m = record_at(mt_modules_count());
    while (m-- > record_at(0)) {
        if (mt_load_acquire(&m->end) != object.end ||
            !modules_same_module(m, &object))
            continue;
        mt_store_release(&m->unloaded_ns, 0);
        live_add((uint32_t)(m - record_at(0)));
        return true;
    }
    return false;
}

/* Addresses in no module were seen: there may be one later. */
static uint32_t any_stray;

/* The module that is loaded at pc, listed if it was not; or -1. */
static int64_t module_now(uint64_t pc, uint32_t *hint)
{
    int64_t index = live_find(pc, hint);
    if (MT_LIKELY(index >= 0))
        return index;
    if (!revive_module(pc))
        add_module(pc);
    uint32_t n = mt_load_acquire(&n_live);
    *hint = n ? n - 1 : 0; /* where a new one is, if none has gone */
    index = live_find(pc, hint);
    if (index < 0)
        mt_store_release(&any_stray, 1);
    return index;
}

bool mt_modules_settled(uint64_t load_count)
{
    return MT_LIKELY(mt_modules_unload_count(load_count) == 0 &&
                     !mt_load_acquire(&any_stray));
}

void mt_modules_note(const uint64_t *frames, unsigned n)
{
    uint32_t hint = 0;
    int64_t index = -1;
    for (unsigned i = 0; i < n; i++)
        index = module_now(frames[i] - 1, &hint);
    if (index >= 0)
        mt_store_release(&mt_modules_recent, record_at((uint32_t)index));
}

/* --- which module of those that had its address a frame is in --- */

static bool module_holds(const struct mt_module_record *m, uint64_t pc)
{
    return pc < mt_load_acquire(&m->end) && pc >= m->start;
}

/* The last of the first `n` records that holds pc, or -1. */
static int64_t module_then(uint64_t pc, uint32_t n)
{
    while (n-- > 0)
        if (module_holds(record_at(n), pc))
            return n;
    return -1;
}

/* The first record after `index` that holds pc, or `n`. */
static uint32_t module_next(uint64_t pc, uint32_t index, uint32_t n)
{
    for (index++; index < n; index++)
        if (module_holds(record_at(index), pc))
            break;
    return index;
}

static bool is_contested(int64_t index)
{
    return index >= 0 &&
           mt_load_relaxed(&record_at((uint32_t)index)->contested);
}

/* The last record of the module at pc, of which `index` is one. */
static uint32_t last_same(uint64_t pc, uint32_t index, uint32_t n)
{
    uint32_t same = record_at(index)->same;
    for (uint32_t next = index; next < n; next = module_next(pc, next, n))
        if (record_at(next)->same == same)
            index = next;
    return index;
}

/* Bounds of the number of records that a stack may have. */
static void find_span(const uint64_t *frames, unsigned n, uint32_t all,
                      uint32_t *low, uint32_t *high)
{
    uint32_t hint = 0;
    *low = 0;
    *high = all;
    for (unsigned i = 0; i < n; i++) {
        uint64_t pc = frames[i] - 1;
        int64_t now = module_now(pc, &hint);
        if (is_contested(now)) {
            now = last_same(pc, (uint32_t)now, all);
            uint32_t next = module_next(pc, (uint32_t)now, all);
            *high = next < *high ? next : *high;
        }
        if (now >= 0 && (uint32_t)now + 1 > *low)
            *low = (uint32_t)now + 1;
    }
}

/* Modules after which others have their addresses, before `low`, go to the end
 * of the list, too. */
static MT_COLD void list_again(const uint64_t *frames, unsigned n, uint32_t low)
{
    uint32_t hint = 0;
    for (unsigned i = 0; i < n; i++) {
        uint32_t all = mt_modules_count();
        uint64_t pc = frames[i] - 1;
        int64_t now = live_find(pc, &hint);
        if (!is_contested(now))
            continue;
        uint32_t last = last_same(pc, (uint32_t)now, all);
        struct mt_module_record *m =
            module_next(pc, last, all) < low ? new_module_record() : NULL;
        if (m) {
            uint64_t end = record_at(last)->end;
            memcpy(m, record_at(last), offsetof(struct mt_module_record, end));
            memcpy(&m->load_bias, &record_at(last)->load_bias,
                   sizeof *m - offsetof(struct mt_module_record, load_bias));
            mt_store_release(&m->end, end);
        }
    }
}

uint32_t mt_modules_span(const uint64_t *frames, unsigned n)
{
    uint32_t all, low, high;
    if (MT_LIKELY(!mt_modules_any_contested()))
        return mt_modules_count();
    mt_modules_note(frames, n);
    all = mt_modules_count();
    find_span(frames, n, all, &low, &high);
    if (MT_UNLIKELY(low > high)) {
        list_again(frames, n, low);
        all = mt_modules_count();
        find_span(frames, n, all, &low, &high);
    }
    return low <= high ? high : all;
}

bool mt_modules_match(const uint64_t *frames, unsigned n, uint32_t modules)
{
    uint32_t hint = 0;
    if (MT_LIKELY(!mt_modules_any_contested()))
        return true;
    for (unsigned i = 0; i < n; i++) {
        int64_t now = live_find(frames[i] - 1, &hint);
        if (MT_LIKELY(!is_contested(now)))
            continue;
        int64_t then = module_then(frames[i] - 1, modules);
        if (then < 0 ||
            record_at((uint32_t)then)->same != record_at((uint32_t)now)->same)
            return false;
    }
    return true;
}
