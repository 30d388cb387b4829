/* SPDX-License-Identifier: BSD-2-Clause
 *
 * export_dhat.c - the JSON of Valgrind's DHAT, version 2, for dh_view.html.
 *
 * DHAT knows for each place how much of it lived at the program's peak, and
 * for how long blocks lived.  The trace has neither: the end of the recording
 * stands for the peak, and lifetimes are 0.
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

/* A place that allocated, by its stack. */
static void dhat_put_place(struct mt_json *json, const struct mt_profile *p,
                           uint32_t node)
{
    const uint64_t *is = p->nodes[node].self.of;
    uint64_t live = is[MT_LIVE_BYTES], blocks = is[MT_LIVE_BLOCKS];
    uint64_t allocs = is[MT_ALLOCS] > blocks ? is[MT_ALLOCS] : blocks;

    mt_json_open(json, NULL, '{');
    mt_json_u64(json, "tb",
                is[MT_ALLOC_BYTES] > live ? is[MT_ALLOC_BYTES] : live);
    mt_json_u64(json, "tbk", allocs);
    mt_json_u64(json, "tl", 0);
    mt_json_u64(json, "mb", live);
    mt_json_u64(json, "mbk", blocks);
    mt_json_u64(json, "gb", live);
    mt_json_u64(json, "gbk", blocks);
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
    bool ok = true;

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
    mt_json_u64(&json, "tg", model->now_ns / 1000000);
    mt_json_u64(&json, "te", model->now_ns / 1000000);
    mt_json_open(&json, "pps", '[');
    for (uint32_t node = 1; node < p->n_nodes; node++)
        if (p->nodes[node].self.of[MT_LIVE_BLOCKS] ||
            p->nodes[node].self.of[MT_ALLOCS])
            dhat_put_place(&json, p, node);
    mt_json_close(&json, ']');
    mt_json_open(&json, "ftbl", '[');
    mt_json_string(&json, NULL, "[root]");
    for (size_t i = 0; ok && i < p->n_frames; i++)
        ok = dhat_put_frame(&json, p, &p->frames[i]);
    mt_json_close(&json, ']');
    mt_json_close(&json, '}');
    return ok || mt_no_memory(error, "the report");
}
