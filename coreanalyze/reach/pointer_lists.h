/* SPDX-License-Identifier: BSD-2-Clause
 *
 * pointer_lists.h - the pointers of blocks, found in one pass over memory in
 * the order of addresses.
 *
 * A search meets blocks in any order, and waits for the memory of each.  Memory
 * that is read in order comes fast, and lists of pointers are small.  A block
 * whose list is not kept is to be scanned: one with many pointers, one that is
 * large, one that lacks memory, or any when the lists have used their share.
 */
#ifndef MT_POINTER_LISTS_H
#define MT_POINTER_LISTS_H

#include "coreanalyze/snapshot/slot_index.h"

#include <emmintrin.h>

struct mt_mark;

#define MT_LIST_GROUP 16u    /* slots whose lists lie one after the other */
#define MT_LIST_UNKNOWN 255u /* a count: the block is to be scanned */
#define MT_LIST_MOST 254u    /* pointers of one block */
#define MT_LIST_START UINT32_C(1)

struct mt_pointer_lists {
    struct mt_slot_index index;
    uint64_t n_slots;
    uint8_t *counts; /* by slot; 0 of those that are not live */
    const uint32_t **groups;
    struct mt_list_chunk *chunks;
    uint64_t bytes, limit; /* that the chunks take, and may take */
    bool no_memory;
};

/* Lists the pointers of all live blocks.  mark->lists stays NULL where that
 * does not pay.  False when out of memory. */
bool mt_pointer_lists_make(struct mt_mark *mark, struct mt_error *error);
void mt_pointer_lists_free(struct mt_pointer_lists *lists); /* takes NULL */

/* The list of a block, whose count is not MT_LIST_UNKNOWN.  An item is the slot
 * of a block, shifted by one; MT_LIST_START is set if it counts like a pointer
 * to the start. */
static inline const uint32_t *
mt_pointer_list(const struct mt_pointer_lists *lists, uint64_t slot)
{
    static const uint8_t keep[2 * MT_LIST_GROUP] = {
        255, 255, 255, 255, 255, 255, 255, 255,
        255, 255, 255, 255, 255, 255, 255, 255};
    uint64_t first = slot & ~(uint64_t)(MT_LIST_GROUP - 1);
    __m128i counts = _mm_loadu_si128((const __m128i *)&lists->counts[first]);
    __m128i before =
        _mm_loadu_si128((const __m128i *)&keep[MT_LIST_GROUP - (slot - first)]);
    __m128i sums;

    before = _mm_andnot_si128(
        _mm_cmpeq_epi8(counts, _mm_set1_epi8((char)MT_LIST_UNKNOWN)), before);
    sums = _mm_sad_epu8(_mm_and_si128(counts, before), _mm_setzero_si128());
    return lists->groups[slot / MT_LIST_GROUP] + _mm_cvtsi128_si32(sums) +
           _mm_extract_epi16(sums, 4);
}

#endif
