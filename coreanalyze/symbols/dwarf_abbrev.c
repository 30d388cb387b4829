/* SPDX-License-Identifier: BSD-2-Clause
 *
 * dwarf_abbrev.c - reads a table of abbreviations, and makes a plan of each:
 * attributes that nobody asks for become one step over their bytes.
 */
#include "config.h"
#include "coreanalyze/symbols/dwarf_abbrev.h"
#include "coreanalyze/base/memory.h"
#include "coreanalyze/base/search.h"
#include "coreanalyze/symbols/byte_cursor.h"
#include "coreanalyze/symbols/dwarf_forms.h"

#include <stdlib.h>

#define MAX_ABBREVS (1u << 20) /* of one table */

enum mt_die_kind mt_tag_kind(uint64_t tag)
{
    switch (tag) {
    case MT_TAG_COMPILE_UNIT:
    case MT_TAG_SKELETON_UNIT:
    case MT_TAG_TYPE_UNIT:
        return MT_DIE_UNIT;
    case MT_TAG_PARTIAL_UNIT:
        return MT_DIE_PARTIAL;
    case MT_TAG_NAMESPACE:
    case MT_TAG_MODULE:
        return MT_DIE_NAMESPACE;
    case MT_TAG_STRUCTURE_TYPE:
    case MT_TAG_CLASS_TYPE:
    case MT_TAG_UNION_TYPE:
    case MT_TAG_INTERFACE_TYPE:
    case MT_TAG_ENUMERATION_TYPE:
        return MT_DIE_TYPE;
    case MT_TAG_LEXICAL_BLOCK:
    case MT_TAG_TRY_BLOCK:
    case MT_TAG_CATCH_BLOCK:
    case MT_TAG_WITH_STMT:
    case MT_TAG_COMMON_BLOCK:
        return MT_DIE_BLOCK;
    case MT_TAG_SUBPROGRAM:
    case MT_TAG_ENTRY_POINT:
        return MT_DIE_FUNCTION;
    case MT_TAG_INLINED_SUBROUTINE:
        return MT_DIE_INLINED;
    default:
        return MT_DIE_OTHER;
    }
}

unsigned mt_form_bytes(uint64_t form, unsigned version, unsigned offset_bytes)
{
    switch (form) {
    case MT_FORM_DATA1:
    case MT_FORM_FLAG:
    case MT_FORM_REF1:
    case MT_FORM_STRX1:
    case MT_FORM_ADDRX1:
        return 1;
    case MT_FORM_DATA2:
    case MT_FORM_REF2:
    case MT_FORM_STRX2:
    case MT_FORM_ADDRX2:
        return 2;
    case MT_FORM_STRX3:
    case MT_FORM_ADDRX3:
        return 3;
    case MT_FORM_DATA4:
    case MT_FORM_REF4:
    case MT_FORM_REF_SUP4:
    case MT_FORM_STRX4:
    case MT_FORM_ADDRX4:
        return 4;
    case MT_FORM_ADDR:
    case MT_FORM_DATA8:
    case MT_FORM_REF8:
    case MT_FORM_REF_SIG8:
    case MT_FORM_REF_SUP8:
        return 8;
    case MT_FORM_DATA16:
        return 16;
    case MT_FORM_REF_ADDR:
        return version <= 2 ? 8 : offset_bytes;
    case MT_FORM_STRP:
    case MT_FORM_LINE_STRP:
    case MT_FORM_STRP_SUP:
    case MT_FORM_SEC_OFFSET:
    case MT_FORM_GNU_REF_ALT:
    case MT_FORM_GNU_STRP_ALT:
        return offset_bytes;
    default:
        return 0;
    }
}

/* Only functions and what surrounds them have attributes of interest. */
static enum mt_entry_value abbrev_value(uint64_t attribute,
                                        enum mt_die_kind kind)
{
    if (attribute == MT_AT_SIBLING)
        return MT_ENTRY_SIBLING;
    if (kind == MT_DIE_OTHER || kind == MT_DIE_BLOCK)
        return MT_ENTRY_SKIP;
    switch (attribute) {
    case MT_AT_NAME:
        return MT_ENTRY_NAME;
    case MT_AT_LINKAGE_NAME:
    case MT_AT_MIPS_LINKAGE_NAME:
        return MT_ENTRY_LINKAGE_NAME;
    case MT_AT_ABSTRACT_ORIGIN:
        return MT_ENTRY_ORIGIN;
    case MT_AT_SPECIFICATION:
        return MT_ENTRY_SPECIFICATION;
    case MT_AT_LOW_PC:
        return MT_ENTRY_LOW;
    case MT_AT_HIGH_PC:
        return MT_ENTRY_HIGH;
    case MT_AT_RANGES:
        return MT_ENTRY_RANGES;
    case MT_AT_CALL_FILE:
        return MT_ENTRY_CALL_FILE;
    case MT_AT_CALL_LINE:
        return MT_ENTRY_CALL_LINE;
    default:
        return MT_ENTRY_SKIP;
    }
}

/* Appends a step, or lengthens the skip before it. */
static bool abbrevs_add_step(struct mt_abbrevs *table, struct mt_abbrev *abbrev,
                             struct mt_abbrev_step step)
{
    struct mt_abbrev_step *last =
        abbrev->n > 0 ? &table->steps[table->n_steps - 1] : NULL;

    if (step.value == MT_ENTRY_SKIP && step.bytes > 0)
        step.form = 0;
    if (step.form == 0 && last != NULL && last->form == 0 &&
        last->bytes <= UINT16_MAX) {
        last->bytes += step.bytes;
        return true;
    }
    if (table->n_steps >= UINT32_MAX ||
        !mt_grow(&table->steps, &table->steps_room, table->n_steps + 1,
                 sizeof *table->steps))
        return false;
    table->steps[table->n_steps++] = step;
    abbrev->n++;
    return true;
}

/* Reads one attribute: false at the end of the list. */
static bool abbrevs_take_attribute(struct mt_byte_cursor *c,
                                   struct mt_abbrevs *table,
                                   struct mt_abbrev *abbrev, bool *memory)
{
    uint64_t attribute = mt_take_leb(c, false);
    uint64_t form = mt_take_leb(c, false);
    bool implicit = form == MT_FORM_IMPLICIT_CONST;
    uint32_t constant = implicit ? (uint32_t)mt_take_leb(c, true) : 0;

    if (c->bad || (attribute == 0 && form == 0))
        return false;
    if (form == 0 || form > UINT16_MAX)
        form = UINT16_MAX; /* is not known either */
    enum mt_entry_value value = abbrev_value(attribute, abbrev->kind);
    if (value == MT_ENTRY_SKIP && (implicit || form == MT_FORM_FLAG_PRESENT))
        return true;
    *memory = abbrevs_add_step(
        table, abbrev,
        (struct mt_abbrev_step){
            .bytes = implicit ? constant
                              : mt_form_bytes(form, table->version,
                                              table->offset_bytes),
            .form = (uint16_t)form,
            .value = (uint16_t)value,
        });
    return *memory;
}

static int abbrevs_compare(const void *a, const void *b)
{
    const struct mt_abbrev *one = a, *other = b;

    if (one->code != other->code)
        return one->code < other->code ? -1 : 1;
    return one->first < other->first ? -1 : one->first > other->first;
}

bool mt_abbrevs_read(struct mt_bytes section, struct mt_abbrevs *table)
{
    struct mt_byte_cursor c = {section.data, section.data + section.bytes,
                               table->offset >= section.bytes};
    bool memory = true, sorted = true;

    if (!c.bad)
        c.at += table->offset;
    while (memory && !c.bad && table->n < MAX_ABBREVS) {
        struct mt_abbrev abbrev = {.code = mt_take_leb(&c, false),
                                   .first = (uint32_t)table->n_steps};

        if (c.bad || abbrev.code == 0)
            break;
        abbrev.kind = mt_tag_kind(mt_take_leb(&c, false));
        abbrev.has_children = mt_take(&c, 1) != 0;
        while (abbrevs_take_attribute(&c, table, &abbrev, &memory))
            ;
        if (c.bad || !memory)
            break;
        memory =
            mt_grow(&table->at, &table->room, table->n + 1, sizeof *table->at);
        if (!memory)
            break;
        sorted = sorted &&
                 (table->n == 0 || table->at[table->n - 1].code < abbrev.code);
        table->at[table->n++] = abbrev;
    }
    if (!sorted)
        qsort(table->at, table->n, sizeof *table->at, abbrevs_compare);
    return memory;
}

const struct mt_abbrev *mt_abbrevs_find(const struct mt_abbrevs *table,
                                        uint64_t code)
{
    /* Compilers number them from 1. */
    if (code - 1 < table->n && table->at[code - 1].code == code)
        return &table->at[code - 1];
    size_t i = mt_count_below(table->at, table->n, code, code);
    return i < table->n && table->at[i].code == code ? &table->at[i] : NULL;
}

size_t mt_abbrevs_bytes(const struct mt_abbrevs *table)
{
    return table->room * sizeof *table->at +
           table->steps_room * sizeof *table->steps;
}

void mt_abbrevs_free(struct mt_abbrevs *table)
{
    free(table->at);
    free(table->steps);
    *table = (struct mt_abbrevs){0};
}
