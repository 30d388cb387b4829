/* SPDX-License-Identifier: BSD-2-Clause
 *
 * known_layouts.h - blocks of well-known runtimes that are only ever pointed
 * to after a header of their own.
 */
#ifndef MT_KNOWN_LAYOUTS_H
#define MT_KNOWN_LAYOUTS_H

#include "coreanalyze/reach/memory_view.h"

/* A block, and a pointer to `offset` bytes after its start. */
struct mt_inner_pointer {
    uint64_t start, bytes; /* of what was asked for */
    uint64_t offset;
    uint64_t at; /* where the pointer lies; 0: in a register */
};

/* Facts that one search has learned of its target. */
struct mt_known_layouts {
    uint64_t python_type; /* address of the object `type`; 0: not known */
    uint64_t not_type;    /* the last address that was taken for it wrongly */
};

/* CPython: the header of the garbage collector, and where the object has them
 * the pointers to its dictionary and weak references, lie before the object.
 * The values of attributes are pointed to from there, after their order. */
bool mt_layout_cpython(struct mt_memory_view *memory,
                       struct mt_known_layouts *known,
                       const struct mt_inner_pointer *pointer);

/* Rust's HashMap (hashbrown): the table is pointed to where its control bytes
 * begin; the elements lie before them. */
bool mt_layout_hashbrown(struct mt_memory_view *memory,
                         const struct mt_inner_pointer *pointer);

/* GLib: private data of an object's class lies before the object; a header of
 * fundamental types before the record of a type. */
bool mt_layout_gobject(struct mt_memory_view *memory,
                       const struct mt_inner_pointer *pointer);

#endif
