/* SPDX-License-Identifier: BSD-2-Clause
 *
 * known_layouts.c - layouts that are known exactly.
 *
 * A captured target has kept the words that are addresses, and of the others
 * next to none; they read as 0.  So these tests ask for addresses, and take
 * other words into account only where 0 does not change the result.
 */
#include "coreanalyze/reach/known_layouts.h"

#include <string.h>

#define FIRST_ADDRESS 4096u

bool mt_layout_address(struct mt_memory_view *memory, uint64_t at,
                       uint64_t *address)
{
    return mt_memory_view_word(memory, at, address) &&
           *address >= FIRST_ADDRESS && *address % 8 == 0 &&
           *address < UINT64_C(1) << 47;
}

bool mt_layout_code(struct mt_memory_view *memory, uint64_t address, bool *none)
{
    const struct mt_mapping *mapping;
    uint64_t word = 1;

    if (!mt_memory_view_word(memory, address, &word))
        return false;
    *none = word == 0;
    mapping = mt_source_mapping(memory->source, word);
    return mapping && (mapping->flags & (MT_MAP_EXEC | MT_MAP_ASSUMED));
}

/* --- C++ --- */

#define EXCEPTION 128u        /* the object, after its record */
#define EXCEPTION_CAUGHT 16u  /* the list of caught ones leads to here */
#define EXCEPTION_UNWOUND 96u /* an unwinder keeps this */

/* The record of libstdc++ and of libc++: after a count of references its type,
 * a destructor or 0, two handlers, and what the unwinder calls at the end. */
bool mt_layout_exception(struct mt_memory_view *memory,
                         const struct mt_inner_pointer *p)
{
    uint64_t type, vtable;
    bool none = false;

    return p->bytes >= EXCEPTION &&
           (p->offset == EXCEPTION || p->offset == EXCEPTION_CAUGHT ||
            p->offset == EXCEPTION_UNWOUND) &&
           mt_layout_address(memory, p->start + 16, &type) &&
           mt_layout_address(memory, type, &vtable) &&
           (mt_layout_code(memory, p->start + 24, &none) || none) &&
           mt_layout_code(memory, p->start + 32, &none) &&
           mt_layout_code(memory, p->start + 40, &none) &&
           mt_layout_code(memory, p->start + EXCEPTION_UNWOUND + 8, &none);
}

/* --- CPython --- */

#define PY_TYPE_OF 8u      /* of an object, after its count of references */
#define PY_NAME_OF 24u     /* of a type */
#define PY_BASE_OF 256u    /* the type that a type is derived from */
#define PY_ORDER_MOST 256u /* bytes of the order of attributes */
#define PY_METACLASSES 4u  /* an object's type, its type, and so on */

/* Cores mostly lack text that cannot be written to. */
static bool text_differs(struct mt_memory_view *memory, uint64_t at,
                         const char *text, size_t bytes)
{
    uint64_t have = bytes;
    const uint8_t *data = mt_memory_view(memory, at, &have);

    return data && have >= bytes && memcmp(data, text, bytes) != 0;
}

/* The type of all types is of its own type, and called "type"; it is derived
 * from `object`, whose type it is, and which is derived from nothing. */
static bool is_type_type(struct mt_memory_view *memory,
                         struct mt_known_layouts *known, uint64_t type)
{
    uint64_t base, of_base, none, name;

    if (type == known->python_type || type == known->not_type)
        return type == known->python_type;
    if (mt_layout_address(memory, type + PY_BASE_OF, &base) && base != type &&
        mt_layout_address(memory, base + PY_TYPE_OF, &of_base) &&
        of_base == type &&
        mt_memory_view_word(memory, base + PY_BASE_OF, &none) && none == 0 &&
        mt_memory_view_word(memory, type + PY_NAME_OF, &name) &&
        name >= FIRST_ADDRESS && !text_differs(memory, name, "type", 5)) {
        known->python_type = type;
        return true;
    }
    known->not_type = type;
    return false;
}

static bool is_python_object(struct mt_memory_view *memory,
                             struct mt_known_layouts *known, uint64_t object)
{
    uint64_t type, next;

    if (!mt_layout_address(memory, object + PY_TYPE_OF, &type))
        return false;
    for (unsigned i = 0; i < PY_METACLASSES; i++, type = next) {
        if (type == known->python_type)
            return true;
        if (!mt_layout_address(memory, type + PY_TYPE_OF, &next))
            return false;
        if (next == type)
            return is_type_type(memory, known, type);
    }
    return false;
}

/* Words that may point to the values of attributes: before an object, the
 * fourth in Python 3.11, and the third, with a tag of -1, in 3.12; and the
 * sixth of a dictionary. */
static bool is_values(struct mt_memory_view *memory,
                      struct mt_known_layouts *known,
                      const struct mt_inner_pointer *p)
{
    if (p->at < FIRST_ADDRESS || p->offset > PY_ORDER_MOST)
        return false;
    if (p->offset % 8 == 7)
        return is_python_object(memory, known, p->at + 24);
    return p->offset % 8 == 0 && (is_python_object(memory, known, p->at + 32) ||
                                  is_python_object(memory, known, p->at - 40));
}

bool mt_layout_cpython(struct mt_memory_view *memory,
                       struct mt_known_layouts *known,
                       const struct mt_inner_pointer *p)
{
    return ((p->offset == 16 || p->offset == 32) &&
            p->bytes >= p->offset + 16 &&
            is_python_object(memory, known, p->start + p->offset)) ||
           is_values(memory, known, p);
}

/* --- Rust --- */

#define GROUP 16u /* control bytes of one look */

/* For n buckets of s bytes: n * s bytes, up to a multiple of GROUP; n control
 * bytes; the first GROUP of those again.  n is a power of two, and beside the
 * pointer to the control bytes is n - 1. */
bool mt_layout_hashbrown(struct mt_memory_view *memory,
                         const struct mt_inner_pointer *p)
{
    uint64_t n, before = 0, after = 0;

    if (p->at < FIRST_ADDRESS || p->offset % GROUP != 0 ||
        p->bytes < p->offset + GROUP + 4)
        return false;
    n = p->bytes - p->offset - GROUP;
    if ((n & (n - 1)) != 0 || p->offset < n || (n >= GROUP && p->offset % n))
        return false;
    mt_memory_view_word(memory, p->at - 8, &before);
    mt_memory_view_word(memory, p->at + 8, &after);
    return before == n - 1 || after == n - 1;
}
