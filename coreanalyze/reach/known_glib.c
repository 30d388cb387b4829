/* SPDX-License-Identifier: BSD-2-Clause
 *
 * known_glib.c - layouts of GLib.
 */
#include "coreanalyze/reach/known_layouts.h"

#define TYPE_WORDS 24u /* of a type's record that are looked at */

/* A type's record has the list of the types that it is derived from, and that
 * begins with the record itself. */
static bool is_type_record(struct mt_memory_view *memory, uint64_t record)
{
    uint64_t word;

    for (unsigned i = 1; i < TYPE_WORDS; i++)
        if (mt_memory_view_word(memory, record + i * 8, &word) &&
            word == record)
            return true;
    return false;
}

static bool is_instance(struct mt_memory_view *memory,
                        const struct mt_inner_pointer *p)
{
    uint64_t type_class, type;

    return p->offset + 24 <= p->bytes &&
           mt_layout_address(memory, p->start + p->offset, &type_class) &&
           mt_layout_address(memory, type_class, &type) &&
           is_type_record(memory, type);
}

/* A count of references, a size, an offset, and a magic number. */
static bool is_counted_box(struct mt_memory_view *memory,
                           const struct mt_inner_pointer *p)
{
    uint64_t magic;

    return p->offset == 32 && p->bytes > 32 &&
           mt_memory_view_word(memory, p->start + MT_GLIB_MAGIC, &magic) &&
           (uint32_t)magic == MT_GLIB_BOX;
}

#define CLOSURE_BEFORE                                                         \
    32u                   /* two marshallers, the data of the first, a spare   \
                           */
#define CLOSURE_BYTES 32u /* flags, marshaller, data, notifiers */

/* Before a closure lie its marshallers with their data; the public part has a
 * marshaller, and most have the callback after it. */
static bool is_closure(struct mt_memory_view *memory,
                       const struct mt_inner_pointer *p)
{
    static const unsigned functions[] = {0, 16, 24};
    bool none = false;

    if (p->offset != CLOSURE_BEFORE ||
        p->bytes < CLOSURE_BEFORE + CLOSURE_BYTES)
        return false;
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        if (!mt_layout_code(memory, p->start + functions[i], &none) && !none)
            return false;
    return mt_layout_code(memory, p->start + CLOSURE_BEFORE + 8, &none) ||
           (none && p->bytes >= CLOSURE_BEFORE + CLOSURE_BYTES + 8 &&
            mt_layout_code(memory, p->start + CLOSURE_BEFORE + CLOSURE_BYTES,
                           &none));
}

#define SLAB_SPARE 16u /* bytes that a slab is smaller than its alignment */
#define SLAB_NEXT 16u  /* in the record at a slab's end */
#define SLAB_PREVIOUS 24u

/* GLib before 2.76 cuts aligned blocks into chunks; the record at a slab's end
 * is in a ring with those of others. */
static bool is_slab(struct mt_memory_view *memory,
                    const struct mt_inner_pointer *p)
{
    uint64_t all = p->bytes + SLAB_SPARE, record = p->start + p->bytes - 32;
    uint64_t next, previous, back;

    return all >= 128 && (all & (all - 1)) == 0 && p->start % all == 0 &&
           mt_layout_address(memory, record + SLAB_NEXT, &next) &&
           mt_layout_address(memory, record + SLAB_PREVIOUS, &previous) &&
           mt_layout_address(memory, next + SLAB_PREVIOUS, &back) &&
           back == record &&
           mt_layout_address(memory, previous + SLAB_NEXT, &back) &&
           back == record;
}

bool mt_layout_glib(struct mt_memory_view *memory,
                    const struct mt_inner_pointer *p)
{
    return p->offset % 8 == 0 &&
           (is_instance(memory, p) || is_counted_box(memory, p) ||
            is_closure(memory, p) || is_slab(memory, p));
}
