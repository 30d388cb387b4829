/* SPDX-License-Identifier: BSD-2-Clause
 *
 * style.h - how a text report looks: for a person, or whole.
 */
#ifndef MT_STYLE_H
#define MT_STYLE_H

#include <stdbool.h>

struct mt_style {
    /* Every frame by its full name, exact figures, the pages of each heap: the
     * form of VPP's `show memory-trace`.  The rest is then of no account. */
    bool full;
    bool bytes;           /* exact figures */
    bool colour;          /* escape sequences of a terminal */
    unsigned width;       /* columns of a line; 0: any */
    bool utf8;            /* the characters of Unicode may be used */
    const char *ellipsis; /* stands for what is cut off */
};

/* Rows of a report for a person, unless it is asked for more. */
#define MT_STYLE_ROWS 20

#endif
