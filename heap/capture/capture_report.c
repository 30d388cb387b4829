/* SPDX-License-Identifier: BSD-2-Clause
 *
 * capture_report.c - what verification of the memos found, at exit.
 */
#include "heap/seldom.h"
#include "heap/capture/capture.h"
#include "heap/attributes.h"
#include "heap/raw_print.h"

static __attribute__((destructor)) void capture_report_print(void)
{
    char text[300];
    struct mt_print out = {
        .text = text, .size = sizeof text, .fd = mt_report_fd()};
    if (!mt_capture_verify)
        return;
    struct mt_capture_totals t = mt_capture_sum();
    mt_print(&out, "memtrace: verify: ");
    mt_print_u64(&out, t.hits + t.misses);
    mt_print(&out, " captures, ");
    mt_print_u64(&out, t.hits);
    mt_print(&out, " hits, ");
    mt_print_u64(&out, t.verified);
    mt_print(&out, " verified, ");
    mt_print_u64(&out, t.mismatches);
    mt_print(&out, " mismatches, ");
    mt_print_u64(&out, t.paths);
    mt_print(&out, " known paths verified\n");
    mt_print_flush(&out);
}
