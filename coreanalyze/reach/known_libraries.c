/* SPDX-License-Identifier: BSD-2-Clause
 *
 * known_libraries.c - layouts of fontconfig, Mesa, MariaDB, PHP, LLVM and
 * SQLite.
 */
#include "coreanalyze/reach/known_layouts.h"

/* --- fontconfig --- */

/* A pattern: how many elements it has, how many there is room for, and how far
 * from here they lie. */
bool mt_layout_fontconfig(struct mt_memory_view *memory, uint64_t start,
                          uint64_t *elements, uint64_t *bytes)
{
    uint64_t counts, distance, room;

    if (!mt_memory_view_word(memory, start, &counts) ||
        !mt_memory_view_word(memory, start + 8, &distance))
        return false;
    room = counts >> 32;
    if (room == 0 || room > MT_FONT_MOST || (counts & 0xffffffff) > room ||
        distance == 0 || distance % 16 != 0)
        return false;
    *elements = start + distance;
    *bytes = room * MT_FONT_ELEMENT;
    return true;
}

/* --- Mesa --- */

#define RALLOC_PARENT 0u
#define RALLOC_CHILD 8u
#define RALLOC_PREVIOUS 16u
#define RALLOC_NEXT 24u
#define RALLOC_BYTES 48u /* of the header */
#define RALLOC_SLAB 64u  /* and of what a slab begins with */

static bool links_back(struct mt_memory_view *memory, uint64_t header,
                       unsigned link, unsigned back)
{
    uint64_t other, word;

    return mt_layout_address(memory, header + link, &other) &&
           mt_memory_view_word(memory, other + back, &word) && word == header;
}

bool mt_layout_ralloc_linked(struct mt_memory_view *memory, uint64_t header)
{
    return links_back(memory, header, RALLOC_PARENT, RALLOC_CHILD) ||
           links_back(memory, header, RALLOC_CHILD, RALLOC_PARENT) ||
           links_back(memory, header, RALLOC_NEXT, RALLOC_PREVIOUS) ||
           links_back(memory, header, RALLOC_PREVIOUS, RALLOC_NEXT);
}

/* A slab is linked, and names its parent twice: by its header, and as what
 * begins after that of the parent. */
static bool is_ralloc_slab(struct mt_memory_view *memory,
                           const struct mt_inner_pointer *p)
{
    uint64_t parent, again;

    if (p->offset < RALLOC_SLAB || p->bytes < RALLOC_SLAB ||
        !mt_layout_address(memory, p->start + RALLOC_PARENT, &parent))
        return false;
    for (unsigned at = RALLOC_BYTES; at < RALLOC_SLAB; at += 8)
        if (mt_memory_view_word(memory, p->start + at, &again) &&
            again == parent + RALLOC_BYTES)
            return mt_layout_ralloc_linked(memory, p->start);
    return false;
}

bool mt_layout_ralloc(struct mt_memory_view *memory,
                      const struct mt_inner_pointer *p)
{
    return (p->offset == RALLOC_BYTES && p->bytes >= RALLOC_BYTES &&
            mt_layout_ralloc_linked(memory, p->start)) ||
           is_ralloc_slab(memory, p);
}

bool mt_layout_ralloc_alone(struct mt_memory_view *memory,
                            const struct mt_inner_pointer *p)
{
    uint64_t word;

    if (p->offset != RALLOC_BYTES || p->bytes <= RALLOC_BYTES)
        return false;
    /* The last word of the header is not used. */
    for (unsigned at = 0; at < RALLOC_BYTES - 8; at += 8)
        if (!mt_memory_view_word(memory, p->start + at, &word) || word)
            return false;
    return true;
}

/* --- SQLite --- */

#define SQLITE_LEAST 512u /* bytes of a page */
#define SQLITE_MOST 65536u

/* The header has where the page is, and what the pager has of it, which is the
 * rest of the block.  SQLite's own allocator has the size before the page. */
bool mt_layout_sqlite(struct mt_memory_view *memory,
                      const struct mt_inner_pointer *p)
{
    uint64_t header = p->start + p->offset, page, extra, bytes;

    if (p->offset < SQLITE_LEAST || p->offset > SQLITE_MOST + 8 ||
        !mt_memory_view_word(memory, header, &page) ||
        (page != p->start && page != p->start + 8))
        return false;
    bytes = header - page;
    return (bytes & (bytes - 1)) == 0 &&
           mt_memory_view_word(memory, header + 8, &extra) &&
           extra > header + 8 && extra < p->start + p->bytes;
}

/* --- MariaDB --- */

#define MYSQL_HEADER 24u
#define MYSQL_FLAGS 7u /* in the low bits of a size */

/* The server's allocator has the size that was asked for in its header, the
 * storage engine's that of all. */
bool mt_layout_mariadb(struct mt_memory_view *memory,
                       const struct mt_inner_pointer *p)
{
    uint64_t asked, all;

    return p->offset == MYSQL_HEADER && p->bytes > MYSQL_HEADER &&
           mt_memory_view_word(memory, p->start + 8, &asked) &&
           mt_memory_view_word(memory, p->start + 16, &all) &&
           ((asked & ~(uint64_t)MYSQL_FLAGS) == p->bytes - MYSQL_HEADER ||
            all == p->bytes);
}

/* --- PHP --- */

/* A table has the mask of its hash as a negative number before the pointer to
 * its elements; the hash lies before them, 4 bytes for each bit of the mask. */
bool mt_layout_zend(struct mt_memory_view *memory,
                    const struct mt_inner_pointer *p)
{
    uint64_t before;
    uint32_t entries;

    if (p->at < 4096 || !mt_memory_view_word(memory, p->at - 8, &before))
        return false;
    entries = -(uint32_t)(before >> 32);
    return entries >= 2 && (entries & (entries - 1)) == 0 &&
           p->offset == (uint64_t)entries * 4 && p->bytes > p->offset;
}

/* --- LLVM --- */

#define LLVM_USE 32u /* value, links, and the user, last */

/* The operands of an instruction lie before it, and each names it; or a pointer
 * to its operands does. */
static bool is_llvm_value(struct mt_memory_view *memory,
                          const struct mt_inner_pointer *p)
{
    uint64_t object = p->start + p->offset, operands, user;

    if (p->offset >= p->bytes)
        return false;
    if (p->offset % LLVM_USE == 0)
        return mt_memory_view_word(memory, object - 8, &user) && user == object;
    if (p->offset != 8)
        return false;
    if (mt_layout_address(memory, p->start, &operands))
        return mt_memory_view_word(memory, operands + LLVM_USE - 8, &user) &&
               user == object;
    /* Without operands: one that uses it names it first. */
    return mt_layout_address(memory, object + 8, &user) &&
           mt_memory_view_word(memory, user, &operands) && operands == object;
}

#define LLVM_SET 64u  /* bytes in which a small set keeps its own room */
#define LLVM_NODE 24u /* bytes of metadata, at least */
#define LLVM_OWNED 7u /* bits of its pointer to the context that are tags */

/* A context has a pointer to what begins with a small set of modules, and that
 * with a pointer to the set's own room. */
static bool is_llvm_context(struct mt_memory_view *memory, uint64_t context)
{
    uint64_t all, room;

    return mt_layout_address(memory, context, &all) &&
           mt_layout_address(memory, all, &room) && room - all - 1 < LLVM_SET;
}

/* The operands of a node of metadata lie before it.  It has the context, or the
 * record of those that use it, which begins with the context. */
static bool is_llvm_metadata(struct mt_memory_view *memory,
                             const struct mt_inner_pointer *p)
{
    uint64_t object = p->start + p->offset, context, other;

    if (p->offset % 8 != 0 || p->offset + LLVM_NODE > p->bytes)
        return false;
    /* Until LLVM 14 its number of operands is before that. */
    for (unsigned at = 8; at <= 16; at += 8)
        if (mt_memory_view_word(memory, object + at, &context) &&
            (is_llvm_context(memory, context &= ~(uint64_t)LLVM_OWNED) ||
             (mt_layout_address(memory, context, &other) &&
              is_llvm_context(memory, other))))
            return true;
    return false;
}

bool mt_layout_llvm(struct mt_memory_view *memory,
                    const struct mt_inner_pointer *p)
{
    return is_llvm_value(memory, p) || is_llvm_metadata(memory, p);
}
