/* SPDX-License-Identifier: BSD-2-Clause
 *
 * filter.h - stacks that a person asks for: --focus and --ignore.
 *
 * A regular expression (POSIX, extended) is matched with the function, the
 * module and the file of each frame.  A stack stays if one of its frames
 * matches `focus`, and none of them `ignore`.
 */
#ifndef MT_FILTER_H
#define MT_FILTER_H

#include "coreanalyze/analyses/show.h"
#include "coreanalyze/names/resolve.h"

struct mt_filter;

/* Either expression may be NULL.  *filter is NULL if both are.  False with
 * `error` filled if one makes no sense, or memory is short. */
bool mt_filter_new(const char *focus, const char *ignore,
                   struct mt_filter **filter, struct mt_error *error);
void mt_filter_free(struct mt_filter *filter); /* takes NULL */

/* Does the filter let a stack through?  A filter is used with one resolver at
 * a time: mt_filter_forget() before another one. */
bool mt_filter_keeps(struct mt_filter *filter, struct mt_model *model,
                     struct mt_resolver *resolver, uint32_t stack,
                     uint32_t depth);
void mt_filter_forget(struct mt_filter *filter);

/* Takes rows out of a show that was run without --top and --min, and then
 * applies these.  `filter` may be NULL. */
void mt_filter_show(struct mt_filter *filter, struct mt_model *model,
                    struct mt_resolver *resolver, struct mt_show *show,
                    uint64_t min_bytes, uint64_t top);

#endif
