/* SPDX-License-Identifier: BSD-2-Clause */
#include "coreanalyze/commands/options.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int find_option(const struct mt_option *options, const char *word,
                       size_t length)
{
    for (int i = 0; options[i].name; i++) {
        if (strlen(options[i].name) == length &&
            memcmp(options[i].name, word, length) == 0)
            return i;
        if (options[i].letter && length == 2 && word[1] == options[i].letter)
            return i;
    }
    return MT_ARG_ERROR;
}

static int take_option(struct mt_args *args, const char *word,
                       struct mt_error *error)
{
    const char *equals = word[1] == '-' ? strchr(word, '=') : NULL;
    size_t length = equals ? (size_t)(equals - word) : strlen(word);
    int index = find_option(args->options, word, length);

    if (index < 0) {
        mt_fail(error, "%s: no option %.*s (see memtrace %s --help)",
                args->argv[0], (int)length, word, args->argv[0]);
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

void mt_options_print(const struct mt_option *options, FILE *out)
{
    for (; options->name; options++) {
        char left[64];
        int n = options->letter
                    ? snprintf(left, sizeof left, "  -%c, %s", options->letter,
                               options->name)
                    : snprintf(left, sizeof left, "  %s", options->name);
        if (options->argument)
            snprintf(left + n, sizeof left - (size_t)n, " %s",
                     options->argument);
        fprintf(out, "%-24s%s%s\n", left, strlen(left) > 23 ? " " : "",
                options->help);
    }
    fprintf(out, "%-24s%s\n", "  -h, --help", "this text");
}
