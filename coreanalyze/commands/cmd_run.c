/* SPDX-License-Identifier: BSD-2-Clause
 *
 * cmd_run.c - memtrace run: a program on the traced heap.
 */
#include "coreanalyze/check/preload_env.h"
#include "coreanalyze/check/untraced.h"
#include "coreanalyze/commands/arguments.h"
#include "coreanalyze/commands/installed.h"
#include "coreanalyze/commands/run_save.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct arguments {
    struct mt_arguments common;
    struct settings {
        char text[4096]; /* what MEMTRACE becomes */
        size_t length;
    } settings;
    const char *save; /* or NULL */
};

/* The setting's key, and its value if it takes one. */
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

static bool take_limit(void *settings, const struct mt_args *args,
                       struct mt_error *error)
{
    uint64_t n;

    return mt_parse_bytes(&n, args, error) &&
           add_number(settings, error, "limit=", n);
}

static bool take_depth(void *settings, const struct mt_args *args,
                       struct mt_error *error)
{
    uint64_t n;

    return mt_parse_count(&n, args, error) &&
           add_number(settings, error, "depth=", n);
}

static bool take_sample(void *settings, const struct mt_args *args,
                        struct mt_error *error)
{
    uint64_t n;

    return mt_parse_bytes(&n, args, error) &&
           add_number(settings, error, "sample=", n);
}

static bool take_no_trace(void *settings, const struct mt_args *args,
                          struct mt_error *error)
{
    (void)args;
    return add_setting(settings, error, "trace=off", "");
}

static bool take_setting(void *settings, const struct mt_args *args,
                         struct mt_error *error)
{
    if (strchr(args->value, '=') == NULL || strchr(args->value, ':'))
        return mt_fail(error, "run: -o takes KEY=VALUE, not '%s'", args->value);
    return add_setting(settings, error, args->value, "");
}

static const struct mt_option options[] = {
    {"--heap-limit", 0, "BYTES", "allocations beyond this fail (limit=)",
     MT_FIELD(take_limit, struct settings, settings)},
    {"--depth", 0, "N", "frames kept of a stack (depth=)",
     MT_FIELD(take_depth, struct settings, settings)},
    {"--sample", 0, "BYTES",
     "sample: trace about one allocation per BYTES allocated (sample=)",
     MT_FIELD(take_sample, struct settings, settings)},
    {"--no-trace", 0, NULL, "start with tracing off (trace=off)",
     MT_FIELD(take_no_trace, struct settings, settings)},
    {"--option", 'o', "KEY=VALUE",
     "any other key of MEMTRACE (see memtrace-preload(7))",
     MT_FIELD(take_setting, struct settings, settings)},
    {"--save", 0, "FILE",
     "save a mini-core when the program ends, in whatever way; %p in the "
     "name: of each process, by its id; %n: by its name; %t: the time",
     MT_FIELD(mt_parse_text, const char *, save)},
    {0},
};

/* Later keys win over those that the variable has already. */
static bool set_settings(const struct settings *settings)
{
    const char *old = getenv("MEMTRACE");
    char *text = NULL;
    bool ok;

    if (settings->length == 0)
        return true;
    ok = asprintf(&text, "%s%s%s", old ? old : "", old && *old ? ":" : "",
                  settings->text) > 0 &&
         setenv("MEMTRACE", text, 1) == 0;
    free(text);
    return ok;
}

static int cmd_run_run(struct mt_session *session, int argc,
                       const char *const *argv, struct mt_error *error)
{
    struct arguments a = {.settings.length = 0};
    char preload[PATH_MAX], why[200];
    char *const *program;
    int status;

    if (!mt_arguments_read(session, &mt_command_run, argc, argv, &a, &status,
                           error))
        return status;
    if (!mt_installed_preload("run", preload, error))
        return MT_EXIT_ERROR;
    if (strpbrk(preload, ": ")) {
        mt_fail(error, "run: LD_PRELOAD cannot hold the path %s", preload);
        return MT_EXIT_ERROR;
    }
    program = (char *const *)(uintptr_t)a.common.rest;
    if (!set_settings(&a.settings) ||
        (!a.save && !mt_preload_set(preload, a.common.rest[0]))) {
        mt_fail(error, "run: out of memory");
        return MT_EXIT_ERROR;
    }
    if (a.save)
        return mt_run_save(program, preload, a.save, error);
    if (mt_untraced_file_why(program[0], why, sizeof why))
        fprintf(stderr, "memtrace: run: %s is not traced: %s\n", program[0],
                why);
    execvp(program[0], program);
    mt_fail(error, "run: cannot run %s: %s", program[0], strerror(errno));
    /* The statuses of the shell and env(1). */
    return errno == ENOENT ? 127 : 126;
}

const struct mt_command mt_command_run = {
    .name = "run",
    .operands = "-- PROGRAM [ARGUMENT...]",
    .summary = "Run a program on the traced heap.",
    .details =
        "Sets LD_PRELOAD and MEMTRACE, and becomes the program: its exit\n"
        "status is the program's.  126 or 127 is returned if it cannot be\n"
        "run.  Programs that it starts run on the traced heap too.\n"
        "With --save it stays, follows the program by ptrace, and returns its\n"
        "status, 128 + N for signal N.\n",
    .options = options,
    .run = cmd_run_run,
};
