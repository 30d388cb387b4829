/* SPDX-License-Identifier: BSD-2-Clause
 *
 * known_links.c - pointers that no library in particular keeps: with a tag in
 * their low bits, and to the links of a list or tree inside of its elements.
 */
#include "coreanalyze/reach/known_layouts.h"

#define TAGS UINT64_C(7)
#define TAGGED_WORDS 4u /* of the block, one of which is an address */

static bool links_address(struct mt_memory_view *memory, uint64_t at,
                          uint64_t *address)
{
    if (!mt_memory_view_word(memory, at, address))
        return false;
    *address &= ~TAGS;
    return *address >= 4096 && *address < UINT64_C(1) << 47;
}

static bool links_to(struct mt_memory_view *memory, uint64_t at, uint64_t node)
{
    uint64_t other;

    return links_address(memory, at, &other) && other == node;
}

bool mt_layout_tagged(struct mt_memory_view *memory,
                      const struct mt_inner_pointer *p)
{
    uint64_t word;

    if (p->offset > TAGS || p->start % 16 != 0)
        return false;
    for (unsigned i = 0; i < TAGGED_WORDS && (i + 1) * 8 <= p->bytes; i++)
        if (links_address(memory, p->start + i * 8, &word) &&
            mt_source_mapping(memory->source, word))
            return true;
    return false;
}

/* Both neighbours lead back, whichever of the two words is the next one. */
static bool is_list_element(struct mt_memory_view *memory, uint64_t node)
{
    uint64_t first, second;

    return links_address(memory, node, &first) && first != node &&
           links_address(memory, node + 8, &second) && second != node &&
           links_to(memory, first + 8, node) && links_to(memory, second, node);
}

/* Three words, of which that at `up` leads to the parent, whose two others lead
 * to children; all that there are lead back. */
static bool is_tree_element(struct mt_memory_view *memory, uint64_t node,
                            unsigned up)
{
    unsigned left = up == 0 ? 8 : 0, right = left + 8;
    const unsigned children[] = {left, right};
    uint64_t other;
    bool linked = false;

    if (links_address(memory, node + up, &other)) {
        if (!links_to(memory, other + left, node) &&
            !links_to(memory, other + right, node))
            return false;
        linked = true;
    }
    for (size_t i = 0; i < sizeof children / sizeof *children; i++)
        if (links_address(memory, node + children[i], &other)) {
            if (!links_to(memory, other + up, node))
                return false;
            linked = true;
        }
    return linked;
}

bool mt_layout_links(struct mt_memory_view *memory,
                     const struct mt_inner_pointer *p)
{
    uint64_t node = p->start + p->offset;

    if (p->offset % 8 != 0 || p->offset + 16 > p->bytes)
        return false;
    return is_list_element(memory, node) ||
           (p->offset + 24 <= p->bytes && (is_tree_element(memory, node, 0) ||
                                           is_tree_element(memory, node, 16)));
}
