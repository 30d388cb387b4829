/* SPDX-License-Identifier: BSD-2-Clause
 *
 * verdict.c - the words for a result.
 */
#include "coreanalyze/analyses/verdict.h"

const char *const mt_result_names[MT_N_RESULTS] = {"passed", "leaks",
                                                   "not checked"};
