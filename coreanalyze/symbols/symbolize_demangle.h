/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef MT_SYMBOLIZE_DEMANGLE_H
#define MT_SYMBOLIZE_DEMANGLE_H

/* symbolize_demangle.h: names of C++, Rust and D functions. */
#include "coreanalyze/base/string_set.h"

#include <stdbool.h>

/*
 * The name that MANGLED stands for, malloc'ed, or NULL if it is not a mangled
 * name.  With PARAMETERS as symbol tables are shown, ns::f<int>(int); without
 * as frames are, ns::f<int>. Bounded in time, stack and size, whatever MANGLED
 * is.  NO_MEMORY is set if memory ran out.
 */
char *mt_demangle(const char *mangled, bool parameters, bool *no_memory);
/* The same, kept; the set lacks what no memory is left for. */
const char *mt_demangle_keep(struct mt_strings *, const char *mangled,
                             bool parameters);

#endif
