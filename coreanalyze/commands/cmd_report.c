/* SPDX-License-Identifier: BSD-2-Clause
 *
 * cmd_report.c - memtrace report: a page for a browser.
 */
#include "coreanalyze/commands/profile_side.h"
#include "coreanalyze/commands/search_options.h"
#include "coreanalyze/base/output.h"
#include "coreanalyze/check/crash.h"
#include "coreanalyze/check/policy.h"
#include "coreanalyze/page/page.h"
#include "coreanalyze/reports/print_leaks.h"
#include "coreanalyze/reports/print_retained.h"
#include "coreanalyze/reports/print_timeline.h"

#include "config.h"

#include <stdlib.h>
#include <string.h>

#define REPORT_HOLDERS 50u /* roots, blocks and stacks of the page */

struct arguments {
    struct mt_arguments common;
    struct mt_leaks_options leaks;
    struct mt_row_arguments rows;
    const char *output;
    bool no_leaks, no_stop;
};

static const struct mt_option options[] = {
    {"--output", 'o', "FILE", "the file to write; -: the standard output",
     MT_FIELD(mt_parse_text, const char *, output)},
    {"--no-leaks", 0, NULL,
     "search for neither leaks nor holders: the process is not stopped",
     MT_FIELD(mt_parse_flag, bool, no_leaks)},
    {"--heap", 0, "NAME", "only this heap",
     MT_FIELD(mt_parse_text, const char *, leaks.show.heap)},
    MT_OPTIONS_ROWS(rows),
    MT_OPTION_SINCE(leaks.show),
    MT_OPTION_OLDER(leaks.show),
    MT_OPTION_HEURISTICS(leaks.mark.scan.heuristics),
    MT_OPTION_TAG_BITS(leaks.mark.scan),
    MT_OPTION_NO_STOP,
    MT_OPTION_STOP_TIMEOUT,
    MT_OPTION_READ_SWAPPED,
    MT_OPTION_DEBUG_DIR,
    MT_OPTION_SYSROOT,
    MT_OPTION_COREDUMP,
    {0},
};

/* --- the parts of the page --- */

static void report_put_search(void *context, struct mt_json *json)
{
    const struct mt_profile_side *side = context;
    struct mt_policy policy = {.fail_on = 1u << MT_LEAK_DEFINITE};
    struct mt_facts facts =
        mt_policy_facts(NULL, side->target.model, &side->leaks);
    struct mt_verdict verdict = mt_policy_decide(&policy, &facts);

    mt_json_put_leak_sums(json, &side->leaks);
    mt_json_put_checked(json, &side->report, &side->leaks, &verdict);
}

static bool report_put_profile(struct mt_page *page, const char *id,
                               struct mt_profile_side *side,
                               struct mt_error *error)
{
    bool searched = side->leaks_options != NULL;

    side->report.out = mt_page_data(page, id, error);
    if (!side->report.out)
        return false;
    mt_print_json2(&side->report, &side->profile, searched ? "leaks" : "show",
                   searched ? report_put_search : NULL, side);
    return mt_page_data_end(page, side->report.out, error);
}

/* The stacks of the page, in its order; NULL when out of memory. */
static uint32_t *report_stacks(const struct mt_profile *profile)
{
    uint32_t *stacks = calloc(profile->n_samples + 1, sizeof *stacks);

    for (size_t i = 0; stacks && i < profile->n_samples; i++)
        stacks[i] = profile->samples[i].stack;
    return stacks;
}

static bool report_put_holders(struct mt_page *page,
                               const struct mt_profile_side *side,
                               const struct arguments *a,
                               struct mt_error *error)
{
    struct mt_retained retained = {0};
    struct mt_resolver_options names =
        mt_arguments_names(&side->session, &a->common.places);
    struct mt_block_printer w;
    struct mt_retained_options wanted = {
        .scan = a->leaks.mark.scan,
        .top = REPORT_HOLDERS,
        .variable = mt_namer_variable,
        .library = mt_namer_library,
        .context = &w.namer,
    };
    struct mt_retained_report report = {
        .retained = &retained, .printer = &w, .top = REPORT_HOLDERS};
    uint32_t *stacks = report_stacks(&side->profile);
    FILE *out = mt_page_data(page, "holders", error);
    bool ok;

    if (!out || !stacks) {
        free(stacks);
        return out ? mt_page_data_end(page, out, NULL) &&
                         mt_no_memory(error, "the holders")
                   : false;
    }
    report.held_stacks = stacks;
    report.n_held_stacks = side->profile.n_samples;
    ok = mt_block_printer_begin(&w, side->target.model, &retained.roots, &names,
                                NULL, out, error);
    if (ok) {
        ok = mt_retained_run(side->target.model, &wanted, &retained, error) &&
             mt_print_retained_json(&report, error);
        mt_retained_free(&retained);
        ok = mt_block_printer_end(&w, ok ? error : NULL) && ok;
    }
    free(stacks);
    return mt_page_data_end(page, out, ok ? error : NULL) && ok;
}

/* What the report does not see, as an array of lines. */
static bool report_put_notes(const struct mt_profile_side *side,
                             struct mt_json *json, struct mt_error *error)
{
    struct mt_report report = side->report;
    char *text = NULL, *line, *rest = NULL;
    size_t bytes;

    report.out = open_memstream(&text, &bytes);
    if (!report.out)
        return mt_no_memory(error, "the page");
    if (side->leaks_options)
        mt_print_leak_notes(&report, &side->leaks, "");
    mt_print_notes(&report, "");
    if (fclose(report.out) != 0) {
        free(text);
        return mt_no_memory(error, "the page");
    }
    mt_json_open(json, "notes", '[');
    for (line = strtok_r(text, "\n", &rest); line;
         line = strtok_r(NULL, "\n", &rest))
        mt_json_string(json, NULL, line);
    mt_json_close(json, ']');
    free(text);
    return true;
}

static bool report_put_extra(struct mt_page *page,
                             const struct mt_profile_side *side,
                             const char *target, struct mt_error *error)
{
    const struct mt_process *process = &side->target.source->process;
    struct mt_findings findings = {0};
    struct mt_crash crash = {0};
    FILE *out = mt_page_data(page, "extra", error);
    struct mt_json json = {.out = out, .exact = true};
    bool ok;

    if (!out)
        return false;
    if (process->kind == MT_SOURCE_CORE && process->signal &&
        mt_findings_init(&findings, NULL)) {
        mt_crash_find(&findings, side->report.resolver, side->target.source,
                      NULL, &crash);
        mt_crash_explain(&findings, side->report.resolver, side->target.model,
                         &crash);
    }
    mt_json_open(&json, NULL, '{');
    mt_json_string(&json, "memtrace", PACKAGE_VERSION);
    mt_json_string(&json, "gdb", MT_GDB);
    mt_json_string(&json, "target", target);
    mt_json_u64(&json, "rss_bytes", process->rss_bytes);
    mt_json_u64(&json, "peak_rss_bytes", process->peak_rss_bytes);
    mt_json_bool(&json, "searched", side->leaks_options != NULL);
    mt_json_put_timeline(&json, &side->report);
    mt_crash_json(&crash, &json);
    ok = report_put_notes(side, &json, error);
    mt_json_close(&json, '}');
    free(crash.frames);
    free(crash.brief);
    ok = ok && (!findings.out_of_memory || mt_no_memory(error, "the crash"));
    mt_findings_free(&findings);
    return mt_page_data_end(page, out, ok ? error : NULL) && ok;
}

static bool report_write(struct mt_profile_side sides[2],
                         const struct arguments *a, const char *const names[2],
                         FILE *out, struct mt_error *error)
{
    const struct mt_process *process = &sides[1].target.source->process;
    bool is_file = strcmp(a->output, "-") != 0;
    struct mt_page page;
    char title[256];
    bool ok;

    snprintf(title, sizeof title, "%s: memory by stack", process->name);
    ok = mt_page_begin(&page, out, is_file ? a->output : "standard output",
                       title, error) &&
         report_put_profile(&page, "data", &sides[1], error) &&
         (!names[0] || report_put_profile(&page, "old", &sides[0], error)) &&
         (!sides[1].leaks_options ||
          report_put_holders(&page, &sides[1], a, error)) &&
         report_put_extra(&page, &sides[1], names[1], error);
    if (ok)
        mt_page_end(&page);
    return ok;
}

static bool report_write_file(struct mt_session *session,
                              struct mt_profile_side sides[2],
                              const struct arguments *a,
                              const char *const names[2],
                              struct mt_error *error)
{
    struct mt_output output;
    bool ok;

    if (strcmp(a->output, "-") == 0)
        return report_write(sides, a, names, session->out, error);
    if (!mt_output_open(&output, a->output, 0666, error))
        return false;
    ok = report_write(sides, a, names, output.file, error);
    ok = mt_output_close(&output, ok, error);
    if (ok)
        mt_output_print(&output, a->output, session->out);
    return ok;
}

static int cmd_report_run(struct mt_session *session, int argc,
                          const char *const *argv, struct mt_error *error)
{
    struct arguments a = {
        .leaks = {.kinds = (1u << MT_N_LEAK_KINDS) - 1, .show.classes = true}};
    struct mt_profile_side sides[2] = {{.rows = {0}}};
    const char *names[2];
    int status;
    bool ok;

    mt_mark_defaults(session, &a.leaks.mark);
    if (!mt_arguments_read(session, &mt_command_report, argc, argv, &a, &status,
                           error))
        return status;
    a.leaks.show.threads = true;
    if (!a.no_leaks)
        sides[1].leaks_options = &a.leaks;
    ok = (a.output || mt_missing("report", "option -o FILE", error)) &&
         mt_sides_begin(session, "report", a.common.target, a.common.second,
                        sides, names, error);
    for (unsigned i = 0; ok && i < 2; i++)
        if (i == 1 || names[0])
            ok = mt_side_read(&sides[i], "report", names[i], &a.leaks.show,
                              &a.rows, &a.common,
                              i == 1 && !a.no_stop && !a.no_leaks, error);
    for (unsigned i = 0; ok && i < 2; i++)
        if (i == 1 || names[0])
            ok = mt_side_profile(&sides[i], &a.common,
                                 MT_PROFILE_PATHS | MT_PROFILE_SAMPLES, error);
    ok = ok && report_write_file(session, sides, &a, names, error);
    for (unsigned i = 0; i < 2; i++)
        ok = mt_side_close(&sides[i], ok, error);
    return ok ? MT_EXIT_OK : MT_EXIT_ERROR;
}

const struct mt_command mt_command_report = {
    .name = "report",
    .operands = "TARGET -o FILE | OLD NEW -o FILE",
    .debugger_operands = "[OLD] -o FILE",
    .summary = "Write a page for a browser: what holds memory, and who.",
    .details =
        "The page is one file that loads nothing else; open it in a browser.\n"
        "It begins with a summary and suspects; views are a flame graph,\n"
        "functions, holders, leaks, size classes, threads, a crash, and with\n"
        "two targets what grew.  A live process is stopped while its memory\n"
        "is read once for the search; --no-leaks leaves that out.\n",
    .options = options,
    .takes_target = true,
    .operand = mt_arguments_take_second,
    .run = cmd_report_run,
};
