/* SPDX-License-Identifier: BSD-2-Clause
 *
 * dwarf_read.c - the only file that calls libdwarf: units, DIEs and their
 * attributes.
 */
#include "config.h"
#include "coreanalyze/symbols/dwarf_read.h"

#ifdef HAVE_LIBDWARF_LIBDWARF_H
#include <libdwarf/dwarf.h>
#include <libdwarf/libdwarf.h>
#else
#include <dwarf.h>
#include <libdwarf.h>
#endif
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "coreanalyze/symbols/dwarf_access.h"

static Dwarf_Die unwrap_die(struct mt_die *die)
{
    return (Dwarf_Die)(void *)die;
}

static struct mt_die *wrap_die(Dwarf_Die die)
{
    return (struct mt_die *)(void *)die;
}

/* libdwarf 20210528 gives failed allocations many other names.  What they have
 * in common is ENOMEM in errno, which was 0 before; but malloc() may leave that
 * where it succeeds: then it does so again. */
static bool dwarf_lacks_memory(void)
{
    /* Clang takes it that malloc() itself leaves errno as it was. */
    void *(*volatile allocate)(size_t) = malloc;
    bool lacks = errno == ENOMEM;
    void *probe;

    errno = 0;
    probe = lacks ? allocate(1) : NULL;
    lacks = lacks && (probe == NULL || errno == 0);
    free(probe);
    return lacks;
}

/* Where the next call of libdwarf puts its error. */
static Dwarf_Error *dwarf_error(struct mt_dwarf_file *file)
{
    errno = 0;
    return &file->error;
}

/* The result of a call with dwarf_error(): true for DW_DLV_OK; frees the error
 * otherwise. */
static bool dwarf_read_ok(struct mt_dwarf_file *file, int result)
{
    if (result == DW_DLV_ERROR && dwarf_lacks_memory())
        file->elf->no_memory = true;
    if (result == DW_DLV_ERROR && file->error != NULL)
        dwarf_dealloc_error(file->debug, file->error);
    file->error = NULL;
    return result == DW_DLV_OK;
}

struct mt_dwarf_file *mt_dwarf_file_open(struct mt_elf *elf, bool split,
                                         struct mt_error *error)
{
    struct mt_dwarf_file *file = calloc(1, sizeof(*file));
    Dwarf_Error failure = NULL;

    if (file == NULL) {
        mt_no_memory(error, "the debug information");
        return NULL;
    }
    file->elf = elf;
    if (!collect_sections(file, split)) {
        mt_fail(error, "no DWARF");
        free(file);
        return NULL;
    }
    set_access(file);
    errno = 0;
    if (dwarf_object_init_b(&file->access, NULL, NULL, DW_GROUPNUMBER_ANY,
                            &file->debug, &failure) != DW_DLV_OK) {
        if (dwarf_lacks_memory())
            mt_no_memory(error, "the debug information");
        else
            mt_fail(error, "libdwarf: %s",
                    failure != NULL ? dwarf_errmsg(failure) : "no DWARF");
        if (failure != NULL)
            dwarf_dealloc_error(NULL, failure);
        free(file);
        return NULL;
    }
    return file;
}

void mt_dwarf_file_close(struct mt_dwarf_file *file)
{
    if (file == NULL)
        return;
    dwarf_access_finish(file);
    free(file);
}

void mt_dwarf_file_tie(struct mt_dwarf_file *file, struct mt_dwarf_file *other)
{
    file->supplement = other;
}

static bool unsigned_attribute(struct mt_dwarf_file *file, Dwarf_Die die,
                               Dwarf_Half which, uint64_t *out)
{
    Dwarf_Attribute attribute = NULL;
    Dwarf_Unsigned value = 0;

    if (!dwarf_read_ok(file,
                       dwarf_attr(die, which, &attribute, dwarf_error(file))))
        return false;
    bool got = dwarf_read_ok(
        file, dwarf_formudata(attribute, &value, dwarf_error(file)));
    if (!got) {
        Dwarf_Signed number = 0;

        got = dwarf_read_ok(
            file, dwarf_formsdata(attribute, &number, dwarf_error(file)));
        value = (Dwarf_Unsigned)number;
    }
    dwarf_dealloc_attribute(attribute);
    *out = value;
    return got;
}

/* The start of a unit's part of a section: 0, except in a package of split
 * units. */
static uint64_t part_start(struct mt_dwarf_file *file, Dwarf_Die die,
                           unsigned which)
{
    struct Dwarf_Debug_Fission_Per_CU_s parts;

    memset(&parts, 0, sizeof(parts));
    if (!dwarf_read_ok(file, dwarf_get_debugfission_for_die(
                                 die, &parts, dwarf_error(file))) ||
        parts.pcu_type == NULL)
        return 0;
    return parts.pcu_offset[which];
}

struct mt_die *mt_dwarf_next_unit(struct mt_dwarf_file *file,
                                  struct mt_unit_header *out)
{
    Dwarf_Unsigned length = 0, type_offset = 0, next = 0;
    Dwarf_Off abbreviations = 0, offset = 0;
    Dwarf_Half version = 0, address_bytes = 0, offset_bytes = 0, extension = 0;
    Dwarf_Half unit_type = 0;
    Dwarf_Sig8 signature;
    Dwarf_Die die = NULL;

    memset(out, 0, sizeof(*out));
    memset(&signature, 0, sizeof(signature));
    if (!dwarf_read_ok(file, dwarf_next_cu_header_d(
                                 file->debug, 1, &length, &version,
                                 &abbreviations, &address_bytes, &offset_bytes,
                                 &extension, &signature, &type_offset, &next,
                                 &unit_type, dwarf_error(file))) ||
        !dwarf_read_ok(file, dwarf_siblingof_b(file->debug, NULL, 1, &die,
                                               dwarf_error(file))))
        return NULL;
    if (!dwarf_read_ok(file,
                       dwarf_dieoffset(die, &offset, dwarf_error(file))) ||
        next <= file->next_header) {
        dwarf_dealloc_die(die);
        return NULL;
    }
    *out = (struct mt_unit_header){
        .offset = file->next_header,
        .end = next,
        .die_offset = offset,
        .abbrevs = abbreviations + part_start(file, die, DW_SECT_ABBREV),
        .version = address_bytes == 8 ? version : 0,
        .offset_bytes = offset_bytes == 8 ? 8 : 4,
        .has_code = unit_type != DW_UT_type && unit_type != DW_UT_split_type,
        .one_range = version < 3,
    };
    if (unit_type == DW_UT_skeleton || unit_type == DW_UT_split_compile)
        memcpy(&out->dwo_id, &signature, sizeof(out->dwo_id));
    if (version < 5)
        unsigned_attribute(file, die, DW_AT_GNU_dwo_id, &out->dwo_id);
    file->next_header = next;
    return wrap_die(die);
}

bool mt_die_is_partial(struct mt_die *die)
{
    Dwarf_Error error = NULL;
    Dwarf_Half tag = 0;

    return dwarf_tag(unwrap_die(die), &tag, &error) == DW_DLV_OK &&
           tag == DW_TAG_partial_unit;
}

/* An offset, or an index, into a section. */
static bool offset_attribute(struct mt_dwarf_file *file, Dwarf_Die die,
                             Dwarf_Half which, uint64_t *out, bool *indexed)
{
    Dwarf_Attribute attribute = NULL;
    Dwarf_Half form = 0;
    Dwarf_Off offset = 0;
    Dwarf_Unsigned number = 0;

    if (!dwarf_read_ok(file,
                       dwarf_attr(die, which, &attribute, dwarf_error(file))))
        return false;
    bool got = dwarf_read_ok(
        file, dwarf_whatform(attribute, &form, dwarf_error(file)));
    /* 20210528 misreads an index as a reference of fixed size. */
    *indexed = form == DW_FORM_rnglistx;
    if (*indexed)
        got = dwarf_read_ok(
            file, dwarf_formudata(attribute, &number, dwarf_error(file)));
    else
        got =
            got && dwarf_read_ok(file, dwarf_global_formref(attribute, &offset,
                                                            dwarf_error(file)));
    dwarf_dealloc_attribute(attribute);
    *out = *indexed ? number : offset;
    return got;
}

struct mt_bytes mt_dwarf_section(struct mt_dwarf_file *file, const char *name)
{
    for (unsigned i = 1; i < file->n_sections; i++)
        if (strcmp(file->sections[i].name, name) == 0)
            return section_load(file, i);
    return (struct mt_bytes){NULL, 0};
}

struct mt_bytes mt_dwarf_own_section(struct mt_dwarf_file *file,
                                     const char *name)
{
    struct mt_bytes section = mt_dwarf_section(file, name);
    char split[40];

    if (section.bytes != 0)
        return section;
    snprintf(split, sizeof(split), "%s.dwo", name);
    return mt_dwarf_section(file, split);
}

/* The table of offsets of strings starts where the unit says, or in a split
 * unit after the header, if there is one. */
uint64_t mt_unit_strings_base(struct mt_dwarf_file *file, struct mt_die *unit)
{
    Dwarf_Half version = 0, offset_bytes = 4;
    uint64_t base = 0;
    bool indexed;

    if (offset_attribute(file, unwrap_die(unit), DW_AT_str_offsets_base, &base,
                         &indexed))
        return base;
    dwarf_get_version_of_die(unwrap_die(unit), &version, &offset_bytes);
    return part_start(file, unwrap_die(unit), DW_SECT_STR_OFFSETS) +
           (version < 5         ? 0
            : offset_bytes == 8 ? 16
                                : 8);
}

/* A string of a unit by its index. */
static const char *indexed_text(struct mt_dwarf_file *file, Dwarf_Die unit,
                                Dwarf_Attribute attribute)
{
    Dwarf_Half version = 0, offset_bytes = 4;
    Dwarf_Unsigned index = 0;

    if (!dwarf_read_ok(file, dwarf_get_debug_str_index(attribute, &index,
                                                       dwarf_error(file))) ||
        dwarf_get_version_of_die(unit, &version, &offset_bytes) != DW_DLV_OK)
        return NULL;
    return mt_indexed_string(mt_dwarf_own_section(file, ".debug_str_offsets"),
                             mt_dwarf_own_section(file, ".debug_str"),
                             mt_unit_strings_base(file, wrap_die(unit)), index,
                             offset_bytes == 8 ? 8 : 4);
}

/* A string of the supplementary file. */
static const char *supplement_text(struct mt_dwarf_file *file,
                                   Dwarf_Attribute attribute)
{
    Dwarf_Off offset = 0;

    if (file->supplement == NULL ||
        !dwarf_read_ok(
            file, dwarf_global_formref(attribute, &offset, dwarf_error(file))))
        return NULL;
    return mt_string_at(mt_dwarf_section(file->supplement, ".debug_str"),
                        offset);
}

static const char *text_attribute(struct mt_dwarf_file *file, Dwarf_Die die,
                                  Dwarf_Half which)
{
    Dwarf_Attribute attribute = NULL;
    Dwarf_Half form = 0;
    const char *result = NULL;
    char *text = NULL;

    if (!dwarf_read_ok(file,
                       dwarf_attr(die, which, &attribute, dwarf_error(file))))
        return NULL;
    if (dwarf_read_ok(file,
                      dwarf_whatform(attribute, &form, dwarf_error(file)))) {
        if (form == DW_FORM_GNU_str_index || form == DW_FORM_strx ||
            (form >= DW_FORM_strx1 && form <= DW_FORM_strx4))
            result = indexed_text(file, die, attribute);
        else if (form == DW_FORM_GNU_strp_alt || form == DW_FORM_strp_sup)
            result = supplement_text(file, attribute);
        else if (dwarf_read_ok(file, dwarf_formstring(attribute, &text,
                                                      dwarf_error(file))))
            result = text;
    }
    dwarf_dealloc_attribute(attribute);
    return result;
}

const char *mt_die_text(struct mt_dwarf_file *file, struct mt_die *die,
                        enum mt_die_text which)
{
    static const Dwarf_Half attributes[][2] = {
        [MT_DIE_COMP_DIR] = {DW_AT_comp_dir, 0},
        [MT_DIE_DWO_NAME] = {DW_AT_dwo_name, DW_AT_GNU_dwo_name},
    };
    const char *text =
        text_attribute(file, unwrap_die(die), attributes[which][0]);

    if (text == NULL && attributes[which][1] != 0)
        text = text_attribute(file, unwrap_die(die), attributes[which][1]);
    return text;
}

/* An address, or the index of one. */
static bool address_attribute(struct mt_dwarf_file *file, Dwarf_Die die,
                              Dwarf_Half which, uint64_t *out, bool *indexed,
                              bool *is_number)
{
    Dwarf_Attribute attribute = NULL;
    Dwarf_Half form = 0;
    Dwarf_Addr address = 0;
    Dwarf_Unsigned number = 0;

    if (!dwarf_read_ok(file,
                       dwarf_attr(die, which, &attribute, dwarf_error(file))))
        return false;
    bool got = dwarf_read_ok(
        file, dwarf_whatform(attribute, &form, dwarf_error(file)));
    *indexed = dwarf_addr_form_is_indexed(form);
    *is_number = !*indexed && form != DW_FORM_addr;
    if (*indexed)
        got = got &&
              dwarf_read_ok(file, dwarf_get_debug_addr_index(
                                      attribute, &number, dwarf_error(file)));
    else if (form == DW_FORM_addr)
        got = got && dwarf_read_ok(file, dwarf_formaddr(attribute, &address,
                                                        dwarf_error(file)));
    dwarf_dealloc_attribute(attribute);
    *out = *indexed ? number : address;
    if (got && *is_number)
        return unsigned_attribute(file, die, which, out);
    return got;
}

struct mt_code mt_die_code(struct mt_dwarf_file *file, struct mt_die *die)
{
    struct mt_code code = {0};
    bool number;

    code.has_ranges = offset_attribute(file, unwrap_die(die), DW_AT_ranges,
                                       &code.ranges, &code.ranges_indexed);
    code.has_low = address_attribute(file, unwrap_die(die), DW_AT_low_pc,
                                     &code.low, &code.low_indexed, &number);
    if (code.has_low && !code.has_ranges)
        code.has_high =
            address_attribute(file, unwrap_die(die), DW_AT_high_pc, &code.high,
                              &code.high_indexed, &code.high_is_length);
    return code;
}

struct mt_address_space mt_unit_space(struct mt_dwarf_file *file,
                                      struct mt_die *unit)
{
    struct mt_address_space space = {0};
    Dwarf_Half version = 0, offset_bytes = 4;
    struct mt_code code = mt_die_code(file, unit);
    bool indexed;

    dwarf_get_version_of_die(unwrap_die(unit), &version, &offset_bytes);
    space.version = version;
    space.offset_bytes = offset_bytes == 8 ? 8 : 4;
    space.addresses = mt_dwarf_section(file, ".debug_addr");
    space.ranges = mt_dwarf_section(file, ".debug_ranges");
    space.lists = mt_dwarf_section(file, ".debug_rnglists");
    if (space.lists.bytes == 0)
        space.lists = mt_dwarf_section(file, ".debug_rnglists.dwo");
    if (!offset_attribute(file, unwrap_die(unit), DW_AT_addr_base,
                          &space.addr_base, &indexed))
        offset_attribute(file, unwrap_die(unit), DW_AT_GNU_addr_base,
                         &space.addr_base, &indexed);
    offset_attribute(file, unwrap_die(unit), DW_AT_GNU_ranges_base,
                     &space.ranges_base, &indexed);
    if (version >= 5)
        space.lists_start =
            part_start(file, unwrap_die(unit), DW_SECT_RNGLISTS);
    /* Split units have no base: their table follows the section's header. */
    if (!offset_attribute(file, unwrap_die(unit), DW_AT_rnglists_base,
                          &space.lists_base, &indexed))
        space.lists_base =
            space.lists_start + (space.offset_bytes == 8 ? 20 : 12);
    mt_code_low(&code, &space, &space.low);
    return space;
}

bool mt_die_line_table(struct mt_dwarf_file *file, struct mt_die *unit,
                       uint64_t *offset)
{
    bool indexed;

    return offset_attribute(file, unwrap_die(unit), DW_AT_stmt_list, offset,
                            &indexed);
}
