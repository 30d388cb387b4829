/* SPDX-License-Identifier: BSD-2-Clause
 *
 * cmd_check.c - memtrace check: a program that must not leak.
 */
#include "coreanalyze/check_report.h"
#include "coreanalyze/cmd_leaks.h"
#include "coreanalyze/cmd_show.h"
#include "coreanalyze/command.h"
#include "coreanalyze/installed.h"

#include <errno.h>
#include <string.h>
#include <sys/wait.h>

enum {
    OPT_FAIL_ON,
    OPT_KINDS,
    OPT_MAX_BYTES,
    OPT_MAX_STACK,
    OPT_TOP,
    OPT_DEPTH,
    OPT_HEURISTICS,
    OPT_TAG_BITS,
    OPT_WAIT,
    OPT_OUTPUT,
    OPT_JSON,
};

static const struct mt_option options[] = {
    [OPT_FAIL_ON] = {"--fail-on", 0, "KINDS",
                     "kinds that fail the check: definite (the default), "
                     "indirect, possible, reachable, all or none"},
    [OPT_KINDS] = {"--show-kinds", 0, "KINDS",
                   "kinds to show besides (default: definite,possible)"},
    [OPT_MAX_BYTES] = {"--max-bytes", 0, "BYTES",
                       "so many bytes of a process do not fail it"},
    [OPT_MAX_STACK] = {"--max-per-stack", 0, "BYTES",
                       "rows with at most so many bytes do not count"},
    [OPT_TOP] = {"--top", 'n', "N", "show the first N rows of a process"},
    [OPT_DEPTH] = {"--depth", 0, "N",
                   "merge stacks whose N innermost frames are the same"},
    [OPT_HEURISTICS] = {"--heuristics", 0, "NAMES",
                        "inner pointers that count, as for leaks"},
    [OPT_TAG_BITS] = {"--tag-bits", 0, "low=N,high=N",
                      "bits of pointers that may hold tags"},
    [OPT_WAIT] = {"--wait", 0, "SECONDS",
                  "wait so long for processes that outlive the program "
                  "(default: 5)"},
    [OPT_OUTPUT] = {"--output", 'o', "FILE",
                    "the report goes here (default: standard error)"},
    [OPT_JSON] = {"--json", 0, NULL, "JSON instead of text"},
    {0},
};

struct arguments {
    struct mt_check check;
    const char *output;
    uint64_t wait_s;
    bool help;
};

static bool take_option(struct arguments *a, const struct mt_args *args,
                        int option, struct mt_error *error)
{
    struct mt_check *check = &a->check;

    switch (option) {
    case OPT_FAIL_ON:
        return mt_take_kinds(args, &check->fail_on, error);
    case OPT_KINDS:
        return mt_take_kinds(args, &check->leaks.kinds, error);
    case OPT_MAX_BYTES:
        return mt_arg_bytes(args, "--max-bytes", &check->max_bytes, error);
    case OPT_MAX_STACK:
        return mt_arg_bytes(args, "--max-per-stack", &check->max_per_stack,
                            error);
    case OPT_TOP:
        return mt_arg_count(args, "--top", &check->top, error);
    case OPT_DEPTH:
        return mt_take_depth(args, &check->leaks.show.depth, error);
    case OPT_HEURISTICS:
        return mt_take_heuristics(args, &check->leaks.mark.scan.heuristics,
                                  error);
    case OPT_TAG_BITS:
        return mt_take_tag_bits(args, &check->leaks.mark.scan, error);
    case OPT_WAIT:
        if (!mt_arg_count(args, "--wait", &a->wait_s, error))
            return false;
        return a->wait_s <= 1000000 ||
               mt_fail(error, "check: --wait takes up to 1000000 seconds");
    case OPT_OUTPUT:
        a->output = args->value;
        return true;
    default:
        return check->json = true;
    }
}

static bool parse_all(struct mt_session *session, struct mt_args *args,
                      struct arguments *a, struct mt_error *error)
{
    struct mt_check *check = &a->check;
    int option;

    mt_mark_defaults(session, &check->leaks.mark);
    check->leaks.mark.progress = NULL;
    check->leaks.show.since_s = -1;
    check->leaks.kinds = 1u << MT_LEAK_DEFINITE | 1u << MT_LEAK_POSSIBLE;
    check->fail_on = 1u << MT_LEAK_DEFINITE;
    a->wait_s = 5;
    while ((option = mt_args_next(args, error)) != MT_ARG_END) {
        if (option == MT_ARG_HELP)
            return a->help = true;
        if (option == MT_ARG_ERROR || !take_option(a, args, option, error))
            return false;
    }
    check->leaks.kinds |= check->fail_on;
    if (args->at >= args->argc)
        return mt_fail(error, "check: no PROGRAM");
    return true;
}

static int exit_status(enum mt_check_result result, int status)
{
    static const int statuses[] = {MT_EXIT_OK, MT_EXIT_LEAKS,
                                   MT_EXIT_UNCHECKED};

    if (WIFSIGNALED(status))
        return 128 + WTERMSIG(status);
    if (WEXITSTATUS(status) != 0)
        return WEXITSTATUS(status);
    return statuses[result];
}

static int check_program(struct arguments *a, char *const *program,
                         struct mt_error *error)
{
    struct mt_check_events events = {mt_check_ended, mt_check_lost, &a->check,
                                     (unsigned)a->wait_s};
    char preload[PATH_MAX];
    enum mt_check_result result;
    int status = 0;
    bool ran;

    if (!mt_installed_preload("check", preload, error))
        return MT_EXIT_ERROR;
    if (strpbrk(preload, ": ")) {
        mt_fail(error, "check: LD_PRELOAD cannot hold the path %s", preload);
        return MT_EXIT_ERROR;
    }
    a->check.out = a->output ? fopen(a->output, "we") : stderr;
    if (a->check.out == NULL) {
        mt_fail(error, "check: cannot write %s: %s", a->output,
                strerror(errno));
        return MT_EXIT_ERROR;
    }
    mt_check_begin(&a->check);
    ran = mt_check_run(program, preload, &events, &status, error);
    result = mt_check_finish(&a->check);
    if (fflush(a->check.out) != 0 || ferror(a->check.out)) {
        mt_fail(error, "check: cannot write the report: %s", strerror(errno));
        ran = false;
    }
    if (a->output)
        fclose(a->check.out);
    return ran ? exit_status(result, status) : error->status;
}

static int run(struct mt_session *session, int argc, const char *const *argv,
               struct mt_error *error)
{
    struct mt_args args = {.argc = argc,
                           .argv = argv,
                           .options = options,
                           .stop_at_operand = true};
    struct arguments a = {0};

    if (!parse_all(session, &args, &a, error))
        return MT_EXIT_ERROR;
    if (a.help) {
        mt_command_help(&mt_command_check, true, session->out);
        return MT_EXIT_OK;
    }
    return check_program(&a, (char *const *)(uintptr_t)(argv + args.at), error);
}

const struct mt_command mt_command_check = {
    .name = "check",
    .operands = "-- PROGRAM [ARGUMENT...]",
    .summary = "Run a program and look for leaks where it ends.",
    .details =
        "The program runs on the traced heap.  When it ends, or one of its\n"
        "children does, by return, _exit, abort or any signal, its memory is\n"
        "searched as `memtrace leaks` does it, before the kernel takes it\n"
        "away.  Of each process there is one of three results: clean, leaks,\n"
        "or not checked, and why.\n"
        "The exit status is the program's if it is not 0 (128 + N for signal\n"
        "N); else 23 if any process leaks; else 24 if any was not checked.\n",
    .options = options,
    .run = run,
};
