/* SPDX-License-Identifier: BSD-2-Clause
 *
 * leak_kind.c - the words for the kinds of leaks.
 */
#include "coreanalyze/analyses/leak_kind.h"

#include <stddef.h>

const char *const mt_leak_kind_names[] = {"definite", "indirect", "possible",
                                          "reachable", NULL};

const char *const mt_leak_kind_titles[] = {"definitely lost", "indirectly lost",
                                           "possibly lost", "still reachable"};
