/* SPDX-License-Identifier: BSD-2-Clause
 *
 * cmd_export.c - memtrace export: a file for another program.
 */
#include "coreanalyze/commands/profile_side.h"
#include "coreanalyze/commands/search_options.h"
#include "coreanalyze/base/output.h"
#include "coreanalyze/export/export.h"

#include <string.h>

struct arguments {
    struct mt_arguments common;
    struct mt_show_options show;
    struct mt_row_arguments rows;
    const char *output, *format;
    bool stop, no_stop, no_peak;
    struct mt_leaks_options leaks; /* of a format that searches */
};

static const struct mt_option options[] = {
    {"--output", 'o', "FILE", "the file to write; -: the standard output",
     MT_FIELD(mt_parse_text, const char *, output)},
    {"--format", 0, "NAME",
     "pprof, folded, speedscope, dhat, massif, callgrind or heapsnapshot "
     "(default: by the "
     "file's name: .pb.gz, .folded, .speedscope.json, .dhat.json, .massif, "
     ".callgrind, .heapsnapshot)",
     MT_FIELD(mt_parse_text, const char *, format)},
    {"--no-peak", 0, NULL,
     "pprof without the figures of the peak: go tool pprof compares only files "
     "of the same types, and those of other tools have four",
     MT_FIELD(mt_parse_flag, bool, no_peak)},
    {"--heap", 0, "NAME", "only this heap",
     MT_FIELD(mt_parse_text, const char *, show.heap)},
    {"--depth", 0, "N", "merge stacks whose N innermost frames are the same",
     MT_FIELD(mt_parse_depth, unsigned, show.depth)},
    MT_OPTIONS_ROWS(rows),
    MT_OPTION_SINCE(show),
    MT_OPTION_OLDER(show),
    {"--stop", 0, NULL, "stop a live process while its memory is read",
     MT_FIELD(mt_parse_flag, bool, stop)},
    {"--no-stop", 0, NULL,
     "do not stop it for heapsnapshot, which searches its memory",
     MT_FIELD(mt_parse_flag, bool, no_stop)},
    MT_OPTION_STOP_TIMEOUT,
    MT_OPTION_DEBUG_DIR,
    MT_OPTION_SYSROOT,
    MT_OPTION_COREDUMP,
    {0},
};

/* Writes with what a search from the roots finds. */
static bool export_put(const struct arguments *a,
                       const struct mt_export_format *format,
                       const struct mt_profile_side *side,
                       struct mt_export *export, struct mt_error *error)
{
    struct mt_resolver_options names =
        mt_arguments_names(&side->session, &a->common.places);
    struct mt_block_printer w;
    struct mt_merged merged = {.n_nodes = 0};
    struct mt_retained_options wanted = {
        .scan = a->leaks.mark.scan,
        .variable = mt_namer_variable,
        .library = mt_namer_library,
        .context = &w.namer,
    };
    struct mt_retained_report holders = {.retained = &merged.retained,
                                         .printer = &w};
    bool ok;

    if (!format->searches)
        return format->write(export, error);
    if (!side->leaks_options)
        return mt_fail(error,
                       "export: a mini-core has no data to search: the "
                       "format %s needs a process or a whole core",
                       format->name);
    if (!mt_block_printer_begin(&w, side->target.model, &merged.retained.roots,
                                &names, NULL, export->out, error))
        return false;
    export->merged = &merged;
    export->holders = &holders;
    ok = mt_merged_run(side->target.model, &wanted, &merged, error) &&
         format->write(export, error);
    mt_merged_free(&merged);
    return mt_block_printer_end(&w, ok ? error : NULL) && ok;
}

static bool export_write(struct mt_session *session, const struct arguments *a,
                         const struct mt_export_format *format,
                         const struct mt_profile_side sides[2],
                         struct mt_error *error)
{
    struct mt_export export = {.out = mt_session_file(session),
                               .no_peak = a->no_peak};
    struct mt_profile_options made[2];
    struct mt_output output;
    bool ok;

    for (unsigned i = 0; i < 2; i++) {
        const struct mt_profile_side *side = &sides[i];
        if (!side->target.model)
            continue;
        made[i] = mt_rows_profiled(&side->rows, &side->report,
                                   format->parts | MT_PROFILE_UNTRACED);
        *(i ? &export.now : &export.old) =
            (struct mt_export_side){side->profile.model ? &side->profile : NULL,
                                    &side->report, &made[i]};
    }
    if (strcmp(a->output, "-") == 0)
        return export_put(a, format, &sides[1], &export, error);
    if (!mt_output_open(&output, a->output, 0666, error))
        return false;
    export.out = output.file;
    ok = export_put(a, format, &sides[1], &export, error);
    ok = mt_output_close(&output, ok, error);
    if (ok)
        mt_output_print(&output, a->output, session->out);
    return ok;
}

static bool export_check(const struct arguments *a,
                         const struct mt_export_format *format, bool compares,
                         struct mt_error *error)
{
    if (!a->output)
        return mt_missing("export", "option -o FILE", error);
    if (!format && a->format)
        return mt_fail(error,
                       "export: unknown format '%s' (pprof, folded, "
                       "speedscope, dhat, massif, callgrind, heapsnapshot)",
                       a->format);
    if (!format)
        return mt_fail(error,
                       "export: '%s' does not end as the files of a format "
                       "do: name it by --format",
                       a->output);
    return !compares || format->compares ||
           mt_fail(error,
                   "export: the format %s has no comparisons: give one "
                   "target",
                   format->name);
}

static int cmd_export_run(struct mt_session *session, int argc,
                          const char *const *argv, struct mt_error *error)
{
    struct arguments a = {.leaks.kinds = (1u << MT_N_LEAK_KINDS) - 1};
    struct mt_profile_side sides[2] = {{.rows = {0}}};
    const struct mt_export_format *format;
    const char *names[2];
    int status;
    bool ok;

    if (!mt_arguments_read(session, &mt_command_export, argc, argv, &a, &status,
                           error))
        return status;
    format = mt_export_find(a.format, a.output);
    mt_mark_defaults(session, &a.leaks.mark);
    a.leaks.show = a.show;
    if (format && format->searches)
        sides[1].leaks_options = &a.leaks;
    for (unsigned i = 0; i < 2; i++)
        sides[i].once = format && !format->searches &&
                        !(format->parts & MT_PROFILE_SAMPLES);
    ok = mt_sides_begin(session, "export", a.common.target, a.common.second,
                        sides, names, error) &&
         export_check(&a, format, names[0] != NULL, error);
    for (unsigned i = 0; ok && i < 2; i++)
        if (i == 1 || names[0])
            ok = mt_side_read(
                &sides[i], "export", names[i], &a.show, &a.rows, &a.common,
                sides[i].leaks_options ? !a.no_stop : a.stop, error);
    for (unsigned i = 0; ok && i < 2; i++)
        if (i == 1 || names[0])
            ok = !format->parts || (format->by_rows && !names[0])
                     ? mt_side_report(&sides[i], &a.common, error)
                     : mt_side_profile(&sides[i], &a.common,
                                       format->parts | MT_PROFILE_UNTRACED,
                                       error);
    ok = ok && export_write(session, &a, format, sides, error);
    for (unsigned i = 0; i < 2; i++)
        ok = mt_side_close(&sides[i], ok, error);
    return ok ? MT_EXIT_OK : MT_EXIT_ERROR;
}

const struct mt_command mt_command_export = {
    .name = "export",
    .operands = "TARGET -o FILE | OLD NEW -o FILE",
    .debugger_operands = "[OLD] -o FILE",
    .summary = "Write live memory by stack as a file of another program.",
    .details =
        "    pprof       go tool pprof, Pyroscope: live and lifetime figures,\n"
        "                modules, inlined functions, threads and heaps\n"
        "    folded      flamegraph.pl, inferno: live bytes\n"
        "    speedscope  speedscope.app\n"
        "    dhat        dh_view.html of Valgrind: \"t-end\" is what is live,\n"
        "                \"t-gmax\" the peak\n"
        "    massif      ms_print, massif-visualizer: live bytes over time, "
        "with\n"
        "                the stacks at the peak and now\n"
        "    callgrind   callgrind_annotate, KCachegrind\n"
        "    heapsnapshot Chrome's DevTools, memlab: who holds what, with the\n"
        "                blocks of a stack as one object\n"
        "Blocks that were allocated while tracing was off are in it as\n"
        "[untraced].  With two targets, pprof has the difference, folded and\n"
        "speedscope have both, massif has two snapshots.\n",
    .options = options,
    .takes_target = true,
    .operand = mt_arguments_take_second,
    .run = cmd_export_run,
};
