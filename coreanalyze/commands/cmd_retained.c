/* SPDX-License-Identifier: BSD-2-Clause
 *
 * cmd_retained.c - memtrace retained: what roots, blocks and stacks hold alone.
 */
#include "coreanalyze/commands/search_options.h"
#include "coreanalyze/names/short_name.h"
#include "coreanalyze/reports/print_retained.h"

struct arguments {
    struct mt_arguments common;
    struct mt_scan_options scan;
    uint64_t top;
    bool no_stop, inner;
};

static const struct mt_option options[] = {
    {"--top", 'n', "N",
     "only the first N roots, blocks and stacks "
     "(default: 10; 0: all roots and stacks)",
     MT_FIELD(mt_parse_count, uint64_t, top)},
    {"--inner", 0, NULL, "also list blocks that other blocks retain",
     MT_FIELD(mt_parse_flag, bool, inner)},
    MT_OPTION_TAG_BITS(scan),
    MT_OPTION_NO_STOP,
    MT_OPTION_STOP_TIMEOUT,
    MT_OPTION_READ_SWAPPED,
    MT_OPTIONS_STYLE,
    MT_OPTION_JSON,
    MT_OPTION_DEBUG_DIR,
    MT_OPTION_SYSROOT,
    MT_OPTION_COREDUMP,
    {0},
};

#define MAX_BLOCKS 1000u

static bool cmd_retained_search_and_print(struct mt_session *session,
                                          const struct arguments *a,
                                          struct mt_target *target,
                                          struct mt_error *error)
{
    struct mt_retained retained = {0};
    struct mt_resolver_options names =
        mt_arguments_names(session, &a->common.places);
    struct mt_block_printer w;
    struct mt_retained_options retained_options = {
        .scan = a->scan,
        .top = a->top > 0 && a->top < MAX_BLOCKS ? a->top : MAX_BLOCKS,
        .inner = a->inner,
        .variable = mt_namer_variable,
        .library = mt_namer_library,
        .context = &w.namer,
    };
    struct mt_retained_report report = {
        .retained = &retained, .printer = &w, .top = a->top, .inner = a->inner};
    struct mt_style style;
    bool ok;

    if (!mt_session_style(session, &a->common.style, &style, error) ||
        !mt_block_printer_begin(&w, target->model, &retained.roots, &names,
                                &style, session->out, error))
        return false;
    ok = mt_retained_run(target->model, &retained_options, &retained, error);
    if (ok && target->source->ops->resume)
        target->source->ops->resume(target->source);
    if (ok)
        ok = a->common.json ? mt_print_retained_json(&report, error)
                            : mt_print_retained(&report, error);
    mt_retained_free(&retained);
    return mt_block_printer_end(&w, ok ? error : NULL) && ok;
}

static int cmd_retained_run(struct mt_session *session, int argc,
                            const char *const *argv, struct mt_error *error)
{
    struct arguments a = {.top = 10};
    struct mt_target target = {0};
    int status;
    bool ok;

    if (!mt_arguments_read(session, &mt_command_retained, argc, argv, &a,
                           &status, error))
        return status;
    ok = mt_target_captured(session, "retained", a.common.target, !a.no_stop,
                            &a.scan, &target, error) &&
         cmd_retained_search_and_print(session, &a, &target, error);
    mt_target_close(&target);
    return ok ? MT_EXIT_OK : MT_EXIT_ERROR;
}

const struct mt_command mt_command_retained = {
    .name = "retained",
    .operands = "TARGET",
    .summary = "Show what roots, blocks and stacks keep from being freed.",
    .details =
        "A root, a block, or all blocks of a stack retain what is reached\n"
        "through them alone: what would be free if they were gone.  Roots are\n"
        "threads, modules and mappings, and below them single variables and\n"
        "words of stacks and registers.  If blocks of one stack retain each\n"
        "other, as those of a list do, the first one is shown.\n"
        "A live process is stopped while its memory is read once.\n",
    .options = options,
    .takes_target = true,
    .run = cmd_retained_run,
};
