/* SPDX-License-Identifier: BSD-2-Clause
 *
 * cmd_leaks.c - memtrace leaks: what nothing reaches any more.
 */
#include "coreanalyze/commands/installed.h"
#include "coreanalyze/commands/search_options.h"
#include "coreanalyze/commands/policy_options.h"
#include "coreanalyze/commands/row_options.h"
#include "coreanalyze/names/exit_calls.h"
#include "coreanalyze/reports/print_leaks.h"

#include <string.h>

struct arguments {
    struct mt_arguments common;
    struct mt_leaks_options leaks;
    struct mt_policy policy;
    uint64_t top, min_bytes; /* of the rows that the policy lets through */
    bool fail, no_stop;
    struct mt_row_arguments row_arguments;
    struct mt_rows rows;
    struct mt_style style; /* out of common.style */
    struct mt_verdict verdict;
};

static bool cmd_leaks_take_mappings(void *member, const struct mt_args *args,
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

    if (!mt_parse_count(&n, args, error))
        return false;
    if (n == 0 || n > 64)
        return mt_fail(error, "leaks: --threads takes 1 to 64, not '%s'",
                       args->value);
    *(unsigned *)member = (unsigned)n;
    return true;
}

static const struct mt_option options[] = {
    {"--heap", 0, "NAME", "only blocks of this heap",
     MT_FIELD(mt_parse_text, const char *, leaks.show.heap)},
    {"--show-kinds", 0, "KINDS",
     "definite, indirect, possible, reachable, or all "
     "(default: definite,possible)",
     MT_FIELD(mt_parse_kinds, unsigned, leaks.kinds)},
    {"--top", 'n', "N",
     "the first N rows (default: 20, or all with --full, --json or "
     "--folded); 0: all",
     MT_FIELD(mt_parse_count, uint64_t, leaks.show.top)},
    {"--min", 0, "BYTES",
     "show only stacks that lost at least BYTES, indirect ones included",
     MT_FIELD(mt_parse_bytes, uint64_t, leaks.show.min_bytes)},
    {"--depth", 0, "N", "merge stacks whose N innermost frames are the same",
     MT_FIELD(mt_parse_depth, unsigned, leaks.show.depth)},
    {"--sort", 0, "KEY",
     "inside a kind: bytes (the default), count, age, allocs or lifetime",
     MT_FIELD(mt_parse_sort, enum mt_show_sort, leaks.show.sort)},
    MT_OPTIONS_ROWS(row_arguments),
    MT_OPTION_BY(row_arguments),
    MT_OPTION_SINCE(leaks.show),
    MT_OPTION_OLDER(leaks.show),
    MT_OPTION_HEURISTICS(leaks.mark.scan.heuristics),
    MT_OPTION_TAG_BITS(leaks.mark.scan),
    {"--mappings", 0, "roots|nodes",
     "writable mappings of no module: roots (the default), or only if "
     "something points to them",
     MT_FIELD(cmd_leaks_take_mappings, bool, leaks.roots.mappings_are_nodes)},
    {"--threads", 0, "N", "processors to use (default: all there are)",
     MT_FIELD(take_threads, unsigned, leaks.mark.threads)},
    {"--fail", 0, NULL,
     "exit with 23 if the result is leaks, with 24 if it is not checked",
     MT_FIELD(mt_parse_flag, bool, fail)},
    MT_OPTION_NO_STOP,
    MT_OPTION_STOP_TIMEOUT,
    MT_OPTION_READ_SWAPPED,
    {"--times", 0, NULL,
     "print how long the search took, and how much was searched in all",
     MT_FIELD(mt_parse_flag, bool, leaks.times)},
    MT_OPTIONS_STYLE,
    MT_OPTION_JSON_VERSION,
    MT_OPTION_FOLDED,
    MT_POLICY_OPTIONS(policy),
    MT_OPTION_DEBUG_DIR,
    MT_OPTION_SYSROOT,
    MT_OPTION_COREDUMP,
    {0},
};

static void cmd_leaks_cut(struct mt_show *show, uint64_t min_bytes,
                          uint64_t top)
{
    size_t kept = 0;

    for (size_t i = 0; i < show->n_rows; i++)
        if (show->rows[i].bytes + show->rows[i].indirect_bytes >= min_bytes &&
            (top == 0 || kept < top))
            show->rows[kept++] = show->rows[i];
    show->n_rows = kept;
}

/* Decides by suppressions and baseline.  --top and --min are of what is left.
 */
static bool cmd_leaks_judge(struct arguments *a, const struct mt_report *report,
                            struct mt_leaks *leaks, struct mt_error *error)
{
    const struct mt_process *process = &report->model->source->process;
    struct mt_findings *findings = &a->policy.findings;
    struct mt_findings_process *p = mt_findings_add(findings);

    if (p == NULL)
        return mt_no_memory(error, "the findings");
    *p = (struct mt_findings_process){
        .pid = process->pid ? process->pid : report->model->pid,
        .command = mt_findings_text(findings, process->command),
        .exe = mt_findings_text(findings, process->exe),
    };
    if (!mt_policy_judge(&a->policy, p, report, leaks, error))
        return false;
    cmd_leaks_cut(&leaks->show, a->min_bytes, a->top);
    return true;
}

struct cmd_leaks_json {
    struct arguments *arguments;
    const struct mt_report *report;
    const struct mt_leaks *leaks;
};

static void cmd_leaks_put_more(void *context, struct mt_json *json)
{
    const struct cmd_leaks_json *c = context;

    mt_json_put_leak_sums(json, c->leaks);
    mt_json_put_checked(json, c->report, c->leaks, &c->arguments->verdict);
    mt_policy_json(&c->arguments->policy, json);
}

/* The report; what the filter takes out has counted for the result. */
static bool cmd_leaks_put(struct arguments *a, const struct mt_report *report,
                          struct mt_leaks *leaks, struct mt_error *error)
{
    struct mt_json json = {.out = report->out};
    struct cmd_leaks_json more = {a, report, leaks};

    mt_rows_filter(&a->rows, report, &leaks->show);
    if (a->common.json == 2)
        return mt_rows_json2(&a->rows, report, "leaks", cmd_leaks_put_more,
                             &more, error);
    if (a->common.json) {
        mt_json_open(&json, NULL, '{');
        mt_json_u64(&json, "version", 1);
        mt_json_put_leaks(&json, report, leaks, &a->verdict);
        mt_policy_json(&a->policy, &json);
        mt_json_close(&json, '}');
        return true;
    }
    if (a->common.folded)
        return mt_print_folded(report, error);
    if (a->row_arguments.by != MT_BY_STACK &&
        !mt_rows_print_groups(&a->rows, report, error))
        return false;
    if (a->row_arguments.by != MT_BY_STACK)
        leaks->show.n_rows = leaks->show.n_all_rows = 0;
    mt_print_leaks(report, leaks, &a->verdict);
    mt_policy_print(&a->policy, report->out);
    return true;
}

static bool cmd_leaks_print(struct mt_session *session, struct arguments *a,
                            struct mt_report *report, struct mt_leaks *leaks,
                            struct mt_error *error)
{
    struct mt_ci ci = {.tool = "memtrace leaks"};
    struct mt_findings_process *p = NULL;
    struct mt_facts facts;

    if (a->policy.wanted) {
        if (!cmd_leaks_judge(a, report, leaks, error))
            return false;
        p = &a->policy.findings.processes[0];
    }
    facts = mt_policy_facts(p, report->model, leaks);
    a->verdict = mt_policy_decide(&a->policy, &facts);
    if (p) {
        p->result = a->verdict.result;
        if (a->verdict.why[0])
            p->why = mt_findings_text(&a->policy.findings, a->verdict.why);
    }
    if (!cmd_leaks_put(a, report, leaks, error))
        return false;
    if (!a->policy.wanted)
        return true;
    ci.pid = p->pid;
    return mt_policy_finish(&a->policy, &ci, session->out, error);
}

/* Searches, and prints what is found. */
static bool cmd_leaks_search(struct mt_session *session, struct arguments *a,
                             struct mt_target *target, struct mt_leaks *leaks,
                             struct mt_error *error)
{
    struct mt_resolver *resolver;
    struct mt_thread *threads;
    bool ok;

    if (!mt_policy_own(&a->policy, target->model, error))
        return false;
    if (a->policy.wanted) {
        a->top = a->leaks.show.top;
        a->min_bytes = a->leaks.show.min_bytes;
        a->leaks.show.top = a->leaks.show.min_bytes = 0;
        a->leaks.kinds |= a->policy.fail_on;
    }
    resolver =
        mt_arguments_resolver(session, &a->common.places, target->model, error);
    if (resolver == NULL)
        return false;
    threads = mt_leave_exit_calls(resolver, target->source);
    ok = mt_leaks_run(target->model, &a->leaks, leaks, error);
    mt_reenter_exit_calls(target->source, threads);
    if (!ok) {
        mt_resolver_finish(resolver, NULL);
        return false;
    }
    /* The rest of the work needs no memory that changes. */
    if (target->source->ops->resume)
        target->source->ops->resume(target->source);
    struct mt_report report = {target->model, &leaks->show,       resolver,
                               session->out,  mt_leak_kind_names, &a->style};
    ok = cmd_leaks_print(session, a, &report, leaks, error);
    return mt_resolver_finish(resolver, ok ? error : NULL) && ok;
}

static int cmd_leaks_run(struct mt_session *session, int argc,
                         const char *const *argv, struct mt_error *error)
{
    struct arguments a = {
        .leaks = {.kinds = 1u << MT_LEAK_DEFINITE | 1u << MT_LEAK_POSSIBLE,
                  .show.top = UINT64_MAX},
        .policy = {.fail_on = 1u << MT_LEAK_DEFINITE}};
    struct mt_target target = {0};
    struct mt_leaks leaks = {0};
    int status;

    mt_mark_defaults(session, &a.leaks.mark);
    mt_installed_suppressions(a.policy.defaults);
    if (!mt_arguments_read(session, &mt_command_leaks, argc, argv, &a, &status,
                           error)) {
        mt_policy_free(&a.policy);
        return status;
    }
    status = MT_EXIT_ERROR;
    /* A person reads the largest; scripts get all. */
    if (a.leaks.show.top == UINT64_MAX)
        a.leaks.show.top =
            a.common.style.full || a.common.json || a.common.folded
                ? 0
                : MT_STYLE_ROWS;
    if (mt_rows_begin(&a.rows, &a.row_arguments, &a.common, &a.leaks.show,
                      error) &&
        mt_session_style(session, &a.common.style, &a.style, error) &&
        mt_policy_begin(&a.policy, error) &&
        mt_target_captured(session, "leaks", a.common.target, !a.no_stop,
                           &a.leaks.mark.scan, &target, error) &&
        cmd_leaks_search(session, &a, &target, &leaks, error))
        status = MT_EXIT_OK;
    if (status == MT_EXIT_OK && a.fail)
        status = mt_exit_of(a.verdict.result);
    if (a.fail && target.source && target.source->process.mini)
        status = MT_EXIT_UNCHECKED;
    mt_rows_end(&a.rows);
    mt_leaks_free(&leaks);
    mt_target_close(&target);
    mt_policy_free(&a.policy);
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
        "lost blocks do (it is counted with the one that leads to it, in the\n"
        "columns after Indirect), possibly lost if each chain to it has a\n"
        "pointer to the inside of a block, and otherwise still reachable.\n"
        "A live process is stopped while its memory is read once.  The end of\n"
        "the report lists what could not be searched, and the result: passed,\n"
        "leaks, or not checked.\n",
    .options = options,
    .takes_target = true,
    .run = cmd_leaks_run,
};
