/* SPDX-License-Identifier: BSD-2-Clause
 *
 * snapshot_internal.h - what the files snapshot*.c share.
 */
#ifndef MT_SNAPSHOT_INTERNAL_H
#define MT_SNAPSHOT_INTERNAL_H

#include "coreanalyze/base/memory.h"
#include "coreanalyze/snapshot/snapshot.h"
#include "coreanalyze/snapshot/span_view.h"
#include "heap/layout.h"

#define MT_RECORD_ENUM(name, FIELDS, size) MT_RECORD_##name,
enum mt_record { MT_RECORDS(MT_RECORD_ENUM) MT_N_RECORDS };
#undef MT_RECORD_ENUM

#define MT_MAX_RECORD_BYTES 65536u
#define MT_MAX_FIELDS 64

/* One field of ours: where the target's layout has it. */
struct mt_field_map {
    uint32_t to, to_bytes, to_count;
    uint32_t from, from_bytes, from_count; /* from_count 0: it has none */
};

struct mt_record_map {
    bool identity;  /* the target's fields are where ours are */
    uint32_t bytes; /* size of the target's record */
    uint32_t n_fields;
    struct mt_field_map fields[MT_MAX_FIELDS];
};

/* A section that has passed its checks, or all 0. */
struct mt_section {
    uint64_t base, used, entries;
    uint32_t entry_bytes;
};

/* A piece of the target's memory that is read ahead. */
struct mt_window {
    uint64_t address;
    size_t bytes, capacity;
    uint8_t *data;
    /* The piece of memory around the last address that needs no copy. */
    const uint8_t *extent;
    uint64_t extent_start, extent_bytes;
};

#define MT_NODE_WINDOW 65536u /* bytes of the nodes' section */
#define MT_NODE_WINDOWS 64

/* Spans, their bits and the slice maps in memory.  Every span is read once;
 * walks, mt_model_find() and maps work on this. */
struct mt_span_more { /* than its view has */
    uint64_t tags;    /* address; 0: see `tag` */
    uint64_t tag;     /* of the one block, or 0 */
    uint64_t bits;    /* index in bits[] of its free bits */
    uint32_t first_slice, n_slices;
    uint32_t owner; /* the target's thread record */
    uint16_t size_class;
    uint8_t state; /* UNUSED: not to be believed */
};

struct mt_index {
    struct mt_span_view *spans; /* by id */
    struct mt_span_more *more;  /* by id */
    size_t n_spans;
    uint64_t n_slots;
    uint64_t *bits; /* local | remote */
    size_t n_bits, bits_capacity;
    uint32_t **slice_maps; /* of each region; NULL: unreadable */
    const struct mt_region *last;
    uint64_t bit_budget; /* honest spans share no bitmaps */
    struct mt_snapshot *snapshot;
    bool out_of_memory;
};

static inline bool mt_index_is_live(const struct mt_index *index, uint32_t span,
                                    uint32_t block)
{
    const uint64_t *bits = index->bits + index->more[span].bits;

    return !(bits[block / 64] >> (block % 64) & 1);
}

struct mt_snapshot {
    struct mt_model *model;
    struct mt_root root; /* decoded; its text ends in NUL */
    uint64_t slice_bytes;
    struct mt_record_map records[MT_N_RECORDS];
    struct mt_section sections[MT_N_SECTIONS];
    struct mt_strings *strings;
    uint64_t *region_ids; /* model's regions by the target's index + 1 */
    size_t n_region_ids;
    unsigned n_regrown;      /* see mt_snapshot_regrow */
    unsigned walks;          /* of mt_model_frames */
    uint64_t counter_budget; /* honest threads share no counters */
    struct mt_window spans, local, remote, tags, slices;
    struct mt_window nodes[MT_NODE_WINDOWS]; /* each for every 64th part */
    struct mt_index *index;
    struct mt_allocator *allocators; /* once they were asked for */
    size_t n_allocators;
    bool allocators_known;
    bool outline;   /* the index has no bits */
    bool no_memory; /* ran out: what was read is not all */
};

/* --- snapshot_schema.c --- */
/* Sets maps to this reader's own layout. */
void mt_schema_own(struct mt_record_map maps[MT_N_RECORDS]);
/* Sets maps from the target's text schema; false if it is none.  `remapped` is
 * set if some field lies elsewhere. */
bool mt_schema_parse(const char *text, size_t bytes,
                     struct mt_record_map maps[MT_N_RECORDS], bool *remapped);
/* Decodes a record of `raw_bytes` bytes into ours, whose size is `size`. */
void mt_schema_decode(const struct mt_record_map *map, const void *raw,
                      size_t raw_bytes, void *record, size_t size);
/* The target's offset of our field at offset `to`; UINT32_MAX: none. */
uint32_t mt_schema_offset(const struct mt_record_map *map, uint32_t to);

/* --- snapshot_root.c --- */
/* Address of the best root, 0 with `error` filled; fills in coverage. */
uint64_t mt_snapshot_find_root(struct mt_source *source,
                               const struct mt_snapshot_options *options,
                               struct mt_coverage *coverage,
                               struct mt_error *error);

/* --- snapshot_read.c --- */
/* Reads the section table of the root; again, of a live target. */
void mt_snapshot_sections(struct mt_snapshot *);
/* True if the target runs while it is read: what does not fit may then be newer
 * than what it is compared with. */
bool mt_snapshot_runs(const struct mt_snapshot *);
/* Something lies beyond a table: if the target runs, the sections are read
 * again.  False if it does not, or if that was done too often. */
bool mt_snapshot_regrow(struct mt_snapshot *);
/* Reads a stack's record again, which was not finished before. */
void mt_snapshot_stack_again(struct mt_snapshot *, uint32_t stack);
/* Is [address, address + bytes) among the records of the section? */
bool mt_section_holds(const struct mt_snapshot *snapshot, unsigned section,
                      uint64_t address, uint64_t bytes);
/* What was read at [address, address + bytes) is not wanted soon. */
void mt_snapshot_forget(struct mt_snapshot *, uint64_t address, uint64_t bytes);
/* `bytes` at `address`, through the window; NULL if they cannot be read. */
const void *mt_window_get(struct mt_snapshot *snapshot,
                          struct mt_window *window, uint64_t address,
                          size_t bytes);
void mt_window_drop(struct mt_window *window);
/* Calls `visit` with every record in [from, to) that can be read, decoded;
 * `visit` returns false to stop.  Holes are jumped over and counted. */
typedef bool mt_visit_record(void *context, uint64_t index, uint64_t address,
                             const void *record);
bool mt_snapshot_each(struct mt_snapshot *snapshot, unsigned section,
                      enum mt_record record, uint64_t from, uint64_t to,
                      mt_visit_record *visit, void *context);
/* The string at an offset of the strings section, copied, or NULL. */
const char *mt_snapshot_string(struct mt_snapshot *snapshot, uint32_t offset);
/* Reads a text of many lines.  `lost`: the text is longer than MT_SNAPSHOT_TEXT
 * bytes, or cannot be read. */
#define MT_SNAPSHOT_TEXT (UINT32_C(1) << 20)
const char *mt_snapshot_text(struct mt_snapshot *snapshot, uint32_t offset,
                             bool *lost);

/* --- snapshot_tables.c, snapshot_stacks.c --- */
bool mt_snapshot_heaps(struct mt_snapshot *, struct mt_error *);
bool mt_snapshot_regions(struct mt_snapshot *, struct mt_error *);
bool mt_snapshot_epochs(struct mt_snapshot *, struct mt_error *);
bool mt_snapshot_modules(struct mt_snapshot *, struct mt_error *);
bool mt_snapshot_threads(struct mt_snapshot *, struct mt_error *);
bool mt_snapshot_stacks(struct mt_snapshot *, struct mt_error *);
/* --- snapshot_mapped.c; after the stacks --- */
bool mt_snapshot_mapped(struct mt_snapshot *, struct mt_error *);
/* --- snapshot_samples.c; after the epochs --- */
bool mt_snapshot_samples(struct mt_snapshot *, struct mt_error *);
/* --- snapshot_peak.c; after the stacks --- */
bool mt_snapshot_peak(struct mt_snapshot *, struct mt_error *);
/* A live target has run since: read the new stacks. */
void mt_snapshot_refresh(struct mt_snapshot *);

/* --- snapshot_spans.c --- */
/* The model's region with the target's index, or NULL. */
const struct mt_region *mt_snapshot_region(const struct mt_snapshot *,
                                           uint32_t id);
/* Does the record of a span with blocks make sense?  Its id and address are
 * given; `record` is read again if a live target may just have changed it. */
bool mt_snapshot_span_ok(struct mt_snapshot *, struct mt_span_record *record,
                         uint64_t id, uint64_t address);
/* Fills in what the tag of a live or freed block says. */
void mt_snapshot_tag(struct mt_snapshot *, uint64_t tag, uint64_t requested,
                     struct mt_block *block);

/* --- snapshot_index.c --- */
void mt_index_free(struct mt_index *); /* takes NULL */
/* Built when it is first asked for; NULL when out of memory. */
struct mt_index *mt_snapshot_index(struct mt_snapshot *);
/* Calls `visit` with every span, free ones too, until it returns false: while
 * they are read, if they were not before.  False when out of memory. */
typedef bool mt_visit_span(void *context, uint32_t id);
bool mt_snapshot_each_span(struct mt_snapshot *, mt_visit_span *visit,
                           void *context);

#endif
