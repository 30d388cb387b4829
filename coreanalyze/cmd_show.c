/* SPDX-License-Identifier: BSD-2-Clause
 *
 * cmd_show.c - memtrace show: live memory by the stack that allocated it.
 */
#include "coreanalyze/command.h"
#include "coreanalyze/cmd_show.h"
#include "coreanalyze/print.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum {
    OPT_HEAP,
    OPT_TOP,
    OPT_MIN,
    OPT_DEPTH,
    OPT_SORT,
    OPT_SINCE,
    OPT_JSON,
    OPT_FOLDED,
    OPT_STOP,
    OPT_DEBUG_DIR,
    OPT_SYSROOT,
};

static const struct mt_option options[] = {
    [OPT_HEAP] = {"--heap", 0, "NAME", "only this heap"},
    [OPT_TOP] = {"--top", 'n', "N", "only the first N stacks"},
    [OPT_MIN] = {"--min", 0, "BYTES", "only stacks with so many live bytes"},
    [OPT_DEPTH] = {"--depth", 0, "N",
                   "merge stacks whose N innermost frames are the same"},
    [OPT_SORT] = {"--sort", 0, "KEY",
                  "bytes (the default), count, age (oldest block first) or "
                  "allocs (allocations since the start)"},
    [OPT_SINCE] = {"--since", 0, "TIME|MARK",
                   "only blocks of the last TIME seconds (also 5m, 2h), or "
                   "since memtrace_mark(MARK)"},
    [OPT_JSON] = {"--json", 0, NULL, "JSON instead of the table"},
    [OPT_FOLDED] = {"--folded", 0, NULL,
                    "one line per stack, for flame graphs"},
    [OPT_STOP] = {"--stop", 0, NULL,
                  "stop a live process while its memory is read"},
    [OPT_DEBUG_DIR] = {"--debug-dir", 0, "DIR",
                       "look here too for separate debug files (may be given "
                       "several times)"},
    [OPT_SYSROOT] = {"--sysroot", 0, "DIR",
                     "the target's files are below this"},
    {0},
};

#define USUAL_DEBUG_DIR "/usr/lib/debug"
#define MAX_DEBUG_DIRS 16

struct arguments {
    struct mt_show_options show;
    const char *target;
    bool json, folded, stop, help;
    const char *debug_dirs[MAX_DEBUG_DIRS + 2]; /* the usual one, and NULL */
    unsigned n_debug_dirs;
    const char *sysroot;
};

bool mt_take_sort(const struct mt_args *args, enum mt_show_sort *sort,
                  struct mt_error *error)
{
    for (unsigned i = 0; mt_show_sort_names[i]; i++) {
        if (strcmp(args->value, mt_show_sort_names[i]) == 0) {
            *sort = (enum mt_show_sort)i;
            return true;
        }
    }
    return mt_fail(error,
                   "%s: --sort takes bytes, count, age or allocs, "
                   "not '%s'",
                   args->argv[0], args->value);
}

/* A number of seconds, minutes or hours; anything else is a mark. */
void mt_take_since(const char *value, struct mt_show_options *show)
{
    char *end;
    double time = strtod(value, &end);
    double unit = *end == 'm' ? 60 : *end == 'h' ? 3600 : 1;

    show->since_mark = NULL;
    show->since_s = -1;
    if (*end == 's' || *end == 'm' || *end == 'h')
        end++;
    if (isdigit((unsigned char)value[0]) && *end == '\0')
        show->since_s = time * unit;
    else
        show->since_mark = value;
}

bool mt_take_depth(const struct mt_args *args, unsigned *depth,
                   struct mt_error *error)
{
    uint64_t n;

    if (!mt_arg_count(args, "--depth", &n, error))
        return false;
    if (n == 0 || n > MT_MAX_FRAMES)
        return mt_fail(error, "%s: --depth takes 1 to %d, not '%s'",
                       args->argv[0], MT_MAX_FRAMES, args->value);
    *depth = (unsigned)n;
    return true;
}

static bool take_option(struct arguments *a, const struct mt_args *args,
                        int option, struct mt_error *error)
{
    const char *name = options[option].name;

    switch (option) {
    case OPT_HEAP:
        a->show.heap = args->value;
        return true;
    case OPT_TOP:
        return mt_arg_count(args, name, &a->show.top, error);
    case OPT_MIN:
        return mt_arg_bytes(args, name, &a->show.min_bytes, error);
    case OPT_DEPTH:
        return mt_take_depth(args, &a->show.depth, error);
    case OPT_SORT:
        return mt_take_sort(args, &a->show.sort, error);
    case OPT_SINCE:
        mt_take_since(args->value, &a->show);
        return true;
    case OPT_JSON:
        a->json = true;
        return true;
    case OPT_FOLDED:
        a->folded = true;
        return true;
    case OPT_DEBUG_DIR:
        if (a->n_debug_dirs == MAX_DEBUG_DIRS)
            return mt_fail(error, "show: too many --debug-dir");
        a->debug_dirs[a->n_debug_dirs++] = args->value;
        return true;
    case OPT_SYSROOT:
        a->sysroot = args->value;
        return true;
    default:
        a->stop = true;
        return true;
    }
}

static bool parse_all(const struct mt_session *session, struct mt_args *args,
                      struct arguments *a, struct mt_error *error)
{
    int option;

    a->show.since_s = -1;
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
    a->debug_dirs[a->n_debug_dirs] = USUAL_DEBUG_DIR;
    if (a->json && a->folded)
        return mt_fail(error, "show: --json and --folded exclude each other");
    return true;
}

/* Stopped or not, names are looked up when the target runs again. */
static bool collect(struct mt_session *session, const struct arguments *a,
                    struct mt_target *target, struct mt_show *show,
                    struct mt_error *error)
{
    const struct mt_source_ops *ops = target->source->ops;
    bool stop = a->stop && ops->stop, ok;

    if (a->stop && !stop && target->owned &&
        target->source->process.kind == MT_SOURCE_LIVE)
        return mt_fail(error, "show: this target cannot be stopped");
    if (stop && !ops->stop(target->source, error))
        return false;
    ok = mt_target_model(session, target, error) &&
         mt_show_run(target->model, &a->show, show, error);
    if (stop)
        ops->go(target->source);
    return ok;
}

static bool print(struct mt_session *session, const struct arguments *a,
                  struct mt_target *target, const struct mt_show *show,
                  struct mt_error *error)
{
    const struct mt_resolver_options names = {
        a->n_debug_dirs ? a->debug_dirs : NULL, a->sysroot, session->name_hook,
        session->name_context};
    struct mt_resolver *resolver = mt_resolver_new(target->model, &names);
    struct mt_report report = {target->model, show, resolver, session->out,
                               NULL};
    bool ok = true;

    if (resolver == NULL)
        return mt_fail(error, "out of memory");
    if (a->json)
        mt_print_json(&report);
    else if (a->folded)
        ok = mt_print_folded(&report, error);
    else
        mt_print_table(&report);
    mt_resolver_free(resolver);
    return ok;
}

static int run(struct mt_session *session, int argc, const char *const *argv,
               struct mt_error *error)
{
    struct mt_args args = {.argc = argc, .argv = argv, .options = options};
    struct arguments a = {0};
    struct mt_target target;
    struct mt_show show = {0};
    bool ok;

    if (!parse_all(session, &args, &a, error))
        return MT_EXIT_ERROR;
    if (a.help) {
        mt_command_help(&mt_command_show, session->target == NULL,
                        session->out);
        return MT_EXIT_OK;
    }
    ok = mt_target_open(session, "show", a.target, &target, error) &&
         collect(session, &a, &target, &show, error) &&
         print(session, &a, &target, &show, error);
    mt_show_free(&show);
    mt_target_close(&target);
    return ok ? MT_EXIT_OK : MT_EXIT_ERROR;
}

const struct mt_command mt_command_show = {
    .name = "show",
    .operands = "TARGET",
    .summary = "Show live memory by the call stack that allocated it.",
    .details =
        "Every heap is shown with its base, size and flags, the pages that\n"
        "have memory, its totals, and its stacks, those with the most live\n"
        "bytes first.  Bytes are those that were asked for.  Sample is the\n"
        "address of one live block of the stack.  Frames start with the\n"
        "caller of the allocation function.  What the report does not see\n"
        "(blocks from before tracing, damage, memory missing from a core) is\n"
        "said at its end.  A live process is neither stopped nor slowed;\n"
        "blocks that it allocates or frees meanwhile may be seen or not.\n",
    .options = options,
    .takes_target = true,
    .run = run,
};
