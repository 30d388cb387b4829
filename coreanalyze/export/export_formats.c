/* SPDX-License-Identifier: BSD-2-Clause
 *
 * export_formats.c - the table of formats.
 */
#include "coreanalyze/export/export.h"

#include <string.h>

#define SUMS (MT_PROFILE_PATHS | MT_PROFILE_ENDS)

const struct mt_export_format mt_export_formats[] = {
    {"pprof", ".pb.gz", "go tool pprof, Pyroscope", true, false, false, 0,
     mt_export_pprof},
    {"folded", ".folded", "flamegraph.pl, inferno", true, false, true, SUMS,
     mt_export_folded},
    {"speedscope", ".speedscope.json", "speedscope.app", true, false, false,
     SUMS, mt_export_speedscope},
    {"dhat", ".dhat.json", "Valgrind's dh_view.html", false, false, false, SUMS,
     mt_export_dhat},
    {"massif", ".massif", "ms_print, massif-visualizer", true, false, false,
     SUMS, mt_export_massif},
    {"callgrind", ".callgrind", "callgrind_annotate, KCachegrind", false, false,
     false, SUMS, mt_export_callgrind},
    {"heapsnapshot", ".heapsnapshot", "Chrome's DevTools, memlab", false, true,
     false, MT_PROFILE_PATHS | MT_PROFILE_SAMPLES, mt_export_heapsnapshot},
    {0},
};

const struct mt_export_format *mt_export_find(const char *name,
                                              const char *path)
{
    for (const struct mt_export_format *f = mt_export_formats; f->name; f++) {
        size_t n = path ? strlen(path) : 0, m = strlen(f->suffix);
        if (name ? strcmp(name, f->name) == 0
                 : n > m && strcmp(path + n - m, f->suffix) == 0)
            return f;
    }
    return NULL;
}
