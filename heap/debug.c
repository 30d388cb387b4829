/* SPDX-License-Identifier: BSD-2-Clause
 *
 * debug.c - the report of an invariant that does not hold.
 */
#include "heap/seldom.h"
#include "heap/debug.h"
#include "heap/raw_print.h"

#include <stdlib.h>

void mt_assert_failed(const char *file, int line, const char *condition)
{
    char text[300];
    struct mt_print out = {.text = text, .size = sizeof text, .fd = 2};
    mt_print(&out, "memtrace: ");
    mt_print(&out, file);
    mt_print(&out, ":");
    mt_print_u64(&out, (uint64_t)line);
    mt_print(&out, ": assertion failed: ");
    mt_print(&out, condition);
    mt_print(&out, "\n");
    mt_print_flush(&out);
    abort();
}
