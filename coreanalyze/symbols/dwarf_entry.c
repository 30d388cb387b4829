/* SPDX-License-Identifier: BSD-2-Clause
 *
 * dwarf_entry.c - reads a DIE in one pass over its bytes, by the plan of its
 * abbreviation.  libdwarf reads an attribute at a time, makes an object of each
 * DIE, and looks for its unit from the first one on.
 */
#include "config.h"
#include "coreanalyze/symbols/dwarf_entry.h"
#include "coreanalyze/symbols/byte_cursor.h"
#include "coreanalyze/symbols/dwarf_forms.h"

static uint64_t entry_take(struct mt_byte_cursor *c, unsigned bytes)
{
    switch (bytes) {
    case 1:
        return mt_take(c, 1);
    case 2:
        return mt_take(c, 2);
    case 4:
        return mt_take(c, 4);
    case 8:
        return mt_take(c, 8);
    case 16:
        mt_take_skip(c, 16);
        return 0;
    default:
        return mt_take(c, bytes);
    }
}

/* A value whose length is not its form's. */
static uint64_t entry_take_varying(struct mt_byte_cursor *c, uint64_t form)
{
    uint64_t value = 0;

    switch (form) {
    case MT_FORM_STRING: {
        const uint8_t *end = memchr(c->at, 0, (size_t)(c->end - c->at));

        c->bad |= end == NULL;
        c->at = end != NULL ? end + 1 : c->end;
        break;
    }
    case MT_FORM_UDATA:
    case MT_FORM_REF_UDATA:
    case MT_FORM_STRX:
    case MT_FORM_ADDRX:
    case MT_FORM_LOCLISTX:
    case MT_FORM_RNGLISTX:
    case MT_FORM_GNU_ADDR_INDEX:
    case MT_FORM_GNU_STR_INDEX:
        return mt_take_leb(c, false);
    case MT_FORM_SDATA:
        return mt_take_leb(c, true);
    case MT_FORM_BLOCK1:
        mt_take_skip(c, mt_take(c, 1));
        break;
    case MT_FORM_BLOCK2:
        mt_take_skip(c, mt_take(c, 2));
        break;
    case MT_FORM_BLOCK4:
        mt_take_skip(c, mt_take(c, 4));
        break;
    case MT_FORM_BLOCK:
    case MT_FORM_EXPRLOC:
        mt_take_skip(c, mt_take_leb(c, false));
        break;
    case MT_FORM_FLAG_PRESENT:
        value = 1;
        break;
    default: /* its length is not known, nor that of what follows */
        c->bad = true;
    }
    return value;
}

static struct mt_entry_form entry_take_form(struct mt_byte_cursor *c,
                                            const struct mt_entries *entries,
                                            const struct mt_abbrev_step *step)
{
    const struct mt_abbrevs *abbrevs = entries->abbrevs;
    uint64_t form = step->form;
    unsigned bytes = step->bytes;

    if (form == MT_FORM_IMPLICIT_CONST)
        return (struct mt_entry_form){(uint64_t)(int32_t)bytes, step->form};
    if (form == MT_FORM_INDIRECT) {
        form = mt_take_leb(c, false);
        bytes = mt_form_bytes(form, abbrevs->version, abbrevs->offset_bytes);
    }
    /* A string is where it is. */
    if (form == MT_FORM_STRING) {
        uint64_t at = (uint64_t)(c->at - entries->info.data);

        entry_take_varying(c, form);
        return (struct mt_entry_form){at, MT_FORM_STRING};
    }
    return (struct mt_entry_form){bytes != 0 ? entry_take(c, bytes)
                                             : entry_take_varying(c, form),
                                  (uint16_t)form};
}

bool mt_entry_read(const struct mt_entries *entries, uint64_t offset,
                   struct mt_entry *out)
{
    struct mt_byte_cursor c = {entries->info.data,
                               entries->info.data + entries->end, false};

    out->offset = offset;
    out->has = 0;
    if (offset >= entries->end || offset < entries->unit)
        return false;
    c.at += offset;
    uint64_t code = mt_take_leb(&c, false);
    out->ends = code == 0 && !c.bad;
    out->next = (uint64_t)(c.at - entries->info.data);
    if (out->ends)
        return true;
    const struct mt_abbrev *abbrev = mt_abbrevs_find(entries->abbrevs, code);
    if (abbrev == NULL || c.bad)
        return false;
    out->kind = abbrev->kind;
    out->has_children = abbrev->has_children;
    const struct mt_abbrev_step *step = entries->abbrevs->steps + abbrev->first;
    for (uint32_t i = 0; i < abbrev->n && !c.bad; i++, step++) {
        if (step->form == 0) {
            mt_take_skip(&c, step->bytes);
        } else if (step->value == MT_ENTRY_SKIP) {
            entry_take_form(&c, entries, step);
        } else if (!(out->has & 1u << step->value)) {
            out->values[step->value] = entry_take_form(&c, entries, step);
            out->has |= 1u << step->value;
        } else {
            entry_take_form(&c, entries, step);
        }
    }
    out->next = (uint64_t)(c.at - entries->info.data);
    return !c.bad;
}

/* An attribute, or one without a form. */
static struct mt_entry_form entry_form(const struct mt_entry *entry,
                                       enum mt_entry_value which)
{
    if (!(entry->has & 1u << which))
        return (struct mt_entry_form){0, 0};
    return entry->values[which];
}

/* A reference within .debug_info; false for other forms. */
static bool entry_reference(const struct mt_entries *entries,
                            struct mt_entry_form value, uint64_t *offset)
{
    switch (value.form) {
    case MT_FORM_REF1:
    case MT_FORM_REF2:
    case MT_FORM_REF4:
    case MT_FORM_REF8:
    case MT_FORM_REF_UDATA:
        return !__builtin_add_overflow(entries->unit, value.number, offset);
    case MT_FORM_REF_ADDR:
        *offset = value.number;
        return true;
    default:
        return false;
    }
}

uint64_t mt_entry_sibling(const struct mt_entries *entries,
                          const struct mt_entry *entry)
{
    uint64_t offset;

    /* Offsets only grow: a broken file cannot send a walk round in circles. */
    if (!entry_reference(entries, entry_form(entry, MT_ENTRY_SIBLING),
                         &offset) ||
        offset < entry->next || offset >= entries->end)
        return 0;
    return offset;
}

static bool entry_is_constant(uint16_t form)
{
    switch (form) {
    case MT_FORM_DATA1:
    case MT_FORM_DATA2:
    case MT_FORM_DATA4:
    case MT_FORM_DATA8:
    case MT_FORM_UDATA:
    case MT_FORM_SDATA:
    case MT_FORM_IMPLICIT_CONST:
        return true;
    default:
        return false;
    }
}

uint64_t mt_entry_number(const struct mt_entry *entry,
                         enum mt_entry_value which, uint64_t otherwise)
{
    struct mt_entry_form value = entry_form(entry, which);

    return entry_is_constant(value.form) ? value.number : otherwise;
}

static bool entry_is_address_index(uint16_t form)
{
    return form == MT_FORM_ADDRX || form == MT_FORM_GNU_ADDR_INDEX ||
           (form >= MT_FORM_ADDRX1 && form <= MT_FORM_ADDRX4);
}

struct mt_code mt_entry_code(const struct mt_entry *entry)
{
    struct mt_code code = {0};
    struct mt_entry_form ranges = entry_form(entry, MT_ENTRY_RANGES);
    struct mt_entry_form low = entry_form(entry, MT_ENTRY_LOW);
    struct mt_entry_form high = entry_form(entry, MT_ENTRY_HIGH);

    code.ranges_indexed = ranges.form == MT_FORM_RNGLISTX;
    code.has_ranges =
        code.ranges_indexed || ranges.form == MT_FORM_SEC_OFFSET ||
        ranges.form == MT_FORM_DATA4 || ranges.form == MT_FORM_DATA8;
    code.ranges = ranges.number;
    code.low_indexed = entry_is_address_index(low.form);
    code.has_low = code.low_indexed || low.form == MT_FORM_ADDR;
    code.low = low.number;
    if (!code.has_low || code.has_ranges)
        return code;
    code.high_indexed = entry_is_address_index(high.form);
    code.high_is_length = entry_is_constant(high.form);
    code.has_high =
        code.high_indexed || code.high_is_length || high.form == MT_FORM_ADDR;
    code.high = high.number;
    return code;
}

bool mt_entry_origin(const struct mt_entries *entries,
                     const struct mt_entry *entry, uint64_t *offset,
                     bool *in_supplement)
{
    struct mt_entry_form value = entry_form(entry, MT_ENTRY_ORIGIN);

    *in_supplement = false;
    if (value.form == 0)
        value = entry_form(entry, MT_ENTRY_SPECIFICATION);
    if (value.form != MT_FORM_GNU_REF_ALT && value.form != MT_FORM_REF_SUP4 &&
        value.form != MT_FORM_REF_SUP8)
        return entry_reference(entries, value, offset);
    *in_supplement = true;
    *offset = value.number;
    return true;
}

static bool form_is_indexed_text(uint16_t form)
{
    return form == MT_FORM_STRX || form == MT_FORM_GNU_STR_INDEX ||
           (form >= MT_FORM_STRX1 && form <= MT_FORM_STRX4);
}

bool mt_entry_is_indexed(const struct mt_entry *entry,
                         enum mt_entry_value which)
{
    return form_is_indexed_text(entry_form(entry, which).form);
}

const char *mt_entry_text(struct mt_dwarf_file *file,
                          struct mt_dwarf_file *supplement,
                          const struct mt_entries *entries,
                          const struct mt_entry *entry,
                          enum mt_entry_value which, uint64_t base)
{
    struct mt_entry_form value = entry_form(entry, which);

    if (form_is_indexed_text(value.form))
        return mt_indexed_string(
            mt_dwarf_own_section(file, ".debug_str_offsets"),
            mt_dwarf_own_section(file, ".debug_str"), base, value.number,
            entries->abbrevs->offset_bytes);
    switch (value.form) {
    case MT_FORM_STRING: /* it ends in the unit, or had not been read */
        return (const char *)entries->info.data + value.number;
    case MT_FORM_STRP:
        return mt_string_at(mt_dwarf_own_section(file, ".debug_str"),
                            value.number);
    case MT_FORM_LINE_STRP:
        return mt_string_at(mt_dwarf_section(file, ".debug_line_str"),
                            value.number);
    case MT_FORM_STRP_SUP:
    case MT_FORM_GNU_STRP_ALT:
        return supplement != NULL
                   ? mt_string_at(mt_dwarf_section(supplement, ".debug_str"),
                                  value.number)
                   : NULL;
    default:
        return NULL;
    }
}
