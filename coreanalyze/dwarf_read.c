/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "coreanalyze/dwarf_read.h"

#ifdef HAVE_LIBDWARF_LIBDWARF_H
#include <libdwarf/dwarf.h>
#include <libdwarf/libdwarf.h>
#else
#include <dwarf.h>
#include <libdwarf.h>
#endif
#include <stdlib.h>
#include <string.h>
#include "coreanalyze/dwarf_access.h"

/* Entries of one range list; a larger one is broken. */
#define MAX_RANGES 4000000

static Dwarf_Die raw(struct mt_die *die)
{
    return (Dwarf_Die)(void *)die;
}

static struct mt_die *cooked(Dwarf_Die die)
{
    return (struct mt_die *)(void *)die;
}

/* Of a call with &file->error: true for DW_DLV_OK; frees the error else. */
static bool ok(struct mt_dwarf_file *file, int result)
{
    if (result == DW_DLV_ERROR && file->error != NULL)
        dwarf_dealloc_error(file->debug, file->error);
    file->error = NULL;
    return result == DW_DLV_OK;
}

/* The sections that functions, names, code and lines are found in. */
static const char *const wanted[] = {
    ".debug_info",         ".debug_abbrev",     ".debug_str",
    ".debug_line",         ".debug_line_str",   ".debug_ranges",
    ".debug_rnglists",     ".debug_addr",       ".debug_str_offsets",
    ".debug_info.dwo",     ".debug_abbrev.dwo", ".debug_str.dwo",
    ".debug_rnglists.dwo", ".debug_line.dwo",   ".debug_str_offsets.dwo",
    ".debug_cu_index",
};

static const struct mt_elf_section *find_section(struct mt_elf *elf,
                                                 const char *name)
{
    const struct mt_elf_section *section = mt_elf_find(elf, name);
    char old[40] = ".z";

    if (section != NULL)
        return section;
    strncat(old, name + 1, sizeof(old) - 3); /* .zdebug_info */
    return mt_elf_find(elf, old);
}

static bool collect_sections(struct mt_dwarf_file *file)
{
    bool info = false, abbrev = false;

    file->sections[0].name = "";
    file->n_sections = 1;
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        const struct mt_elf_section *from = find_section(file->elf, wanted[i]);
        struct section *to = &file->sections[file->n_sections];

        if (from == NULL ||
            !mt_elf_section_data(file->elf, from, &to->data, &to->bytes))
            continue;
        to->name = wanted[i];
        file->n_sections++;
        info = info || strncmp(to->name, ".debug_info", 11) == 0;
        abbrev = abbrev || strncmp(to->name, ".debug_abbrev", 13) == 0;
    }
    return info && abbrev;
}

struct mt_dwarf_file *mt_dwarf_file_open(struct mt_elf *elf,
                                         struct mt_error *error)
{
    struct mt_dwarf_file *file = calloc(1, sizeof(*file));
    Dwarf_Error failure = NULL;

    if (file == NULL) {
        mt_fail(error, "out of memory");
        return NULL;
    }
    file->elf = elf;
    if (!collect_sections(file)) {
        mt_fail(error, "no DWARF");
        free(file);
        return NULL;
    }
    set_access(file);
    if (dwarf_object_init_b(&file->access, NULL, NULL, DW_GROUPNUMBER_ANY,
                            &file->debug, &failure) != DW_DLV_OK) {
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
    finish(file);
    free(file);
}

void mt_dwarf_file_tie(struct mt_dwarf_file *file, struct mt_dwarf_file *other)
{

    ok(file, dwarf_set_tied_dbg(file->debug, other->debug, &file->error));
}

static bool unsigned_attribute(struct mt_dwarf_file *file, Dwarf_Die die,
                               Dwarf_Half which, uint64_t *out)
{
    Dwarf_Attribute attribute = NULL;
    Dwarf_Unsigned value = 0;

    if (!ok(file, dwarf_attr(die, which, &attribute, &file->error)))
        return false;
    bool got = ok(file, dwarf_formudata(attribute, &value, &file->error));
    if (!got) {
        Dwarf_Signed number = 0;

        got = ok(file, dwarf_formsdata(attribute, &number, &file->error));
        value = (Dwarf_Unsigned)number;
    }
    dwarf_dealloc_attribute(attribute);
    *out = value;
    return got;
}

bool mt_dwarf_next_unit(struct mt_dwarf_file *file, struct mt_unit_header *out)
{
    Dwarf_Unsigned length = 0, type_offset = 0, next = 0;
    Dwarf_Off abbreviations = 0, offset = 0;
    Dwarf_Half version = 0, address_bytes = 0, offset_bytes = 0, extension = 0;
    Dwarf_Half unit_type = 0;
    Dwarf_Sig8 signature;
    Dwarf_Die die = NULL;

    memset(out, 0, sizeof(*out));
    memset(&signature, 0, sizeof(signature));
    if (!ok(file, dwarf_next_cu_header_d(
                      file->debug, 1, &length, &version, &abbreviations,
                      &address_bytes, &offset_bytes, &extension, &signature,
                      &type_offset, &next, &unit_type, &file->error)) ||
        !ok(file, dwarf_siblingof_b(file->debug, NULL, 1, &die, &file->error)))
        return false;
    if (ok(file, dwarf_dieoffset(die, &offset, &file->error)) &&
        next > file->next_header) {
        out->offset = file->next_header;
        out->end = next;
        out->die_offset = offset;
        out->has_code =
            unit_type != DW_UT_type && unit_type != DW_UT_split_type;
        if (unit_type == DW_UT_skeleton || unit_type == DW_UT_split_compile)
            memcpy(&out->dwo_id, &signature, sizeof(out->dwo_id));
        if (version < 5)
            unsigned_attribute(file, die, DW_AT_GNU_dwo_id, &out->dwo_id);
        file->next_header = next;
    }
    dwarf_dealloc_die(die);
    return out->end != 0;
}

struct mt_die *mt_die_at(struct mt_dwarf_file *file, uint64_t offset)
{
    Dwarf_Die die = NULL;

    if (!ok(file, dwarf_offdie_b(file->debug, offset, 1, &die, &file->error)))
        return NULL;
    return cooked(die);
}

struct mt_die *mt_die_child(struct mt_dwarf_file *file, struct mt_die *parent)
{
    Dwarf_Die die = NULL;

    if (!ok(file, dwarf_child(raw(parent), &die, &file->error)))
        return NULL;
    return cooked(die);
}

struct mt_die *mt_die_sibling(struct mt_dwarf_file *file, struct mt_die *before)
{
    Dwarf_Die die = NULL;

    if (!ok(file,
            dwarf_siblingof_b(file->debug, raw(before), 1, &die, &file->error)))
        return NULL;
    return cooked(die);
}

void mt_die_free(struct mt_die *die)
{
    if (die != NULL)
        dwarf_dealloc_die(raw(die));
}

uint64_t mt_die_offset(struct mt_die *die)
{
    Dwarf_Error error = NULL;
    Dwarf_Off offset = 0;

    /* Fails only for a DIE that is none. */
    if (dwarf_dieoffset(raw(die), &offset, &error) != DW_DLV_OK)
        return 0;
    return offset;
}

enum mt_die_kind mt_die_kind(struct mt_die *die)
{
    Dwarf_Error error = NULL;
    Dwarf_Half tag = 0;

    if (dwarf_tag(raw(die), &tag, &error) != DW_DLV_OK)
        return MT_DIE_OTHER;
    switch (tag) {
    case DW_TAG_compile_unit:
    case DW_TAG_skeleton_unit:
    case DW_TAG_type_unit:
        return MT_DIE_UNIT;
    case DW_TAG_partial_unit:
        return MT_DIE_PARTIAL;
    case DW_TAG_namespace:
    case DW_TAG_module:
        return MT_DIE_NAMESPACE;
    case DW_TAG_structure_type:
    case DW_TAG_class_type:
    case DW_TAG_union_type:
    case DW_TAG_interface_type:
    case DW_TAG_enumeration_type:
        return MT_DIE_TYPE;
    case DW_TAG_lexical_block:
    case DW_TAG_try_block:
    case DW_TAG_catch_block:
    case DW_TAG_with_stmt:
    case DW_TAG_common_block:
        return MT_DIE_BLOCK;
    case DW_TAG_subprogram:
    case DW_TAG_entry_point:
        return MT_DIE_FUNCTION;
    case DW_TAG_inlined_subroutine:
        return MT_DIE_INLINED;
    default:
        return MT_DIE_OTHER;
    }
}

static const char *text_attribute(struct mt_dwarf_file *file, Dwarf_Die die,
                                  Dwarf_Half which)
{
    char *text = NULL;

    if (!ok(file, dwarf_die_text(die, which, &text, &file->error)))
        return NULL;
    return text;
}

const char *mt_die_text(struct mt_dwarf_file *file, struct mt_die *die,
                        enum mt_die_text which)
{
    static const Dwarf_Half attributes[][2] = {
        [MT_DIE_NAME] = {DW_AT_name, 0},
        [MT_DIE_LINKAGE_NAME] = {DW_AT_linkage_name, DW_AT_MIPS_linkage_name},
        [MT_DIE_COMP_DIR] = {DW_AT_comp_dir, 0},
        [MT_DIE_DWO_NAME] = {DW_AT_dwo_name, DW_AT_GNU_dwo_name},
    };
    const char *text = text_attribute(file, raw(die), attributes[which][0]);

    if (text == NULL && attributes[which][1] != 0)
        text = text_attribute(file, raw(die), attributes[which][1]);
    return text;
}

static bool reference(struct mt_dwarf_file *file, Dwarf_Die die,
                      Dwarf_Half which, uint64_t *offset, bool *in_supplement)
{
    Dwarf_Attribute attribute = NULL;
    Dwarf_Half form = 0;
    Dwarf_Off value = 0;

    if (!ok(file, dwarf_attr(die, which, &attribute, &file->error)))
        return false;
    bool got = ok(file, dwarf_whatform(attribute, &form, &file->error));
    *in_supplement = form == DW_FORM_GNU_ref_alt || form == DW_FORM_ref_sup4 ||
                     form == DW_FORM_ref_sup8;
    if (form == DW_FORM_ref_sup4 || form == DW_FORM_ref_sup8) {
        /* No libdwarf reads these as references, some as constants. */
        Dwarf_Unsigned number = 0;

        got = ok(file, dwarf_formudata(attribute, &number, &file->error));
        value = number;
    } else {
        got = got &&
              ok(file, dwarf_global_formref(attribute, &value, &file->error));
    }
    dwarf_dealloc_attribute(attribute);
    *offset = value;
    return got;
}

bool mt_die_origin(struct mt_dwarf_file *file, struct mt_die *die,
                   uint64_t *offset, bool *in_supplement)
{
    return reference(file, raw(die), DW_AT_abstract_origin, offset,
                     in_supplement) ||
           reference(file, raw(die), DW_AT_specification, offset,
                     in_supplement);
}

void mt_die_call(struct mt_dwarf_file *file, struct mt_die *die,
                 uint32_t *call_file, uint32_t *call_line)
{
    uint64_t value;

    *call_file = unsigned_attribute(file, raw(die), DW_AT_call_file, &value)
                     ? (uint32_t)value
                     : UINT32_MAX;
    *call_line = unsigned_attribute(file, raw(die), DW_AT_call_line, &value)
                     ? (uint32_t)value
                     : 0;
}

bool mt_ranges_add(struct mt_ranges *ranges, uint64_t low, uint64_t high)
{
    /* Linkers leave 0, -1 or 1 for code that they dropped. */
    if (low >= high || low <= 1)
        return true;
    if (ranges->n == ranges->room) {
        size_t room = ranges->room == 0 ? 16 : ranges->room * 2;
        struct mt_range *more = realloc(ranges->at, room * sizeof(*more));

        if (more == NULL)
            return false;
        ranges->at = more;
        ranges->room = room;
    }
    ranges->at[ranges->n++] = (struct mt_range){low, high};
    return true;
}

bool mt_die_low(struct mt_dwarf_file *file, struct mt_die *die, uint64_t *low)
{
    Dwarf_Addr address = 0;

    if (!ok(file, dwarf_lowpc(raw(die), &address, &file->error)))
        return false;
    *low = address;
    return true;
}

/* A range list of DWARF 3 and 4. */
static bool add_range_list(struct mt_dwarf_file *file, Dwarf_Die die,
                           uint64_t offset, uint64_t base,
                           struct mt_ranges *out)
{
    Dwarf_Ranges *ranges = NULL;
    Dwarf_Signed n = 0;
    Dwarf_Unsigned bytes = 0;
    Dwarf_Off real = 0;
    bool fine = true;

    if (!ok(file, dwarf_get_ranges_b(file->debug, offset, die, &real, &ranges,
                                     &n, &bytes, &file->error)))
        return false;
    for (Dwarf_Signed i = 0; i < n && n <= MAX_RANGES && fine; i++) {
        if (ranges[i].dwr_type == DW_RANGES_END)
            break;
        if (ranges[i].dwr_type == DW_RANGES_ADDRESS_SELECTION)
            base = ranges[i].dwr_addr2;
        else
            fine = mt_ranges_add(out, base + ranges[i].dwr_addr1,
                                 base + ranges[i].dwr_addr2);
    }
    free_ranges(file, ranges, n);
    return fine;
}

/* A range list of DWARF 5. */
static bool add_rnglist(struct mt_dwarf_file *file, Dwarf_Attribute attribute,
                        Dwarf_Half form, uint64_t value, uint64_t base,
                        struct mt_ranges *out)
{
    Dwarf_Rnglists_Head head = NULL;
    Dwarf_Unsigned n = 0, where = 0;
    bool fine = true;

    if (!ok(file, dwarf_rnglists_get_rle_head(attribute, form, value, &head, &n,
                                              &where, &file->error)))
        return false;
    for (Dwarf_Unsigned i = 0; i < n && n <= MAX_RANGES && fine; i++) {
        unsigned bytes = 0, code = 0;
        Dwarf_Unsigned raw1 = 0, raw2 = 0, low = 0, high = 0;
        Dwarf_Bool unknown = 0;

        if (!ok(file, dwarf_get_rnglists_entry_fields_a(
                          head, i, &bytes, &code, &raw1, &raw2, &unknown, &low,
                          &high, &file->error)) ||
            code == DW_RLE_end_of_list)
            break;
        if (unknown)
            continue;
        if (code == DW_RLE_base_addressx || code == DW_RLE_base_address)
            base = low;
        else if (code == DW_RLE_offset_pair)
            fine = mt_ranges_add(out, base + raw1, base + raw2);
        else
            fine = mt_ranges_add(out, low, high);
    }
    dwarf_dealloc_rnglists_head(head);
    return fine;
}

static bool low_and_high(struct mt_dwarf_file *file, Dwarf_Die die,
                         struct mt_ranges *out)
{
    Dwarf_Addr low = 0, high = 0;
    Dwarf_Half form = 0;
    enum Dwarf_Form_Class class = DW_FORM_CLASS_UNKNOWN;

    if (!ok(file, dwarf_lowpc(die, &low, &file->error)) ||
        !ok(file, dwarf_highpc_b(die, &high, &form, &class, &file->error)))
        return false;
    if (class == DW_FORM_CLASS_CONSTANT)
        high += low;
    return mt_ranges_add(out, low, high);
}

bool mt_die_ranges(struct mt_dwarf_file *file, struct mt_die *die,
                   uint64_t base, struct mt_ranges *out)
{
    Dwarf_Attribute attribute = NULL;
    Dwarf_Half form = 0, version = 0, offset_bytes = 0;
    Dwarf_Off value = 0;
    size_t before = out->n;

    if (!ok(file, dwarf_attr(raw(die), DW_AT_ranges, &attribute, &file->error)))
        return low_and_high(file, raw(die), out) && out->n > before;
    bool got = ok(file, dwarf_whatform(attribute, &form, &file->error));
    /* An index is a number; 20210528 misreads it as a reference. */
    if (form == DW_FORM_rnglistx)
        got = ok(file, dwarf_formudata(attribute, &value, &file->error));
    else
        got = got &&
              ok(file, dwarf_global_formref(attribute, &value, &file->error));
    if (got && dwarf_get_version_of_die(raw(die), &version, &offset_bytes) ==
                   DW_DLV_OK) {
        if (version >= 5)
            add_rnglist(file, attribute, form, value, base, out);
        else
            add_range_list(file, raw(die), value, base, out);
    }
    dwarf_dealloc_attribute(attribute);
    return out->n > before;
}

static Dwarf_Line_Context line_context(struct mt_dwarf_file *file,
                                       struct mt_die *unit,
                                       Dwarf_Unsigned *version)
{
    Dwarf_Line_Context context = NULL;
    Dwarf_Small tables = 0;

    if (!ok(file, dwarf_srclines_b(raw(unit), version, &tables, &context,
                                   &file->error)))
        return NULL;
    return context;
}

bool mt_die_line_table(struct mt_dwarf_file *file, struct mt_die *unit,
                       uint64_t *offset)
{
    bool in_supplement;

    return reference(file, raw(unit), DW_AT_stmt_list, offset, &in_supplement);
}

bool mt_dwarf_line_file(struct mt_dwarf_file *file, struct mt_die *unit,
                        uint32_t index, const char **name,
                        const char **directory)
{
    Dwarf_Unsigned version = 0, number = 0, time = 0, bytes = 0;
    Dwarf_Form_Data16 *digest = NULL;
    Dwarf_Line_Context context = line_context(file, unit, &version);

    *name = *directory = NULL;
    if (context == NULL)
        return false;
    if (ok(file,
           dwarf_srclines_files_data_b(context, index, name, &number, &time,
                                       &bytes, &digest, &file->error)) &&
        (version >= 5 || number != 0))
        ok(file, dwarf_srclines_include_dir_data(context, (Dwarf_Signed)number,
                                                 directory, &file->error));
    dwarf_srclines_dealloc_b(context);
    return *name != NULL;
}
