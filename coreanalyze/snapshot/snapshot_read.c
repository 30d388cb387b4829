/* SPDX-License-Identifier: BSD-2-Clause
 *
 * snapshot_read.c - reading of sections: windows, records and strings.
 */
#include "coreanalyze/snapshot/snapshot_internal.h"
#include "coreanalyze/base/search.h"
#include "coreanalyze/base/string_set.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK_BYTES (256u << 10)
#define MAX_STRING 4096u
#define MAX_REGROWN 4096u /* a hostile target could ask for more */

static bool section_ok(const struct mt_snapshot *snapshot,
                       const struct mt_section_record *s, const char *name)
{
    uint64_t start = snapshot->model->root;
    uint64_t bytes = snapshot->root.region_bytes;

    return strncmp(s->name, name, sizeof s->name) == 0 && s->base >= start &&
           s->base - start <= bytes &&
           s->reserved <= bytes - (s->base - start) && s->used <= s->reserved &&
           s->entry_bytes > 0 && s->entry_bytes <= MT_MAX_RECORD_BYTES;
}

void mt_snapshot_sections(struct mt_snapshot *snapshot)
{
    static const char *const names[] = {
#define SECTION_NAME(ID, name, entry, kept, doc) #name,
        MT_SECTIONS(SECTION_NAME)};
    const struct mt_record_map *map =
        &snapshot->records[MT_RECORD_section_record];
    uint32_t at = mt_schema_offset(&snapshot->records[MT_RECORD_root],
                                   offsetof(struct mt_root, sections));
    struct mt_model *model = snapshot->model;

    model->coverage.skipped_sections = 0;
    model->coverage.section_overflow = model->coverage.maps_missed = 0;
    model->trace_used = 0;
    for (unsigned i = 0; i < MT_N_SECTIONS; i++) {
        uint8_t raw[512];
        struct mt_section_record s;
        size_t bytes = map->bytes < sizeof raw ? map->bytes : sizeof raw;
        /* A trace of an older minor version does not have them all. */
        if (i >= snapshot->root.n_sections &&
            snapshot->root.layout_minor < MT_LAYOUT_MINOR)
            continue;
        if (i >= snapshot->root.n_sections || at == UINT32_MAX ||
            !mt_source_read(model->source,
                            model->root + at + (uint64_t)i * map->bytes, raw,
                            bytes)) {
            model->coverage.skipped_sections++;
            continue;
        }
        mt_schema_decode(map, raw, bytes, &s, sizeof s);
        if (!section_ok(snapshot, &s, names[i])) {
            model->coverage.skipped_sections++;
            continue;
        }
        /* Records lie in what is committed; a live target commits first. */
        if (s.used > s.committed)
            s.used = s.committed;
        snapshot->sections[i] = (struct mt_section){
            s.base, s.used, s.used / s.entry_bytes, s.entry_bytes};
        if (i == MT_SECTION_MAPS)
            model->coverage.maps_missed = s.overflow;
        else
            model->coverage.section_overflow += s.overflow;
        if (i != MT_SECTION_SLICE_MAPS) /* sized for what may come */
            model->trace_used += s.used;
    }
}

bool mt_snapshot_runs(const struct mt_snapshot *snapshot)
{
    const struct mt_source *source = snapshot->model->source;

    return source->process.kind == MT_SOURCE_LIVE && !source->captured.copied;
}

bool mt_snapshot_regrow(struct mt_snapshot *snapshot)
{
    if (!mt_snapshot_runs(snapshot) || snapshot->n_regrown == MAX_REGROWN)
        return false;
    snapshot->n_regrown++;
    mt_snapshot_sections(snapshot);
    return true;
}

bool mt_section_holds(const struct mt_snapshot *snapshot, unsigned section,
                      uint64_t address, uint64_t bytes)
{
    const struct mt_section *s = &snapshot->sections[section];

    return address >= s->base && address - s->base <= s->used &&
           bytes <= s->used - (address - s->base) && bytes > 0;
}

void mt_window_drop(struct mt_window *window)
{
    free(window->data);
    memset(window, 0, sizeof *window);
}

/* Reading ahead pays where a system call or a debugger answers. */
const void *mt_window_get(struct mt_snapshot *snapshot,
                          struct mt_window *window, uint64_t address,
                          size_t bytes)
{
    struct mt_source *source = snapshot->model->source;
    size_t skip = address % 8;
    size_t wanted = bytes < CHUNK_BYTES / 4 ? CHUNK_BYTES / 4 : bytes + skip;
    uint64_t at = address - window->extent_start;

    if (window->extent && at < window->extent_bytes &&
        bytes <= window->extent_bytes - at)
        return window->extent + at;
    if (source->ops->view) {
        const void *view = source->ops->view(source, address, bytes);
        /* A core that puts its segments askew is read by copying. */
        if (view && ((uintptr_t)view - address) % 8 == 0) {
            window->extent = source->ops->extent
                                 ? source->ops->extent(source, address,
                                                       &window->extent_start,
                                                       &window->extent_bytes)
                                 : NULL;
            return view;
        }
    }
    if (address >= window->address &&
        address - window->address <= window->bytes &&
        bytes <= window->bytes - (address - window->address))
        return window->data + (address - window->address);
    if (window->capacity < wanted) {
        if (!mt_resize(&window->data, wanted, 1)) {
            snapshot->no_memory = true;
            return NULL;
        }
        window->capacity = wanted;
    }
    window->address = address;
    window->bytes = mt_source_read_part(source, address, window->data, wanted);
    return window->bytes >= bytes ? window->data : NULL;
}

void mt_snapshot_forget(struct mt_snapshot *snapshot, uint64_t address,
                        uint64_t bytes)
{
    struct mt_source *source = snapshot->model->source;

    if (source->ops->forget)
        source->ops->forget(source, address, bytes);
}

/* The first address from `address` on that a mapping holds; `end` if none. */
static uint64_t skip_hole(const struct mt_source *source, uint64_t address,
                          uint64_t end)
{
    size_t i =
        mt_count_up_to(source->mappings, source->n_mappings, end, address);

    for (; i < source->n_mappings; i++) {
        const struct mt_mapping *m = &source->mappings[i];
        uint64_t from = m->start > address ? m->start : address;
        if (from >= end)
            break;
        if (from - m->start < m->present)
            return from;
    }
    return end;
}

/* Calls `visit` for the records in `bytes` of raw memory. */
static bool visit_chunk(struct mt_snapshot *snapshot,
                        const struct mt_section *section, enum mt_record record,
                        uint64_t index, const uint8_t *raw, size_t bytes,
                        mt_visit_record *visit, void *context)
{
    union {
        struct mt_root root; /* the largest one */
        uint64_t align;
    } decoded;
    static const uint32_t sizes[MT_N_RECORDS] = {
#define RECORD_SIZE(name, FIELDS, size) size,
        MT_RECORDS(RECORD_SIZE)};

    for (size_t at = 0; at + section->entry_bytes <= bytes;
         at += section->entry_bytes, index++) {
        mt_schema_decode(&snapshot->records[record], raw + at,
                         section->entry_bytes, &decoded, sizes[record]);
        if (!visit(context, index, section->base + index * section->entry_bytes,
                   &decoded))
            return false;
    }
    return true;
}

/* The kernel leaves a mapping out of a core if nobody has touched it: it is
 * empty.  A core that has the root of the trace has what was touched. */
static bool is_untouched(const struct mt_source *source, uint64_t address)
{
    const struct mt_mapping *m = mt_source_mapping(source, address);

    return source->process.kind == MT_SOURCE_CORE && !source->process.mini &&
           !source->coverage.by_debugger &&
           source->coverage.missing_bytes == 0 && m && m->present == 0 &&
           !m->path && (m->flags & MT_MAP_WRITE) &&
           !(m->flags & MT_MAP_ASSUMED);
}

/* After a failed read at record `index`: the next one that may be readable;
 * counts what lies between. */
static uint64_t next_index(struct mt_snapshot *snapshot,
                           const struct mt_section *section, uint64_t index,
                           uint64_t to)
{
    uint64_t failed = section->base + index * section->entry_bytes;
    uint64_t address = (failed + section->entry_bytes + 4095) & ~UINT64_C(4095);
    uint64_t end = section->base + to * section->entry_bytes;
    uint64_t found = skip_hole(snapshot->model->source, address, end);
    uint64_t next = (found - section->base) / section->entry_bytes;

    if (next <= index)
        next = index + 1;
    if (!is_untouched(snapshot->model->source, failed))
        snapshot->model->coverage.unreadable_bytes +=
            (next - index) * section->entry_bytes;
    return next;
}

bool mt_snapshot_each(struct mt_snapshot *snapshot, unsigned id,
                      enum mt_record record, uint64_t from, uint64_t to,
                      mt_visit_record *visit, void *context)
{
    const struct mt_section section = snapshot->sections[id];
    uint64_t per_chunk;
    uint8_t *buffer;
    bool go_on = true;

    if (section.entry_bytes == 0)
        return true;
    per_chunk = CHUNK_BYTES / section.entry_bytes;
    buffer = malloc(per_chunk * section.entry_bytes);
    to = to < section.entries ? to : section.entries;
    while (buffer && go_on && from < to) {
        uint64_t n = to - from < per_chunk ? to - from : per_chunk;
        size_t got = mt_source_read_part(
            snapshot->model->source, section.base + from * section.entry_bytes,
            buffer, n * section.entry_bytes);
        n = got / section.entry_bytes;
        go_on = visit_chunk(snapshot, &section, record, from, buffer,
                            n * section.entry_bytes, visit, context);
        if (n * section.entry_bytes >= CHUNK_BYTES / 2)
            mt_snapshot_forget(snapshot,
                               section.base + from * section.entry_bytes,
                               n * section.entry_bytes);
        from += n;
        if (n == 0 && go_on)
            from = next_index(snapshot, &section, from, to);
    }
    free(buffer);
    return buffer != NULL;
}

/* The string at `offset`, if it ends within `size` bytes. */
static const char *read_string(struct mt_snapshot *snapshot, uint32_t offset,
                               char *text, size_t size)
{
    const struct mt_section *strings = &snapshot->sections[MT_SECTION_STRINGS];
    size_t room;

    if (offset == 0 || offset >= strings->used)
        return NULL;
    room = strings->used - offset;
    if (room > size)
        room = size;
    room = mt_source_read_part(snapshot->model->source, strings->base + offset,
                               text, room);
    size_t length = strnlen(text, room);
    if (length == 0 || length == room)
        return NULL;
    return mt_strings_add(snapshot->strings, text, length);
}

const char *mt_snapshot_string(struct mt_snapshot *snapshot, uint32_t offset)
{
    char text[MAX_STRING];

    return read_string(snapshot, offset, text, sizeof text);
}

const char *mt_snapshot_text(struct mt_snapshot *snapshot, uint32_t offset,
                             bool *lost)
{
    char *text = offset ? malloc(MT_SNAPSHOT_TEXT + 1) : NULL;
    const char *kept =
        text ? read_string(snapshot, offset, text, MT_SNAPSHOT_TEXT + 1) : NULL;

    *lost = offset != 0 && kept == NULL;
    free(text);
    return kept;
}
