/* SPDX-License-Identifier: BSD-2-Clause
 *
 * options.h - command lines: one table of options per command serves the
 * parser, --help and completion, in the shell and in GDB.
 */
#ifndef MT_OPTIONS_H
#define MT_OPTIONS_H

#include "coreanalyze/error.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct mt_option {
    const char *name;     /* "--top"; NULL ends the table */
    char letter;          /* "-o", or 0 */
    const char *argument; /* what it takes ("N"), or NULL */
    const char *help;
};

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
    const char *value;    /* of the option or operand */
    bool only_operands;   /* "--" has been seen */
};

/* The index of the next option in the table, or MT_ARG_*. `--help` is an
 * option of every command. */
int mt_args_next(struct mt_args *args, struct mt_error *error);

/* Each reads args->value; on failure `error` names the option. */
bool mt_arg_count(const struct mt_args *, const char *option, uint64_t *,
                  struct mt_error *);
/* Bytes with an optional suffix K, M, G or T (of 1024). */
bool mt_arg_bytes(const struct mt_args *, const char *option, uint64_t *,
                  struct mt_error *);

/* Prints the table as --help shows it. */
void mt_options_print(const struct mt_option *options, FILE *out);

#endif
