/* SPDX-License-Identifier: BSD-2-Clause
 *
 * call_frames.c - finds the row of .eh_frame for an instruction.
 *
 * .eh_frame_hdr has a table of (code, FDE), sorted by code, which is searched
 * by halves; a linker that left the table out costs a walk of .eh_frame.  An
 * FDE names its CIE, and both have instructions that build the row
 * (call_frames_program.c).
 */
#include "coreanalyze/symbols/call_frames.h"
#include "coreanalyze/symbols/call_frames_program.h"
#include "coreanalyze/base/memory.h"

#include <stdlib.h>

#define MAX_RECORD ((uint64_t)1 << 20) /* bytes; a compiler's have hundreds */
#define MAX_RECORDS 1000000u           /* of a walk */
#define HEADER_BYTES 20u
#define TABLE_ENCODING 0x3b /* 4 bytes, relative to the header */
#define OMITTED 0xff

struct record {
    uint64_t address; /* of the id, after the length */
    uint64_t next;
    struct mt_byte_cursor body; /* after the id */
    uint64_t id;
};

void mt_frame_table_free(struct mt_frame_table *table)
{
    free(table->cie);
    free(table->fde);
    *table = (struct mt_frame_table){0};
}

static bool frame_record_read(struct mt_frame_table *table,
                              const struct mt_frame_bytes *bytes,
                              uint64_t address, uint8_t **buffer,
                              size_t *capacity, struct record *record)
{
    uint32_t short_length = 0;
    uint64_t length;

    if (!bytes->read(bytes->context, address, &short_length, 4))
        return false;
    address += 4;
    length = short_length;
    if (short_length == UINT32_MAX) {
        if (!bytes->read(bytes->context, address, &length, 8))
            return false;
        address += 8;
    }
    if (length < 4 || length > MAX_RECORD)
        return false;
    if (length > *capacity) {
        if (!mt_resize(buffer, (size_t)length, 1)) {
            table->no_memory = true;
            return false;
        }
        *capacity = (size_t)length;
    }
    if (!bytes->read(bytes->context, address, *buffer, (size_t)length))
        return false;
    record->address = address;
    record->next = address + length;
    record->body = (struct mt_byte_cursor){*buffer, *buffer + length, false};
    record->id = mt_take(&record->body, 4);
    return true;
}

/* A pointer as DW_EH_PE_* encodes it; `here` is the address of its bytes. */
static uint64_t frame_pointer_read(struct mt_byte_cursor *c, uint8_t encoding,
                                   uint64_t here, uint64_t header)
{
    uint64_t value;

    switch (encoding & 0x0f) {
    case 0x00:
    case 0x04:
    case 0x0c:
        value = mt_take(c, 8);
        break;
    case 0x01:
    case 0x09:
        value = mt_take_leb(c, encoding & 8);
        break;
    case 0x02:
    case 0x03:
        value = mt_take(c, (encoding & 1) ? 4 : 2);
        break;
    case 0x0a:
    case 0x0b:
        value = (uint64_t)mt_take_signed(c, (encoding & 1) ? 4 : 2);
        break;
    default:
        c->bad = true;
        return 0;
    }
    switch (encoding & 0xf0) {
    case 0x00:
        return value;
    case 0x10:
        return value + here;
    case 0x30:
        return value + header;
    default:
        c->bad = true;
        return 0;
    }
}

static bool cie_read_augmentation(struct mt_byte_cursor *c, const char *letters,
                                  struct mt_frame_cie *cie)
{
    const uint8_t *end;
    uint64_t bytes;

    if (letters[0] == '\0')
        return true;
    if (letters[0] != 'z')
        return false;
    cie->augmented = true;
    bytes = mt_take_leb(c, false);
    if (!mt_take_room(c, bytes))
        return false;
    end = c->at + bytes;
    for (letters++; *letters; letters++) {
        if (*letters == 'R') {
            cie->pointer_encoding = (uint8_t)mt_take(c, 1);
        } else if (*letters == 'P') {
            uint8_t encoding = (uint8_t)mt_take(c, 1);
            frame_pointer_read(c, encoding & 0x0f, 0, 0);
        } else if (*letters == 'L') {
            mt_take_skip(c, 1);
        } else if (*letters == 'S') {
            cie->signal_frame = true;
        } else if (*letters != 'B') {
            break; /* unknown: the length says where the data ends */
        }
    }
    if (c->bad || c->at > end)
        return false;
    c->at = end;
    return true;
}

static bool frame_cie_read(struct mt_frame_table *table,
                           const struct mt_frame_bytes *bytes, uint64_t address,
                           struct mt_frame_cie *cie)
{
    struct mt_byte_cursor *c;
    struct record record;
    const char *letters;
    uint64_t version, column;

    if (!frame_record_read(table, bytes, address, &table->cie,
                           &table->cie_capacity, &record) ||
        record.id != 0)
        return false;
    c = &record.body;
    *cie = (struct mt_frame_cie){0};
    version = mt_take(c, 1);
    letters = (const char *)c->at;
    if (!memchr(letters, 0, (size_t)(c->end - c->at)))
        return false;
    c->at += strlen(letters) + 1;
    if (version == 4)
        mt_take_skip(c, 2); /* sizes of addresses and of segments */
    else if (version != 1 && version != 3)
        return false;
    cie->code_align = mt_take_leb(c, false);
    cie->data_align = (int64_t)mt_take_leb(c, true);
    column = version == 1 ? mt_take(c, 1) : mt_take_leb(c, false);
    if (c->bad || column != MT_COLUMN_RIP ||
        !cie_read_augmentation(c, letters, cie))
        return false;
    cie->program = *c;
    return true;
}

enum fde_answer { FDE_BAD, FDE_OTHER, FDE_FOUND };

static enum fde_answer frame_fde_use(struct mt_frame_table *table,
                                     const struct mt_frame_bytes *bytes,
                                     uint64_t header,
                                     const struct record *record,
                                     uint64_t address, struct mt_frame_row *row)
{
    struct mt_byte_cursor c = record->body;
    struct mt_frame_cie cie;
    uint64_t here, begin, size;

    if (record->id == 0 ||
        !frame_cie_read(table, bytes, record->address - record->id, &cie))
        return FDE_BAD;
    here = record->address + 4;
    begin = frame_pointer_read(&c, cie.pointer_encoding, here, header);
    size = frame_pointer_read(&c, cie.pointer_encoding & 0x0f, 0, 0);
    if (cie.augmented)
        mt_take_skip(&c, mt_take_leb(&c, false));
    if (c.bad)
        return FDE_BAD;
    if (address - begin >= size)
        return FDE_OTHER;
    row->signal_frame = cie.signal_frame;
    return mt_frame_program(&cie, &c, address - begin, row) ? FDE_FOUND
                                                            : FDE_BAD;
}

static bool frame_section_walk(struct mt_frame_table *table,
                               const struct mt_frame_bytes *bytes,
                               uint64_t header, uint64_t section,
                               uint64_t address, struct mt_frame_row *row)
{
    struct record record;

    for (unsigned i = 0; i < MAX_RECORDS; i++, section = record.next) {
        if (!frame_record_read(table, bytes, section, &table->fde,
                               &table->fde_capacity, &record))
            return false;
        if (record.id != 0 && frame_fde_use(table, bytes, header, &record,
                                            address, row) == FDE_FOUND)
            return true;
    }
    return false;
}

/* The address of the FDE whose code begins last before `address`; 0 if there
 * is none. */
static uint64_t frame_table_search(const struct mt_frame_bytes *bytes,
                                   uint64_t header, uint64_t entries,
                                   uint64_t n, uint64_t address)
{
    int64_t wanted = (int64_t)(address - header);
    uint64_t low = 0, high = n;
    int32_t pair[2];

    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (!bytes->read(bytes->context, entries + middle * sizeof pair, pair,
                         sizeof pair))
            return 0;
        if (pair[0] <= wanted)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0 ||
        !bytes->read(bytes->context, entries + (low - 1) * sizeof pair, pair,
                     sizeof pair))
        return 0;
    return header + (uint64_t)(int64_t)pair[1];
}

bool mt_frame_row_find(struct mt_frame_table *table,
                       const struct mt_frame_bytes *bytes, uint64_t header,
                       uint64_t address, struct mt_frame_row *row)
{
    uint8_t head[HEADER_BYTES] = {0};
    struct mt_byte_cursor c = {head, head + sizeof head, false};
    uint64_t section, n, fde;
    struct record record;

    /* Most linkers make two fields of 4 bytes; they can be of 8. */
    if ((!bytes->read(bytes->context, header, head, sizeof head) &&
         !bytes->read(bytes->context, header, head, 12)) ||
        head[0] != 1)
        return false;
    c.at += 4;
    section = frame_pointer_read(&c, head[1], header + 4, header);
    if (head[2] == OMITTED || head[3] != TABLE_ENCODING)
        return !c.bad &&
               frame_section_walk(table, bytes, header, section, address, row);
    n = frame_pointer_read(&c, head[2], header + (uint64_t)(c.at - head),
                           header);
    if (c.bad || n > UINT32_MAX)
        return false;
    fde = frame_table_search(bytes, header, header + (uint64_t)(c.at - head), n,
                             address);
    return fde &&
           frame_record_read(table, bytes, fde, &table->fde,
                             &table->fde_capacity, &record) &&
           frame_fde_use(table, bytes, header, &record, address, row) ==
               FDE_FOUND;
}
