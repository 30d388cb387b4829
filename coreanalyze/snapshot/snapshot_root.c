/* SPDX-License-Identifier: BSD-2-Clause
 *
 * snapshot_root.c - where the trace is.  First the symbol memtrace_root of
 * every module; then the starts of writable mappings; then every page of them.
 * A root counts if its magic is right and it names its own address.
 */
#include "coreanalyze/source/modules.h"
#include "coreanalyze/snapshot/snapshot_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define SCAN_BYTES (1u << 20)
#define SPARSE_BYTES (UINT64_C(64) << 20)
#define MAX_CANDIDATES 64

struct search {
    struct mt_source *source;
    const struct mt_snapshot_options *options;
    uint64_t best;
    int best_score;
    uint64_t candidates[MAX_CANDIDATES];
    unsigned n_candidates;
    uint32_t other_major, other_minor; /* of a root that is not for us */
    bool other;
    bool unused; /* the symbol exists, and points nowhere yet */
};

/* Looks at a possible root.  The fields up to `flags` never move within a
 * major version, and the magic, self and version never do. */
static void root_consider(struct search *search, uint64_t address)
{
    const struct mt_process *process = &search->source->process;
    struct mt_root root;
    int score = 1;

    for (unsigned i = 0; i < search->n_candidates; i++)
        if (search->candidates[i] == address)
            return;
    memset(&root, 0, sizeof root);
    if (!mt_source_read(search->source, address, &root,
                        offsetof(struct mt_root, page_bytes)) ||
        root.magic != MT_MAGIC || root.self != address)
        return;
    if (root.layout_major != MT_LAYOUT_MAJOR) {
        search->other = true;
        search->other_major = root.layout_major;
        search->other_minor = root.layout_minor;
        return;
    }
    if (search->n_candidates < MAX_CANDIDATES)
        search->candidates[search->n_candidates++] = address;
    if (root.flags & MT_ROOT_READY)
        score += 1;
    if (root.pid == process->namespace_pid || process->namespace_pid == 0)
        score += 2;
    if (score > search->best_score) {
        search->best = address;
        search->best_score = score;
    }
}

static void by_pointer(struct search *search, uint64_t symbol)
{
    uint64_t pointer;

    if (!mt_source_read(search->source, symbol, &pointer, 8))
        return;
    if (pointer == 0)
        search->unused = true;
    else
        root_consider(search, pointer);
}

/* False when out of memory. */
static bool by_symbol(struct search *search)
{
    struct mt_source *source = search->source;

    if (search->options->root_symbol)
        by_pointer(search, search->options->root_symbol);
    for (size_t i = 0; i < source->n_modules; i++) {
        bool no_memory = false;
        uint64_t symbol = mt_module_symbol(source, &source->modules[i],
                                           "memtrace_root", &no_memory);
        if (symbol)
            by_pointer(search, symbol);
        else if (no_memory)
            return false;
    }
    return true;
}

static bool root_writable(const struct mt_mapping *m)
{
    return (m->flags & MT_MAP_WRITE) && m->present > 0;
}

static bool by_mapping(struct search *search)
{
    const struct mt_source *source = search->source;

    for (size_t i = 0; i < source->n_mappings; i++)
        if (root_writable(&source->mappings[i]))
            root_consider(search, source->mappings[i].start);
    return true;
}

static void root_scan(struct search *search, uint64_t start, uint64_t bytes,
                      uint8_t *buffer)
{
    static const uint64_t magic = MT_MAGIC;

    for (uint64_t at = 0; at < bytes; at += SCAN_BYTES) {
        uint64_t n = bytes - at < SCAN_BYTES ? bytes - at : SCAN_BYTES;
        n = mt_source_read_part(search->source, start + at, buffer, n);
        for (uint64_t page = 0; page + 16 <= n; page += 4096) {
            uint64_t self = start + at + page;
            if (memcmp(buffer + page, &magic, 8) == 0 &&
                memcmp(buffer + page + 8, &self, 8) == 0)
                root_consider(search, self);
        }
    }
}

/* Reservations of a sanitizer or a virtual machine are terabytes of which
 * little has memory: halves without a page are passed over. */
static void root_scan_sparse(struct search *search, uint64_t start,
                             uint64_t bytes, uint8_t *buffer)
{
    struct mt_source *source = search->source;
    struct mt_page_stats stats = {.known = false};
    uint64_t half = bytes / 2 / SCAN_BYTES * SCAN_BYTES, present;

    if (bytes > SPARSE_BYTES && source->ops->pages) {
        source->ops->pages(source, start, start + bytes, &stats);
        present = (stats.populated + stats.swapped) *
                  (stats.page_bytes ? stats.page_bytes : 4096);
        if (stats.known && present == 0)
            return;
        if (stats.known && present < bytes / 4) {
            root_scan_sparse(search, start, half, buffer);
            root_scan_sparse(search, start + half, bytes - half, buffer);
            return;
        }
    }
    root_scan(search, start, bytes, buffer);
}

/* False when out of memory. */
static bool by_scan(struct search *search)
{
    const struct mt_source *source = search->source;
    const struct mt_progress *progress = search->options->progress;
    uint64_t total = 0, done = 0;
    uint8_t *buffer = malloc(SCAN_BYTES);

    if (buffer == NULL)
        return false;
    for (size_t i = 0; i < source->n_mappings; i++)
        total += root_writable(&source->mappings[i])
                     ? source->mappings[i].present
                     : 0;
    for (size_t i = 0; i < source->n_mappings; i++) {
        const struct mt_mapping *m = &source->mappings[i];
        if (!root_writable(m))
            continue;
        if (progress && !progress->report(progress->context,
                                          "searching the trace", done, total))
            break;
        root_scan_sparse(search, m->start, m->present, buffer);
        done += m->present;
    }
    free(buffer);
    return true;
}

bool mt_snapshot_is_root(const void *page, size_t bytes, uint64_t address,
                         uint64_t *end)
{
    struct mt_root root;
    size_t head = offsetof(struct mt_root, pid);

    memset(&root, 0, sizeof root);
    if (bytes < head)
        return false;
    memcpy(&root, page, head);
    return root.magic == MT_MAGIC && root.self == address &&
           !__builtin_add_overflow(address, root.region_bytes, end);
}

/* Bytes of writable mappings that a core leaves out. */
static uint64_t root_missing_memory(const struct mt_source *source)
{
    uint64_t bytes = 0;

    for (size_t i = 0; source->process.path && i < source->n_mappings; i++) {
        const struct mt_mapping *m = &source->mappings[i];
        if (m->flags & MT_MAP_WRITE)
            bytes += m->end - m->start - m->present;
    }
    return bytes;
}

uint64_t mt_snapshot_find_root(struct mt_source *source,
                               const struct mt_snapshot_options *options,
                               struct mt_coverage *coverage,
                               struct mt_error *error)
{
    static bool (*const ways[])(struct search *) = {by_symbol, by_mapping,
                                                    by_scan};
    struct search search = {.source = source, .options = options};

    if (options->known_root)
        root_consider(&search, options->known_root);
    if (search.best) {
        coverage->root_candidates = 1;
        return search.best;
    }
    for (unsigned i = 0; i < 3; i++) {
        if (!ways[i](&search))
            return mt_no_memory(error, "the symbols"), 0;
        if (search.best == 0)
            continue;
        coverage->root_method = (enum mt_root_method)i;
        coverage->root_candidates = search.n_candidates;
        return search.best;
    }
    if (search.other)
        mt_fail(error,
                "the trace has layout %" PRIu32 ".%" PRIu32
                ", and this memtrace reads layout %d",
                search.other_major, search.other_minor, MT_LAYOUT_MAJOR);
    else if (source->coverage.missing_bytes > 0)
        mt_fail(error,
                "no trace found; the core is cut off (%" PRIu64
                " bytes are missing), so it may have been there",
                source->coverage.missing_bytes);
    else if (source->process.path && source->coverage.tables_incomplete)
        mt_fail(error, "no trace found; the core is cut off (its tables are "
                       "incomplete), so it may have been there");
    else if (root_missing_memory(source) > 0)
        mt_fail(error,
                "no trace found; the core does not have %" PRIu64
                " bytes of the program's memory, so it may have been there "
                "(coredump_filter of 0x33 keeps it)",
                root_missing_memory(source));
    else if (search.unused)
        mt_fail(error, "no trace yet: the process has not allocated anything");
    else {
        bool core = source->process.kind == MT_SOURCE_CORE;
        bool live = source->process.kind == MT_SOURCE_LIVE;
        mt_fail(error,
                "no trace found: the process %s run on the traced heap (start "
                "it with `memtrace run`%s)",
                core ? "did not" : "does not",
                live ? "; `memtrace map` reads any process" : "");
        if (error)
            error->untraced = true;
    }
    return 0;
}
