/* SPDX-License-Identifier: BSD-2-Clause
 *
 * habits.c - a table of other tools' words, and a look at a word that may be a
 * process or a file.
 */
#include "coreanalyze/commands/habits.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct habit {
    const char *word, *here;
};

static const struct habit option_habits[] = {
    {"--leak-check", "`memtrace check` always looks for leaks; --fail-on names "
                     "the kinds that count"},
    {"--show-leak-kinds", "--show-kinds, with the same names"},
    {"--show-reachable", "--show-kinds all"},
    {"--errors-for-leak-kinds", "--fail-on, with the same names"},
    {"--error-exitcode", "the status of leaks is 23"},
    {"--track-origins", "memtrace does not look for uninitialised values"},
    {"--undef-value-errors", "memtrace does not look for uninitialised values"},
    {"--num-callers", "whole stacks are kept; MEMTRACE=depth=N keeps fewer"},
    {"--leak-resolution",
     "--depth N merges stacks by their N innermost frames"},
    {"--trace-children", "children are traced, too"},
    {"--child-silent-after-fork", "children are traced, too"},
    {"--xml", "--valgrind-xml FILE"},
    {"--xml-file", "--valgrind-xml FILE"},
    {"--tool", "`memtrace check` is nearest to Memcheck, `memtrace show "
               "--timeline` to Massif"},
    {"--pid", "a process is an operand: memtrace show PID"},
    {"-p", "a process is an operand: memtrace show PID"},
    {"--core", "a core is an operand: memtrace show FILE"},
    {"-q", "a check that passes prints one line; -o FILE takes the report"},
    {"--quiet",
     "a check that passes prints one line; -o FILE takes the report"},
    {"--track-fds", "memtrace looks at memory alone"},
    {"--record-only", "`memtrace run` writes no data; show reads the process"},
};

static const struct habit command_habits[] = {
    {"memcheck", "memtrace check -- PROGRAM"},
    {"valgrind", "memtrace check -- PROGRAM"},
    {"massif", "memtrace show --timeline PID"},
    {"dhat", "memtrace export PID -o FILE --format dhat"},
    {"heaptrack", "memtrace run -- PROGRAM"},
    {"heaptrack_print", "memtrace show PID or FILE"},
    {"heaptrack_gui", "memtrace report PID -o FILE.html"},
    {"ms_print", "memtrace show --timeline PID"},
    {"vgdb", "memtrace show PID"},
    {"record", "memtrace run -- PROGRAM"},
    {"start", "memtrace run -- PROGRAM"},
    {"exec", "memtrace run -- PROGRAM"},
    {"attach", "memtrace show PID, if `memtrace run` started it"},
    {"analyze", "memtrace show PID or FILE"},
    {"print", "memtrace show PID or FILE"},
    {"stack", "memtrace show --full PID or FILE"},
    {"dump", "memtrace save PID -o FILE"},
    {"snapshot", "memtrace save PID -o FILE"},
    {"flamegraph", "memtrace report PID -o FILE.html"},
    {"html", "memtrace report PID -o FILE.html"},
    {"stop", "memtrace off PID"},
    {"version", "memtrace --version"},
};

static const char *habit_find(const struct habit *habits, size_t n,
                              const char *word)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(habits[i].word, word) == 0)
            return habits[i].here;
    return NULL;
}

const char *mt_habit_option(const char *option)
{
    return habit_find(option_habits,
                      sizeof option_habits / sizeof *option_habits, option);
}

static bool is_core(const char *path)
{
    unsigned char head[18] = {0};
    FILE *file = fopen(path, "rb");
    bool core = file && fread(head, 1, sizeof head, file) == sizeof head &&
                memcmp(head, "\177ELF", 4) == 0 && head[16] == 4;

    if (file)
        fclose(file);
    return core;
}

bool mt_habit_command(const char *word, char *text, size_t bytes)
{
    const char *here = habit_find(
        command_habits, sizeof command_habits / sizeof *command_habits, word);
    struct stat status;
    char name[64];

    /* An option before the command; what follows its `=` is not looked at. */
    snprintf(name, sizeof name, "%.*s", (int)strcspn(word, "="), word);
    if (here == NULL && word[0] == '-')
        here = mt_habit_option(name);
    if (here)
        snprintf(text, bytes, "%s", here);
    else if (word[0] && word[strspn(word, "0123456789")] == '\0')
        snprintf(text, bytes, "memtrace show %.100s reads a process", word);
    else if (stat(word, &status) != 0 || !S_ISREG(status.st_mode))
        return false;
    else if (is_core(word))
        snprintf(text, bytes, "memtrace show %.100s reads a core", word);
    else if (access(word, X_OK) == 0)
        snprintf(text, bytes, "memtrace run -- %.100s runs a program", word);
    else
        return false;
    return true;
}
