/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef MT_SYMBOLIZE_H
#define MT_SYMBOLIZE_H

/*
 * symbolize.h: from an address in a module to functions, files and lines.
 *
 * The symbolizer finds the file that ran (by build-id where the target has
 * recorded one), its separate debug file, and answers from DWARF, or without it
 * from the symbol tables.  It knows neither targets nor traces.
 *
 * Threads: one symbolizer belongs to one thread at a time.  Signals: none of
 * this is for signal handlers.  Nothing here writes to stdout or stderr.
 *
 * Names are those that GDB's `backtrace` prints: C++ and Rust functions by
 * their demangled name without the parameter list and return type
 * (ns::cls<int>::method), C functions as they are, and symbols known by a
 * symbol table alone demangled in full, as GDB's minimal symbols are
 * (ns::cls<int>::method(int)).  Among several symbols at one address the choice
 * is GDB's.  Inlined frames, files and lines are those of `addr2line -i`: where
 * rows of the line table share an address, the last one, which is of the
 * innermost function; a row of line 0 stays 0 (GDB takes the row before it).
 *
 * Not looked at: .gnu_debugdata, and names for PLT entries.  In DWARF 2 made
 * with -gstrict-dwarf, inlined code in several pieces is not described.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mt_symbolizer;

/* The folder of separate debug files in distributions. */
#define MT_USUAL_DEBUG_DIR "/usr/lib/debug"

struct mt_symbolizer_options {
    /* Folders to search for separate debug files, ended by NULL; NULL means
     * {MT_USUAL_DEBUG_DIR, NULL}. */
    const char *const *debug_dirs;
    /* Prefix of every path of a module and of every debug directory, or
     * NULL: a target that ran in another root. */
    const char *sysroot;
    /* Mangled names as the symbol tables have them. */
    bool no_demangle;
    /* Never contact a debuginfod server, even if DEBUGINFOD_URLS is set. */
    bool no_debuginfod;
    /* Called while a server is waited for; false ends that, and no server is
     * asked again.  May be NULL. */
    bool (*waiting)(void *context, const char *step, uint64_t done,
                    uint64_t total);
    void *waiting_context;
    /* Symbol tables alone: functions of inlined code and lines stay
     * unknown, but no DWARF is read. */
    bool no_dwarf;
    /* Bytes that the caches of modules may hold; 0 means 512 MiB.  Above it
     * the modules not used for longest are dropped and read again when next
     * asked for.  Mapped files count nothing (the kernel drops their pages);
     * the strings handed out are kept until the end and not counted. */
    size_t memory_budget;
};

/* A module as the target has recorded it. */
struct mt_symbol_module {
    const char *path;        /* may be NULL: found by build-id alone */
    const uint8_t *build_id; /* may be NULL: none recorded */
    size_t build_id_bytes;
    uint64_t
        fingerprint; /* of one without build-id (mt_elf_fingerprint), or 0 */
    /* The kernel's path to the very file that runs, whatever lies at `path`
     * now; "": not known.  Asked for where it is needed; may be NULL. */
    const char *(*running)(void *context);
    void *context;
};

struct mt_symbol_frame {
    const char *function; /* NULL where only file and line are known */
    /*
     * PC minus the start of the function, as `bt` and VPP print it (for a
     * return address of the return address itself, not of the call).  If a
     * function has several parts, as GCC splits off `.cold` ones, the start of
     * the part that PC is in.  For inlined frames 0: their function has no
     * start of its own.
     */
    uint64_t offset;
    const char *file; /* as the compiler recorded it, made absolute by the
                         compilation directory; NULL where unknown */
    unsigned line;    /* 0 where unknown */
    bool inlined;     /* this function's code is part of the next frame's */
    /* The name in the symbol table, mangled, of the function that has the
     * frame; NULL for inlined functions, and where no symbol is known. */
    const char *linkage;
};

/* The basis of the answer; larger is better. */
enum mt_symbol_quality {
    MT_SYMBOL_NONE,   /* nothing known of this address */
    MT_SYMBOL_DYNSYM, /* exported symbols alone */
    MT_SYMBOL_SYMTAB, /* the full symbol table */
    MT_SYMBOL_DWARF   /* function, or line, out of DWARF */
};

/* NULL options mean all of the defaults.  NULL when out of memory. */
struct mt_symbolizer *mt_symbolizer_new(const struct mt_symbolizer_options *);
void mt_symbolizer_free(struct mt_symbolizer *); /* takes NULL */
/*
 * Questions from here on are about another target.  A module that has a
 * build-id or a fingerprint, whose files were found and have not changed since,
 * is not read again; any other is.  The report begins anew.
 */
void mt_symbolizer_next_target(struct mt_symbolizer *);

/* False if memory ran out for an answer about this target, so that it may lack
 * something. */
bool mt_symbolizer_is_whole(const struct mt_symbolizer *);

/*
 * The functions that PC is in, the innermost inlined one first, at most MAX
 * of them; the last one is the function that has its own frame.
 *
 * PC is an address in the module's file: the address in the target minus the
 * module's load bias.  With IS_RETURN_ADDRESS the lookup is for the call just
 * before it, at PC - 1; the caller subtracts nothing.
 *
 * If memory was short, something may be missing: see mt_symbolizer_is_whole().
 *
 * Returns how many frames are in OUT; 0 with MT_SYMBOL_NONE means print
 * module+offset.  QUALITY may be NULL.  The strings belong to the symbolizer
 * and live until it is freed.
 */
size_t mt_symbolize(struct mt_symbolizer *, const struct mt_symbol_module *,
                    uint64_t pc, bool is_return_address,
                    struct mt_symbol_frame *out, size_t max,
                    enum mt_symbol_quality *quality);

/* The function that PC is in by the symbol tables alone, which cost little
 * where debug information is large; NULL if they know none.  Where an
 * address has several names, the plainest: `puts`, not `_IO_puts`. */
const char *mt_symbolize_plain(struct mt_symbolizer *,
                               const struct mt_symbol_module *, uint64_t pc,
                               bool is_return_address);

/* Bytes of code in the module's file, at ADDRESS in it; false if no file is
 * known to be the one that ran, or it has no such code. */
bool mt_symbolize_code(struct mt_symbolizer *, const struct mt_symbol_module *,
                       uint64_t address, void *buffer, size_t bytes);

/* Reads any loaded part: headers, code, unwind data. */
bool mt_symbolize_loaded(struct mt_symbolizer *,
                         const struct mt_symbol_module *, uint64_t address,
                         void *buffer, size_t bytes);

/* How a module that was asked about was matched with a file. */
enum mt_symbol_match {
    MT_MATCH_BUILD_ID,   /* the file's build-id is the recorded one */
    MT_MATCH_DEBUG_ONLY, /* the file is not here; its debug file is */
    MT_MATCH_UNVERIFIED, /* no build-id recorded: by path alone */
    MT_MATCH_MISSING,    /* no file */
    MT_MATCH_MISMATCH,   /* the file is not the one that ran */
    MT_MATCH_UNREADABLE  /* the file cannot be read as ELF */
};
struct mt_symbol_report {
    const char *path;     /* as recorded, or "" */
    const char *build_id; /* hexadecimal, as recorded, or "" */
    enum mt_symbol_match match;
    enum mt_symbol_quality quality; /* best source found in this module */
    const char *debug_path;         /* separate debug file in use, or NULL */
    const char *note;               /* a sentence on what is missing, or NULL */
};

/* For coverage: every module of this target that was asked about so far, in
 * order of first use. */
size_t mt_symbolizer_n_modules(const struct mt_symbolizer *);
bool mt_symbolizer_report(const struct mt_symbolizer *, size_t index,
                          struct mt_symbol_report *out);

/* Bytes held in caches now (see memory_budget). */
size_t mt_symbolizer_memory(const struct mt_symbolizer *);

#endif
