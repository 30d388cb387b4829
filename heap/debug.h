/* SPDX-License-Identifier: BSD-2-Clause
 *
 * debug.h - invariants that are checked in a build with --enable-debug.
 *
 * MT_ASSERT takes a few instructions, and stands where a structure changes its
 * state.  MT_ASSERT_COSTLY walks a list; it needs --enable-debug=full.  In
 * other builds neither evaluates its condition.
 */
#ifndef MT_DEBUG_H
#define MT_DEBUG_H

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

/* Prints the place and the condition, and aborts.  AS-safe. */
_Noreturn void mt_assert_failed(const char *file, int line,
                                const char *condition);

#define MT_CHECKED(condition)                                                  \
    ((condition) ? (void)0 : mt_assert_failed(__FILE__, __LINE__, #condition))
#define MT_UNCHECKED(condition) ((void)sizeof((condition) ? 1 : 0))

#if defined(MT_DEBUG) && MT_DEBUG > 0
#define MT_ASSERT(condition) MT_CHECKED(condition)
#else
#define MT_ASSERT(condition) MT_UNCHECKED(condition)
#endif
#if defined(MT_DEBUG) && MT_DEBUG > 1
#define MT_ASSERT_COSTLY(condition) MT_CHECKED(condition)
#else
#define MT_ASSERT_COSTLY(condition) MT_UNCHECKED(condition)
#endif

/* Of functions that assertions alone call: a release has no use for them. */
#define MT_CHECK_ONLY __attribute__((unused))

#endif
