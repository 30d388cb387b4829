/* SPDX-License-Identifier: BSD-2-Clause
 *
 * outcome.h - what was found, as plain data that outlives the target:
 * suppressions, baselines and machine-readable reports work on it, and know
 * neither models nor sources.
 *
 * All strings belong to the outcome and may hold any bytes but NUL.
 */
#ifndef MT_OUTCOME_H
#define MT_OUTCOME_H

#include "coreanalyze/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum mt_check_result { MT_CHECK_CLEAN, MT_CHECK_LEAKS, MT_CHECK_NOT_CHECKED };
extern const char *const mt_check_result_names[];

struct mt_loss_frame {
    uint64_t pc, module_offset;
    const char *module;   /* path, or NULL */
    const char *function; /* as reports show it, or NULL */
    const char *linkage;  /* as the symbol table has it, or NULL */
    const char *full;     /* with its parameters, or NULL */
    const char *file;     /* or NULL */
    unsigned line;        /* 0: not known */
    bool inlined;
};

/* Why a loss counts, or does not. */
enum mt_loss_state {
    MT_LOSS_NEW,
    MT_LOSS_GROWN, /* the baseline has fewer blocks of it */
    MT_LOSS_KNOWN, /* the baseline has it */
    MT_LOSS_SUPPRESSED
};

/* A row of a report of leaks. */
struct mt_loss {
    unsigned kind;         /* enum mt_leak_kind */
    uint64_t bytes, count; /* of the blocks of the stack */
    uint64_t indirect_bytes, indirect_count;
    uint64_t sample;              /* address of a block */
    struct mt_loss_frame *frames; /* innermost first; NULL: untraced */
    size_t n_frames;
    uint64_t fingerprint; /* of the stack */
    enum mt_loss_state state;
    const char *suppression; /* its name, if suppressed */
    uint64_t same_count;     /* blocks of all losses of this kind and stack */
    uint64_t known_count;    /* blocks that the baseline has */
    bool fails;              /* makes its process leak */
};

struct mt_outcome_process {
    uint32_t pid;
    const char *command; /* or NULL */
    const char *exe;     /* or NULL */
    const char *head;    /* how it ended, or NULL */
    const char *why;     /* it was not checked, or NULL */
    bool ended;          /* `status` is that of waitpid(2) */
    int status;
    enum mt_check_result result;
    uint64_t failing_bytes, failing_count;
    struct mt_loss *losses;
    size_t n_losses;
};

struct mt_outcome {
    struct mt_outcome_process *processes; /* in the order of their ends */
    size_t n_processes, capacity;
    struct mt_strings *strings; /* owner of all strings */
    bool out_of_memory;         /* something is missing */
};

bool mt_outcome_init(struct mt_outcome *outcome, struct mt_error *error);
void mt_outcome_free(struct mt_outcome *outcome);
/* The outcome's copy of a text; NULL for NULL or when out of memory. */
const char *mt_outcome_text(struct mt_outcome *outcome, const char *text);
/* A new process at the end of the list, NULL when out of memory; valid until
 * the next one. */
struct mt_outcome_process *mt_outcome_add(struct mt_outcome *outcome);

/* Bytes of a loss, with what hangs on it. */
uint64_t mt_loss_bytes(const struct mt_loss *loss);

/* The losses that fail their processes, the most important first: definite
 * ones before others, then by bytes.  NULL with *n 0 when there are none or
 * memory is out; the caller frees it. */
struct mt_failing {
    const struct mt_outcome_process *process;
    const struct mt_loss *loss;
};
struct mt_failing *mt_outcome_failing(struct mt_outcome *outcome, size_t *n);

/* The frame that a person would look at first: the innermost one in a file
 * outside of the system's folders, else the innermost in any file; NULL if no
 * frame has one. */
const struct mt_loss_frame *mt_loss_site(const struct mt_loss *loss);

/* "300 bytes in 3 blocks are definitely lost", as Memcheck words it. */
void mt_loss_title(const struct mt_loss *loss, char *text, size_t bytes);

#endif
