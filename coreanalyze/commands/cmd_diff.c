/* SPDX-License-Identifier: BSD-2-Clause
 *
 * cmd_diff.c - memtrace diff: what grew from one target to another, or from
 * one moment of a target to another.
 */
#include "coreanalyze/commands/row_options.h"
#include "coreanalyze/base/text.h"

#include <string.h>

#define MAX_WORDS 3u

struct arguments {
    struct mt_arguments common;
    struct mt_show_options show;
    struct mt_diff_options diff;
    struct mt_row_arguments row_arguments;
    bool marks, by_name, stop;
    const char *words[MAX_WORDS]; /* operands after the first one */
    unsigned n_words;
};

static mt_parse take_sort;

static const struct mt_option options[] = {
    {"--marks", 0, NULL,
     "compare two moments of one target, A and B: marks, or ages or epochs as "
     "--since of show takes them",
     MT_FIELD(mt_parse_flag, bool, marks)},
    {"--heap", 0, "NAME", "only this heap",
     MT_FIELD(mt_parse_text, const char *, show.heap)},
    {"--top", 'n', "N",
     "the first N stacks (default: 20, or all with --full, --json or "
     "--folded); 0: all",
     MT_FIELD(mt_parse_count, uint64_t, diff.top)},
    {"--min", 0, "BYTES", "show only stacks that changed by at least BYTES",
     MT_FIELD(mt_parse_bytes, uint64_t, diff.min_bytes)},
    {"--depth", 0, "N", "merge stacks whose N innermost frames are the same",
     MT_FIELD(mt_parse_depth, unsigned, show.depth)},
    {"--sort", 0, "KEY", "growth in bytes (the default) or count (of blocks)",
     MT_FIELD(take_sort, bool, diff.by_count)},
    MT_OPTIONS_ROWS(row_arguments),
    MT_OPTION_BY(row_arguments),
    {"--by-name", 0, NULL,
     "stacks are the same if the names of their modules and functions are: "
     "for different builds",
     MT_FIELD(mt_parse_flag, bool, by_name)},
    MT_OPTIONS_STYLE,
    MT_OPTION_JSON_VERSION,
    MT_OPTION_FOLDED,
    {"--stop", 0, NULL, "stop live processes while their memory is read",
     MT_FIELD(mt_parse_flag, bool, stop)},
    MT_OPTION_STOP_TIMEOUT,
    MT_OPTION_DEBUG_DIR,
    MT_OPTION_SYSROOT,
    MT_OPTION_COREDUMP,
    {0},
};

static bool take_sort(void *member, const struct mt_args *args,
                      struct mt_error *error)
{
    bool *by_count = member;

    *by_count = strcmp(args->value, "count") == 0;
    return *by_count || strcmp(args->value, "bytes") == 0 ||
           mt_fail(error, "diff: --sort takes bytes or count, not '%s'",
                   args->value);
}

static bool cmd_diff_take_operand(void *arguments, const struct mt_args *args,
                                  struct mt_error *error)
{
    struct arguments *a = arguments;

    if (a->n_words == MAX_WORDS)
        return mt_unexpected("diff", args->value, error);
    a->words[a->n_words++] = args->value;
    return true;
}

/* One side, or both if they are moments of one target. */
struct side {
    struct mt_session session;
    const char *name; /* NULL: the session's target */
    struct mt_target target;
    struct mt_show_options options;
    struct mt_show show;
    struct mt_rows rows;
};

struct comparison {
    const struct arguments *arguments;
    struct side sides[2];
    struct mt_diff_report report;
    const char *moments[2];
    struct mt_style style;
};

/* The operands: A B TARGET, or OLD NEW; GDB has the last one of either. */
static bool cmd_diff_take_words(struct mt_session *session,
                                const struct arguments *a, struct comparison *c,
                                struct mt_error *error)
{
    const char *all[MAX_WORDS + 1];
    unsigned n = 0, wanted = a->marks ? 3 : 2;

    if (a->common.target)
        all[n++] = a->common.target;
    for (unsigned i = 0; i < a->n_words; i++)
        all[n++] = a->words[i];
    if (session->target)
        wanted--;
    if (n != wanted)
        return mt_fail(error, "diff: %s (see memtrace diff --help)",
                       a->marks ? "--marks takes two moments, A and B, and "
                                  "then a target"
                                : "expected two targets, OLD and NEW");
    for (unsigned i = 0; i < 2; i++) {
        c->sides[i].session = *session;
        c->sides[i].options = a->show;
    }
    if (a->marks) {
        c->moments[0] = all[0];
        c->moments[1] = all[1];
        c->sides[1].name = session->target ? NULL : all[2];
        return true;
    }
    /* The debugger knows nothing of the other target. */
    c->sides[0].session.target = NULL;
    c->sides[0].session.root_symbol = 0;
    c->sides[0].session.name_hook = NULL;
    c->sides[0].name = all[0];
    c->sides[1].name = session->target ? NULL : all[1];
    return true;
}

static bool cmd_diff_stop(const struct side *side, struct mt_error *error)
{
    struct mt_source *source = side->target.source;

    if (source->ops->stop)
        return source->ops->stop(source, error);
    return !side->target.owned || source->process.kind != MT_SOURCE_LIVE ||
           mt_fail(error, "diff: this target cannot be stopped");
}

static bool cmd_diff_open_side(struct comparison *c, struct side *side,
                               struct mt_error *error)
{
    const struct arguments *a = c->arguments;
    struct mt_source *source;
    bool ok;

    if (!mt_target_open(&side->session, "diff", side->name, &side->target,
                        error))
        return false;
    source = side->target.source;
    if (a->stop && !cmd_diff_stop(side, error))
        return false;
    ok = mt_target_model(&side->session, &side->target, error) &&
         mt_show_run(side->target.model, &side->options, &side->show, error) &&
         mt_target_lives(&side->target, error);
    if (a->stop && source->ops->resume)
        source->ops->resume(source);
    return ok;
}

/* The live blocks from before each moment. */
static bool open_moments(struct comparison *c, struct mt_error *error)
{
    struct side *old = &c->sides[0], *fresh = &c->sides[1];
    struct mt_when from = mt_when_parse(c->moments[0]);
    struct mt_when to = mt_when_parse(c->moments[1]);
    struct mt_model *model;
    uint32_t first, end;

    fresh->options.older = to;
    if (!cmd_diff_open_side(c, fresh, error))
        return false;
    model = fresh->target.model;
    /* Among marks with one label, take those that are next to each other. */
    if (!mt_when_epoch(model, &to, UINT64_MAX, &end, error) ||
        !mt_when_epoch(model, &from, end, &first, error))
        return false;
    if (first > end)
        return mt_fail(error, "diff: OLD (%s) is later than NEW (%s)",
                       c->moments[0], c->moments[1]);
    old->options.older =
        (struct mt_when){.kind = MT_WHEN_EPOCH, .epoch = first, .text = ""};
    return mt_show_run(model, &old->options, &old->show, error);
}

/* --- names instead of places --- */

static void cmd_diff_add_name(void *context, const struct mt_frame *frame)
{
    struct mt_diff_key *key = context;

    if (frame->module)
        mt_diff_add(key, mt_base_name(frame->module),
                    strlen(mt_base_name(frame->module)));
    if (frame->function)
        mt_diff_add(key, frame->function, strlen(frame->function));
    else
        mt_diff_add(key, &frame->module_offset, sizeof frame->module_offset);
}

static void cmd_diff_identify(void *context, enum mt_diff_side side,
                              const struct mt_show_row *row,
                              struct mt_diff_key *key)
{
    struct comparison *c = context;

    mt_report_frames(&c->report.side[side], row, cmd_diff_add_name, key);
}

/* --- the whole --- */

static bool cmd_diff_prepare(struct comparison *c, struct mt_error *error)
{
    const struct arguments *a = c->arguments;

    c->report.out = c->sides[1].session.out;
    if (!mt_session_style(&c->sides[1].session, &a->common.style, &c->style,
                          error))
        return false;
    c->report.from = c->moments[0];
    c->report.to = c->moments[1];
    c->report.by_name = a->by_name;
    for (unsigned i = 0; i < 2; i++) {
        struct side *side = &c->sides[a->marks ? 1 : i];
        struct mt_model *model = side->target.model;
        struct mt_resolver *resolver = mt_arguments_resolver(
            &side->session, &a->common.places, model, error);
        c->report.side[i] = (struct mt_report){
            model, &c->sides[i].show, resolver, c->report.out, NULL, &c->style};
        if (resolver == NULL)
            return false;
        mt_rows_filter(&c->sides[i].rows, &c->report.side[i],
                       &c->sides[i].show);
    }
    return true;
}

static bool cmd_diff_put(struct comparison *c, struct mt_error *error)
{
    const struct arguments *a = c->arguments;
    struct mt_rows rows[2] = {c->sides[0].rows, c->sides[1].rows};

    rows[1].top = a->diff.top;
    rows[1].min_bytes = a->diff.min_bytes;
    if (a->common.json == 2 || a->row_arguments.by != MT_BY_STACK)
        return mt_rows_diff(rows, &c->report, a->common.json == 2, error);
    if (a->common.folded)
        return mt_print_diff_folded(&c->report, error);
    if (a->common.json)
        mt_print_diff_json(&c->report);
    else
        mt_print_diff(&c->report);
    return true;
}

/* Each side has a filter of its own: it remembers frames of one resolver. */
static bool cmd_diff_begin_rows(struct comparison *c, struct mt_error *error)
{
    const struct arguments *a = c->arguments;

    for (unsigned i = 0; i < 2; i++)
        if (!mt_rows_begin(&c->sides[i].rows, &a->row_arguments, &a->common,
                           &c->sides[i].options, error))
            return false;
    return true;
}

static bool cmd_diff_compare(struct comparison *c, struct mt_error *error)
{
    const struct arguments *a = c->arguments;
    struct mt_diff_options diff_options = a->diff;
    struct mt_model *const models[] = {c->report.side[0].model,
                                       c->report.side[1].model};
    const struct mt_show *const shows[] = {&c->sides[0].show,
                                           &c->sides[1].show};
    struct mt_diff diff;
    bool ok;

    diff_options.unchanged = a->common.folded;
    diff_options.identify = a->by_name ? cmd_diff_identify : NULL;
    diff_options.identify_context = c;
    if (!mt_diff_run(models, shows, &diff_options, &diff, error))
        return false;
    c->report.diff = &diff;
    ok = cmd_diff_put(c, error);
    mt_diff_free(&diff);
    return ok;
}

static int cmd_diff_run(struct mt_session *session, int argc,
                        const char *const *argv, struct mt_error *error)
{
    struct arguments a = {.diff.top = UINT64_MAX};
    struct comparison c = {.arguments = &a};
    int status;
    bool ok;

    if (!mt_arguments_read(session, &mt_command_diff, argc, argv, &a, &status,
                           error))
        return status;
    /* A person reads the largest; scripts get all. */
    if (a.diff.top == UINT64_MAX)
        a.diff.top = a.common.style.full || a.common.json || a.common.folded
                         ? 0
                         : MT_STYLE_ROWS;
    ok = cmd_diff_take_words(session, &a, &c, error) &&
         cmd_diff_begin_rows(&c, error) &&
         (a.marks ? open_moments(&c, error)
                  : cmd_diff_open_side(&c, &c.sides[0], error) &&
                        cmd_diff_open_side(&c, &c.sides[1], error)) &&
         cmd_diff_prepare(&c, error) && cmd_diff_compare(&c, error);
    for (unsigned i = 0; i < 2; i++) {
        if (c.report.side[i].resolver &&
            !mt_resolver_finish(c.report.side[i].resolver, ok ? error : NULL))
            ok = false;
        mt_rows_end(&c.sides[i].rows);
        mt_show_free(&c.sides[i].show);
    }
    for (unsigned i = 0; i < 2; i++)
        mt_target_close(&c.sides[i].target);
    return ok ? MT_EXIT_OK : MT_EXIT_ERROR;
}

const struct mt_command mt_command_diff = {
    .name = "diff",
    .operands = "OLD NEW",
    .debugger_operands = "OLD",
    .summary = "Show what grew between two targets, by stack.",
    .details =
        "Stacks of two runs are the same if their frames are at the same\n"
        "offsets of modules of the same build-id (of the same path, where\n"
        "there is none), wherever these are in memory.  Those whose live\n"
        "bytes grew the most come first, those that shrank last.  In GDB the\n"
        "new target is the inferior.\n"
        "    diff --marks A B TARGET compares two moments of one target: what\n"
        "was allocated between them and is still live.  If a mark was set "
        "more\n"
        "than once, the newest one counts, and for A the newest before B.\n",
    .options = options,
    .takes_target = true,
    .operand = cmd_diff_take_operand,
    .run = cmd_diff_run,
};
