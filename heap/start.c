/* SPDX-License-Identifier: BSD-2-Clause
 *
 * start.c - start-up, once, by the first call that needs the heap.
 *
 * The doors of the library (doors.c, heaps_api.c, api.c, annotate.c) ask for
 * it; what they call can rely on it.
 */
#include "heap/seldom.h"
#include "heap/alloc.h"
#include "heap/box.h"
#include "heap/exit/at_exit.h"
#include "heap/exit/save_at.h"
#include "heap/page_kinds.h"
#include "heap/pages.h"
#include "heap/raw_print.h"
#include "heap/safety.h"
#include "heap/timeline.h"
#include "heap/trace_region.h"

#include <errno.h>
#include <string.h>

static struct mt_lock start_lock;
static bool failed;
static uint32_t starter; /* thread that is in heap_start() */

/* The kernel may refuse what MEMTRACE asks for: said in one line. Pages that
 * are not there are then missing for good, unless page_fallback is set; a
 * binding is left out. */
static void main_memory(void)
{
    struct mt_memory_options options = {
        .page_size = mt_config.page_size,
        .thp = mt_config.thp,
        .fallback = mt_config.page_fallback,
        .nodes = *mt_config.numa ? mt_config.numa : NULL};
    if (mt_memory_setup(mt_main, &options))
        return;
    char text[200];
    struct mt_print out = {
        .text = text, .size = sizeof text, .fd = mt_report_fd()};
    mt_print(&out, "memtrace: MEMTRACE: the kernel refuses memory");
    if (options.page_size > 4096) {
        mt_print(&out, " in pages of ");
        mt_print_size(&out, options.page_size);
    }
    if (options.nodes) {
        mt_print(&out, " of NUMA nodes ");
        mt_print(&out, options.nodes);
    }
    mt_print(&out, ": error ");
    mt_print_u64(&out, (uint64_t)errno);
    mt_print(&out, errno == ENOMEM ? " (there is none)\n" : "\n");
    mt_print_flush(&out);
    mt_main->memory.page_bytes = options.page_size;
    mt_main->memory.thp = options.thp;
}

static bool heap_start(void)
{
    const char *settings = mt_os_getenv("MEMTRACE");
    mt_print_start(); /* settings may be complained about */
    if (settings)
        mt_config_read(settings);
    if (mt_box_wanted && mt_box_start())
        mt_config.modes |= MT_MODE_BOX;
    mt_os_clock_start();
    if (!mt_region_start())
        return false;
    mt_string_add("", 0); /* offset 0 means none */
    mt_schema_write();
    mt_classes_init();
    mt_hot.spans = (mt_span *)memtrace_root->sections[MT_SECTION_SPANS].base;
    mt_hot.small_sizes = MT_SMALL_MAX + 1;
    mt_epoch_tick();
    if (!mt_section_alloc(MT_SECTION_SPANS, sizeof(mt_span)) ||
        !mt_threads_init())
        return false;
    mt_main = mt_heap_new("main heap", MT_HEAP_MAIN | MT_HEAP_LOCKED);
    if (mt_main == NULL || !mt_safety_setup(mt_main, 0, 0))
        return false;
    main_memory();
    mt_heap_grow(mt_main, 0); /* mt_hot is set before threads look at it */
    memtrace_root->depth = mt_config.depth;
    memtrace_root->sample_bytes = mt_config.sample;
    memtrace_root->stacks_limit = mt_config.stacks;
    if (settings)
        strncpy(memtrace_root->config, settings,
                sizeof memtrace_root->config - 1);
    mt_main->record->limit = mt_config.limit;
    mt_main->record->trace = mt_config.trace ? MT_TRACE_ON : MT_TRACE_NEVER;
    mt_own_data_publish();
    mt_region_publish();
    if (mt_box_on)
        mt_box_publish();
    mt_exit_begin();
    mt_save_at_begin();
    mt_timeline_start();
    return true;
}

bool mt_start(void)
{
    if (MT_LIKELY(mt_started()))
        return true;
    if (mt_load_relaxed(&starter) && starter == mt_os_tid()) {
        errno = ENOMEM; /* what heap_start() calls allocates */
        return false;
    }
    bool first = false;
    mt_lock_acquire(&start_lock);
    if (!mt_started() && !failed) {
        /* Its page would be read first, and a page that is read and then
         * written to costs two faults. */
        mt_store_relaxed(&memtrace_root, NULL);
        mt_store_relaxed(&starter, mt_os_tid());
        failed = !heap_start();
        mt_store_relaxed(&starter, 0);
        mt_store_release(&mt_has_started, !failed);
        first = !failed;
    }
    mt_lock_release(&start_lock);
    if (first) { /* these may be others' functions, which allocate */
        mt_threads_watch();
        mt_fork_init();
    }
    if (failed)
        errno = ENOMEM;
    return mt_started();
}
