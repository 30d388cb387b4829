/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The trace region: one reservation, cut into the root page and the
 * sections.  A section grows from its base; what is committed is
 * committed for good, so that records never move and a reader can rely on
 * every address in them.
 */
#include "heap/seldom.h"
#include "heap/attributes.h"
#include "heap/box.h"
#include "heap/layout.h"
#include "heap/os.h"
#include "heap/trace_region.h"

#include <errno.h>
#include <string.h>

MT_EXPORT struct mt_root *memtrace_root;

#define KIB(n) ((uint64_t)(n) << 10)
#define MIB(n) ((uint64_t)(n) << 20)
#define GIB(n) ((uint64_t)(n) << 30)
#define COMMIT_STEP KIB(64)
/* One call maps the root page, the schema, which is no larger than a step, and
 * the first records of the heaps. */
#define FIRST (3 * COMMIT_STEP)

/* Address space of each section, for MT_MAIN_RESERVE bytes of blocks and at
 * least: full tracing of 16-byte blocks needs 8/16 of them for tags and 2/128
 * for bitmaps.  Reserving costs nothing but address space. */
static const struct {
    uint64_t full, least;
} plan[MT_N_SECTIONS] = {
    [MT_SECTION_SCHEMA] = {KIB(64), KIB(64)},
    [MT_SECTION_HEAPS] = {KIB(256), KIB(64)},
    [MT_SECTION_REGIONS] = {MIB(1), KIB(64)},
    [MT_SECTION_THREADS] = {MIB(4), KIB(64)},
    [MT_SECTION_EPOCHS] = {MIB(16), MIB(1)},
    [MT_SECTION_MODULES] = {MIB(8), KIB(256)},
    [MT_SECTION_STRINGS] = {MIB(64), KIB(256)},
    [MT_SECTION_STACKS] = {GIB(1), MIB(1)},
    [MT_SECTION_NODES] = {GIB(8), MIB(4)},
    [MT_SECTION_SPANS] = {GIB(4), MIB(1)},
    [MT_SECTION_SLICE_MAPS] = {GIB(1), KIB(256)},
    [MT_SECTION_BITMAPS] = {GIB(8), MIB(1)},
    [MT_SECTION_TAGS] = {GIB(128), MIB(8)},
    [MT_SECTION_COUNTERS] = {GIB(2), MIB(1)},
    [MT_SECTION_PRIVATE] = {GIB(4), MIB(4)},
    [MT_SECTION_MAPS] = {MIB(64), KIB(256)},
    [MT_SECTION_SAMPLES] = {KIB(64), KIB(64)},
    [MT_SECTION_PEAKS] = {MIB(256), KIB(256)},
};

#define SECTION_NAME(ID, n, entry, kept, doc) {#n, (uint32_t)(entry)},
static const struct {
    char name[16];
    uint32_t entry_bytes;
} naming[MT_N_SECTIONS] = {MT_SECTIONS(SECTION_NAME)};
#undef SECTION_NAME

static uint64_t trace_planned(unsigned section, unsigned shift)
{
    uint64_t bytes = plan[section].full >> shift;
    if (bytes < plan[section].least)
        bytes = plan[section].least;
    return (bytes + COMMIT_STEP - 1) & ~(COMMIT_STEP - 1);
}

static uint64_t planned_total(unsigned shift)
{
    uint64_t total = COMMIT_STEP; /* the root page */
    for (unsigned s = 0; s < MT_N_SECTIONS; s++)
        total += trace_planned(s, shift);
    return total;
}

/* Half the size, and again, until the kernel agrees. */
static char *trace_reserve(unsigned *shift, uint64_t *bytes)
{
    for (*shift = 0; *shift < 16; ++*shift) {
        *bytes = planned_total(*shift);
        if (*bytes > mt_os_reserve_most() && *shift < 15)
            continue;
        char *base = mt_os_reserve(*bytes, MT_SLICE_BYTES);
        if (base)
            return base;
    }
    return NULL;
}

bool mt_region_start(void)
{
    unsigned shift;
    uint64_t bytes;
    char *base = trace_reserve(&shift, &bytes);
    if (base == NULL)
        return false;
    if (!mt_trace_commit(base, FIRST)) {
        mt_os_release(base, bytes);
        return false;
    }
    struct mt_root *root = (struct mt_root *)base;
    root->layout_major = MT_LAYOUT_MAJOR;
    root->layout_minor = MT_LAYOUT_MINOR;
    root->root_bytes = sizeof *root;
    root->n_sections = MT_N_SECTIONS;
    root->region_bytes = bytes;
    root->pid = mt_os_pid();
    root->start_realtime_ns = mt_os_realtime_ns();
    root->start_monotonic_ns = mt_os_monotonic_ns();
    root->page_bytes = 4096;
    root->slice_bytes = MT_SLICE_BYTES;
    root->depth = MT_DEPTH_MAX;
    char *at = base + COMMIT_STEP;
    for (unsigned s = 0; s < MT_N_SECTIONS; s++) {
        struct mt_section_record *section = &root->sections[s];
        memcpy(section->name, naming[s].name, sizeof section->name);
        section->entry_bytes = naming[s].entry_bytes;
        section->base = (uintptr_t)at;
        section->reserved = trace_planned(s, shift);
        if ((uint64_t)(at - base) < FIRST)
            section->committed = COMMIT_STEP;
        at += section->reserved;
    }
    root->self = (uintptr_t)root;
    memtrace_root = root;
    return true;
}

/* Last: from here on a reader believes the region. */
void mt_region_publish(void)
{
    memtrace_root->flags |= MT_ROOT_READY;
    mt_store_release(&memtrace_root->magic, MT_MAGIC);
}

/* Threads, and signal handlers, that map more of a section now. */
static uint32_t growing[MT_N_SECTIONS];

/* Maps [have, want) of a section.  Without a lock two threads may do so at
 * once: a piece that is mapped already is then the other's.  If only one thread
 * does, such a piece belongs to the program. */
static bool trace_map(unsigned id, uint64_t have, uint64_t want)
{
    struct mt_section_record *section = &memtrace_root->sections[id];
    char *base = (char *)section->base;
    bool ok = mt_trace_commit(base + have, want - have);
    for (uint64_t at = have; !ok && errno == EEXIST && at < want;
         at += COMMIT_STEP) {
        if (mt_trace_commit(base + at, COMMIT_STEP))
            continue;
        /* The other says so before it ceases to be one. */
        if (errno != EEXIST || (mt_load_acquire(&growing[id]) == 1 &&
                                mt_load_acquire(&section->committed) <= at))
            return false;
        errno = EEXIST;
    }
    if (!ok && errno != EEXIST)
        return false;
    /* A huge page would fit from here on: in less there cannot be one, and most
     * sections of most processes stay small. */
    if (want >= MIB(2))
        mt_os_thp(have < MIB(2) ? base : base + have,
                  have < MIB(2) ? want : want - have, false);
    return true;
}

static uint64_t trace_round(const struct mt_section_record *section,
                            uint64_t bytes)
{
    bytes = (bytes + COMMIT_STEP - 1) & ~(COMMIT_STEP - 1);
    return bytes < section->reserved ? bytes : section->reserved;
}

/* Commits so that `used` bytes can be read, and some more if there is room. */
static MT_COLD bool trace_grow(unsigned id, uint64_t used)
{
    struct mt_section_record *section = &memtrace_root->sections[id];
    uint64_t have = mt_load_acquire(&section->committed), step = have / 4;
    uint64_t least = trace_round(section, used);
    uint64_t want =
        trace_round(section, used + (step < MIB(16) ? step : MIB(16)));
    int saved = errno;
    bool ok = want <= have;
    if (ok)
        return true;
    __atomic_fetch_add(&growing[id], 1, __ATOMIC_SEQ_CST);
    while (!ok && want > have) { /* one call: it takes less of the stack */
        ok = trace_map(id, have, want);
        if (!ok)
            want = want > least ? least : have;
    }
    ok |= least <= have;
    while (ok && have < want &&
           !__atomic_compare_exchange_n(&section->committed, &have, want, false,
                                        __ATOMIC_RELEASE, __ATOMIC_RELAXED))
        ;
    __atomic_fetch_sub(&growing[id], 1, __ATOMIC_SEQ_CST);
    errno = saved;
    return ok;
}

/* Without a lock: a signal handler that allocates may have interrupted an
 * allocation in the same section. */
void *mt_section_alloc(unsigned id, size_t bytes)
{
    struct mt_section_record *section = &memtrace_root->sections[id];
    uint64_t at = mt_load_relaxed(&section->used);
    do {
        if (bytes > section->reserved - at ||
            (at + bytes > mt_load_acquire(&section->committed) &&
             !trace_grow(id, at + bytes))) {
            __atomic_fetch_add(&section->overflow, 1, __ATOMIC_RELAXED);
            return NULL;
        }
    } while (!__atomic_compare_exchange_n(&section->used, &at, at + bytes,
                                          false, __ATOMIC_ACQ_REL,
                                          __ATOMIC_RELAXED));
    return (char *)section->base + at;
}

void mt_section_map_ahead(uint64_t bytes)
{
    for (unsigned id = 0; id < MT_N_SECTIONS; id++) {
        uint64_t used = mt_load_relaxed(&memtrace_root->sections[id].used);
        if (id != MT_SECTION_SCHEMA && id != MT_SECTION_SLICE_MAPS &&
            bytes <= memtrace_root->sections[id].reserved - used)
            trace_grow(id, used + bytes);
    }
}

void mt_section_return(unsigned id, void *end, size_t bytes)
{
    struct mt_section_record *section = &memtrace_root->sections[id];
    uint64_t at = (uintptr_t)end - section->base, used = at + bytes;
    __atomic_compare_exchange_n(&section->used, &used, at, false,
                                __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

void mt_section_forget(void *memory, size_t bytes)
{
    uintptr_t page = memtrace_root->page_bytes;
    uintptr_t start = ((uintptr_t)memory + page - 1) & ~(page - 1);
    uintptr_t end = ((uintptr_t)memory + bytes) & ~(page - 1);
    if (start < end)
        mt_trace_decommit((void *)start, end - start);
}

/* Slice maps are sized for all of a region, of which most may never be used:
 * they are committed with it (heap_regions.c).  One caller at a time. */
uint32_t *mt_section_map(size_t bytes)
{
    struct mt_section_record *maps =
        &memtrace_root->sections[MT_SECTION_SLICE_MAPS];
    bytes = (bytes + 4095) & ~(size_t)4095;
    if (bytes > maps->reserved - maps->used) {
        maps->overflow++;
        return NULL;
    }
    uint32_t *got = (uint32_t *)(maps->base + maps->used);
    mt_store_release(&maps->committed, maps->used + bytes);
    mt_store_release(&maps->used, maps->used + bytes);
    return got;
}

uint32_t mt_string_add(const char *text, size_t length)
{
    struct mt_section_record *strings =
        &memtrace_root->sections[MT_SECTION_STRINGS];
    char *copy =
        mt_section_alloc(MT_SECTION_STRINGS, (length + 8) & ~(size_t)7);
    if (copy == NULL)
        return 0;
    memcpy(copy, text, length);
    return (uint32_t)(copy - (char *)strings->base);
}

void mt_region_fork_child(void)
{
    memtrace_root->parent_pid = memtrace_root->pid;
    memtrace_root->pid = mt_os_tid(); /* it has one thread */
    memtrace_root->flags |= MT_ROOT_FORKED;
}
