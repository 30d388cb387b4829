/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fuzz_files.h - see fuzz_files.c.
 */
#ifndef MT_FUZZ_FILES_H
#define MT_FUZZ_FILES_H

#include <stddef.h>
#include <stdint.h>

/* The first byte of the input chooses the reader: by its value modulo 4, of
 * suppressions, of baselines, of cores, of modules. */
void mt_fuzz_file(const uint8_t *data, size_t size);

#endif
