/* SPDX-License-Identifier: BSD-2-Clause
 *
 * reader.h - the interface of libmemtrace-read.so: plain C types, made for
 * ctypes.  A verb (show, info, heaps, on, off, ...) takes the options that
 * the command of the same name takes in the shell, without TARGET, and gives
 * the same bytes as text.
 *
 * A reader is used by one thread at a time; several readers are independent.
 * Nothing here is async-signal-safe.  No function exits, prints, or changes
 * the process's state.
 */
#ifndef MEMTRACE_READER_H
#define MEMTRACE_READER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MEMTRACE_READER_ABI 1

struct memtrace_reader;

struct memtrace_reader_mapping {
    uint64_t start, end, file_offset;
    uint32_t flags; /* 1 read, 2 write, 4 execute, 8 private */
    uint32_t reserved;
    const char *path; /* or NULL */
};

struct memtrace_reader_module {
    uint64_t start, end, load_bias;
    const char *path;
    const uint8_t *build_id; /* or NULL */
    uint32_t build_id_bytes;
    uint32_t reserved;
};

struct memtrace_reader_thread {
    uint32_t tid;
    uint32_t has_registers;
    uint64_t registers[27]; /* in the order of struct user_regs_struct */
    const char *name;       /* or NULL */
};

/* A name for a pc, from the caller.  Text is copied into the buffers. */
struct memtrace_reader_symbol {
    char function[1024]; /* "" if not known */
    uint64_t offset;     /* of the pc in the function */
    char file[1024];     /* "" if not known */
    uint32_t line;
    uint32_t reserved;
};

/* A target that somebody else holds: a debugger's inferior. */
struct memtrace_reader_target {
    uint32_t abi; /* MEMTRACE_READER_ABI */
    uint32_t pid; /* of the process; 0 if not known */
    /* The origin of the tables: the core file at `core` if not NULL; otherwise
     * /proc/PID if `local_process`; otherwise the tables below. */
    const char *core;
    uint32_t local_process;
    uint32_t n_mappings, n_modules, n_threads;
    const struct memtrace_reader_mapping *mappings;
    const struct memtrace_reader_module *modules;
    const struct memtrace_reader_thread *threads;
    const char *exe; /* path of the program, or NULL */
    void *context;   /* passed to the functions below */
    /* Copies memory; returns the number of bytes copied, from the start.  Not
     * called, and may be NULL, if `core` is given: the file has everything. */
    size_t (*read)(void *context, uint64_t address, void *buffer, size_t bytes);
    /* Writes memory; 1 if all was written.  NULL: the target is read only. */
    int (*write)(void *context, uint64_t address, const void *buffer,
                 size_t bytes);
    /* Asked only for a pc that has no name otherwise; 1 if it filled
     * `symbol`.  May be NULL. */
    int (*symbol)(void *context, uint64_t pc,
                  struct memtrace_reader_symbol *symbol);
    /* Called now and then with the progress of a long step.  Returns 0 to
     * continue or 1 to stop it; the verb then reports what it has seen so far.
     * May be NULL. */
    int (*progress)(void *context, const char *step, uint64_t done,
                    uint64_t total);
    /* Address of the data symbol `memtrace_root`, or 0 if not known. */
    uint64_t root_symbol;
    uint32_t tables_incomplete; /* the caller does not know all mappings */
    uint32_t reserved;
};

/* Each returns NULL on failure and puts one line into `error`. */
struct memtrace_reader *memtrace_reader_open(const char *pid_or_core,
                                             char *error, size_t error_bytes);
struct memtrace_reader *
memtrace_reader_open_target(const struct memtrace_reader_target *target,
                            char *error, size_t error_bytes);
/* Takes NULL. */
void memtrace_reader_close(struct memtrace_reader *);

/* Runs a verb.  Returns its exit status: 0 done, 1 usage or target error, 23
 * leaks found.  `text` is set to what it prints and `error` to one line, "" if
 * there is none; both end in NUL, belong to the reader, and live until the
 * next call on it.  `argv` is the verb and its options: {"show", "--json"}. */
int memtrace_reader_run(struct memtrace_reader *, int argc,
                        const char *const *argv, const char **text,
                        const char **error);

/* Verbs for completion and help, NULL-terminated, static. */
const char *const *memtrace_reader_verbs(void);
/* Full help of a verb, or NULL; static. */
const char *memtrace_reader_help(const char *verb);
/* Names of the options of a verb ("--json", ...), NULL-terminated; owned by
 * the library, static; NULL for an unknown verb. */
const char *const *memtrace_reader_options(const char *verb);
/* The values that an option takes: the target's heaps for "--heap", its marks
 * for "--since" and "--older", the keys of "--sort". NULL-terminated; empty if
 * any value will do; NULL if the option takes none.  Belongs to the reader, and
 * lives until the next call on it. */
const char *const *memtrace_reader_values(struct memtrace_reader *,
                                          const char *option);
/* "0.1.0" */
const char *memtrace_reader_version(void);

#ifdef __cplusplus
}
#endif
#endif
