/* SPDX-License-Identifier: BSD-2-Clause
 *
 * command.h - a command is an entry of a table: its name, its help, its
 * options, its function.  The same entries serve the shell and GDB.
 */
#ifndef MT_COMMAND_H
#define MT_COMMAND_H

#include "coreanalyze/analyses/verdict.h"
#include "coreanalyze/base/fold.h"
#include "coreanalyze/snapshot/model.h"
#include "coreanalyze/commands/options.h"
#include "coreanalyze/names/resolve.h"

#include <stdio.h>

#define MT_EXIT_OK 0
#define MT_EXIT_ERROR 1
#define MT_EXIT_LEAKS 23
#define MT_EXIT_UNCHECKED 24
/* The status for the result of a search. */
int mt_exit_of(enum mt_result result);

struct mt_top_options;
/* The surroundings of a command: its output, progress and open target. */
struct mt_session {
    struct mt_source *target; /* GDB's; NULL: the command line names one */
    uint64_t root_symbol;     /* address of memtrace_root in it, or 0 */
    FILE *out;
    struct mt_fold fold; /* `out` leads through it to a terminal, or not */
    const struct mt_progress *progress; /* or NULL */
    mt_name_hook *name_hook;            /* or NULL */
    void *name_context;
    struct mt_source_limits limits; /* of the command that runs */
    uint32_t ended; /* process that ended while the command read it, or 0 */
    const char *sysroot; /* that its command line named, or NULL */
    /* For top, which only the command has: its screen, NULL if there is none,
     * and mt_session_run() for other commands. */
    bool (*top_screen)(const struct mt_top_options *, struct mt_error *);
    int (*run)(struct mt_session *, int argc, const char *const *argv,
               struct mt_error *);
};

struct mt_command {
    const char *name;
    const char *operands; /* for the usage line, TARGET included */
    /* The operands in GDB; NULL: all but the first one. */
    const char *debugger_operands;
    const char *summary; /* one sentence */
    const char *details; /* paragraphs for --help, or NULL */
    const struct mt_option *options;
    /* The first operand is TARGET, which GDB leaves out; a command without a
     * target runs in the shell alone. */
    bool takes_target;
    /* Takes an operand after TARGET into the command's arguments; NULL: the
     * command has none; and without a target, its operands are a program. */
    mt_parse *operand;
    /* Returns an exit status; fills `error` if it is MT_EXIT_ERROR. */
    int (*run)(struct mt_session *, int argc, const char *const *argv,
               struct mt_error *error);
};

extern const struct mt_command mt_command_show, mt_command_info,
    mt_command_heaps, mt_command_on, mt_command_off, mt_command_run,
    mt_command_gdb, mt_command_leaks, mt_command_refs, mt_command_whatis,
    mt_command_save, mt_command_map, mt_command_check, mt_command_diff,
    mt_command_retained, mt_command_export, mt_command_blocks,
    mt_command_report, mt_command_watch, mt_command_top,
    mt_command_core_handler, mt_command_box;

/* All commands, ended by NULL. */
extern const struct mt_command *const mt_commands[];
/* NULL if there is none of that name. */
const struct mt_command *mt_command_find(const char *name);
/* The help of a command; `shell` says how it is called there. */
void mt_command_help(const struct mt_command *command, bool shell, FILE *out);
/* Runs a command: argv[0] is its name. */
int mt_session_run(struct mt_session *session, int argc,
                   const char *const *argv, struct mt_error *error);

/* An open target and its model, which all commands share. */
struct mt_target {
    struct mt_source *source;
    struct mt_model *model;
    bool owned; /* the source is closed with it */
    struct mt_session *session;
};
/* Opens the session's target, or the one that the command line names. */
bool mt_target_open(struct mt_session *, const char *command, const char *name,
                    struct mt_target *, struct mt_error *);
bool mt_target_model(struct mt_session *, struct mt_target *,
                     struct mt_error *);
/* After an error of such: says why a live process is not on the traced heap, if
 * its program shows that.  Returns false. */
bool mt_target_untraced(const struct mt_session *, const struct mt_target *,
                        struct mt_error *);
/* False with `error` filled if the target has ended before all that is wanted
 * of it was read. */
bool mt_target_lives(const struct mt_target *, struct mt_error *);
void mt_target_close(struct mt_target *);

#endif
