/* SPDX-License-Identifier: BSD-2-Clause
 *
 * verdict.h - the result of a search for leaks: one word, and why.
 *
 * mt_policy_decide() (check/policy.h) alone decides it.  Every report and exit
 * status prints what it decided.
 */
#ifndef MT_VERDICT_H
#define MT_VERDICT_H

enum mt_result { MT_RESULT_PASSED, MT_RESULT_LEAKS, MT_RESULT_NOT_CHECKED };
#define MT_N_RESULTS 3

/* "passed", "leaks", "not checked". */
extern const char *const mt_result_names[MT_N_RESULTS];

struct mt_verdict {
    enum mt_result result;
    char why[256]; /* "" if there is nothing to add */
};

#endif
