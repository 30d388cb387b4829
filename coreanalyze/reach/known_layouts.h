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

/* A word that may be the address of a structure. */
bool mt_layout_address(struct mt_memory_view *memory, uint64_t at,
                       uint64_t *address);

/* Is the word at `address` that of code?  `*none`: it is 0. */
bool mt_layout_code(struct mt_memory_view *memory, uint64_t address,
                    bool *none);

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

#define MT_GLIB_BOX 0x44ae2bf0u /* marks a box with a count of references */
#define MT_GLIB_MAGIC 24u       /* where that lies */

/* GLib: private data of an object's class lies before the object; a header of
 * fundamental types before the record of a type; marshallers before a closure;
 * a count of references and a size before a box.  Slabs of chunks are pointed
 * to in their middle alone. */
bool mt_layout_glib(struct mt_memory_view *memory,
                    const struct mt_inner_pointer *pointer);

/* Mesa: contexts of memory form a tree; the links lie before what is used.  A
 * context may have a slab, of which any inner part is pointed to. */
bool mt_layout_ralloc(struct mt_memory_view *memory,
                      const struct mt_inner_pointer *pointer);
/* May it be a context that has no links? It is if another context holds it,
 * and the same function allocated both. */
bool mt_layout_ralloc_alone(struct mt_memory_view *memory,
                            const struct mt_inner_pointer *pointer);
bool mt_layout_ralloc_linked(struct mt_memory_view *memory, uint64_t header);

/* SQLite: the header of a page in memory lies after the page. */
bool mt_layout_sqlite(struct mt_memory_view *memory,
                      const struct mt_inner_pointer *pointer);
/* MariaDB: a header with the size. */
bool mt_layout_mariadb(struct mt_memory_view *memory,
                       const struct mt_inner_pointer *pointer);
/* PHP: the hash of a table lies before its elements. */
bool mt_layout_zend(struct mt_memory_view *memory,
                    const struct mt_inner_pointer *pointer);
/* C++: the runtime's record of an exception lies before it. */
bool mt_layout_exception(struct mt_memory_view *memory,
                         const struct mt_inner_pointer *pointer);
/* LLVM: the operands of a value or of metadata lie before it. */
bool mt_layout_llvm(struct mt_memory_view *memory,
                    const struct mt_inner_pointer *pointer);

/* A pointer whose low three bits are a tag: to the first bytes of a block that
 * begins with addresses, so that it is not a place in a text. */
bool mt_layout_tagged(struct mt_memory_view *memory,
                      const struct mt_inner_pointer *pointer);
/* Links inside of a block, as <linux/list.h> and <linux/rbtree.h> have them:
 * what they lead to links back. */
bool mt_layout_links(struct mt_memory_view *memory,
                     const struct mt_inner_pointer *pointer);

/* fontconfig: a pattern has the distance to its elements in place of a pointer
 * to them.  True if what lies at `start` may be a pattern; it is one if its
 * elements are a block of exactly that many bytes. */
#define MT_FONT_PATTERN 24u /* bytes */
#define MT_FONT_ELEMENT 16u
#define MT_FONT_MOST 4096u /* elements */
bool mt_layout_fontconfig(struct mt_memory_view *memory, uint64_t start,
                          uint64_t *elements, uint64_t *bytes);

#endif
