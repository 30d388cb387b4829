/* SPDX-License-Identifier: BSD-2-Clause
 *
 * main.c - the memtrace command.
 */
#include "config.h"

#include "coreanalyze/commands/command.h"
#include "coreanalyze/commands/progress_bar.h"
#include "coreanalyze/top/top.h"

#include <errno.h>
#include <string.h>

#if HAVE_CURSES
#define MAIN_SCREEN mt_top_screen
#else
#define MAIN_SCREEN NULL
#endif

static void print_help(FILE *out)
{
    fputs("Usage: memtrace COMMAND [OPTIONS] [TARGET]\n\n"
          "Who allocated the memory of a process, read from outside: live or "
          "from a core.\n\nCommands:\n",
          out);
    for (size_t i = 0; mt_commands[i]; i++) {
        char left[80];
        snprintf(left, sizeof left, "  %-8s %s", mt_commands[i]->name,
                 mt_commands[i]->operands);
        mt_options_line(out, left, mt_commands[i]->summary);
    }
    fputs(
        "\nTo begin:\n"
        "    memtrace run -- PROGRAM      start it; its children are traced, "
        "too\n"
        "    memtrace show PID            who allocated what is live\n"
        "    memtrace leaks PID           what nothing points to\n"
        "    memtrace report PID -o FILE.html\n"
        "\nRun `memtrace COMMAND --help`, or `memtrace help COMMAND`, for the "
        "options of a\ncommand.\n\n"
        "Exit status: 0 done, 1 usage or target error, 23 leaks found, 24 "
        "not checked.\n",
        out);
}

/* The status, unless what was printed could not be written. */
static int main_finish(int status, const struct mt_error *error)
{
    if ((fflush(stdout) == 0 && !ferror(stdout)) || errno == EPIPE)
        return status;
    if (!error->text[0])
        fprintf(stderr, "memtrace: cannot write standard output: %s\n",
                strerror(errno));
    return MT_EXIT_ERROR;
}

int main(int argc, char **argv)
{
    const struct mt_command *command;
    struct mt_progress_bar progress = {.shown = false};
    struct mt_session session = {
        .out = stdout, .top_screen = MAIN_SCREEN, .run = mt_session_run};
    struct mt_error error = {0};
    int status;

    if (argc < 2) {
        print_help(stderr);
        return MT_EXIT_ERROR;
    }
    if (strcmp(argv[1], "help") == 0 && argc > 2) {
        const char *words[] = {argv[2], "--help", NULL};
        status = mt_session_run(&session, 2, words, &error);
        if (error.text[0])
            fprintf(stderr, "memtrace: %s\n", error.text);
        return main_finish(status, &error);
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        print_help(stdout);
        return main_finish(MT_EXIT_OK, &error);
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("memtrace " PACKAGE_VERSION);
        return main_finish(MT_EXIT_OK, &error);
    }
    /* Others run a program, whose terminal it is then. */
    command = mt_command_find(argv[1]);
    if (command && command->takes_target) {
        mt_progress_bar_begin(&progress);
        session.progress = &progress.progress;
    }
    status = mt_session_run(&session, argc - 1, (const char *const *)(argv + 1),
                            &error);
    mt_progress_bar_end(&progress);
    if (error.text[0])
        fprintf(stderr, "memtrace: %s\n", error.text);
    status = main_finish(status, &error);
    mt_progress_bar_exit_by_signal();
    return status;
}
