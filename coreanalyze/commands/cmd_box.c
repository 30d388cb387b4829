/* SPDX-License-Identifier: BSD-2-Clause
 *
 * cmd_box.c - memtrace box: which black boxes there are, and removing those of
 * processes that have ended.
 */
#include "coreanalyze/base/memory.h"
#include "coreanalyze/base/text.h"
#include "coreanalyze/commands/arguments.h"
#include "coreanalyze/source/source.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct arguments {
    struct mt_arguments common;
    bool list, clean;
};

static const struct mt_option options[] = {
    {"--list", 0, NULL, "list them (the default)",
     MT_FIELD(mt_parse_flag, bool, list)},
    {"--clean", 0, NULL, "remove those of processes that have ended",
     MT_FIELD(mt_parse_flag, bool, clean)},
    {0},
};

static int box_compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void box_print(FILE *out, const char *path, const struct stat *status,
                      bool in_use, bool removed)
{
    struct mt_error error = {0};
    struct mt_source *source = mt_source_open_core(path, &error);

    fprintf(out, "%7" PRIu32 "  %-8s ", source ? source->process.pid : 0,
            removed  ? "removed"
            : in_use ? "runs"
                     : "ended");
    mt_put_size(out, (uint64_t)status->st_blocks * 512);
    fputs("  ", out);
    mt_put_text(out, source ? source->process.name : "?");
    fputs("  ", out);
    mt_put_text(out, path);
    if (source && source->coverage.box_bytes) {
        fputs("  (", out);
        mt_put_size(out, source->coverage.box_bytes);
        fputs(" missing)", out);
    }
    putc('\n', out);
    mt_source_free(source);
}

/* Counts the file if it is a box.  False if it cannot be removed. */
static bool box_visit(FILE *out, const char *path, bool clean, size_t *n,
                      struct mt_error *error)
{
    struct stat status, named;
    int file = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    bool ok = true;

    if (file < 0)
        return true;
    if (fstat(file, &status) == 0 && S_ISREG(status.st_mode) &&
        mt_file_is_box(file)) {
        bool in_use = mt_box_use(file) != MT_BOX_LEFT;
        bool ours = lstat(path, &named) == 0 && named.st_ino == status.st_ino &&
                    named.st_dev == status.st_dev;
        bool removes = clean && !in_use && ours;
        if (!clean || removes) {
            box_print(out, path, &status, in_use, removes);
            ++*n;
        }
        if (removes && unlink(path) != 0)
            ok = mt_fail(error, "box: cannot remove %s: %s", path,
                         strerror(errno));
    }
    close(file);
    return ok;
}

static bool box_visit_folder(FILE *out, const char *folder, bool clean,
                             size_t *n, struct mt_error *error)
{
    DIR *open_folder = opendir(folder);
    char **paths = NULL;
    size_t n_paths = 0, capacity = 0;
    const struct dirent *entry;
    bool ok = open_folder != NULL;

    if (!ok)
        return mt_fail(error, "box: cannot read %s: %s", folder,
                       strerror(errno));
    while (ok && (entry = readdir(open_folder))) {
        char *path = NULL;
        ok = mt_grow(&paths, &capacity, n_paths + 1, sizeof *paths) &&
             asprintf(&path, "%s/%s", folder, entry->d_name) >= 0;
        if (ok)
            paths[n_paths++] = path;
        else
            mt_no_memory(error, "the names of files");
    }
    closedir(open_folder);
    if (n_paths)
        qsort(paths, n_paths, sizeof *paths, box_compare_names);
    for (size_t i = 0; i < n_paths; i++) {
        ok = ok && box_visit(out, paths[i], clean, n, error);
        free(paths[i]);
    }
    free(paths);
    return ok;
}

static bool cmd_box_operand(void *arguments, const struct mt_args *args,
                            struct mt_error *error)
{
    (void)arguments;
    return mt_unexpected("box", args->value, error);
}

static int cmd_box_run(struct mt_session *session, int argc,
                       const char *const *argv, struct mt_error *error)
{
    struct arguments a = {0};
    struct stat status;
    const char *place;
    size_t n = 0;
    int result;
    bool ok;

    if (!mt_arguments_read(session, &mt_command_box, argc, argv, &a, &result,
                           error))
        return result;
    if (a.list && a.clean) {
        mt_fail(error, "box: --list and --clean exclude each other");
        return MT_EXIT_ERROR;
    }
    place = a.common.target ? a.common.target : "/dev/shm";
    if (stat(place, &status) == 0 && S_ISREG(status.st_mode))
        ok = box_visit(session->out, place, a.clean, &n, error);
    else
        ok = box_visit_folder(session->out, place, a.clean, &n, error);
    if (ok && n == 0)
        fprintf(session->out, "no %sblack boxes in %s\n",
                a.clean ? "ended " : "", place);
    return ok ? MT_EXIT_OK : MT_EXIT_ERROR;
}

const struct mt_command mt_command_box = {
    .name = "box",
    .operands = "[FOLDER|FILE]",
    .debugger_operands = "",
    .summary = "List black boxes, or remove those of ended processes.",
    .details =
        "A process with MEMTRACE=box=/dev/shm/NAME.%p keeps its trace in that\n"
        "file, which stays when a signal ends it, also SIGKILL.  All commands\n"
        "that read a core read it.  The FOLDER is /dev/shm by default.\n"
        "Each line has the process id, whether it runs, the memory that the\n"
        "file takes, the process's name, and the file.\n",
    .options = options,
    .operand = cmd_box_operand,
    .run = cmd_box_run,
};
