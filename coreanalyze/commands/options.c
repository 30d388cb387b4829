/* SPDX-License-Identifier: BSD-2-Clause
 *
 * options.c - reads command lines by a table, and prints the table as help.
 */
#include "coreanalyze/commands/options.h"
#include "coreanalyze/commands/habits.h"
#include "coreanalyze/base/text.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define HELP_COLUMN 24u   /* where the help of an option begins */
#define DEFAULT_WIDTH 80u /* without a terminal */
#define MIN_WIDTH 50u

static int find_option(const struct mt_option *options, const char *word,
                       size_t length)
{
    for (int i = 0; options[i].name; i++) {
        if (strlen(options[i].name) == length &&
            memcmp(options[i].name, word, length) == 0)
            return i;
        if (options[i].letter && word[1] == options[i].letter &&
            (length == 2 || options[i].argument))
            return i;
    }
    return MT_ARG_ERROR;
}

bool mt_unexpected(const char *command, const char *word,
                   struct mt_error *error)
{
    return mt_fail(error,
                   "%s: unexpected argument '%s' (see memtrace %s --help)",
                   command, word, command);
}

bool mt_missing(const char *command, const char *what, struct mt_error *error)
{
    return mt_fail(error, "%s: missing %s (see memtrace %s --help)", command,
                   what, command);
}

static void unknown_option(const struct mt_args *args, const char *word,
                           size_t length, struct mt_error *error)
{
    const char *command = args->argv[0], *name = NULL;
    char text[64];

    snprintf(text, sizeof text, "%.*s", (int)length, word);
    for (int i = 0; args->options[i].name && !name; i++)
        if (length > 2 && length < sizeof text &&
            mt_is_near(text + 2, args->options[i].name + 2))
            name = args->options[i].name;
    if (mt_habit_option(text))
        mt_fail(error, "%s: unknown option '%s': %s (see memtrace %s --help)",
                command, text, mt_habit_option(text), command);
    else if (name)
        mt_fail(error,
                "%s: unknown option '%s': did you mean %s? (see memtrace %s "
                "--help)",
                command, text, name, command);
    else
        mt_fail(error, "%s: unknown option '%.*s' (see memtrace %s --help)",
                command, (int)length, word, command);
}

static int take_option(struct mt_args *args, const char *word,
                       struct mt_error *error)
{
    const char *equals = word[1] == '-' ? strchr(word, '=') : NULL;
    size_t length = equals ? (size_t)(equals - word) : strlen(word);
    int index = find_option(args->options, word, length);

    if (index < 0) {
        unknown_option(args, word, length, error);
        return MT_ARG_ERROR;
    }
    args->option = &args->options[index];
    if (args->option->argument == NULL) {
        if (equals == NULL)
            return index;
        mt_fail(error, "%s: %.*s takes no value", args->argv[0], (int)length,
                word);
        return MT_ARG_ERROR;
    }
    if (equals) {
        args->value = equals + 1;
    } else if (args->option->argument[0] == '[') {
        args->value = NULL;
    } else if (word[1] != '-' && word[2] != '\0') {
        args->value = word + 2; /* -n3 */
    } else if (args->at < args->argc) {
        args->value = args->argv[args->at++];
    } else {
        mt_fail(error, "%s: %s needs a value: %s", args->argv[0], word,
                args->option->argument);
        return MT_ARG_ERROR;
    }
    return index;
}

int mt_args_next(struct mt_args *args, struct mt_error *error)
{
    const char *word;

    if (args->at == 0)
        args->at = 1;
    if (args->at >= args->argc)
        return MT_ARG_END;
    word = args->argv[args->at];
    if (!args->only_operands && strcmp(word, "--") == 0) {
        args->only_operands = true;
        args->at++;
        return mt_args_next(args, error);
    }
    if (args->only_operands || word[0] != '-' || word[1] == '\0') {
        if (args->stop_at_operand)
            return MT_ARG_END;
        args->at++;
        args->option = NULL;
        args->value = word;
        return MT_ARG_OPERAND;
    }
    args->at++;
    args->value = NULL;
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
        return MT_ARG_HELP;
    return take_option(args, word, error);
}

static bool options_parse(const struct mt_args *args, bool suffix,
                          uint64_t *result)
{
    static const char units[] = "KMGT";
    const char *text = args->value, *unit = NULL;
    unsigned shift = 0;
    char *end;

    if (!isdigit((unsigned char)text[0]))
        return false;
    errno = 0;
    *result = strtoull(text, &end, 0);
    if (errno != 0)
        return false;
    if (suffix && *end)
        unit = strchr(units, toupper((unsigned char)*end));
    if (unit) {
        shift = (unsigned)(unit - units + 1) * 10;
        end++;
    }
    if (*end != '\0' || (*result << shift) >> shift != *result)
        return false;
    *result <<= shift;
    return true;
}

bool mt_parse_flag(void *member, const struct mt_args *args,
                   struct mt_error *error)
{
    (void)args;
    (void)error;
    return *(bool *)member = true;
}

bool mt_parse_text(void *member, const struct mt_args *args,
                   struct mt_error *error)
{
    (void)error;
    *(const char **)member = args->value;
    return true;
}

bool mt_parse_count(void *member, const struct mt_args *args,
                    struct mt_error *error)
{
    return options_parse(args, false, member) ||
           mt_fail(error, "%s: %s takes a number, not '%s'", args->argv[0],
                   args->option->name, args->value);
}

bool mt_parse_bytes(void *member, const struct mt_args *args,
                    struct mt_error *error)
{
    return options_parse(args, true, member) ||
           mt_fail(error,
                   "%s: %s takes bytes (a suffix K, M, G or T may follow), "
                   "not '%s'",
                   args->argv[0], args->option->name, args->value);
}

/* Columns of the terminal that `out` is, 80 if it is none. */
static unsigned options_width(FILE *out)
{
    struct winsize size;

    if (isatty(fileno(out)) && ioctl(fileno(out), TIOCGWINSZ, &size) == 0 &&
        size.ws_col > 0)
        return size.ws_col < MIN_WIDTH ? MIN_WIDTH : size.ws_col;
    return DEFAULT_WIDTH;
}

/* Prints the words of a text from column `column` on, in lines that begin at
 * `indent`. */
static void options_wrap(FILE *out, const char *text, unsigned column,
                         unsigned indent, unsigned width)
{
    bool first = true;

    while (*text) {
        unsigned n = (unsigned)strcspn(text, " ");
        if (!first && column + 1 + n > width - 1) {
            fprintf(out, "\n%*s", (int)indent, "");
            column = indent;
            first = true;
        }
        fprintf(out, "%s%.*s", first ? "" : " ", (int)n, text);
        column += n + !first;
        first = false;
        text += n;
        text += strspn(text, " ");
    }
    putc('\n', out);
}

static void options_put(FILE *out, const char *left, const char *help,
                        unsigned width)
{
    unsigned column = (unsigned)fprintf(out, "%-*s", (int)HELP_COLUMN, left);

    /* A long name has the line for itself. */
    if (column >= HELP_COLUMN && strlen(left) >= HELP_COLUMN)
        column = (unsigned)fprintf(out, "\n%*s", (int)HELP_COLUMN, "") - 1;
    options_wrap(out, help, column, HELP_COLUMN, width);
}

void mt_options_line(FILE *out, const char *left, const char *help)
{
    options_put(out, left, help, options_width(out));
}

void mt_options_print(const struct mt_option *options, FILE *out)
{
    unsigned width = options_width(out);

    for (; options->name; options++) {
        char left[64];
        int n = options->letter
                    ? snprintf(left, sizeof left, "  -%c, %s", options->letter,
                               options->name)
                    : snprintf(left, sizeof left, "  %s", options->name);
        if (options->argument)
            snprintf(left + n, sizeof left - (size_t)n, "%s%s",
                     options->argument[0] == '[' ? "" : " ", options->argument);
        options_put(out, left, options->help, width);
    }
    options_put(out, "  -h, --help", "print this text", width);
}
