/* SPDX-License-Identifier: BSD-2-Clause
 *
 * no_debuginfod.c - for memtrace-static, in the place of
 * symbolize_debuginfod.c: a static program cannot load libdebuginfod.
 */
#include "coreanalyze/symbols/symbolize_files.h"

struct mt_elf *mt_debuginfod_find(const struct mt_files_options *options,
                                  const uint8_t *build_id, size_t bytes,
                                  bool debug, char **path, char note[256])
{
    (void)options;
    (void)build_id;
    (void)bytes;
    (void)debug;
    (void)note;
    *path = NULL;
    return NULL;
}
