/* SPDX-License-Identifier: BSD-2-Clause
 *
 * arguments.c - parses the options and operands that several commands take.
 */
#include "coreanalyze/commands/arguments.h"
#include "coreanalyze/source/coredump_store.h"
#include "coreanalyze/symbols/symbolize.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool mt_parse_debug_dir(void *member, const struct mt_args *args,
                        struct mt_error *error)
{
    struct mt_debug_places *places = member;

    if (places->n_debug_dirs == MT_MAX_DEBUG_DIRS)
        return mt_fail(error, "%s: too many --debug-dir", args->argv[0]);
    places->debug_dirs[places->n_debug_dirs++] = args->value;
    return true;
}

bool mt_parse_stop_timeout(void *member, const struct mt_args *args,
                           struct mt_error *error)
{
    struct mt_source_limits *limits = member;
    char *end;
    double seconds = strtod(args->value, &end);

    if (end == args->value || *end != '\0' || !(seconds >= 0.001) ||
        seconds > 3600)
        return mt_fail(error,
                       "%s: --stop-timeout takes seconds, 0.001 to 3600, not "
                       "'%s'",
                       args->argv[0], args->value);
    limits->stop_ns = (uint64_t)(seconds * 1e9);
    return true;
}

bool mt_parse_coredump(void *member, const struct mt_args *args,
                       struct mt_error *error)
{
    struct mt_coredump_words *w = member;

    if (w->n == sizeof w->words / sizeof *w->words)
        return mt_fail(error, "%s: too many --coredump", args->argv[0]);
    if (snprintf(w->words[w->n++], sizeof *w->words, "%s%s", MT_COREDUMP_PREFIX,
                 args->value) >= (int)sizeof *w->words)
        return mt_fail(error, "%s: --coredump takes a process id, not '%s'",
                       args->argv[0], args->value);
    return true;
}

bool mt_parse_json(void *member, const struct mt_args *args,
                   struct mt_error *error)
{
    const char *text = args->value ? args->value : "1";
    bool two = strcmp(args->option->argument, "[=1]") != 0;

    *(unsigned *)member = text[0] == '2' ? 2 : 1;
    return ((text[0] == '1' || (two && text[0] == '2')) && text[1] == '\0') ||
           mt_fail(error, "%s: --json takes version 1%s, not '%s'",
                   args->argv[0], two ? " or 2" : "", text);
}

bool mt_parse_sort(void *member, const struct mt_args *args,
                   struct mt_error *error)
{
    enum mt_show_sort *sort = member;

    for (unsigned i = 0; mt_show_sort_names[i]; i++) {
        if (strcmp(args->value, mt_show_sort_names[i]) == 0) {
            *sort = (enum mt_show_sort)i;
            return true;
        }
    }
    return mt_fail(error,
                   "%s: --sort takes bytes, count, age, allocs or "
                   "lifetime, not '%s'",
                   args->argv[0], args->value);
}

bool mt_parse_when(void *member, const struct mt_args *args,
                   struct mt_error *error)
{
    (void)error;
    *(struct mt_when *)member = mt_when_parse(args->value);
    return true;
}

bool mt_parse_depth(void *member, const struct mt_args *args,
                    struct mt_error *error)
{
    uint64_t n;

    if (!mt_parse_count(&n, args, error))
        return false;
    if (n == 0 || n > MT_MAX_FRAMES)
        return mt_fail(error, "%s: --depth takes 1 to %d, not '%s'",
                       args->argv[0], MT_MAX_FRAMES, args->value);
    *(unsigned *)member = (unsigned)n;
    return true;
}

bool mt_parse_address(const struct mt_args *args, uint64_t *address,
                      struct mt_error *error)
{
    char *end;

    errno = 0;
    *address = strtoull(args->value, &end, 16);
    if (errno != 0 || end == args->value || *end != '\0' ||
        args->value[0] == '-')
        return mt_fail(error, "%s: invalid address '%s': expected hexadecimal",
                       args->argv[0], args->value);
    return true;
}

/* --- a whole command line --- */

bool mt_arguments_take_second(void *arguments, const struct mt_args *args,
                              struct mt_error *error)
{
    struct mt_arguments *common = arguments;
    const char **place = common->target ? &common->second : &common->target;

    if (*place)
        return mt_unexpected(args->argv[0], args->value, error);
    *place = args->value;
    return true;
}

/* In GDB the target is the inferior: the operand is left out. */
static bool arguments_take_operand(const struct mt_session *session,
                                   const struct mt_command *command,
                                   const struct mt_args *args, void *arguments,
                                   struct mt_error *error)
{
    struct mt_arguments *common = arguments;

    if (session->target == NULL && common->target == NULL) {
        common->target = args->value;
        return true;
    }
    if (command->operand)
        return command->operand(arguments, args, error);
    if (session->target)
        return mt_fail(error,
                       "%s: unexpected argument '%s': the target is the "
                       "debugger's (see memtrace %s --help)",
                       args->argv[0], args->value, args->argv[0]);
    return mt_unexpected(args->argv[0], args->value, error);
}

/* An option that names a target stands for the operand. */
static bool arguments_take_option(const struct mt_session *session,
                                  const struct mt_command *command,
                                  const struct mt_args *args, void *arguments,
                                  struct mt_error *error)
{
    struct mt_arguments *common = arguments;
    struct mt_args operand = *args;

    if (!args->option->take((char *)arguments + args->option->member, args,
                            error))
        return false;
    if (args->option->take != mt_parse_coredump)
        return true;
    if (session->target)
        return mt_fail(error, "%s: --coredump: the target is the debugger's",
                       args->argv[0]);
    operand.value = common->coredumps.words[common->coredumps.n - 1];
    return arguments_take_operand(session, command, &operand, arguments, error);
}

static bool arguments_finish(struct mt_session *session,
                             struct mt_arguments *common,
                             const struct mt_args *args, struct mt_error *error)
{
    common->places.debug_dirs[common->places.n_debug_dirs] = MT_USUAL_DEBUG_DIR;
    common->rest = args->argv + args->at;
    session->sysroot = common->places.sysroot;
    if (args->stop_at_operand && args->at >= args->argc)
        return mt_missing(args->argv[0], "PROGRAM", error);
    if (common->json && common->folded)
        return mt_fail(error, "%s: --json and --folded exclude each other",
                       args->argv[0]);
    return true;
}

/* What a person reads in a terminal fits it, unless it is wanted whole. */
static void arguments_fold(struct mt_session *session,
                           const struct mt_arguments *common)
{
    unsigned columns = mt_terminal_columns(session->out);

    if (columns && !common->json && !common->folded && !common->style.full &&
        !common->style.width)
        session->out = mt_fold_begin(&session->fold, session->out, columns);
}

bool mt_arguments_read(struct mt_session *session,
                       const struct mt_command *command, int argc,
                       const char *const *argv, void *arguments, int *status,
                       struct mt_error *error)
{
    struct mt_args args = {.argc = argc,
                           .argv = argv,
                           .options = command->options,
                           .stop_at_operand =
                               !command->takes_target && !command->operand};
    int option;
    bool ok = true;

    *status = MT_EXIT_ERROR;
    while ((option = mt_args_next(&args, error)) != MT_ARG_END) {
        if (option == MT_ARG_HELP) {
            mt_command_help(command, session->target == NULL, session->out);
            *status = MT_EXIT_OK;
            return false;
        }
        if (option == MT_ARG_OPERAND)
            ok = arguments_take_operand(session, command, &args, arguments,
                                        error);
        else if (option != MT_ARG_ERROR)
            ok = arguments_take_option(session, command, &args, arguments,
                                       error);
        if (!ok || option == MT_ARG_ERROR)
            return false;
    }
    session->limits = ((const struct mt_arguments *)arguments)->limits;
    if (!arguments_finish(session, arguments, &args, error))
        return false;
    if (command->takes_target)
        arguments_fold(session, arguments);
    return true;
}

struct mt_resolver_options
mt_arguments_names(const struct mt_session *session,
                   const struct mt_debug_places *places)
{
    return (struct mt_resolver_options){.debug_dirs = places->debug_dirs,
                                        .sysroot = places->sysroot,
                                        .hook = session->name_hook,
                                        .context = session->name_context};
}

struct mt_resolver *mt_arguments_resolver(const struct mt_session *session,
                                          const struct mt_debug_places *places,
                                          struct mt_model *model,
                                          struct mt_error *error)
{
    const struct mt_resolver_options names =
        mt_arguments_names(session, places);
    struct mt_resolver *resolver = mt_resolver_new(model, &names);

    if (resolver == NULL)
        mt_no_memory(error, "the names");
    return resolver;
}
