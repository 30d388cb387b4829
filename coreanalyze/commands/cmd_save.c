/* SPDX-License-Identifier: BSD-2-Clause
 *
 * cmd_save.c - memtrace save: the trace of a target in a file.
 */
#include "coreanalyze/commands/search_options.h"
#include "coreanalyze/save/save.h"
#include "coreanalyze/base/text.h"

#include <signal.h>
#include <string.h>
#include <sys/stat.h>

struct arguments {
    struct mt_arguments common;
    const char *output;
    bool no_stop;
};

static const struct mt_option options[] = {
    {"--output", 'o', "FILE", "the file to write",
     MT_FIELD(mt_parse_text, const char *, output)},
    MT_OPTION_NO_STOP,
    MT_OPTION_STOP_TIMEOUT,
    MT_OPTION_SYSROOT,
    MT_OPTION_COREDUMP,
    {0},
};

/* A limit on the size of files is an error like a full disk. */
static bool cmd_save_write_file(const struct mt_model *model, const char *path,
                                uint64_t *bytes, struct mt_error *error)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN}, before;
    bool ok;

    sigaction(SIGXFSZ, &ignore, &before);
    ok = mt_save_write(model, path, bytes, error);
    sigaction(SIGXFSZ, &before, NULL);
    return ok;
}

/* A pipe takes no file that is written out of order, and to open one may wait
 * for its reader while the target stands still. */
static bool cmd_save_is_file(const char *path, struct mt_error *error)
{
    struct stat status;

    if (strcmp(path, "-") == 0)
        return mt_fail(error, "cannot write standard output; save needs a file "
                              "(./- is one of that name)");
    return stat(path, &status) != 0 ||
           (!S_ISFIFO(status.st_mode) && !S_ISSOCK(status.st_mode)) ||
           mt_fail(error, "cannot write %s: a pipe; save needs a file", path);
}

static int cmd_save_run(struct mt_session *session, int argc,
                        const char *const *argv, struct mt_error *error)
{
    struct arguments a = {0};
    struct mt_target target = {0};
    uint64_t bytes;
    int status;

    if (!mt_arguments_read(session, &mt_command_save, argc, argv, &a, &status,
                           error))
        return status;
    status = MT_EXIT_ERROR;
    if (a.output == NULL) {
        mt_missing("save", "option -o FILE", error);
        return status;
    }
    if (!cmd_save_is_file(a.output, error))
        return status;
    if (mt_target_open(session, "save", a.common.target, &target, error) &&
        (a.no_stop || !target.source->ops->stop ||
         target.source->ops->stop(target.source, error))) {
        if (mt_target_model(session, &target, error) &&
            cmd_save_write_file(target.model, a.output, &bytes, error)) {
            fprintf(session->out, "%s: ", a.output);
            mt_put_bytes(session->out, bytes);
            putc('\n', session->out);
            status = MT_EXIT_OK;
        }
        if (!a.no_stop && target.source->ops->resume)
            target.source->ops->resume(target.source);
    }
    mt_target_close(&target);
    return status;
}

const struct mt_command mt_command_save = {
    .name = "save",
    .operands = "TARGET -o FILE",
    .summary = "Save the trace in a file: a core without the program's data.",
    .details =
        "The file is an ELF core with the trace, the registers of the\n"
        "threads and the names of files; it has no stacks, no variables and\n"
        "no blocks.  The commands, and GDB, read it as they read a core;\n"
        "leaks and refs, which search what it lacks, refuse it.\n"
        "A live process is stopped while it is read.\n",
    .options = options,
    .takes_target = true,
    .run = cmd_save_run,
};
