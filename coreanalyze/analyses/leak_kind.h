/* SPDX-License-Identifier: BSD-2-Clause
 *
 * leak_kind.h - the kinds of leaks and their words: all that reports for other
 * tools need to know of the analyses.
 */
#ifndef MT_LEAK_KIND_H
#define MT_LEAK_KIND_H

/* The kinds of Memcheck. */
enum mt_leak_kind {
    MT_LEAK_DEFINITE,  /* no pointer to it */
    MT_LEAK_INDIRECT,  /* pointers from lost blocks only */
    MT_LEAK_POSSIBLE,  /* no chain without a pointer to the inside */
    MT_LEAK_REACHABLE, /* a chain of pointers to starts leads to it */
    MT_N_LEAK_KINDS
};

/* By kind: "definite", as options and files have it; NULL ends them. */
extern const char *const mt_leak_kind_names[];
/* By kind: "definitely lost". */
extern const char *const mt_leak_kind_titles[];

#endif
