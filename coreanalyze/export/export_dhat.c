/* SPDX-License-Identifier: BSD-2-Clause
 *
 * export_dhat.c - the JSON of Valgrind's DHAT, version 2, for dh_view.html.
 *
 * DHAT knows for each place how much of it lived at the program's peak, and how
 * much at the place's own, and for how long blocks lived.  The trace has the
 * first of these; where its peak is less than what is live, the end is the
 * peak. A place's own peak is at least the larger of the two.  Lifetimes are 0.
 */
#include "coreanalyze/base/json.h"
#include "coreanalyze/base/memory.h"
#include "coreanalyze/export/export.h"

#include <stdlib.h>

static bool dhat_put_frame(struct mt_json *json, const struct mt_profile *p,
                           const struct mt_profile_frame *frame)
{
    char *text = NULL;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);
    bool ok = out != NULL;

    if (ok) {
        mt_export_put_frame(out, p, frame);
        ok = fclose(out) == 0;
    }
    if (ok)
        mt_json_string(json, NULL, text);
    free(text);
    return ok;
}

static uint64_t dhat_most(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* A place that allocated, by its stack. */
static void dhat_put_place(struct mt_json *json, const struct mt_profile *p,
                           uint32_t node, bool has_peak)
{
    const uint64_t *is = mt_profile_self(p, node)->of;
    uint64_t live = is[MT_LIVE_BYTES], blocks = is[MT_LIVE_BLOCKS];
    uint64_t peak = has_peak ? is[MT_PEAK_BYTES] : live;
    uint64_t peak_blocks = has_peak ? is[MT_PEAK_BLOCKS] : blocks;
    uint64_t most = dhat_most(live, peak);
    uint64_t most_blocks = dhat_most(blocks, peak_blocks);

    mt_json_open(json, NULL, '{');
    mt_json_u64(json, "tb", dhat_most(is[MT_ALLOC_BYTES], most));
    mt_json_u64(json, "tbk", dhat_most(is[MT_ALLOCS], most_blocks));
    mt_json_u64(json, "tl", 0);
    mt_json_u64(json, "mb", most);
    mt_json_u64(json, "mbk", most_blocks);
    mt_json_u64(json, "gb", peak);
    mt_json_u64(json, "gbk", peak_blocks);
    mt_json_u64(json, "eb", live);
    mt_json_u64(json, "ebk", blocks);
    mt_json_open(json, "fs", '[');
    for (; node; node = p->nodes[node].parent)
        mt_json_u64(json, NULL, (uint64_t)p->nodes[node].frame + 1);
    mt_json_close(json, ']');
    mt_json_close(json, '}');
}

bool mt_export_dhat(const struct mt_export *export, struct mt_error *error)
{
    const struct mt_profile *p = export->now.profile;
    const struct mt_model *model = p->model;
    const struct mt_process *process = &model->source->process;
    struct mt_json json = {.out = export->out};
    bool ok = true, has_peak = mt_export_has_peak(p);

    mt_json_open(&json, NULL, '{');
    mt_json_u64(&json, "dhatFileVersion", 2);
    mt_json_string(&json, "mode", "heap");
    mt_json_string(&json, "verb", "Allocated");
    mt_json_bool(&json, "bklt", true);
    mt_json_bool(&json, "bkacc", false);
    mt_json_string(&json, "tu", "ms");
    mt_json_string(&json, "Mtu", "s");
    mt_json_u64(&json, "tuth", 1000);
    mt_json_string(&json, "cmd", mt_export_command(model));
    mt_json_u64(&json, "pid", process->pid ? process->pid : model->pid);
    mt_json_u64(&json, "tg",
                (has_peak ? model->peak.ns : model->now_ns) / 1000000);
    mt_json_u64(&json, "te", model->now_ns / 1000000);
    mt_json_open(&json, "pps", '[');
    for (uint32_t node = 1; node < p->n_nodes; node++) {
        const uint64_t *is = mt_profile_self(p, node)->of;
        if (is[MT_LIVE_BLOCKS] || is[MT_PEAK_BLOCKS] || is[MT_ALLOCS])
            dhat_put_place(&json, p, node, has_peak);
    }
    mt_json_close(&json, ']');
    mt_json_open(&json, "ftbl", '[');
    mt_json_string(&json, NULL, "[root]");
    for (size_t i = 0; ok && i < p->n_frames; i++)
        ok = dhat_put_frame(&json, p, &p->frames[i]);
    mt_json_close(&json, ']');
    mt_json_close(&json, '}');
    return ok || mt_no_memory(error, "the report");
}
