/* SPDX-License-Identifier: BSD-2-Clause
 *
 * main.c - the memtrace command.
 */
#include "config.h"

#include "coreanalyze/command.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void print_help(void)
{
    puts("Usage: memtrace COMMAND [OPTIONS] [TARGET]\n\n"
         "Who allocated the memory of a process, read from outside: live or "
         "from a core.\n\nCommands:");
    for (size_t i = 0; mt_commands[i]; i++)
        printf("  %-6s %-26s %s\n", mt_commands[i]->name,
               mt_commands[i]->operands, mt_commands[i]->summary);
    puts("\n`memtrace COMMAND --help` tells the options of a command.\n\n"
         "Exit status: 0 done, 1 usage or target error, 23 leaks found.");
}

/* --- progress: on a terminal, and only for what takes long --- */

struct meter {
    struct timespec start;
    bool shown;
    uint64_t percent;
};

static double seconds_since(const struct timespec *start)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - start->tv_sec) +
           (double)(now.tv_nsec - start->tv_nsec) / 1e9;
}

static bool report(void *context, const char *step, uint64_t done,
                   uint64_t total)
{
    struct meter *meter = context;
    uint64_t percent =
        total ? (uint64_t)((double)done / (double)total * 100) : 0;

    if (seconds_since(&meter->start) < 1 ||
        (meter->shown && percent == meter->percent))
        return true;
    meter->shown = true;
    meter->percent = percent;
    fprintf(stderr, "\rmemtrace: %s: %u%%", step, (unsigned)percent);
    return true;
}

static void end_meter(struct meter *meter)
{
    if (meter->shown)
        fputs("\r\033[K", stderr);
}

int main(int argc, char **argv)
{
    struct meter meter = {.shown = false};
    struct mt_progress progress = {report, &meter};
    struct mt_session session = {.out = stdout};
    struct mt_error error = {0};
    int status;

    if (argc < 2 || strcmp(argv[1], "--help") == 0 ||
        strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        if (argc >= 2) {
            print_help();
            return MT_EXIT_OK;
        }
        fputs("memtrace: no command (see memtrace --help)\n", stderr);
        return MT_EXIT_ERROR;
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("memtrace " PACKAGE_VERSION);
        return MT_EXIT_OK;
    }
    clock_gettime(CLOCK_MONOTONIC, &meter.start);
    if (isatty(STDERR_FILENO))
        session.progress = &progress;
    status = mt_session_run(&session, argc - 1, (const char *const *)(argv + 1),
                            &error);
    end_meter(&meter);
    if (error.text[0])
        fprintf(stderr, "memtrace: %s\n", error.text);
    if ((fflush(stdout) != 0 || ferror(stdout)) && errno != EPIPE) {
        fprintf(stderr, "memtrace: cannot write: %s\n", strerror(errno));
        return MT_EXIT_ERROR;
    }
    return status;
}
