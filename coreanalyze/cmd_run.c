/* SPDX-License-Identifier: BSD-2-Clause
 *
 * cmd_run.c - memtrace run: a program on the traced heap.
 */
#include "coreanalyze/command.h"
#include "coreanalyze/installed.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OPT_LIMIT, OPT_DEPTH, OPT_SAMPLE, OPT_NO_TRACE, OPT_SET };

static const struct mt_option options[] = {
    [OPT_LIMIT] = {"--heap-limit", 0, "BYTES",
                   "allocations beyond this fail (limit=)"},
    [OPT_DEPTH] = {"--depth", 0, "N", "frames kept of a stack (depth=)"},
    [OPT_SAMPLE] = {"--sample", 0, "BYTES",
                    "trace a sample, one in so many bytes (sample=)"},
    [OPT_NO_TRACE] = {"--no-trace", 0, NULL,
                      "start with tracing off (trace=off)"},
    [OPT_SET] = {"--option", 'o', "KEY=VALUE",
                 "any other key of MEMTRACE (see memtrace-preload(7))"},
    {0},
};

struct settings {
    char text[4096]; /* what MEMTRACE becomes */
    size_t length;
};

static bool add_setting(struct settings *settings, struct mt_error *error,
                        const char *key, const char *value)
{
    size_t room = sizeof settings->text - settings->length;
    int n = snprintf(settings->text + settings->length, room, "%s%s%s",
                     settings->length ? ":" : "", key, value);

    if (n < 0 || (size_t)n >= room)
        return mt_fail(error, "run: too many options");
    settings->length += (size_t)n;
    return true;
}

static bool add_number(struct settings *settings, struct mt_error *error,
                       const char *key, uint64_t value)
{
    char text[32];

    snprintf(text, sizeof text, "%" PRIu64, value);
    return add_setting(settings, error, key, text);
}

static bool take_option(struct settings *settings, const struct mt_args *args,
                        int option, struct mt_error *error)
{
    const char *name = options[option].name;
    uint64_t n;

    switch (option) {
    case OPT_LIMIT:
        return mt_arg_bytes(args, name, &n, error) &&
               add_number(settings, error, "limit=", n);
    case OPT_DEPTH:
        return mt_arg_count(args, name, &n, error) &&
               add_number(settings, error, "depth=", n);
    case OPT_SAMPLE:
        return mt_arg_bytes(args, name, &n, error) &&
               add_number(settings, error, "sample=", n);
    case OPT_NO_TRACE:
        return add_setting(settings, error, "trace=off", "");
    default:
        if (strchr(args->value, '=') == NULL || strchr(args->value, ':'))
            return mt_fail(error, "run: -o takes KEY=VALUE, not '%s'",
                           args->value);
        return add_setting(settings, error, args->value, "");
    }
}

static bool set_environment(const struct settings *settings,
                            struct mt_error *error)
{
    const char *preload = getenv("LD_PRELOAD"), *memtrace = getenv("MEMTRACE");
    char path[PATH_MAX], *text = NULL;
    bool ok;

    if (!mt_installed_preload("run", path, error))
        return false;
    if (strpbrk(path, ": "))
        return mt_fail(error, "run: LD_PRELOAD cannot hold the path %s", path);
    ok = asprintf(&text, "%s%s%s", path, preload && *preload ? ":" : "",
                  preload ? preload : "") > 0 &&
         setenv("LD_PRELOAD", text, 1) == 0;
    free(text);
    text = NULL;
    /* Later keys win over those that the variable has already. */
    if (ok && settings->length > 0) {
        ok = asprintf(&text, "%s%s%s", memtrace ? memtrace : "",
                      memtrace && *memtrace ? ":" : "", settings->text) > 0 &&
             setenv("MEMTRACE", text, 1) == 0;
        free(text);
    }
    return ok || mt_fail(error, "run: out of memory");
}

static int run(struct mt_session *session, int argc, const char *const *argv,
               struct mt_error *error)
{
    struct mt_args args = {.argc = argc,
                           .argv = argv,
                           .options = options,
                           .stop_at_operand = true};
    struct settings settings = {.length = 0};
    char *const *program;
    int option;

    while ((option = mt_args_next(&args, error)) != MT_ARG_END) {
        if (option == MT_ARG_HELP) {
            mt_command_help(&mt_command_run, true, session->out);
            return MT_EXIT_OK;
        }
        if (option == MT_ARG_ERROR ||
            !take_option(&settings, &args, option, error))
            return MT_EXIT_ERROR;
    }
    program = (char *const *)(uintptr_t)(argv + args.at);
    if (args.at >= argc) {
        mt_fail(error, "run: no PROGRAM");
        return MT_EXIT_ERROR;
    }
    if (!set_environment(&settings, error))
        return MT_EXIT_ERROR;
    execvp(program[0], program);
    mt_fail(error, "run: cannot run %s: %s", program[0], strerror(errno));
    /* As the shell and env(1) do. */
    return errno == ENOENT ? 127 : 126;
}

const struct mt_command mt_command_run = {
    .name = "run",
    .operands = "-- PROGRAM [ARGUMENT...]",
    .summary = "Run a program on the traced heap.",
    .details =
        "Sets LD_PRELOAD and MEMTRACE, and becomes the program: its exit\n"
        "status is the program's.  126 or 127 is returned if it cannot be\n"
        "run.  Programs that it starts run on the traced heap too.\n",
    .options = options,
    .run = run,
};
