/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef MT_DWARF_ARANGES_H
#define MT_DWARF_ARANGES_H

/* dwarf_aranges.h: .debug_aranges, the code of units by their header. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Calls VISIT for each range; stops where it returns false, or where the
 * section is broken. */
void mt_aranges_read(const uint8_t *data, size_t bytes,
                     bool (*visit)(void *context, uint64_t unit_offset,
                                   uint64_t low, uint64_t high),
                     void *context);

#endif
