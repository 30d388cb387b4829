/* SPDX-License-Identifier: BSD-2-Clause
 *
 * cfi.c - from an address to its row of call frame information.
 *
 * An object's .eh_frame_hdr has a sorted table of (code, FDE) pairs, which
 * is searched by halves; where the linker left the table out, .eh_frame is
 * walked. An FDE names its CIE; both have instructions (cfi_program.c).
 */
#include "heap/attributes.h"
#include "heap/capture/cfi.h"

#define HDR_TABLE_ENCODING 0x3b /* datarel | sdata4: all linkers write it */

/* A record of .eh_frame without its length. */
struct record {
    struct mt_cursor body; /* from the CIE id or pointer on */
    const uint8_t *id_at;  /* where that is */
    const uint8_t *next;
    uint64_t id;
};

/* False at the end of the section. */
static bool read_record(const uint8_t *at, const uint8_t *limit,
                        struct record *record)
{
    struct mt_cursor c = {at, limit, false};
    uint64_t bytes = mt_read_unsigned(&c, 4);
    if (bytes == 0xffffffff)
        bytes = mt_read_unsigned(&c, 8);
    if (bytes < 4 || !mt_cursor_room(&c, bytes))
        return false;
    record->id_at = c.at;
    record->next = c.at + bytes;
    c.end = record->next;
    record->id = mt_read_unsigned(&c, 4); /* 4 bytes in .eh_frame, always */
    record->body = c;
    return !c.bad;
}

static bool read_cie_augmentation(struct mt_cursor *c, const char *letters,
                                  struct mt_cfi_cie *cie)
{
    if (letters[0] == 0)
        return true;
    if (letters[0] != 'z')
        return false;
    cie->augmented = true;
    uint64_t bytes = mt_read_uleb(c);
    if (!mt_cursor_room(c, bytes))
        return false;
    const uint8_t *data_end = c->at + bytes;
    for (const char *letter = letters + 1; *letter; letter++) {
        if (*letter == 'R') {
            cie->pointer_encoding = mt_read_u8(c);
        } else if (*letter == 'P') {
            uint8_t encoding = mt_read_u8(c) & 0x7f;
            mt_cfi_pointer(c, encoding, 0);
        } else if (*letter == 'L') {
            mt_read_u8(c);
        } else if (*letter == 'S') {
            cie->signal_frame = true;
        } else if (*letter != 'B') {
            break; /* unknown: the length skips what is left */
        }
    }
    if (c->bad || c->at > data_end)
        return false;
    c->at = data_end;
    return true;
}

static MT_NOINLINE bool read_cie(const uint8_t *at, const uint8_t *limit,
                                 struct mt_cfi_cie *cie)
{
    struct record record;
    if (!read_record(at, limit, &record) || record.id != 0)
        return false;
    struct mt_cursor *c = &record.body;
    *cie = (struct mt_cfi_cie){.program_end = record.next};
    uint8_t version = mt_read_u8(c);
    const char *letters = (const char *)c->at;
    while (mt_cursor_room(c, 1) && *c->at)
        c->at++;
    mt_read_u8(c);
    if (version == 4) {
        if (mt_read_u8(c) != 8 || mt_read_u8(c) != 0)
            return false; /* address and segment sizes */
    } else if (version != 1 && version != 3) {
        return false;
    }
    cie->code_align = mt_read_uleb(c);
    cie->data_align = mt_read_sleb(c);
    cie->return_column = version == 1 ? mt_read_u8(c) : mt_read_uleb(c);
    if (c->bad || !read_cie_augmentation(c, letters, cie))
        return false;
    cie->program = c->at;
    return !c->bad && cie->return_column == MT_REG_RIP;
}

/* The end of what can be read from `at` on; `at` itself: nothing. */
static const uint8_t *readable_to(const struct mt_object *object,
                                  const uint8_t *at)
{
    uint64_t end = mt_object_readable_to(object, (uint64_t)(uintptr_t)at);
    return end ? (const uint8_t *)(uintptr_t)end : at;
}

/* Sets [work->program, work->end) to the FDE's record after its pointer to the
 * CIE, which is returned; or NULL. */
static MT_NOINLINE const uint8_t *find_cie(const uint8_t *at,
                                           struct mt_cfi_work *work)
{
    struct record record;
    if (!read_record(at, readable_to(&work->object, at), &record) ||
        record.id == 0)
        return NULL;
    work->program = record.body.at;
    work->end = record.next;
    return record.id_at - record.id;
}

/* MT_CFI_NONE if the FDE at `at` isn't about `address`. Its steps follow each
 * other on the stack, which may have a few KiB. */
static MT_NOINLINE enum mt_cfi_status
read_fde(const uint8_t *at, uint64_t address, struct mt_cfi_work *work)
{
    const struct mt_object *object = &work->object;
    uint64_t data_base = (uint64_t)(uintptr_t)object->eh_frame_hdr;
    const uint8_t *cie = find_cie(at, work);
    if (!cie || !read_cie(cie, readable_to(object, cie), &work->cie))
        return MT_CFI_UNSUPPORTED;
    struct mt_cursor c = {work->program, work->end, false};
    uint8_t encoding = work->cie.pointer_encoding;
    work->begin = mt_cfi_pointer(&c, encoding, data_base);
    uint64_t size = mt_cfi_pointer(&c, encoding & 0x0f, 0);
    if (work->cie.augmented)
        mt_read_skip(&c, mt_read_uleb(&c));
    if (c.bad)
        return MT_CFI_UNSUPPORTED;
    work->program = c.at;
    return address - work->begin < size ? MT_CFI_OK : MT_CFI_NONE;
}

/* The FDE for `address` at `at` or after it, read; or NULL. */
static const uint8_t *walk_section(const uint8_t *at, uint64_t address,
                                   struct mt_cfi_work *work)
{
    const uint8_t *limit = readable_to(&work->object, at);
    struct record record;
    for (; read_record(at, limit, &record); at = record.next)
        if (record.id != 0 && read_fde(at, address, work) == MT_CFI_OK)
            return at;
    return NULL;
}

struct __attribute__((packed)) hdr_entry { /* at any address */
    int32_t code, fde;                     /* from that of .eh_frame_hdr */
};

/* The last entry whose code is not above `address`, or NULL. */
static const struct hdr_entry *search_table(const struct hdr_entry *table,
                                            uint64_t n, int64_t target)
{
    uint64_t low = 0, high = n;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        struct hdr_entry entry;
        memcpy(&entry, &table[middle], sizeof entry);
        if (entry.code <= target)
            low = middle + 1;
        else
            high = middle;
    }
    return low ? &table[low - 1] : NULL;
}

/* Where the FDE for `address` is, if there is one; or NULL. */
static MT_NOINLINE const uint8_t *find_fde(uint64_t address,
                                           struct mt_cfi_work *work)
{
    const struct mt_object *object = &work->object;
    const uint8_t *hdr = object->eh_frame_hdr;
    uint64_t base = (uint64_t)(uintptr_t)hdr;
    struct mt_cursor c = {hdr, readable_to(object, hdr), false};
    if (mt_read_u8(&c) != 1)
        return NULL;
    uint8_t section_encoding = mt_read_u8(&c);
    uint8_t count_encoding = mt_read_u8(&c);
    uint8_t table_encoding = mt_read_u8(&c);
    uint64_t section = mt_cfi_pointer(&c, section_encoding, base);
    uint64_t n = mt_cfi_pointer(&c, count_encoding, base);
    if (c.bad)
        return NULL;
    if (count_encoding == MT_PE_OMIT || table_encoding != HDR_TABLE_ENCODING)
        return walk_section((const uint8_t *)(uintptr_t)section, address, work);
    if (n > UINT32_MAX || !mt_cursor_room(&c, n * sizeof(struct hdr_entry)))
        return NULL;
    const struct hdr_entry *entry =
        search_table((const void *)c.at, n, (int64_t)(address - base));
    return entry ? hdr + entry->fde : NULL;
}

enum mt_cfi_status mt_cfi_row_at(uint64_t address, struct mt_cfi_work *work)
{
    if (!mt_object_find(address, &work->object) || !work->object.eh_frame_hdr)
        return MT_CFI_NONE;
    const uint8_t *fde = find_fde(address, work);
    enum mt_cfi_status status =
        fde ? read_fde(fde, address, work) : MT_CFI_NONE;
    if (status == MT_CFI_OK && !mt_cfi_run(work, address))
        status = MT_CFI_UNSUPPORTED;
    return status;
}
