/* SPDX-License-Identifier: BSD-2-Clause
 *
 * cmd_check.c - memtrace check: a program that must not leak.
 */
#include "coreanalyze/check/check_report.h"
#include "coreanalyze/check/untraced.h"
#include "coreanalyze/commands/search_options.h"
#include "coreanalyze/commands/installed.h"
#include "coreanalyze/commands/policy_options.h"
#include "coreanalyze/base/output.h"
#include "coreanalyze/source/module_files.h"
#include "coreanalyze/symbols/symbolize.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

struct arguments {
    struct mt_arguments common;
    struct mt_check check;
    const char *output;
    uint64_t wait_s;
    bool no_ptrace;
};

static bool take_wait(void *seconds, const struct mt_args *args,
                      struct mt_error *error)
{
    return mt_parse_count(seconds, args, error) &&
           (*(uint64_t *)seconds <= 1000000 ||
            mt_fail(error, "check: --wait takes up to 1000000 seconds"));
}

static const struct mt_option options[] = {
    {"--fail-on", 0, "KINDS",
     "kinds that fail the check: definite (the default), indirect, possible, "
     "reachable, all or none",
     MT_FIELD(mt_parse_kinds, unsigned, check.policy.fail_on)},
    {"--show-kinds", 0, "KINDS",
     "kinds to show as well (default: definite,possible)",
     MT_FIELD(mt_parse_kinds, unsigned, check.leaks.kinds)},
    {"--max-bytes", 0, "BYTES", "allow up to BYTES of leaks per process",
     MT_FIELD(mt_parse_bytes, uint64_t, check.policy.max_bytes)},
    {"--max-per-stack", 0, "BYTES", "ignore stacks that leak at most BYTES",
     MT_FIELD(mt_parse_bytes, uint64_t, check.policy.max_per_stack)},
    {"--top", 'n', "N",
     "the first N rows of a process (default: 20, or all with --full or "
     "--json); 0: all",
     MT_FIELD(mt_parse_count, uint64_t, check.top)},
    {"--depth", 0, "N", "merge stacks whose N innermost frames are the same",
     MT_FIELD(mt_parse_depth, unsigned, check.leaks.show.depth)},
    MT_OPTION_HEURISTICS(check.leaks.mark.scan.heuristics),
    MT_OPTION_TAG_BITS(check.leaks.mark.scan),
    {"--wait", 0, "SECONDS",
     "wait up to SECONDS for processes that outlive the program (default: 5)",
     MT_FIELD(take_wait, uint64_t, wait_s)},
    {"--no-ptrace", 0, NULL,
     "look at processes by their exit hooks: for programs that trace others",
     MT_FIELD(mt_parse_flag, bool, no_ptrace)},
    {"--output", 'o', "FILE", "write the report to FILE, not standard error",
     MT_FIELD(mt_parse_text, const char *, output)},
    {"--verbose", 'v', NULL, "report processes that pass, too",
     MT_FIELD(mt_parse_flag, bool, check.verbose)},
    MT_OPTIONS_STYLE,
    MT_OPTION_JSON,
    MT_POLICY_OPTIONS(check.policy),
    MT_OPTION_DEBUG_DIR,
    MT_OPTION_SYSROOT,
    {0},
};

static int exit_status(enum mt_result result, int status)
{
    if (WIFSIGNALED(status))
        return 128 + WTERMSIG(status);
    if (WEXITSTATUS(status) != 0)
        return WEXITSTATUS(status);
    return mt_exit_of(result);
}

/* Runs the program, and writes what all of it comes to. */
static int run_program(struct arguments *a, char *const *program,
                       const char *preload, FILE *annotations,
                       struct mt_error *error)
{
    struct mt_check *check = &a->check;
    struct mt_check_events events = {.ended = mt_check_exited,
                                     .lost = mt_check_lost,
                                     .context = check,
                                     .no_ptrace = a->no_ptrace,
                                     .wait_s = (unsigned)a->wait_s,
                                     .command = "check",
                                     .settings = "clean=on"};
    struct mt_check_end end;
    struct mt_ci ci = {.tool = "memtrace check",
                       .argv = (const char *const *)program};
    enum mt_result result;
    struct mt_error no_folder = {0};
    const char *sanitizer = mt_untraced_program(program[0]);
    char *folder, *setting;

    /* LeakSanitizer cannot work under a tracer. */
    if (sanitizer) {
        events.no_ptrace = true;
        snprintf(check->why_untraced, sizeof check->why_untraced,
                 "it is built with %s, whose allocator serves it", sanitizer);
    }
    /* Only where ptrace is refused is it missed. */
    folder = mt_check_folder(&setting, &no_folder);
    events.unfollowed = setting;
    mt_check_begin(check);
    ci.ended = mt_check_run(program, preload, &events, &end, error);
    ci.pid = end.pid;
    ci.status = end.status;
    check->unfollowed = ci.ended && !end.followed;
    if (folder)
        mt_check_files(check, folder, &end);
    else if (check->unfollowed)
        mt_check_lost(check, (pid_t)end.pid, no_folder.text);
    free(folder);
    free(setting);
    /* The error says all about a program that did not start. */
    if (!ci.ended && !check->json)
        return error->status;
    result = mt_check_finish(check);
    if (!ci.ended)
        return error->status;
    if (!mt_policy_finish(&check->policy, &ci, annotations, error))
        return MT_EXIT_ERROR;
    return exit_status(result, end.status);
}

/* Each process takes about the same memory: what one gave back need not go to
 * the kernel in between. */
#define KEPT_BYTES (16 << 20)

static int check_program(struct arguments *a, char *const *program,
                         FILE *annotations, struct mt_error *error)
{
    struct mt_output output = {.file = stderr, .path = "standard error"};
    char preload[PATH_MAX];
    int status;

    mallopt(M_MMAP_THRESHOLD, KEPT_BYTES / 4);
    mallopt(M_TRIM_THRESHOLD, KEPT_BYTES);
    if (!mt_installed_preload("check", preload, error))
        return MT_EXIT_ERROR;
    if (strpbrk(preload, ": ")) {
        mt_fail(error, "check: LD_PRELOAD cannot hold the path %s", preload);
        return MT_EXIT_ERROR;
    }
    if (!mt_policy_begin(&a->check.policy, error) ||
        (a->output && !mt_output_open(&output, a->output, 0666, error)))
        return MT_EXIT_ERROR;
    a->check.out = output.file;
    /* A report is written at once: it is flushed after each process. */
    if (!a->output)
        setvbuf(stderr, NULL, _IOFBF, BUFSIZ);
    if (!mt_arguments_style(&a->common.style, output.file, &a->check.style,
                            error))
        return MT_EXIT_ERROR;
    if (!a->check.style.full && !a->common.json)
        a->check.columns = mt_terminal_columns(output.file);
    status = run_program(a, program, preload, annotations, error);
    if (a->output) {
        struct mt_error close_error = {0};
        bool is_report = !error->text[0] || ftello(output.file) > 0;
        if (!mt_output_close(&output, is_report, &close_error) && is_report) {
            *error = close_error;
            status = MT_EXIT_ERROR;
        }
    }
    if (!a->output && (fflush(stderr) != 0 || ferror(stderr)) &&
        status != MT_EXIT_ERROR) {
        mt_fail(error, "check: cannot write the report on standard error");
        status = MT_EXIT_ERROR;
    }
    return status;
}

static int cmd_check_run(struct mt_session *session, int argc,
                         const char *const *argv, struct mt_error *error)
{
    struct arguments a = {.check = {.policy.fail_on = 1u << MT_LEAK_DEFINITE,
                                    .leaks = {.kinds = 1u << MT_LEAK_DEFINITE |
                                                       1u << MT_LEAK_POSSIBLE},
                                    .top = UINT64_MAX},
                          .wait_s = 5};
    int status;

    mt_mark_defaults(session, &a.check.leaks.mark);
    mt_installed_suppressions(a.check.policy.defaults);
    a.check.leaks.mark.progress = NULL;
    if (!mt_arguments_read(session, &mt_command_check, argc, argv, &a, &status,
                           error))
        return status;
    a.check.leaks.kinds |= a.check.policy.fail_on;
    a.check.json = a.common.json;
    /* As in `leaks`: a person reads the largest; scripts get all. */
    if (a.check.top == UINT64_MAX)
        a.check.top = a.common.style.full || a.common.json ? 0 : MT_STYLE_ROWS;
    a.check.names =
        (struct mt_resolver_options){.debug_dirs = a.common.places.debug_dirs,
                                     .sysroot = a.common.places.sysroot};
    /* Without it, each process has its own. */
    a.check.names.modules = mt_resolver_modules(&a.check.names);
    a.check.files = mt_module_files_new();
    status = check_program(&a, (char *const *)(uintptr_t)a.common.rest,
                           session->out, error);
    mt_symbolizer_free(a.check.names.modules);
    mt_module_files_free(a.check.files);
    mt_policy_free(&a.check.policy);
    return status;
}

const struct mt_command mt_command_check = {
    .name = "check",
    .operands = "-- PROGRAM [ARGUMENT...]",
    .summary = "Run a program and look for leaks where it ends.",
    .details =
        "The program runs on the traced heap.  When it or one of its children\n"
        "ends, by return, _exit, abort or any signal, its memory is searched\n"
        "as `memtrace leaks` does it, before the kernel takes it away.\n"
        "Each process gets one of three results: passed, leaks, or not\n"
        "checked.  A crash is reported with its stack.\n"
        "The exit status is the program's if it is not 0 (128 + N for signal\n"
        "N), otherwise 23 if any process leaks, and 24 if any process was not\n"
        "checked.\n",
    .options = options,
    .run = cmd_check_run,
};
