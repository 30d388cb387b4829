/* SPDX-License-Identifier: BSD-2-Clause
 *
 * elf_file.h - sections of a mapped ELF64 little-endian file.
 *
 * Nothing in the file is trusted: every offset, count and string is checked
 * against the file's size when it is opened or asked for.  A file that shrinks
 * while it is mapped raises SIGBUS, as it does in every reader that maps.
 */
#ifndef MT_ELF_FILE_H
#define MT_ELF_FILE_H

#include "coreanalyze/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mt_elf_section {
    const char *name; /* "" where the name is not in its table */
    uint32_t type;    /* SHT_* */
    uint64_t flags;   /* SHF_* */
    uint64_t address;
    uint64_t offset;       /* in the file */
    uint64_t bytes;        /* in the file; 0 if it is not there */
    uint64_t memory_bytes; /* as its header says */
    uint32_t link;
    uint64_t entry_bytes;
};

/* Of a file: another one if anything was written to it. */
struct mt_elf_version {
    uint64_t device, inode;
    int64_t seconds, nanoseconds; /* of its last change */
};

struct mt_elf {
    char *path; /* that it was opened by, or NULL */
    struct mt_elf_version version;
    const uint8_t *data;
    size_t bytes;
    bool mapped; /* by mt_elf_open; otherwise borrowed */
    uint16_t type;
    struct mt_elf_section *sections;
    size_t n_sections;
    uint8_t **inflated; /* per section: its bytes, if it was compressed */
    size_t *inflated_bytes;
    size_t inflated_total;
    bool no_memory; /* ran out for something of this file that was asked for */
};

/* NULL and `error` filled if it cannot be read or is not ELF64 for x86-64. */
struct mt_elf *mt_elf_open(const char *path, struct mt_error *error);
/* The version of the file at a path; false if there is none. */
bool mt_elf_version_at(const char *path, struct mt_elf_version *);
bool mt_elf_same_version(const struct mt_elf_version *,
                         const struct mt_elf_version *);
/* Over bytes that the caller keeps until mt_elf_close. */
struct mt_elf *mt_elf_open_memory(const uint8_t *data, size_t bytes,
                                  struct mt_error *error);
void mt_elf_close(struct mt_elf *); /* takes NULL */
/* Is the file at its path still the one that was opened, with nothing written
 * to it?  True for NULL and for bytes of the caller's. */
bool mt_elf_unchanged(const struct mt_elf *);

/* The first section of that name, or NULL. */
const struct mt_elf_section *mt_elf_find(const struct mt_elf *,
                                         const char *name);
/* The length of a section's data, by what its header says. */
size_t mt_elf_section_bytes(const struct mt_elf *,
                            const struct mt_elf_section *);
/* The bytes of a section, decompressed; they live as long as the file.  False
 * if it has none, or they cannot be decompressed. */
bool mt_elf_section_data(struct mt_elf *, const struct mt_elf_section *,
                         const uint8_t **data, size_t *bytes);

/* Bytes of code by their address in memory, less the load bias; false if no
 * section has them all. */
bool mt_elf_code(struct mt_elf *, uint64_t address, void *buffer, size_t bytes);

/* The bytes that are loaded at `address`, less the load bias; false if no
 * segment has them all in the file. */
bool mt_elf_loaded(const struct mt_elf *, uint64_t address, void *buffer,
                   size_t bytes);

/* A number that two files have in common only if they are the same, for all
 * that is likely: of the first page as it is loaded, and the table of
 * functions.  The trace has it of modules without a build-id. */
uint64_t mt_elf_fingerprint(const struct mt_elf *);

/* From the GNU note, in a section or a segment. */
bool mt_elf_build_id(const struct mt_elf *, const uint8_t **id, size_t *bytes);
/* .gnu_debuglink: name of the separate debug file, and its CRC. */
bool mt_elf_debuglink(const struct mt_elf *, const char **name, uint32_t *crc);
/* .gnu_debugaltlink: the supplementary file that dwz made, and its build-id. */
bool mt_elf_debugaltlink(const struct mt_elf *, const char **name,
                         const uint8_t **id, size_t *id_bytes);
/* The CRC that a debuglink records, over the whole file. */
uint32_t mt_elf_crc(const struct mt_elf *);

#endif
