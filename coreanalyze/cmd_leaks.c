/* SPDX-License-Identifier: BSD-2-Clause
 *
 * cmd_leaks.c - memtrace leaks: what nothing reaches any more.
 */
#include "coreanalyze/cmd_leaks.h"
#include "coreanalyze/cmd_show.h"
#include "coreanalyze/print_leaks.h"

#include <string.h>

enum {
    OPT_HEAP,
    OPT_KINDS,
    OPT_TOP,
    OPT_MIN,
    OPT_DEPTH,
    OPT_SORT,
    OPT_SINCE,
    OPT_HEURISTICS,
    OPT_TAG_BITS,
    OPT_MAPPINGS,
    OPT_THREADS,
    OPT_FAIL,
    OPT_NO_STOP,
    OPT_JSON,
    OPT_FOLDED,
};

static const struct mt_option options[] = {
    [OPT_HEAP] = {"--heap", 0, "NAME", "only blocks of this heap"},
    [OPT_KINDS] = {"--show-kinds", 0, "KINDS",
                   "definite, indirect, possible, reachable, or all "
                   "(default: definite,possible)"},
    [OPT_TOP] = {"--top", 'n', "N", "only the first N rows"},
    [OPT_MIN] = {"--min", 0, "BYTES",
                 "only rows with so many bytes, indirect ones included"},
    [OPT_DEPTH] = {"--depth", 0, "N",
                   "merge stacks whose N innermost frames are the same"},
    [OPT_SORT] = {"--sort", 0, "KEY",
                  "inside a kind: bytes (the default), count, age or allocs"},
    [OPT_SINCE] = {"--since", 0, "TIME|MARK",
                   "only blocks of the last TIME seconds (also 5m, 2h), or "
                   "since memtrace_mark(MARK)"},
    [OPT_HEURISTICS] = {"--heuristics", 0, "NAMES",
                        "inner pointers that count: stdstring, length64, "
                        "newarray, multipleinheritance, all (the default) or "
                        "none"},
    [OPT_TAG_BITS] = {"--tag-bits", 0, "low=N,high=N",
                      "bits of pointers that may hold tags"},
    [OPT_MAPPINGS] = {"--mappings", 0, "roots|nodes",
                      "writable mappings of no module: roots (the default), "
                      "or only if something points to them"},
    [OPT_THREADS] = {"--threads", 0, "N",
                     "processors to use (default: all there are)"},
    [OPT_FAIL] = {"--fail", 0, NULL,
                  "exit with 23 if blocks are definitely lost, with 24 if "
                  "none are but not all could be checked"},
    [OPT_NO_STOP] = {"--no-stop", 0, NULL,
                     "do not stop a live process while its memory is copied"},
    [OPT_JSON] = {"--json", 0, NULL, "JSON instead of the table"},
    [OPT_FOLDED] = {"--folded", 0, NULL,
                    "one line per stack, for flame graphs"},
    {0},
};

struct arguments {
    struct mt_leaks_options leaks;
    const char *target;
    bool json, folded, fail, no_stop, help;
};

static bool take_mappings(struct arguments *a, const struct mt_args *args,
                          struct mt_error *error)
{
    bool nodes = strcmp(args->value, "nodes") == 0;

    if (!nodes && strcmp(args->value, "roots") != 0)
        return mt_fail(error,
                       "leaks: --mappings takes roots or nodes, not '%s'",
                       args->value);
    a->leaks.roots.mappings_are_nodes = nodes;
    return true;
}

static bool take_threads(struct arguments *a, const struct mt_args *args,
                         struct mt_error *error)
{
    uint64_t n;

    if (!mt_arg_count(args, "--threads", &n, error))
        return false;
    if (n == 0 || n > 64)
        return mt_fail(error, "leaks: --threads takes 1 to 64, not '%s'",
                       args->value);
    a->leaks.mark.threads = (unsigned)n;
    return true;
}

static bool take_option(struct arguments *a, const struct mt_args *args,
                        int option, struct mt_error *error)
{
    struct mt_show_options *show = &a->leaks.show;

    switch (option) {
    case OPT_HEAP:
        show->heap = args->value;
        return true;
    case OPT_KINDS:
        return mt_take_kinds(args, &a->leaks.kinds, error);
    case OPT_TOP:
        return mt_arg_count(args, "--top", &show->top, error);
    case OPT_MIN:
        return mt_arg_bytes(args, "--min", &show->min_bytes, error);
    case OPT_DEPTH:
        return mt_take_depth(args, &show->depth, error);
    case OPT_SORT:
        return mt_take_sort(args, &show->sort, error);
    case OPT_SINCE:
        mt_take_since(args->value, show);
        return true;
    case OPT_HEURISTICS:
        return mt_take_heuristics(args, &a->leaks.mark.scan.heuristics, error);
    case OPT_TAG_BITS:
        return mt_take_tag_bits(args, &a->leaks.mark.scan, error);
    case OPT_MAPPINGS:
        return take_mappings(a, args, error);
    case OPT_THREADS:
        return take_threads(a, args, error);
    }
    a->fail |= option == OPT_FAIL;
    a->no_stop |= option == OPT_NO_STOP;
    a->json |= option == OPT_JSON;
    a->folded |= option == OPT_FOLDED;
    return true;
}

static bool parse_all(struct mt_session *session, struct mt_args *args,
                      struct arguments *a, struct mt_error *error)
{
    int option;

    mt_mark_defaults(session, &a->leaks.mark);
    a->leaks.kinds = 1u << MT_LEAK_DEFINITE | 1u << MT_LEAK_POSSIBLE;
    a->leaks.show.since_s = -1;
    while ((option = mt_args_next(args, error)) != MT_ARG_END) {
        bool ok = true;
        if (option == MT_ARG_HELP)
            return a->help = true;
        if (option == MT_ARG_OPERAND)
            ok = mt_take_target(session, args, &a->target, error);
        else if (option != MT_ARG_ERROR)
            ok = take_option(a, args, option, error);
        if (!ok || option == MT_ARG_ERROR)
            return false;
    }
    if (a->json && a->folded)
        return mt_fail(error, "leaks: --json and --folded exclude each other");
    return true;
}

static bool print(struct mt_session *session, const struct arguments *a,
                  struct mt_target *target, const struct mt_leaks *leaks,
                  struct mt_error *error)
{
    const struct mt_resolver_options names = {NULL, NULL, session->name_hook,
                                              session->name_context};
    struct mt_resolver *resolver = mt_resolver_new(target->model, &names);
    struct mt_report report = {target->model, &leaks->show, resolver,
                               session->out, mt_leak_kind_names};
    bool ok = true;

    if (resolver == NULL)
        return mt_fail(error, "out of memory");
    if (a->json)
        mt_print_leaks_json(&report, leaks);
    else if (a->folded)
        ok = mt_print_folded(&report, error);
    else
        mt_print_leaks(&report, leaks);
    mt_resolver_free(resolver);
    return ok;
}

static int run(struct mt_session *session, int argc, const char *const *argv,
               struct mt_error *error)
{
    struct mt_args args = {.argc = argc, .argv = argv, .options = options};
    struct arguments a = {0};
    struct mt_target target = {0};
    struct mt_leaks leaks = {0};
    int status = MT_EXIT_ERROR;

    if (!parse_all(session, &args, &a, error))
        return MT_EXIT_ERROR;
    if (a.help) {
        mt_command_help(&mt_command_leaks, session->target == NULL,
                        session->out);
        return MT_EXIT_OK;
    }
    if (mt_target_frozen(session, "leaks", a.target, !a.no_stop, &target,
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
