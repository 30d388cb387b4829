/* SPDX-License-Identifier: BSD-2-Clause
 *
 * export.c - what the writers of formats share.
 */
#include "coreanalyze/export/export.h"
#include "coreanalyze/base/text.h"

#include <inttypes.h>

size_t mt_export_path(const struct mt_profile *profile, uint32_t node,
                      uint32_t *path)
{
    size_t n = 0;

    for (; node && n < MT_EXPORT_DEPTH; node = profile->nodes[node].parent)
        path[n++] = node;
    for (size_t i = 0; i < n / 2; i++) {
        uint32_t other = path[i];
        path[i] = path[n - 1 - i];
        path[n - 1 - i] = other;
    }
    return n;
}

bool mt_export_has_peak(const struct mt_profile *profile)
{
    return profile->model->peak.known &&
           !mt_profile_is_partial(profile->show) &&
           profile->total.of[MT_PEAK_BYTES] > profile->total.of[MT_LIVE_BYTES];
}

const char *mt_export_command(const struct mt_model *model)
{
    const struct mt_process *process = &model->source->process;

    return process->command ? process->command
           : process->exe   ? process->exe
                            : process->name;
}

void mt_export_put_frame(FILE *out, const struct mt_profile *profile,
                         const struct mt_profile_frame *frame)
{
    const struct mt_profile_function *f = &profile->functions[frame->function];

    fprintf(out, "0x%" PRIX64 ": ", frame->pc);
    mt_put_text(out, f->name);
    if (f->file) {
        fputs(" (", out);
        mt_put_text(out, mt_base_name(f->file));
        if (frame->line)
            fprintf(out, ":%" PRIu32, frame->line);
        putc(')', out);
    } else if (f->module != MT_PROFILE_NONE) {
        fputs(" (in ", out);
        mt_put_text(out, mt_profile_module_path(profile, f->module));
        putc(')', out);
    }
}
