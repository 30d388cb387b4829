/* SPDX-License-Identifier: BSD-2-Clause
 *
 * completion.c - prints the tables of the completion scripts: the commands,
 * their options and what these take, as the command itself has them.  The
 * build runs it: `completion bash`, `completion zsh`.
 */
#include "coreanalyze/commands/command.h"

#include <string.h>

/* Words to choose from, "a|b"; names of things are in capitals. */
static bool completion_words(const char *argument)
{
    return strchr(argument, '|') &&
           !strpbrk(argument, "=,ABCDEFGHIJKLMNOPQRSTUVWXYZ");
}

/* What follows an option, in a word for the scripts. */
static const char *completion_kind(const struct mt_option *option)
{
    /* "[=N]" takes no word of its own. */
    if (!option->argument || option->argument[0] == '[')
        return "none";
    if (strcmp(option->argument, "FILE") == 0)
        return "file";
    if (strcmp(option->argument, "DIR") == 0)
        return "folder";
    return completion_words(option->argument) ? option->argument : "text";
}

/* What the operands of a command are. */
static const char *completion_operand(const struct mt_command *command)
{
    if (command->takes_target || strstr(command->operands, "PID"))
        return "target";
    return strstr(command->operands, "PROGRAM") ? "program" : "file";
}

/* A part of a text in single quotes; what zsh's _arguments reads as its own is
 * escaped. */
static void completion_put(const char *text)
{
    for (; *text; text++) {
        if (*text == '\'')
            fputs("'\\''", stdout);
        else if (strchr("[]:\\", *text))
            printf("\\%c", *text);
        else
            putchar(*text);
    }
}

/* --- bash: functions that answer in words --- */

static void bash_commands(void)
{
    fputs("_memtrace_commands='", stdout);
    for (size_t i = 0; mt_commands[i]; i++)
        printf("%s ", mt_commands[i]->name);
    fputs("help --help --version'\n\n", stdout);
}

static void bash_options(void)
{
    fputs("# _memtrace_options COMMAND: its options.\n"
          "_memtrace_options() {\n    case $1 in\n",
          stdout);
    for (size_t i = 0; mt_commands[i]; i++) {
        const struct mt_option *option = mt_commands[i]->options;
        printf("    %s) echo '", mt_commands[i]->name);
        for (; option->name; option++) {
            printf("%s ", option->name);
            if (option->letter)
                printf("-%c ", option->letter);
        }
        fputs("--help' ;;\n", stdout);
    }
    fputs("    esac\n}\n\n", stdout);
}

static void bash_kinds(void)
{
    fputs("# _memtrace_kind COMMAND OPTION: file, folder, text, none, or words "
          "with |.\n_memtrace_kind() {\n    case $1:$2 in\n",
          stdout);
    for (size_t i = 0; mt_commands[i]; i++) {
        const struct mt_option *option = mt_commands[i]->options;
        for (; option->name; option++) {
            const char *name = mt_commands[i]->name;
            if (!option->argument)
                continue;
            printf("    %s:%s", name, option->name);
            if (option->letter)
                printf(" | %s:-%c", name, option->letter);
            printf(") echo '%s' ;;\n", completion_kind(option));
        }
    }
    fputs("    *) echo none ;;\n    esac\n}\n\n"
          "# _memtrace_operand COMMAND: target, program or file.\n"
          "_memtrace_operand() {\n    case $1 in\n",
          stdout);
    for (size_t i = 0; mt_commands[i]; i++)
        printf("    %s) echo %s ;;\n", mt_commands[i]->name,
               completion_operand(mt_commands[i]));
    fputs("    esac\n}\n\n", stdout);
}

/* --- zsh: the arguments of _arguments --- */

static void zsh_action(const struct mt_option *option)
{
    const char *kind = completion_kind(option);

    if (!option->argument)
        return;
    if (strcmp(kind, "file") == 0) {
        fputs(":file:_files", stdout);
    } else if (strcmp(kind, "folder") == 0) {
        fputs(":folder:_files -/", stdout);
    } else if (strcmp(kind, "text") == 0) {
        putchar(':');
        completion_put(option->argument);
        putchar(':');
    } else {
        fputs(":value:(", stdout);
        for (; *kind; kind++)
            putchar(*kind == '|' ? ' ' : *kind);
        putchar(')');
    }
}

static void zsh_option(const struct mt_option *option)
{
    bool again = strstr(option->help, "several times") != NULL;

    for (int form = 0; form < (option->letter ? 2 : 1); form++) {
        fputs("            '", stdout);
        if (again)
            putchar('*');
        else if (option->letter)
            printf("(%s -%c)", option->name, option->letter);
        if (form == 0)
            printf("%s%s[", option->name, option->argument ? "=" : "");
        else
            printf("-%c%s[", option->letter, option->argument ? "+" : "");
        completion_put(option->help);
        putchar(']');
        zsh_action(option);
        fputs("' \\\n", stdout);
    }
}

static void zsh_commands(void)
{
    fputs("_memtrace_commands=(\n", stdout);
    for (size_t i = 0; mt_commands[i]; i++) {
        printf("    '%s:", mt_commands[i]->name);
        completion_put(mt_commands[i]->summary);
        fputs("'\n", stdout);
    }
    fputs(")\n\n", stdout);
}

static void zsh_arguments(void)
{
    fputs("# _memtrace_command COMMAND: completes its arguments.\n"
          "_memtrace_command() {\n    case $1 in\n",
          stdout);
    for (size_t i = 0; mt_commands[i]; i++) {
        const struct mt_option *option = mt_commands[i]->options;
        printf("    %s)\n        _arguments -s -S \\\n", mt_commands[i]->name);
        for (; option->name; option++)
            zsh_option(option);
        printf("            '(- *)'{-h,--help}'[print its help]' \\\n"
               "            '*::%s:_memtrace_%s'\n        ;;\n",
               completion_operand(mt_commands[i]),
               completion_operand(mt_commands[i]));
    }
    fputs("    esac\n}\n", stdout);
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "bash") == 0) {
        bash_commands();
        bash_options();
        bash_kinds();
    } else if (argc == 2 && strcmp(argv[1], "zsh") == 0) {
        zsh_commands();
        zsh_arguments();
    } else {
        fputs("Usage: completion bash|zsh\n", stderr);
        return 1;
    }
    return ferror(stdout) || fflush(stdout) ? 1 : 0;
}
