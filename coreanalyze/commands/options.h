/* SPDX-License-Identifier: BSD-2-Clause
 *
 * options.h - command lines: one table of options per command serves the
 * parser, --help and completion, in the shell and in GDB.
 */
#ifndef MT_OPTIONS_H
#define MT_OPTIONS_H

#include "coreanalyze/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct mt_args;
/* Reads args->value into a member of the command's arguments; on failure
 * `error` names args->option. */
typedef bool mt_parse(void *member, const struct mt_args *args,
                      struct mt_error *error);

struct mt_option {
    const char *name;     /* "--top"; NULL ends the table */
    char letter;          /* "-o", or 0 */
    const char *argument; /* what it takes: "N"; "[=N]": after `=` or not at
                             all; NULL: nothing */
    const char *help;
    mt_parse *take;
    size_t member; /* its offset in the command's `struct arguments` */
};

/* The last two members of an option: `take` fills `member`, which is of type
 * `type`, of the `struct arguments` where this is used. */
#define MT_FIELD(take, type, member)                                           \
    take, offsetof(struct arguments, member) +                                 \
              0 * sizeof(_Generic(((struct arguments *)0)->member, type : 0))

mt_parse mt_parse_flag;  /* bool: it was given */
mt_parse mt_parse_text;  /* const char * */
mt_parse mt_parse_count; /* uint64_t */
mt_parse
    mt_parse_bytes; /* uint64_t; a suffix K, M, G or T (of 1024) may follow */

enum {
    MT_ARG_END = -1,
    MT_ARG_OPERAND = -2, /* no option; `value` is the word */
    MT_ARG_ERROR = -3,
    MT_ARG_HELP = -4,
};

struct mt_args {
    int argc;
    const char *const *argv; /* argv[0] is the command */
    const struct mt_option *options;
    bool stop_at_operand; /* the words from the first operand on stay */
    int at;               /* next word */
    const struct mt_option *option; /* that `value` is of, or NULL */
    const char *value;              /* of the option or operand */
    bool only_operands;             /* "--" has been seen */
};

/* The index of the next option in the table, or MT_ARG_*. `--help` is an
 * option of every command. */
int mt_args_next(struct mt_args *args, struct mt_error *error);

/* Fails: a command was given a word too many, or lacks `what`. */
bool mt_unexpected(const char *command, const char *word,
                   struct mt_error *error);
bool mt_missing(const char *command, const char *what, struct mt_error *error);

/* Prints the table as --help shows it. */
void mt_options_print(const struct mt_option *options, FILE *out);
/* A line of help: `left`, and at the column of all helps `help`, which is
 * wrapped at the terminal's width. */
void mt_options_line(FILE *out, const char *left, const char *help);

#endif
