/* SPDX-License-Identifier: BSD-2-Clause
 *
 * export_speedscope.c - speedscope's own JSON: a profile for each measure, or
 * for the old and the new bytes of a comparison.
 */
#include "coreanalyze/base/json.h"
#include "coreanalyze/export/export.h"

#include "config.h"

#include <stdlib.h>

static const char *const speedscope_names[MT_N_MEASURES] = {
    "live bytes",  "live blocks", "allocated bytes",
    "allocations", "peak bytes",  "peak blocks"};

static void speedscope_put_frames(struct mt_json *json,
                                  const struct mt_profile *p)
{
    for (size_t i = 0; p && i < p->n_functions; i++) {
        const struct mt_profile_function *f = &p->functions[i];
        mt_json_open(json, NULL, '{');
        mt_json_string(json, "name", *f->name ? f->name : "?");
        if (f->file)
            mt_json_string(json, "file", f->file);
        mt_json_close(json, '}');
    }
}

/* `base`: the number of frames of the other side, which come first. */
static void speedscope_put_profile(struct mt_json *json,
                                   const struct mt_profile *p,
                                   enum mt_measure m, const char *name,
                                   size_t base, uint32_t *path)
{
    mt_json_open(json, NULL, '{');
    mt_json_string(json, "type", "sampled");
    mt_json_string(json, "name", name);
    mt_json_string(json, "unit",
                   m == MT_LIVE_BYTES || m == MT_ALLOC_BYTES ||
                           m == MT_PEAK_BYTES
                       ? "bytes"
                       : "none");
    mt_json_u64(json, "startValue", 0);
    mt_json_u64(json, "endValue", p->total.of[m]);
    mt_json_open(json, "samples", '[');
    for (uint32_t node = 1; node < p->n_nodes; node++) {
        size_t n;
        if (mt_profile_self(p, node)->of[m] == 0)
            continue;
        n = mt_export_path(p, node, path);
        mt_json_open(json, NULL, '[');
        for (size_t i = 0; i < n; i++)
            mt_json_u64(json, NULL,
                        base + p->frames[p->nodes[path[i]].frame].function);
        mt_json_close(json, ']');
    }
    mt_json_close(json, ']');
    mt_json_open(json, "weights", '[');
    for (uint32_t node = 1; node < p->n_nodes; node++)
        if (mt_profile_self(p, node)->of[m])
            mt_json_u64(json, NULL, mt_profile_self(p, node)->of[m]);
    mt_json_close(json, ']');
    mt_json_close(json, '}');
}

bool mt_export_speedscope(const struct mt_export *export,
                          struct mt_error *error)
{
    const struct mt_profile *now = export->now.profile;
    const struct mt_profile *old = export->old.profile;
    uint32_t *path = malloc(MT_EXPORT_DEPTH * sizeof *path);
    struct mt_json json = {.out = export->out};

    if (!path)
        return mt_no_memory(error, "the report");
    mt_json_open(&json, NULL, '{');
    mt_json_string(&json, "$schema",
                   "https://www.speedscope.app/file-format-schema.json");
    mt_json_string(&json, "exporter", "memtrace " PACKAGE_VERSION);
    mt_json_string(&json, "name", mt_export_command(now->model));
    mt_json_open(&json, "shared", '{');
    mt_json_open(&json, "frames", '[');
    speedscope_put_frames(&json, old);
    speedscope_put_frames(&json, now);
    mt_json_close(&json, ']');
    mt_json_close(&json, '}');
    mt_json_open(&json, "profiles", '[');
    if (old) {
        speedscope_put_profile(&json, now, MT_LIVE_BYTES, "new: live bytes",
                               old->n_functions, path);
        speedscope_put_profile(&json, old, MT_LIVE_BYTES, "old: live bytes", 0,
                               path);
    }
    for (unsigned m = 0; !old && m < MT_N_MEASURES; m++)
        if (m == MT_LIVE_BYTES || now->total.of[m])
            speedscope_put_profile(&json, now, m, speedscope_names[m], 0, path);
    mt_json_close(&json, ']');
    mt_json_close(&json, '}');
    free(path);
    return true;
}
