/* SPDX-License-Identifier: BSD-2-Clause
 *
 * cmd_gdb.c - memtrace gdb: GDB with the memtrace commands loaded.
 */
#include "coreanalyze/commands/command.h"
#include "coreanalyze/commands/installed.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct mt_option options[] = {{0}};

/* `text` as one word of the shell. */
static char *cmd_gdb_quoted(const char *text)
{
    char *result = malloc(strlen(text) * 4 + 3), *to = result;

    if (result == NULL)
        return NULL;
    *to++ = '\'';
    for (; *text; text++) {
        if (*text == '\'')
            to = stpcpy(to, "'\\'");
        *to++ = *text;
    }
    strcpy(to, "'");
    return result;
}

/* Programs that GDB starts run on the traced heap, GDB itself does not: the
 * wrapper that it starts them by sets LD_PRELOAD. */
static char *wrapper_command(const char *library)
{
    const char *before = getenv("LD_PRELOAD");
    char *setting = NULL, *word = NULL, *command = NULL;

    if (before && strstr(before, library))
        library = NULL; /* it is in there */
    if (asprintf(&setting, "LD_PRELOAD=%s%s%s", library ? library : "",
                 library && before && *before ? ":" : "",
                 before ? before : "") >= 0)
        word = cmd_gdb_quoted(setting);
    else
        setting = NULL;
    if (word == NULL || asprintf(&command, "set exec-wrapper env %s", word) < 0)
        command = NULL;
    free(setting);
    free(word);
    if (library == NULL)
        unsetenv("LD_PRELOAD");
    return command;
}

/* The words that become GDB's argv; NULL when out of memory. */
static const char **gdb_words(const char *library, const char *script, int argc,
                              const char *const *argv)
{
    const char **words = calloc((size_t)argc + 8, sizeof *words);
    char *safe = NULL, *source = NULL, *wrapper = wrapper_command(library);
    size_t n = 0;

    if (words == NULL || wrapper == NULL ||
        asprintf(&safe, "add-auto-load-safe-path %s-gdb.py", library) < 0 ||
        asprintf(&source, "source %s", script) < 0)
        return NULL;
    words[n++] = "gdb";
    words[n++] = "-iex";
    words[n++] = safe;
    words[n++] = "-iex";
    words[n++] = source;
    words[n++] = "-iex";
    words[n++] = wrapper;
    for (int i = 1; i < argc; i++)
        words[n++] = argv[i];
    return words;
}

static int cmd_gdb_run(struct mt_session *session, int argc,
                       const char *const *argv, struct mt_error *error)
{
    char library[PATH_MAX], script[PATH_MAX];
    const char **words;

    if (argc > 1 &&
        (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        mt_command_help(&mt_command_gdb, true, session->out);
        return MT_EXIT_OK;
    }
    if (!mt_installed_preload("gdb", library, error) ||
        !mt_installed_gdb_script("gdb", script, error))
        return MT_EXIT_ERROR;
    words = gdb_words(library, script, argc, argv);
    if (words == NULL) {
        mt_fail(error, "gdb: out of memory");
        return MT_EXIT_ERROR;
    }
    execvp(words[0], (char *const *)(uintptr_t)words);
    int status = errno == ENOENT ? 127 : 126;
    mt_fail(error, "gdb: cannot run gdb: %s", strerror(errno));
    for (size_t i = 2; i <= 6; i += 2) /* those of gdb_words()'s own */
        free((char *)(uintptr_t)words[i]);
    free(words);
    return status;
}

const struct mt_command mt_command_gdb = {
    .name = "gdb",
    .operands = "[ARGUMENT...]",
    .summary = "Start GDB with the memtrace commands loaded.",
    .details = "The arguments are GDB's own: PROGRAM, PROGRAM CORE, -p PID,\n"
               "--args PROGRAM ARGUMENT..., and its options.  Programs that\n"
               "GDB then starts run on the traced heap.\n",
    .options = options,
    .run = cmd_gdb_run,
};
