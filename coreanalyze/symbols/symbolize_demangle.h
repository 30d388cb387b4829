/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef MT_SYMBOLIZE_DEMANGLE_H
#define MT_SYMBOLIZE_DEMANGLE_H

/* symbolize_demangle.h: names of C++, Rust and D functions. */
#include <stdbool.h>

/*
 * The name that MANGLED stands for, malloc'ed, or NULL if it is not a mangled
 * name.  With PARAMETERS as symbol tables are shown, ns::f<int>(int); without
 * as frames are, ns::f<int>. Bounded in time, stack and size, whatever MANGLED
 * is.
 */
char *mt_demangle(const char *mangled, bool parameters);

#endif
