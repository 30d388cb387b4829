/* SPDX-License-Identifier: BSD-2-Clause
 *
 * cmd_leaks.c - memtrace leaks: what nothing reaches any more.
 */
#include "coreanalyze/cmd_leaks.h"
#include "coreanalyze/print_leaks.h"

#include <string.h>

struct arguments {
    struct mt_arguments common;
    struct mt_leaks_options leaks;
    bool fail, no_stop;
};

static bool take_mappings(void *member, const struct mt_args *args,
                          struct mt_error *error)
{
    bool nodes = strcmp(args->value, "nodes") == 0;

    if (!nodes && strcmp(args->value, "roots") != 0)
        return mt_fail(error,
                       "leaks: --mappings takes roots or nodes, not '%s'",
                       args->value);
    *(bool *)member = nodes;
    return true;
}

static bool take_threads(void *member, const struct mt_args *args,
                         struct mt_error *error)
{
    uint64_t n;

    if (!mt_take_count(&n, args, error))
        return false;
    if (n == 0 || n > 64)
        return mt_fail(error, "leaks: --threads takes 1 to 64, not '%s'",
                       args->value);
    *(unsigned *)member = (unsigned)n;
    return true;
}

static const struct mt_option options[] = {
    {"--heap", 0, "NAME", "only blocks of this heap",
     MT_INTO(mt_take_text, const char *, leaks.show.heap)},
    {"--show-kinds", 0, "KINDS",
     "definite, indirect, possible, reachable, or all "
     "(default: definite,possible)",
     MT_INTO(mt_take_kinds, unsigned, leaks.kinds)},
    {"--top", 'n', "N", "only the first N rows",
     MT_INTO(mt_take_count, uint64_t, leaks.show.top)},
    {"--min", 0, "BYTES",
     "only rows with so many bytes, indirect ones included",
     MT_INTO(mt_take_bytes, uint64_t, leaks.show.min_bytes)},
    {"--depth", 0, "N", "merge stacks whose N innermost frames are the same",
     MT_INTO(mt_take_depth, unsigned, leaks.show.depth)},
    {"--sort", 0, "KEY",
     "inside a kind: bytes (the default), count, age or allocs",
     MT_INTO(mt_take_sort, enum mt_show_sort, leaks.show.sort)},
    MT_OPTION_SINCE(leaks.show),
    MT_OPTION_OLDER(leaks.show),
    MT_OPTION_HEURISTICS(leaks.mark.scan.heuristics),
    MT_OPTION_TAG_BITS(leaks.mark.scan),
    {"--mappings", 0, "roots|nodes",
     "writable mappings of no module: roots (the default), or only if "
     "something points to them",
     MT_INTO(take_mappings, bool, leaks.roots.mappings_are_nodes)},
    {"--threads", 0, "N", "processors to use (default: all there are)",
     MT_INTO(take_threads, unsigned, leaks.mark.threads)},
    {"--fail", 0, NULL,
     "exit with 23 if blocks are definitely lost, with 24 if none are but not "
     "all could be checked",
     MT_INTO(mt_take_flag, bool, fail)},
    MT_OPTION_NO_STOP,
    MT_OPTION_JSON,
    MT_OPTION_FOLDED,
    MT_OPTION_DEBUG_DIR,
    MT_OPTION_SYSROOT,
    {0},
};

static bool print(struct mt_session *session, const struct arguments *a,
                  struct mt_target *target, const struct mt_leaks *leaks,
                  struct mt_error *error)
{
    struct mt_resolver *resolver =
        mt_arguments_resolver(session, &a->common.places, target->model, error);
    struct mt_report report = {target->model, &leaks->show, resolver,
                               session->out, mt_leak_kind_names};
    bool ok = true;

    if (resolver == NULL)
        return false;
    if (a->common.json)
        mt_print_leaks_json(&report, leaks);
    else if (a->common.folded)
        ok = mt_print_folded(&report, error);
    else
        mt_print_leaks(&report, leaks);
    mt_resolver_free(resolver);
    return ok;
}

static int run(struct mt_session *session, int argc, const char *const *argv,
               struct mt_error *error)
{
    struct arguments a = {
        .leaks = {.kinds = 1u << MT_LEAK_DEFINITE | 1u << MT_LEAK_POSSIBLE}};
    struct mt_target target = {0};
    struct mt_leaks leaks = {0};
    int status;

    mt_mark_defaults(session, &a.leaks.mark);
    if (!mt_arguments_read(session, &mt_command_leaks, argc, argv, &a, &status,
                           error))
        return status;
    status = MT_EXIT_ERROR;
    if (mt_target_frozen(session, "leaks", a.common.target, !a.no_stop, &target,
                         error) &&
        mt_leaks_run(target.model, &a.leaks, &leaks, error)) {
        /* What is left to do needs no memory that changes. */
        if (target.source->ops->go)
            target.source->ops->go(target.source);
        if (print(session, &a, &target, &leaks, error))
            status = MT_EXIT_OK;
    }
    if (status == MT_EXIT_OK && a.fail) {
        if (leaks.sums[MT_LEAK_DEFINITE].count > 0)
            status = MT_EXIT_LEAKS;
        else if (!mt_leaks_complete(target.model, &leaks))
            status = MT_EXIT_UNCHECKED;
    }
    if (a.fail && target.source && target.source->process.mini)
        status = MT_EXIT_UNCHECKED;
    mt_leaks_free(&leaks);
    mt_target_close(&target);
    return status;
}

const struct mt_command mt_command_leaks = {
    .name = "leaks",
    .operands = "TARGET",
    .summary = "Show live blocks that nothing points to any more.",
    .details =
        "Registers, stacks, thread-local storage, writable data of modules\n"
        "and other writable mappings are searched for pointers, and so is\n"
        "every block that they lead to.  The kinds are Memcheck's: a block\n"
        "is definitely lost if nothing points to it, indirectly lost if only\n"
        "lost blocks do (it is counted under the one that heads them, in the\n"
        "columns behind Indirect), possibly lost if each chain to it has a\n"
        "pointer to the inside of a block, else still reachable.\n"
        "A live process is stopped while its memory is copied.  What could\n"
        "not be searched is said at the end, and what follows from that.\n",
    .options = options,
    .takes_target = true,
    .run = run,
};
