/* SPDX-License-Identifier: BSD-2-Clause
 *
 * policy_options.c - the option --suppressions, which may be given several
 * times.
 */
#include "coreanalyze/commands/policy_options.h"
#include "coreanalyze/base/memory.h"

bool mt_parse_suppressions(void *member, const struct mt_args *args,
                           struct mt_error *error)
{
    struct mt_policy *policy = member;

    if (!mt_grow(&policy->files, &policy->files_capacity, policy->n_files + 1,
                 sizeof *policy->files))
        return mt_no_memory(error, "the suppressions");
    policy->files[policy->n_files++] = args->value;
    return true;
}
