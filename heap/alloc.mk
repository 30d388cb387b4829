# Sources of the allocator and the trace region. Objects are linked in this
# order, and the kernel maps a library's code by 64 KiB around what is executed:
# what every program needs comes first, what most never run comes last, behind
# capture and unwinding (local.mk).
%C%_libheap_la_SOURCES += %D%/traced_fast.c %D%/doors.c %D%/api.c %D%/traced.S %D%/heap.c %D%/start.c %D%/state.c %D%/cache.c %D%/refill.c %D%/cache_table.c %D%/pages.c \
	%D%/runs.c %D%/heap_regions.c %D%/records.c %D%/side_tables.c %D%/threads.c %D%/thread_key.c %D%/heaps.c %D%/heaps_api.c \
	%D%/page_kinds.c %D%/classes.c %D%/own_data.c %D%/os.c %D%/vdso.c %D%/lock.c %D%/trace_region.c %D%/schema.c %D%/time_index.c \
	%D%/config.c %D%/fork.c %D%/fill.c %D%/safety.c %D%/exit/at_exit.c %D%/raw_print.c %D%/recent_frees.c %D%/recent_frees.h \
	%D%/alloc.h %D%/exit/at_exit.h %D%/block_walk.h %D%/cache.h %D%/debug.h %D%/heap_check.h %D%/entry.S.h %D%/fast.h %D%/fill.h %D%/page_kinds.h \
	%D%/pages.h %D%/raw_print.h %D%/trace_region.h %D%/safety.h %D%/traced_fast.h
%C%_libheap_la_SOURCES += %D%/os_ranges.c %D%/timeline.c %D%/timeline.h %D%/peak.c %D%/peak.h %D%/live_words.h %D%/exit/exit_read.c %D%/ignored.c
