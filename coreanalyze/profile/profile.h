/* SPDX-License-Identifier: BSD-2-Clause
 *
 * profile.h - a report as data: each frame once, each path of calls once, and
 * what was allocated at the end of each path.
 *
 * All writers of other programs' formats, JSON version 2 and the page read
 * this; none of them reads a stack.  Names are text that is never NULL.
 */
#ifndef MT_PROFILE_H
#define MT_PROFILE_H

#include "coreanalyze/analyses/show.h"
#include "coreanalyze/base/string_set.h"
#include "coreanalyze/names/short_name.h"
#include "coreanalyze/profile/filter.h"

#define MT_PROFILE_NONE UINT32_MAX

enum mt_measure {
    MT_LIVE_BYTES,
    MT_LIVE_BLOCKS,
    MT_ALLOC_BYTES, /* since the start, freed blocks included */
    MT_ALLOCS,
    MT_PEAK_BYTES, /* live at the peak */
    MT_PEAK_BLOCKS,
    MT_N_MEASURES,
};

struct mt_measures {
    uint64_t of[MT_N_MEASURES];
};

struct mt_profile_function {
    const char *name;    /* where it has none: "libx.so + 0x12" */
    const char *linkage; /* as the symbol table has it, or NULL */
    const char *file;    /* or NULL */
    uint32_t module;     /* or MT_PROFILE_NONE */
    enum mt_frame_kind kind;
    bool known; /* false: the name is an address */
};

/* A function at a place in the code: inlined callers have their own. */
struct mt_profile_frame {
    uint64_t pc, module_offset;
    uint64_t offset;   /* in the function */
    uint32_t function; /* index */
    uint32_t line;     /* 0: not known */
    uint32_t location; /* index */
    bool inlined;
};

/* A program counter: frames that follow each other, the innermost first. */
struct mt_profile_location {
    uint64_t pc;
    uint32_t module; /* or MT_PROFILE_NONE */
    uint32_t first, n;
};

/* A path of calls: its last frame, and the path that leads there.  A parent
 * comes before its children; the first node is the root, which has no frame. */
struct mt_profile_node {
    uint32_t parent, frame;
    uint32_t end; /* what was allocated here: index + 1 in `ends`; 0: nothing */
};

/* What one stack allocated, of one heap, thread and kind. */
struct mt_profile_sample {
    uint32_t node;                 /* 0: the profile has no paths */
    uint32_t title;                /* node of the frame that names the stack */
    uint32_t stack;                /* id */
    const struct mt_show_row *row; /* NULL: nothing is live, or it is taken */
    struct mt_measures is;
};

/* What a profile has beside its total, and modules, functions, frames and
 * locations as far as samples need them. */
enum mt_profile_parts {
    MT_PROFILE_PATHS = 1u,   /* nodes */
    MT_PROFILE_ENDS = 2u,    /* of nodes */
    MT_PROFILE_SAMPLES = 4u, /* with their nodes */
    MT_PROFILE_UNTRACED = 8u /* a sample for the blocks without a stack */
};

struct mt_profile;
/* Is given a sample, without a node, and its locations, the innermost first,
 * which are in the profile by then.  False when out of memory. */
typedef bool mt_profile_visit(void *context, const struct mt_profile *,
                              const struct mt_profile_sample *,
                              const uint32_t *locations, size_t n);

struct mt_profile_options {
    unsigned parts;           /* of enum mt_profile_parts */
    mt_profile_visit *visit;  /* or NULL */
    void *context;            /* of `visit` */
    struct mt_show *taken;    /* the show, if each row is to be taken out of it;
                                 only a visit has it */
    bool lifetime;            /* also stacks without live blocks */
    struct mt_filter *filter; /* of stacks without live blocks */
};

struct mt_profile {
    struct mt_model *model;
    const struct mt_show *show;
    const struct mt_module **modules;
    size_t n_modules;
    struct mt_profile_function *functions;
    size_t n_functions;
    struct mt_profile_frame *frames;
    size_t n_frames;
    struct mt_profile_location *locations;
    size_t n_locations;
    struct mt_profile_node *nodes;
    size_t n_nodes;
    struct mt_measures *ends;
    size_t n_ends;
    struct mt_profile_sample *samples;
    size_t n_samples;
    struct mt_measures total;
    struct mt_strings *names;
};

/* Makes the profile of a show's rows.  All that it is made of must outlive it.
 * False with `error` filled; mt_profile_free() is due in either case. */
bool mt_profile_build(struct mt_model *model, const struct mt_show *show,
                      struct mt_resolver *resolver,
                      const struct mt_profile_options *options,
                      struct mt_profile *profile, struct mt_error *error);
void mt_profile_free(struct mt_profile *profile);

/* Is the heap or the moment of blocks restricted?  Lifetime counters, which
 * have neither, do not compare with live blocks then. */
bool mt_profile_is_partial(const struct mt_show *show);

/* What was allocated at a node itself. */
const struct mt_measures *mt_profile_self(const struct mt_profile *profile,
                                          uint32_t node);
/* The function of a node; the root has none. */
const struct mt_profile_function *
mt_profile_function_of(const struct mt_profile *profile, uint32_t node);
/* The path of a module, or "". */
const char *mt_profile_module_path(const struct mt_profile *profile,
                                   uint32_t module);

#endif
