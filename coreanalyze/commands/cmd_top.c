/* SPDX-License-Identifier: BSD-2-Clause
 *
 * cmd_top.c - memtrace top: which stacks grow and allocate now.
 */
#include "coreanalyze/base/memory.h"
#include "coreanalyze/check/untraced.h"
#include "coreanalyze/commands/arguments.h"
#include "coreanalyze/source/process_name.h"
#include "coreanalyze/top/top.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TOP_USUAL_DELAY_NS UINT64_C(1000000000)

struct pids {
    pid_t *list;
    size_t n, capacity;
};

struct arguments {
    struct mt_arguments common;
    struct pids pids;
    bool batch, children;
    const char *heap, *filter;
    uint64_t delay_ns, refreshes, rows;
    enum mt_top_sort sort;
};

/* A number is a pid; other words are names of processes. */
static bool cmd_top_add(struct pids *pids, const char *text,
                        struct mt_error *error)
{
    char *end;
    long n = strtol(text, &end, 10);
    pid_t pid = 0;

    if (end != text && *end == '\0' && n > 0 && n <= INT32_MAX)
        pid = (pid_t)n;
    else if (access(text, F_OK) == 0 && strncmp(text, "/sys/", 5) != 0)
        return mt_fail(error,
                       "top: '%s' is a file: top takes processes that run; "
                       "memtrace show reads cores",
                       text);
    else if (!mt_process_by_name(text, &pid, error))
        return false;
    if (pid == 0)
        return mt_fail(error, "top: no process is named '%s'", text);
    if (!mt_grow(&pids->list, &pids->capacity, pids->n + 1, sizeof *pids->list))
        return mt_no_memory(error, "the processes");
    pids->list[pids->n++] = pid;
    return true;
}

static bool cmd_top_operand(void *arguments, const struct mt_args *args,
                            struct mt_error *error)
{
    return cmd_top_add(&((struct arguments *)arguments)->pids, args->value,
                       error);
}

static bool parse_delay(void *member, const struct mt_args *args,
                        struct mt_error *error)
{
    char *end;
    double seconds = strtod(args->value, &end);

    if (end == args->value || *end || !(seconds >= .1) || seconds > 86400)
        return mt_fail(error,
                       "top: --delay takes seconds, 0.1 to 86400, not '%s'",
                       args->value);
    *(uint64_t *)member = (uint64_t)(seconds * 1e9);
    return true;
}

static bool parse_top_sort(void *member, const struct mt_args *args,
                           struct mt_error *error)
{
    for (unsigned i = 0; mt_top_sort_names[i]; i++)
        if (strcmp(args->value, mt_top_sort_names[i]) == 0) {
            *(enum mt_top_sort *)member = (enum mt_top_sort)i;
            return true;
        }
    return mt_fail(error,
                   "top: --sort takes live, change, blocks, allocs or age, not "
                   "'%s'",
                   args->value);
}

static const struct mt_option options[] = {
    {"--delay", 'd', "SECONDS", "time between two refreshes (default: 1)",
     MT_FIELD(parse_delay, uint64_t, delay_ns)},
    {"--iterations", 'n', "N", "end after N refreshes",
     MT_FIELD(mt_parse_count, uint64_t, refreshes)},
    {"--batch", 'b', NULL, "text instead of a screen, for pipes and files",
     MT_FIELD(mt_parse_flag, bool, batch)},
    {"--children", 0, NULL, "follow the children of the processes, too",
     MT_FIELD(mt_parse_flag, bool, children)},
    {"--sort", 0, "KEY",
     "live (the default), change (of live bytes in a second), blocks, allocs "
     "(allocations in a second) or age (oldest block first)",
     MT_FIELD(parse_top_sort, enum mt_top_sort, sort)},
    {"--focus", 0, "REGEX",
     "only stacks with a function, module or file that matches",
     MT_FIELD(mt_parse_text, const char *, filter)},
    {"--heap", 0, "NAME", "only this heap",
     MT_FIELD(mt_parse_text, const char *, heap)},
    {"--top", 0, "N",
     "with --batch, the first N stacks of a process (default: 20); 0: all",
     MT_FIELD(mt_parse_count, uint64_t, rows)},
    {"--bytes", 0, NULL, "exact figures instead of K, M and G",
     MT_FIELD(mt_parse_flag, bool, common.style.bytes)},
    {"--width", 0, "N", "with --batch, columns of a line (default: 80); 0: any",
     MT_FIELD(mt_parse_text, const char *, common.style.width)},
    MT_OPTION_DEBUG_DIR,
    MT_OPTION_SYSROOT,
    {0},
};

/* Another command, as if it had been typed. */
static bool cmd_top_run_other(void *context, const char *const *argv, FILE *out,
                              struct mt_error *error)
{
    const struct mt_session *session = context;
    struct mt_session other = {.out = out, .sysroot = session->sysroot};
    int argc = 0;

    while (argv[argc])
        argc++;
    return session->run(&other, argc, argv, error) != MT_EXIT_ERROR;
}

static bool cmd_top_start(struct mt_session *session, struct arguments *a,
                          struct mt_error *error)
{
    struct mt_top_options o = {
        .children = a->children,
        .heap = a->heap,
        .delay_ns = a->delay_ns,
        .refreshes = a->refreshes,
        .sort = a->sort,
        .filter = a->filter,
        .rows = a->rows,
        .names = mt_arguments_names(session, &a->common.places),
        .out = session->out,
        .run = cmd_top_run_other,
        .context = session,
    };
    pid_t first;

    if (!a->common.target)
        return mt_missing("top", "PID", error);
    if (!cmd_top_add(&a->pids, a->common.target, error) ||
        !mt_arguments_style(&a->common.style, session->out, &o.style, error))
        return false;
    /* Operands are taken in order; the first one comes last here. */
    first = a->pids.list[a->pids.n - 1];
    memmove(a->pids.list + 1, a->pids.list,
            (a->pids.n - 1) * sizeof *a->pids.list);
    a->pids.list[0] = first;
    o.pids = a->pids.list;
    o.n_pids = a->pids.n;
    o.utf8 = strcmp(o.style.ellipsis, "...") != 0;
    signal(SIGXFSZ, SIG_IGN); /* a limit is an error like a full disk */
    if (a->batch)
        return mt_top_batch(&o, error);
    if (!session->top_screen)
        return mt_fail(error,
                       "top: this memtrace was built without ncursesw, so "
                       "that it has no screen; use --batch");
    return session->top_screen(&o, error);
}

static int cmd_top_run(struct mt_session *session, int argc,
                       const char *const *argv, struct mt_error *error)
{
    struct arguments a = {.delay_ns = TOP_USUAL_DELAY_NS,
                          .rows = MT_STYLE_ROWS};
    int status;
    bool ok;

    if (!mt_arguments_read(session, &mt_command_top, argc, argv, &a, &status,
                           error)) {
        free(a.pids.list);
        return status;
    }
    ok = cmd_top_start(session, &a, error);
    if (!ok && a.pids.n == 1)
        mt_untraced_explain(a.pids.list[0], error);
    free(a.pids.list);
    return ok ? MT_EXIT_OK : MT_EXIT_ERROR;
}

const struct mt_command mt_command_top = {
    .name = "top",
    .operands = "PID...",
    .summary = "Show which stacks grow and allocate now, as they do.",
    .details =
        "Looks at a process every second and shows its stacks by live bytes,\n"
        "by how fast they grow, or by how fast they allocate.  The process is\n"
        "neither stopped nor given memory for that.  ? lists the keys.  Of\n"
        "several processes, and with --children, a list comes first; Enter\n"
        "shows the stacks of one.  With --batch each refresh is printed as\n"
        "text.  A process that ends stays on the screen as it was seen last.\n",
    .options = options,
    .operand = cmd_top_operand,
    .run = cmd_top_run,
};
