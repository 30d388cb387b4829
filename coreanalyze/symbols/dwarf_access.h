/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef MT_DWARF_ACCESS_H
#define MT_DWARF_ACCESS_H

/*
 * dwarf_access.h: how libdwarf reads sections, and all that differs between
 * the interfaces of its releases: 20210528, and 0.4 to 2.  Part of
 * dwarf_read.c, which includes it after libdwarf.h.
 */
#define MAX_SECTIONS 32

#ifndef HAVE_DWARF_OBJ_ACCESS_INTERFACE_A
typedef Dwarf_Obj_Access_Interface access_interface;
typedef Dwarf_Obj_Access_Section section_info;
typedef Dwarf_Half section_index;
typedef Dwarf_Endianness endianness;
#define LITTLE DW_OBJECT_LSB
#define INFO(field) field
#else
typedef Dwarf_Obj_Access_Interface_a access_interface;
typedef Dwarf_Obj_Access_Section_a section_info;
/* 16 bits, then 64 in later releases. */
typedef __typeof__(_Generic(
    ((Dwarf_Obj_Access_Methods_a *)NULL)->om_load_section,
    int (*)(void *, Dwarf_Half, Dwarf_Small **, int *)
    : (Dwarf_Half)0, default
    : (Dwarf_Unsigned)0)) section_index;
typedef Dwarf_Small endianness;
#define LITTLE DW_END_little
#define INFO(field) as_##field
#endif

struct mt_dwarf_file {
    Dwarf_Debug debug;
    Dwarf_Error error; /* of the last call, until ok() */
    struct mt_elf *elf;
    struct mt_dwarf_file *supplement; /* or NULL */
    uint64_t next_header;             /* where the next unit's header starts */
    /* The sections for libdwarf: section 0 is ELF's empty one. */
    struct section {
        const char *name;
        const struct mt_elf_section *from;
        size_t bytes;
    } sections[MAX_SECTIONS];
    unsigned n_sections, n_shown; /* libdwarf sees the first ones alone */
    access_interface access;
};

/* Sections of functions, names, code and lines.  libdwarf sees the first ones
 * alone: what it does not need it cannot trip over. */
#define N_SHOWN 9
static const char *const wanted[] = {
    ".debug_info",         ".debug_abbrev",
    ".debug_str",          ".debug_line_str",
    ".debug_info.dwo",     ".debug_abbrev.dwo",
    ".debug_str.dwo",      ".debug_cu_index",
    ".debug_addr", /* or a unit that starts at an index is an error */
    ".debug_line",         ".debug_ranges",
    ".debug_rnglists",     ".debug_str_offsets",
    ".debug_rnglists.dwo", ".debug_str_offsets.dwo",
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

/* A section is inflated when it is first read: most questions need few. */
static struct mt_bytes section_load(struct mt_dwarf_file *file, unsigned index)
{
    struct mt_bytes bytes = {NULL, 0};

    if (!mt_elf_section_data(file->elf, file->sections[index].from, &bytes.data,
                             &bytes.bytes))
        bytes.bytes = 0;
    return bytes;
}

/* A file may have skeletons and split units (clang's -gsplit-dwarf=single). */
static bool collect_sections(struct mt_dwarf_file *file, bool split)
{
    bool info = false, abbrev = false;

    split = split && find_section(file->elf, ".debug_info.dwo") &&
            find_section(file->elf, ".debug_info");
    file->sections[0].name = "";
    file->n_sections = 1;
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        const struct mt_elf_section *from = find_section(file->elf, wanted[i]);
        struct section *to = &file->sections[file->n_sections];

        if (from == NULL || (split && !strstr(wanted[i], ".dwo")))
            continue;
        to->bytes = mt_elf_section_bytes(file->elf, from);
        /* 20210528 takes 8 from the size of .debug_addr unseen. */
        if (to->bytes < 8)
            continue;
        to->name = wanted[i];
        to->from = from;
        file->n_sections++;
        if (i < N_SHOWN)
            file->n_shown = file->n_sections;
        bool is_info = strncmp(to->name, ".debug_info", 11) == 0;
        bool is_abbrev = strncmp(to->name, ".debug_abbrev", 13) == 0;
        if ((is_info || is_abbrev) &&
            section_load(file, file->n_sections - 1).bytes != 0) {
            info = info || is_info;
            abbrev = abbrev || is_abbrev;
        }
    }
    return info && abbrev;
}

static int get_section(void *object, section_index index, section_info *out,
                       int *error)
{
    const struct mt_dwarf_file *file = object;

    (void)error;
    if (index >= file->n_shown)
        return DW_DLV_NO_ENTRY;
    memset(out, 0, sizeof(*out));
    out->INFO(name) = file->sections[index].name;
    out->INFO(type) = index == 0 ? 0 : 1; /* SHT_NULL, SHT_PROGBITS */
    out->INFO(size) = file->sections[index].bytes;
    return DW_DLV_OK;
}

static int load_section(void *object, section_index index, Dwarf_Small **data,
                        int *error)
{
    struct mt_dwarf_file *file = object;

    (void)error;
    if (index == 0 || index >= file->n_shown)
        return DW_DLV_NO_ENTRY;
    struct mt_bytes bytes = section_load(file, (unsigned)index);
    if (bytes.bytes == 0)
        return DW_DLV_NO_ENTRY;
    /* libdwarf only reads from it. */
    *data = (Dwarf_Small *)(uintptr_t)bytes.data;
    return DW_DLV_OK;
}

static endianness get_endianness(void *object)
{
    (void)object;
    return LITTLE;
}

static Dwarf_Small get_eight(void *object)
{
    (void)object;
    return 8;
}

static Dwarf_Unsigned get_section_count(void *object)
{
    return ((struct mt_dwarf_file *)object)->n_shown;
}

#ifndef HAVE_DWARF_OBJ_ACCESS_INTERFACE_A
static const Dwarf_Obj_Access_Methods methods = {
    .get_section_info = get_section,
    .get_byte_order = get_endianness,
    .get_length_size = get_eight,
    .get_pointer_size = get_eight,
    .get_section_count = get_section_count,
    .load_section = load_section,
};

static void dwarf_access_finish(struct mt_dwarf_file *file)
{

    file->access.object = NULL;
    dwarf_object_finish(file->debug, &file->error);
}

static void set_access(struct mt_dwarf_file *file)
{
    file->access.object = file;
    file->access.methods = &methods;
}
#else
static Dwarf_Unsigned get_file_bytes(void *object)
{
    return ((struct mt_dwarf_file *)object)->elf->bytes;
}

static const Dwarf_Obj_Access_Methods_a methods = {
    .om_get_section_info = get_section,
    .om_get_byte_order = get_endianness,
    .om_get_length_size = get_eight,
    .om_get_pointer_size = get_eight,
    .om_get_filesize = get_file_bytes,
    .om_get_section_count = get_section_count,
    .om_load_section = load_section,
};

static void dwarf_access_finish(struct mt_dwarf_file *file)
{
    dwarf_object_finish(file->debug);
}

static void set_access(struct mt_dwarf_file *file)
{
    file->access.ai_object = file;
    file->access.ai_methods = &methods;
}
#endif

#endif
