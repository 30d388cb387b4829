/* SPDX-License-Identifier: BSD-2-Clause
 *
 * elf_note.h - the notes of an ELF file, one after the other.  No length in
 * them is believed.
 */
#ifndef MT_ELF_NOTE_H
#define MT_ELF_NOTE_H

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct mt_elf_note {
    uint32_t type;
    uint32_t name_bytes; /* with the NUL */
    uint32_t bytes;      /* of data */
    const char *name;    /* need not end in NUL */
    const uint8_t *data;
};

/* The note at *at, which then is that of the next one.  False at the end, and
 * if the note is cut: at least a header is left after *at then.  Notes are
 * aligned to 4 bytes, or to 8; the last one may lack its padding. */
static inline bool mt_elf_note_next(const uint8_t *notes, size_t bytes,
                                    size_t align, size_t *at,
                                    struct mt_elf_note *note)
{
    size_t left = bytes - *at, body, next;
    Elf64_Nhdr header;

    if (left < sizeof header)
        return false;
    memcpy(&header, notes + *at, sizeof header);
    body = (sizeof header + header.n_namesz + align - 1) & -align;
    if (body > left || header.n_descsz > left - body)
        return false;
    next = (body + header.n_descsz + align - 1) & -align;
    *note = (struct mt_elf_note){
        .type = header.n_type,
        .name_bytes = header.n_namesz,
        .bytes = header.n_descsz,
        .name = (const char *)notes + *at + sizeof header,
        .data = notes + *at + body,
    };
    *at += next < left ? next : left;
    return true;
}

static inline bool mt_elf_note_is(const struct mt_elf_note *note,
                                  const char *name)
{
    return note->name_bytes == strlen(name) + 1 &&
           memcmp(note->name, name, note->name_bytes) == 0;
}

static inline bool mt_elf_note_is_build_id(const struct mt_elf_note *note)
{
    return note->type == NT_GNU_BUILD_ID && note->bytes > 0 &&
           mt_elf_note_is(note, "GNU");
}

#endif
