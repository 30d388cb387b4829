/* SPDX-License-Identifier: BSD-2-Clause
 *
 * arguments.h - what commands are given: the options that several of them
 * have, and the reading of a whole command line.
 */
#ifndef MT_ARGUMENTS_H
#define MT_ARGUMENTS_H

#include "coreanalyze/commands/command.h"
#include "coreanalyze/analyses/show.h"
#include "coreanalyze/reports/style.h"

#define MT_MAX_DEBUG_DIRS 16

/* Folders of the files of the target's modules. */
struct mt_debug_places {
    /* The folders given, then the usual one, then NULL. */
    const char *debug_dirs[MT_MAX_DEBUG_DIRS + 2];
    unsigned n_debug_dirs; /* given */
    const char *sysroot;   /* or NULL */
};

/* How text looks. */
struct mt_style_arguments {
    bool full, bytes;
    const char *colour; /* auto, always, never; NULL: auto */
    const char *width;  /* columns; NULL: those of the terminal */
};

/* Targets of --coredump, as words that name them. */
struct mt_coredump_words {
    char words[2][32];
    unsigned n;
};

/* The first member, `common`, of every command's `struct arguments`. */
struct mt_arguments {
    const char *target;
    const char *second; /* target, of commands that take two */
    unsigned json;      /* version; 0: none is wanted */
    bool folded;
    struct mt_style_arguments style;
    struct mt_debug_places places;
    struct mt_source_limits limits;
    struct mt_coredump_words coredumps;
    const char *const *rest; /* the program that the command is to run */
};

/* Options that are the same everywhere. */
#define MT_OPTION_JSON                                                         \
    {                                                                          \
        "--json", 0, "[=1]", "JSON instead of text",                           \
            MT_FIELD(mt_parse_json, unsigned, common.json)                     \
    }
/* Of reports with stacks. */
#define MT_OPTION_JSON_VERSION                                                 \
    {                                                                          \
        "--json", 0, "[=VERSION]",                                             \
            "JSON instead of text: version 1 (the default), or 2, which has "  \
            "each frame and path once",                                        \
            MT_FIELD(mt_parse_json, unsigned, common.json)                     \
    }
mt_parse mt_parse_json; /* unsigned */
#define MT_OPTION_FOLDED                                                       \
    {                                                                          \
        "--folded", 0, NULL, "one line per stack, for flame graphs",           \
            MT_FIELD(mt_parse_flag, bool, common.folded)                       \
    }
#define MT_OPTIONS_STYLE                                                       \
    {"--full", 0, NULL,                                                        \
     "every frame by its full name, exact figures, the pages of heaps",        \
     MT_FIELD(mt_parse_flag, bool, common.style.full)},                        \
        {"--bytes", 0, NULL, "exact figures instead of K, M and G",            \
         MT_FIELD(mt_parse_flag, bool, common.style.bytes)},                   \
        {"--color", 0, "auto|always|never", "colours (default: auto)",         \
         MT_FIELD(mt_parse_text, const char *, common.style.colour)},          \
    {                                                                          \
        "--width", 0, "N",                                                     \
            "columns of a line (default: the terminal's, or "                  \
            "80); 0: any",                                                     \
            MT_FIELD(mt_parse_text, const char *, common.style.width)          \
    }
#define MT_OPTION_DEBUG_DIR                                                    \
    {                                                                          \
        "--debug-dir", 0, "DIR",                                               \
            "look here too for separate debug files (may be given several "    \
            "times)",                                                          \
            MT_FIELD(mt_parse_debug_dir, struct mt_debug_places,               \
                     common.places)                                            \
    }
#define MT_OPTION_SYSROOT                                                      \
    {                                                                          \
        "--sysroot", 0, "DIR", "the target's files are below this",            \
            MT_FIELD(mt_parse_text, const char *, common.places.sysroot)       \
    }
/* Options of all commands that read a target. */
#define MT_OPTION_COREDUMP                                                     \
    {                                                                          \
        "--coredump", 0, "PID",                                                \
            "the target is the newest core of that process that "              \
            "systemd-coredump keeps",                                          \
            MT_FIELD(mt_parse_coredump, struct mt_coredump_words,              \
                     common.coredumps)                                         \
    }
mt_parse mt_parse_coredump; /* struct mt_coredump_words */

/* Options of commands that stop a live process. */
#define MT_OPTION_STOP_TIMEOUT                                                 \
    {                                                                          \
        "--stop-timeout", 0, "SECONDS",                                        \
            "how long to wait for threads to stop (default: 1); those that "   \
            "do not are read while they run",                                  \
            MT_FIELD(mt_parse_stop_timeout, struct mt_source_limits,           \
                     common.limits)                                            \
    }
mt_parse mt_parse_stop_timeout; /* struct mt_source_limits */
mt_parse mt_parse_debug_dir;    /* struct mt_debug_places */

/* Options of commands with rows of stacks. */
mt_parse mt_parse_depth; /* unsigned */
mt_parse mt_parse_sort;  /* enum mt_show_sort */
mt_parse mt_parse_when;  /* struct mt_when */

/* Which blocks, by when they were allocated; `show` is a member of type
 * struct mt_show_options. */
#define MT_OPTION_SINCE(show)                                                  \
    {                                                                          \
        "--since", 0, "TIME|MARK",                                             \
            "only blocks of the last TIME seconds (also 5m, 2h, 1d), since "   \
            "memtrace_mark(MARK), or since epoch @N",                          \
            MT_FIELD(mt_parse_when, struct mt_when, show.since)                \
    }
#define MT_OPTION_OLDER(show)                                                  \
    {                                                                          \
        "--older", 0, "TIME|MARK", "only blocks that are older than that",     \
            MT_FIELD(mt_parse_when, struct mt_when, show.older)                \
    }

/* An address in hexadecimal, with or without 0x. */
bool mt_parse_address(const struct mt_args *args, uint64_t *address,
                      struct mt_error *error);

/* Reads a command line into the command's `struct arguments`, which holds the
 * defaults.  False if there is nothing to run: `status` is then the exit
 * status, MT_EXIT_OK after --help. */
bool mt_arguments_read(struct mt_session *session,
                       const struct mt_command *command, int argc,
                       const char *const *argv, void *arguments, int *status,
                       struct mt_error *error);

/* The `operand` of a command that takes a second target.  In GDB the first one
 * is the inferior, and the operand is kept as the target. */
bool mt_arguments_take_second(void *arguments, const struct mt_args *args,
                              struct mt_error *error);

/* The style that the arguments ask for, of text that goes to `out`. */
bool mt_arguments_style(const struct mt_style_arguments *arguments, FILE *out,
                        struct mt_style *style, struct mt_error *error);
/* The session's output; what is written to it is not folded. */
FILE *mt_session_file(const struct mt_session *session);
/* The style of what goes there. */
bool mt_session_style(const struct mt_session *session,
                      const struct mt_style_arguments *arguments,
                      struct mt_style *style, struct mt_error *error);
/* Columns of the terminal that `out` is; 0 if it is another file. */
unsigned mt_terminal_columns(FILE *out);

/* Makes the resolver of names. `places` must outlive it. */
struct mt_resolver_options
mt_arguments_names(const struct mt_session *session,
                   const struct mt_debug_places *places);
/* Names for the model's frames: NULL with `error` filled on failure. */
struct mt_resolver *mt_arguments_resolver(const struct mt_session *session,
                                          const struct mt_debug_places *places,
                                          struct mt_model *model,
                                          struct mt_error *error);

#endif
