/* SPDX-License-Identifier: BSD-2-Clause
 *
 * cmd_watch.c - memtrace watch: saves a process before its memory runs out.
 */
#include "coreanalyze/commands/arguments.h"
#include "coreanalyze/commands/watch.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

struct at {
    double share;
    uint64_t bytes;
};

struct arguments {
    struct mt_arguments common;
    const char *cgroup, *name, *output;
    struct at at;
    uint64_t every_ns, keep;
    double grow;
};

/* "85%", as a share; false: it is not one. */
static bool cmd_watch_share(const char *text, double most, double *share)
{
    char *end;
    double percent = strtod(text, &end);

    if (end == text || strcmp(end, "%") != 0 || !(percent > 0) ||
        percent > most)
        return false;
    *share = percent / 100;
    return true;
}

static bool parse_at(void *member, const struct mt_args *args,
                     struct mt_error *error)
{
    struct at *at = member;

    at->share = 0;
    at->bytes = 0;
    if (strchr(args->value, '%'))
        return cmd_watch_share(args->value, 100, &at->share) ||
               mt_fail(error,
                       "watch: --at takes 1%% to 100%%, or bytes, not '%s'",
                       args->value);
    return mt_parse_bytes(&at->bytes, args, error);
}

static bool parse_grow(void *member, const struct mt_args *args,
                       struct mt_error *error)
{
    return cmd_watch_share(args->value, 100000, member) ||
           mt_fail(error, "watch: --grow takes a share, such as 10%%, not '%s'",
                   args->value);
}

static bool parse_every(void *member, const struct mt_args *args,
                        struct mt_error *error)
{
    static const struct {
        const char *unit;
        double seconds;
    } units[] = {{"", 1}, {"s", 1}, {"ms", .001}, {"m", 60}, {"h", 3600}};
    char *end;
    double n = strtod(args->value, &end);

    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (end != args->value && strcmp(end, units[i].unit) == 0 && n > 0 &&
            n < 1e9) {
            *(uint64_t *)member = (uint64_t)(n * units[i].seconds * 1e9);
            return true;
        }
    return mt_fail(error,
                   "watch: --every takes a time, such as 60s or 5m, not '%s'",
                   args->value);
}

static const struct mt_option options[] = {
    {"--cgroup", 0, "PATH", "all processes of this cgroup (its folder)",
     MT_FIELD(mt_parse_text, const char *, cgroup)},
    {"--name", 0, "NAME",
     "the process of this program or systemd unit, also when it starts again",
     MT_FIELD(mt_parse_text, const char *, name)},
    {"--at", 0, "85%",
     "save when memory is used to this share of the tightest cgroup limit, or "
     "the process has so many bytes (default: 85%, unless --every or --grow "
     "is given)",
     MT_FIELD(parse_at, struct at, at)},
    {"--every", 0, "TIME", "save every TIME (60s, 5m, 1h)",
     MT_FIELD(parse_every, uint64_t, every_ns)},
    {"--grow", 0, "10%", "save when resident memory has grown by this share",
     MT_FIELD(parse_grow, double, grow)},
    {"--keep", 0, "N", "keep the N newest files of a process (default: 3)",
     MT_FIELD(mt_parse_count, uint64_t, keep)},
    {"--output", 'o', "PATTERN",
     "names of the files: %p is the process id, %n its name, %t the time "
     "(default: memtrace.%n.%p.%t)",
     MT_FIELD(mt_parse_text, const char *, output)},
    MT_OPTION_STOP_TIMEOUT,
    {0},
};

/* The operand is a pid; other words are names. */
static bool cmd_watch_target(const struct arguments *a,
                             struct mt_watch_options *o, struct mt_error *error)
{
    const char *target = a->common.target;
    char *end;
    long pid = target ? strtol(target, &end, 10) : 0;

    if (!!target + !!a->name + !!a->cgroup != 1)
        return mt_fail(error, "watch: name one PID, --cgroup PATH or --name "
                              "NAME");
    o->cgroup = a->cgroup;
    o->name = a->name;
    if (target && *end == '\0' && pid > 0)
        o->pid = (pid_t)pid;
    else if (target)
        o->name = target;
    return true;
}

static bool cmd_watch_operand(void *arguments, const struct mt_args *args,
                              struct mt_error *error)
{
    (void)arguments;
    return mt_unexpected("watch", args->value, error);
}

static int cmd_watch_run(struct mt_session *session, int argc,
                         const char *const *argv, struct mt_error *error)
{
    struct arguments a = {.keep = 3, .output = "memtrace.%n.%p.%t"};
    struct mt_watch_options o = {0};
    int status;

    if (!mt_arguments_read(session, &mt_command_watch, argc, argv, &a, &status,
                           error))
        return status;
    if (!cmd_watch_target(&a, &o, error))
        return MT_EXIT_ERROR;
    if (a.at.share <= 0 && a.at.bytes == 0 && a.every_ns == 0 && a.grow <= 0)
        a.at.share = .85;
    o.at_share = a.at.share;
    o.at_bytes = a.at.bytes;
    o.every_ns = a.every_ns;
    o.grow = a.grow;
    o.keep = a.keep;
    o.pattern = a.output;
    o.limits = a.common.limits;
    o.out = session->out;
    signal(SIGXFSZ, SIG_IGN); /* a limit is an error like a full disk */
    return mt_watch(&o, error) ? MT_EXIT_OK : MT_EXIT_ERROR;
}

const struct mt_command mt_command_watch = {
    .name = "watch",
    .operands = "[PID]",
    .summary = "Save a process before its memory runs out.",
    .details =
        "Looks at the memory of a process, and of its cgroup and those above,\n"
        "and writes a mini-core, as save does, when it is due.  The process\n"
        "is stopped for that, and no longer.  Near its limit it is looked at\n"
        "every 10 ms, far from it every second; the kernel's events for a\n"
        "cgroup are used where that is allowed.  Ends when the process ends;\n"
        "with --name and --cgroup it waits for the next.\n",
    .options = options,
    .operand = cmd_watch_operand,
    .run = cmd_watch_run,
};
