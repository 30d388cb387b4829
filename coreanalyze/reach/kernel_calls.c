/* SPDX-License-Identifier: BSD-2-Clause
 *
 * kernel_calls.c - whether the program of a core has called functions that give
 * a word to the kernel, which hands it back later.  No core has these words.
 */
#include "coreanalyze/reach/roots.h"
#include "coreanalyze/source/modules.h"

const char *const mt_kernel_calls[] = {"epoll_ctl", "timer_create",
                                       "sigqueue",  "pthread_sigqueue",
                                       "mq_notify", NULL};

bool mt_roots_kernel_calls(const struct mt_model *model,
                           struct mt_roots_coverage *coverage)
{
    struct mt_source *source = model->source;
    bool ok = true;

    if (source->process.kind != MT_SOURCE_CORE)
        return true;
    for (size_t i = 0; ok && i < source->n_modules; i++)
        ok = mt_module_calls(source, &source->modules[i], mt_kernel_calls,
                             &coverage->kernel_calls);
    return ok;
}
