/* SPDX-License-Identifier: BSD-2-Clause
 *
 * resolve.h - from a program counter of the target to what a reader of a
 * report sees: module, function, file and line, inlined callers too.
 */
#ifndef MT_RESOLVE_H
#define MT_RESOLVE_H

#include "coreanalyze/snapshot/model.h"

#define MT_MAX_INLINED 64

struct mt_frame {
    uint64_t pc;
    const char *module;     /* path, or NULL if no module holds the pc */
    uint64_t module_offset; /* pc - load bias */
    const uint8_t *build_id;
    unsigned build_id_bytes;
    const char *function; /* or NULL */
    const char *linkage;  /* as the symbol table has it, or NULL */
    uint64_t offset;      /* in the function */
    const char *file;     /* or NULL */
    unsigned line;        /* 0: not known */
    bool inlined;
};

/* Names from elsewhere, for a pc that has none: a debugger's.  True if it has
 * filled in function or file; its strings must outlive the resolver. */
typedef bool mt_name_hook(void *context, uint64_t pc, struct mt_frame *frame);

struct mt_resolver_options {
    const char *const *debug_dirs; /* ended by NULL; NULL: the usual ones */
    const char *sysroot;           /* prefix of all paths, or NULL */
    /* What one target after another shares of modules, or NULL.  It outlives
     * the resolvers, of which one at a time may use it. */
    struct mt_symbolizer *modules;
    mt_name_hook *hook; /* or NULL */
    void *context;      /* of the hook */
};

/* For `modules`; NULL when out of memory.  mt_symbolizer_free() frees it. */
struct mt_symbolizer *
mt_resolver_modules(const struct mt_resolver_options *options);

struct mt_resolver;
/* NULL when out of memory.  The model and all that the options name must
 * outlive it. */
struct mt_resolver *mt_resolver_new(struct mt_model *model,
                                    const struct mt_resolver_options *options);
/* A resolver without a model: it knows the modules of the source alone, until
 * mt_resolver_use gives it the model of that source. */
struct mt_resolver *
mt_resolver_of_source(struct mt_source *source,
                      const struct mt_resolver_options *options);
/* A later model of the source may follow: answers for the earlier one stay, and
 * need it no more. */
void mt_resolver_use(struct mt_resolver *, struct mt_model *model);
void mt_resolver_free(struct mt_resolver *); /* takes NULL */
/* Answers may lack names, for want of memory. */
void mt_resolver_lacks(struct mt_resolver *);
bool mt_resolver_is_whole(const struct mt_resolver *); /* they do not */
/* Frees it, too.  False, with the error (or NULL), if memory was short, so that
 * names may be missing from what it answered. */
bool mt_resolver_finish(struct mt_resolver *, struct mt_error *error);

/* A program counter and how it was met. */
struct mt_pc {
    uint64_t pc;
    uint32_t modules; /* of its stack, or MT_MODULES_NOW */
    /* True for an instruction that ran or was interrupted; false for a return
     * address, which is looked up by the call before it. */
    bool exact;
};
struct mt_resolved {
    const struct mt_frame *frames; /* innermost first */
    size_t n;                      /* at least 1 */
    /* The frame of a signal handler's return: the pc below is exact. */
    bool signal_frame;
};
/* The frames of a program counter, valid until the resolver is freed. */
struct mt_resolved mt_resolve(struct mt_resolver *, const struct mt_pc *);
/* The same, but of a library of the system (mt_module_is_library) the function
 * alone, by the name that programs call it: no line and no inlined calls, whose
 * debug information is most of what a short report would cost. */
struct mt_resolved mt_resolve_brief(struct mt_resolver *, const struct mt_pc *);

/* Is a return address, in a module of the source, that of a signal handler?  No
 * name is looked for. */
bool mt_resolve_signal_frame(struct mt_resolver *, uint64_t pc);

/* Bytes of a module's file by their address in memory less the load bias; false
 * without a file that is known to be the one that ran. */
bool mt_resolver_bytes(struct mt_resolver *, const struct mt_module *module,
                       uint64_t address, void *buffer, size_t bytes);

/* How the modules asked about so far were matched with files: calls `visit`
 * for each, in order of first use.  `match` is one of "build-id",
 * "debug-only", "unverified", "missing", "mismatch", "unreadable";
 * `debug_path` may be NULL. */
struct mt_module_match {
    const char *path, *build_id, *match, *debug_path;
    bool wrong; /* the file is not the one that ran */
};
void mt_resolver_matches(const struct mt_resolver *,
                         void (*visit)(void *context,
                                       const struct mt_module_match *),
                         void *context);

#endif
