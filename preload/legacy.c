/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The functions of glibc's malloc that do not allocate: statistics and tuning.
 */
#include "heap/seldom.h"
#include "heap/attributes.h"
#include "heap/block_walk.h"
#include "heap/memtrace.h"
#include "heap/raw_print.h"

#include <errno.h>
#include <features.h>
#include <limits.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>

/* glibc 2.33 and later; a program may bring it along for an older one. */
#if !__GLIBC_PREREQ(2, 33)
struct mallinfo2 {
    size_t arena, ordblks, smblks, hblks, hblkhd, usmblks, fsmblks, uordblks,
        fordblks, keepcost;
};
struct mallinfo2 mallinfo2(void);
#endif

MT_EXPORT int malloc_trim(size_t pad)
{
    (void)pad;
    return memtrace_trim() > 0;
}

/* glibc's fields, with what answers to them here. */
MT_EXPORT struct mallinfo2 mallinfo2(void)
{
    struct memtrace_stats s;
    struct mallinfo2 info;
    memset(&info, 0, sizeof info);
    if (mt_start()) {
        mt_heap_usage(mt_main, &s);
        info.arena = s.committed;
        info.ordblks = s.free_runs;
        info.smblks = s.free_blocks;
        info.usmblks = s.span_peak;
        info.uordblks = s.used;
        info.fordblks = s.committed - s.used;
        info.keepcost = s.trimmable;
    }
    return info;
}

/* The same fields in the same order. */
MT_EXPORT struct mallinfo mallinfo(void)
{
    struct mallinfo2 wide = mallinfo2();
    size_t from[sizeof wide / sizeof(size_t)];
    int to[sizeof from / sizeof *from];
    struct mallinfo info;
    _Static_assert(sizeof info == sizeof to, "as many fields");
    memcpy(from, &wide, sizeof from);
    for (size_t i = 0; i < sizeof to / sizeof *to; i++)
        to[i] = from[i] > INT_MAX ? INT_MAX : (int)from[i];
    memcpy(&info, to, sizeof info);
    return info;
}

static void print_line(struct mt_print *out, const char *name, size_t value)
{
    mt_print(out, name);
    mt_print(out, " = ");
    mt_print_u64_right(out, value, 10);
    mt_print(out, "\n");
}

MT_EXPORT void malloc_stats(void)
{
    char text[512];
    struct mt_print out = {.text = text, .size = sizeof text, .fd = 2};
    struct memtrace_stats s;
    if (memtrace_heap_stats(NULL, &s) != 0)
        return;
    mt_print(&out, "memtrace main heap:\n");
    print_line(&out, "system bytes    ", s.committed);
    print_line(&out, "in use bytes    ", s.used);
    print_line(&out, "in use blocks   ", s.blocks);
    print_line(&out, "max span bytes  ", s.span_peak);
    print_line(&out, "trimmable bytes ", s.trimmable);
    mt_print_flush(&out);
}

/* Every parameter of glibc's tunes its own design; none applies here. The
 * answer is that of success, for programs that check. */
MT_EXPORT int mallopt(int parameter, int value)
{
    (void)parameter, (void)value;
    return 1;
}

#define MT_MOST_CLASSES 100

/* Like glibc's: the free blocks of a range of sizes. */
static void print_class(FILE *stream, const struct memtrace_class_stats *class,
                        size_t from)
{
    fprintf(stream,
            "  <size from=\"%zu\" to=\"%zu\" total=\"%zu\" "
            "count=\"%zu\"/>\n",
            from, class->size, class->free_blocks * class->size,
            class->free_blocks);
}

MT_EXPORT int malloc_info(int options, FILE *stream)
{
    struct memtrace_stats s;
    if (options != 0) {
        errno = EINVAL;
        return -1;
    }
    struct memtrace_class_stats classes[MT_MOST_CLASSES];
    int n = memtrace_heap_class_stats(NULL, classes, MT_MOST_CLASSES);
    if (n < 0 || memtrace_heap_stats(NULL, &s) != 0)
        return -1;
    fprintf(stream, "<malloc version=\"memtrace-1\">\n"
                    "<heap nr=\"0\">\n"
                    "<sizes>\n");
    for (int i = 0; i < n && i < MT_MOST_CLASSES; i++)
        if (classes[i].size && classes[i].span_bytes)
            print_class(stream, &classes[i], i ? classes[i - 1].size + 1 : 0);
    fprintf(stream,
            "</sizes>\n"
            "<total type=\"used\" count=\"%zu\" size=\"%zu\"/>\n"
            "<total type=\"free\" count=\"%zu\" size=\"%zu\"/>\n"
            "<system type=\"current\" size=\"%zu\"/>\n"
            "<system type=\"max\" size=\"%zu\"/>\n"
            "</heap>\n"
            "</malloc>\n",
            s.blocks, s.used, s.free_runs + s.free_blocks, s.committed - s.used,
            s.committed, s.span_peak);
    return 0;
}
