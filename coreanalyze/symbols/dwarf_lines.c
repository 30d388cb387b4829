/* SPDX-License-Identifier: BSD-2-Clause
 *
 * dwarf_lines.c - the line programs of DWARF 2 to 5, and the names of files in
 * their headers, as their section 6.2 defines them.
 */
#include "config.h"
#include "coreanalyze/symbols/dwarf_unit.h"
#include "coreanalyze/base/memory.h"
#include "coreanalyze/base/search.h"
#include "coreanalyze/symbols/dwarf_forms.h"

#include <stdlib.h>
#include <string.h>

enum {
    LNS_COPY = 1,
    LNS_ADVANCE_PC,
    LNS_ADVANCE_LINE,
    LNS_SET_FILE,
    LNS_CONST_ADD_PC = 8,
    LNS_FIXED_ADVANCE_PC
};
enum { LNE_END_SEQUENCE = 1, LNE_SET_ADDRESS };
enum { LNCT_PATH = 1, LNCT_DIRECTORY };
#define MAX_FILES 65536 /* and directories, of one unit */
#define MAX_FIELDS 16   /* of an entry; DWARF 5 defines five */

struct program {
    const uint8_t *at, *end;
    bool broken;
    uint8_t instruction_bytes; /* unit of advances */
    int8_t line_base;
    uint8_t line_range, opcode_base;
    const uint8_t *operands; /* of standard opcodes, from 1 */
    const uint8_t *code;
    unsigned version, offset_bytes;
    struct mt_line_table *table;
    size_t sequence; /* its first row */
};

static uint64_t lines_take(struct program *program, size_t bytes)
{
    uint64_t value = 0;

    if ((size_t)(program->end - program->at) < bytes) {
        program->broken = true;
        program->at = program->end;
        return 0;
    }
    memcpy(&value, program->at, bytes); /* both are little-endian */
    program->at += bytes;
    return value;
}

static uint64_t lines_take_leb(struct program *program, bool is_signed)
{
    uint64_t value = 0;
    unsigned shift = 0;
    uint8_t byte;

    do {
        byte = (uint8_t)lines_take(program, 1);
        if (shift < 64)
            value |= (uint64_t)(byte & 0x7f) << shift;
        shift += 7;
    } while ((byte & 0x80) != 0 && !program->broken);
    if (is_signed && shift < 64 && (byte & 0x40) != 0)
        value |= -((uint64_t)1 << shift);
    return value;
}

/* The header, up to the names of files. */
static bool lines_read_header(struct program *program)
{
    unsigned offset_bytes = 4;
    uint64_t length = lines_take(program, 4);

    if (length == 0xffffffffu) {
        offset_bytes = 8;
        length = lines_take(program, 8);
    }
    if (program->broken || length > (uint64_t)(program->end - program->at))
        return false;
    program->end = program->at + length;
    unsigned version = (unsigned)lines_take(program, 2);
    if (version < 2 || version > 5)
        return false;
    if (version >= 5 &&
        (lines_take(program, 1) != 8 || lines_take(program, 1) != 0))
        return false; /* sizes of addresses, segments */
    program->version = version;
    program->offset_bytes = offset_bytes;
    length = lines_take(program, offset_bytes);
    if (program->broken || length > (uint64_t)(program->end - program->at))
        return false;
    const uint8_t *code = program->at + length;
    program->instruction_bytes = (uint8_t)lines_take(program, 1);
    if (version >= 4)
        lines_take(program, 1); /* operations per instruction: for VLIW */
    lines_take(program, 1);     /* whether rows start statements */
    program->line_base = (int8_t)lines_take(program, 1);
    program->line_range = (uint8_t)lines_take(program, 1);
    program->opcode_base = (uint8_t)lines_take(program, 1);
    program->operands = program->at - 1;
    if (program->opcode_base == 0 || program->line_range == 0 ||
        code - program->at < program->opcode_base - 1)
        return false;
    program->code = code;
    return !program->broken;
}

static bool add_row(struct program *program, const struct mt_line_row *row)
{
    struct mt_line_table *table = program->table;

    if (table->n_rows >= UINT32_MAX)
        return false;
    if (!mt_grow(&table->rows, &table->rows_room, table->n_rows + 1,
                 sizeof *table->rows)) {
        table->no_memory = true;
        return false;
    }
    table->rows[table->n_rows++] = *row;
    return true;
}

static int compare_rows(const void *a, const void *b)
{
    const struct mt_line_row *one = a, *other = b;

    if (one->address != other->address)
        return one->address < other->address ? -1 : 1;
    return one->end - other->end;
}

static bool finish_sequence(struct program *program)
{
    struct mt_line_table *table = program->table;
    size_t first = program->sequence, n = table->n_rows - first;
    struct mt_line_row *rows = table->rows + first;

    program->sequence = table->n_rows;
    /* Rows must not go back; if they do, their order is lost. */
    for (size_t i = 1; i < n; i++)
        if (rows[i].address < rows[i - 1].address) {
            qsort(rows, n, sizeof(*rows), compare_rows);
            break;
        }
    /* Low ones are of code that the linker dropped. */
    if (rows[0].address <= 1 || !rows[n - 1].end)
        return true;
    table->no_memory |=
        !mt_intervals_add(&table->sequences, rows[0].address,
                          rows[n - 1].address, first | (uint64_t)n << 32);
    return !table->no_memory;
}

static void start_sequence(struct mt_line_row *row)
{
    *row = (struct mt_line_row){.file = 1, .line = 1};
}

static bool lines_extended(struct program *program, struct mt_line_row *row)
{
    uint64_t bytes = lines_take_leb(program, false);

    if (bytes == 0 || bytes > (uint64_t)(program->end - program->at)) {
        program->broken = true;
        return true;
    }
    const uint8_t *next = program->at + bytes;
    unsigned opcode = (unsigned)lines_take(program, 1);

    if (opcode == LNE_SET_ADDRESS && bytes == 9) {
        row->address = lines_take(program, 8);
    } else if (opcode == LNE_END_SEQUENCE) {
        row->end = true;
        if (!add_row(program, row) || !finish_sequence(program))
            return false;
        start_sequence(row);
    }
    program->at = next;
    return true;
}

static bool lines_standard(struct program *program, unsigned opcode,
                           struct mt_line_row *row)
{
    switch (opcode) {
    case LNS_COPY:
        return add_row(program, row);
    case LNS_ADVANCE_PC:
        row->address +=
            lines_take_leb(program, false) * program->instruction_bytes;
        break;
    case LNS_ADVANCE_LINE:
        row->line += (uint32_t)lines_take_leb(program, true);
        break;
    case LNS_SET_FILE:
        row->file = (uint32_t)lines_take_leb(program, false) & INT32_MAX;
        break;
    case LNS_CONST_ADD_PC:
        row->address +=
            (uint64_t)((255 - program->opcode_base) / program->line_range) *
            program->instruction_bytes;
        break;
    case LNS_FIXED_ADVANCE_PC:
        row->address += lines_take(program, 2);
        break;
    default: /* of no interest, or unknown: its operands are skipped */
        for (unsigned i = program->operands[opcode]; i > 0; i--)
            lines_take_leb(program, false);
    }
    return true;
}

static bool lines_special(struct program *program, unsigned opcode,
                          struct mt_line_row *row)
{
    unsigned adjusted = opcode - program->opcode_base;

    row->address +=
        (uint64_t)(adjusted / program->line_range) * program->instruction_bytes;
    row->line +=
        (uint32_t)(program->line_base + (int)(adjusted % program->line_range));
    return add_row(program, row);
}

bool mt_lines_read(const uint8_t *section, size_t bytes, uint64_t offset,
                   struct mt_line_table *table)
{
    struct program program = {.table = table};
    struct mt_line_row row;
    bool memory = true;

    if (offset >= bytes)
        return false;
    program.at = section + offset;
    program.end = section + bytes;
    if (!lines_read_header(&program))
        return false;
    program.at = program.code;
    start_sequence(&row);
    while (memory && !program.broken && program.at < program.end) {
        unsigned opcode = (unsigned)lines_take(&program, 1);

        if (opcode >= program.opcode_base)
            memory = lines_special(&program, opcode, &row);
        else if (opcode != 0)
            memory = lines_standard(&program, opcode, &row);
        else
            memory = lines_extended(&program, &row);
    }
    mt_intervals_sort(&table->sequences);
    /* Large programs have thousands of tables.  What cannot be cut stays. */
    if (table->n_rows > 0 &&
        mt_resize(&table->rows, table->n_rows, sizeof *table->rows))
        table->rows_room = table->n_rows;
    return memory;
}

void mt_lines_free(struct mt_line_table *table)
{
    free(table->rows);
    mt_intervals_free(&table->sequences);
    *table = (struct mt_line_table){0};
}

/* The bytes up to a 0, which is left out. */
static size_t lines_take_text(struct program *program)
{
    const uint8_t *from = program->at;
    const uint8_t *end = memchr(from, 0, (size_t)(program->end - from));

    if (end == NULL) {
        program->broken = true;
        program->at = program->end;
        return 0;
    }
    program->at = end + 1;
    return (size_t)(end - from);
}

static bool add_directory(struct mt_line_files *files, struct mt_line_text text)
{
    if (files->n_directories >= MAX_FILES)
        return false;
    if (!mt_grow(&files->directories, &files->directories_room,
                 files->n_directories + 1, sizeof *files->directories)) {
        files->no_memory = true;
        return false;
    }
    files->directories[files->n_directories++] = text;
    return true;
}

static bool add_file(struct mt_line_files *files, struct mt_line_text name,
                     uint64_t directory)
{
    if (files->n >= MAX_FILES)
        return false;
    if (!mt_grow(&files->at, &files->room, files->n + 1, sizeof *files->at)) {
        files->no_memory = true;
        return false;
    }
    files->at[files->n++] = (struct mt_line_file){
        .name = name,
        .directory = directory < MAX_FILES ? (uint32_t)directory : MAX_FILES};
    return true;
}

/* DWARF 2 to 4: both tables are numbered from 1, and 0 is the directory of the
 * compilation. */
static bool lines_old_files(struct program *program, const uint8_t *section,
                            struct mt_line_files *out)
{
    struct mt_line_text none = {0, MT_LINE_NONE};

    if (!add_directory(out, none) || !add_file(out, none, 0))
        return false;
    for (;;) {
        struct mt_line_text text = {(uint64_t)(program->at - section),
                                    MT_LINE_SECTION};

        if (lines_take_text(program) == 0)
            break;
        if (!add_directory(out, text))
            return false;
    }
    while (!program->broken) {
        struct mt_line_text text = {(uint64_t)(program->at - section),
                                    MT_LINE_SECTION};

        if (lines_take_text(program) == 0)
            break;
        uint64_t directory = lines_take_leb(program, false);
        lines_take_leb(program, false); /* time */
        lines_take_leb(program, false); /* bytes */
        if (!add_file(out, text, directory))
            return false;
    }
    return true;
}

/* One field of an entry: a number, or a text. */
static uint64_t lines_take_field(struct program *program, uint64_t form,
                                 const uint8_t *section,
                                 struct mt_line_text *text)
{
    uint64_t bytes;

    switch (form) {
    case MT_FORM_STRING:
        *text = (struct mt_line_text){(uint64_t)(program->at - section),
                                      MT_LINE_SECTION};
        lines_take_text(program);
        return 0;
    case MT_FORM_STRP:
    case MT_FORM_LINE_STRP:
        *text = (struct mt_line_text){
            lines_take(program, program->offset_bytes),
            form == MT_FORM_STRP ? MT_LINE_STRP : MT_LINE_LINE_STRP};
        return 0;
    case MT_FORM_UDATA:
        return lines_take_leb(program, false);
    case MT_FORM_DATA1:
        return lines_take(program, 1);
    case MT_FORM_DATA2:
        return lines_take(program, 2);
    case MT_FORM_DATA4:
        return lines_take(program, 4);
    case MT_FORM_DATA8:
        return lines_take(program, 8);
    case MT_FORM_DATA16:
        bytes = 16;
        break;
    case MT_FORM_BLOCK:
        bytes = lines_take_leb(program, false);
        break;
    case MT_FORM_BLOCK1:
        bytes = lines_take(program, 1);
        break;
    case MT_FORM_BLOCK2:
        bytes = lines_take(program, 2);
        break;
    case MT_FORM_BLOCK4:
        bytes = lines_take(program, 4);
        break;
    default: /* its length is not known */
        program->broken = true;
        return 0;
    }
    if (bytes > (uint64_t)(program->end - program->at))
        program->broken = true;
    else
        program->at += bytes;
    return 0;
}

/* A table of DWARF 5: of directories if not IS_FILES.  Every form takes at
 * least a byte, so that the section's end bounds the table. */
static bool lines_new_table(struct program *program, const uint8_t *section,
                            bool is_files, struct mt_line_files *out)
{
    uint64_t kinds[MAX_FIELDS], forms[MAX_FIELDS];
    unsigned n = (unsigned)lines_take(program, 1);

    if (n > MAX_FIELDS)
        return false;
    for (unsigned i = 0; i < n; i++) {
        kinds[i] = lines_take_leb(program, false);
        forms[i] = lines_take_leb(program, false);
    }
    uint64_t count = lines_take_leb(program, false);
    for (uint64_t i = 0; n > 0 && i < count; i++) {
        struct mt_line_text name = {0, MT_LINE_NONE};
        uint64_t directory = 0;

        for (unsigned j = 0; j < n; j++) {
            struct mt_line_text text = {0, MT_LINE_NONE};
            uint64_t number =
                lines_take_field(program, forms[j], section, &text);

            if (kinds[j] == LNCT_PATH)
                name = text;
            else if (kinds[j] == LNCT_DIRECTORY)
                directory = number;
        }
        if (program->broken)
            return false;
        if (is_files ? !add_file(out, name, directory)
                     : !add_directory(out, name))
            return false;
    }
    return true;
}

void mt_lines_files(const struct mt_line_sections *sections, uint64_t offset,
                    struct mt_line_files *out)
{
    struct mt_bytes lines = sections->at[MT_LINE_SECTION];
    struct program program = {.at = lines.data};

    if (offset >= lines.bytes)
        return;
    program.at = lines.data + offset;
    program.end = lines.data + lines.bytes;
    if (!lines_read_header(&program))
        return;
    program.at = program.operands + program.opcode_base;
    program.end = program.code;
    if (program.version < 5)
        lines_old_files(&program, lines.data, out);
    else if (lines_new_table(&program, lines.data, false, out))
        lines_new_table(&program, lines.data, true, out);
}

static const char *line_text(const struct mt_line_sections *sections,
                             struct mt_line_text text)
{
    return text.in == MT_LINE_NONE
               ? NULL
               : mt_string_at(sections->at[text.in], text.offset);
}

bool mt_lines_file(const struct mt_line_sections *sections,
                   const struct mt_line_files *files, uint32_t index,
                   const char **name, const char **directory)
{
    *name = *directory = NULL;
    if (index >= files->n)
        return false;
    const struct mt_line_file *file = &files->at[index];
    *name = line_text(sections, file->name);
    if (file->directory < files->n_directories)
        *directory = line_text(sections, files->directories[file->directory]);
    return *name != NULL;
}

void mt_lines_files_free(struct mt_line_files *files)
{
    free(files->directories);
    free(files->at);
    *files = (struct mt_line_files){0};
}

size_t mt_lines_files_bytes(const struct mt_line_files *files)
{
    return files->directories_room * sizeof *files->directories +
           files->room * sizeof *files->at;
}

const struct mt_line_row *mt_lines_find(const struct mt_line_table *table,
                                        uint64_t pc)
{
    const struct mt_interval *span =
        mt_intervals_find(&table->sequences, pc, NULL);

    if (span == NULL)
        return NULL;
    size_t first = (uint32_t)span->value;
    size_t last = (size_t)(span->value >> 32) - 1;
    const struct mt_line_row *rows = table->rows + first;
    size_t n = mt_count_up_to(rows, last, address, pc);

    if (n == 0)
        return NULL;
    /* Several rows at one address: the last one is of the innermost inlined
     * function. (GDB prefers one that starts a statement.) */
    return &rows[n - 1];
}
