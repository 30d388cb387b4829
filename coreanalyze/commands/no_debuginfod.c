/* SPDX-License-Identifier: BSD-2-Clause
 *
 * no_debuginfod.c - for memtrace-static, in the place of
 * symbolize_debuginfod.c: a static program cannot load libdebuginfod.
 */
#include "coreanalyze/symbols/symbolize_files.h"

struct mt_elf *mt_debuginfod_find(const uint8_t *build_id, size_t bytes,
                                  bool debug, char **path)
{
    (void)build_id;
    (void)bytes;
    (void)debug;
    *path = NULL;
    return NULL;
}
