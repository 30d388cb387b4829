/* SPDX-License-Identifier: BSD-2-Clause
 *
 * policy_options.c - the options --suppressions, which may be given several
 * times, and --gen-suppressions.
 */
#include "coreanalyze/commands/policy_options.h"
#include "coreanalyze/base/memory.h"

#include <string.h>

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

/* Valgrind's values name no file. */
bool mt_parse_generated(void *member, const struct mt_args *args,
                        struct mt_error *error)
{
    struct mt_policy *policy = member;
    const char *value = args->value;

    if (value && !value[0])
        return mt_fail(error, "%s: --gen-suppressions=FILE: the name is empty",
                       args->argv[0]);
    policy->generate = !value || strcmp(value, "no") != 0;
    policy->generated = value && strcmp(value, "no") != 0 &&
                                strcmp(value, "yes") != 0 &&
                                strcmp(value, "all") != 0
                            ? value
                            : NULL;
    return true;
}
