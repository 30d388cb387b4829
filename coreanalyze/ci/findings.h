/* SPDX-License-Identifier: BSD-2-Clause
 *
 * findings.h - the leaks that were found, as plain data that outlives the
 * target: suppressions, baselines and machine-readable reports work on it, and
 * know neither models nor sources.
 *
 * All strings belong to the findings and may hold any bytes but NUL.
 */
#ifndef MT_FINDINGS_H
#define MT_FINDINGS_H

#include "coreanalyze/analyses/verdict.h"
#include "coreanalyze/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mt_leak_frame {
    uint64_t pc, module_offset;
    const char *module;   /* path, or NULL */
    const char *function; /* as reports show it, or NULL */
    const char *linkage;  /* as the symbol table has it, or NULL */
    const char *full;     /* with its parameters, or NULL */
    const char *file;     /* or NULL */
    unsigned line;        /* 0: not known */
    bool inlined;
};

/* Why a leak counts, or does not. */
enum mt_leak_state {
    MT_LEAK_NEW,
    MT_LEAK_GROWN, /* the baseline has fewer blocks of it */
    MT_LEAK_KNOWN, /* the baseline has it */
    MT_LEAK_SUPPRESSED
};

/* A row of a report of leaks. */
struct mt_leak {
    unsigned kind;         /* enum mt_leak_kind */
    uint64_t bytes, count; /* of the blocks of the stack */
    uint64_t indirect_bytes, indirect_count;
    uint64_t sample;              /* address of a block */
    struct mt_leak_frame *frames; /* innermost first; NULL: untraced */
    size_t n_frames;
    /* Of those, for a person: from the one that names the stack, as in the
     * table of `show`, to the start of the program or thread. */
    size_t title, end;
    const char *called; /* the function of a library that it called, or NULL */
    uint64_t fingerprint; /* of the stack */
    enum mt_leak_state state;
    const char *suppression; /* its name, if suppressed */
    uint64_t same_count;     /* blocks of all leaks of this kind and stack */
    uint64_t known_count;    /* blocks that the baseline has */
    bool fails;              /* makes its process leak */
};

/* A process that a signal ended. */
struct mt_crash {
    int signal; /* 0: none did */
    bool core;  /* one of those that mean a fault: SIGSEGV, SIGABRT, ... */
    bool has_address;
    uint64_t address;   /* that the access was to */
    const char *cause;  /* "address not mapped", or NULL */
    const char *place;  /* what is at the address, or what memory the process
                           had where the OOM killer ended it; or NULL */
    uint32_t tid;       /* of the thread, 0 if not known */
    const char *thread; /* its name, or NULL */
    struct mt_leak_frame *frames; /* of that thread, innermost first */
    size_t n_frames;
    /* Of those, the program's own, for a person: from the first one, at `own`,
     * outwards.  The one before it is the library function that it called. */
    struct mt_leak_frame *brief;
    size_t n_brief, own;
};

struct mt_findings_process {
    uint32_t pid;
    const char *command; /* or NULL */
    const char *exe;     /* or NULL */
    const char *head;    /* how it ended, or NULL */
    const char *why;     /* it has this result, or NULL */
    bool ended;          /* `status` is that of waitpid(2) */
    int status;
    struct mt_crash crash;
    enum mt_result result;
    uint64_t failing_bytes, failing_count;
    struct mt_leak *leaks;
    size_t n_leaks;
};

struct mt_findings {
    struct mt_findings_process *processes; /* in the order of their ends */
    size_t n_processes, capacity;
    struct mt_strings *strings; /* owner of all strings */
    bool out_of_memory;         /* something is missing */
};

bool mt_findings_init(struct mt_findings *findings, struct mt_error *error);
void mt_findings_free(struct mt_findings *findings);
/* The findings' copy of a text; NULL for NULL or when out of memory. */
const char *mt_findings_text(struct mt_findings *findings, const char *text);
/* A new process at the end of the list, NULL when out of memory; valid until
 * the next one. */
struct mt_findings_process *mt_findings_add(struct mt_findings *findings);

/* Bytes of a leak, with the blocks reachable only through it. */
uint64_t mt_leak_bytes(const struct mt_leak *leak);

/* The leaks that fail their processes, the most important first: definite ones
 * before others, then by bytes. NULL with *n 0 when there are none or memory is
 * out; the caller frees it. */
struct mt_failing {
    const struct mt_findings_process *process;
    const struct mt_leak *leak;
};
struct mt_failing *mt_findings_failing(struct mt_findings *findings, size_t *n);

/* The frame that a person would look at first: the innermost one in a file
 * outside of the system's folders, or the innermost one in any file; NULL if no
 * frame has a file. */
const struct mt_leak_frame *mt_leak_site(const struct mt_leak_frame *frames,
                                         size_t first, size_t n);

/* "crashed: signal 11 (SIGSEGV): address not mapped: 0x10, in thread 123
 * (main)", or "ended by signal 15 (SIGTERM)". */
void mt_crash_title(const struct mt_crash *crash, char *text, size_t bytes);
/* True for a signal that means a fault of the program. */
bool mt_crash_is_fault(int signal);

/* "300 bytes in 3 blocks are definitely lost", as Memcheck words it. */
void mt_leak_title(const struct mt_leak *leak, char *text, size_t bytes);

#endif
